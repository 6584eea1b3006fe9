"""Plain texts are written together: the same rows as alone, in a few statements, and one that fails holds up no other."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from routing.assignment.assigning import assign_waiting
from routing.contract import Incoming, IncomingFile, SenderName
from routing.conversations import resolving
from routing.customers import identities
from routing.intents import live
from routing.intents.live import Recognized
from routing.models import Arrival, ArrivalState, Attachment, Conversation, Customer, Entrance, Identity, Line
from routing.processing import claiming, process, together
from routing.processing.ready import Ready
from tests.builders import TESTER
from tests.crowds import at_once
from tests.routing.builders import make_entrance
from tests.routing.conversations.builders import incoming
from tests.routing.processing.test_process import arrive, texts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
#: What differs from one writing to the next: ids and times.
VARIES = {"id", "tenant", "customer", "identity", "entrance", "conversation", "group", "agent", "line"}


@pytest.fixture(autouse=True)
def _recognition(monkeypatch: pytest.MonkeyPatch) -> None:
    def recognize(given: list[str], *, tenant_id: int) -> list[Recognized]:
        return [Recognized("order_status", 0.93, (("refund", 0.04),), "zh" if text.startswith("订") else "en", 3) for text in given]

    monkeypatch.setattr(live, "recognize", recognize)


def first_texts() -> list[Incoming]:
    """Return texts that begin, go on, repeat, name a thread, or are not plain."""
    return [
        incoming("Where is my order?", sender="ada", language="en-GB"),
        incoming("订单到哪了？", sender="bo", details={"open_kfid": "wk"}, group="vip-desk"),
        incoming("In a thread", sender="cy", thread="t-1", subject="About it"),
        incoming("Cut", sender="di", details={"cut_from": 30_000, "client_id": "c-1"}),
        incoming("Known", sender="el", attributes={"level": "gold"}),
        incoming("Two names", sender="fi", also=(SenderName("email", "fi@example.com", verified=True),)),
        incoming("With a file", sender="gu", files=(IncomingFile(name="a.txt", content=b"a"),)),
        incoming("Twice", sender="hu"),
        incoming("", sender="io"),
    ]


def next_texts() -> list[Incoming]:
    return [
        incoming("Still nothing", sender="ada"),
        incoming("In another thread", sender="cy", thread="t-2"),
        incoming("Cut", sender="di", details={"client_id": "c-1"}),  # the client sends it again
        incoming("After it was resolved", sender="bo"),
        incoming("First", sender="hu"),
        incoming("Second", sender="hu"),
        incoming("A new one", sender="jo"),
    ]


def written() -> list[Any]:
    """Return all that was written, by sender, without what varies."""

    def columns(row: Any) -> dict[str, Any]:
        kept = {}
        for field in row._meta.concrete_fields:
            value = getattr(row, field.attname)
            if field.name not in VARIES and field.name not in ("body", "external_id", "received_at", "client_id"):
                kept[field.name] = value is not None if field.get_internal_type() == "DateTimeField" else value
        return kept

    found = []
    for identity in Identity.objects.select_related("customer").order_by("kind", "value"):
        own = identity.conversations.order_by("thread", "pk")
        talks = [
            [columns(talk), [{**columns(line), "has_id": bool(line.client_id)} for line in talk.lines.order_by("seq")]] for talk in own
        ]
        found.append([columns(identity), columns(identity.customer), talks])
    kept_lines = set(Line.objects.values_list("pk", flat=True))
    ended = [(row.sender, row.state, row.attempts, row.body, row.line_id in kept_lines) for row in Arrival.objects.order_by("sender", "pk")]
    return [found, ended, Attachment.objects.exclude(line=None).count()]


def everything_processed(entrance: Entrance) -> list[Any]:
    """Process texts in two rounds, with a resolved conversation between them, and return what was written."""
    arrive(entrance, *first_texts())
    process.process_arrivals()
    resolving.resolve(conversation=Conversation.objects.get(identity__value="bo"), by=TESTER, now=timezone.now())
    arrive(entrance, *next_texts())
    process.process_arrivals()
    return written()


def test_what_is_written_together_is_what_is_written_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    entrance = make_entrance()
    with monkeypatch.context() as alone:
        alone.setattr(together, "plain", lambda by_sender: [])
        one_by_one = everything_processed(entrance)
    Conversation.objects.all().delete()
    Arrival.objects.all().delete()
    Customer.objects.all().delete()

    at_once_written: list[int] = []
    whole = together.write

    def write(ready: Sequence[Ready], *rest: Any, **named: Any) -> None:
        at_once_written.append(len(ready))
        whole(ready, *rest, **named)

    monkeypatch.setattr(together, "write", write)
    assert everything_processed(entrance) == one_by_one
    assert at_once_written == [6, 5]


def test_the_number_of_statements_does_not_grow_with_the_texts() -> None:
    entrance = make_entrance()

    def statements(number: int, prefix: str) -> int:
        arrive(entrance, *(incoming("Where is my order?", sender=f"{prefix}{n}") for n in range(number)))
        with CaptureQueriesContext(connection) as found:
            assert process.process_arrivals() == number
        return len(found)

    few = statements(3, "a")
    assert statements(40, "b") <= few + 2
    assert Line.objects.count() == 43
    few = statements(3, "a")
    assert statements(40, "b") <= few + 2, "conversations that go on"
    assert (Line.objects.count(), Conversation.objects.count()) == (86, 43)


def test_one_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    entrance, whole = make_entrance(), Line.__init__

    def refuse(line: Line, *args: Any, **fields: Any) -> None:
        if fields.get("text") == "bad":
            raise ValueError("no good")
        whole(line, *args, **fields)

    monkeypatch.setattr(Line, "__init__", refuse)
    arrive(entrance, *(incoming("bad" if sender == "bo" else "good", sender=sender) for sender in ("ada", "bo", "cy")))
    process.process_arrivals()
    monkeypatch.undo()
    assert texts() == {"ada": ["good"], "cy": ["good"]}
    assert Arrival.objects.get(state=ArrivalState.PENDING).error == "ValueError: no good"
    assert Customer.objects.count() == 2


def test_a_late_worker_writes_nothing_of_what_another_has(monkeypatch: pytest.MonkeyPatch) -> None:
    entrance = make_entrance()
    arrive(entrance, *(incoming("Hello", sender=sender) for sender in ("ada", "bo")))
    late = claiming.claim()
    Arrival.objects.update(lease_until=None)
    assert process.process_arrivals() == 2
    before = written()
    assert process._process(late) == 0
    assert written() == before


def test_senders_who_are_one_person_by_another_spelling_get_one_conversation() -> None:
    entrance = make_entrance()
    names = [SenderName("email", "Ada@Example.com"), SenderName("email", "ada@example.com")]
    arrive(entrance, *(Incoming(external_id=f"m-{n}", sender=name, text=f"{n}") for n, name in enumerate(names)))
    process.process_arrivals()
    assert Conversation.objects.count() == Customer.objects.count() == 1
    assert texts() == {"ada@example.com": ["0", "1"]}


def test_workers_that_meet_the_same_new_customer_make_one() -> None:
    first, second = (make_entrance(), make_entrance())
    second.tenant = first.tenant
    second.save()
    for entrance in (first, second):
        arrive(entrance, *(incoming("Hello", sender=f"visitor-{n}") for n in range(20)))
    claiming_was, claiming.BATCH = claiming.BATCH, 20
    try:
        at_once(*[lambda: [process.process_arrivals() for _ in range(4)]] * 2)
    finally:
        claiming.BATCH = claiming_was
    assert (Customer.objects.count(), Identity.objects.count()) == (20, 20)
    assert (Conversation.objects.count(), Line.objects.count()) == (40, 40)
    assert set(Arrival.objects.values_list("state", flat=True)) == {ArrivalState.DONE}


def test_a_sender_who_is_added_meanwhile_is_found() -> None:
    entrance = make_entrance()
    arrive(entrance, *(incoming("Hello", sender=sender) for sender in ("ada", "bo")))
    now = timezone.now()
    identities.resolve(SenderName("portal", "ada"), tenant_id=entrance.tenant_id, now=now)
    process.process_arrivals()
    assert Customer.objects.count() == 2
    assert assign_waiting(tenant_id=entrance.tenant_id, now=now) == 0


def test_when_the_database_goes_away_nothing_stays_leased(monkeypatch: pytest.MonkeyPatch) -> None:
    entrance = make_entrance()
    files = (IncomingFile(name="a.jpg", reference={"media_id": "m-1"}),)
    arrive(entrance, incoming("Hello", sender="ada"), incoming("Look", sender="bo", files=files))

    def away(*_given: Any, **_named: Any) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr("routing.processing.process.take_in", away)
        with pytest.raises(OperationalError):
            process.process_arrivals()
    assert set(Arrival.objects.values_list("attempts", "lease_until")) == {(0, None)}
    while process.process_arrivals():
        pass
    assert texts() == {"ada": ["Hello"], "bo": ["Look"]}
