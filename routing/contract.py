"""What an entrance's adapter does, and the shapes that pass between it and the rest.

An adapter has no database: it checks who calls (`verify`), reads what came (`parse`) and hands a reply to the outside (`reply`). What it
parses is written as an `Arrival`, at most once per entrance and external id, before the caller is answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.utils.translation import gettext_lazy as _

from posthaste.lib.problems import Problem


@dataclass(frozen=True, slots=True)
class SenderName:
    """A name under which the sender is known, such as an e-mail address; verified if the entrance proves it."""

    kind: str  # of IdentityKind
    value: str
    verified: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file that came with a text: its bytes, or what the adapter needs to fetch them."""

    name: str
    content: bytes = b""
    reference: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One thing that came in. `sender` is the identity that wrote, and that replies go to; `also` are its other names."""

    external_id: str
    sender: SenderName
    text: str = ""
    also: tuple[SenderName, ...] = ()
    files: tuple[IncomingFile, ...] = ()
    thread: str = ""
    subject: str = ""
    language: str = ""
    #: When it was written, by the sender's system; None: now.
    sent_at: datetime | None = None
    #: "text", or a kind that the adapter's own `handle` knows: "event", "read" …
    kind: str = "text"
    #: Facts to keep with the conversation, for the reply: ids of the account, Message-ID …
    details: Mapping[str, Any] = field(default_factory=dict)
    #: Attributes of the customer that the entrance knows, by name.
    attributes: Mapping[str, Any] = field(default_factory=dict)
    #: Skill group, by its short name, that this must go to: a contact way's, a form's. Empty: by rule.
    group: str = ""


@dataclass(frozen=True, slots=True)
class EntranceRow:
    """An entrance as an adapter sees it."""

    id: str
    tenant_id: int
    kind: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """An HTTP request of the outside world."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller is told once everything is written."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a request brought."""

    incoming: Sequence[Incoming] = ()
    answer: Answer = Answer()
    #: What the adapter's service is asked to do after the answer, such as to pull an account's messages; written before it, too.
    wanted: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply on its way to the identity that wrote. `message_id` is the same if it is tried again."""

    message_id: str
    identity_value: str
    text: str
    details: Mapping[str, Any]
    files: tuple[tuple[str, str, bytes], ...] = ()  # name, content type, bytes


class NotAuthentic(Problem):
    """A request to an entrance has a wrong, old or missing signature."""

    status = 401
    code = "not_authentic"
    title = _("Not authentic")


class Adapter(Protocol):
    """One kind of entrance."""

    def verify(self, entrance: EntranceRow, request: InboundRequest) -> None:
        """Check that the request comes from whose entrance it is.

        Raises:
            NotAuthentic: it does not.
        """

    def parse(self, entrance: EntranceRow, request: InboundRequest) -> Parsed:
        """Read a verified request."""

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        """Hand a reply to the outside and return the id that it gave.

        Raises:
            messaging.channels.base.ProviderError: it was not taken.
        """
