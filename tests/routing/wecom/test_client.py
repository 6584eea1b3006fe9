import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from posthaste.lib import redis
from posthaste.lib.http import GuardedClient
from routing.wecom import errors, items, tokens
from routing.wecom.client import Client
from routing.wecom.errors import Cure, WeComError
from routing.wecom.items import ServiceState
from routing.wecom.tokens import Credentials
from tests.peers.gateway import Answer
from tests.peers.wecom import CORP_ID, CUSTOMER, KF, SECRET, WINDOW_SECONDS, WeCom

pytestmark = pytest.mark.both_stacks


@pytest.fixture
def client(wecom: WeCom) -> Iterator[Client]:
    guarded = GuardedClient(["127.0.0.0/8"])
    yield client_of(wecom, guarded=guarded)
    guarded.close()


def client_of(wecom: WeCom, *, secret: str = SECRET, guarded: GuardedClient) -> Client:
    return Client(Credentials(corp_id=CORP_ID, secret=secret, base_url=wecom.url), http_client=guarded)


def say(client: Client, text: str = "您好", *, id: str = "r1") -> str:
    return client.send_text(open_kfid=KF, external_user_id=CUSTOMER, text=text, message_id=id)


def test_a_token_is_asked_for_once_by_eight_threads(wecom: WeCom, client: Client) -> None:
    begin = threading.Barrier(8)

    def ask() -> int:
        begin.wait()
        return len(client.accounts())

    with ThreadPoolExecutor(8) as pool:
        assert [one.result() for one in [pool.submit(ask) for _ in range(8)]] == [1] * 8
    assert (wecom.calls["gettoken"], wecom.calls["kf/account/list"]) == (1, 8)


def test_an_expired_token_is_renewed_once_by_eight_threads_and_the_calls_made_again(wecom: WeCom, client: Client) -> None:
    client.accounts()
    wecom.expire_tokens()
    with ThreadPoolExecutor(8) as pool:
        assert [len(found) for found in pool.map(lambda _: client.accounts(), range(8))] == [1] * 8
    assert wecom.calls["gettoken"] == 2


def test_a_token_that_is_refused_even_when_new_is_not_renewed_for_ever(wecom: WeCom, client: Client) -> None:
    wecom.answer_error(call="kf/account/list", code=40014, times=2)
    with pytest.raises(WeComError) as caught:
        client.accounts()
    assert (caught.value.code, caught.value.cure, wecom.calls["kf/account/list"]) == (40014, Cure.RENEW_TOKEN, 2)


def test_each_secret_has_its_own_token_and_none_lies_in_redis_in_clear(wecom: WeCom, client: Client) -> None:
    wecom.known_secrets = (SECRET, "another")
    client.accounts()
    client_of(wecom, secret="another", guarded=client._http).accounts()  # type: ignore[arg-type]
    assert dict(wecom.handed_out) == {SECRET: 1, "another": 1}
    names = redis.client().keys(redis.key("wecom", "*"))
    kept = str([(name, redis.client().get(name)) for name in names])
    assert len(names) >= 2
    assert not [secret for secret in (*wecom.tokens, SECRET) if secret in kept]


def test_a_wrong_secret_is_told_to_all_without_asking_again(wecom: WeCom, client: Client) -> None:
    wecom.known_secrets = ()
    for _ in range(3):
        with pytest.raises(WeComError, match="gettoken: 40001") as caught:
            client.accounts()
        assert caught.value.cure is Cure.CONFIGURE
    assert wecom.calls["gettoken"] == 1
    wecom.known_secrets = (SECRET,)
    tokens.forget(credentials=client.credentials)
    assert client.accounts()


def test_without_redis_a_process_keeps_its_own_token(wecom: WeCom, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_options: object) -> None:
        raise redis.Unavailable("away")

    monkeypatch.setattr(redis.client().connection_pool, "get_connection", away)
    assert [len(client.accounts()) for _ in range(3)] == [1, 1, 1]
    assert wecom.calls["gettoken"] == 1


def test_nothing_secret_is_in_logs_or_errors(wecom: WeCom, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client.accounts()
    (token,) = wecom.tokens
    said = []
    for answer in (
        Answer(body={"errcode": 40058, "errmsg": f"bad {token} {SECRET}"}),
        Answer(status=502, body=f"<html>{token}"),
        Answer(action="reset"),
        Answer(body=f"{token} is not JSON"),
    ):
        wecom.script(answer)
        with pytest.raises(WeComError) as caught:
            client.tags()
        said += [str(caught.value), repr(caught.value), caught.value.text, repr(client.credentials), repr(caught.value.__cause__)]
    for secret in (token, SECRET):
        assert secret not in caplog.text + " ".join(said)
        assert secret not in str([vars(record) for record in caplog.records])


def test_a_server_that_is_none_or_may_not_be_reached_is_a_matter_of_configuration(wecom: WeCom, client: Client) -> None:
    client.accounts()
    wecom.script(Answer(status=404, body="nothing here"))
    with pytest.raises(WeComError, match="HTTP status 404") as caught:
        say(client)
    assert (caught.value.cure, caught.value.may_have_worked) == (Cure.CONFIGURE, False)
    guarded = GuardedClient()
    with pytest.raises(WeComError, match="not at a public address") as caught:
        client_of(wecom, guarded=guarded).accounts()
    assert (caught.value.cure, caught.value.may_have_worked) == (Cure.CONFIGURE, False)
    assert "OUTBOUND_ALLOWED_NETWORKS" in caught.value.text


def test_an_answer_that_does_not_come_says_that_the_call_may_have_worked(wecom: WeCom, client: Client) -> None:
    wecom.customer_writes("a")
    client.accounts()
    wecom.script(Answer(action="reset"))
    with pytest.raises(WeComError) as caught:
        say(client)
    assert (caught.value.may_have_worked, caught.value.cure, len(wecom.sent)) == (True, Cure.RETRY, 1)
    wecom.script(Answer(action="reset"))
    with pytest.raises(WeComError) as caught:
        client.followers()
    assert not caught.value.may_have_worked, "nothing is changed by reading"


def test_pages_are_fetched_from_the_cursor_on_and_an_empty_one_is_not_the_last(wecom: WeCom, client: Client) -> None:
    for number in range(5):
        wecom.customer_writes(f"text {number}")
    found: list[items.Item] = []
    cursor, sizes, wecom.is_next_page_empty = "", [], True
    while True:
        page = client.sync_messages(open_kfid=KF, cursor=cursor, token=wecom.kf_event()["Token"], limit=2)
        found += page.items
        sizes.append(len(page.items))
        cursor = page.cursor
        if not page.has_more:
            break
    assert (sizes, [one.text for one in found if isinstance(one, items.Text)]) == ([0, 2, 2, 1], [f"text {number}" for number in range(5)])
    wecom.advance(seconds=601)
    with pytest.raises(WeComError) as caught:
        client.sync_messages(open_kfid=KF, cursor=cursor, token=next(iter(wecom.sync_tokens)))
    assert caught.value.cure is Cure.NEW_CURSOR
    assert client.sync_messages(open_kfid=KF, cursor=cursor).items == ()


def test_five_replies_may_be_sent_and_only_within_48_hours(wecom: WeCom, client: Client) -> None:
    wecom.customer_writes("在吗")
    assert [say(client, id=f"r{number}") for number in range(5)] == [f"r{number}" for number in range(5)]
    with pytest.raises(WeComError) as caught:
        say(client)
    assert (caught.value.code, caught.value.cure) == (95001, Cure.AWAIT_CUSTOMER)
    wecom.customer_writes("还在")
    assert say(client)
    wecom.advance(seconds=WINDOW_SECONDS + 1)
    with pytest.raises(WeComError) as caught:
        say(client)
    assert caught.value.cure is Cure.AWAIT_CUSTOMER


def test_a_session_is_moved_and_nothing_is_sent_in_a_wrong_state(wecom: WeCom, client: Client) -> None:
    wecom.customer_writes("转人工")
    whose = {"open_kfid": KF, "external_user_id": CUSTOMER}
    assert client.session(**whose).state is ServiceState.NEW
    assert client.move_session(**whose, state=ServiceState.SERVICER, servicer="zhangsan") == ""
    assert client.session(**whose).servicer == "zhangsan"
    with pytest.raises(WeComError) as caught:
        say(client)
    assert (caught.value.code, caught.value.cure) == (95018, Cure.MOVE_SESSION)
    with pytest.raises(WeComError, match="95016"):
        client.move_session(**whose, state=ServiceState.NEW)
    code = client.move_session(**whose, state=ServiceState.ENDED)
    client.answer_event(code=code, text="再见", message_id="bye")
    assert [one.text for one in wecom.sent] == ["再见"]


def test_a_file_is_uploaded_sent_and_fetched_with_its_name(wecom: WeCom, client: Client) -> None:
    wecom.customer_writes(kind="image", media_id="x")
    media_id = client.upload(kind="image", file_name='图 "1".png', content=b"\x89PNG\r\n--x\r\n", content_type="image/png")
    client.send_media(open_kfid=KF, external_user_id=CUSTOMER, kind="image", media_id=media_id, message_id="r1")
    assert wecom.sent[0].body["image"] == {"media_id": media_id}
    wecom.media["plain"] = "application/json", "报价.json", b'{"errcode": 40007}'
    plain = client.download(media_id="plain")
    assert (plain.file_name, plain.content) == ("报价.json", b'{"errcode": 40007}')
    found = client.download(media_id=media_id)
    assert (found.content, found.content_type) == (b"\x89PNG\r\n--x\r\n", "image/png")
    wecom.expire_tokens()
    assert client.download(media_id=media_id).content == found.content
    with pytest.raises(WeComError) as caught:
        client.download(media_id="gone")
    assert (caught.value.code, caught.value.cure) == (40007, Cure.GIVE_UP)
    with pytest.raises(WeComError, match="more than 4 bytes"):
        client.download(media_id=media_id, max_bytes=4)


def test_customers_contacts_tags_and_contact_ways_are_read_and_written(wecom: WeCom, client: Client) -> None:
    wecom.customer_writes("a")
    assert [one.name for one in client.customers(external_user_ids=[CUSTOMER, "stranger"])] == ["小明"]
    wecom.follow(employee="zhangsan", state="shop-7", tags=("VIP",))
    contact = client.contact(external_user_id=CUSTOMER)
    assert (contact.profile.name, contact.followers[0].state, contact.followers[0].tags[0].name) == ("李四", "shop-7", "VIP")
    assert (client.contacts_of(user_id="zhangsan"), client.contacts_of(user_id="lisi")) == ([CUSTOMER], [])
    assert client.followers() == ["zhangsan", "lisi"]
    assert [tag.name for group in client.tags() for tag in group.tags] == ["VIP"]
    way = client.add_contact_way(user_ids=["zhangsan"], state="shop-7")
    client.update_contact_way(config_id=way.config_id, user_ids=["lisi"], state="shop-8")
    assert (wecom.ways[way.config_id]["user"], wecom.ways[way.config_id]["state"]) == (["lisi"], "shop-8")
    client.delete_contact_way(config_id=way.config_id)
    assert wecom.ways == {}
    assert client.send_to_employees(agent_id=1000002, user_ids=["zhangsan", "lisi"], text="hi").id
    assert wecom.sent[-1].to == "zhangsan|lisi"
    assert [one.user_id for one in client.servicers(open_kfid=KF)] == ["zhangsan"]


def test_a_welcome_is_sent_once_and_within_its_20_seconds(wecom: WeCom, client: Client) -> None:
    first, late = wecom.new_code(), wecom.new_code()
    client.welcome(welcome_code=first, text="欢迎")
    wecom.advance(seconds=21)
    for code in (first, late):
        with pytest.raises(WeComError) as caught:
            client.welcome(welcome_code=code, text="欢迎")
        assert caught.value.cure is Cure.GIVE_UP
    assert len(wecom.sent) == 1


def test_a_limit_and_a_code_that_is_not_known_say_what_to_do(wecom: WeCom, client: Client) -> None:
    for code, cure in ((45009, Cure.SLOW_DOWN), (-1, Cure.RETRY), (60020, Cure.CONFIGURE), (777777, Cure.GIVE_UP)):
        wecom.answer_error(call="kf/account/list", code=code)
        with pytest.raises(WeComError) as caught:
            client.accounts()
        assert (caught.value.code, caught.value.cure) == (code, cure)
        assert caught.value.text.endswith(".")
    assert all(str(meaning.text).endswith(".") for meaning in errors.MEANINGS.values())
