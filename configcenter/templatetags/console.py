"""Addresses of a subject's pages, for the templates of the console."""

from typing import Any

from django import template

register = template.Library()


@register.simple_tag
def url_of(subject: Any, verb: str, number: int | None = None) -> str:
    """Return the address of a page of a module, an override or an item."""
    address: str = subject.url(verb, number=number)
    return address
