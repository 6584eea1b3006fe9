"""The supervisor's page: the desk as it is now, charts of the last day, and giving conversations to others."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid, Problem
from posthaste.ui.chips import address, chip
from posthaste.ui.pages import at, page, problem_text, staff_page
from routing.assignment import attendance, holding
from routing.assignment.attendance import Sign
from routing.desk.leading import REFUSAL, Led, address_of, led, may_lead
from routing.desk.reports.drawing import words
from routing.desk.reports.ranges import zone_of
from routing.desk.reports.report import intent_titles
from routing.desk.reports.texts import duration
from routing.desk.supervision import charts
from routing.desk.supervision.snapshot import Desk, Snapshot, look
from routing.models import Agent, Conversation, Presence

READ_WRITE = ("GET", "HEAD", "POST")
#: Parameters of the address that open a form.
FORMS = ("conversation", "agent")
MAX_LISTED = 100


@at("desk/supervisor/", name="desk-supervisor")
@staff_page(allowed=may_lead, methods=READ_WRITE, refusal=REFUSAL)
def supervisor(request: HttpRequest) -> HttpResponse:
    """Show who waits, who answers and what is late; give conversations to others, and set what agents do."""
    desk = led(request)
    title, purpose = _("Supervisor"), _("Who waits, who answers, and what is late.")
    if desk is None:
        return page(request, "desk/supervisor.html", title=title, purpose=purpose, desk=None)
    if request.method == "POST":
        return _act(request, desk)
    now = timezone.now()
    zone = zone_of(desk.tenant.pk, _zone(request))
    found = look(desk.tenant.pk, group=desk.group, zone=zone, now=now)
    titles, holder = intent_titles(desk.tenant.pk), request.GET.get("holder", "")
    return page(
        request,
        "desk/supervisor.html",
        title=title,
        purpose=purpose,
        desk=desk,
        tenants=desk.tenants,
        tenant_id=desk.tenant.pk,
        chips=_chips(request, desk),
        found=found,
        sentences=_sentences(found),
        numbers={state.value: found.number_of(state) for state in Presence},
        queue=_queue(found, titles),
        held=_held(found.desks, holder, titles),
        holder=next((one.agent for one in found.desks if str(one.agent.pk) == holder), None),
        without_holder=address(request, holder=""),
        no_name=_("Without a name"),
        longest=duration(found.longest.oldest_seconds) if found.longest else "",
        response_median=duration(found.today.first_response_median_seconds),
        response_p90=duration(found.today.first_response_p90_seconds),
        form=_form(request, desk, found),
        close_url=address(request, **dict.fromkeys(FORMS, "")),
        charts=charts.frames(),
        charts_url=reverse("desk-supervisor-charts") + address(request, **dict.fromkeys((*FORMS, "holder"), "")),
        words=words(),
        zone=zone.key,
        now=now,
    )


@at("desk/supervisor/charts/", name="desk-supervisor-charts")
@staff_page(allowed=may_lead, refusal=REFUSAL)
def supervisor_charts(request: HttpRequest) -> HttpResponse:
    """Return the charts of the last day."""
    desk, now = led(request), timezone.now()
    group_id = desk.group.pk if desk and desk.group else None
    return JsonResponse({"charts": charts.charts(desk.tenant.pk, group_id=group_id, now=now) if desk else [], "at": now.isoformat()})


# --- what is shown -------------------------------------------------------------------------------------------------


def _zone(request: HttpRequest) -> str:
    """Return the zone that the address asks for, if there is one of this name: a page that is looked at all day is no form."""
    try:
        return zone_of(0, given).key if (given := request.GET.get("zone", "")) else ""
    except Invalid:
        return ""


def _chips(request: HttpRequest, desk: Led) -> list[Any]:
    found = (
        [chip(request, "group", title=_("Skill group"), choices=[(group.name, group.title) for group in desk.groups])]
        if desk.groups
        else []
    )
    if len(desk.tenants) > 1:
        found.append(chip(request, "tenant", title=_("Tenant"), choices=[(str(one.pk), str(one)) for one in desk.tenants]))
    return found


def _sentences(found: Snapshot) -> list[tuple[str, str]]:
    """Say what a supervisor came to hear, each sentence with its tone: loud only where something is to be done."""
    told = []
    longest = found.longest
    if longest is None:
        told.append(("", _("No one waits.")))
    else:
        text = ngettext(
            "{n} customer waits, for {time} in {group}.", "{n} customers wait, the oldest for {time} in {group}.", found.waiting
        )
        told.append(("", text.format(n=found.waiting, time=duration(longest.oldest_seconds), group=longest.title or _("no group"))))
        if not found.number_of(Presence.ONLINE):
            told.append(("failed", _("No agent is online.")))
    if found.breached:
        told.append(
            ("failed", ngettext("{n} service level is missed.", "{n} service levels are missed.", found.breached).format(n=found.breached))
        )
    if found.warned:
        text = ngettext("{n} service level will be missed soon.", "{n} service levels will be missed soon.", found.warned)
        told.append(("", text.format(n=found.warned)))
    return told


def _queue(found: Snapshot, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the lines of the queue: the first of each group, and how many wait behind them."""
    lines: list[dict[str, Any]] = []
    for queue in found.queues:
        group = queue.title or _("no group")
        for each in queue.first:
            lines.append(
                {
                    "row": each.row,
                    "group": group,
                    "place": each.place,
                    "url": address_of(each.row),
                    "intent": titles.get(each.row.intent, each.row.intent),
                    "waited": duration(each.waited_seconds),
                    "expected": duration(each.expected_seconds),
                }
            )
        if queue.more:
            lines.append({"group": group, "more": queue.more})
    return lines


def _held(desks: list[Desk], holder: str, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the conversations in progress; those whose customers have waited longest for an answer come first."""
    rows: list[dict[str, Any]] = [
        {"row": row, "agent": one.agent, "url": address_of(row), "intent": titles.get(row.intent, row.intent)}
        for one in desks
        for row in one.held
        if not holder or str(one.agent.pk) == holder
    ]
    rows.sort(key=lambda each: (each["row"].unanswered_since is None, each["row"].unanswered_since or each["row"].created_at))
    return rows[:MAX_LISTED]


def _form(request: HttpRequest, desk: Led, found: Snapshot) -> dict[str, Any] | None:
    """Return what the form that is open is about: a conversation that goes to another, or an agent whose presence is set."""
    conversation = _own(Conversation, request.GET.get("conversation", ""), desk)
    if conversation is not None:
        return {"conversation": conversation, "name": conversation.customer.name, "desks": found.desks, "groups": desk.groups}
    agent = _own(Agent, request.GET.get("agent", ""), desk)
    return {"agent": agent, "choices": Presence.choices} if agent is not None else None


def _own(model: Any, pk: str, desk: Led) -> Any:
    try:
        return model.objects.filter(tenant_id=desk.tenant.pk, pk=UUID(pk)).first()
    except ValueError:
        return None


# --- what is done --------------------------------------------------------------------------------------------------


def _act(request: HttpRequest, desk: Led) -> HttpResponse:
    try:
        said = _transfer(request, desk) if request.POST.get("verb") == "transfer" else _set_presence(request, desk)
    except Problem as problem:
        messages.error(request, problem_text(problem))
    else:
        messages.success(request, said)
    return HttpResponseRedirect(request.path + address(request, **dict.fromkeys(FORMS, "")))


def _transfer(request: HttpRequest, desk: Led) -> str:
    conversation = _own(Conversation, request.POST.get("conversation", ""), desk)
    kind, _colon, pk = request.POST.get("to", "").partition(":")
    agent = _own(Agent, pk, desk) if kind == "agent" else None
    group = next((group for group in desk.groups if kind == "group" and str(group.pk) == pk), None)
    if conversation is None or (agent is None and group is None):
        raise Invalid(_("Choose an agent or a group."))
    holding.transfer(
        conversation=conversation,
        agent=agent,
        group=group,
        expected_owner=_expected(request.POST.get("expected_owner", "")),
        by=Actor.of_request(request),
        now=timezone.now(),
    )
    return (
        _("{name} has the conversation now.").format(name=agent.name)
        if agent
        else _("It waits in the queue of {name} now.").format(name=group.title if group else "")
    )


def _expected(owner: str) -> UUID | None:
    """Return the agent who had the conversation when the form was opened; another one's is not taken from under them."""
    try:
        return UUID(owner) if owner else None
    except ValueError:
        raise Invalid(_("Choose an agent or a group.")) from None


def _set_presence(request: HttpRequest, desk: Led) -> str:
    agent, presence = _own(Agent, request.POST.get("agent", ""), desk), request.POST.get("presence", "")
    if agent is None or presence not in Presence.values:
        raise Invalid(_("Choose what the agent does from now on."))
    chosen = Presence(presence)
    attendance.set_presence(agent=agent, presence=chosen, sign=Sign.DESK, by=Actor.of_request(request), now=timezone.now())
    return _("{name}: {presence}").format(name=agent.name, presence=chosen.label)
