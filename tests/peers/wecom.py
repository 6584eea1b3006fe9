"""A WeCom server: it hands out access tokens, keeps messages of customers, takes replies, and calls back encrypted.

In a test:

    with WeCom() as wecom:
        wecom.customer_writes("我的包裹在哪里?", notify="http://127.0.0.1:8000/…")
        ...
        assert [said.text for said in wecom.sent] == ["已发货"]

As a process: `python -m tests.peers.wecom --port 8098 --callback http://127.0.0.1:8000/…`. `POST /control/NAME` calls a method of
`WeCom` named in `CONTROLS` with the fields of the JSON body, and `GET /control/state` tells what happened.

What it keeps to, as WeCom does: a token is good for two hours, and asking again gives the same one; at most five replies to a customer
within 48 h of the last message, and none while an agent answers in WeCom; pages with a cursor for each account, some of them empty;
the token of a callback is good for ten minutes, a welcome code for 20 s and one message. `advance` moves its clock. `answer_error` answers
error codes on demand; what `Gateway` does (no answer, cut connections) is scripted as there.
"""

import argparse
import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qs

from tests.peers.gateway import Answer, Gateway
from tests.peers.wecom_callbacks import Caller

CORP_ID = "ww1436e0e65a779aee"
SECRET = "kf-secret-0123456789abcdefghijklmnopqrstuvw"
TOKEN = "hJqcu3uJ9Tn2gXPmxx2w9kkCkCE2EPYo"
AES_KEY = "6qkdMrq68nTKduznJYO1A37W2oEgpkMUvkttRToqhUt"
KF = "wkAJ2GCAAASSm4_FhToWMFea0xAFfd3Q"
CUSTOMER = "wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw"
AGENT = "zhangsan"
TOKEN_SECONDS = 7_200
SYNC_TOKEN_SECONDS = 600
WELCOME_SECONDS = 20
WINDOW_SECONDS = 48 * 3_600
REPLIES = 5
NEW, ASSISTANT, WAITING, SERVICER, ENDED = range(5)
MOVES = {NEW: {1, 2, 3, 4}, ASSISTANT: {2, 3, 4}, WAITING: {3, 4}, SERVICER: {3, 4}, ENDED: set[int]()}
TAKEN = {"image": ("image/png", "image/jpeg"), "video": ("video/mp4",)}
CONTROLS = {"advance", "answer_error", "contact_event", "customer_enters", "customer_writes", "employee_writes", "expire_tokens", "verify"}


class Refused(Exception):
    """An answer with an error code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass
class Session:
    """A customer's conversation with an account."""

    state: int = ENDED
    servicer: str = ""
    wrote_at: float = 0.0
    replies: int = 0


@dataclass(frozen=True)
class Sent:
    """A message that the product sent."""

    to: str
    kind: str
    text: str
    id: str
    call: str
    body: dict[str, Any] = field(default_factory=dict)


class WeCom(Gateway):
    """The server, in a thread of its own. Its methods may be called from any."""

    def __init__(self, *, callback: str = "", corp_id: str = CORP_ID, secrets: tuple[str, ...] = (SECRET,), **options: Any) -> None:
        super().__init__(**options)
        self.corp_id, self.known_secrets = corp_id, secrets
        self.caller = Caller(token=TOKEN, aes_key=AES_KEY, corp_id=corp_id, address=callback)
        self.lock = threading.RLock()
        self.offset = 0.0
        self.tokens: dict[str, tuple[str, float]] = {}  # token → secret and end
        self.handed_out: Counter[str] = Counter()  # secret → new tokens
        self.calls: Counter[str] = Counter()
        self.messages: dict[str, list[dict[str, Any]]] = {KF: []}
        self.sync_tokens: dict[str, float] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.sent: list[Sent] = []
        self.media: dict[str, tuple[str, str, bytes]] = {}
        self.codes: dict[str, float] = {}  # welcome codes and codes of events, and until when they are good
        self.ways: dict[str, dict[str, Any]] = {}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.tag_groups: list[dict[str, Any]] = [
            {"group_id": "etG1", "group_name": "级别", "tag": [{"id": "etVIP", "name": "VIP", "order": 1}]},
        ]
        self.is_next_page_empty = False
        self._refusals: dict[str, list[int]] = {}
        self._number = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    # Control.

    def now(self) -> float:
        """Return the time by this server's clock."""
        return time.time() + self.offset

    def advance(self, *, seconds: float) -> None:
        """Move the clock."""
        self.offset += seconds

    def expire_tokens(self) -> None:
        """Let no access token be good any more."""
        with self.lock:
            self.tokens = {token: (secret, 0.0) for token, (secret, _) in self.tokens.items()}

    def answer_error(self, *, call: str, code: int, times: int = 1) -> None:
        """Answer the next calls of a name, as `kf/send_msg`, with an error code."""
        with self.lock:
            self._refusals.setdefault(call, []).extend([code] * times)

    def customer_writes(
        self, text: str = "", *, user: str = CUSTOMER, open_kfid: str = KF, notify: str | bool = False, **content: Any
    ) -> dict[str, Any]:
        """Let a customer write a text, or send `content` as in `kind="image", media_id="…"`; `notify`: call back."""
        kind = content.pop("kind", "text")
        with self.lock:
            session = self.sessions.setdefault((open_kfid, user), Session())
            session.wrote_at, session.replies = self.now(), 0
            if session.state == ENDED:
                session.state = NEW
            item = self.add(kind, content or {"content": text}, user=user, open_kfid=open_kfid)
        if notify:
            self.notify(open_kfid=open_kfid, address=notify if isinstance(notify, str) else "")
        return item

    def customer_enters(self, *, user: str = CUSTOMER, open_kfid: str = KF, scene: str = "", scene_param: str = "") -> str:
        """Let a customer open the conversation, and return the welcome code."""
        code = self.new_code()
        event = {"event_type": "enter_session", "open_kfid": open_kfid, "external_userid": user, "scene": scene, "scene_param": scene_param}
        self.add("event", {**event, "welcome_code": code}, user="", open_kfid=open_kfid, origin=4)
        return code

    def add(self, kind: str, content: dict[str, Any], *, user: str, open_kfid: str = KF, origin: int = 3) -> dict[str, Any]:
        """Put an item where `sync_msg` finds it."""
        with self.lock:
            whose = {"open_kfid": open_kfid, "external_userid": user} if user else {}
            item = {"msgid": self._next("m"), **whose, "send_time": int(self.now()), "origin": origin, "msgtype": kind, kind: content}
            self.messages.setdefault(open_kfid, []).append(item)
            return item

    def notify(self, *, open_kfid: str = KF, address: str = "", times: int = 1) -> list[int]:
        """Say that there is something to fetch, and return the statuses of the answers; `times`: however it was answered."""
        return self.caller.send(self.kf_event(open_kfid=open_kfid), address=address, times=times)

    def kf_event(self, *, open_kfid: str = KF) -> dict[str, str]:
        """Return the fields of a callback that says that there is something to fetch."""
        with self.lock:
            token = self._next("ENC")
            self.sync_tokens[token] = self.now() + SYNC_TOKEN_SECONDS
        return self._event("kf_msg_or_event", Token=token, OpenKfId=open_kfid)

    def contact_event(
        self, change: str, *, user: str = CUSTOMER, employee: str = AGENT, state: str = "", address: str = "", times: int = 1, **more: str
    ) -> dict[str, str]:
        """Call back with a change of 客户联系, which happens here too, and return its fields."""
        fields = {"ChangeType": change, "UserID": employee, "ExternalUserID": user, **({"State": state} if state else {}), **more}
        with self.lock:
            if change in ("add_external_contact", "add_half_external_contact"):
                fields["WelcomeCode"] = self.new_code()
                self.follow(user=user, employee=employee, state=state)
            elif change in ("del_external_contact", "del_follow_user") and user in self.contacts:
                left = [one for one in self.contacts[user]["follow_user"] if one["userid"] != employee]
                self.contacts[user]["follow_user"] = left
        event = self._event("change_external_contact", **fields)
        self.caller.send(event, address=address, times=times)
        return event

    def employee_writes(self, text: str, *, employee: str = AGENT, agent_id: int = 1000002, address: str = "", times: int = 1) -> list[int]:
        """Call back with a text that an employee wrote to an application."""
        with self.lock:
            self._number += 1
            number = self._number
        fields = {"ToUserName": self.corp_id, "FromUserName": employee, "CreateTime": str(int(self.now())), "MsgType": "text"}
        return self.caller.send(
            {**fields, "Content": text, "MsgId": str(10**15 + number), "AgentID": str(agent_id)}, address=address, times=times
        )

    def verify(self, *, address: str = "") -> bool:
        """Check an address as WeCom does when it is saved in the admin console."""
        return self.caller.verify(address=address)

    def follow(self, *, user: str = CUSTOMER, employee: str = AGENT, state: str = "", tags: tuple[str, ...] = ()) -> None:
        """Let an employee have a customer."""
        with self.lock:
            contact = self.contacts.setdefault(
                user, {"external_contact": {"external_userid": user, "name": "李四", "type": 1}, "follow_user": []}
            )
            given = [{"group_name": "级别", "tag_name": name, "tag_id": f"et{name}", "type": 1} for name in tags]
            others = [one for one in contact["follow_user"] if one["userid"] != employee]
            one = {"userid": employee, "createtime": int(self.now()), "state": state, "tags": given, "remark_mobiles": []}
            contact["follow_user"] = [*others, one]

    def new_code(self) -> str:
        """Return a code that a welcome can be sent with, once and soon."""
        with self.lock:
            code = self._next("CODE")
            self.codes[code] = self.now() + WELCOME_SECONDS
            return code

    def _event(self, event: str, **fields: str) -> dict[str, str]:
        head = {"ToUserName": self.corp_id, "FromUserName": "sys", "CreateTime": str(int(self.now())), "MsgType": "event", "Event": event}
        return {**head, **fields}

    def _next(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number:08d}"

    # Answering, in the server's thread.

    def handle(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        path, _, query = target.partition("?")
        if path.startswith("/control/"):
            return self._control(path.removeprefix("/control/"), content)
        name = path.removeprefix("/cgi-bin/")
        given = {key: values[0] for key, values in parse_qs(query).items()}
        scripted = self._script.popleft() if self._script else Answer(delay_ms=self.latency_ms)
        with self.lock:
            self.calls[name] += 1
            if not scripted.takes() or scripted.body is not None:
                return scripted
            try:
                said = self._said(name, given, headers, content)
            except Refused as refused:
                said = {"errcode": refused.code, "errmsg": f"{refused.text}, hint: [{self._next('')}], from ip: 127.0.0.1"}
        if isinstance(said, Answer):
            return said
        body = {"errcode": 0, "errmsg": "ok", **said}
        return Answer(scripted.status, body, scripted.headers, scripted.delay_ms, scripted.action, scripted.taken)

    def _said(self, name: str, given: dict[str, str], headers: dict[str, str], content: bytes) -> dict[str, Any] | Answer:
        if codes := self._refusals.get(name):
            raise Refused(codes.pop(0), "refused on demand")
        if name == "gettoken":
            return self._new_token(given)
        _secret, ends_at = self.tokens.get(given.get("access_token", ""), ("", -1.0))
        if ends_at < 0:
            raise Refused(40014, "invalid access_token")
        if ends_at <= self.now():
            raise Refused(42001, "access_token expired")
        if name == "media/upload":
            return self._upload(given["type"], headers, content)
        method = getattr(self, "do_" + name.replace("/", "_"), None)
        if method is None:
            raise Refused(40066, "invalid url")
        answer: dict[str, Any] | Answer = method({**given, **(json.loads(content) if content else {})})
        return answer

    def _new_token(self, given: dict[str, str]) -> dict[str, Any]:
        secret = given.get("corpsecret", "")
        if given.get("corpid") != self.corp_id:
            raise Refused(40013, "invalid corpid")
        if secret not in self.known_secrets:
            raise Refused(40001, "invalid credential")
        for token, (owner, ends_at) in self.tokens.items():
            if owner == secret and ends_at > self.now():
                return {"access_token": token, "expires_in": int(ends_at - self.now())}
        token = self._next("access-token-of-the-test-server-")
        self.tokens[token] = secret, self.now() + TOKEN_SECONDS
        self.handed_out[secret] += 1
        return {"access_token": token, "expires_in": TOKEN_SECONDS}

    def do_kf_sync_msg(self, body: dict[str, Any]) -> dict[str, Any]:
        open_kfid = body.get("open_kfid", KF)
        if open_kfid not in self.messages:
            raise Refused(95000, "invalid open_kfid")
        if body.get("token") and self.sync_tokens.get(body["token"], 0.0) <= self.now():
            raise Refused(95007, "invalid msg token")
        owner, _, place = str(body.get("cursor", "")).partition("#")
        if owner not in ("", open_kfid):
            raise Refused(40058, "invalid cursor")
        begin, limit, kept = int(place.partition("#")[0] or 0), int(body.get("limit", 1_000)), self.messages[open_kfid]
        if self.is_next_page_empty:
            self.is_next_page_empty, limit = False, 0
        page = kept[begin : begin + limit]
        end = begin + len(page)
        return {"next_cursor": f"{open_kfid}#{end}#{self._next('')}", "has_more": int(end < len(kept)), "msg_list": page}

    def do_kf_send_msg(self, body: dict[str, Any]) -> dict[str, Any]:
        session = self.sessions.get((body["open_kfid"], body["touser"]))
        if body["open_kfid"] not in self.messages:
            raise Refused(95000, "invalid open_kfid")
        if session is None or session.state == ENDED:
            raise Refused(95013, "conversation is end")
        if session.state not in (NEW, ASSISTANT):
            raise Refused(95018, "send msg session status invalid")
        if self.now() - session.wrote_at > WINDOW_SECONDS:
            raise Refused(95002, "send msg time limit")
        if session.replies >= REPLIES:
            raise Refused(95001, "send msg count limit")
        if "media_id" in body.get(body["msgtype"], {}) and body[body["msgtype"]]["media_id"] not in self.media:
            raise Refused(40007, "invalid media_id")
        session.replies += 1
        return {"msgid": self._keep("kf/send_msg", body, to=body["touser"])}

    def do_kf_send_msg_on_event(self, body: dict[str, Any]) -> dict[str, Any]:
        self._use(body["code"])
        return {"msgid": self._keep("kf/send_msg_on_event", body, to="")}

    def do_kf_service_state_get(self, body: dict[str, Any]) -> dict[str, Any]:
        session = self.sessions.get((body["open_kfid"], body["external_userid"]), Session())
        return {"service_state": session.state, "servicer_userid": session.servicer}

    def do_kf_service_state_trans(self, body: dict[str, Any]) -> dict[str, Any]:
        session = self.sessions.setdefault((body["open_kfid"], body["external_userid"]), Session())
        if body["service_state"] not in MOVES[session.state]:
            raise Refused(95016, "invalid state transition")
        session.state, session.servicer = body["service_state"], body.get("servicer_userid", "")
        return {"msg_code": self.new_code()} if session.state == ENDED else {}

    def do_kf_account_list(self, body: dict[str, Any]) -> dict[str, Any]:
        accounts = [{"open_kfid": one, "name": "售后", "avatar": "", "manage_privilege": True} for one in self.messages]
        return {"account_list": accounts[body.get("offset", 0) :][: body.get("limit", 100)]}

    def do_kf_servicer_list(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"servicer_list": [{"userid": AGENT, "status": 0}]}

    def do_kf_customer_batchget(self, body: dict[str, Any]) -> dict[str, Any]:
        known = {user for _, user in self.sessions}
        found = [one for one in body["external_userid_list"] if one in known]
        return {
            "customer_list": [{"external_userid": one, "nickname": "小明", "gender": 1, "unionid": f"union-{one}"} for one in found],
            "invalid_external_userid": [one for one in body["external_userid_list"] if one not in known],
        }

    def do_media_get(self, body: dict[str, Any]) -> Answer:
        if body["media_id"] not in self.media:
            raise Refused(40007, "invalid media_id")
        kind, name, content = self.media[body["media_id"]]
        return Answer(body=content, headers={"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'})

    def do_externalcontact_get(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["external_userid"] not in self.contacts:
            raise Refused(84061, "not external contact")
        return self.contacts[body["external_userid"]]

    def do_externalcontact_list(self, body: dict[str, Any]) -> dict[str, Any]:
        found = [user for user, one in self.contacts.items() if any(each["userid"] == body["userid"] for each in one["follow_user"])]
        if not found:
            raise Refused(84061, "not external contact")
        return {"external_userid": found}

    def do_externalcontact_get_follow_user_list(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"follow_user": [AGENT, "lisi"]}

    def do_externalcontact_get_corp_tag_list(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"tag_group": self.tag_groups}

    def do_externalcontact_add_contact_way(self, body: dict[str, Any]) -> dict[str, Any]:
        config_id = self._next("way")
        self.ways[config_id] = body
        return {"config_id": config_id, "qr_code": f"{self.url}/qr/{config_id}"}

    def do_externalcontact_update_contact_way(self, body: dict[str, Any]) -> dict[str, Any]:
        self._way(body["config_id"]).update(body)
        return {}

    def do_externalcontact_del_contact_way(self, body: dict[str, Any]) -> dict[str, Any]:
        self._way(body["config_id"])
        del self.ways[body["config_id"]]
        return {}

    def do_externalcontact_send_welcome_msg(self, body: dict[str, Any]) -> dict[str, Any]:
        self._use(body["welcome_code"])
        self._keep("externalcontact/send_welcome_msg", {"msgtype": "text", **body}, to=body["welcome_code"])
        return {}

    def do_message_send(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"msgid": self._keep("message/send", body, to=body["touser"]), "invaliduser": ""}

    def _way(self, config_id: str) -> dict[str, Any]:
        if config_id not in self.ways:
            raise Refused(40058, "invalid config_id")
        return self.ways[config_id]

    def _use(self, code: str) -> None:
        if code not in self.codes:
            raise Refused(41051, "externaluser has started chatting")
        if self.codes.pop(code) <= self.now():
            raise Refused(41050, "welcome_code expired")

    def _keep(self, call: str, body: dict[str, Any], *, to: str) -> str:
        kind = body["msgtype"]
        id_ = str(body.get("msgid") or self._next("s"))
        self.sent.append(Sent(to, kind, body.get(kind, {}).get("content", ""), id_, call, body))
        return id_

    def _upload(self, kind: str, headers: dict[str, str], content: bytes) -> dict[str, Any]:
        head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
        for part in BytesParser(policy=policy.HTTP).parsebytes(head + content).iter_parts():
            media_id = self._next("MEDIA")
            found = part.get_payload(decode=True)
            most = {"image": 10, "voice": 2, "video": 10}.get(kind, 20) << 20
            if not isinstance(found, bytes) or not 5 < len(found) <= most:
                raise Refused(40006 if kind == "file" else 40009, "invalid media size")
            if kind in TAKEN and part.get_content_type() not in TAKEN[kind]:
                raise Refused(40004, "invalid media type")
            self.media[media_id] = part.get_content_type(), part.get_filename() or "", found
            return {"type": kind, "media_id": media_id, "created_at": str(int(self.now()))}
        raise Refused(41005, "media data missing")

    def _control(self, name: str, content: bytes) -> Answer:
        if name == "state":
            with self.lock:
                sent = [vars(said) for said in self.sent]
                return Answer(body={"calls": dict(self.calls), "sent": sent, "callbacks": self.caller.statuses, "tokens": len(self.tokens)})
        if name not in CONTROLS:
            return Answer(status=404, body={"error": f"one of {sorted(CONTROLS)}"})
        fields = json.loads(content or b"{}")
        # In a thread: the product may call back while it is called.
        threading.Thread(target=getattr(self, name), kwargs=fields, daemon=True).start()
        return Answer(body={})


async def _serve(options: argparse.Namespace) -> None:
    wecom = WeCom(port=options.port, host=options.host, callback=options.callback, corp_id=options.corp_id, secrets=tuple(options.secret))
    await wecom.start()
    print(
        f"WeCom at {wecom.url}, corp id {options.corp_id}, secrets {options.secret}, token {TOKEN}, AES key {AES_KEY}, account {KF}",
        flush=True,
    )
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Plays the WeCom server.")
    parser.add_argument("--port", type=int, default=8098)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--callback", default="", help="address of the entrance that is called back")
    parser.add_argument("--corp-id", default=CORP_ID)
    parser.add_argument("--secret", action="append", default=[], help="of an application; may be given several times")
    options = parser.parse_args()
    options.secret = options.secret or [SECRET]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options))


if __name__ == "__main__":
    main()
