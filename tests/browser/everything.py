"""Something of everything in the product, and the addresses of all its pages by name.

A part adds its pages with one function that takes the scene, makes something to look at, and returns addresses by name. Name it in `PARTS`:
its pages are then looked at in both languages, both themes, wide and on a phone, and under axe-core. A page that is not answered with 200
is named in `STATUS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from accounts.models import Tenant, User
from accounts.services.demo import load_access
from messaging.demo import load_messaging
from tests.browser.alarms import alarm_pages
from tests.browser.config import config_pages
from tests.browser.customers import GONE, customer_pages
from tests.browser.desk import desk_pages
from tests.browser.errors import FORBIDDEN, MISSING, OURS, error_pages
from tests.browser.faq import faq_pages
from tests.browser.intents import intent_pages
from tests.browser.jobs import job_pages
from tests.browser.messages import make_traffic, message_pages
from tests.browser.operations import operation_pages
from tests.browser.people import people_pages
from tests.browser.portal import portal_pages
from tests.browser.recipients import NOT_KNOWN, recipient_pages
from tests.browser.remembered import Remembered, can_be_put_back, entries
from tests.browser.scene import Scene
from tests.browser.supervision import supervision_pages
from tests.browser.tickets import ticket_pages
from tests.browser.traces import trace_pages
from tests.browser.webhooks import webhook_pages
from tests.builders import TESTER

#: What makes the pages of each part.
PARTS: tuple[Callable[[Scene], dict[str, str]], ...] = (
    operation_pages,
    message_pages,
    webhook_pages,
    people_pages,
    recipient_pages,
    config_pages,
    job_pages,
    alarm_pages,
    trace_pages,
    intent_pages,
    faq_pages,
    error_pages,
    desk_pages,
    supervision_pages,
    customer_pages,
    ticket_pages,
    portal_pages,
)
#: Pages that are answered with something else than 200, and have to look well all the same.
STATUS = {
    **dict.fromkeys((*MISSING, *NOT_KNOWN, "link that is not known", "nothing in the portal"), 404),
    **dict.fromkeys(FORBIDDEN, 403),
    **dict.fromkeys(GONE, 410),
    **dict.fromkeys(OURS, 500),
}


def status_of(name: str) -> int:
    """Return the status with which a page is answered."""
    return STATUS.get(name, 200)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was made, as it was left."""

    remembered: Remembered
    scene: Scene
    pages: dict[str, str]


_kept: list[Kept] = []  # the last one


def everything(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Have something of everything, and return the addresses of all pages by name; what was made lately is put back, as it was left."""
    if _kept and _kept[-1].remembered.is_fresh():
        last = _kept[-1]
        last.remembered.put_back()
        error_pages(replace(last.scene, monkeypatch=monkeypatch))
        return dict(last.pages)
    _kept.clear()
    if not can_be_put_back():
        return _made(monkeypatch)[1]
    before = entries()
    scene, pages = _made(monkeypatch)
    _kept.append(Kept(Remembered.since(before), scene, dict(pages)))
    return pages


def _made(monkeypatch: pytest.MonkeyPatch) -> tuple[Scene, dict[str, str]]:
    """Make everything anew."""
    access = load_access({}, by=TESTER)
    tenant: Tenant = access["tenant"]
    load_messaging(tenant=tenant, by=TESTER)
    User.objects.filter(is_superuser=True).update(is_staff=True)
    scene = Scene(tenant=tenant, letter=make_traffic(tenant), monkeypatch=monkeypatch)
    found: dict[str, str] = {}
    for part in PARTS:
        pages = part(scene)
        assert not found.keys() & pages.keys(), f"{part.__name__}: {sorted(found.keys() & pages.keys())} are pages of another part"
        found |= pages
    return scene, found
