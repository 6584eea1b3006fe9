"""The limits of queues and pools on their own page: a small form over two modules of the configuration."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from pydantic.fields import FieldInfo

from accounts.services.audit import Actor
from configcenter import hot
from configcenter.services import items, releases, validation
from posthaste.lib.problems import Conflict, Problem

#: Module and field, in the order of the form.
FIELDS = (("thread_pools", "min_threads"), ("thread_pools", "max_threads"), ("queues", "queue_capacity"))


def _bounds(info: FieldInfo) -> tuple[int, int]:
    found = {name: getattr(rule, name) for rule in info.metadata for name in ("ge", "le") if getattr(rule, name, None) is not None}
    return int(found.get("ge", 0)), int(found.get("le", 1_000_000_000))


class LimitsForm(forms.Form):
    """The limits, as the shapes of the modules describe them, and the reason for the release."""

    comment = forms.CharField(max_length=200, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for module, name in FIELDS:
            handle = hot.module(module)
            info = handle.model.model_fields[name]
            least, most = _bounds(info)
            self.fields[name] = forms.IntegerField(
                label=_(info.title or name),
                help_text=_(info.description or ""),
                min_value=least,
                max_value=most,
                initial=getattr(handle.value, name),
                widget=forms.NumberInput(attrs={"aria-describedby": f"id_{name}_helptext"}),
            )
        self.fields["comment"].label = _("Why")
        self.order_fields([*(name for _module, name in FIELDS), "comment"])

    def publish(self, *, by: Actor) -> int:
        """Publish a release of each module that changed, and return how many did.

        Raises:
            Conflict: a draft or a gray release of the module would be lost.
        """
        done = 0
        for module in dict.fromkeys(module for module, _name in FIELDS):
            handle = hot.module(module)
            wanted = {name: self.cleaned_data[name] for of, name in FIELDS if of == module}
            item = items.module_item(module)
            now = validation.parse(handle, items.effective(item))
            if all(now.get(name) == value for name, value in wanted.items()):
                continue
            if item.draft is not None:
                said = _("{module} has a draft. Publish or discard it first, then change the limits.").format(module=_(handle.title))
                raise Conflict(said)
            comment = self.cleaned_data["comment"] or _("Limits changed on the page of queues and pools")
            version = item.current.number if item.current else 0
            releases.publish(item=item, content=validation.written(now | wanted), comment=comment, by=by, if_version=version)
            done += 1
        return done

    def tell(self, problem: Problem) -> None:
        """Put what a service refused under its fields."""
        for error in problem.errors:
            name = str(error.get("field", ""))
            self.add_error(name if name in self.fields else None, str(error["message"]))
        if not problem.errors:
            self.add_error(None, str(problem.detail))
