"""A reply to a customer of 微信客服: its text and its files, each a message of WeCom with an id of ours."""

from typing import TYPE_CHECKING

from messaging.channels.base import CannotCompose, ProviderError
from routing.contract import EntranceRow, Reply
from routing.entrances.wecom_callback import as_provider_error, client_of
from routing.wecom.client import LEAST_UPLOAD_BYTES, TEXT_BYTES, UPLOAD_BYTES, Client
from routing.wecom.errors import Cure, WeComError
from routing.wecom.items import ServiceState

if TYPE_CHECKING:
    from routing.wecom.client import MediaKind

#: Types that WeCom shows in the conversation; an animated GIF is not one of them.
SHOWN: "dict[str, MediaKind]" = {"image/png": "image", "image/jpeg": "image", "video/mp4": "video"}


def send(entrance: EntranceRow, reply: Reply) -> str:
    """Send a reply and return WeCom's id of it.

    Files are uploaded first, so that what can't be uploaded is found before anything has reached the customer.

    Raises:
        ProviderError: it was not taken, or only a part of it.
    """
    open_kfid = str(reply.details.get("open_kfid", ""))
    if not open_kfid:
        raise CannotCompose("no_account", "The conversation names no customer service account.")
    if len(reply.text.encode()) > TEXT_BYTES:
        raise CannotCompose("text_too_long", f"WeCom takes texts of at most {TEXT_BYTES} bytes.", field="body")
    _check(reply)
    client = client_of(entrance)
    sent = ""
    try:
        kinds = [_kind(content_type, len(body)) for _name, content_type, body in reply.files]
        uploaded = [
            (kind, client.upload(kind=kind, file_name=name, content=body, content_type=content_type))
            for kind, (name, content_type, body) in zip(kinds, reply.files, strict=True)
        ]
        if reply.text:
            sent = _text(client, open_kfid, reply)
        for number, (kind, media_id) in enumerate(uploaded):
            name = f"{reply.message_id[:30]}_{number % 10}"
            part = client.send_media(
                open_kfid=open_kfid, external_user_id=reply.identity_value, kind=kind, media_id=media_id, message_id=name
            )
            sent = sent or part
    except WeComError as error:
        if sent:  # sending the rest again would send the first part twice
            raise ProviderError(f"wecom_{error.code}", f"Only a part was sent. {error.text}", permanent=True) from None
        raise as_provider_error(error) from None
    return sent


def _text(client: Client, open_kfid: str, reply: Reply) -> str:
    """Send the text; where the session is in a state in which nothing can be sent, move it as far as WeCom allows, and send once more."""

    def once() -> str:
        return client.send_text(open_kfid=open_kfid, external_user_id=reply.identity_value, text=reply.text, message_id=reply.message_id)

    try:
        return once()
    except WeComError as error:
        if error.cure != Cure.MOVE_SESSION:
            raise
        state = client.session(open_kfid=open_kfid, external_user_id=reply.identity_value).state
        # From WeCom's queue and from an agent in WeCom there is no way back to the API: the error says so.
        if state not in (ServiceState.NEW, ServiceState.ASSISTANT):
            raise
    if state == ServiceState.NEW:
        client.move_session(open_kfid=open_kfid, external_user_id=reply.identity_value, state=ServiceState.ASSISTANT)
    return once()


def _check(reply: Reply) -> None:
    """Refuse files that WeCom never takes, before anything is sent."""
    for name, _content_type, body in reply.files:
        if not LEAST_UPLOAD_BYTES <= len(body) <= UPLOAD_BYTES["file"]:
            said = f"WeCom takes files of {LEAST_UPLOAD_BYTES} bytes to {UPLOAD_BYTES['file'] >> 20} MiB; {name} has {len(body)} bytes."
            raise CannotCompose("file_size", said, field="files")


def _kind(content_type: str, size: int) -> "MediaKind":
    """Return as what a file is uploaded: a picture or a film that WeCom does not show goes as a file."""
    kind = SHOWN.get(content_type, "file")
    return kind if size <= UPLOAD_BYTES[kind] else "file"
