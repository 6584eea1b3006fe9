import json
from datetime import UTC, datetime
from html import escape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.wecom import callbacks, documents, items
from routing.wecom.items import FailType

AT = datetime(2014, 8, 11, 7, 50, 23, tzinfo=UTC)
STAMP = int(AT.timestamp())
MESSAGE = {"ToUserName": "ww1", "FromUserName": "zhangsan", "CreateTime": STAMP, "MsgId": "1234567890123456", "AgentID": "1"}
EVENT = {"ToUserName": "ww1", "FromUserName": "sys", "CreateTime": STAMP, "MsgType": "event"}
CONTACT = {**EVENT, "Event": "change_external_contact", "UserID": "zhangsan", "ExternalUserID": "wm1"}


def xml(fields: dict[str, Any]) -> bytes:
    return ("<xml>" + "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items()) + "</xml>").encode()


@pytest.mark.parametrize(
    ("fields", "kind", "told"),
    [
        (
            {**MESSAGE, "MsgType": "text", "Content": "你好 <b>&"},
            callbacks.AppText,
            {"text": "你好 <b>&", "from_user": "zhangsan", "agent_id": "1"},
        ),
        ({**MESSAGE, "MsgType": "text", "Content": ""}, callbacks.AppText, {"text": ""}),
        ({**MESSAGE, "MsgType": "image", "MediaId": "m", "PicUrl": "https://x"}, callbacks.AppMedia, {"kind": "image", "media_id": "m"}),
        ({**MESSAGE, "MsgType": "voice", "MediaId": "m", "Format": "amr"}, callbacks.AppMedia, {"kind": "voice", "format": "amr"}),
        ({**MESSAGE, "MsgType": "file", "MediaId": "m", "FileName": "报价.pdf"}, callbacks.AppMedia, {"file_name": "报价.pdf"}),
        ({**MESSAGE, "MsgType": "location", "Location_X": "23.13", "Location_Y": "113.3"}, callbacks.AppLocation, {"latitude": 23.13}),
        ({**MESSAGE, "MsgType": "link", "Title": "t", "Url": "https://x"}, callbacks.AppLink, {"title": "t", "url": "https://x"}),
        ({**EVENT, "Event": "enter_agent", "AgentID": "1"}, callbacks.AppEntered, {"at": AT}),
        ({**EVENT, "Event": "kf_msg_or_event", "Token": "ENC", "OpenKfId": "wk1"}, callbacks.KfNews, {"token": "ENC", "open_kfid": "wk1"}),
        (
            {**CONTACT, "ChangeType": "add_external_contact", "State": "shop-7", "WelcomeCode": "w"},
            callbacks.ContactAdded,
            {"state": "shop-7", "welcome_code": "w", "external_user_id": "wm1", "user_id": "zhangsan", "is_half": False},
        ),
        ({**CONTACT, "ChangeType": "add_half_external_contact"}, callbacks.ContactAdded, {"is_half": True, "welcome_code": ""}),
        ({**CONTACT, "ChangeType": "edit_external_contact"}, callbacks.ContactEdited, {"external_user_id": "wm1"}),
        (
            {**CONTACT, "ChangeType": "del_external_contact", "Source": "DELETE_BY_TRANSFER"},
            callbacks.ContactDeleted,
            {"source": "DELETE_BY_TRANSFER"},
        ),
        (
            {
                "AuthCorpId": "ww1",
                "InfoType": "change_external_contact",
                "TimeStamp": STAMP,
                "ChangeType": "del_follow_user",
                "UserID": "lisi",
                "ExternalUserID": "wm1",
            },
            callbacks.FollowerDeleted,
            {"user_id": "lisi"},
        ),
        ({**CONTACT, "ChangeType": "del_follow_user"}, callbacks.FollowerDeleted, {"user_id": "zhangsan"}),
        (
            {**CONTACT, "ChangeType": "transfer_fail", "FailReason": "customer_refused"},
            callbacks.TransferFailed,
            {"reason": "customer_refused"},
        ),
        (
            {**EVENT, "Event": "change_external_tag", "ChangeType": "delete", "Id": "et1", "TagType": "tag"},
            callbacks.TagChanged,
            {"change": "delete", "id": "et1", "tag_type": "tag"},
        ),
    ],
)
def test_each_callback_has_its_type(fields: dict[str, Any], kind: type, told: dict[str, Any]) -> None:
    found = callbacks.parse(xml(fields))
    assert type(found) is kind
    assert {name: getattr(found, name) for name in told} == told
    assert (found.corp_id, found.at) == ("ww1", AT)
    assert callbacks.parse(json.dumps(fields).encode()).external_id != ""


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({**EVENT, "Event": "change_external_chat", "ChangeType": "update", "ChatId": "c"}, "event/change_external_chat/update"),
        ({**MESSAGE, "MsgType": "hologram"}, "hologram"),
        ({**MESSAGE, "MsgType": "image"}, "image"),  # without its file
        ({**CONTACT, "ChangeType": "transfer_fail", "CreateTime": "soon"}, "event/change_external_contact/transfer_fail"),
        ({"Anything": "else"}, ""),
    ],
)
def test_what_is_not_known_is_kept_as_it_came(fields: dict[str, Any], kind: str) -> None:
    found = callbacks.parse(xml(fields))
    assert isinstance(found, callbacks.Other)
    assert found.kind == kind
    assert found.raw == {name: str(value) for name, value in fields.items()}


def test_a_repetition_has_the_same_id_and_another_message_or_application_has_not() -> None:
    text = {**MESSAGE, "MsgType": "text", "Content": "a"}
    others = [{**text, "MsgId": "2"}, {**text, "AgentID": "2"}, {**text, "FromUserName": "lisi"}]
    assert callbacks.parse(xml(text)).external_id == callbacks.parse(xml({**text, "CreateTime": STAMP + 5})).external_id
    assert len({callbacks.parse(xml(one)).external_id for one in [text, *others]}) == 4
    news = {**EVENT, "Event": "kf_msg_or_event", "Token": "ENC", "OpenKfId": "wk1"}
    assert callbacks.parse(xml(news)).external_id == callbacks.parse(xml(news)).external_id
    assert callbacks.parse(xml(news)).external_id != callbacks.parse(xml({**news, "Token": "ENC2"})).external_id


ITEM = {"msgid": "m1", "open_kfid": "wk1", "external_userid": "wm1", "send_time": STAMP, "origin": 3}


@pytest.mark.parametrize(
    ("kind", "content", "shape", "told"),
    [
        ("text", {"content": "你好", "menu_id": "1"}, items.Text, {"text": "你好", "menu_id": "1", "is_from_customer": True}),
        ("image", {"media_id": "f"}, items.Media, {"kind": "image", "media_id": "f"}),
        ("voice", {"media_id": "f"}, items.Media, {"kind": "voice"}),
        ("video", {"media_id": "f"}, items.Media, {"kind": "video"}),
        ("file", {"media_id": "f"}, items.Media, {"kind": "file"}),
        ("location", {"latitude": 23.1, "longitude": 113.3, "name": "n", "address": "a"}, items.Location, {"latitude": 23.1, "name": "n"}),
        ("link", {"title": "t", "desc": "d", "url": "u", "pic_url": "p"}, items.Link, {"text": "d", "picture_url": "p"}),
        ("business_card", {"userid": "lisi"}, items.BusinessCard, {"user_id": "lisi"}),
        (
            "miniprogram",
            {"title": "t", "appid": "a", "pagepath": "p", "thumb_media_id": "x"},
            items.MiniProgram,
            {"app_id": "a", "page_path": "p"},
        ),
        ("msgmenu", {"head_content": "h", "list": [{"type": "click"}], "tail_content": "e"}, items.Menu, {"head": "h", "tail": "e"}),
    ],
)
def test_each_message_of_a_customer_has_its_type(kind: str, content: dict[str, Any], shape: type, told: dict[str, Any]) -> None:
    found = items.parse({**ITEM, "msgtype": kind, kind: content}, open_kfid="wk1")
    assert type(found) is shape
    assert {name: getattr(found, name) for name in told} == told
    assert (found.at, found.external_id, found.external_user_id) == (AT, "wk1:m1", "wm1")


@pytest.mark.parametrize(
    ("event", "shape", "told"),
    [
        (
            {"event_type": "enter_session", "scene": "123", "scene_param": "abc", "welcome_code": "w"},
            items.SessionEntered,
            {"scene": "123", "scene_param": "abc", "welcome_code": "w"},
        ),
        (
            {"event_type": "msg_send_fail", "fail_msgid": "x", "fail_type": 4},
            items.SendFailed,
            {"failed_id": "x", "fail_type": FailType.EXPIRED},
        ),
        ({"event_type": "msg_send_fail", "fail_msgid": "x", "fail_type": 99}, items.SendFailed, {"fail_type": FailType.UNKNOWN}),
        (
            {"event_type": "servicer_status_change", "servicer_userid": "lisi", "status": 2},
            items.ServicerStatusChanged,
            {"servicer": "lisi", "status": 2},
        ),
        (
            {
                "event_type": "session_status_change",
                "change_type": 3,
                "old_servicer_userid": "a",
                "new_servicer_userid": "b",
                "msg_code": "c",
            },
            items.SessionStatusChanged,
            {"change_type": 3, "old_servicer": "a", "new_servicer": "b", "message_code": "c"},
        ),
        ({"event_type": "user_recall_msg", "recall_msgid": "m0"}, items.Recalled, {"recalled_id": "m0"}),
    ],
)
def test_each_event_of_a_session_has_its_type(event: dict[str, Any], shape: type, told: dict[str, Any]) -> None:
    inner = {"open_kfid": "wk1", "external_userid": "wm1", **event}
    found = items.parse({"msgid": "m1", "send_time": STAMP, "origin": 4, "msgtype": "event", "event": inner}, open_kfid="wk1")
    assert type(found) is shape
    assert {name: getattr(found, name) for name in told} == told
    assert (found.open_kfid, found.external_user_id, found.is_from_customer) == ("wk1", "wm1", False)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({**ITEM, "msgtype": "channels", "channels": {"sub_type": 1}}, "channels"),
        ({**ITEM, "msgtype": "event", "event": {"event_type": "user_left"}}, "event/user_left"),
        ({**ITEM, "msgtype": "text", "text": "not an object"}, "text"),
        ({"msgtype": "text", "text": {"content": "without an id"}}, "text"),
    ],
)
def test_an_item_that_is_not_known_is_kept_as_it_came(raw: dict[str, Any], kind: str) -> None:
    found = items.parse(raw, open_kfid="wk1")
    assert isinstance(found, items.OtherItem)
    assert (found.kind, found.raw, found.open_kfid) == (kind, raw, "wk1")
    assert len(found.external_id) > len("wk1:")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2), max_leaves=3
)


@given(
    st.dictionaries(st.sampled_from([*ITEM, "msgtype", "text", "event"]), JSON | st.sampled_from(["text", "event"])),
    st.dictionaries(
        st.sampled_from([*CONTACT, "ChangeType", "MsgId", "Content", "AgentID"]), JSON | st.sampled_from(["text", "event", "transfer_fail"])
    ),
)
@settings(max_examples=40)
def test_no_form_of_an_item_or_a_callback_is_a_fault(item: dict[str, Any], callback: dict[str, Any]) -> None:
    assert isinstance(items.parse(item, open_kfid="wk1"), items.Item)
    assert isinstance(callbacks.parse(json.dumps(callback).encode()), callbacks.Callback)


def test_elements_within_others_and_repeated_ones_are_kept() -> None:
    body = b"<xml><A><B>1</B><B>2</B><C/></A><D> x </D></xml>"
    assert documents.read(body) == {"A": {"B": ["1", "2"], "C": ""}, "D": " x "}
