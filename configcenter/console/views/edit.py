"""Editing: a module by its generated form, a free-form item as a text. What is saved is the draft; nothing is in force yet."""

from typing import Any

import orjson
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from accounts.staff import actors
from configcenter import selectors
from configcenter.console import form, live, reading
from configcenter.console.access import names_in, page, target_page
from configcenter.console.changes import values_of
from configcenter.console.targets import Target, for_target
from configcenter.models import ConfigItem, Format
from configcenter.services import drafts, items
from posthaste.lib.line_differences import diff
from posthaste.lib.problems import Invalid

LATEST = 5


@target_page(allowed=rights.may_view, to_change=rights.may_edit, methods=("GET", "HEAD", "POST"))
@for_target
def edit(request: HttpRequest, target: Target) -> HttpResponse:
    """Show what is edited and in force, and save the draft."""
    if request.method != "POST":
        content = target.effective if target.item.draft is None else target.item.draft
        if target.item.is_encrypted:  # the page takes a new text and shows none
            return _show(request, target, "", began="", errors=_complaints(target, target.item.draft))
        return _show(request, target, content, began=content, errors=_complaints(target, target.item.draft))
    if target.handle is not None:
        moved = reading.rearranged(target.handle.model, request.POST, only=target.only)
        if moved is not None:
            values, place = moved
            return _show(
                request,
                target,
                orjson.dumps(values).decode(),
                began=request.POST.get("began", ""),
                based_on=_number(request, "based_on"),
                release=_number(request, "release"),
                opened=place,
            )
    content = _typed(request, target)
    if target.item.is_encrypted and not content:
        messages.info(request, _("No new text was typed, so nothing changed."))
        return HttpResponseRedirect(target.url("publish" if "review" in request.POST and target.item.draft is not None else "edit"))
    return _save(request, target, content)


@target_page(allowed=rights.may_edit, methods=("POST",))
@for_target
def discard(request: HttpRequest, target: Target) -> HttpResponse:
    """Throw the draft away."""
    drafts.discard_draft(item=target.item, by=Actor.of_request(request))
    messages.success(request, _("The draft was discarded. The version in force did not change."))
    return HttpResponseRedirect(target.url())


@target_page(allowed=rights.may_view)
@for_target
def live_json(request: HttpRequest, target: Target) -> HttpResponse:
    """Return the versions that instances run, for a page that stays open."""
    assert target.handle
    return JsonResponse(live.of_item(target.item, selectors.live_instances([target.item])))


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _typed(request: HttpRequest, target: Target) -> str:
    """Return the text that was typed, or built from the inputs; canonical if it is valid."""
    if target.handle is None:
        return request.POST.get("content", "").replace("\r\n", "\n")
    values = reading.read(target.handle.model, request.POST, only=target.only)
    return items.canonical(target.item, orjson.dumps(values).decode())


def _complaints(target: Target, content: str | None) -> list[Any]:
    if content is None:
        return []
    try:
        items.validate(target.item, content)
    except Invalid as invalid:
        return invalid.errors
    return []


def _save(request: HttpRequest, target: Target, content: str) -> HttpResponse:
    item, began = target.item, request.POST.get("began", "").replace("\r\n", "\n")
    based_on, release = _number(request, "based_on"), _number(request, "release")
    if errors := _complaints(target, content):
        return _show(request, target, content, began=began, errors=errors, based_on=based_on, release=release, status=422)
    # A publish without a draft leaves the draft's version as it is, but the editor began from what was in force before.
    if release != _release(item):
        return _conflict(request, target, content, began)
    if content == target.effective and (item.draft is not None or item.current is not None or target.handle is not None):
        if item.draft_version != based_on:
            return _conflict(request, target, content, began)
        drafts.discard_draft(item=item, by=Actor.of_request(request))
        messages.info(request, _("This equals the version in force, so there is no draft."))
        return HttpResponseRedirect(target.url())
    if content != item.draft:
        try:
            drafts.save_draft(item=item, content=content, based_on=based_on, now=timezone.now(), by=Actor.of_request(request))
        except drafts.DraftConflict:
            return _conflict(request, target, content, began)
        messages.success(request, _("The draft is saved. It is not in force yet."))
    return HttpResponseRedirect(target.url("publish" if "review" in request.POST else "edit"))


def _release(item: ConfigItem) -> int:
    return item.current.number if item.current else 0


def _conflict(request: HttpRequest, target: Target, content: str, began: str) -> HttpResponse:
    """Show the edit page again after a conflict, with the input kept and the other user's changes above it.

    Saving again goes on top of those changes. Fields that were not edited take the other user's values, so that saving again keeps them.
    """
    target.item.refresh_from_db()
    target.__dict__.pop("effective", None)
    item = target.item
    theirs = target.effective if item.draft is None else item.draft
    by, at = (item.draft_by, item.draft_at) if item.draft is not None else ("", None)
    if item.draft is None and item.current is not None:
        by, at = item.current.author, item.current.at
    if target.handle:
        content = items.canonical(target.item, _merged(began, theirs, content))
    conflict = {
        "by": actors.in_words(by, actors.names_of([by], tenant_ids=None)) if by else "",
        "at": at,
        "is_draft": item.draft is not None,
        "changes": target.changes(began, theirs),
        "mine": target.changes(theirs, content),
        "lines": [] if target.handle or item.is_encrypted else diff(began, theirs),
    }
    return _show(request, target, content, began="" if item.is_encrypted else theirs, conflict=conflict, status=409)


def _merged(began: str, theirs: str, mine: str) -> str:
    """Their values of the fields that I did not touch, mine of the others; a field that is missing on a side is one it inherits."""
    first, other, own = (values_of(text) for text in (began, theirs, mine))
    chosen = {name: (other if own.get(name) == first.get(name) else own) for name in {*first, *other, *own}}
    return orjson.dumps({name: side[name] for name, side in chosen.items() if name in side}).decode()


def _show(
    request: HttpRequest,
    target: Target,
    content: str,
    *,
    began: str,
    errors: list[Any] | None = None,
    based_on: int | None = None,
    release: int | None = None,
    opened: str = "",
    conflict: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    item = target.item
    latest = list(selectors.history(item)[:LATEST])
    context: dict[str, Any] = {
        "title": target.title,
        "purpose": target.purpose,
        "tab": "modules" if target.handle else "items",
        "page": "edit",
        "target": target,
        "item": item,
        "content": content,
        "began": began,
        "based_on": item.draft_version if based_on is None else based_on,
        "release": _release(item) if release is None else release,
        "conflict": conflict,
        "latest": latest,
        "names": names_in([item, *latest]),
        "status_code": status,
    }
    if target.handle is None:
        context["errors"] = [str(error["message"]) for error in errors or []]
        context["formats"] = Format.choices
        return page(request, "item", status=status, **context)
    context["form"] = form.build(
        target.handle.model,
        values_of(content),
        base=target.base,
        errors=errors or [],
        only=target.only,
        open_paths=frozenset([opened]) if opened else frozenset(),
    )
    context["opened"] = opened
    context["instances"] = live.of_item(item, selectors.live_instances([item]))
    return page(request, "module", status=status, **context)
