"""The audit trail: who did what, to what, from where.

Every service that changes something takes `by: Actor` and writes its entry in its own transaction, so that one event has one name
however it came: by admin, API, console or command. Each app lists its names in a module `actions`.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Any, Protocol, Self, runtime_checkable

from django.apps import apps
from django.db import models, transaction
from django.http import HttpRequest
from django.utils.module_loading import module_has_submodule

from accounts.models import AuditEntry, Tenant, User
from accounts.tenancy import tenant_of
from posthaste.lib.addresses import client_ip

NAMED = 20  # rows that the entry of a bulk call names at most


class ActorKind(StrEnum):
    """What kind of actor changes something."""

    USER = "user"
    KEY = "key"
    COMMAND = "command"
    SYSTEM = "system"
    RECIPIENT = "recipient"


@runtime_checkable
class KeyHolder(Protocol):
    """What an actor needs of an API caller; see `accounts.services.api_keys.Caller`."""

    @property
    def prefix(self) -> str: ...

    @property
    def tenant_id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where. `tenant_id` is that of an API key."""

    kind: ActorKind
    name: str = ""
    ip: str | None = None
    tenant_id: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    @classmethod
    def of_request(cls, request: HttpRequest) -> Self:
        """Return the signed-in user or the API caller behind a request.

        Raises:
            TypeError: the request is anonymous.
        """
        # A request of REST framework is no HttpRequest, but has the same user and META.
        user: Any = request.user
        if isinstance(user, User):
            return cls.of_user(user, ip=client_ip(request))
        if isinstance(user, KeyHolder):
            return cls.of_key(user, ip=client_ip(request))
        raise TypeError("An anonymous request changes nothing.")

    @classmethod
    def of_user(cls, user: User, *, ip: str | None = None) -> Self:
        """Return a member of staff as an actor."""
        return cls(ActorKind.USER, user.get_username(), ip or None)

    @classmethod
    def of_key(cls, caller: KeyHolder, *, ip: str | None = None) -> Self:
        """Return an API caller as an actor."""
        return cls(ActorKind.KEY, caller.prefix, ip or None, caller.tenant_id)

    @classmethod
    def command(cls, name: str, *, author: str = "") -> Self:
        """Return a management command as an actor; `author` is the person that it was told."""
        return cls(ActorKind.COMMAND, f"{name} ({author})" if author else name)

    @classmethod
    def system(cls, name: str) -> Self:
        """Return a job or another part of the platform as an actor."""
        return cls(ActorKind.SYSTEM, name)

    @classmethod
    def recipient(cls, *, ip: str | None = None) -> Self:
        """Return the recipient of a message, who is not named."""
        return cls(ActorKind.RECIPIENT, ip=ip or None)


def record(
    *, by: Actor, action: str, target: object = "", tenant_id: int | None = None, detail: dict[str, Any] | None = None
) -> AuditEntry:
    """Write one entry. `detail` must hold no secret and no clear recipient."""
    return AuditEntry.objects.create(
        actor=str(by)[:150], action=str(action), target=str(target)[:200], tenant_id=tenant_id, detail=detail or {}, ip=by.ip
    )


def complete(entry: AuditEntry, *, target: object | None = None, detail: dict[str, Any]) -> None:
    """Add to an entry what its service learns only as it goes on, such as how many rows it reached.

    The entry itself is written with the change that it tells of, so that it is never missing.
    """
    entry.detail = entry.detail | detail
    if target is not None:
        entry.target = str(target)[:200]
    entry.save(update_fields=["detail", "target"])


@contextmanager
def recorded_first(
    *, by: Actor, action: str, target: object = "", tenant_id: int | None = None, detail: dict[str, Any] | None = None
) -> Iterator[AuditEntry]:
    """Write and commit one entry, then run the block, which makes a change that no transaction covers, such as one in Redis.

    If the process dies in between, there is an entry without a change rather than a change without an entry. If the block raises, the
    change may have been made all the same, so the entry stays, with the outcome `unknown`. See `withdraw` for a change that was not made.

    Raises:
        RuntimeError: called within a transaction, which could take the entry back.
    """
    with transaction.atomic(durable=True):
        entry = record(by=by, action=action, target=target, tenant_id=tenant_id, detail=detail)
    try:
        yield entry
    except Exception:
        complete(entry, detail={"outcome": "unknown"})
        raise


@cache
def known_actions() -> tuple[str, ...]:
    """Return the names of entries that the installed apps declare in their modules `actions`."""
    found: set[str] = set()
    for config in apps.get_app_configs():
        if module_has_submodule(config.module, "actions") and (names := getattr(import_module(f"{config.name}.actions"), "Action", None)):
            found |= {str(action) for action in names}
    return tuple(sorted(found))


def redact(*, target: object, tenant_id: int | None, actions: Collection[str], details: Collection[str]) -> int:
    """Remove details of the entries about a target, as it has become secret what they tell, and return the number of entries changed.

    Actor, action and time of an entry stay.
    """
    changed = []
    about = AuditEntry.objects.filter(models.Q(tenant_id=tenant_id), target=str(target)[:200], action__in=actions)
    for entry in about.iterator(chunk_size=500):
        kept = {name: value for name, value in entry.detail.items() if name not in details}
        if len(kept) < len(entry.detail):
            entry.detail = kept
            changed.append(entry)
    AuditEntry.objects.bulk_update(changed, ["detail"], batch_size=500)
    return len(changed)


def withdraw(entry: AuditEntry) -> None:
    """Delete an entry of `recorded_first` whose change proved to be none."""
    entry.delete()


def record_row(*, by: Actor, verb: str, row: models.Model, detail: dict[str, Any] | None = None) -> AuditEntry:
    """Write one entry about a row without its own service: the fallback of admin pages.

    The action is `<model>.<verb>`, the target the row's key.
    """
    owner = tenant_of(row)
    # A tenant that was just removed can't be named by its row any more.
    tenant_id = owner if owner is not None and Tenant.objects.filter(pk=owner).exists() else None
    return record(by=by, action=f"{row._meta.model_name}.{verb}", target=row.pk, tenant_id=tenant_id, detail=detail)
