"""What `kf/sync_msg` returns: messages of customers and of agents in WeCom, and events.

See https://developer.work.weixin.qq.com/document/path/94670.

Each item is typed by its `msgtype`, and an event by its `event_type`. What is not known, or has fields that do not fit, is an
`OtherItem` with all that was said, so that one item holds back no other.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from routing.wecom import documents


class Origin(IntEnum):
    """Where an item comes from."""

    CUSTOMER = 3
    SYSTEM = 4
    SERVICER = 5  # an agent who writes in WeCom itself


class ServiceState(IntEnum):
    """Where a session stands. Messages can be sent over the API in the first two."""

    NEW = 0
    ASSISTANT = 1  # answered over the API
    WAITING = 2  # in WeCom's own queue
    SERVICER = 3  # an agent answers in WeCom
    ENDED = 4


class FailType(IntEnum):
    """Why a message that was taken did not reach the customer."""

    UNKNOWN = 0
    ACCOUNT_DELETED = 1
    APPLICATION_CLOSED = 2
    EXPIRED = 4  # more than 48 hours since the customer wrote
    SESSION_CLOSED = 5
    QUOTA = 6  # more than five messages
    NOT_VERIFIED = 8
    REFUSED = 10
    NOT_SIGNED_IN = 11
    FORBIDDEN_TYPE = 12

    @classmethod
    def _missing_(cls, value: object) -> "FailType":
        return cls.UNKNOWN


class Item(Struct, frozen=True, kw_only=True):
    """What all items have. `external_id` is the same each time an item is fetched."""

    id: str = field(name="msgid")
    open_kfid: str = ""
    external_user_id: str = field(name="external_userid", default="")
    at: datetime = field(name="send_time")
    origin: int = 0
    servicer: str = field(name="servicer_userid", default="")

    @property
    def external_id(self) -> str:
        """What tells one item of a company from another."""
        return f"{self.open_kfid}:{self.id}"

    @property
    def is_from_customer(self) -> bool:
        """Whether the customer wrote it."""
        return self.origin == Origin.CUSTOMER


class Text(Item, frozen=True, kw_only=True):
    """Text; `menu_id` where the customer chose an entry of a menu that was sent."""

    text: str = field(name="content")
    menu_id: str = ""


class Media(Item, frozen=True, kw_only=True):
    """An image, a recording, a video or a file, to be fetched within three days."""

    kind: str
    media_id: str


class Location(Item, frozen=True, kw_only=True):
    """A place."""

    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Link(Item, frozen=True, kw_only=True):
    """A link."""

    title: str = ""
    text: str = field(name="desc", default="")
    url: str = ""
    picture_url: str = field(name="pic_url", default="")


class BusinessCard(Item, frozen=True, kw_only=True):
    """An employee's card."""

    user_id: str = field(name="userid")


class MiniProgram(Item, frozen=True, kw_only=True):
    """A page of a mini program."""

    app_id: str = field(name="appid", default="")
    title: str = ""
    page_path: str = field(name="pagepath", default="")
    thumbnail_id: str = field(name="thumb_media_id", default="")


class Menu(Item, frozen=True, kw_only=True):
    """A menu as an agent sent it."""

    head: str = field(name="head_content", default="")
    tail: str = field(name="tail_content", default="")
    entries: list[dict[str, Any]] = field(name="list", default_factory=list)


class SessionEntered(Item, frozen=True, kw_only=True):
    """The customer opened the conversation. `welcome_code` is good for one message within 20 s, while no message was exchanged."""

    scene: str = ""
    scene_param: str = ""
    welcome_code: str = ""


class SendFailed(Item, frozen=True, kw_only=True):
    """A message that was taken did not reach the customer."""

    failed_id: str = field(name="fail_msgid", default="")
    fail_type: FailType = FailType.UNKNOWN


class ServicerStatusChanged(Item, frozen=True, kw_only=True):
    """An agent went online in WeCom (1) or away (2)."""

    status: int = 0


class SessionStatusChanged(Item, frozen=True, kw_only=True):
    """A session moved. `change_type`: 1 taken from the queue, 2 handed over, 3 ended, 4 begun again.

    `message_code` is good for one closing text within 20 s.
    """

    change_type: int = 0
    old_servicer: str = field(name="old_servicer_userid", default="")
    new_servicer: str = field(name="new_servicer_userid", default="")
    message_code: str = field(name="msg_code", default="")


class Recalled(Item, frozen=True, kw_only=True):
    """The customer took a message back."""

    recalled_id: str = field(name="recall_msgid")


class OtherItem(Item, frozen=True, kw_only=True):
    """Anything else. `kind` is as in `channels` or `event/user_left`."""

    kind: str
    raw: dict[str, Any]


MESSAGES: dict[str, type[Item]] = {
    "text": Text,
    "image": Media,
    "voice": Media,
    "video": Media,
    "file": Media,
    "location": Location,
    "link": Link,
    "business_card": BusinessCard,
    "miniprogram": MiniProgram,
    "msgmenu": Menu,
}
EVENTS: dict[str, type[Item]] = {
    "enter_session": SessionEntered,
    "msg_send_fail": SendFailed,
    "servicer_status_change": ServicerStatusChanged,
    "session_status_change": SessionStatusChanged,
    "user_recall_msg": Recalled,
}


def parse(raw: Mapping[str, Any], *, open_kfid: str) -> Item:
    """Return an item; `open_kfid`: the account it was fetched for, which some items do not name."""
    kind = str(raw.get("msgtype", ""))
    found = raw.get(kind)
    inner: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    event = str(inner.get("event_type", "")) if kind == "event" else ""
    wanted = EVENTS.get(event) if kind == "event" else MESSAGES.get(kind)
    outer = {name: raw[name] for name in ("msgid", "send_time", "origin", "open_kfid", "external_userid", "servicer_userid") if name in raw}
    fields = {"open_kfid": open_kfid, "kind": kind, **inner, **outer}
    if "fail_type" in fields:
        fields["fail_type"] = FailType(fields["fail_type"])
    if wanted is not None:
        try:
            return msgspec.convert(fields, wanted, strict=False)
        except msgspec.ValidationError:
            pass
    return _other(raw, open_kfid=open_kfid, kind=f"{kind}/{event}" if event else kind)


def _other(raw: Mapping[str, Any], *, open_kfid: str, kind: str) -> OtherItem:
    try:
        at = msgspec.convert(raw.get("send_time", 0), datetime, strict=False)
    except (msgspec.ValidationError, OverflowError):
        at = msgspec.convert(0, datetime, strict=False)
    origin = raw.get("origin")
    return OtherItem(
        id=str(raw.get("msgid") or documents.digest(raw)[:32]),
        open_kfid=str(raw.get("open_kfid") or open_kfid),
        external_user_id=str(raw.get("external_userid", "")),
        at=at,
        origin=origin if isinstance(origin, int) else 0,
        kind=kind,
        raw=dict(raw),
    )
