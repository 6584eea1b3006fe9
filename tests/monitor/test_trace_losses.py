"""Traces that are not complete are said to be on the overview, to those who see the whole installation."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from accounts.models import User
from monitor import attention
from posthaste.lib import redis
from posthaste.ui.attention import Notice, Reader
from tests.builders import make_tenant
from tracing.services import losses

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _none_lost() -> Iterator[None]:
    redis.client().delete(losses.key())
    yield
    redis.client().delete(losses.key())


def notices(*, is_everything: bool = True) -> list[Notice]:
    user = User.objects.create(username=f"user {User.objects.count()}", is_superuser=is_everything)
    reader = Reader(user=user, tenant_ids=[make_tenant().pk], is_everything=is_everything, now=timezone.now())
    return list(attention.trace_losses(reader))


def lose(kind: str, number: int) -> None:
    pipeline = redis.client().pipeline(transaction=False)
    losses.note(pipeline, kind, number)
    pipeline.execute()


def test_nothing_is_said_while_nothing_is_lost() -> None:
    lose(losses.LINES, 0)
    assert notices() == []


def test_what_was_lost_in_the_last_hour_is_said_with_its_number() -> None:
    lose(losses.LINES, 3)
    lose(losses.TRACES, 40)
    said = [(notice.text, notice.count) for notice in notices()]
    assert said == [("Events are missing in the traces of messages.", 3), ("Traces were not sent to the OTLP receiver.", 40)]
    assert notices(is_everything=False) == []


def test_what_was_lost_long_ago_is_not_said_any_more() -> None:
    lose(losses.LINES, 3)
    redis.client().hset(losses.key(), f"{losses.LINES}:at", 1_700_000_000)
    assert notices() == []
