"""The pages at `/help/<entrance>/`. They are the same for all visitors: what is a visitor's own, their script asks for with a token."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from posthaste.lib.caching import PageClass, page_class
from posthaste.lib.problems import NotFound
from routing.entrances.portal import origins, sessions
from routing.portal import articles, finding, requests, words
from routing.portal.look import CHINESE, Portal, portal_of
from routing.satisfaction.links import words_of_scores

View = Callable[..., HttpResponse]
POPULAR = 6


def help_page(view: View) -> View:
    """Make a page of a portal entrance: in the reader's language, and shown in frames on the sites of the entrance only."""

    @page_class(PageClass.PUBLIC)
    @require_safe
    @wraps(view)
    def answered(request: HttpRequest, entrance: str, **rest: Any) -> HttpResponse:
        try:
            portal = portal_of(request, sessions.entrance_at(entrance))
        except NotFound:
            page = {"title": _("There is nothing here"), "said": _("This address is incomplete, or the portal was closed.")}
            return render(request, "routing/link_said.html", page, status=404)
        with translation.override(portal.language):
            response = view(request, portal, **rest)
        origins.allow_frames(response, sites=portal.settings.sites)
        return response

    return answered


def _page(request: HttpRequest, portal: Portal, template: str, *, status: int = 200, **values: Any) -> HttpResponse:
    return render(request, f"help/{template}.html", {**portal.context(), **values}, status=status)


def _gone(request: HttpRequest, portal: Portal, said: str) -> HttpResponse:
    return _page(request, portal, "said", status=404, title=_("There is nothing here"), said=said)


def _has_forms(portal: Portal) -> bool:
    return portal.settings.shows_tickets and requests.public_types(portal.entrance.tenant_id).exists()


@help_page
def home(request: HttpRequest, portal: Portal) -> HttpResponse:
    """Show what a visitor can do, and the articles."""
    look, tenant_id = portal.settings, portal.entrance.tenant_id
    if look.shows_articles:
        finding.prepare(tenant_id)
    found = articles.published(tenant_id, portal.language) if look.shows_articles else []
    shown = articles.categories(found)
    return _page(request, portal, "home", title=portal.title, categories=shown, has_forms=_has_forms(portal), popular=POPULAR)


@help_page
def chat(request: HttpRequest, portal: Portal) -> HttpResponse:
    """Show the chat; its lines come by WebSocket."""
    if not portal.settings.shows_chat:
        return _gone(request, portal, _("There is no chat here."))
    return _page(request, portal, "chat", title=_("Chat"), words=words.of_chat(), scores=words_of_scores())


@help_page
def find(request: HttpRequest, portal: Portal) -> HttpResponse:
    """Show the articles that a text asks for, or those of a category."""
    if not portal.settings.shows_articles:
        return _gone(request, portal, _("There are no articles here."))
    text, category = request.GET.get("q", "").strip()[: finding.MAX_QUERY], request.GET.get("category", "")[:80]
    tenant_id = portal.entrance.tenant_id
    if text:
        found = finding.find(tenant_id, portal.language, text, limit=20)
    else:
        found = [one for one in articles.published(tenant_id, portal.language) if not category or one.category == category]
    shown = [(one, articles.excerpt(one.answer)) for one in found]
    title = category or _("Articles")
    return _page(request, portal, "find", title=title, articles=shown, text=text, category=category, has_forms=_has_forms(portal))


@help_page
def article(request: HttpRequest, portal: Portal, slug: str) -> HttpResponse:
    """Show an article, and ask whether it helped."""
    found = articles.find(portal.entrance.tenant_id, portal.language, slug) if portal.settings.shows_articles else None
    if found is None:
        return _gone(request, portal, _("This article is no longer here. Search for what you need."))
    shown: dict[str, Any] = {"title": found.question, "article": found, "answer": articles.drawn(found.answer)}
    return _page(request, portal, "article", words=words.of_article(), has_forms=_has_forms(portal), **shown)


@help_page
def request_form(request: HttpRequest, portal: Portal) -> HttpResponse:
    """Show the form of a ticket type, or which there are."""
    if not portal.settings.shows_tickets:
        return _gone(request, portal, _("This portal does not take requests."))
    kinds = list(requests.public_types(portal.entrance.tenant_id))
    name, chinese = request.GET.get("type", ""), portal.language == CHINESE
    kind = next((one for one in kinds if one.name == name), kinds[0] if len(kinds) == 1 else None)
    choices = [(one.name, requests.title_of(one, chinese=chinese)) for one in kinds]
    form = requests.form_of(kind, chinese=chinese) if kind else []
    title = requests.title_of(kind, chinese=chinese) if kind else _("Send a request")
    return _page(request, portal, "request", title=title, kind=kind, choices=choices, form=form, words=words.of_request())


@help_page
def my_requests(request: HttpRequest, portal: Portal) -> HttpResponse:
    """Show a visitor's tickets, which the page's script asks for."""
    if not portal.settings.shows_tickets:
        return _gone(request, portal, _("This portal does not take requests."))
    return _page(request, portal, "requests", title=_("My requests"), words=words.of_requests(), has_forms=_has_forms(portal))


@help_page
def one_request(request: HttpRequest, portal: Portal, number: int) -> HttpResponse:
    """Show one of a visitor's tickets, which the page's script asks for."""
    if not portal.settings.shows_tickets:
        return _gone(request, portal, _("This portal does not take requests."))
    title = _("Request #{n}").format(n=number)
    shown: dict[str, Any] = {"number": number, "words": words.of_one_request(), "scores": words_of_scores()}
    return _page(request, portal, "one_request", title=title, has_forms=_has_forms(portal), **shown)
