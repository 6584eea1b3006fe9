"""The registry of the navigation: each app adds its entries in its own `navigation.py`, which is found automatically.

An app that is not installed adds nothing, so nothing here names an app. The rail shows the groups in the order of `Group`;
one that has no entry for the reader is left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from django.db.models import TextChoices
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

log = structlog.get_logger(__name__)


class Group(TextChoices):
    """The headings of the rail, from top to bottom."""

    OPERATE = "operate", _("Operate")
    DESK = "desk", _("Desk")
    CONFIGURE = "configure", _("Configure")
    RECORDS = "records", _("Records")
    ACCESS = "access", _("Access")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Entry:
    """One place of the rail.

    `url` is the name of an address. `query` narrows what a list shows, e.g. `state=dead`. `allowed` is the name of one of
    Django's permissions, or a function of the user; without it every member of staff sees the entry. `under` is the address
    below which the reader counts as being here, where that is not the entry's own. `is_exact` leaves out the pages below it.
    """

    group: Group
    order: int
    url: str
    icon: str
    label: str | Promise
    query: str = ""
    allowed: str | Callable[[Any], bool] = ""
    under: str | Promise = ""
    is_exact: bool = False
    #: Whether it has a place in the bar of a phone, which has room for four; the others are behind "More".
    on_phone: bool = False

    def may_open(self, user: Any) -> bool:
        """Return whether a user sees this entry."""
        if callable(self.allowed):
            return self.allowed(user)
        return not self.allowed or bool(user.has_perm(self.allowed))

    def address(self) -> str:
        """Return the entry's address without its query.

        Raises:
            django.urls.NoReverseMatch: there is no address of that name.
        """
        return reverse(self.url)

    def matches(self, request: HttpRequest) -> tuple[int, int] | None:
        """Return how closely a request fits this entry, as something to compare, or None where it does not fit."""
        place = str(self.under) or self.address()
        fits = request.path == place if self.is_exact else request.path.startswith(place)
        wanted = [part.partition("=") for part in self.query.split("&") if part]
        if not fits or any(request.GET.get(name) != value for name, _equals, value in wanted):
            return None
        return len(place), len(wanted)


def model_list(app: str, model: str, **place: Any) -> Entry:
    """Return the entry of a model's list in the admin, for those who may see its rows."""
    return Entry(url=f"admin:{app}_{model}_changelist", allowed=f"{app}.view_{model}", **place)


_entries: list[Entry] = []


def add(*entries: Entry) -> None:
    """Add entries to the navigation. Their icons, addresses and permissions are checked at the start, by `ui.checks`.

    Raises:
        ValueError: an entry names no group.
    """
    for entry in entries:
        if not isinstance(entry.group, Group):
            groups = ", ".join(f"Group.{group.name}" for group in Group)
            raise ValueError(f"The navigation entry {entry.label!r} has the group {entry.group!r}. Available: {groups}.")
    _entries.extend(entries)


def remove(*entries: Entry) -> None:
    """Take entries out again; for tests."""
    for entry in entries:
        _entries.remove(entry)


def entries() -> Iterator[Entry]:
    """Return all entries from top to bottom."""
    ranks = {group: rank for rank, group in enumerate(Group)}
    return iter(sorted(_entries, key=lambda entry: (ranks[entry.group], entry.order)))


def _may_open(entry: Entry, user: Any) -> bool:
    try:
        return entry.may_open(user)
    except Exception:  # an app's function must not take every page down
        log.exception("navigation entry not shown", url=entry.url)
        return False


def for_request(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups with the entries that the reader may open; the one they are at is marked `here`."""
    shown: list[tuple[Entry, str]] = []
    for entry in entries():
        try:
            shown.append((entry, entry.address()))
        except NoReverseMatch:  # the page is not mounted in this installation
            continue
    shown = [(entry, place) for entry, place in shown if _may_open(entry, request.user)]
    fitting = {entry: closeness for entry, _place in shown if (closeness := entry.matches(request)) is not None}
    here = max(fitting, key=lambda entry: fitting[entry]) if fitting else None
    groups: list[dict[str, Any]] = []
    for entry, place in shown:
        if not groups or groups[-1]["group"] != entry.group:
            groups.append({"group": entry.group, "label": entry.group.label, "entries": []})
        url = f"{place}?{entry.query}" if entry.query else place
        groups[-1]["entries"].append(
            {"url": url, "icon": entry.icon, "label": entry.label, "here": entry is here, "on_phone": entry.on_phone}
        )
    return groups
