"""Addresses of a target's pages, for the templates of the console."""

from typing import Any

from django import template

register = template.Library()


@register.simple_tag
def url_of(target: Any, verb: str, number: int | None = None) -> str:
    """Return the address of a page of a module, an override or an item."""
    address: str = target.url(verb, number=number)
    return address
