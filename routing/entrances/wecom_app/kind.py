"""The kind of entrance `wecom_app`: its settings and its adapter."""

from typing import Self

from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import setting
from messaging.channels.base import CannotCompose, ProviderError
from messaging.channels.channel import WECOM
from routing.contract import EntranceRow, Incoming, IncomingFile, Parsed, Reply, SenderName
from routing.conversations.carriers import Outgoing, through_entrance
from routing.entrances.registry import Kind, declare
from routing.entrances.wecom_callback import SUCCESS, WeComAdapter, WeComSecrets, WeComSettings, as_provider_error, client_of, fetch, probed
from routing.models import AttributeSource, Conversation, EntranceKind, IdentityKind, Line
from routing.wecom import callbacks
from routing.wecom.client import TEXT_BYTES, Client
from routing.wecom.errors import WeComError

MAX_PARTS = 10
ENDINGS = {"image": "jpg", "voice": "amr", "video": "mp4", "file": "bin"}


class AppSettings(WeComSettings):
    """Which application."""

    agent_id: int = setting(0, _("Agent ID"), _("Of the application in WeCom's admin console."), ge=0, le=2_147_483_647)
    by_channel: bool = setting(
        False,
        _("Reply by the channel WeCom"),
        _("On: replies are sent by the providers of the channel WeCom. Off: by this application itself."),
    )

    @model_validator(mode="after")
    def _has_an_agent(self) -> Self:
        if not self.agent_id:
            raise hot.Wrong("agent_id", _("Must not be empty."))
        return self


class AppAdapter(WeComAdapter):
    """An employee's message comes whole in the callback."""

    def read(self, entrance: EntranceRow, said: callbacks.Callback) -> Parsed:
        if not isinstance(said, callbacks.AppMessage) or said.agent_id != str(entrance.settings.get("agent_id")):
            return Parsed(answer=SUCCESS)
        text, files = _content(said)
        incoming = Incoming(
            external_id=said.external_id,
            sender=SenderName(IdentityKind.EMPLOYEE, said.from_user, verified=True, name=said.from_user),
            text=text,
            files=files,
            sent_at=said.at,
        )
        return Parsed(answer=SUCCESS, incoming=[incoming])

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        parts = _parts(reply.text)
        if len(parts) > MAX_PARTS:  # also before anything is sent: the end, where links are, must not be cut off
            raise CannotCompose("text_too_long", f"At most {MAX_PARTS} messages of {TEXT_BYTES} bytes.", field="body")
        sent: list[str] = []
        try:
            for part in parts:
                done = client_of(entrance).send_to_employees(
                    agent_id=int(entrance.settings["agent_id"]), user_ids=[reply.identity_value], text=part
                )
                if done.not_reached:
                    raise ProviderError("unknown_employee", "The employee does not exist or does not see the application.", permanent=True)
                sent.append(done.id)
        except WeComError as error:
            if sent:  # sending the rest again would send the first parts twice
                raise ProviderError(f"wecom_{error.code}", f"Only a part was sent. {error.text}", permanent=True) from None
            raise as_provider_error(error) from None
        return sent[0]


def _content(said: callbacks.AppMessage) -> tuple[str, tuple[IncomingFile, ...]]:
    match said:
        case callbacks.AppText():
            return said.text, ()
        case callbacks.AppMedia():
            name = said.file_name or f"{said.kind}.{ENDINGS.get(said.kind, 'bin')}"
            return "", (IncomingFile(name=name, reference={"media_id": said.media_id}),)
        case callbacks.AppLocation():
            return f"{said.label} ({said.latitude}, {said.longitude})".strip(), ()
        case callbacks.AppLink():
            return "\n".join(filter(None, (said.title, said.text, said.url))), ()
    return "", ()


def _parts(text: str) -> list[str]:
    """Return a text in parts that WeCom takes; it cuts longer ones without a word. No part ends inside a word or link that fits."""
    parts, rest = [], (text or "…").encode()
    while len(rest) > TEXT_BYTES:
        part = rest[:TEXT_BYTES].decode(errors="ignore")  # without the rest of a character
        gap = max(part.rfind("\n"), part.rfind(" ")) + 1
        taken = (part[:gap] if gap > len(part) // 2 else part).encode()
        parts.append(taken.decode())
        rest = rest[len(taken) :]
    return [*parts, rest.decode()]


def carry(conversation: Conversation, line: Line, text: str) -> Outgoing:
    """Return what carries a reply: this application, or the providers of the channel WeCom."""
    if not conversation.entrance.settings.get("by_channel"):
        return through_entrance(conversation, line, text)
    return Outgoing(channel=WECOM, recipient=conversation.identity.value, body=text or "…")


def probe(entrance: EntranceRow) -> str:
    """Return whether WeCom takes the secret."""

    def ask(client: Client) -> str:
        client.get("agent/get", agentid=str(entrance.settings.get("agent_id", "")))
        return gettext("WeCom accepts the secret.")

    return probed(entrance, ask)


declare(
    Kind(
        code=EntranceKind.WECOM_APP,
        title=gettext_lazy("WeCom application"),
        adapter=AppAdapter(),
        Settings=AppSettings,
        Secrets=WeComSecrets,
        carrier=carry,
        sends_files=False,
        fetch=fetch,
        probe=probe,
        source=AttributeSource.WECOM,
    )
)
