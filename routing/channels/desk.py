"""The channel `desk`: a reply goes back through the entrance that its conversation came in by.

Its one kind of provider, `entrance`, loads the line of a message and lets the adapter of the line's entrance hand it over. Breakers count
for each entrance (`host_of`), so one whose system is away holds up no other.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _

from messaging.channels.base import Accepted, CannotCompose, ProviderConfig, ProviderError, SendRequest
from messaging.channels.base import Adapter as ChannelAdapter
from messaging.channels.channel import Channel, declare
from posthaste.lib import masking
from routing.contract import Adapter, EntranceRow, Reply
from routing.conversations.carriers import DESK
from routing.entrances import registry
from routing.models import Line


def normalise(value: str) -> str:
    """Return an identity's value as it is stored, or raise ValueError with a sentence for the caller."""
    if not 1 <= len(value) <= 256 or not value.isprintable():
        raise ValueError(str(gettext_lazy("An identity has 1 to 256 printable characters.")))
    return value


REFUSAL = gettext_lazy("The channel desk carries replies of conversations only. Send with POST /api/conversations/{id}/reply/ instead.")
declare(Channel(code=DESK, label=gettext_lazy("Service desk"), normalise=normalise, mask=masking.mask_middle, refusal=REFUSAL))


class EntranceConfig(ProviderConfig):
    """Nothing to set: each entrance has its own settings."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A reply with what hands it over."""

    adapter: Adapter
    entrance: EntranceRow
    reply: Reply


class EntranceAdapter(ChannelAdapter):
    """Hands replies to the entrances of its tenant."""

    kind = "entrance"
    title = gettext_lazy("Entrances of the service desk")
    channels = frozenset({DESK})
    Config = EntranceConfig

    def host_of(self, request: SendRequest) -> str:
        return f"entrance-{request.metadata.get('entrance', 'none')}"

    def compose(self, request: SendRequest) -> Ready:
        line = _line_of(request)
        conversation = line.conversation
        entrance = conversation.entrance
        kind = registry.KINDS.get(entrance.kind)
        if kind is None or not entrance.is_enabled:
            raise CannotCompose("entrance_disabled", _("The entrance is disabled. Enable it, then retry the message."))
        files: tuple[tuple[str, str, bytes], ...] = ()
        if kind.sends_files:
            files = tuple((file.name, file.content_type, bytes(file.content)) for file in line.attachments.order_by("pk"))
        ready = Ready(
            kind.adapter,
            registry.row_of(entrance),
            Reply(
                message_id=request.id.hex,
                identity_value=conversation.identity.value,
                text=line.text if kind.sends_files else request.body,  # only the message has the links to the files
                details=conversation.details,
                files=files,
            ),
        )
        # While the outside is called, this thread has no use for a connection, which others may need.
        connection.close_if_unusable_or_obsolete()
        return ready

    def hand_over(self, composed: Ready) -> Accepted:
        try:
            return Accepted(composed.adapter.reply(composed.entrance, composed.reply))
        except ProviderError as error:
            error.at_fault = error.at_fault or error.unreachable
            raise


def _line_of(request: SendRequest) -> Line:
    """Return the line that a message carries.

    Raises:
        CannotCompose: the message carries none of this tenant.
    """
    rows = Line.objects.select_related("conversation__entrance", "conversation__identity").filter(tenant_id=request.tenant_id)
    identifier = _id(request.metadata.get("line"))
    line = rows.filter(pk=identifier).first() if identifier else None
    if line is None:
        raise CannotCompose("no_line", _("This channel carries replies of conversations only. Reply to a conversation."))
    return line


def _id(value: Any) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None
