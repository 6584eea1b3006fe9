"""From what comes in to lines in conversations: nothing lost, nothing twice, in order."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from urllib3.util import parse_url

from posthaste import env
from posthaste.env import ROOT
from posthaste.lib.ids import first_id_at
from routing.contract import Incoming, IncomingFile, SenderName
from routing.conversations import arrivals, resolving
from routing.entrances import registry
from routing.intents import live
from routing.intents.live import Recognized
from routing.models import (
    Arrival,
    ArrivalState,
    Assignment,
    Attachment,
    Conversation,
    ConversationStatus,
    Entrance,
    Identity,
    Line,
    Welcome,
)
from routing.processing import claiming, cleaning, process, taking_in
from tests.builders import TESTER
from tests.crowds import at_once
from tests.routing.assignment.builders import make_agent
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity, make_way
from tests.routing.conversations.builders import incoming

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

DIES = """
import os
import signal
import sys
import django
django.setup()
from routing.processing import process
whole = process.take_in
seen = []
def take_in(*arguments, **options):
    line = whole(*arguments, **options)
    seen.append(line)
    if len(seen) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return line
process.take_in = take_in
process.process_arrivals()
"""
DIES_TOGETHER = """
import os
import signal
import django
django.setup()
from routing.processing import process, together
whole = together.write
def write(*arguments, **options):
    whole(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
together.write = write
process.process_arrivals()
"""


def arrive(entrance: Entrance, *things: Incoming) -> None:
    arrivals.store(entrance.pk, things, tenant_id=entrance.tenant_id, now=timezone.now())


def texts() -> dict[str, list[str]]:
    """Return the lines of each sender in the order of their numbers."""
    found: dict[str, list[str]] = {}
    for line in Line.objects.select_related("conversation__identity").order_by("conversation", "seq"):
        found.setdefault(line.conversation.identity.value, []).append(line.text)
    return found


def let_leases_run_out() -> None:
    Arrival.objects.exclude(lease_until=None).update(lease_until=timezone.now() - timedelta(seconds=1))


def process_in_a_process_that_dies(at: int, code: str = DIES) -> None:
    """Run a worker that is killed in the midst of its transaction."""
    database = str(connection.settings_dict["NAME"])
    url = f"sqlite:///{database}" if connection.vendor == "sqlite" else parse_url(env.load().database_url)._replace(path=f"/{database}").url
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": url}
    ended = subprocess.run([sys.executable, "-c", code, str(at)], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_a_killed_worker_loses_and_doubles_nothing() -> None:
    entrance = make_entrance()
    for number in range(1, 5):
        arrive(entrance, *(incoming(f"{number}", sender=sender) for sender in ("ada", "bo")))

    process_in_a_process_that_dies(at=6)  # the four of one sender are committed, the second of the other is not

    assert Line.objects.count() == 4
    assert process.process_arrivals() == 0, "what the dead worker held is leased"
    let_leases_run_out()
    while process.process_arrivals():
        pass
    assert texts() == {"ada": ["1", "2", "3", "4"], "bo": ["1", "2", "3", "4"]}
    assert set(Arrival.objects.values_list("state", flat=True)) == {ArrivalState.DONE}
    assert set(Line.objects.values_list("pk", flat=True)) == set(Arrival.objects.values_list("line_id", flat=True))


def test_a_worker_killed_before_it_commits_what_it_wrote_together_loses_and_doubles_nothing() -> None:
    entrance = make_entrance()
    arrive(entrance, *(incoming("Hello", sender=f"visitor-{n}") for n in range(5)))
    process_in_a_process_that_dies(at=0, code=DIES_TOGETHER)
    assert Line.objects.count() == 0
    let_leases_run_out()
    while process.process_arrivals():
        pass
    assert texts() == {f"visitor-{n}": ["Hello"] for n in range(5)}
    assert set(Line.objects.values_list("pk", flat=True)) == set(Arrival.objects.values_list("line_id", flat=True))


def test_two_workers_keep_the_order_of_each_sender() -> None:
    entrance, senders, number = make_entrance(), ("ada", "bo", "cy"), 12
    claiming_was, claiming.BATCH = claiming.BATCH, 4
    try:
        for text in range(number):
            arrive(entrance, *(incoming(str(text), sender=sender) for sender in senders))
        at_once(*[lambda: [process.process_arrivals() for _ in range(10)]] * 3)
    finally:
        claiming.BATCH = claiming_was
    assert texts() == {sender: [str(text) for text in range(number)] for sender in senders}
    assert Conversation.objects.count() == 3


def test_an_arrival_that_raises_holds_up_only_its_own_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    entrance, whole = make_entrance(), taking_in.take_in
    broken = {"is": True}

    def take_in(arrival: Arrival, thing: Incoming, **options: Any) -> Any:
        line = whole(arrival, thing, **options)
        if broken["is"] and thing.text == "bad":
            raise ValueError("no good")
        return line

    monkeypatch.setattr("routing.processing.process.take_in", take_in)
    arrive(entrance, incoming("a", sender="ada"), incoming("bad", sender="ada"), incoming("c", sender="ada"), incoming("x", sender="bo"))

    process.process_arrivals()
    assert texts() == {"ada": ["a"], "bo": ["x"]}
    for _ in range(2):
        let_leases_run_out()
        process.process_arrivals()

    failed = Arrival.objects.get(state=ArrivalState.FAILED)
    assert (failed.attempts, failed.error) == (3, "ValueError: no good")
    process.process_arrivals()
    assert texts()["ada"] == ["a", "c"]
    broken["is"] = False
    arrivals.retry(arrival=failed, by=TESTER)
    process.process_arrivals()
    assert texts()["ada"] == ["a", "c", "bad"]


def test_what_kills_each_worker_is_given_up_and_takes_no_other_along() -> None:
    entrance = make_entrance()
    arrive(entrance, incoming("kills", sender="ada"), incoming("well", sender="bo"))
    for _ in range(claiming.MAX_ATTEMPTS):
        claim = claiming.claim()
        assert claim.arrivals
        let_leases_run_out()
        if Arrival.objects.filter(sender__endswith="bo", state=ArrivalState.PENDING).exists():
            Arrival.objects.filter(sender__endswith="bo").update(attempts=1)
    process.sweep_arrivals()
    assert texts() == {"bo": ["well"]}
    assert Arrival.objects.get(state=ArrivalState.FAILED).error == claiming.DIED


def test_a_late_worker_writes_nothing() -> None:
    entrance = make_entrance()
    arrive(entrance, incoming("once"))
    late = claiming.claim()
    let_leases_run_out()
    process.process_arrivals()

    assert process._process(late) == 0

    assert texts() == {"visitor-1": ["once"]}


def test_a_text_is_recognized_written_and_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def recognize(given: list[str], *, tenant_id: int) -> list[Recognized]:
        asked.append(list(given))
        return [Recognized("order_status", 0.93, (("refund", 0.04),), "zh", 3) for _text in given]

    monkeypatch.setattr(live, "recognize", recognize)
    entrance = make_entrance()
    arrive(entrance, incoming("我的订单到哪了？", details={"open_kfid": "wk"}, group="vip-desk"), incoming("Hello", sender="bo"))

    process.process_arrivals()

    assert asked == [["我的订单到哪了？", "Hello"]], "one call for all"
    conversation = Conversation.objects.get(identity__value="visitor-1")
    assert (conversation.status, conversation.intent, conversation.language) == (ConversationStatus.QUEUED, "order_status", "zh")
    assert conversation.details == {"open_kfid": "wk", "group": "vip-desk"}
    assert conversation.unanswered_since is not None
    line = conversation.lines.get()
    assert (line.recognition["intent"], line.recognition["model"], line.seq) == ("order_status", 3, 1)


def test_lines_are_written_although_recognition_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def recognize(_texts: list[str], *, tenant_id: int) -> list[Recognized]:
        raise RuntimeError("no model")

    monkeypatch.setattr(live, "recognize", recognize)
    arrive(make_entrance(), incoming("Hello"))
    process.process_arrivals()
    assert Line.objects.get().recognition["why_not"] == "error"


@pytest.mark.parametrize(("days", "conversations"), [(6, 1), (8, 2)])
def test_a_line_opens_a_resolved_conversation_again_in_time(days: int, conversations: int) -> None:
    entrance = make_entrance()
    arrive(entrance, incoming("first"))
    process.process_arrivals()
    first = Conversation.objects.get()
    resolving.resolve(conversation=first, by=TESTER, now=timezone.now() - timedelta(days=days))

    arrive(entrance, incoming("again"))
    process.process_arrivals()

    assert Conversation.objects.count() == conversations
    newest = Conversation.objects.order_by("-pk")[0]
    assert newest.status == ConversationStatus.QUEUED
    assert newest.last_seq == (2 if conversations == 1 else 1)


def test_threads_of_one_sender_are_conversations_of_their_own() -> None:
    entrance = make_entrance()
    arrive(entrance, incoming("a", thread="t1", subject="Order"), incoming("b", thread="t2"), incoming("c", thread="t1"))
    process.process_arrivals()
    assert {row.thread: (row.last_seq, row.subject) for row in Conversation.objects.all()} == {"t1": (2, "Order"), "t2": (1, "")}
    assert Identity.objects.count() == 1


def test_files_go_to_the_line_of_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = registry.KINDS["portal"]
    fetching = registry.Kind(code="portal", title="", adapter=kind.adapter, fetch=lambda _row, reference: str(reference["id"]).encode())
    monkeypatch.setitem(registry.KINDS, "portal", fetching)
    arrive(make_entrance(), incoming("see", files=(IncomingFile("a.txt", b"here"), IncomingFile("b.txt", reference={"id": "there"}))))
    process.process_arrivals()
    line = Line.objects.get()
    assert {file.name: bytes(file.content) for file in Attachment.objects.filter(line=line)} == {"a.txt": b"here", "b.txt": b"there"}


def test_what_is_no_text_goes_to_the_handler_of_its_entrance(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    kind = registry.KINDS["portal"]
    handlers = {"event": lambda entrance, thing, now: taken.append(thing.details)}
    monkeypatch.setitem(registry.KINDS, "portal", registry.Kind(code="portal", title="", adapter=kind.adapter, handlers=handlers))
    sender = SenderName("portal", "x")
    arrive(
        make_entrance(),
        Incoming("e-1", sender, kind="event", details={"n": 1}),
        Incoming("e-2", SenderName("portal", "y"), kind="unknown"),
    )
    process.process_arrivals()
    assert taken == [{"n": 1}]
    assert [row.error for row in Arrival.objects.exclude(error="")] == ["NoHandler: The entrance has nothing that takes in unknown."]
    assert not Line.objects.exists()


def test_the_same_client_id_twice_is_one_line() -> None:
    entrance = make_entrance()
    arrive(entrance, incoming("hi", details={"client_id": "c1"}), incoming("hi", details={"client_id": "c1"}))
    process.process_arrivals()
    assert texts() == {"visitor-1": ["hi"]}
    assert len({row.line_id for row in Arrival.objects.all()}) == 1


def test_the_night_deletes_what_is_done_and_keeps_what_failed() -> None:
    entrance = make_entrance()
    arrive(entrance, incoming("done"), incoming("failed", sender="bo"))
    process.process_arrivals()
    Arrival.objects.filter(sender__endswith="bo").update(state=ArrivalState.FAILED)
    assert Arrival.objects.get(state=ArrivalState.DONE).body == {}, "the line has it"

    cleaning.clean_conversations(now=timezone.now() + timedelta(days=29))
    assert Arrival.objects.count() == 2
    cleaning.clean_conversations(now=timezone.now() + timedelta(days=31))
    assert Arrival.objects.get().state == ArrivalState.FAILED


def test_the_night_deletes_old_assignments_and_welcomes_and_leaves_who_has_a_conversation_now() -> None:
    now = timezone.now()
    entrance = make_entrance()
    agent = make_agent(entrance.tenant, at=now)
    way = make_way(entrance)
    for days, ended in ((500, 450), (501, 300), (502, None), (10, 5)):
        began = now - timedelta(days=days)
        Assignment.objects.create(
            id=first_id_at(began),
            tenant=entrance.tenant,
            conversation=make_conversation(make_identity(make_customer(entrance.tenant)), entrance),
            agent=agent,
            cause="rule",
            started_at=began,
            ended_at=None if ended is None else now - timedelta(days=ended),
        )
    for days in (450, 10):
        Welcome.objects.create(
            entrance=entrance, contact_way=way, code_digest=str(days), external_user_id="wm1", created_at=now - timedelta(days=days)
        )
    cleaning.clean_conversations(now=now, assignment_days=460, welcome_days=460)
    assert (Assignment.objects.count(), Welcome.objects.count()) == (4, 2)
    cleaning.clean_conversations(now=now)
    left = [row.ended_at and (now - row.ended_at).days for row in Assignment.objects.order_by("ended_at")]
    assert sorted(left, key=str) == [300, 5, None]
    assert Welcome.objects.get().code_digest == "10"
