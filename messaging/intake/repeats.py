"""What was answered to a request before, by its `Idempotency-Key`: a repeated request gets the answer of the first time."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import IdempotencyKey
from messaging.storage import row_kinds, unreadable
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid
from tracing.services import record
from tracing.services.tally import tally

KEY_FORM = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Repeatable:
    """The caller's `Idempotency-Key` and the digest of what it was used for."""

    key: str
    digest: bytes

    @classmethod
    def of(cls, key: str, *, path: str, body: bytes) -> "Repeatable":
        """Return a key for a request to an address with a body.

        Raises:
            Invalid: the key is not of the documented form.
        """
        if not KEY_FORM.fullmatch(key):
            raise Invalid.field("Idempotency-Key", _("1 to 128 printable ASCII characters without spaces."))
        return cls(key, hashlib.sha256(b"\0".join((path.rstrip("/").encode(), body))).digest())


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the caller, the same for a repeated request."""

    id: UUID
    segments: int | None
    repeated: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the body of the 202."""
        answer: dict[str, Any] = {"id": str(self.id), "trace_id": self.id.hex, "status": "pending"}
        if self.segments is not None:
            answer["segments"] = self.segments
        return answer


class KeyReused(Conflict):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"
    title = gettext_lazy("The Idempotency-Key was already used for another request")


def answer_of(row: IdempotencyKey, repeatable: Repeatable | None) -> Answer:
    """Return the first answer to a single message from what was stored with its key."""
    must_be_same(row, repeatable)
    return Answer(row.target, (row.answer or {}).get("segments"), repeated=True)


def must_be_same(row: IdempotencyKey, repeatable: Repeatable | None) -> None:
    """Check that a key is used for the request that it was used for at first.

    Raises:
        KeyReused: it belongs to another request.
    """
    if repeatable is None or bytes(row.digest) != repeatable.digest:
        raise KeyReused(gettext_lazy("Use a new Idempotency-Key for a new request."))


def _find_key(*, tenant_id: int, is_sandbox: bool, repeatable: Repeatable) -> IdempotencyKey | None:
    """Return what is stored with a key of the same kind of API key, if it was used for the same request.

    Raises:
        KeyReused: the key belongs to another request.
    """
    found = IdempotencyKey.objects.filter(tenant_id=tenant_id, key=repeatable.key, is_sandbox=is_sandbox)
    row = next(iter(unreadable.read(found, lambda: unreadable.checked(found), kind=row_kinds.IDEMPOTENCY_KEY)), None)
    if row is not None:
        must_be_same(row, repeatable)
    return row


def find_answered(*, tenant_id: int, is_sandbox: bool, repeatable: Repeatable) -> Answer | None:
    """Return the first answer to a single message with the same key, if there is one.

    The writer finds it for a message that may be stored. This is for one that is refused now, but was accepted then: its `expires_at`
    has passed meanwhile, its template was archived, the backlog is full.

    Raises:
        KeyReused: the key belongs to another request.
    """
    row = _find_key(tenant_id=tenant_id, is_sandbox=is_sandbox, repeatable=repeatable)
    if row is None:
        return None
    trace_repeat(row.target)
    return answer_of(row, repeatable)


def find_repeated(*, tenant_id: int, is_sandbox: bool, repeatable: Repeatable | None) -> dict[str, Any] | None:
    """Return the stored answer to an earlier batch request with the same key, if there is one.

    Raises:
        KeyReused: the key belongs to another request.
    """
    if repeatable is None:
        return None
    row = _find_key(tenant_id=tenant_id, is_sandbox=is_sandbox, repeatable=repeatable)
    if row is None:
        return None
    trace_repeat(row.target)
    return dict(row.answer or {})


def trace_repeat(target: UUID) -> None:
    """Tell the trace of a message or a batch that its request came again."""
    tally.trace({target: record.line("I", target, timezone.now())})


def make_once(
    make: Callable[[], UUID], *, tenant_id: int, is_sandbox: bool, repeatable: Repeatable | None, now: datetime
) -> tuple[UUID, bool]:
    """Make something and return its id, or that of what an earlier request with the same key has made (True).

    The key is written first: a second request with it waits for the transaction of the first one. What is refused leaves no key.

    Raises:
        KeyReused: the key belongs to another request.
    """
    if repeatable is None:
        return make(), False
    with transaction.atomic():
        own = new_id()  # until it is made
        said = {"tenant_id": tenant_id, "is_sandbox": is_sandbox, "key": repeatable.key, "digest": repeatable.digest}
        IdempotencyKey.objects.bulk_create([IdempotencyKey(target=own, created_at=now, **said)], ignore_conflicts=True)
        row = _find_key(tenant_id=tenant_id, is_sandbox=is_sandbox, repeatable=repeatable)
        assert row is not None, "it was written, by this request or an earlier one"
        if row.target != own:
            return row.target, True
        made = make()
        IdempotencyKey.objects.filter(pk=row.pk).update(target=made)
    return made, False
