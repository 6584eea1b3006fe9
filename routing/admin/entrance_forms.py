"""The form of an entrance, with the fields of its kind: made from the shapes that check them. Secrets are entered and never shown."""

from typing import Any, ClassVar, Literal, get_args, get_origin

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic.fields import FieldInfo

from posthaste.lib.problems import Invalid
from routing.entrances import editing, registry
from routing.models import Entrance

#: Words for the choices of settings.
CHOICES = {
    "tls": "TLS",
    "starttls": "STARTTLS",
    "none": gettext_lazy("None"),
    "indigo": gettext_lazy("Indigo"),
    "blue": gettext_lazy("Blue"),
    "teal": gettext_lazy("Teal"),
    "green": gettext_lazy("Green"),
    "red": gettext_lazy("Red"),
    "violet": gettext_lazy("Violet"),
    "slate": gettext_lazy("Slate"),
}
SETTING, SECRET = "setting_", "secret_"


class EntranceForm(forms.ModelForm):  # type: ignore[type-arg]
    """An entrance of one kind."""

    kind: ClassVar[registry.Kind]

    class Meta:
        model = Entrance
        fields = ["tenant", "name", "is_enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adding = self.instance._state.adding
        self.stored = {} if adding else editing.secrets_of(self.instance)
        for name, info in self.kind.Settings.model_fields.items():
            self.fields[f"{SETTING}{name}"] = _field(info)
            value = self.instance.settings.get(name, info.get_default(call_default_factory=True))
            self.initial[f"{SETTING}{name}"] = "\n".join(value) if isinstance(value, list) else value
        for name, info in self.kind.Secrets.model_fields.items():
            self.fields[f"{SECRET}{name}"] = _secret(info, is_set=bool(self.stored.get(name)))

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        settings = {name: self._setting(values, name) for name in self.kind.Settings.model_fields if f"{SETTING}{name}" in values}
        secrets = {name: found for name in self.kind.Secrets.model_fields if (found := values.get(f"{SECRET}{name}"))}
        try:
            registry.checked(self.kind.code, settings=settings, secrets={**self.stored, **secrets})
        except Invalid as problem:
            for error in problem.errors:
                self._tell(str(error["field"]), str(error["message"]))
        if editing.is_slug_taken(self.instance, settings):
            self._tell("settings.slug", _("Another entrance has this address."))
        taken = Entrance.objects.filter(tenant=values.get("tenant") or self.instance.tenant_id, name=values.get("name"))
        if taken.exclude(pk=self.instance.pk).exists():
            self.add_error("name", _("An entrance with this name already exists."))
        self.new_settings, self.new_secrets = settings, secrets
        return values

    def _setting(self, values: dict[str, Any], name: str) -> Any:
        value, info = values[f"{SETTING}{name}"], self.kind.Settings.model_fields[name]
        if get_origin(info.annotation) is list:
            return [line.strip() for line in str(value).splitlines() if line.strip()]
        return info.get_default(call_default_factory=True) if value is None else value

    def _tell(self, field: str, message: str) -> None:
        """Put an error under its field."""
        part, _dot, rest = field.partition(".")
        own = f"{SETTING if part == 'settings' else SECRET}{rest.partition('.')[0]}"
        if own in self.fields:
            self.add_error(own, message)
        else:
            self.add_error(None, f"{field}: {message}")


def form_for(kind: registry.Kind) -> type[EntranceForm]:
    """Return the form of a kind."""
    return type(f"{kind.code.title().replace('_', '')}Form", (EntranceForm,), {"kind": kind})


def fields_of(kind: registry.Kind) -> tuple[list[str], list[str]]:
    """Return the names of the fields for a kind's settings and for its secrets."""
    return [f"{SETTING}{name}" for name in kind.Settings.model_fields], [f"{SECRET}{name}" for name in kind.Secrets.model_fields]


def _limit(info: FieldInfo, name: str) -> Any:
    return next((found for rule in info.metadata if (found := getattr(rule, name, None)) is not None), None)


def _field(info: FieldInfo) -> forms.Field:
    """Return the input for a setting; the shape checks it, so none is required here."""
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    unit = f" ({_(str(extra['unit']))})" if extra.get("unit") else ""
    said: dict[str, Any] = {"label": f"{_(info.title or '')}{unit}", "required": False}
    said["help_text"] = _(info.description) if info.description else ""
    kind = info.annotation
    if kind is bool:
        return forms.BooleanField(**said)
    if kind is int:
        return forms.IntegerField(min_value=_limit(info, "ge"), max_value=_limit(info, "le"), **said)
    if get_origin(kind) is Literal:
        return forms.ChoiceField(choices=[(choice, CHOICES.get(choice, choice)) for choice in get_args(kind)], **said)
    if get_origin(kind) is list:
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 3, "class": "code", "spellcheck": "false"}), **said)
    widget = forms.TextInput(attrs={"class": "vLargeTextField", "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(max_length=_limit(info, "max_length"), widget=widget, **said)


def _secret(info: FieldInfo, *, is_set: bool) -> forms.Field:
    help_text = _(info.description) if info.description else ""
    if is_set:
        help_text = " ".join(filter(None, (str(help_text), _("It is stored. Leave empty to keep it."))))
    widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password", "class": "vLargeTextField"})
    return forms.CharField(
        label=_(info.title) if info.title else "", help_text=help_text, max_length=_limit(info, "max_length"), required=False, widget=widget
    )


#: Who writes through an entrance, by its kind.
WHAT_IT_IS = {
    "portal": gettext_lazy("Visitors of your site write in a chat in its pages."),
    "wecom_kf": gettext_lazy("Customers write from WeChat to your customer service accounts."),
    "wecom_app": gettext_lazy("Employees write to an application of yours in WeCom."),
    "wecom_contact": gettext_lazy("Customers add an employee in WeCom, such as with a QR code."),
    "email": gettext_lazy("Customers write to a mailbox that is fetched, or whose mail server posts the messages."),
    "webhook": gettext_lazy("Another system of yours posts what its users write, signed."),
}
#: What is done with the address of an entrance, by its kind.
WHAT_TO_DO = {
    "portal": gettext_lazy("A chat in the pages of your site; docs/portal-chat.md tells how a page connects."),
    "wecom_kf": gettext_lazy(
        "In WeCom's admin console, open the customer service application, and enter this address, the token and the EncodingAESKey under "
        "Receive messages. WeCom checks the address when you save it, so save this entrance first."
    ),
    "wecom_app": gettext_lazy(
        "In WeCom's admin console, open the application, and enter this address, the token and the EncodingAESKey under Receive messages. "
        "Save this entrance first."
    ),
    "wecom_contact": gettext_lazy(
        "In WeCom's admin console, open Customer contact, and enter this address, the token and the EncodingAESKey under API, Receive "
        "events. Save this entrance first."
    ),
    "email": gettext_lazy(
        "Have the mail server post whole messages to this address with the posting secret, or let the mailbox be fetched."
    ),
    "webhook": gettext_lazy("Have the other system post its texts to this address, signed according to standardwebhooks.com."),
}
