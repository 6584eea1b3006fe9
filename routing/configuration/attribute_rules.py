"""Rules that derive attributes of customers from others."""

import re
from typing import Self

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting

NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")


class Operator(TextChoices):
    """How a rule compares an attribute with its value."""

    EQUALS = "equals", gettext_lazy("equals")
    DIFFERS = "differs", gettext_lazy("differs from")
    AT_LEAST = "at_least", gettext_lazy("is at least")
    AT_MOST = "at_most", gettext_lazy("is at most")
    CONTAINS = "contains", gettext_lazy("contains")
    IS_SET = "is_set", gettext_lazy("is set")


#: Names of attributes; `level`, `tags` and `vip` have a meaning and a shape of their own.
ATTRIBUTE = r"^[a-z][a-z0-9_]{0,39}$"


class AttributeRule(Shape):
    """Sets an attribute where another one has a value."""

    attribute: str = setting("", _("Attribute"), _("Such as orders."), max_length=40)
    operator: Operator = setting(Operator.EQUALS, _("Comparison"), "")
    value: str = setting("", _("Value"), _("A number for “is at least” and “is at most”; “is set” needs none."), max_length=200)
    sets: str = setting("", _("Sets"), _("The derived attribute, such as level or vip. A tag is added to the others."), max_length=40)
    to: str = setting("", _("To the value"), _("A text, a number, true or false."), max_length=200)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        hot.filled(self, "attribute", "sets", "to")
        for name in ("attribute", "sets"):
            if not re.fullmatch(ATTRIBUTE, getattr(self, name)):
                raise hot.Wrong(name, _("Must be a name of lower-case letters, digits and underscores, such as order_count."))
        if self.operator in (Operator.AT_LEAST, Operator.AT_MOST) and not NUMBER.fullmatch(self.value):
            raise hot.Wrong("value", _("Must be a number for this comparison."))
        if self.sets == "vip" and self.to not in ("true", "false"):
            raise hot.Wrong("to", _("Must be true or false for vip."))
        if self.sets == self.attribute:
            raise hot.Wrong("sets", _("A rule must not set the attribute that it looks at."))
        return self


class Customers(Module):
    """What is known about customers."""

    attribute_rules: list[AttributeRule] = setting(
        list,
        _("Rules for attributes"),
        _("The first rule that applies counts. What people or systems set counts more."),
        max_length=200,
    )
