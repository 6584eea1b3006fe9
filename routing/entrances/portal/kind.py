"""The kind of entrance `portal`: its adapter, which has nothing to hand over: sockets read lines from the database."""

from django.utils.translation import gettext_lazy

from routing.contract import EntranceRow, InboundRequest, NotAuthentic, Parsed, Reply
from routing.entrances.portal.settings import PortalSecrets, PortalSettings
from routing.entrances.registry import Kind, declare
from routing.models import AttributeSource, EntranceKind


class PortalAdapter:
    """A reply has arrived as soon as its line is stored: the visitor's socket reads it. Visitors' lines come in no callback."""

    def verify(self, entrance: EntranceRow, request: InboundRequest) -> None:
        raise NotAuthentic

    def parse(self, entrance: EntranceRow, request: InboundRequest) -> Parsed:
        raise NotAuthentic

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        return f"portal-{reply.message_id}"


declare(
    Kind(
        code=EntranceKind.PORTAL,
        title=gettext_lazy("Portal chat"),
        adapter=PortalAdapter(),
        Settings=PortalSettings,
        Secrets=PortalSecrets,
        source=AttributeSource.PORTAL,
    )
)
