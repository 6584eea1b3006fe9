"""Dead letters by their reason: how many there are of each, since when, and sending all of one reason again."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.roles import Role
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import own_tenants
from messaging import selectors
from messaging.channels.channel import label_of
from messaging.labels import detail_text
from messaging.queueing import operate
from posthaste.ui.confirmation import MAX_AT_ONCE, MAX_WITHOUT_NUMBER
from posthaste.ui.export import as_csv
from posthaste.ui.pages import at, page, staff_page
from posthaste.ui.templatetags.interface import thousands


def may_view(user: Any) -> bool:
    """Return whether a member of staff may look at messages of any tenant."""
    return bool(user.has_perm("messaging.view_message"))


@at("dead-letters/", name="dead-letters")
@staff_page(allowed=may_view)
def dead_letters(request: HttpRequest) -> HttpResponse:
    """List the reasons for which messages failed for good, or why their outcome is unknown."""
    rows = [_row(reason) for reason in selectors.dead_letters_by_reason(own_tenants(request))]
    total = sum(row["number"] for row in rows)
    if "csv" in request.GET:
        heads = [_("Reason"), _("Outcome"), _("Messages"), _("Channels"), _("Oldest"), _("Newest")]
        cells = [[row["code"], row["status"], row["number"], row["channels"], row["oldest"], row["newest"]] for row in rows]
        return as_csv(name="dead-letters", heads=heads, rows=cells)  # type: ignore[return-value]
    return page(
        request,
        "monitor/dead_letters.html",
        title=_("Dead letters"),
        purpose=_("Messages that failed for good or whose outcome is unknown, by the reason. Nothing sends them again unless you do."),
        rows=rows,
        total=total,
        is_capped=total >= selectors.DEAD_LETTERS,
        may_replay=bool(own_tenants(request, at_least=Role.OPERATOR)),
        now=timezone.now(),
    )


@at("dead-letters/replay/", name="dead-letters-replay")
@staff_page(allowed=may_view, methods=("GET", "HEAD", "POST"))
def replay(request: HttpRequest) -> HttpResponse:
    """Ask before all dead letters of one reason are sent again, with their number, and do it once that was confirmed."""
    asked = request.POST if request.method == "POST" else request.GET
    code, status = asked.get("code", "")[:60], asked.get("status", "")
    if status not in selectors.DEAD or "\0" in code:
        raise Http404
    tenants = own_tenants(request, at_least=Role.OPERATOR)
    ids = selectors.dead_letter_ids(tenants, code=code, status=status, limit=MAX_AT_ONCE)
    number, error = len(ids), ""
    if not number:
        messages.warning(request, _("There are none any more that you may send again."))
        return HttpResponseRedirect(reverse("dead-letters"))
    wants_number = number > MAX_WITHOUT_NUMBER
    if request.method == "POST":
        if not wants_number or request.POST.get("number", "").replace(",", "").strip() == str(number):
            done = operate.retry_messages(ids=ids, by=Actor.of_request(request), now=timezone.now())
            said = ngettext("{n} message will be sent again.", "{n} messages will be sent again.", done)
            messages.success(request, said.format(n=thousands(done)))
            return HttpResponseRedirect(reverse("dead-letters"))
        error = _("Type {number} to continue.").format(number=number)
    return page(
        request,
        "monitor/dead_letters_replay.html",
        status=422 if error else 200,
        title=_("Send these messages again?"),
        purpose="",
        code=code,
        status_code=status,
        number=number,
        wants_number=wants_number,
        is_unknown=status == "unknown",
        at_most=MAX_AT_ONCE if number >= MAX_AT_ONCE else 0,
        error=error,
    )


def _row(reason: selectors.Reason) -> dict[str, Any]:
    listing = reverse("admin:messaging_message_changelist")
    query = {"state": reason.status, "error": reason.code} if reason.code else {"state": reason.status}
    return {
        "code": reason.code,
        "status": reason.status,
        "text": detail_text(reason.code, reason.detail),
        "number": reason.number,
        "channels": ", ".join(sorted(str(label_of(channel)) for channel in reason.channels)),
        "oldest": reason.oldest,
        "newest": reason.newest,
        "url": f"{listing}?{urlencode(query)}",
        "replay": f"{reverse('dead-letters-replay')}?{urlencode({'code': reason.code, 'status': reason.status})}",
    }
