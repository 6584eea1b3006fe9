"""Mail that is fetched from a real IMAP server: once, also when it is renumbered, and by one process at a time."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from posthaste.lib.elastic import stopping
from posthaste.lib.ids import new_id
from routing.entrances import editing, registry
from routing.entrances.email import mailbox as mailboxes
from routing.entrances.email import taking, watch
from routing.entrances.email.settings import EmailSettings
from routing.models import Arrival, Entrance, EntranceKind, Mailbox
from tests import crowds, packages
from tests.builders import TESTER, poll
from tests.peers.imap import PASSWORD, USER
from tests.peers.imap import Mailbox as Server
from tests.routing.builders import make_entrance
from tests.routing.entrances.builders import make_kind

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(packages.dovecot() is None, reason="dovecot is missing"),
]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def entrance(server: Server) -> Entrance:
    place = {"imap_host": "127.0.0.1", "imap_port": server.port, "imap_security": "none", "imap_username": USER}
    return make_kind(EntranceKind.EMAIL, settings={"address": "help@shop.example", **place}, secrets={"imap_password": PASSWORD})


def message(text: str, number: int = 0) -> bytes:
    return f"From: ada@customer.example\r\nSubject: s\r\nMessage-ID: <{number}@c>\r\n\r\n{text}\r\n".encode()


def fetched(entrance: Entrance) -> int:
    """Look into the mailbox once, as the process that holds the lease."""
    lease = new_id()
    Mailbox.objects.update(lease_until=None)
    assert taking.take_lease(entrance.pk, lease=lease)
    with mailboxes.Connection(EmailSettings.model_validate(entrance.settings), PASSWORD) as opened:
        return taking.take_new(entrance, opened, lease=lease)


def texts() -> list[str]:
    return [arrival.body["text"] for arrival in Arrival.objects.order_by("pk")]


def test_what_was_there_before_is_left_and_what_is_new_is_taken_once(entrance: Entrance, server: Server) -> None:
    server.deliver(message("old"))
    assert fetched(entrance) == 0
    for number in range(12):
        server.deliver(message(f"m{number}", number))
    assert [fetched(entrance) for _ in range(3)] == [12, 0, 0]
    assert (texts(), server.unread()) == ([f"m{number}" for number in range(12)], 1)


def test_a_renumbered_folder_doubles_and_loses_nothing(entrance: Entrance, server: Server) -> None:
    assert fetched(entrance) == 0
    server.deliver(message("one", 1))
    assert fetched(entrance) == 1
    server.renumber()
    Mailbox.objects.update(uid_validity=1, checked_at=timezone.now())
    server.deliver(message("two", 2))
    assert fetched(entrance) == 1
    assert texts() == ["one", "two"]


def test_a_process_that_lost_its_lease_writes_nothing(entrance: Entrance, server: Server) -> None:
    assert fetched(entrance) == 0
    server.deliver(message("one"))
    with mailboxes.Connection(EmailSettings.model_validate(entrance.settings), PASSWORD) as opened, pytest.raises(taking.LeaseLost):
        taking.take_new(entrance, opened, lease=new_id())
    assert texts() == []


def test_a_large_message_is_taken_without_its_content(entrance: Entrance, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetched(entrance) == 0
    monkeypatch.setattr("routing.entrances.email.mime.MAX_BYTES", 10_000)
    server.deliver(message("x" * 20_000))
    assert fetched(entrance) == 1
    assert (texts(), Arrival.objects.get().body["details"]["too_large"]) == (["s"], True)


def test_new_mail_arrives_without_anything_being_asked_for(entrance: Entrance, server: Server) -> None:
    watcher = watch.Watcher()
    looking = crowds.start(watcher.run, name="mailboxes")
    try:
        poll(lambda: (row := Mailbox.objects.first()) and row.checked_at, seconds=20)
        assert watcher.busy() == {entrance.pk}
        assert not taking.take_lease(entrance.pk, lease=new_id())
        server.deliver(message("hello"))
        poll(lambda: texts() == ["hello"], seconds=20)
    finally:
        stopping.set()
        looking.join()
        assert watcher.join(20)
        stopping.clear()
    assert Mailbox.objects.get().lease_token is None


def test_a_refused_login_is_said_and_tried_later(entrance: Entrance, server: Server) -> None:
    entrance.secrets = {"imap_password": "wrong"}
    entrance.save()
    lease = new_id()
    assert taking.take_lease(entrance.pk, lease=lease)
    watch.watch(entrance.pk, lease=lease)
    row = Mailbox.objects.get()
    assert ("Authentication failed" in row.error, "wrong" in row.error) == (True, False)
    assert row.lease_until
    assert row.lease_until > timezone.now() + timedelta(seconds=10)
    assert not editing.probe(entrance=entrance, by=TESTER).ok
    entrance.secrets = {"imap_password": PASSWORD}
    assert registry.KINDS["email"].probe
    assert editing.probe(entrance=entrance, by=TESTER).ok


def test_mailboxes_that_cannot_be_read_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [make_entrance(kind=EntranceKind.EMAIL, settings={"imap_host": "192.0.2.1"}) for _number in range(3)]
    monkeypatch.setattr(watch, "MAX_MAILBOXES", 1)
    begun: list[UUID] = []
    watcher = watch.Watcher()
    monkeypatch.setattr(watcher, "begin", lambda pk, _serve: begun.append(pk))
    for _look in range(3):
        watcher.look()
        Mailbox.objects.update(lease_until=None)  # each has failed, and rested
    assert set(begun) == {entrance.pk for entrance in made}


def test_whatever_ends_a_watch_is_said_and_tried_later(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object, **_options: object) -> int:
        raise TypeError("a message of a kind that was never seen")

    monkeypatch.setattr(taking, "take_new", fail)
    lease = new_id()
    assert taking.take_lease(entrance.pk, lease=lease)
    watch._serve(entrance.pk, lease)
    row = Mailbox.objects.get()
    assert (row.error, row.lease_token) == ("TypeError: a message of a kind that was never seen", None)
    assert row.lease_until
    assert row.lease_until > timezone.now() + timedelta(seconds=10)


def test_what_names_no_sender_stays_unread_for_people(entrance: Entrance, server: Server) -> None:
    assert fetched(entrance) == 0
    server.deliver(b"Subject: s\r\n\r\nhi\r\n")
    server.deliver(message("hello"))
    assert fetched(entrance) == 1
    assert server.unread() == 1
