"""The page of queues and pools: what waits, which threads work, why each pool grew or shrank, and the limits of both."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import rights
from accounts.services.audit import Actor
from messaging import statistics
from messaging.queueing import pool_control, queue_statistics
from messaging.queueing.pool_control import Decision
from monitor.queues.limits import LimitsForm
from posthaste import env
from posthaste.lib import redis
from posthaste.lib.problems import Problem
from posthaste.ui.pages import at, page, problem_text, staff_page

SHOWN = 30  # decisions
NEARLY_FULL_PERCENT = 80
REASONS = {
    "usage": gettext_lazy("The queue is {usage} % full: more threads."),
    "drain": gettext_lazy("Sending all that waits would take {drain} s: more threads."),
    "age": gettext_lazy("The oldest message has been due for {oldest} s: more threads."),
    "cap": gettext_lazy("The providers' caps leave no use for more: fewer threads."),
    "idle": gettext_lazy("The queue is {usage} % full and threads are idle: fewer threads."),
    "limits": gettext_lazy("The limits of the pool changed."),
    "held": gettext_lazy("An operator holds the pool at this size."),
}
QUEUES = {
    "message.send": gettext_lazy("Messages to be sent, counted in recipients"),
    "ai.process": gettext_lazy("Texts to be classified"),
    "notification": gettext_lazy("Receipts and housekeeping"),
    "delayed": gettext_lazy("Feeder, recovery and look-ups"),
}


@at("queues/", name="monitor-queues")
@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def queues_and_pools(request: HttpRequest) -> HttpResponse:
    """Show queues and pools, change their limits, hold a pool at a size or let it go."""
    form = LimitsForm()
    if request.method == "POST":
        verb = request.POST.get("verb", "")
        if verb in ("hold", "release"):
            return _steer(request, verb)
        if verb != "limits":
            raise Http404
        form = LimitsForm(request.POST)
        if form.is_valid() and _publish(request, form):
            return HttpResponseRedirect(reverse("monitor-queues"))
    return page(
        request,
        "monitor/queues.html",
        status=422 if form.errors else 200,
        title=_("Queues and pools"),
        purpose=_("What waits to be sent, the threads that send it, and why each pool grew or shrank."),
        form=form,
        may_change=rights.may_publish(request.user),
        now=timezone.now(),
        **_shown(request.GET.get("pool", "")),
    )


def _publish(request: HttpRequest, form: LimitsForm) -> bool:
    try:
        changed = form.publish(by=Actor.of_request(request))
    except Problem as problem:
        form.tell(problem)
        return False
    messages.success(request, _("Published. Every process follows within a second.") if changed else _("Nothing was changed."))
    return True


def _steer(request: HttpRequest, verb: str) -> HttpResponse:
    by, instance = Actor.of_request(request), request.POST.get("instance", "")[:200]
    threads, minutes = (request.POST.get(name, "") for name in ("threads", "minutes"))
    try:
        if instance not in {pool["instance"] for pool in queue_statistics.reported_pools()}:
            messages.warning(request, _("This pool does not run any more."))
        elif verb == "release":
            pool_control.release(instance=instance, by=by)
            messages.success(request, _("The pool follows its rule again."))
        else:
            numbers = [int(text) if text.isdecimal() and len(text) < 7 else 0 for text in (threads, minutes)]
            pool_control.hold(instance=instance, threads=numbers[0], seconds=numbers[1] * 60, by=by)
            messages.success(request, _("The pool is held at {n} threads.").format(n=numbers[0]))
    except redis.Unavailable:
        messages.error(request, _("Redis is unavailable, so nothing was changed. Try again."))
    except Problem as problem:
        messages.error(request, problem_text(problem))
    return HttpResponseRedirect(reverse("monitor-queues"))


def _shown(wanted: str) -> dict[str, Any]:
    """Return queues, pools and decisions; with Redis away only what is known without it. `wanted` is the pool chosen in the form."""
    try:
        waiting = queue_statistics.measured()
        pools = statistics.pools()
        holds = pool_control.holds([pool["instance"] for pool in pools])
        decisions = [{"decision": decision, "text": reason_of(decision)} for decision in pool_control.decisions(SHOWN)]
    except redis.Unavailable:
        return {
            "away": True,
            "waiting": None,
            "queues": _queues(None, may_ask_broker=env.load().is_rabbitmq),
            "pools": [],
            "decisions": [],
            "drain_ms": None,
            "oldest_ms": None,
        }
    for pool in pools:
        threads, seconds = holds.get(pool["instance"], (None, 0.0))
        pool |= {"held": threads, "held_ms": round(seconds * 1000)}
        pool["busy_percent"] = 100 * pool["active_count"] / max(1, pool["threads"])
    drain = waiting.drain_seconds if waiting and waiting.total else None
    return {
        "away": False,
        "waiting": waiting,
        "oldest_ms": round(queue_statistics.waited_seconds(waiting, timezone.now()) * 1000) if waiting and waiting.total else None,
        "drain_ms": None if drain is None else round(drain * 1000),
        "queues": _queues(waiting),
        "pools": pools,
        "chosen": next((pool for pool in pools if pool["instance"] == wanted), pools[0] if pools else None),
        "decisions": decisions,
        "threads": sum(pool["threads"] for pool in pools),
        "busy": sum(pool["active_count"] for pool in pools),
    }


def _queues(waiting: queue_statistics.QueueStatistics | None, *, may_ask_broker: bool = True) -> list[dict[str, Any]]:
    found = statistics.queues(waiting) if may_ask_broker else statistics.queues_with({}, waiting)
    return [
        {"name": name, "purpose": QUEUES.get(name, ""), "is_nearly_full": (queue["usage_percent"] or 0) >= NEARLY_FULL_PERCENT, **queue}
        for name, queue in found.items()
    ]


def reason_of(decision: Decision) -> str:
    """Say why a pool changed its size."""
    words = REASONS.get(decision.reason)
    if words is None:
        return decision.reason
    return str(words).format(
        usage=f"{decision.usage_percent:g}", drain=f"{decision.drain_seconds or 0:g}", oldest=f"{decision.oldest_seconds:g}"
    )
