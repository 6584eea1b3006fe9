"""The page of the limits, beside those of the configuration: what is let in and refused, and the adaptive limit's reasons."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from configcenter.console.access import page, staff_page
from messaging.intake import limit_states

REASONS = {
    "latency": gettext_lazy("Answers took too long: it came down."),
    "room": gettext_lazy("There was room, and it was used: it went up."),
    "near_the_knee": gettext_lazy("It went up slowly, near where it was too much before."),
    "enough": gettext_lazy("It was not used up: it stays."),
    "no_traffic": gettext_lazy("Nothing was handed over: it stays."),
    "start": gettext_lazy("The beginning."),
}
SOURCES = {"load": gettext_lazy("Load"), "latency": gettext_lazy("Latency"), "threads": gettext_lazy("Threads in use")}
MOST_STEPS = 20


@staff_page()
def limits_now(request: HttpRequest) -> HttpResponse:
    """Show what the limits do at the moment."""
    seen = limit_states.now()
    steps = [{**step, "text": REASONS.get(step["reason"], step["reason"])} for step in seen["adaptive"]["steps"][:MOST_STEPS]]
    return page(
        request,
        "limits",
        title=_("Limits"),
        purpose=_("What was let in and what was refused in the last five minutes, by all processes together."),
        tab="limits",
        seen=seen,
        refused=None if seen["let_in"] is None else sum(row["number"] for row in [*seen["refused"], *seen["system"]["refused"]]),
        system=[{**row, "rule": SOURCES.get(row["rule"], row["rule"])} for row in seen["system"]["refused"]],
        steps=steps,
        now=timezone.now(),
    )
