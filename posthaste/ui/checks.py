"""System checks of what apps declare for the interface: addresses of pages, and entries of the navigation."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth import get_permission_codename
from django.contrib.staticfiles import finders
from django.core.checks import CheckMessage, Error
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver

from posthaste.ui import navigation, pages

ICONS = "img/icons.svg"
#: How the last address of the admin is written, which answers what no other does.
CATCH_ALL = "(?P<url>.*)$"
PARAMETER = re.compile(r"<(?:(?P<converter>[^>:]+):)?[^>]+>")
#: A value that each of Django's converters takes.
SAMPLES = {"int": "1", "slug": "a-1", "path": "a/b", "uuid": "00000000-0000-4000-8000-000000000000"}


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the installation, with everything that it is included under."""

    parts: tuple[Any, ...]  # the patterns of Django, outermost first
    names: tuple[str, ...]  # name spaces, then the name
    view: Any

    @property
    def text(self) -> str:
        """The address as it is written in `path()`."""
        return "".join(str(part) for part in self.parts)

    @property
    def name(self) -> str:
        """The name for `reverse()`; empty where it has none."""
        return ":".join(self.names) if self.names and self.names[-1] else ""

    def matches(self, address: str) -> bool:
        """Return whether a request for an address, without the slash in front, comes here."""
        for part in self.parts:
            found = part.match(address)
            if found is None:
                return False
            address = found[0]
        return True

    def overlaps(self, other: "Route") -> bool:
        """Return whether there is an address that both match. A slash at the end makes no difference, as for requests."""
        return any(
            self.matches(address) and (other.matches(address) or other.matches(_other_ending(address)))
            for address in _shared(self.text, other.text)
        )


def _shared(one: str, other: str) -> Iterator[str]:
    """Yield the addresses by which two routes are compared: an example of each, and one that takes what either fixes."""
    yield _example(one)
    yield _example(other)
    yield "/".join(
        _example(right if PARAMETER.search(left) else left) for left, right in zip_longest(one.split("/"), other.split("/"), fillvalue="")
    )


def _other_ending(address: str) -> str:
    return address[:-1] if address.endswith("/") else f"{address}/"


def _example(route: str) -> str:
    return PARAMETER.sub(lambda found: SAMPLES.get(found["converter"] or "str", "a"), route)


def _routes(patterns: Sequence[Any], parts: tuple[Any, ...] = (), spaces: tuple[str, ...] = ()) -> Iterator[Route]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = (*spaces, pattern.namespace) if pattern.namespace else spaces
            yield from _routes(pattern.url_patterns, (*parts, pattern.pattern), inner)
        elif isinstance(pattern, URLPattern):
            yield Route((*parts, pattern.pattern), (*spaces, pattern.name or ""), pattern.callback)


def _app(view: Any) -> str:
    """Return the name of the app in which a view is defined, or its module where that is in none."""
    module = str(getattr(view, "__module__", ""))
    config = apps.get_containing_app_config(module)
    return config.name if config else module


def _said(route: Route) -> str:
    view = getattr(route.view, "view_class", route.view)
    return f"/{route.text} ({view.__module__}.{getattr(view, '__qualname__', view)})"


def check_pages(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report pages whose address or name belongs to another page or view.

    Pages of one app may overlap, as in `orders/new/` and `orders/<str:number>/`: the one that is declared first answers. A page in the
    admin may replace one of Django's by taking both its address and its name.
    """
    routes = list(_routes(get_resolver().url_patterns))
    views = pages.views()
    ours = [route for route in routes if route.view in views or getattr(route.view, "__wrapped__", None) in views]
    found: list[CheckMessage] = []
    for index, page in enumerate(ours):
        others = [route for route in routes if not any(route is seen for seen in ours[: index + 1])]
        found += [error for other in others for error in _clash(page, other)]
    return found


def _clash(page: Route, other: Route) -> Iterator[CheckMessage]:
    in_admin = page.names[0] == "admin"
    is_replaced = in_admin and (page.text, page.name) == (other.text, other.name)
    if is_replaced or (in_admin and other.text.endswith(CATCH_ALL)):
        return
    if page.name and page.name == other.name:
        said = f"The page {_said(page)} has the name {page.name!r} of {_said(other)}."
        yield Error(said, hint="Give it another name=.", id="ui.E002")
    if _app(page.view) != _app(other.view) and page.overlaps(other):
        said = f"The address of the page {_said(page)} is taken: it overlaps {_said(other)}."
        hint = "Pages below admin/ are declared with in_admin()." if other.text.endswith(CATCH_ALL) else "Choose another address."
        yield Error(said, hint=hint, id="ui.E001")


def check_navigation(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report entries of the navigation that would not be shown, or not as they were meant."""
    path = finders.find(ICONS)
    icons = set(re.findall(r'<symbol id="([^"]+)"', Path(path).read_text())) if path else set()
    rights = {
        f"{model._meta.app_label}.{code}"
        for model in apps.get_models()
        for code in (
            *(get_permission_codename(action, model._meta) for action in model._meta.default_permissions),
            *(code for code, _name in model._meta.permissions),
        )
    }
    found: list[CheckMessage] = []
    for entry in navigation.entries():
        who = f"The navigation entry {str(entry.label)!r}"
        if entry.icon not in icons:
            hint = f"Icons of static/{ICONS}: {', '.join(sorted(icons))}."
            found.append(Error(f"{who} has the unknown icon {entry.icon!r}.", hint=hint, id="ui.E003"))
        try:
            entry.address()
        except NoReverseMatch as error:
            hint = f"Set url to the name of an address that takes no arguments. Django says: {error}"
            found.append(Error(f"{who} leads to {entry.url!r}, which has no address.", hint=hint, id="ui.E004"))
        if isinstance(entry.allowed, str) and entry.allowed and entry.allowed not in rights:
            hint = 'Write it as "<app>.<permission>", for example "messaging.view_message".'
            found.append(Error(f"{who} needs the unknown permission {entry.allowed!r}.", hint=hint, id="ui.E005"))
    return found
