"""Metrics are declared beside the function that reads them."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.translation import get_language, override
from structlog.testing import capture_logs

from posthaste.lib import metric_readings, metrics, redis
from posthaste.lib.metrics import metric


@pytest.fixture(autouse=True)
def _only_those_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metrics", {})
    monkeypatch.setattr(metric_readings, "_left_behind", {})
    monkeypatch.setattr(metric_readings, "_failing", set())
    monkeypatch.setattr(metric_readings, "_took", {})


def read() -> dict[str, Any]:
    return {found.full_name: what.samples for found, what in metric_readings.read_all()}


def test_a_reader_gives_a_number_or_numbers_by_label() -> None:
    metric("orders", help="Orders.")(lambda: 3)
    metric("orders_by_country", help="Orders.", labels=("country",))(lambda: {"cn": 1, "fr": None})
    by_both: dict[tuple[str, ...], float] = {("cn", "Suzhou"): 2}
    metric("orders_by_both", help="Orders.", labels=("country", "city"))(lambda: by_both)
    metric("orders_not_known", help="Orders.")(lambda: None)
    assert read() == {
        "posthaste_orders": [((), 3.0)],
        "posthaste_orders_by_country": [(("cn",), 1.0)],
        "posthaste_orders_by_both": [(("cn", "Suzhou"), 2.0)],
        "posthaste_orders_not_known": None,
    }


def test_one_that_fails_or_gives_other_labels_leaves_the_others_alone() -> None:
    metric("broken", help="Breaks.")(lambda: 1 / 0)
    metric("orders", help="Orders.")(lambda: 3)
    metric("unlabelled", help="Orders.")(lambda: {"cn": 1})
    assert read() == {"posthaste_broken": None, "posthaste_orders": [((), 3.0)], "posthaste_unlabelled": None}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Orders", {}),
        ("posthaste_orders", {}),
        ("orders_total", {}),
        ("orders", {"kind": "counter"}),
        ("waiting", {"unit": "seconds"}),
    ],
)
def test_a_name_that_prometheus_would_not_expect_is_refused(name: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=name):
        metric(name, help="Orders.", **more)(lambda: 1)


def test_a_name_is_taken_once() -> None:
    metric("orders_total", kind="counter", help="Orders.")(lambda: 1)
    with pytest.raises(ValueError, match="twice"):
        metric("orders_total", kind="counter", help="Orders.")(lambda: 1)


def test_the_values_of_labels_are_published_as_text() -> None:
    by_size: Any = {5: 4, None: 1}
    metric("orders_by_size", help="Orders.", labels=("size",))(lambda: by_size)
    assert read() == {"posthaste_orders_by_size": [(("5",), 4.0), (("None",), 1.0)]}


@pytest.mark.parametrize("labels", [("coun-try",), ("__name__",), ("country", "country")])
def test_labels_that_prometheus_would_change_or_lose_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="labels"):
        metric("orders", help="Orders.", labels=labels)


def threads() -> int:
    return sum(thread.name == "metrics" for thread in threading.enumerate())


def ended(before: int) -> bool:
    deadline = time.monotonic() + 20
    while threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    return threads() <= before


def test_a_reader_that_takes_too_long_is_left_out_and_not_called_again_until_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_readings, "READER_SECONDS", 0.5)
    before, may_return, calls = threads(), threading.Event(), []

    @metric("hanging", help="Hangs.")
    def hanging() -> float:
        calls.append(1)
        may_return.wait(60)
        return 1

    metric("orders", help="Orders.")(lambda: 3)
    try:
        with capture_logs() as logged:
            for _scrape in range(5):
                assert read() == {"posthaste_hanging": None, "posthaste_orders": [((), 3.0)]}
        assert calls == [1]
        assert [entry["metric"] for entry in logged] == ["hanging"], "once"
        assert ended(before + 1), "one thread is left behind, however many scrapes there are"
    finally:
        may_return.set()
    assert ended(before)
    monkeypatch.setattr(metric_readings, "READER_SECONDS", 30.0)
    assert read() == {"posthaste_hanging": [((), 1.0)], "posthaste_orders": [((), 3.0)]}


def test_what_was_found_away_is_known_to_the_thread_that_takes_over_from_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_readings, "READER_SECONDS", 0.5)
    before, may_return = threads(), threading.Event()

    @metric("up", help="Asks.", is_vital=True)
    def up() -> float:
        metric_readings.found_away({"redis", "broker"})
        return 0

    @metric("c_broker", help="Asks the broker.")
    def c_broker() -> float:
        metric_readings.must_respond("broker")
        return 1

    metric("a_hanging", help="Hangs.")(lambda: may_return.wait(60))
    metric("b_redis", help="Asks Redis.")(lambda: redis.client().dbsize())
    try:
        found = {one.name: what.error for one, what in metric_readings.read_all()}
    finally:
        may_return.set()
        assert ended(before)
    assert found["up"] == ""
    assert "took longer" in found["a_hanging"]
    assert "Redis did not respond a moment ago" in found["b_redis"]
    assert "broker did not respond a moment ago" in found["c_broker"]


def test_readers_that_hang_do_not_take_the_time_of_the_others_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_readings, "ALL_SECONDS", 1.0)
    may_return = threading.Event()
    for number in range(3):
        metric(f"hanging_{number}", help="Hangs.")(lambda: float(may_return.wait(60)))
    metric("orders", help="Orders.")(lambda: 3)
    try:
        for _scrape in range(4):
            found = read()
            assert found["posthaste_hanging_0"] is None
        assert found["posthaste_orders"] == [((), 3.0)], "each scrape finds out one of them"
    finally:
        may_return.set()


def test_a_reader_that_raises_a_time_out_of_its_own_is_called_again() -> None:
    answers: Iterator[Exception | float] = iter([TimeoutError("The database did not answer."), 3.0])

    @metric("orders", help="Orders.")
    def orders() -> float:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert read() == {"posthaste_orders": None}
    assert read() == {"posthaste_orders": [((), 3.0)]}


def test_help_and_labels_are_in_the_language_of_the_caller() -> None:
    metric("orders_by_language", help="Orders.", labels=("language",))(lambda: {str(get_language()): 1})
    with override("zh-hans"):
        assert read() == {"posthaste_orders_by_language": [(("zh-hans",), 1.0)]}


def test_nothing_of_a_kind_is_known_and_a_number_that_is_not_known_is_not() -> None:
    metric("orders_open", help="Orders.", labels=("country",))(dict)
    metric("orders_lost", help="Orders.", labels=("country",))(lambda: {"cn": None})
    assert read() == {"posthaste_orders_open": [], "posthaste_orders_lost": None}


def test_readers_of_one_reading_share_an_answer_and_an_error() -> None:
    asked: list[str] = []

    @metric_readings.once_a_reading
    def answer() -> float:
        asked.append("answer")
        return len(asked)

    @metric_readings.once_a_reading
    def error() -> float:
        asked.append("error")
        raise RuntimeError("away")

    for number in range(3):
        metric(f"orders_{number}", help="Orders.")(lambda: answer())
        metric(f"failing_{number}", help="Fails.")(lambda: error())
    found = read()
    assert sorted(asked) == ["answer", "error"]
    assert len({found[f"posthaste_orders_{number}"][0][1] for number in range(3)}) == 1
    assert [found[f"posthaste_failing_{number}"] for number in range(3)] == [None] * 3
    read()
    assert sorted(asked) == ["answer", "answer", "error", "error"], "each reading asks anew"
    assert answer() == 5, "outside a reading it is a plain call"


def test_some_metrics_are_read_without_the_others() -> None:
    metric("broken", help="Breaks.")(lambda: 1 / 0)
    metric("orders", help="Orders.")(lambda: 3)
    assert [(found.name, what.samples) for found, what in metric_readings.read_all(["orders"])] == [("orders", [((), 3.0)])]


def test_values_without_a_bound_can_be_made_one_number() -> None:
    metric("orders_by_customer", help="Orders.", labels=("customer",), fold=sum)(lambda: {"Ada": 2, "Ben": 3})
    metric("oldest_by_customer", help="Orders.", labels=("customer",), fold=metrics.smallest)(dict)
    for found, what in metric_readings.read_all():
        assert what.samples is not None
        assert found.folded(what.samples) == {"orders_by_customer": [((), 5.0)], "oldest_by_customer": []}[found.name]


@pytest.mark.parametrize("more", [{"title": "Orders"}, {"fold": sum}])
def test_only_a_gauge_is_for_alarms_and_can_be_folded(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Only gauges"):
        metric("orders_total", kind="counter", help="Orders.", **more)


def test_what_is_vital_is_read_before_others_whatever_it_took_the_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    metric("b_quick", help="Quick.")(lambda: 1)
    metric("c_vital", help="Vital.", is_vital=True)(lambda: 1)
    monkeypatch.setattr(metric_readings, "_took", {"b_quick": 0.001, "c_vital": 3.0})
    assert list(read()) == ["posthaste_c_vital", "posthaste_b_quick"]
