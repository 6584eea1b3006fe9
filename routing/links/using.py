"""Find the link that an address means, use it up, and log what was asked."""

from datetime import datetime
from ipaddress import ip_address, ip_network

from django.db.models import F, Q, TextChoices
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, pgettext_lazy

from posthaste.lib.addresses import client_ip
from routing.links import codes
from routing.models import LinkClick, SafeLink

MAX_LOGGED = 1_000  # clicks of one link: an address that went round the world fills no table


class Outcome(TextChoices):
    """What came of a request for a link, or why one can't be used."""

    SHOWN = "shown", gettext_lazy("Shown")
    USED = "used", pgettext_lazy("link", "Used")
    EXPIRED = "expired", gettext_lazy("Expired")
    USED_UP = "used_up", gettext_lazy("Used up")
    REVOKED = "revoked", gettext_lazy("Revoked")
    UNAVAILABLE = "unavailable", gettext_lazy("Not available")
    USABLE = "usable", gettext_lazy("Usable")


#: What a link itself may be, for lists and the API.
STATES = [(state.value, state.label) for state in (Outcome.USABLE, Outcome.EXPIRED, Outcome.USED_UP, Outcome.REVOKED)]


def find(token: str) -> SafeLink | None:
    """Return the link of an address's last part; None if it is none of ours, or was changed since it was signed."""
    parts = codes.split(token)
    if parts is None:
        return None
    code, signature = parts
    link = SafeLink.objects.filter(digest__in=codes.digests(code)).first()
    if link is None or not codes.is_signature(signature, link.pk, link.purpose, link.expires_at):
        return None
    return link


def state(link: SafeLink, *, now: datetime) -> Outcome | None:
    """Return why a link can't be used, or None if it can."""
    if link.revoked_at is not None:
        return Outcome.REVOKED
    if link.expires_at <= now:
        return Outcome.EXPIRED
    if 0 < link.max_uses <= link.uses:
        return Outcome.USED_UP
    return None


def take(link: SafeLink, *, now: datetime) -> bool:
    """Use a link once, in the caller's transaction; False if it can't be used any more. Of two at once, one gets the last use."""
    usable = SafeLink.objects.filter(Q(max_uses=0) | Q(uses__lt=F("max_uses")), pk=link.pk, revoked_at=None, expires_at__gt=now)
    return bool(usable.update(uses=F("uses") + 1))


def log(link: SafeLink, request: HttpRequest, outcome: Outcome, *, now: datetime) -> None:
    """Note a request: when, with which method, what came of it, and from which network."""
    if LinkClick.objects.filter(link=link).order_by()[:MAX_LOGGED].count() >= MAX_LOGGED:
        return
    LinkClick.objects.create(
        link=link,
        method=(request.method or "")[:8],
        outcome=str(outcome),
        network=network(client_ip(request)),
        user_agent="".join(part for part in request.headers.get("User-Agent", "") if part.isprintable())[:200],
        clicked_at=now,
    )


def network(address: str) -> str:
    """Return the network of an address: it tells the region and names no one."""
    try:
        prefix = 24 if ip_address(address).version == 4 else 48
        return str(ip_network(f"{address}/{prefix}", strict=False))
    except ValueError:
        return ""
