"""Shapes of what the calls return. Fields that are not used here are left out."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from routing.wecom.items import Item, ServiceState


class SyncPage(Struct, frozen=True, kw_only=True):
    """A page of items of a 微信客服 account. A page may be empty while there is more; `cursor` is kept once the items are."""

    items: tuple[Item, ...]
    cursor: str
    has_more: bool


class Session(Struct, frozen=True, kw_only=True):
    """Where a customer's session stands, and with which agent in WeCom."""

    state: ServiceState = field(name="service_state")
    servicer: str = field(name="servicer_userid", default="")


class KfAccount(Struct, frozen=True, kw_only=True):
    """A 微信客服 account. `can_manage`: the application may send and move sessions for it."""

    open_kfid: str
    name: str = ""
    avatar: str = ""
    can_manage: bool = field(name="manage_privilege", default=True)


class Servicer(Struct, frozen=True, kw_only=True):
    """An agent of a 微信客服 account. `status`: 0 online, 1 away."""

    user_id: str = field(name="userid", default="")
    status: int = 0


class KfCustomer(Struct, frozen=True, kw_only=True):
    """A customer of 微信客服."""

    external_user_id: str = field(name="external_userid")
    name: str = field(name="nickname", default="")
    avatar: str = ""
    gender: int = 0
    union_id: str = field(name="unionid", default="")


class FollowerTag(Struct, frozen=True, kw_only=True):
    """A tag as an employee gave it to a customer; `type` 1 is a tag of the company and has an id, 2 one of the employee's own."""

    group: str = field(name="group_name", default="")
    name: str = field(name="tag_name", default="")
    id: str = field(name="tag_id", default="")
    type: int = 1


class Follower(Struct, frozen=True, kw_only=True):
    """An employee who has added a customer, and what is noted there."""

    user_id: str = field(name="userid")
    remark: str = ""
    description: str = ""
    since: datetime | None = field(name="createtime", default=None)
    tags: list[FollowerTag] = field(default_factory=list)
    mobiles: list[str] = field(name="remark_mobiles", default_factory=list)
    state: str = ""
    add_way: int = 0


class ContactProfile(Struct, frozen=True, kw_only=True):
    """A customer of 客户联系. `type`: 1 uses WeChat, 2 WeCom."""

    external_user_id: str = field(name="external_userid")
    name: str = ""
    avatar: str = ""
    type: int = 1
    gender: int = 0
    union_id: str = field(name="unionid", default="")
    corp_name: str = ""


class Contact(Struct, frozen=True, kw_only=True):
    """A customer of 客户联系 with all who follow."""

    profile: ContactProfile
    followers: tuple[Follower, ...]


class ContactWay(Struct, frozen=True, kw_only=True):
    """A QR code or link by which customers add an employee. WeCom's console does not show it: keep `config_id`."""

    config_id: str
    qr_code: str = ""


class Tag(Struct, frozen=True, kw_only=True):
    """A company's tag."""

    id: str
    name: str = ""
    order: int = 0


class TagGroup(Struct, frozen=True, kw_only=True):
    """A group of a company's tags."""

    id: str = field(name="group_id")
    name: str = field(name="group_name", default="")
    tags: list[Tag] = field(name="tag", default_factory=list)


class AppSent(Struct, frozen=True, kw_only=True):
    """A message of an application. `not_reached`: the employees it did not go to, separated by `|`."""

    id: str = field(name="msgid", default="")
    not_reached: str = field(name="invaliduser", default="")


class Media(Struct, frozen=True, kw_only=True):
    """A file that was fetched. `content_type` is what WeCom says, not what it is."""

    content: bytes
    content_type: str = ""
    file_name: str = ""


#: An attachment of a welcome message, as WeCom takes it: `{"msgtype": "link", "link": {"title": …, "url": …}}`.
Attachment = dict[str, Any]
