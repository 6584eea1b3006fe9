"""What a link of the purpose `satisfaction` does: it shows a form with five scores, whose POST is the rating."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.selectors import tenant_by_id
from posthaste.lib.problems import Conflict, Invalid
from routing.links.handlers import Handler, register
from routing.models import LinkPurpose, SafeLink, Satisfaction
from routing.satisfaction import rating

TEMPLATE = "help/rate.html"


def words_of_scores() -> list[tuple[int, str]]:
    """Return the scores with what each means, the worst first."""
    said = (_("Very bad"), _("Bad"), _("Okay"), _("Good"), _("Very good"))
    return list(enumerate(said, start=rating.LOWEST))


def _asked(tenant_id: int, data: Mapping[str, Any]) -> Satisfaction | None:
    try:
        return Satisfaction.objects.filter(tenant_id=tenant_id, pk=UUID(str(data.get("rating", "")))).first()
    except ValueError:
        return None


def _check(tenant_id: int, _target: str, data: Mapping[str, Any]) -> None:
    if _asked(tenant_id, data) is None:
        raise Invalid.field("data.rating", _("Must be the ID of a rating that was asked for. See GET /api/satisfaction/."))


def _words(link: SafeLink) -> dict[str, Any]:
    asked = _asked(link.tenant_id, link.data)
    assert asked is not None, "checked before"
    tenant = tenant_by_id(link.tenant_id)
    sender = tenant.name if tenant else ""
    return {
        "title": _("How did we do?"),
        "text": _("How satisfied are you with the answers of {sender}?").format(sender=sender),
        "sender": sender,
        "scores": words_of_scores(),
        "score": asked.score,
        "comment": asked.comment,
    }


def _rate(link: SafeLink, request: HttpRequest, now: datetime) -> HttpResponse:
    asked = _asked(link.tenant_id, link.data)
    assert asked is not None, "checked before"
    score, comment = request.POST.get("score", ""), request.POST.get("comment", "")
    try:
        given = rating.rate(asked.pk, score=score, comment=comment, now=now)
    except Invalid as problem:
        page = {**_words(link), "score": score, "comment": comment, "error": str(problem.errors[0]["message"])}
        return render(request, TEMPLATE, page, status=400)
    except Conflict as problem:
        said = {"title": _("This can't be rated any more"), "said": str(problem.detail)}
        return render(request, "routing/link_said.html", said, status=410)
    page = {**_words(link), "score": given.score, "comment": given.comment, "is_done": True}
    return render(request, TEMPLATE, page)


register(LinkPurpose.SATISFACTION, Handler(perform=_rate, words=_words, acts=True, check=_check, template=TEMPLATE))
