"""The limits of queues and pools on their own page: a small form over two modules of the configuration.

The form carries the values that it was made with (`initial-…`). Only what was changed in it is published, so what others published since
stays, and a value that both changed is refused.
"""

from typing import Any

from django import forms
from django.db import transaction
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


def _in_force(item: Any, handle: "hot.Handle[Any]") -> dict[str, Any]:
    """Return the fields of a module that its release sets, and the defaults of the others."""
    return {name: info.get_default() for name, info in handle.model.model_fields.items()} | validation.parse(handle, items.effective(item))


class LimitsForm(forms.Form):
    """The limits, as the shapes of the modules describe them, and the reason for the release."""

    comment = forms.CharField(max_length=200, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        now = {
            module: _in_force(items.look_at_module_item(module), hot.module(module)) for module in dict.fromkeys(of for of, _name in FIELDS)
        }
        for module, name in FIELDS:
            info = hot.module(module).model.model_fields[name]
            least, most = _bounds(info)
            self.fields[name] = forms.IntegerField(
                label=_(info.title or name),
                help_text=_(info.description) if info.description else "",
                min_value=least,
                max_value=most,
                initial=now[module][name],
                show_hidden_initial=True,
                widget=forms.NumberInput(attrs={"aria-describedby": f"id_{name}_helptext"}),
            )
        self.fields["comment"].label = _("Why")
        self.order_fields([*(name for _module, name in FIELDS), "comment"])

    def publish(self, *, by: Actor) -> int:
        """Publish a release of each module that was changed in the form, all or none, and return how many.

        Raises:
            Conflict: a draft or a gray release of the module would be lost, or another release changed the same value.
        """
        changed = {module: [name for of, name in FIELDS if of == module and name in self.changed_data] for module, _name in FIELDS}
        with transaction.atomic():
            return sum(self._publish(module, names, by) for module, names in changed.items() if names)

    def _publish(self, module: str, names: list[str], by: Actor) -> bool:
        handle, item = hot.module(module), items.module_item(module)
        now = _in_force(item, handle)
        for name in names:
            if now[name] not in (self._shown(name), self.cleaned_data[name]):
                said = _("Meanwhile changed to {value} by another release. Look at it again.").format(value=now[name])
                raise Conflict(said, errors=[{"field": name, "message": said}])
        wanted = now | {name: self.cleaned_data[name] for name in names}
        if all(now[name] == wanted[name] for name in names):
            return False
        if item.draft is not None:
            said = _("{module} has a draft. Publish or discard it first, then change the limits.").format(module=_(handle.title))
            raise Conflict(said)
        comment = self.cleaned_data["comment"] or _("Limits changed on the page of queues and pools")
        version = item.current.number if item.current else 0
        content = validation.written(wanted)
        releases.publish(item=item, content=content, comment=comment, by=by, based_on=item.draft_version, if_version=version)
        return True

    def _shown(self, name: str) -> int | None:
        """Return the value that the form was made with."""
        field = self.fields[name]
        shown = field.hidden_widget().value_from_datadict(self.data, self.files, self.add_initial_prefix(name))
        try:
            value: int | None = field.to_python(shown)
        except forms.ValidationError:
            return None
        return value

    def tell(self, problem: Problem) -> None:
        """Put what a service refused under its fields."""
        for error in problem.errors:
            name = str(error.get("field", ""))
            self.add_error(name if name in self.fields else None, str(error["message"]))
        if not problem.errors:
            self.add_error(None, str(problem.detail))
