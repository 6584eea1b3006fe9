"""What links of our own purposes do: visit a page, download an attachment, unsubscribe."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from accounts.selectors import tenant_by_id
from accounts.services.audit import Actor
from messaging.channels.channel import EMAIL, SMS
from messaging.configuration.delivery import CATEGORY
from messaging.suppression import suppressions
from posthaste.lib.addresses import client_ip
from posthaste.lib.control_characters import find_control
from posthaste.lib.guard import is_numeric
from posthaste.lib.problems import Invalid
from routing.configuration import links_and_cache
from routing.links.handlers import Handler, register
from routing.models import Attachment, Identity, IdentityKind, LinkPurpose, SafeLink

MAX_TARGET_CHARACTERS = 2048
CHANNEL_OF: Mapping[str, str] = {IdentityKind.EMAIL: EMAIL, IdentityKind.PHONE: SMS}


# --- visit ---------------------------------------------------------------------------------------------------


def host_of(url: str) -> str:
    """Return the host of a web address in lower case; empty: it is none that a customer may be led to."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        is_plain = parts.scheme in ("http", "https") and not (parts.username or parts.password) and "\\" not in url and " " not in url
        _port = parts.port
    except ValueError:
        return ""
    return host if is_plain and "." in host and not is_numeric(host) and not find_control(url) else ""


def is_allowed(host: str, allowed: list[str]) -> bool:
    """Return whether a host is one of those that links may lead to; an empty list allows every public name."""

    def fits(pattern: str) -> bool:
        known = pattern.lower()
        return host.endswith(known[1:]) if known.startswith("*.") else host == known

    return bool(host) and (not allowed or any(fits(pattern) for pattern in allowed))


def _check_visit(tenant_id: int, target: str, _data: Mapping[str, Any]) -> None:
    host = host_of(target)
    if not host or len(target) > MAX_TARGET_CHARACTERS:
        raise Invalid.field("target", _("Must be a web address such as https://www.example.com/page, with a host name."))
    if not is_allowed(host, links_and_cache.of(tenant_id).allowed_hosts):
        raise Invalid.field(
            "target", _("Links may not lead to {host}. Add it to the hosts of the module Links and cache.").format(host=host)
        )


def _visit(link: SafeLink, request: HttpRequest, now: datetime) -> HttpResponse:
    # After a form, browsers follow no redirect to another site (`form-action`), so a POST is answered with a page that leads on.
    if request.method == "POST":
        return render(
            request, "routing/link_leaving.html", {"title": _("You are leaving"), "host": host_of(link.target), "url": link.target}
        )
    return HttpResponse(status=302, headers={"Location": link.target})


def _visit_words(link: SafeLink) -> dict[str, str]:
    return {
        "title": _("You are leaving"),
        "text": _("This link leads to {host}. Continue only if you expected that.").format(host=host_of(link.target)),
        "detail": link.target,
        "button": _("Continue"),
    }


# --- attachment ----------------------------------------------------------------------------------------------


def _attachment_of(tenant_id: int, data: Mapping[str, Any]) -> Attachment | None:
    """Return the attachment of a link; its content is read only when it is asked for."""
    try:
        return Attachment.objects.filter(tenant_id=tenant_id, pk=UUID(str(data.get("attachment", "")))).defer("content").first()
    except ValueError:
        return None


def _check_attachment(tenant_id: int, _target: str, data: Mapping[str, Any]) -> None:
    if _attachment_of(tenant_id, data) is None:
        raise Invalid.field("data.attachment", _("Must be the ID of an attachment."))


def download(file: Attachment) -> HttpResponse:
    """Answer with a file that no browser opens in place: whatever it contains runs nowhere and reads nothing."""
    answer = HttpResponse(bytes(file.content), content_type="application/octet-stream")
    plain = "".join(part if (part.isascii() and part.isalnum()) or part in "._-" else "_" for part in file.name) or "file"
    answer["Content-Disposition"] = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    return answer


def _download(link: SafeLink, _request: HttpRequest, _now: datetime) -> HttpResponse:
    file = _attachment_of(link.tenant_id, link.data)
    assert file is not None, "checked before"
    return download(file)


def _download_words(link: SafeLink) -> dict[str, str]:
    file = _attachment_of(link.tenant_id, link.data)
    text = _("The file {name} is ready.").format(name=file.name if file else "")
    return {"title": _("Download"), "text": text, "detail": filesizeformat(file.size) if file else "", "button": _("Download")}


# --- unsubscribe ---------------------------------------------------------------------------------------------


def _identity_of(tenant_id: int, data: Mapping[str, Any]) -> Identity | None:
    try:
        return Identity.objects.filter(tenant_id=tenant_id, kind__in=CHANNEL_OF, pk=UUID(str(data.get("identity", "")))).first()
    except ValueError:
        return None


def _check_unsubscribe(tenant_id: int, _target: str, data: Mapping[str, Any]) -> None:
    if _identity_of(tenant_id, data) is None:
        raise Invalid.field("data.identity", _("Must be the ID of an e-mail address or a phone number of a customer."))
    if not CATEGORY.fullmatch(str(data.get("category", "x"))):
        raise Invalid.field("data.category", _("Must be a category of messages."))


def _unsubscribe(link: SafeLink, request: HttpRequest, now: datetime) -> HttpResponse:
    identity = _identity_of(link.tenant_id, link.data)
    assert identity is not None, "checked before"
    suppressions.add(
        tenant_id=link.tenant_id,
        recipients=[identity.value],
        channel=CHANNEL_OF[identity.kind],
        category=str(link.data.get("category", "")),
        reason=suppressions.UNSUBSCRIBE,
        by=Actor.recipient(ip=client_ip(request)),
        now=now,
    )
    said = (
        _("{sender} sends no more messages of this kind to {address}.")
        if link.data.get("category")
        else _("{sender} sends no more messages to {address}.")
    )
    said = said.format(sender=_sender(link), address=suppressions.masked(identity.value, CHANNEL_OF[identity.kind]))
    return render(request, "routing/link_said.html", {"title": _("You are unsubscribed"), "said": said, "is_done": True})


def _unsubscribe_words(link: SafeLink) -> dict[str, str]:
    identity, category = _identity_of(link.tenant_id, link.data), str(link.data.get("category", ""))
    assert identity is not None, "checked before"
    text = (
        _("{sender} will send no more messages of this kind to {address}.")
        if category
        else _("{sender} will send no more messages to {address}.")
    )
    text = text.format(sender=_sender(link), address=suppressions.masked(identity.value, CHANNEL_OF[identity.kind]))
    detail = _("Kind: {category}").format(category=category) if category else ""
    return {"title": _("Unsubscribe"), "text": text, "detail": detail, "button": _("Unsubscribe")}


def _sender(link: SafeLink) -> str:
    tenant = tenant_by_id(link.tenant_id)
    return tenant.name if tenant else ""


register(
    LinkPurpose.VISIT,
    Handler(
        perform=_visit,
        words=_visit_words,
        acts=False,
        check=_check_visit,
        asks=lambda link: links_and_cache.of(link.tenant_id).warn_before_leaving,
    ),
)
register(LinkPurpose.ATTACHMENT, Handler(perform=_download, words=_download_words, acts=False, check=_check_attachment))
register(LinkPurpose.UNSUBSCRIBE, Handler(perform=_unsubscribe, words=_unsubscribe_words, acts=True, check=_check_unsubscribe))
