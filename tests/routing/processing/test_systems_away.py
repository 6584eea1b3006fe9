"""What comes in while the systems behind entrances are slow or away, or a worker stands still."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from routing.contract import EntranceRow, IncomingFile
from routing.entrances import registry
from routing.entrances.places import places
from routing.entrances.registry import Fetch, SystemAway
from routing.models import Arrival, ArrivalState, Entrance, EntranceKind, Line
from routing.processing import claiming, keeping, preparing, process
from tests import crowds
from tests.builders import poll
from tests.routing.builders import make_entrance
from tests.routing.conversations.builders import incoming
from tests.routing.processing.test_process import arrive, let_leases_run_out, texts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
FILE = IncomingFile(name="a.txt", reference={"media_id": "1"})


@pytest.fixture
def entrance() -> Entrance:
    return make_entrance(kind=EntranceKind.WECOM_APP)


def fetch_with(monkeypatch: pytest.MonkeyPatch, fetch: Fetch) -> None:
    monkeypatch.setitem(registry.KINDS, EntranceKind.WECOM_APP, replace(registry.KINDS[EntranceKind.WECOM_APP], fetch=fetch))


def test_a_file_that_takes_longer_than_a_lease_comes_in_once(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "EVERY_SECONDS", 0.01)
    fetched = []

    def fetch(_entrance: EntranceRow, _reference: Mapping[str, Any]) -> bytes:
        fetched.append(1)
        let_leases_run_out()
        poll(lambda: Arrival.objects.filter(lease_until__gt=timezone.now()).exists(), seconds=10)
        assert not claiming.claim().arrivals
        return b"a"

    fetch_with(monkeypatch, fetch)
    arrive(entrance, incoming("with a file", files=(FILE,)))
    process.process_arrivals()
    assert [line.attachments.count() for line in Line.objects.all()] == [1]
    assert len(fetched) == 1


def test_a_system_that_is_away_is_asked_once_a_round_and_for_an_hour(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(_entrance: EntranceRow, _reference: Mapping[str, Any]) -> bytes:
        asked.append(1)
        raise SystemAway("It did not respond.")

    fetch_with(monkeypatch, fetch)
    arrive(entrance, *(incoming(sender, sender=sender, files=(FILE,)) for sender in ("ada", "bo")), incoming("later", sender="ada"))
    for _ in range(claiming.MAX_ATTEMPTS + 1):
        process.process_arrivals()
        let_leases_run_out()
        assert claiming.give_up_killers(now=timezone.now()) == 0
    assert len(asked) == claiming.MAX_ATTEMPTS + 1
    assert set(Arrival.objects.values_list("state", "attempts")) == {(ArrivalState.PENDING, 0)}

    Arrival.objects.filter(sender__endswith="ada").update(received_at=timezone.now() - claiming.AWAY_FOR)
    for _ in range(claiming.MAX_ERRORS):
        process.process_arrivals()
        let_leases_run_out()
    fetch_with(monkeypatch, lambda _entrance, _reference: b"a")
    process.process_arrivals()
    assert Arrival.objects.get(state=ArrivalState.FAILED).error == "SystemAway: It did not respond."
    assert texts() == {"bo": ["bo"], "ada": ["later"]}


def test_what_takes_too_long_together_is_left_to_the_next_worker(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "MAX_BYTES", 3)
    fetch_with(monkeypatch, lambda _entrance, _reference: b"four")
    arrive(entrance, *(incoming(str(number), files=(FILE,)) for number in range(3)))
    claim = claiming.claim()
    assert process._process(claim) == 1
    assert set(Arrival.objects.exclude(state=ArrivalState.DONE).values_list("attempts", "lease_token")) == {(0, None)}
    process.process_arrivals()
    assert texts() == {"visitor-1": ["0", "1", "2"]}


def test_an_arrival_that_a_lost_worker_has_locked_holds_up_only_its_sender(entrance: Entrance) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer, and a process that is gone loses the lock")
    arrive(entrance, incoming("1", sender="ada"), incoming("2", sender="ada"), incoming("x", sender="bo"))
    claiming.claim()
    let_leases_run_out()
    Arrival.objects.update(attempts=0)
    with transaction.atomic():
        Arrival.objects.filter(body__text="1").update(error="at it")
        (done,) = crowds.at_once(lambda: process.process_arrivals())
        assert done == 1
        assert texts() == {"bo": ["x"]}
    process.process_arrivals()
    assert texts() == {"ada": ["1", "2"], "bo": ["x"]}


def test_files_that_find_no_thread_keep_no_text_waiting(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_with(monkeypatch, lambda _entrance, _reference: b"a")
    monkeypatch.setattr(claiming, "BATCH", 2)
    arrive(entrance, *(incoming("file", sender=f"slow-{number}", files=(FILE,)) for number in range(2)), incoming("x", sender="bo"))
    with places.place_if_free(None), places.place_if_free(None):
        process.process_arrivals()
    assert texts() == {"bo": ["x"]}
    assert set(Arrival.objects.filter(state=ArrivalState.PENDING).values_list("attempts", flat=True)) == {0}
    let_leases_run_out()
    process.process_arrivals()
    assert set(texts()) == {"bo", "slow-0", "slow-1"}
