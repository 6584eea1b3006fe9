"""Intents by their titles, in the language of the reader."""

from collections.abc import Collection

from django.utils.translation import get_language

from routing.models import Intent


def title_of(intent: Intent) -> str:
    """Return the title of an intent in the language of the reader."""
    return intent.title_zh if intent.title_zh and (get_language() or "").startswith("zh") else intent.title


def intent_titles(tenant_ids: Collection[int]) -> dict[int, dict[str, str]]:
    """Return the titles of intents by tenant and short name, in one query."""
    found: dict[int, dict[str, str]] = {tenant_id: {} for tenant_id in tenant_ids}
    for intent in Intent.objects.filter(tenant_id__in=tenant_ids).only("tenant_id", "name", "title", "title_zh"):
        found[intent.tenant_id][intent.name] = title_of(intent)
    return found
