"""The page of the instances: every live process with its version, memory, configuration and last beat; a worker is ended here."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import rights
from accounts.services.audit import Actor
from configcenter import selectors as configuration
from messaging.queueing import pool_control, queue_statistics
from posthaste import __version__
from posthaste.lib import heartbeat, redis
from posthaste.lib.problems import Problem
from posthaste.ui.pages import at, page, problem_text, staff_page

KINDS = {
    "web": gettext_lazy("Web server"),
    "ws": gettext_lazy("WebSocket server"),
    "send": gettext_lazy("Worker: sends messages"),
    "aux": gettext_lazy("Worker: everything else"),
    "beat": gettext_lazy("Scheduler"),
}


@at("instances/", name="monitor-instances")
@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def instances(request: HttpRequest) -> HttpResponse:
    """List the live processes, and end a worker once its name was typed."""
    wanted, error = request.POST.get("instance", "") or request.GET.get("stop", ""), ""
    try:
        rows, away = live(), False
    except redis.Unavailable:
        rows, away = [], True
    target = next((row for row in rows if row["id"] == wanted and row["may_stop"]), None)
    if request.method == "POST":
        if target is None:
            messages.warning(request, _("This process does not run any more."))
            return HttpResponseRedirect(reverse("monitor-instances"))
        if request.POST.get("name", "").strip() == target["place"]:
            return _stop(request, target)
        error = _("Type {name} to continue.").format(name=target["place"])
    return page(
        request,
        "monitor/instances.html",
        status=422 if error else 200,
        title=_("Instances"),
        purpose=_("Every running process: its memory, the configuration it runs, and when it last reported."),
        rows=rows,
        away=away,
        wanted=target,
        error=error,
        version=__version__,
        missing=[] if away else [KINDS[kind] for kind in heartbeat.KINDS if kind not in {row["kind"] for row in rows}],
        may_change=rights.may_publish(request.user),
        now=timezone.now(),
    )


def _stop(request: HttpRequest, target: dict[str, Any]) -> HttpResponse:
    try:
        pool_control.shut_down(kind=target["kind"], host=target["host"], pid=target["pid"], by=Actor.of_request(request))
        messages.success(request, _("{name} ends within seconds. What supervises it starts a new one.").format(name=target["place"]))
    except redis.Unavailable:
        messages.error(request, _("Redis is unavailable, so nothing was changed. Try again."))
    except Problem as problem:
        messages.error(request, problem_text(problem))
    return HttpResponseRedirect(reverse("monitor-instances"))


def live() -> list[dict[str, Any]]:
    """Return the processes that are alive, by kind and place.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found = configuration.live_instances()
    if found is None:
        raise redis.Unavailable
    memory = {(process.kind, process.host, process.pid): process for process in heartbeat.processes()}
    pools = {pool["instance"]: pool for pool in queue_statistics.reported_pools()}
    newest = max((instance.revision for instance in found), default=0)
    rows = []
    for instance in found:
        place = f"{instance.host}:{instance.pid}"
        process = memory.get((instance.kind, instance.host, instance.pid))
        rows.append(
            {
                "id": instance.id,
                "kind": instance.kind,
                "title": KINDS.get(instance.kind, instance.kind),
                "host": instance.host,
                "pid": instance.pid,
                "place": place,
                "labels": instance.labels,
                "memory_bytes": process.memory_bytes if process else None,
                "version": process.version if process else "",
                "started_at": instance.started_at,
                "seen_at": instance.seen_at,
                "revision": instance.revision,
                "is_behind": instance.revision < newest,
                "errors": list(instance.errors.values()),
                "pool": pools.get(place) if instance.kind == "send" else None,
                "may_stop": instance.kind in pool_control.STOPPABLE,
            }
        )
    return rows
