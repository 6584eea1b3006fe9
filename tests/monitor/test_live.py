"""An open WebSocket ends when what it was opened with no longer holds.

Figures come once a second, so the number of those that come after a change tells how long the connection lived on.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from accounts.models import ApiKey, Member, Tenant, User
from accounts.roles import Role
from accounts.services import access_notices, api_keys, open_connections, people, tenants
from accounts.services.open_connections import StaffGrant, grant_of_key, still_valid
from messaging.scopes import STATISTICS
from monitor.live import access
from monitor.live.access import AccessWatch
from posthaste.lib import redis
from posthaste.lib.notices import Notices
from tests.builders import TESTER, make_key, make_tenant
from tests.configcenter.nacos_server import NacosServer, running
from tests.patience import Patience

pytestmark = pytest.mark.django_db(transaction=True)
MAX_FRAMES = 2  # one a second
FRAME_SECONDS = 90  # until the first comes, on a machine that may stand still for a minute


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NacosServer]:
    running = NacosServer(tmp_path, LOG_LEVEL="info")
    try:
        running.start()
        yield running
    finally:
        running.stop()


class Someone:
    """A tenant, its key, and a signed-in viewer."""

    def __init__(self) -> None:
        self.tenant = make_tenant()
        self.key, self.clear = make_key(self.tenant)
        self.user = User.objects.create(username=f"viewer-{self.tenant.pk}", is_staff=True)
        self.member = Member.objects.create(user=self.user, tenant=self.tenant, role=Role.VIEWER)
        self.browser = Client()
        self.browser.force_login(self.user)

    @property
    def by_key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.clear}"}

    @property
    def by_session(self) -> dict[str, str]:
        return {"Cookie": f"sessionid={self.browser.cookies['sessionid'].value}"}

    @property
    def key_grant(self) -> Any:
        return grant_of_key(
            api_keys.recognise(f"Bearer {self.clear}", ip="127.0.0.1", now=timezone.now()), scope=STATISTICS, ip="127.0.0.1"
        )

    @property
    def staff_grant(self) -> StaffGrant:
        return StaffGrant(self.browser.cookies["sessionid"].value, self.user.pk, self.tenant.pk)


def revoke(one: Someone) -> None:
    api_keys.revoke_api_key(key=one.key, now=timezone.now(), by=TESTER)


def expire(one: Someone) -> None:
    ApiKey.objects.filter(pk=one.key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def narrow(one: Someone) -> None:
    ApiKey.objects.filter(pk=one.key.pk).update(scopes=["messages:read"])


def deactivate_tenant(one: Someone) -> None:
    one.tenant.is_active = False
    tenants.change_tenant(tenant=one.tenant, fields=["is_active"], by=TESTER)


def sign_out(one: Someone) -> None:
    assert one.browser.post(reverse("admin:logout")).status_code == 200


def expire_session(one: Someone) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def lose_role(one: Someone) -> None:
    people.remove_member(member=one.member, by=TESTER)


def deactivate(one: Someone) -> None:
    one.user.is_active = False
    people.change_user(user=one.user, fields=["is_active"], by=TESTER)


def leave_staff(one: Someone) -> None:
    User.objects.filter(pk=one.user.pk).update(is_staff=False)


def change_password(one: Someone) -> None:
    one.user.set_password("correct horse battery staple")
    people.set_password(user=one.user, by=TESTER)


def delete_user(one: Someone) -> None:
    people.delete_user(user=one.user, by=TESTER)


def until_live(socket: Any) -> None:
    """Wait for figures: a process that has just begun may first say that it has none."""
    patience = Patience(30)  # of frames that say something else; it counts a wait for one as five seconds at most
    while json.loads(socket.recv(timeout=FRAME_SECONDS))["status"] != "live":
        assert not patience.is_over(), "no figures"


def frames_after(change: Callable[[Someone], None], one: Someone, headers: dict[str, str], server: NacosServer) -> tuple[int, int]:
    """Return how many figures came after the change, and the code that the connection was closed with."""
    with connect(f"ws://{server.address}/ws/statistics/", additional_headers=headers) as socket:
        until_live(socket)
        change(one)
        count = 0
        try:
            while count < 10:
                socket.recv(timeout=30)
                count += 1
        except ConnectionClosed as closed:
            return count, closed.rcvd.code if closed.rcvd else 0
    return count, 0


def test_a_connection_ends_within_two_frames_of_the_change(server: NacosServer) -> None:
    for change in (revoke, expire, narrow, deactivate_tenant):
        one = Someone()
        count, code = frames_after(change, one, one.by_key, server)
        assert (count <= MAX_FRAMES, code) == (True, 4401), (change.__name__, count)
    for change in (sign_out, lose_role, deactivate, change_password):
        one = Someone()
        count, code = frames_after(change, one, one.by_session, server)
        assert (count <= MAX_FRAMES, code) == (True, 4401), (change.__name__, count)


def test_an_unknown_address_is_refused_with_one_line_in_the_log(server: NacosServer) -> None:
    for path in ("/ws/nothing/", "/", "/ws/statistics/more", "/ws/" + "x" * 3000):
        with pytest.raises(InvalidStatus) as refusal:
            connect(f"ws://{server.address}{path}")
        assert refusal.value.response.status_code == 403, path
    server.stop()
    log = (server.folder / "ws.log").read_text()
    assert "Traceback" not in log
    assert log.count("no WebSocket at this address") == 4
    assert max(map(len, log.splitlines())) < 400


KEY_CHANGES = (revoke, expire, narrow, deactivate_tenant)
STAFF_CHANGES = (sign_out, expire_session, lose_role, deactivate, leave_staff, change_password, delete_user, deactivate_tenant)


@pytest.mark.parametrize("change", KEY_CHANGES)
def test_a_key_holds_until_it_changes(change: Callable[[Someone], None]) -> None:
    one, other = Someone(), Someone()
    grants = {one.key_grant, other.key_grant}
    assert still_valid(grants, now=timezone.now()) == grants
    change(one)
    assert still_valid(grants, now=timezone.now()) == {other.key_grant}


@pytest.mark.parametrize("change", STAFF_CHANGES)
def test_a_session_holds_until_it_or_its_user_changes(change: Callable[[Someone], None]) -> None:
    one = Someone()
    other = one.key_grant
    grants = {one.staff_grant, other}
    assert still_valid(grants, now=timezone.now()) == grants
    change(one)
    assert not any(isinstance(grant, StaffGrant) for grant in still_valid(grants, now=timezone.now()))


def test_all_tenants_are_for_superusers_only() -> None:
    one = Someone()
    everything = StaffGrant(one.staff_grant.session_key, one.user.pk, None)
    assert still_valid({everything}, now=timezone.now()) == set()
    User.objects.filter(pk=one.user.pk).update(is_superuser=True)
    assert still_valid({everything}, now=timezone.now()) == {everything}


@pytest.mark.parametrize("change", [revoke, deactivate_tenant, sign_out, lose_role, deactivate, change_password, delete_user])
def test_a_change_sends_a_notice(change: Callable[[Someone], None], monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(redis.client(), "publish", lambda channel, _text: sent.append(channel))
    one = Someone()
    change(one)
    assert set(sent) == {access_notices.channel()}


class FakeConnection:
    """Counts how often it was ended."""

    confirmed_at = 0.0

    def __init__(self, grant: Any) -> None:
        self.grant = grant
        self.ended = 0

    def end(self) -> None:
        self.ended += 1


def test_one_check_ends_what_no_longer_holds_and_leaves_the_rest() -> None:
    one, other = Someone(), Someone()
    ends, stays = FakeConnection(one.key_grant), FakeConnection(other.key_grant)

    async def run() -> None:
        watch = AccessWatch()
        watch._open |= {ends, stays}
        await asyncio.to_thread(revoke, one)
        await watch.check()
        await watch.check()

    asyncio.run(run())
    assert (ends.ended, stays.ended) == (1, 0)


def test_without_the_database_a_connection_stays_but_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(access, "still_valid", fail)
    connection = FakeConnection(Someone().key_grant)

    async def run() -> None:
        watch = AccessWatch()
        watch._open.add(connection)
        await watch.check()

    asyncio.run(run())
    assert connection.ended == 0
    assert not access.is_confirmed(connection)


def test_a_notice_ends_the_wait_for_the_next_check() -> None:
    async def run() -> bool:
        notices = Notices(access_notices.channel())
        await notices.wait(60)  # subscribes
        waiting = asyncio.create_task(notices.wait(60))
        while not waiting.done():
            await asyncio.to_thread(access_notices.notify)
            await asyncio.sleep(0.05)
        await notices.close()
        return waiting.done()

    assert asyncio.run(asyncio.wait_for(run(), 30))


def test_grants_are_checked_with_few_statements(django_assert_max_num_queries: Any) -> None:
    many = [Someone() for _number in range(5)]
    grants = {grant for one in many for grant in (one.key_grant, one.staff_grant)}
    still_valid(grants, now=timezone.now())
    with django_assert_max_num_queries(5):
        assert still_valid(grants, now=timezone.now()) == grants
    assert open_connections.still_valid(set(), now=timezone.now()) == set()
    assert Tenant.objects.count() == len(many)


def code_of(socket: Any) -> int:
    """Return the code that a connection is closed with; its figures are left out."""
    try:
        while True:
            socket.recv(timeout=30)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0


def test_one_key_or_session_has_so_many_connections_and_others_have_theirs(tmp_path: Path) -> None:
    one, other = Someone(), Someone()
    with running(tmp_path, LOG_LEVEL="info", LIVE_CONNECTIONS="2") as server, ExitStack() as stack:

        def open_one(headers: dict[str, str]) -> Any:
            return stack.enter_context(connect(f"ws://{server.address}/ws/statistics/", additional_headers=headers))

        mine = {name: [open_one(headers) for _ in range(2)] for name, headers in (("key", one.by_key), ("session", one.by_session))}
        for headers in (one.by_key, one.by_session):
            assert code_of(open_one(headers)) == 4429
        for socket in (*mine["key"], *mine["session"], open_one(other.by_key), open_one(other.by_session)):
            until_live(socket)
        mine["key"][0].close()
        patience = Patience(30)
        while True:  # the server hears of the end a moment later
            again = open_one(one.by_key)
            try:
                until_live(again)
                break
            except ConnectionClosed:
                assert not patience.is_over()
        server.stop()
    log = (tmp_path / "ws.log").read_text()
    lines = [line for line in log.splitlines() if "too many live connections" in line]
    assert any(f"key {one.key.prefix}" in line for line in lines)
    assert sum(f"user {one.user.pk}" in line for line in lines) == 1
    assert "Traceback" not in log
    assert one.browser.cookies["sessionid"].value not in log
