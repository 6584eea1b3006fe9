"""What comes in is stored before it is answered, and once."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from posthaste.lib.problems import Conflict
from routing.contract import IncomingFile
from routing.conversations import arrivals, attachments
from routing.models import Arrival, ArrivalState, Attachment
from tests.builders import TESTER
from tests.routing.builders import make_entrance
from tests.routing.conversations.builders import incoming

pytestmark = pytest.mark.django_db


@pytest.fixture
def kicks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the tasks that are published."""
    sent: list[str] = []
    monkeypatch.setattr(arrivals, "send_task", lambda name, **_options: sent.append(name))
    return sent


def test_the_same_thing_five_times_is_one_arrival_with_one_file(kicks: list[str]) -> None:
    entrance, now = make_entrance(), timezone.now()
    thing = incoming(external_id="m-1", files=(IncomingFile("note.txt", b"hello"),))

    answers = [arrivals.store(entrance.pk, [thing], tenant_id=entrance.tenant_id, now=now)[0] for _ in range(5)]

    assert [answer.is_new for answer in answers] == [True, False, False, False, False]
    assert len({answer.id for answer in answers}) == 1
    assert (Arrival.objects.count(), Attachment.objects.count()) == (1, 1)


def test_many_are_stored_in_as_many_statements_as_one() -> None:
    entrance, now = make_entrance(), timezone.now()

    def statements(number: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            arrivals.store(entrance.pk, [incoming() for _ in range(number)], tenant_id=entrance.tenant_id, now=now)
        return len(queries)

    assert statements(50) == statements(1)


def test_one_thing_twice_in_one_call_is_told_as_known_the_second_time() -> None:
    entrance = make_entrance()
    twice = [incoming(external_id="m-1"), incoming(external_id="m-1", text="again"), incoming(external_id="m-2")]

    answers = arrivals.store(entrance.pk, twice, tenant_id=entrance.tenant_id, now=timezone.now())

    assert [answer.is_new for answer in answers] == [True, False, True]
    assert answers[0].id == answers[1].id


def test_arrivals_that_come_together_wake_one_worker(kicks: list[str], django_capture_on_commit_callbacks: Callable[..., object]) -> None:
    entrance, now = make_entrance(), timezone.now()
    arrivals.kick_taken()

    def arrive() -> None:
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
            arrivals.store(entrance.pk, [incoming()], tenant_id=entrance.tenant_id, now=now)

    for _ in range(3):
        arrive()
    assert kicks == ["routing.process"]
    arrivals.kick_taken()
    arrive()
    assert kicks == ["routing.process"] * 2


def test_what_was_stored_is_read_back_whole() -> None:
    entrance = make_entrance()
    thing = incoming(
        "你好 😀\x00", details={"open_kfid": "wk1", "n": 3}, sent_at=timezone.now(), subject="Hi", attributes={"level": "gold"}
    )

    arrivals.store(entrance.pk, [thing], tenant_id=entrance.tenant_id, now=timezone.now())

    found = arrivals.incoming_of(Arrival.objects.get())
    assert found.text == "你好 😀"
    assert (found.details, found.sent_at, found.subject, found.attributes) == (thing.details, thing.sent_at, "Hi", {"level": "gold"})


@pytest.mark.parametrize(
    ("content", "kind", "served"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00", "image/png", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml", "application/octet-stream"),
        (b"\n <!DOCTYPE html><script>alert(1)</script>", "text/html", "application/octet-stream"),
        ("just text, 中文".encode(), "text/plain", "text/plain"),
        (b"\x00\x01\x02\xff\xfe\x00", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_the_type_of_a_file_is_told_by_its_bytes(content: bytes, kind: str, served: str) -> None:
    assert attachments.type_of(content) == kind
    assert attachments.served_type(kind) == served


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\photo.jpg", "photo.jpg"),
        ('"><script>alert(1)</script>.svg', "script_.svg"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie_ x.txt"),
        ("发票.pdf", "发票.pdf"),
        ("...", "file"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_the_name_of_a_file_is_only_a_name(name: str, cleaned: str) -> None:
    assert attachments.clean_name(name) == cleaned


def test_a_file_that_is_too_large_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_FILE_BYTES", 10)
    entrance = make_entrance()
    thing = incoming(files=(IncomingFile("big.bin", b"x" * 11), IncomingFile("small.txt", b"ok")))

    arrivals.store(entrance.pk, [thing], tenant_id=entrance.tenant_id, now=timezone.now())

    assert [file.name for file in Attachment.objects.all()] == ["small.txt"]
    assert Arrival.objects.get().body["details"]["files_refused"] == [{"name": "big.bin", "why": "too_large"}]


def test_only_a_failed_arrival_can_be_tried_again() -> None:
    entrance = make_entrance()
    arrivals.store(entrance.pk, [incoming()], tenant_id=entrance.tenant_id, now=timezone.now())
    arrival = Arrival.objects.get()
    with pytest.raises(Conflict):
        arrivals.retry(arrival=arrival, by=TESTER)
    Arrival.objects.update(state=ArrivalState.FAILED, attempts=3, error="boom")

    arrivals.retry(arrival=arrival, by=TESTER)

    arrival.refresh_from_db()
    assert (arrival.state, arrival.attempts, arrival.error) == (ArrivalState.PENDING, 0, "")
