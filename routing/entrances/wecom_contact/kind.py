"""The kind of entrance `wecom_contact`: its adapter makes arrivals of events. Customers do not write here, so nothing is replied."""

from django.utils.translation import gettext, gettext_lazy

from messaging.channels.base import CannotCompose
from routing.contract import EntranceRow, Incoming, Parsed, Reply, SenderName
from routing.entrances.registry import Kind, declare
from routing.entrances.wecom_callback import SUCCESS, WeComAdapter, WeComSecrets, WeComSettings, probed
from routing.entrances.wecom_contact import asking, keeping
from routing.models import AttributeSource, EntranceKind, IdentityKind
from routing.wecom import callbacks

CHANGES: dict[type[callbacks.ContactEvent], str] = {
    callbacks.ContactAdded: "add_external_contact",
    callbacks.ContactEdited: "edit_external_contact",
    callbacks.ContactDeleted: "del_external_contact",
    callbacks.FollowerDeleted: "del_follow_user",
    callbacks.TransferFailed: "transfer_fail",
}


class ContactSettings(WeComSettings):
    """Which company; its contact ways are rows of their own."""


class ContactAdapter(WeComAdapter):
    """Events only."""

    def read(self, entrance: EntranceRow, said: callbacks.Callback) -> Parsed:
        match said:
            case callbacks.ContactEvent():
                names = ("user_id", "state", "welcome_code", "source", "reason")
                details = {name: value for name in names if (value := getattr(said, name, ""))}
                incoming = Incoming(
                    external_id=said.external_id,
                    sender=SenderName(IdentityKind.WECOM, said.external_user_id, verified=True),
                    sent_at=said.at,
                    kind=keeping.CONTACT,
                    details={**details, "change": CHANGES.get(type(said), "")},
                )
            case callbacks.TagChanged():
                incoming = Incoming(
                    external_id=said.external_id,
                    sender=SenderName(IdentityKind.EMPLOYEE, "sys"),
                    sent_at=said.at,
                    kind=keeping.TAG,
                    details={"change": said.change},
                )
            case _:
                return Parsed(answer=SUCCESS)
        return Parsed(answer=SUCCESS, incoming=[incoming])

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        raise CannotCompose("no_replies", "Customers do not write through this entrance.")


def probe(entrance: EntranceRow) -> str:
    """Return who may have contacts."""
    return probed(entrance, lambda client: gettext("Employees with contacts: {n}.").format(n=len(client.followers())))


declare(
    Kind(
        code=EntranceKind.WECOM_CONTACT,
        title=gettext_lazy("WeCom contacts"),
        adapter=ContactAdapter(),
        Settings=ContactSettings,
        Secrets=WeComSecrets,
        handlers={keeping.CONTACT: keeping.contact, keeping.TAG: keeping.tag},
        enrich=asking.enrich,
        probe=probe,
        source=AttributeSource.WECOM,
    )
)
