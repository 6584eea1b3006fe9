"""The platform's figures, as alarms read them."""

from collections.abc import Iterator
from typing import Any

import pytest

from messaging.queueing import queue_statistics
from monitor import figures
from posthaste.lib import metrics, redis
from posthaste.lib.metrics import metric
from tests.builders import make_message, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]  # readers have a connection of their own
#: What the built-in alarms watch.
WATCHED = {
    "oldest_due_seconds",
    "success_percent",
    "recent_failures",
    "failure_rise_ratio",
    "open_breakers",
    "pool_usage_percent",
    "queue_usage_percent",
    "backlog_is_full",
    "processes",
    "up",
    "disk_used_percent",
    "receipts_missing_percent",
    "config_lagging_instances",
    "config_refused_instances",
    "certificate_days",
    "credential_days",
    "refused_credentials",
    "unloadable_intent_models",
    "failed_arrivals",
    "breached_clocks",
    "calendars_without_holidays",
    "webhook_given_up_endpoints",
    "latency_p95_seconds",
    "dead_letters",
    "limits_are_local",
}


@pytest.fixture(autouse=True)
def _registry_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metrics, "_metrics", dict(metrics._metrics))
    figures.forget()
    yield
    figures.forget()


def test_what_the_built_in_alarms_watch_has_a_title_a_unit_where_it_has_one_and_an_answer() -> None:
    titled = figures.titled()
    assert set(titled) >= WATCHED
    read = figures.read(WATCHED)
    assert set(read) == WATCHED
    assert {name: figure.error for name, figure in read.items() if figure.error} == {}
    for found in titled.values():
        assert str(found.title)
        assert str(found.help).endswith(".")


def test_what_was_not_measured_lately_is_no_data_and_not_zero() -> None:
    redis.client().delete(redis.key("waiting"))
    figures.forget()
    assert not figures.read(["oldest_due_seconds"])["oldest_due_seconds"].is_known
    make_message(make_tenant())
    from django.utils import timezone

    queue_statistics.measure(timezone.now())
    figures.forget()
    due = figures.read(["due_messages", "open_breakers"])
    assert due["due_messages"].values == {(): 1.0}
    assert due["open_breakers"].is_known, "nothing is open, which is known"
    assert due["open_breakers"].values == {}


def test_while_redis_is_away_its_figures_are_no_data_and_those_of_the_database_are_there(own_redis: Any) -> None:
    own_redis.kill()
    figures.forget()
    read = figures.read(WATCHED | {"sending_messages"})
    assert read["up"].matching({"part": "redis"}) == {("redis",): 0.0}
    assert read["up"].matching({"part": "database"}) == {("database",): 1.0}
    assert read["sending_messages"].values == {(): 0.0}
    for name in ("oldest_due_seconds", "success_percent", "open_breakers", "processes"):
        assert not read[name].is_known, name
        assert read[name].error, name


def test_answers_are_remembered_for_a_moment_and_costly_ones_for_longer() -> None:
    asked: dict[str, int] = {"cheap": 0, "costly": 0}

    def count(name: str) -> float:
        asked[name] += 1
        return asked[name]

    metric("cheap", help="Cheap.")(lambda: count("cheap"))
    metric("costly", help="Costly.", keep_seconds=600)(lambda: count("costly"))
    for _question in range(3):
        figures.read(["cheap", "costly"], max_age_seconds=600)
    assert asked == {"cheap": 1, "costly": 1}
    figures.read(["cheap", "costly"], max_age_seconds=0)
    assert asked == {"cheap": 2, "costly": 1}


def test_one_that_failed_is_asked_again_soon_however_costly_it_is() -> None:
    answers: Iterator[float | None] = iter([None, 3.0])
    metric("costly", help="Costly.", keep_seconds=600)(lambda: next(answers))
    assert not figures.read(["costly"], max_age_seconds=0)["costly"].is_known
    assert figures.read(["costly"], max_age_seconds=0)["costly"].values == {(): 3.0}


def test_an_unknown_name_is_left_out() -> None:
    assert figures.read(["there_is_no_such_metric"]) == {}
