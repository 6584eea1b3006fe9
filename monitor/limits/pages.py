"""The page of the limits: what is let in and refused, and the adaptive limit's reasons."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import rights
from messaging.intake import limit_states
from posthaste.ui.pages import at, page, staff_page

REASONS = {
    "latency": gettext_lazy("Responses took too long: lowered."),
    "room": gettext_lazy("There was headroom, and it was used: raised."),
    "near_the_knee": gettext_lazy("Raised slowly, close to a limit that was too high before."),
    "enough": gettext_lazy("Not fully used: unchanged."),
    "no_traffic": gettext_lazy("No messages were submitted: unchanged."),
    "start": gettext_lazy("Initial value."),
}
SOURCES = {"load": gettext_lazy("Load"), "latency": gettext_lazy("Latency"), "threads": gettext_lazy("Threads in use")}
MAX_STEPS = 20


@at("config/limits/", name="config-limits")
@staff_page(allowed=rights.may_view, refusal=rights.REFUSAL)
def limits_now(request: HttpRequest) -> HttpResponse:
    """Show what the limits do at the moment."""
    seen = limit_states.now()
    steps = [{**step, "text": REASONS.get(step["reason"], step["reason"])} for step in seen["adaptive"]["steps"][:MAX_STEPS]]
    return page(
        request,
        "monitor/limits.html",
        title=_("Limits"),
        purpose=_("Requests accepted and refused in the last five minutes, across all processes."),
        seen=seen,
        refused=None if seen["let_in"] is None else sum(row["number"] for row in [*seen["refused"], *seen["system"]["refused"]]),
        others=[row for row in seen["refused"] if row["rule"] not in {rule["rule"] for rule in seen["rules"]}],
        system=[{**row, "rule": SOURCES.get(row["rule"], row["rule"])} for row in seen["system"]["refused"]],
        steps=steps,
        now=timezone.now(),
    )
