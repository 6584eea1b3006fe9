"""What is filled in about a webhook endpoint, and for how long its old secret stays valid."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from messaging.channels.registry import CHANNEL_CHOICES
from messaging.models import WebhookEndpoint
from messaging.webhooks import endpoints
from messaging.webhooks.event_types import EVENT_TYPES, subscribable
from posthaste.ui.checked_forms import CheckedForm

ALL = "*"
HOUR, DAY = 3_600, 86_400
#: What a receiver gets, as the page of an endpoint shows it.
SAMPLE = """{
  "id": "msg_01a20a3a5d0c7f6f8b7a4f5be20c97d1",
  "events": [
    {
      "id": "evt_48213",
      "type": "message.delivered",
      "timestamp": "2026-11-29T07:12:04.218391+00:00",
      "data": {
        "id": "01a209ca-c06d-70f1-9f6d-bf523c213af0",
        "reference": "A-1042",
        "channel": "sms",
        "recipient": "+86 138****5678",
        "status": "delivered",
        …
      }
    }
  ]
}"""


def event_choices(stored: Iterable[str] = ()) -> list[tuple[str, Any]]:
    """Return everything, the families, and each type by its family; what an endpoint has stored is among it, known or not.

    A test is sent whatever is chosen, so it is no choice.
    """
    choices: dict[str, Any] = {ALL: gettext_lazy("all events")}
    for name in subscribable():
        choices.setdefault(f"{name.partition('.')[0]}.*", gettext_lazy("all events of this kind"))
        choices[name] = EVENT_TYPES[name]
    return [
        *((name, format_html('<span><code>{}</code> <span class="soft">{}</span></span>', name, text)) for name, text in choices.items()),
        *((name, name) for name in sorted(set(stored) - set(choices))),
    ]


class WebhookForm(CheckedForm):
    """An endpoint, checked by the service that stores it."""

    checked_by_service = ("name",)

    url = forms.CharField(
        label=gettext_lazy("URL"),
        max_length=2048,
        strip=False,
        widget=forms.URLInput(attrs={"class": "vLargeTextField", "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("http or https, at a public address, without user name and password. Redirects are not followed."),
    )
    event_types = forms.MultipleChoiceField(
        label=gettext_lazy("events"),
        initial=lambda: [ALL],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("A kind, such as message.*, includes events that are added later."),
    )
    channels = forms.MultipleChoiceField(
        label=gettext_lazy("channels"),
        required=False,
        choices=CHANNEL_CHOICES,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Only events of these channels. None ticked: all."),
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["tenant", "name", "url", "event_types", "channels", "max_events", "includes_sandbox", "is_enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "event_types" in self.fields:
            stored = [] if self.instance._state.adding else self.instance.event_types
            self.fields["event_types"].choices = event_choices(stored)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if self.errors:
            return values
        if ALL in values["event_types"]:
            values["event_types"] = [ALL]
        return values

    def check_row(self) -> None:
        endpoints.check(self.instance)


class RotateForm(forms.Form):
    """For how long the old secret stays valid."""

    keep_for = forms.TypedChoiceField(
        label=gettext_lazy("Keep the old secret for"),
        coerce=int,
        initial=DAY,
        choices=[
            (0, gettext_lazy("not at all")),
            (HOUR, gettext_lazy("1 hour")),
            (DAY, gettext_lazy("24 hours")),
            (7 * DAY, gettext_lazy("7 days")),
        ],
    )
