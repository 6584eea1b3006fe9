"""What the states of breakers and what happens to them are called, and why one is as it is."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff import actors


class BreakerEvent(TextChoices):
    """What happens to a breaker."""

    OPENED = "opened", gettext_lazy("Opened")
    HALF_OPEN = "half_open", gettext_lazy("Half-open")
    CLOSED = "closed", gettext_lazy("Closed")
    FORCED_OPEN = "forced_open", gettext_lazy("Held open")
    FORCED_CLOSED = "forced_closed", gettext_lazy("Held closed")
    RELEASED = "released", gettext_lazy("Hold released")


def holders(rows: Iterable[Mapping[str, Any]], *, tenant_ids: Collection[int] | None) -> dict[str, str]:
    """Return the names of those who hold breakers; see `accounts.staff.actors.names_of`."""
    return actors.names_of({row["forced_by"] for row in rows} - {""}, tenant_ids=tenant_ids)


def reason_text(shown: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """Say why a breaker moved last; empty where it never did. `names` has those of who may hold it."""
    if shown.get("forced"):
        return _("Held by {who}.").format(who=actors.in_words(shown["forced_by"], names or {}))
    if shown.get("waits_for_receipts_until"):
        return _("Its trial messages were accepted. It waits for their receipts.")
    number, of, code = shown["reason_number"], shown["reason_of"], shown["reason_code"] or "?"
    match shown["reason"]:
        case "errors":
            return _("{number} of {of} calls failed, the last one with {code}.").format(number=number, of=of, code=code)
        case "slow":
            return _("{number} of {of} calls were slow.").format(number=number, of=of)
        case "receipts" if shown["state"] == "closed":
            return _("{number} of {of} receipts of its trial messages reported a delivery.").format(number=number, of=of)
        case "silence":
            return _("Its trial messages were accepted, but no receipts arrived.")
        case "receipts":
            return _("{number} of {of} receipts reported a failure, the last one {code}.").format(number=number, of=of, code=code)
        case "trial" if shown["state"] == "closed":
            return _("Its trial calls succeeded.")
        case "trial":
            return _("A trial call was slow or failed.")
        case "forced":
            return _("It was held manually before.")
    return ""


def event_label(event: str) -> str:
    """Return the words for an event, or its code where it is not known."""
    return str(BreakerEvent(event).label) if event in BreakerEvent else event
