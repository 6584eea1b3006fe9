"""The server of the tests calls back over HTTP, encrypted by another library; here stands what an entrance will do with it."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest

from posthaste.lib.http import GuardedClient
from routing.wecom import callbacks
from routing.wecom.client import Client
from routing.wecom.crypto import CryptError, MessageCrypt
from routing.wecom.items import Text
from routing.wecom.tokens import Credentials
from tests.peers import wecom_callbacks
from tests.peers.gateway import Answer, Gateway
from tests.peers.wecom import AES_KEY, CORP_ID, SECRET, TOKEN, WeCom


class Entrance(Gateway):
    """Answers as an entrance does, and keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.crypt = MessageCrypt(token=TOKEN, encoding_aes_key=AES_KEY, receive_ids=(CORP_ID,))
        self.told: list[callbacks.Callback] = []

    def handle(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        query = dict(parse_qsl(target.partition("?")[2]))
        signed = {"signature": query["msg_signature"], "timestamp": query["timestamp"], "nonce": query["nonce"]}
        try:
            if method == "GET":
                return Answer(body=self.crypt.decrypt_signed(query["echostr"], **signed))
            self.told.append(callbacks.parse(self.crypt.open_body(content, **signed)))
        except CryptError:
            return Answer(status=403)
        return self._script.popleft() if self._script else Answer(body=b"success")


@pytest.fixture
def entrance() -> Iterator[Entrance]:
    with Entrance() as server:
        yield server


@pytest.fixture
def wecom(entrance: Entrance) -> Iterator[WeCom]:
    with WeCom(callback=entrance.url) as server:
        yield server


def test_an_address_is_verified_and_one_with_another_token_is_not(entrance: Entrance, wecom: WeCom) -> None:
    assert wecom.verify()
    entrance.crypt = MessageCrypt(token="another", encoding_aes_key=AES_KEY, receive_ids=(CORP_ID,))
    assert not wecom.verify()


def test_what_was_called_back_is_fetched_with_its_token(entrance: Entrance, wecom: WeCom) -> None:
    wecom.customer_writes("我的包裹在哪里?", notify=True)
    (news,) = entrance.told
    assert isinstance(news, callbacks.KfNews)
    guarded = GuardedClient(["127.0.0.0/8"])
    client = Client(Credentials(corp_id=CORP_ID, secret=SECRET, base_url=wecom.url), http_client=guarded)
    (item,) = client.sync_messages(open_kfid=news.open_kfid, token=news.token).items
    guarded.close()
    assert isinstance(item, Text)
    assert item.text == "我的包裹在哪里?"


def test_a_callback_that_is_repeated_or_not_answered_comes_again_with_the_same_id(
    entrance: Entrance, wecom: WeCom, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wecom.employee_writes("报销单在哪里?", times=5) == [200] * 5
    monkeypatch.setattr(wecom_callbacks, "ANSWER_SECONDS", 0.1)
    entrance.script(Answer(action="hang"), times=2)
    wecom.contact_event("add_external_contact", state="shop-7")
    assert wecom.caller.statuses[5:] == [0, 0, 200]
    assert [len({one.external_id for one in told}) for told in (entrance.told[:5], entrance.told[5:])] == [1, 1]
    added = entrance.told[-1]
    assert isinstance(added, callbacks.ContactAdded)
    assert (added.state, added.welcome_code in wecom.codes) == ("shop-7", True)
