"""What a channel adapter is: a folder with one class that sends and, where it can, reads receipts.

To add one, see `docs/extend.md`: one folder, which `registry.py` finds.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

import structlog
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_noop
from pydantic import BaseModel, ConfigDict, Field

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One rendered message, ready for a provider."""

    id: UUID  # also the idempotency key towards the provider
    channel: str
    recipient: str
    subject: str = ""
    body: str = ""
    html: str = ""
    attempt: int = 1
    reference: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tenant_id: int = 0
    unsubscribe_url: str = ""  # where one click takes the recipient off the list (RFC 8058); only e-mail has a place for it


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken the message; `provider_message_id` is its name for it, if it gave one."""

    provider_message_id: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider says later about a message. One of the two ids is set."""

    status: Literal["delivered", "failed"]
    message_id: UUID | None = None
    provider_message_id: str = ""
    code: str = ""
    detail: str = ""
    at: datetime | None = None
    hard_bounce: bool = False  # the recipient does not exist: goes on the suppression list
    index: int = 0  # its place in the callback, from 0


class ProviderError(Exception):
    """The provider did not take the message: nothing left, or it was refused. What may have left is an `OutcomeUnknown`.

    `permanent`: this message will never be accepted (bad recipient, refused content); it is not retried.
    `retry_after`: seconds the provider asked us to wait.
    `unreachable`: the fault is the provider's, not the message's: another provider may be tried at once.
    `elsewhere`: another provider may be tried at once, and this one stays in use for other messages.
    `hard_bounce`: the recipient does not exist and goes on the suppression list.
    `field`: the field of the provider's configuration, or of the message, that has to be changed.
    """

    #: Set by faults of our own, made before or beside the call: no breaker counts them.
    ours: bool = False
    #: Set by an adapter whose messages name the host they go to (`host_of`): the error tells of that host, not of one address there.
    at_fault: bool = False

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        unreachable: bool = False,
        elsewhere: bool = False,
        hard_bounce: bool = False,
        field: str = "",
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.permanent = permanent
        self.retry_after = retry_after
        self.unreachable = unreachable
        self.elsewhere = elsewhere
        self.hard_bounce = hard_bounce
        self.field = field

    @property
    def tries_another(self) -> bool:
        """Whether another provider may take the message at once."""
        return self.unreachable or self.elsewhere


class OutcomeUnknown(ProviderError):
    """The request may have reached the provider, but its answer did not reach us. Never resent blindly."""

    @property
    def tries_another(self) -> bool:
        return False


class CannotCompose(ProviderError):
    """This message can't be put into the form that the provider takes. Nothing left, and it will never be sent."""

    ours = True

    def __init__(self, code: str, detail: str = "", *, field: str = "") -> None:
        super().__init__(code, detail, permanent=True, field=field)


class Misconfigured(ProviderError):
    """The provider can't be called with this configuration. Nothing left: another provider takes the message."""

    ours = True

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__("configuration", detail, unreachable=True, field=field)


def adapter_fault(error: Exception) -> OutcomeUnknown:
    """Return the outcome of a call in which an adapter failed with an error that is none of its own."""
    fault = OutcomeUnknown("adapter_error", f"A fault of ours during the call: {type(error).__name__}. It may have been sent.")
    fault.ours = True
    return fault


class ReceiptError(Exception):
    """A callback, or the receipt at `index` in it, could not be understood; the message says why."""

    def __init__(self, message: str, *, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


class ProviderConfig(BaseModel):
    """Base of every adapter's configuration; unknown fields are refused. Secret fields are `SecretStr`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class CredentialConfig(ProviderConfig):
    """Base of configurations with a credential that may expire."""

    credential_expires_on: date | None = Field(
        None,
        description=gettext_noop(
            "Last day on which the password, token or key is valid. An alarm is raised two weeks before. Empty: not known, or it says so "
            "itself, as certificates and JSON Web Tokens do."
        ),
    )


@dataclass(frozen=True, slots=True, order=True)
class TlsServer:
    """A server whose certificate a provider depends on. `starttls`: it speaks SMTP first, and encrypts when asked to."""

    host: str
    port: int
    starttls: bool = False


class Adapter(ABC):
    """One provider's connection settings made able to send.

    An adapter object lives as long as its provider row is unchanged, in one process, and is called from many
    threads at once.

    Sending has two steps. `compose` makes ready what will be handed over; nothing leaves, so whatever fails there is final for the
    message (or for the provider, if it raises `Misconfigured`). `hand_over` calls the provider; an error there that is no ProviderError
    means that the message may have left, and its outcome is unknown. An adapter that has nothing to compose leaves `compose` as it is.
    """

    kind: ClassVar[str]
    title: ClassVar[str | Promise]
    channels: ClassVar[AbstractSet[str]]  # codes of the channels this kind can serve
    Config: ClassVar[type[ProviderConfig]]

    #: Messages one `send_many` call takes. 1: the provider is called once a message.
    bulk_size: int = 1
    #: Messages one Celery task carries until it is known how long a call takes.
    chunk_size: int = 20
    #: Calls it makes at once in one process; None: as many as there are threads.
    concurrency: int | None = None
    #: The provider itself ignores a second request with the same id, so resending is safe.
    idempotent: bool = False

    def __init__(self, config: Any) -> None:
        self.config = config

    def compose(self, request: SendRequest) -> Any:
        """Return what `hand_over` takes; the request itself unless an adapter has something to make ready.

        It must not call the provider.

        Raises:
            CannotCompose: The message can't be put into the provider's form. Any other exception counts as this one.
            Misconfigured: The provider can't be called at all.
        """
        return request

    @abstractmethod
    def hand_over(self, composed: Any) -> Accepted:
        """Hand one message, as `compose` made it ready, to the provider.

        Raises:
            ProviderError: Nothing left, or it was not taken.
            OutcomeUnknown: It may have been taken.
        """

    def send(self, request: SendRequest) -> Accepted:
        """Compose one message and hand it over.

        Raises:
            ProviderError: Nothing left, or it was not taken.
            OutcomeUnknown: It may have been taken.
        """
        try:
            composed = self.compose(request)
        except ProviderError as error:
            error.ours = True
            raise
        except Exception as error:  # whatever it is, nothing has left
            log.exception("a message could not be composed", kind=self.kind, trace_id=request.id.hex)
            raise CannotCompose("bad_message", f"The message can't be put into the provider's form: {error}"[:500]) from None
        try:
            return self.hand_over(composed)
        except ProviderError:
            raise
        except Exception as error:  # it may have left
            log.exception("adapter failed", kind=self.kind, trace_id=request.id.hex)
            raise adapter_fault(error) from None

    def send_many(self, requests: Sequence[SendRequest]) -> list[Accepted | ProviderError]:
        """Hand up to `bulk_size` messages to the provider and return one result for each; never raise for a single message."""
        results: list[Accepted | ProviderError] = []
        for request in requests:
            try:
                results.append(self.send(request))
            except ProviderError as error:
                results.append(error)
        return results

    def tls_server(self) -> TlsServer | None:
        """Return the server that is always called, so that the expiry of its certificate can be told before; None: none, or many."""
        return None

    def parse_receipt(self, body: bytes, headers: Mapping[str, str]) -> Sequence[Receipt | ReceiptError]:
        """Read the receipts in a callback whose signature has been checked.

        One that is not understood holds back no other: its error is returned in its place.

        Raises:
            ReceiptError: nothing in the body is understood.
        """
        raise ReceiptError(gettext("This kind of provider sends no receipts."))

    def host_of(self, request: SendRequest) -> str:
        """Return the host a message goes to, where the recipient names it; empty where the provider's own is called."""
        return ""

    def lookup(self, request: SendRequest) -> Literal["accepted", "absent", "unknown"]:
        """Ask the provider whether it has taken the message, if it can tell."""
        return "unknown"

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """Release connections."""
