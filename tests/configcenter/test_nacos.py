"""Nacos clients take their configuration from us: with the real client, over real connections."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import nacos
import pytest
import urllib3
from asgiref.testing import ApplicationCommunicator
from django.test import RequestFactory
from django.utils import timezone

from accounts.models import AuditEntry, ConfigRight, Tenant, User
from accounts.services.api_keys import revoke_api_key
from accounts.services.sign_in import too_many_attempts
from configcenter import hot
from configcenter.models import MODULES, ConfigItem, ConfigState
from configcenter.nacos.application import MAX_BODY_BYTES, ROOT
from configcenter.nacos.application import nacos as application
from configcenter.nacos.clients import Client
from configcenter.nacos.fingerprints import Key
from configcenter.nacos.listening import Listeners
from configcenter.nacos.routes import ROUTES, in_thread
from configcenter.scopes import CONFIG_READ
from configcenter.services import items, releases
from configcenter.services.validation import MAX_BYTES
from posthaste.env import ROOT as TREE
from tests import crowds
from tests.builders import TESTER, actor, make_key, make_tenant, poll
from tests.configcenter.nacos_server import NacosServer, running
from tests.guard import guard

GROUP = "DEFAULT_GROUP"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
pytestmark = [
    pytest.mark.django_db(transaction=True),
    # The client's own: a deprecated way to make TLS contexts, connections that it leaves to the garbage collector.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
_revisions = iter(range(1_000, 10_000_000, 1_000))


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Start the ws process."""
    with django_db_blocker.unblock(), running(tmp_path_factory.mktemp("nacos")) as server:
        yield server


@pytest.fixture(autouse=True)
def _revision_that_rises(db: None) -> None:
    """Let revisions rise from test to test: the tables are emptied under the process, which must not see one twice."""
    ConfigState(revision=next(_revisions)).save()


def client_of(server: NacosServer, password: str, folder: Path, namespace: str = "", username: str = "a-system") -> Any:
    """Return the real client, signed in."""
    client = nacos.NacosClient(server.address, namespace=namespace, username=username, password=password, logDir=str(folder))
    client.set_options(snapshot_base=str(folder / "snapshot"), failover_base=str(folder / "failover"))
    return client


def published(tenant: Tenant | None, data_id: str, content: str) -> ConfigItem:
    """Publish as the console does."""
    namespace = items.default_namespace(tenant)
    item = ConfigItem.objects.filter(namespace=namespace, group=GROUP, data_id=data_id).first()
    item = item or items.create_item(namespace=namespace, group=GROUP, data_id=data_id, format="text", by=actor("user:test"))
    releases.publish(item=item, content=content, comment="", by=actor("user:test"))
    return item


def md5(content: str) -> str:
    return hashlib.md5(content.encode()).hexdigest()


# --- the real client -----------------------------------------------------------------------------------------------


def test_the_real_client_publishes_gets_lists_and_removes(server: NacosServer, tmp_path: Path) -> None:
    tenant = make_tenant()
    key, clear = make_key(tenant)
    client = client_of(server, clear, tmp_path)
    assert client.get_config("app.json", GROUP) is None
    assert client.publish_config("app.json", GROUP, '{"名": "值 +&=%"}', config_type="json")
    assert client.get_config("app.json", GROUP) == '{"名": "值 +&=%"}'
    item = ConfigItem.objects.get(data_id="app.json")
    assert (item.namespace.tenant, item.namespace.slug, item.format) == (tenant, "public", "json")
    assert item.current is not None
    assert (item.current.author, item.current.comment) == (f"key:{key.prefix}", "Nacos client")
    assert AuditEntry.objects.filter(actor=f"key:{key.prefix}", action="config.publish", tenant_id=tenant.pk, ip="127.0.0.1").exists()
    (listed,) = client.get_configs(no_snapshot=True)["pageItems"]
    assert (listed["dataId"], listed["group"], listed["content"]) == ("app.json", GROUP, '{"名": "值 +&=%"}')
    assert client.publish_config("app.json", GROUP, '{"名": "值 +&=%"}')  # once more: no error, no release
    assert item.releases.count() == 1
    assert client.remove_config("app.json", GROUP)
    assert client.get_config("app.json", GROUP) is None
    assert client.remove_config("app.json", GROUP)  # already gone


def test_the_real_clients_listener_hears_of_a_publish_in_the_console_at_once(server: NacosServer, tmp_path: Path) -> None:
    tenant = make_tenant()
    _key, clear = make_key(tenant, CONFIG_READ)
    published(tenant, "pool.properties", "size=10")
    command = [sys.executable, "-m", "tests.peers.nacos_listener", server.address, clear, "", str(tmp_path), "pool.properties", "later"]
    process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    guard().tell(f"+{process.pid}")
    try:
        lines: list[str] = []
        assert process.stdout
        reader = crowds.Crowd([lambda: lines.extend(iter(process.stdout.readline, ""))])  # type: ignore[union-attr]

        def heard_at(number: int) -> dict[str, Any]:
            answer: dict[str, Any] = json.loads(poll(lambda: lines[number : number + 1], seconds=15)[0])  # it asks anew after 30
            return answer

        reader.start()
        poll(lambda: lines[:1] == ["ready\n"])
        for number, (data_id, content) in enumerate([("pool.properties", "size=20"), ("later", "new"), ("pool.properties", "size=30")], 1):
            published(tenant, data_id, content)
            heard = heard_at(number)
            assert (heard["data_id"], heard["content"]) == (data_id, content)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with what the client forked
        process.wait(10)
        guard().tell(f"-{process.pid}")


def test_the_real_client_lives_on_its_snapshot_while_we_are_away(server: NacosServer, tmp_path: Path) -> None:
    tenant = make_tenant()
    published(tenant, "app", "kept")
    client = client_of(server, make_key(tenant)[1], tmp_path)
    assert client.get_config("app", GROUP) == "kept"
    client.server_list = [("127.0.0.1", 1)]
    client.change_server()
    assert client.get_config("app", GROUP) == "kept"


@pytest.mark.parametrize("password", ["wrong", "ph_live_ABCDEFGH_" + "x" * 43])
def test_the_real_client_is_refused_with_a_wrong_password(server: NacosServer, tmp_path: Path, password: str) -> None:
    with pytest.raises(Exception, match="403"):
        client_of(server, password, tmp_path)


def test_the_real_client_is_told_what_its_key_may_not(server: NacosServer, tmp_path: Path) -> None:
    client = client_of(server, make_key(make_tenant(), CONFIG_READ)[1], tmp_path)
    with pytest.raises(nacos.NacosException, match="privilege"):
        client.publish_config("app", GROUP, "x")
    with pytest.raises(nacos.NacosException, match="privilege"):
        client.remove_config("app", GROUP)
    other = client_of(server, make_key(make_tenant(), "messages:read")[1], tmp_path)
    with pytest.raises(nacos.NacosException, match="privilege"):
        other.get_config("app", GROUP)


# --- whose -----------------------------------------------------------------------------------------------------------


def test_nobody_reaches_another_tenants_items_under_any_name(server: NacosServer) -> None:
    owner, stranger = make_tenant(), make_tenant("Other")
    namespace = items.create_namespace(tenant=owner, slug="secret-place", name="", by=actor("user:test"))
    item = items.create_item(namespace=namespace, group=GROUP, data_id="app", format="text", by=actor("user:test"))
    releases.publish(item=item, content="A's own", comment="", by=actor("user:test"))
    published(owner, "app", "A's own")
    published(None, "app", "the installation's own")
    key = make_key(stranger)[1]
    names = ("", "public", "secret-place", "posthaste", "installation.public", "installation.", owner.slug, str(owner.pk), "%")
    for tenant in names:
        for search in ("", "accurate", "blur"):
            answer = server.call("GET", "/cs/configs", key=key, dataId="app", group=GROUP, tenant=tenant, search=search)
            assert b"own" not in answer.data, (tenant, search)
        assert b"own" not in server.call("GET", "/cs/history", key=key, dataId="app", group=GROUP, tenant=tenant).data
        if tenant == "%":  # no name at all
            with pytest.raises(AssertionError, match='"field":"tenant"'):
                server.listen(key, ("app", ""), tenant=tenant)
        else:
            assert server.listen(key, ("app", ""), tenant=tenant, hang_up=False) == "", tenant
        gone = server.call("DELETE", "/cs/configs", key=key, dataId="app", group=GROUP, tenant=tenant)
        assert (gone.status, gone.data) in ((200, b"true"), (400, gone.data)), gone.data
    assert b"secret-place" not in server.call("GET", "/console/namespaces", key=key).data
    server.call("DELETE", "/console/namespaces", key=key, namespaceId="secret-place")
    assert ConfigItem.objects.filter(data_id="app", current__isnull=False).count() == 3


def test_keys_of_the_operator_reach_the_installation_and_read_the_modules(server: NacosServer, tmp_path: Path) -> None:
    key = make_key(make_tenant(is_operator=True))[1]
    published(None, "app", "for all")
    assert client_of(server, key, tmp_path, "installation.public").get_config("app", GROUP) == "for all"
    name = hot.modules()[0].name
    modules = client_of(server, key, tmp_path, MODULES)
    assert json.loads(modules.get_config(name, MODULES)) == hot.module(name).model().model_dump(mode="json")
    with pytest.raises(nacos.NacosException, match="privilege"):
        modules.publish_config(name, MODULES, "{}")
    item = items.module_item(name)
    releases.publish(item=item, content=items.defaults(item), comment="", by=actor("user:test"))
    assert modules.get_config(name, MODULES) == ConfigItem.objects.get(pk=item.pk).current.content  # type: ignore[union-attr]


def test_namespaces_are_made_listed_and_deleted(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]
    assert server.call("POST", "/console/namespaces", key=key, customNamespaceId="dev", namespaceName="Development").data == b"true"
    assert server.call("POST", "/console/namespaces", key=key, customNamespaceId="dev", namespaceName="again").status == 409
    assert server.call("POST", "/cs/configs", key=key, dataId="app", group=GROUP, tenant="dev", content="x").data == b"true"
    listed = server.call("GET", "/console/namespaces", key=key).json()
    assert (listed["code"], [(row["namespace"], row["configCount"]) for row in listed["data"]]) == (200, [("dev", 1)])
    assert server.call("POST", "/cs/configs", key=key, dataId="app", group=GROUP, tenant="nowhere", content="x").status == 400
    assert server.call("DELETE", "/console/namespaces", key=key, namespaceId="dev").status == 409
    assert server.call("DELETE", "/cs/configs", key=key, dataId="app", group=GROUP, tenant="dev").data == b"true"
    assert server.call("DELETE", "/console/namespaces", key=key, namespaceId="dev").data == b"true"


# --- signing in ------------------------------------------------------------------------------------------------------


def test_staff_sign_in_with_their_password_and_may_what_their_right_says(server: NacosServer, tmp_path: Path) -> None:
    user = User.objects.create_user("ada", password="a long password", is_staff=True, config_right=ConfigRight.PUBLISH)
    User.objects.create_user("bob", password="a long password", is_staff=True)
    client = client_of(server, "a long password", tmp_path, username="ada")
    assert client.publish_config("app", GROUP, "by ada")
    item = ConfigItem.objects.get(data_id="app")
    assert (item.namespace.tenant, item.current.author) == (None, "user:ada")  # type: ignore[union-attr]
    with pytest.raises(Exception, match="403"):
        client_of(server, "a long password", tmp_path, username="bob")
    user.config_right = ConfigRight.VIEW
    user.set_password("another long password")
    user.save()
    poll(lambda: server.call("GET", "/cs/configs", dataId="app", group=GROUP, accessToken=client.token).status == 403)


def test_guessing_passwords_is_slowed_down_with_the_attempts_at_other_doors_counted(server: NacosServer) -> None:
    elsewhere = RequestFactory().post("/admin/login/", {"username": "victim"}, REMOTE_ADDR="192.0.2.1")
    assert [too_many_attempts(elsewhere) for _ in range(10)] == [False] * 10
    answer = server.call("POST", "/auth/users/login", username="Victim", password="a guess")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")


def test_a_token_ends_with_its_key(server: NacosServer) -> None:
    key, clear = make_key(make_tenant())
    token = server.call("POST", "/auth/login", username="", password=clear).json()
    assert token["tokenTtl"] == 18_000
    assert clear not in token["accessToken"]
    asked = {"dataId": "app", "group": GROUP, "accessToken": token["accessToken"]}
    assert server.call("GET", "/cs/configs", **asked).status == 404
    assert server.call("GET", "/cs/configs", **{**asked, "accessToken": token["accessToken"][:-1] + "A"}).status in (403, 404)
    revoke_api_key(key=key, now=timezone.now(), by=TESTER)
    poll(lambda: server.call("GET", "/cs/configs", **asked).status == 403)


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Bearer ph_live_ABCDEFGH_" + "x" * 43}])
def test_every_address_refuses_a_stranger_unless_there_is_a_reason(shown: dict[str, str]) -> None:
    async def ask(method: str, path: str) -> tuple[int, bytes]:
        headers = [(name.lower().encode(), value.encode()) for name, value in shown.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"dataId=app", "headers": headers}
        talk = ApplicationCommunicator(application, scope)
        await talk.send_input({"type": "http.request", "body": b""})
        start, body = await talk.receive_output(10), await talk.receive_output(10)
        return start["status"], body["body"]

    async def ask_all() -> dict[str, tuple[int, bytes]]:
        routes = [(method, path, route) for path, methods in ROUTES.items() for method, route in methods.items()]
        closed = [(method, path) for method, path, route in routes if route.scopes is not None]
        assert len(closed) >= 8
        assert all(route.open_because for _method, _path, route in routes if route.scopes is None)
        return {f"{method} {path}": await ask(method, f"{ROOT}{path}") for method, path in closed}

    answers = asyncio.run(ask_all())
    assert {name: answer for name, answer in answers.items() if answer[0] != 403} == {}
    assert all(b'"unauthenticated"' in body for _status, body in answers.values())


# --- long polls ------------------------------------------------------------------------------------------------------


def test_a_listener_with_an_old_fingerprint_is_answered_at_once(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    published(tenant, "app", "one")
    assert server.listen(key, ("app", ""), ("none", "")) == f"app\x02{GROUP}\x01"
    assert server.listen(key, ("app", md5("zero")), ("none", md5("x"))) == f"app\x02{GROUP}\x01none\x02{GROUP}\x01"
    assert server.listen(key, ("app", md5("one")), ("none", ""), hang_up=False) == ""


def test_a_waiting_listener_hears_of_a_removal_and_of_nothing_else(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    item = published(tenant, "app", "one")
    with crowds.pool(1) as pool:
        waits = pool.submit(server.listen, key, ("app", md5("one")))
        published(tenant, "other", "noise")
        published(make_tenant("Other"), "app", "another tenant's")
        assert not waits.done()
        releases.remove(item=item, comment="", by=actor("user:test"))
        assert waits.result(3) == f"app\x02{GROUP}\x01"


def test_a_hundred_listeners_are_told_together(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    published(tenant, "app", "one")
    with crowds.pool(100) as pool:
        waiting = [pool.submit(server.listen, key, ("app", md5("one")), (f"own-{n}", "")) for n in range(100)]
        # The last one to ask is answered at once, so all others are being served by then.
        assert server.listen(key, ("app", "")) != ""
        assert not any(future.done() for future in waiting)
        published(tenant, "app", "two")
        assert {future.result(15) for future in waiting} == {f"app\x02{GROUP}\x01"}


def test_without_redis_a_listener_hears_of_a_change_by_asking_the_database(server: NacosServer, tmp_path: Path) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    published(tenant, "app", "one")
    with crowds.pool(1) as pool, running(tmp_path, REDIS_URL="redis://127.0.0.1:1/0") as lonely:
        waits = pool.submit(lonely.listen, key, ("app", md5("one")))
        assert lonely.listen(key, ("app", "")) != ""
        assert not waits.done()
        published(tenant, "app", "two")
        assert waits.result(5) == f"app\x02{GROUP}\x01"
        waits = pool.submit(lonely.listen, key, ("app", md5("two")))
        assert lonely.listen(key, ("app", "")) != ""
        lonely.stop()
        assert lonely.process
        assert lonely.process.returncode != -signal.SIGKILL, "it does not wait for a listener to be answered"
        with pytest.raises(urllib3.exceptions.HTTPError):
            waits.result(1)


def test_a_listener_that_leaves_is_forgotten_at_once() -> None:
    async def leave() -> set[Key]:
        gone = asyncio.get_running_loop().create_future()
        gone.set_result({"type": "http.disconnect"})
        try:
            async with asyncio.timeout(5):
                return await others.changed(client=Client("127.0.0.1"), has={Key(1, "public", GROUP, "app"): ""}, seconds=30, gone=gone)
        finally:
            await others.stop()

    others = Listeners(in_thread)
    assert asyncio.run(leave()) == set()
    assert others.number == 0


# --- wrong input -----------------------------------------------------------------------------------------------------


def test_content_that_is_too_large_or_not_of_its_type_is_refused_and_nothing_is_stored(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]
    names: dict[str, Any] = {"dataId": "app", "group": GROUP}

    def post(body: bytes, **more: Any) -> Any:
        return server.call("POST", "/cs/configs", key=key, body=body, headers=FORM, **names, **more)

    assert post(b"content=" + b"x" * (MAX_BYTES + 1)).status == 413
    assert post(b"content=" + b"x" * MAX_BODY_BYTES).status == 413
    assert post(b"content=%7B", type="json").status == 400
    assert post(b"content=%00").status == 400
    assert post(b"content=%FF").status == 400
    assert post(b"content=").json()["errors"][0]["field"] == "content"
    assert not ConfigItem.objects.exists()
    assert post(b"content=" + b"x" * MAX_BYTES).status == 200


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/cs/configs", {"group": GROUP}),
        ("GET", "/cs/configs", {"dataId": "a b", "group": GROUP}),
        ("GET", "/cs/configs", {"dataId": "x" * 257, "group": GROUP}),
        ("GET", "/cs/configs", {"search": "blur", "pageNo": "-1"}),
        ("POST", "/cs/configs/listener", {}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": "nonsense"}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": "a\x02b\x02c\x02d\x02e\x01"}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": quote_plus("a\0\x02b\x02c\x01")}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": quote_plus("a\x02b\x02c\x02d\0\x01")}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": f"{'a' * 257}\x02b\x02c\x01"}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": f"a\x02{'b' * 129}\x02c\x01"}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": f"a\x02b\x02{'c' * 33}\x01"}),
        ("POST", "/cs/configs/listener", {"Listening-Configs": f"a\x02b\x02c\x02{'d' * 142}\x01"}),
        ("GET", "/cs/configs", {"dataId": "a", "tenant": "d" * 142}),
        ("GET", "/cs/configs/listener", {"dataId": "a", "tenant": "a b"}),
        ("POST", "/cs/configs", {"dataId": "a", "tenant": "d" * 142, "content": "x"}),
    ],
)
def test_wrong_parameters_are_named(server: NacosServer, method: str, path: str, query: dict[str, Any]) -> None:
    answer = server.call(method, path, key=make_key(make_tenant())[1], headers={"Long-Pulling-Timeout": "30000"}, **query)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"][0]["field"]


def test_another_address_or_method_is_refused_clearly(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]
    assert server.call("GET", "/ns/instance/list", key=key, serviceName="x").status == 404
    assert server.call("PATCH", "/cs/configs", key=key).headers["Allow"] == "GET, POST, DELETE"


def test_those_who_publish_the_same_new_item_at_once_each_make_a_release(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]

    def publish(number: int) -> bytes:
        answer = server.call("POST", "/cs/configs", key=key, dataId="app", group=GROUP, content=f"text {number}")
        return bytes(answer.data)

    with crowds.pool(8) as pool:
        assert set(pool.map(publish, range(8))) == {b"true"}
    item = ConfigItem.objects.get()
    assert sorted(item.releases.values_list("number", flat=True)) == list(range(1, 9))
    assert item.current == item.releases.order_by("-revision").first()


def test_cas_publishes_only_over_what_the_caller_saw(server: NacosServer) -> None:
    tenant = make_tenant()
    key = make_key(tenant)[1]
    names: dict[str, Any] = {"dataId": "app", "group": GROUP}
    published(tenant, "app", "one")
    assert server.call("POST", "/cs/configs", key=key, **names, content="two", casMd5=md5("zero")).status == 409
    assert server.call("POST", "/cs/configs", key=key, **names, content="two", casMd5=md5("one")).data == b"true"
    history = server.call("GET", "/cs/history", key=key, search="accurate", **names).json()
    assert [(entry["opType"], entry["srcUser"].split(":")[0]) for entry in history["pageItems"]] == [("U", "key"), ("I", "user")]
    assert server.call("GET", "/cs/history", key=key, nid=history["pageItems"][1]["id"], **names).json()["content"] == "one"
