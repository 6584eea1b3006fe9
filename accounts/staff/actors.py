"""Actors of the audit trail as people read them: a person by name, a key by its name, the platform by the part of it."""

from collections.abc import Collection, Iterable, Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.models import ApiKey, User
from accounts.services.audit import ActorKind


def names_of(actors: Iterable[str], *, tenant_ids: Collection[int] | None) -> dict[str, str]:
    """Return the names of people and of the keys of these tenants by actor, in two queries.

    None stands for all tenants: for what concerns the whole installation, where only keys of tenants that operate it act.
    """
    named = {actor: actor.partition(":")[2] for actor in set(actors)}
    logins = [name for actor, name in named.items() if actor.startswith(f"{ActorKind.USER}:")]
    prefixes = [name for actor, name in named.items() if actor.startswith(f"{ActorKind.KEY}:")]
    found = {}
    for user in User.objects.filter(username__in=logins).only("username", "first_name", "last_name") if logins else []:
        found[f"{ActorKind.USER}:{user.username}"] = user.get_full_name() or user.username
    keys = ApiKey.objects.filter(prefix__in=prefixes) if prefixes else ApiKey.objects.none()
    if tenant_ids is not None:
        keys = keys.filter(tenant_id__in=tenant_ids)
    for prefix, name in keys.values_list("prefix", "name"):
        found[f"{ActorKind.KEY}:{prefix}"] = name
    return found


def kind_of(actor: str) -> str:
    """Say what kind of actor it is."""
    words = {
        ActorKind.USER: _("Person"),
        ActorKind.KEY: _("API key"),
        ActorKind.COMMAND: _("Command"),
        ActorKind.SYSTEM: _("The platform"),
        ActorKind.RECIPIENT: _("Recipient"),
    }
    return words.get(actor.partition(":")[0], "")  # type: ignore[call-overload,no-any-return]


def in_words(actor: str, names: Mapping[str, str]) -> str:
    """Return an actor in one line: its name, and what it is where that is no person."""
    kind, name = kind_of(actor), names.get(actor) or actor.partition(":")[2]
    if actor.startswith(f"{ActorKind.USER}:"):
        return name
    return f"{name} · {kind}" if name and kind else name or kind or actor


def shown(actor: str, names: Mapping[str, str]) -> SafeString:
    """Return an actor for a page; how the audit trail writes it is on hover."""
    return format_html('<span title="{}">{}</span>', actor, in_words(actor, names))
