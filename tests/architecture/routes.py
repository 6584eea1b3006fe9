"""A walk over all addresses of the web process, so that tests notice a new one by themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils.regex_helper import normalize

#: What stands for a parameter of which only the form matters.
FORMS = {"UUIDConverter": "0192f0c1-a2b3-7c4d-8e9f-001122334455", "IntConverter": "4711"}
NAMES = {"app_label": "messaging", "content_type_id": "1"}


@dataclass(frozen=True, slots=True)
class Route:
    """One address: its pattern as written in the code, one path that fits, the names of its parameters, its view."""

    pattern: str
    path: str
    parameters: tuple[str, ...]
    view: Callable[..., Any]

    @property
    def view_class(self) -> Any:
        """The class behind `as_view()`, or None for a function."""
        return getattr(self.view, "cls", None) or getattr(self.view, "view_class", None)

    def __str__(self) -> str:
        return f"/{self.pattern}"


def _one(pattern: Any) -> tuple[str, str, tuple[str, ...]]:
    """Return the pattern as written, a path that fits it, and its parameters."""
    if not isinstance(pattern, RoutePattern):
        form, parameters = normalize(str(pattern.regex.pattern))[0]
        return str(pattern), form % {name: NAMES.get(name, "x") for name in parameters}, tuple(parameters)
    path = str(pattern)
    for name, converter in pattern.converters.items():
        kind = type(converter).__name__
        written = {
            "UUIDConverter": "uuid",
            "IntConverter": "int",
            "SlugConverter": "slug",
            "PathConverter": "path",
            "StringConverter": "str",
        }[kind]
        value = FORMS.get(kind, NAMES.get(name, "x"))
        path = path.replace(f"<{written}:{name}>", value).replace(f"<{name}>", value)
    return str(pattern), path, tuple(pattern.converters)


def _walk(patterns: list[URLPattern | URLResolver], before: tuple[str, str, tuple[str, ...]]) -> Iterator[Route]:
    for entry in patterns:
        made = _one(entry.pattern)
        pattern, path, parameters = (a + b for a, b in zip(before, made, strict=True))  # type: ignore[operator]
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, (pattern, path, parameters))
        else:
            yield Route(pattern, f"/{path}", parameters, entry.callback)


@cache
def every_route() -> list[Route]:
    """List all addresses."""
    return list(_walk(get_resolver().url_patterns, ("", "", ())))


@cache
def api_routes() -> list[Route]:
    """List the addresses of the REST API."""
    return [route for route in every_route() if route.pattern.startswith("api/")]


def methods_of(route: Route) -> list[str]:
    """Name the methods that an API view answers, in capitals."""
    return [name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(route.view_class, name)]
