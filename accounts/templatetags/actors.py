"""Names of actors, for templates."""

from collections.abc import Mapping

from django import template
from django.utils.safestring import SafeString

from accounts.staff import actors

register = template.Library()


@register.filter
def who(actor: str, names: Mapping[str, str] | None = None) -> SafeString:
    """Return an actor for a page: a person by name, a key by its name where `names` has it."""
    return actors.shown(actor, names or {})
