"""What a callback says, once it is decrypted.

- An application's messages are those of employees (https://developer.work.weixin.qq.com/document/path/90239).
- 微信客服 says only that there is something to fetch (https://developer.work.weixin.qq.com/document/path/94670).
- 客户联系 says who became whose customer (https://developer.work.weixin.qq.com/document/path/92130).

What has a form that is not known here, or a known one with fields that do not fit, is an `Other` with all that was said: WeCom adds
types without notice, and a callback that is answered with an error comes again.
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from routing.wecom import documents


class Callback(Struct, frozen=True, kw_only=True):
    """What all callbacks have. `external_id` is the same for each repetition, and another for each message or event."""

    corp_id: str = field(name="ToUserName", default="")
    from_user: str = field(name="FromUserName", default="")  # `sys` for events of the system
    at: datetime | None = field(name="CreateTime", default=None)
    agent_id: str = field(name="AgentID", default="")
    external_id: str = field(name="_external_id", default="")


class AppMessage(Callback, frozen=True, kw_only=True):
    """A message that an employee wrote to an application."""

    message_id: str = field(name="MsgId")


class AppText(AppMessage, frozen=True, kw_only=True):
    """Text."""

    text: str = field(name="Content")


class AppMedia(AppMessage, frozen=True, kw_only=True):
    """An image, a recording, a video or a file; `media_id` is good for three days."""

    kind: str = field(name="MsgType")
    media_id: str = field(name="MediaId")
    picture_url: str = field(name="PicUrl", default="")
    file_name: str = field(name="FileName", default="")
    format: str = field(name="Format", default="")


class AppLocation(AppMessage, frozen=True, kw_only=True):
    """A place."""

    latitude: float = field(name="Location_X")
    longitude: float = field(name="Location_Y")
    label: str = field(name="Label", default="")


class AppLink(AppMessage, frozen=True, kw_only=True):
    """A link."""

    title: str = field(name="Title", default="")
    text: str = field(name="Description", default="")
    url: str = field(name="Url", default="")


class AppEntered(Callback, frozen=True, kw_only=True):
    """An employee opened the application's conversation."""


class KfNews(Callback, frozen=True, kw_only=True):
    """Something is to be fetched for a 微信客服 account; `token` is for `sync_msg` and good for ten minutes."""

    token: str = field(name="Token", default="")
    open_kfid: str = field(name="OpenKfId", default="")


class ContactEvent(Callback, frozen=True, kw_only=True):
    """Something about a customer and the employee in charge."""

    user_id: str = field(name="UserID")
    external_user_id: str = field(name="ExternalUserID")


class ContactAdded(ContactEvent, frozen=True, kw_only=True):
    """An employee added a customer. `welcome_code` is good for one message within 20 s; `state` is that of the contact way.

    `is_half`: the customer added the employee without being asked to confirm, and the employee has not confirmed.
    """

    state: str = field(name="State", default="")
    welcome_code: str = field(name="WelcomeCode", default="")
    is_half: bool = False


class ContactEdited(ContactEvent, frozen=True, kw_only=True):
    """An employee changed the remark or the tags of a customer."""

    state: str = field(name="State", default="")


class ContactDeleted(ContactEvent, frozen=True, kw_only=True):
    """An employee removed a customer. `source` is DELETE_BY_TRANSFER where it was handed over."""

    source: str = field(name="Source", default="")


class FollowerDeleted(ContactEvent, frozen=True, kw_only=True):
    """A customer removed an employee."""


class TransferFailed(ContactEvent, frozen=True, kw_only=True):
    """A customer was not handed over: `customer_refused` or `customer_limit_exceed`."""

    reason: str = field(name="FailReason", default="")


class TagChanged(Callback, frozen=True, kw_only=True):
    """A company's tag or group of tags was made, changed, deleted or put in another order."""

    change: str = field(name="ChangeType")
    id: str = field(name="Id", default="")
    tag_type: str = field(name="TagType", default="")  # tag or tag_group


class Other(Callback, frozen=True, kw_only=True):
    """Anything else. `kind` tells its types from the outside in, as in `event/change_external_chat/update`."""

    kind: str
    raw: dict[str, Any]


MESSAGES: dict[str, type[AppMessage]] = {
    "text": AppText,
    "image": AppMedia,
    "voice": AppMedia,
    "video": AppMedia,
    "file": AppMedia,
    "location": AppLocation,
    "link": AppLink,
}
EVENTS: dict[str, type[Callback]] = {
    "enter_agent": AppEntered,
    "kf_msg_or_event": KfNews,
    "change_external_tag": TagChanged,
}
CONTACT_CHANGES: dict[str, type[ContactEvent]] = {
    "add_external_contact": ContactAdded,
    "add_half_external_contact": ContactAdded,
    "edit_external_contact": ContactEdited,
    "del_external_contact": ContactDeleted,
    "del_follow_user": FollowerDeleted,
    "transfer_fail": TransferFailed,
}


def parse(plain: bytes) -> Callback:
    """Return what a decrypted callback says.

    Raises:
        documents.BadDocument: It is neither XML nor JSON.
    """
    raw = documents.read(plain)
    kinds = _kinds(raw)
    # A third-party application's callback names company and time in another way.
    head = {name: raw[theirs] for name, theirs in (("ToUserName", "AuthCorpId"), ("CreateTime", "TimeStamp")) if theirs in raw}
    known = {**head, **raw, "_external_id": external_id(raw), "is_half": "add_half_external_contact" in kinds}
    try:
        if (wanted := _wanted(kinds)) is not None:
            return msgspec.convert(known, wanted, strict=False)
    except msgspec.ValidationError:
        pass
    return Other(
        corp_id=str(known.get("ToUserName", "")),
        from_user=str(raw.get("FromUserName", "")),
        at=_moment(known.get("CreateTime")),
        agent_id=str(raw.get("AgentID", "")),
        external_id=known["_external_id"],
        kind="/".join(kinds),
        raw=raw,
    )


def external_id(raw: dict[str, Any]) -> str:
    """Return what tells one callback from another, at most 64 characters.

    A message has an id, but two applications may use the same one. An event has none: all that it says is the same when it is repeated.
    """
    told = {name: raw.get(name) for name in ("ToUserName", "AgentID", "FromUserName", "MsgId")} if raw.get("MsgId") else raw
    return documents.digest(told)


def _kinds(raw: dict[str, Any]) -> list[str]:
    # A third-party application's callback names its type InfoType, and has no MsgType.
    names = ("MsgType", "Event", "ChangeType") if raw.get("MsgType") else ("InfoType", "ChangeType")
    return [str(raw[name]) for name in names if raw.get(name)]


def _wanted(kinds: list[str]) -> type[Callback] | None:
    match kinds:
        case [kind]:
            return MESSAGES.get(kind)
        case ["event", "change_external_contact", change] | ["change_external_contact", change]:
            return CONTACT_CHANGES.get(change)
        case ["event", event, *_] | ["change_external_tag" as event, _]:
            return EVENTS.get(event)
    return None


def _moment(value: Any) -> datetime | None:
    try:
        return msgspec.convert(value, datetime, strict=False)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
