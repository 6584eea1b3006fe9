"""The calls to WeCom that are used, each a method (https://developer.work.weixin.qq.com/document/path/90664).

    client = Client(Credentials(corp_id=…, secret=…))
    page = client.sync_messages(open_kfid=kf, cursor=kept, token=from_callback)
    client.send_text(open_kfid=kf, external_user_id=customer, text="您好", message_id=reply.id.hex)

Every method raises `WeComError`; its `cure` tells what helps. Applications, 微信客服 and 客户联系 may each have a secret of their own.
"""

from collections.abc import Iterable, Sequence
from email.message import Message
from typing import Any, Literal

from urllib3 import encode_multipart_formdata

from routing.wecom import answers, items
from routing.wecom.calls import MEDIA_SECONDS, Caller, Request, shaped
from routing.wecom.errors import WeComError

#: Limits of 微信客服 (https://developer.work.weixin.qq.com/document/path/94677).
REPLIES = 5
REPLY_WINDOW_SECONDS = 48 * 3600
TEXT_BYTES = 2_048
#: A welcome code, and the code of an event that a text may answer.
WELCOME_SECONDS = 20
SYNC_LIMIT = 1_000
BATCH = 100  # customers of one `customers`
MEDIA_BYTES = 20 << 20

MediaKind = Literal["image", "voice", "video", "file"]
#: What may be uploaded (https://developer.work.weixin.qq.com/document/path/90253): a larger picture or film can go as a file.
LEAST_UPLOAD_BYTES = 6
UPLOAD_BYTES: dict[MediaKind, int] = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": MEDIA_BYTES}


class Client(Caller):
    """WeCom, as one application sees it."""

    # 微信客服

    def sync_messages(self, *, open_kfid: str, cursor: str = "", token: str = "", limit: int = SYNC_LIMIT) -> answers.SyncPage:
        """Return the next items of an account after `cursor`. `token`: the callback's; without one WeCom allows few calls."""
        given = {name: value for name, value in (("cursor", cursor), ("token", token)) if value}
        found = self.post("kf/sync_msg", open_kfid=open_kfid, limit=limit, voice_format=0, **given)
        listed = found.get("msg_list")
        return answers.SyncPage(
            items=tuple(items.parse(raw, open_kfid=open_kfid) for raw in _objects(listed)),
            cursor=str(found.get("next_cursor") or cursor),
            has_more=bool(found.get("has_more")) and found.get("next_cursor", "") not in ("", cursor),
        )

    def send_text(self, *, open_kfid: str, external_user_id: str, text: str, message_id: str) -> str:
        """Send a text to a customer and return WeCom's id of it.

        `message_id`: up to 32 letters, digits, _ and -. WeCom returns it with the events of this message, but does not promise to
        take it only once.
        """
        return self._send(open_kfid, external_user_id, message_id, "text", {"content": text})

    def send_media(self, *, open_kfid: str, external_user_id: str, kind: MediaKind, media_id: str, message_id: str) -> str:
        """Send an uploaded file to a customer and return WeCom's id of the message."""
        return self._send(open_kfid, external_user_id, message_id, kind, {"media_id": media_id})

    def answer_event(self, *, code: str, text: str, message_id: str) -> None:
        """Answer an event of a session with a text: the welcome on entering, or the last words. Once, and within 20 s."""
        self.post("kf/send_msg_on_event", code=code, msgid=message_id, msgtype="text", text={"content": text})

    def session(self, *, open_kfid: str, external_user_id: str) -> answers.Session:
        """Return where a customer's session stands."""
        name = "kf/service_state/get"
        return shaped(name, self.post(name, open_kfid=open_kfid, external_userid=external_user_id), answers.Session)

    def move_session(self, *, open_kfid: str, external_user_id: str, state: items.ServiceState, servicer: str = "") -> str:
        """Move a session and return the code that a closing text can be sent with, if there is one."""
        to = {"servicer_userid": servicer} if servicer else {}
        moved = self.post("kf/service_state/trans", open_kfid=open_kfid, external_userid=external_user_id, service_state=int(state), **to)
        return str(moved.get("msg_code", ""))

    def accounts(self) -> list[answers.KfAccount]:
        """Return all accounts that the application sees."""
        name, found = "kf/account/list", list[answers.KfAccount]()
        while True:
            page = shaped(name, self.post(name, offset=len(found), limit=100).get("account_list", []), list[answers.KfAccount])
            found += page
            if len(page) < 100:
                return found

    def servicers(self, *, open_kfid: str) -> list[answers.Servicer]:
        """Return the agents of an account."""
        name = "kf/servicer/list"
        return shaped(name, self.get(name, open_kfid=open_kfid).get("servicer_list", []), list[answers.Servicer])

    def customers(self, *, external_user_ids: Sequence[str]) -> list[answers.KfCustomer]:
        """Return up to a hundred customers of 微信客服; those that WeCom does not know are left out."""
        name = "kf/customer/batchget"
        found = self.post(name, external_userid_list=list(external_user_ids[:BATCH]), need_enter_session_context=0)
        return shaped(name, found.get("customer_list", []), list[answers.KfCustomer])

    # Files

    def upload(self, *, kind: MediaKind, file_name: str, content: bytes, content_type: str) -> str:
        """Upload a file and return its media id, which is good for three days."""
        body, form = encode_multipart_formdata({"media": (file_name, content, content_type)})
        request = Request("media/upload", query={"type": kind}, headers={"Content-Type": form}, body=body, seconds=MEDIA_SECONDS)
        return str(self.answer(request).get("media_id", ""))

    def download(self, *, media_id: str, max_bytes: int = MEDIA_BYTES) -> answers.Media:
        """Return a file that a customer or an employee sent."""
        request = Request("media/get", method="GET", query={"media_id": media_id}, max_bytes=max_bytes, seconds=MEDIA_SECONDS)
        response = self.content(request)
        if response.truncated:
            raise WeComError(request.name, 40006, f"The file has more than {max_bytes} bytes.")
        kind = response.headers.get("Content-Type", "")
        return answers.Media(
            content=response.body, content_type=kind, file_name=_file_name(response.headers.get("Content-Disposition", ""))
        )

    # 客户联系

    def contact(self, *, external_user_id: str) -> answers.Contact:
        """Return a customer with all followers."""
        name, cursor, followers = "externalcontact/get", "", list[answers.Follower]()
        while True:
            found = self.get(name, external_userid=external_user_id, **({"cursor": cursor} if cursor else {}))
            followers += shaped(name, found.get("follow_user", []), list[answers.Follower])
            cursor = str(found.get("next_cursor", ""))
            if not cursor:
                profile = shaped(name, found.get("external_contact"), answers.ContactProfile)
                return answers.Contact(profile=profile, followers=tuple(followers))

    def followers(self) -> list[str]:
        """Return the employees who may add customers."""
        name = "externalcontact/get_follow_user_list"
        return shaped(name, self.get(name).get("follow_user", []), list[str])

    def contacts_of(self, *, user_id: str) -> list[str]:
        """Return the external ids of an employee's customers; none where there are none."""
        name = "externalcontact/list"
        try:
            return shaped(name, self.get(name, userid=user_id).get("external_userid", []), list[str])
        except WeComError as error:
            if error.code == 84061:  # has no customers
                return []
            raise

    def add_contact_way(self, *, user_ids: Sequence[str], state: str, remark: str = "", skip_verify: bool = True) -> answers.ContactWay:
        """Make a QR code by which customers add one of the employees. `state`: up to 30 characters, told with the event."""
        name = "externalcontact/add_contact_way"
        kind = 1 if len(user_ids) == 1 else 2
        made = self.post(name, type=kind, scene=2, remark=remark, skip_verify=skip_verify, state=state, user=list(user_ids))
        return shaped(name, made, answers.ContactWay)

    def update_contact_way(
        self, config_id: str, user_ids: Sequence[str], *, state: str, remark: str = "", skip_verify: bool = True
    ) -> None:
        """Change what a QR code leads to."""
        name = "externalcontact/update_contact_way"
        self.post(name, config_id=config_id, remark=remark, skip_verify=skip_verify, state=state, user=list(user_ids))

    def delete_contact_way(self, *, config_id: str) -> None:
        """Delete a QR code; one that is scanned later leads nowhere."""
        self.post("externalcontact/del_contact_way", config_id=config_id)

    def welcome(self, *, welcome_code: str, text: str, attachments: Iterable[answers.Attachment] = ()) -> None:
        """Welcome a customer who was added: once for each code, within 20 s of the event."""
        said: dict[str, Any] = {"text": {"content": text}} if text else {}
        self.post("externalcontact/send_welcome_msg", welcome_code=welcome_code, attachments=list(attachments), **said)

    def tags(self) -> list[answers.TagGroup]:
        """Return the company's tags in their groups."""
        name = "externalcontact/get_corp_tag_list"
        return shaped(name, self.post(name).get("tag_group", []), list[answers.TagGroup])

    # Applications

    def send_to_employees(self, *, agent_id: int, user_ids: Sequence[str], text: str) -> answers.AppSent:
        """Send a text of an application to employees; those that do not exist or do not see the application are returned."""
        name = "message/send"
        sent = self.post(name, touser="|".join(user_ids), agentid=agent_id, msgtype="text", text={"content": text})
        return shaped(name, sent, answers.AppSent)

    def _send(self, open_kfid: str, external_user_id: str, message_id: str, kind: str, content: dict[str, str]) -> str:
        body = {"touser": external_user_id, "open_kfid": open_kfid, "msgid": message_id, "msgtype": kind, kind: content}
        return str(self.post("kf/send_msg", **body).get("msgid") or message_id)


def _objects(listed: Any) -> list[dict[str, Any]]:
    return [raw for raw in listed if isinstance(raw, dict)] if isinstance(listed, list) else []


def _file_name(disposition: str) -> str:
    head = Message()
    head["Content-Disposition"] = disposition.encode("latin-1", "replace").decode("utf-8", "replace")  # a Chinese name comes as it is
    return head.get_filename() or ""
