"""Create, change, delete and test entrances. Their secrets are stored encrypted and never shown again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.crypto import is_lost
from posthaste.lib.outgoing_calls import outgoing_calls
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.entrances import registry
from routing.entrances.provision import ensure_reply_provider
from routing.models import Conversation, Entrance, EntranceKind


def secrets_of(entrance: Entrance) -> dict[str, Any]:
    """Return the stored secrets; none where they can't be decrypted, so that they can be written anew."""
    return {} if is_lost(entrance, "secrets") else dict(entrance.secrets)


def known_secrets(entrance: Entrance) -> list[str]:
    """Return the names of the secrets that are stored."""
    return sorted(name for name, value in secrets_of(entrance).items() if value)


@transaction.atomic
def create_entrance(*, entrance: Entrance, settings: Mapping[str, Any], secrets: Mapping[str, Any], by: Actor) -> Entrance:
    """Check and store a new entrance, with what carries its replies.

    Raises:
        Invalid: naming each wrong field; or the name is taken.
    """
    _save(entrance, settings, secrets)
    ensure_reply_provider(tenant_id=entrance.tenant_id, by=by)
    _record(entrance, Action.ENTRANCE_CREATE, by, name=entrance.name, kind=str(entrance.kind))
    return entrance


@transaction.atomic
def change_entrance(
    *, entrance: Entrance, settings: Mapping[str, Any], secrets: Mapping[str, Any], fields: Iterable[str], by: Actor
) -> Entrance:
    """Check and store a changed entrance. Of the secrets only those that are named change; `fields` are the names of what changed.

    Raises:
        Invalid: naming each wrong field; or the name is taken.
        NotFound: it was deleted meanwhile.
    """
    lock(entrance)
    stored = secrets_of(Entrance.objects.get(pk=entrance.pk))
    _save(entrance, settings, {**stored, **secrets})
    _record(entrance, Action.ENTRANCE_CHANGE, by, fields=sorted(fields))
    return entrance


def is_slug_taken(entrance: Entrance, settings: Mapping[str, Any]) -> bool:
    """Return whether another entrance has the short address of a portal's pages, which is one for the whole installation."""
    slug = settings.get("slug")
    return bool(slug) and Entrance.objects.filter(kind=EntranceKind.PORTAL, settings__slug=slug).exclude(pk=entrance.pk).exists()


def _save(entrance: Entrance, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
    entrance.settings, entrance.secrets = registry.checked(entrance.kind, settings=settings, secrets=secrets)
    if Entrance.objects.filter(tenant_id=entrance.tenant_id, name=entrance.name).exclude(pk=entrance.pk).exists():
        raise Invalid.field("name", _("An entrance with this name already exists."), "taken")
    if is_slug_taken(entrance, entrance.settings):
        raise Invalid.field("settings.slug", _("Another entrance has this address."), "taken")
    entrance.save()


def delete_entrance(*, entrance: Entrance, by: Actor) -> None:
    """Delete an entrance through which no conversation came.

    Raises:
        Conflict: there are conversations.
        NotFound: it was deleted meanwhile.
    """
    try:
        with transaction.atomic():
            lock(entrance)
            if Conversation.objects.filter(entrance=entrance).exists():
                raise Conflict(_("Conversations came through it. Disable it instead."))
            _record(entrance, Action.ENTRANCE_DELETE, by, name=entrance.name)
            entrance.delete()
    except ProtectedError:
        raise Conflict(_("Conversations came through it. Disable it instead.")) from None


def _record(entrance: Entrance, action: Action, by: Actor, **detail: Any) -> None:
    audit.record(by=by, action=action, target=entrance.pk, tenant_id=entrance.tenant_id, detail=detail)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a test of the connection gave."""

    ok: bool
    detail: str


def probe(*, entrance: Entrance, by: Actor) -> Probed:
    """Connect to the system behind an entrance, and return what it said. Nothing is changed or sent.

    Raises:
        TooMany: as many calls as a process may wait for are in progress.
    """
    found = _probed(entrance)
    _record(entrance, Action.ENTRANCE_TEST, by, ok=found.ok)
    return found


def _probed(entrance: Entrance) -> Probed:
    kind = registry.find(entrance.kind)
    if kind.probe is None:
        return Probed(True, _("There is nothing to connect to: other systems call this entrance."))
    if is_lost(entrance, "secrets"):
        return Probed(False, _("The secrets can't be decrypted. Write them anew."))
    with outgoing_calls.place(entrance.tenant_id):
        try:
            return Probed(True, kind.probe(registry.row_of(entrance)))
        except registry.ProbeFailed as error:
            return Probed(False, str(error))
