"""Metrics are declared beside the function that reads them."""

from typing import Any

import pytest

from posthaste.lib import metrics
from posthaste.lib.metrics import metric


@pytest.fixture(autouse=True)
def _only_those_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metrics", {})


def read() -> dict[str, Any]:
    return {found.full_name: samples for found, samples in metrics.read_all()}


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
        "posthaste_orders_not_known": [],
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
