"""A backlog has a bound: beyond it callers are told to slow down, except for what is urgent."""

import time
from collections.abc import Iterator

import pytest
from django.utils import timezone

from messaging.configuration import queues
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing import admission, queue_statistics
from tests.builders import Api, close_committer, configure, make_api, make_batch, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(queue_statistics, "MAX_REST_SECONDS", 0.0)  # each look counts, however long a busy machine takes for it
    configure(queues, max_backlog=20)
    tenant = make_tenant()
    make_batch(tenant, pending=21)
    queue_statistics.measure(timezone.now())
    admission.admission_control.forget()  # what this process knew before
    yield make_api(tenant)
    close_committer()  # its connection would keep the test database from being removed


@pytest.mark.parametrize(
    ("path", "rest"),
    [("/api/messages/", {"recipient": "+8613812345678"}), ("/api/messages/batch", {"recipients": [{"recipient": "+8613812345678"}]})],
)
def test_beyond_the_bound_new_messages_are_answered_with_429_and_nothing_is_stored(api: Api, path: str, rest: dict[str, object]) -> None:
    answer = api.post(path, {"channel": "sms", "body": "x", **rest})
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert Message.objects.count() == 21


def test_urgent_messages_are_taken_all_the_same(api: Api) -> None:
    assert api.post("/api/messages/", {"channel": "sms", "recipient": "+8613812345678", "body": "x", "priority": 10}).status_code == 202


def test_when_the_backlog_has_shrunk_messages_are_taken_again(api: Api) -> None:
    Message.objects.filter(pk__in=Message.objects.values("pk")[:5]).delete()
    queue_statistics.measure(timezone.now())
    admission.admission_control.forget()
    assert api.post("/api/messages/", {"channel": "sms", "recipient": "+8613812345678", "body": "x"}).status_code == 202


@pytest.mark.parametrize("status", [BatchStatus.PAUSED, BatchStatus.CANCELLED])
def test_a_batch_that_stands_still_turns_nobody_away_and_keeps_no_threads(api: Api, status: str) -> None:
    Batch.objects.update(status=status)
    assert queue_statistics.measure(timezone.now()).total == 0
    Batch.objects.update(status=BatchStatus.RUNNING)
    assert queue_statistics.measure(timezone.now()).total == 21


def test_a_backlog_that_is_gone_is_told_although_the_next_count_is_far_off(api: Api) -> None:
    backlog, due = queue_statistics._DueCounter(), Message.objects.filter(status=Status.PENDING)
    assert backlog.count(due) == 21
    backlog._next = time.monotonic() + 60  # the last count took long
    assert backlog.count(due) == 21
    Message.objects.all().delete()
    assert backlog.count(due) == 0
