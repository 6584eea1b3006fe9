"""What a link does, by its purpose. The owner of a purpose registers it, so that links know nothing of portals or surveys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from routing.models import LinkPurpose, SafeLink

Perform = Callable[[SafeLink, HttpRequest, datetime], HttpResponse]
Check = Callable[[int, str, Mapping[str, Any]], None]
Words = Callable[[SafeLink], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Handler:
    """One purpose.

    `perform` does it and answers. It runs in the transaction that counts the use, so what fails is not used up. `words` are the texts of
    the page that asks: "title", "text", "detail" and "button". `acts`: it changes something, so it is never done by a GET. `check` refuses
    a target or data that it can't work with, when a link is made, and again before it is performed.
    """

    perform: Perform
    words: Words
    acts: bool
    check: Check
    #: Asks before it is performed, also where a GET might do it: depends on the configuration.
    asks: Callable[[SafeLink], bool] = lambda _link: False
    #: The page that asks; one of its own is drawn with the same texts, and posts to its own address.
    template: str = "routing/link.html"


_handlers: dict[LinkPurpose, Handler] = {}


def register(purpose: LinkPurpose, handler: Handler) -> None:
    """Say what links of a purpose do.

    Raises:
        ValueError: something else does it already.
    """
    if _handlers.setdefault(purpose, handler) is not handler:
        raise ValueError(f"Links of the purpose {purpose} have a handler already.")


def find(purpose: str) -> Handler | None:
    """Return what links of a purpose do, or None if that is not installed."""
    return _handlers.get(LinkPurpose(purpose))


def available() -> list[str]:
    """Return the purposes for which links can be made."""
    return sorted(str(purpose) for purpose in _handlers)
