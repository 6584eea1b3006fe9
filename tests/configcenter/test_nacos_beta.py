"""Beta by address over Nacos' API, what is refused because it is not supported, and who listens."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import ConfigRight, User
from configcenter.models import ConfigItem, ConfigState
from configcenter.nacos.clients import Client
from configcenter.nacos.refusals import FREE, MAX_SECONDS, MAX_SECONDS_OF_LISTENERS, WINDOW_SECONDS, Refusals
from configcenter.services import releases
from tests import crowds
from tests.builders import actor, json_of, make_api, make_key, make_tenant, poll
from tests.configcenter.nacos_server import NacosServer, running
from tests.configcenter.test_nacos import GROUP, md5, published

pytestmark = pytest.mark.django_db(transaction=True)
_revisions = iter(range(1_000, 10_000_000, 1_000))
NAMES: dict[str, Any] = {"dataId": "app", "group": GROUP}


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Start a ws process behind one proxy, so that a test can come from any address."""
    with django_db_blocker.unblock(), running(tmp_path_factory.mktemp("nacos"), TRUSTED_PROXIES="1") as server:
        yield server


@pytest.fixture(autouse=True)
def _revision_that_rises(db: None) -> None:
    ConfigState(revision=next(_revisions)).save()


def from_(address: str, **more: str) -> dict[str, str]:
    return {"X-Forwarded-For": address, **more}


def got(server: NacosServer, key: str, address: str) -> tuple[int, str]:
    answer = server.call("GET", "/cs/configs", key=key, headers=from_(address), **NAMES)
    return answer.status, answer.data.decode() if answer.status == 200 else ""


# --- beta ------------------------------------------------------------------------------------------------------------


def test_a_beta_reaches_only_its_addresses_and_the_stable_text_stays(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    published(tenant, "app", "stable")
    begun = server.call("POST", "/cs/configs", key=key, headers={"betaIps": "10.0.0.1,10.0.0.2"}, **NAMES, content="beta")
    assert (begun.status, begun.data) == (200, b"true")
    assert [got(server, key, address) for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3")] == [
        (200, "beta"),
        (200, "beta"),
        (200, "stable"),
    ]
    shown = server.call("GET", "/cs/configs", key=key, beta="true", **NAMES).json()
    assert (shown["code"], shown["data"]["content"], shown["data"]["betaIps"]) == (200, "beta", "10.0.0.1,10.0.0.2")
    item = ConfigItem.objects.get()
    assert item.current is not None
    assert (item.current.content, item.gray_labels) == ("stable", ["ip=10.0.0.1", "ip=10.0.0.2"])
    ended = server.call("DELETE", "/cs/configs", key=key, beta="true", **NAMES)
    assert (ended.status, ended.json()["data"]) == (200, True)
    assert got(server, key, "10.0.0.1") == (200, "stable")
    assert server.call("GET", "/cs/configs", key=key, beta="true", **NAMES).status == 404
    assert server.call("DELETE", "/cs/configs", key=key, beta="true", **NAMES).status == 200  # none is running: no error


def test_a_second_beta_replaces_the_first_and_other_addresses_change_who_has_it(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    published(tenant, "app", "stable")
    for addresses, content in (("10.0.0.1", "one"), ("10.0.0.2", "one"), ("2001:DB8::1", "two")):
        assert server.call("POST", "/cs/configs", key=key, headers={"betaIps": addresses}, **NAMES, content=content).data == b"true"
    assert [got(server, key, address)[1] for address in ("10.0.0.1", "10.0.0.2", "2001:db8::1")] == ["stable", "stable", "two"]


def test_a_beta_of_an_item_without_a_text_in_force_is_not_there_for_others(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]
    assert server.call("POST", "/cs/configs", key=key, headers={"betaIps": "10.0.0.1"}, **NAMES, content="beta").data == b"true"
    assert (got(server, key, "10.0.0.1"), got(server, key, "10.0.0.9")) == ((200, "beta"), (404, ""))


def test_a_gray_release_of_the_console_is_not_ended_or_replaced_by_a_nacos_client(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    item = published(tenant, "app", "stable")
    releases.start_gray(item=item, content="gray", labels=["zone=a", "ip=10.0.0.1"], percent=0, comment="", by=actor("user:test"))
    assert got(server, key, "10.0.0.1") == (200, "gray")
    assert server.call("POST", "/cs/configs", key=key, headers={"betaIps": "10.0.0.1"}, **NAMES, content="beta").status == 409
    assert server.call("DELETE", "/cs/configs", key=key, beta="true", **NAMES).status == 409
    assert server.call("POST", "/cs/configs", key=key, **NAMES, content="stable 2").status == 409
    item.refresh_from_db()
    assert item.gray is not None


def test_a_listener_hears_of_a_beta_for_its_address_of_a_wider_one_and_of_its_end(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    item = published(tenant, "app", "stable")
    releases.start_gray(item=item, content="beta", labels=["ip=10.0.0.1"], percent=0, comment="", by=actor("user:test"))
    assert server.listen(key, ("app", md5("stable")), headers=from_("10.0.0.1")) != ""
    with crowds.pool(1) as pool:
        waits = pool.submit(server.listen, key, ("app", md5("stable")), headers=from_("10.0.0.2"))
        poll(lambda: server.call("GET", "/cs/configs/listener", key=key, **NAMES).json()["lisentersGroupkeyStatus"].get("10.0.0.2"))
        assert not waits.done()
        releases.widen_gray(item=item, labels=["ip=10.0.0.1", "ip=10.0.0.2"], percent=0, by=actor("user:test"))
        assert waits.result(5) != ""
        waits = pool.submit(server.listen, key, ("app", md5("beta")), headers=from_("10.0.0.2"))
        releases.abandon_gray(item=item, comment="", by=actor("user:test"))
        assert waits.result(5) != ""


def test_a_percentage_draws_clients_by_their_address() -> None:
    clients = [Client(f"10.0.{number // 250}.{number % 250}") for number in range(1000)]
    taking = sum(client.takes_part(item="G/app", labels=(), percent=20) for client in clients)
    assert 130 < taking < 270
    assert not any(client.takes_part(item="G/app", labels=(), percent=0) for client in clients)


# --- what is not supported ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("POST", {"tag": "canary"}),
        ("POST", {"method": "addDatum", "datumId": "1"}),
        ("POST", {"method": "deleteDatum"}),
        ("POST", {"encryptedDataKey": "x"}),
        ("POST", {"betaIps": "everyone"}),
        ("POST", {"beta": "true"}),
        ("GET", {"tag": "canary"}),
        ("DELETE", {"tag": "canary"}),
        ("DELETE", {"method": "deleteAllDatums"}),
        ("DELETE", {"delType": "ids", "ids": "1"}),
    ],
)
def test_what_is_not_supported_is_refused_and_changes_nothing(server: NacosServer, method: str, more: dict[str, Any]) -> None:
    tenant = make_tenant()
    published(tenant, "app", "stable")
    answer = server.call(method, "/cs/configs", key=make_key(tenant)[1], **NAMES, content="other", **more)
    assert answer.status == 400, answer.data
    assert {error["field"] for error in answer.json()["errors"]} <= {*more, "betaIps"}
    item = ConfigItem.objects.get()
    assert item.current is not None
    assert (item.current.content, item.gray) == ("stable", None)


def test_a_write_to_a_namespace_that_is_not_there_is_no_404_which_clients_take_for_success(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]
    writes: list[tuple[str, dict[str, Any]]] = [("POST", {"content": "x"}), ("DELETE", {}), ("DELETE", {"beta": "true"})]
    for method, more in writes:
        answer = server.call(method, "/cs/configs", key=key, tenant="nowhere", **NAMES, **more)
        assert (answer.status, answer.json()["errors"][0]["field"]) == (400, "tenant")
    assert server.call("DELETE", "/console/namespaces", key=key, namespaceId="nowhere").status == 400
    assert server.call("POST", "/ns/instance", key=key, serviceName="x").status == 400
    assert server.call("GET", "/cs/configs", key=key, tenant="nowhere", **NAMES).status == 404


def test_a_description_is_kept(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]
    assert server.call("POST", "/cs/configs", key=key, **NAMES, content="x", desc="Prices").data == b"true"
    assert server.call("GET", "/cs/configs", key=key, show="all", **NAMES).json()["desc"] == "Prices"


# --- name and password with every call -----------------------------------------------------------------------------------


def test_a_key_as_the_password_of_each_call_does_what_a_token_does(server: NacosServer) -> None:
    clear = make_key(make_tenant())[1]
    shown: dict[str, Any] = {"username": "shop", "password": clear}
    assert server.call("POST", "/cs/configs", **NAMES, content="x", **shown).data == b"true"
    assert server.call("GET", "/cs/configs", **NAMES, **shown).data == b"x"
    assert server.call("GET", "/cs/configs", **NAMES, username="shop", password="ph_live_ABCDEFGH_" + "x" * 43).status == 403


def test_a_right_password_of_staff_is_one_attempt_and_wrong_ones_are_counted(server: NacosServer) -> None:
    User.objects.create_user("ada", password="a long password", is_staff=True, config_right=ConfigRight.VIEW)
    published(None, "app", "x")
    shown: dict[str, Any] = {"username": "ada", "password": "a long password"}
    for number in range(30):
        names = {**NAMES, "show": str(number)}
        assert server.call("GET", "/cs/configs", headers=from_("10.1.0.1"), **names, **shown).status == 200
    tries = [
        server.call("GET", "/cs/configs", headers=from_(f"10.1.1.{number}"), **NAMES, username="eve", password=f"guess {number}").status
        for number in range(11)
    ]
    assert tries == [403] * 10 + [429]


def test_a_new_password_ends_what_the_old_one_opened(server: NacosServer) -> None:
    user = User.objects.create_user("bea", password="a long password", is_staff=True, config_right=ConfigRight.VIEW)
    published(None, "app", "x")

    def status() -> int:
        return int(server.call("GET", "/cs/configs", **NAMES, username="bea", password="a long password").status)

    assert status() == 200
    user.set_password("another long password")
    user.save()
    poll(lambda: status() == 403)


# --- refused clients that repeat -------------------------------------------------------------------------------------------


def test_a_client_that_repeats_a_refused_request_is_answered_later_and_later() -> None:
    refusals = Refusals()
    delays = [refusals.delay("a", is_listener=False, now=float(number)) for number in range(20)]
    assert delays[:FREE] == [0.0] * FREE
    assert delays[FREE:] == sorted(delays[FREE:])
    assert (delays[FREE] > 0, delays[-1]) == (True, MAX_SECONDS)
    assert refusals.delay("b", is_listener=False, now=20.0) == 0.0, "another client is not slowed"
    assert refusals.delay("a", is_listener=False, now=19.0 + WINDOW_SECONDS) == 0.0, "one that paused starts anew"
    listening = [refusals.delay("c", is_listener=True, now=float(number)) for number in range(20)]
    assert listening[-1] == MAX_SECONDS_OF_LISTENERS


def test_refusals_of_an_address_are_logged_once_a_minute_with_their_number() -> None:
    refusals = Refusals()
    lines = [refusals.to_log("10.0.0.1", now=float(second)) for second in range(121)]
    assert [count for count in lines if count] == [1, 60, 60]


def test_the_log_names_a_refused_client_once(server: NacosServer) -> None:
    before = (server.folder / "ws.log").read_text().count("Nacos client refused")
    for _ in range(FREE + 1):
        server.call("GET", "/cs/configs", headers=from_("10.9.9.9"), **NAMES, accessToken="nonsense")
    log = poll(lambda: [line for line in (server.folder / "ws.log").read_text().splitlines() if "10.9.9.9" in line])
    assert len(log) == 1
    assert (server.folder / "ws.log").read_text().count("Nacos client refused") == before + 1


# --- who listens -----------------------------------------------------------------------------------------------------------


def test_who_listens_is_shown_over_nacos_api_the_rest_api_and_in_the_console(server: NacosServer) -> None:
    tenant = make_tenant()
    key, clear = make_key(tenant)
    item = published(tenant, "app", "one")
    api = make_api(tenant)
    address = f"/api/config/items/public/{GROUP}/app/listeners/"
    assert json_of(api.get(address))["results"] == []
    with crowds.pool(1) as pool:
        sent = from_("10.0.0.7", **{"User-Agent": "Nacos-Python-Client:v1"})
        waits = pool.submit(server.listen, clear, ("app", md5("one")), headers=sent)
        (row,) = poll(lambda: json_of(api.get(address))["results"])
        assert (row["address"], row["caller"], row["agent"], row["transport"]) == (
            "10.0.0.7",
            f"key:{key.prefix}",
            "Nacos-Python-Client:v1",
            "http",
        )
        assert (row["md5"], row["is_current"]) == (md5("one"), True)
        nacos = server.call("GET", "/cs/configs/listener", key=clear, **NAMES).json()
        assert nacos == {"collectStatus": 200, "lisentersGroupkeyStatus": {"10.0.0.7": md5("one")}}
        browser = Browser()
        browser.force_login(User.objects.create(username="cy", is_staff=True, config_right=ConfigRight.VIEW))
        shown = browser.get(reverse("config:item-listeners", args=[item.pk])).content.decode()
        assert all(word in shown for word in ("10.0.0.7", f"key:{key.prefix}", md5("one")[:8]))
        stranger = make_key(make_tenant("Other"))[1]
        assert server.call("GET", "/cs/configs/listener", key=stranger, **NAMES).json()["lisentersGroupkeyStatus"] == {}
        releases.publish(item=item, content="two", comment="", by=actor("user:test"))
        assert waits.result(5) != ""
    (row,) = json_of(api.get(address))["results"]  # it was answered a moment ago, and will ask again
    assert (row["md5"], row["is_current"]) == (md5("one"), False)
