"""The model that is active: swapped without a restart, shared, and never in the way of a text."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Tenant
from routing.configuration import assignment
from routing.intents import live, starting_rows, unloadable
from routing.intents.live import Models, recognize
from routing.intents.versions import activate_model
from routing.models import IntentModel
from tests.builders import TESTER, make_tenant
from tests.routing.intents.builders import make_version, small_model

pytestmark = pytest.mark.django_db


class Clock:
    """Counts the seconds that a test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(live, "models", Models(found))
    return found


def intents(tenant: Tenant, *texts: str) -> list[tuple[str, int]]:
    with assignment.set(min_confidence_percent=0):
        return [(one.alternatives[0][0], one.model) for one in recognize(texts, tenant_id=tenant.pk)]


def test_a_tenant_without_a_version_has_the_starting_model(tenant: Tenant) -> None:
    english, chinese = recognize(["I want to talk to a human being", "帮我转人工客服"], tenant_id=tenant.pk)
    assert [(one.intent, one.language, one.model, one.why_not) for one in (english, chinese)] == [
        ("human_please", "en", 0, ""),
        ("human_please", "zh", 0, ""),
    ]
    assert english.confidence == english.alternatives[0][1]


def test_another_version_recognizes_within_a_second_and_no_query_is_made_for_each_text(tenant: Tenant, clock: Clock) -> None:
    first = make_version(tenant, small_model(), is_active=True)
    second = make_version(tenant, small_model("tea", "train"))
    assert intents(tenant, "will it snow") == [("weather", first.number)]
    activate_model(model=second, by=TESTER, now=timezone.now())
    with CaptureQueriesContext(connection) as queries:
        assert intents(tenant, "will it snow")[0][1] == first.number
    assert len(queries) == 0
    clock.now += live.LOOK_SECONDS
    assert intents(tenant, "green tea") == [("tea", second.number)]
    activate_model(model=first, by=TESTER, now=timezone.now())
    clock.now += live.LOOK_SECONDS
    assert intents(tenant, "will it snow") == [("weather", first.number)]


def test_a_model_that_was_changed_is_not_loaded_and_the_one_before_goes_on(tenant: Tenant, clock: Clock) -> None:
    first = make_version(tenant, small_model(), is_active=True)
    assert intents(tenant, "green tea") == [("tea", first.number)]
    broken = make_version(tenant, small_model("tea", "train"))
    IntentModel.objects.filter(pk=broken.pk).update(artefact=b"PK" + bytes(100))
    activate_model(model=broken, by=TESTER, now=timezone.now())
    clock.now += live.LOOK_SECONDS
    assert intents(tenant, "green tea") == [("tea", first.number)]
    assert unloadable.number() == 1
    activate_model(model=first, by=TESTER, now=timezone.now())
    clock.now += live.RETRY_SECONDS
    assert intents(tenant, "green tea") == [("tea", first.number)]
    assert unloadable.number() == 0


def test_texts_are_recognized_while_the_database_is_away(tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_version(tenant, small_model(), is_active=True)
    assert intents(tenant, "green tea") == [("tea", first.number)]

    def away(**_kwargs: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(IntentModel.objects, "filter", away)
    clock.now += 60
    assert intents(tenant, "green tea") == [("tea", first.number)]
    assert [one.model for one in recognize(["hello"], tenant_id=make_tenant("Other").pk)] == [live.STARTING]
    assert unloadable.number() == 0, "nothing is wrong with a model"


def test_what_is_less_sure_than_the_configuration_wants_has_no_intent(tenant: Tenant, clock: Clock) -> None:
    make_version(tenant, small_model(), is_active=True)
    with assignment.set(min_confidence_percent=100):
        found = recognize(["is there tea on the train"], tenant_id=tenant.pk)[0]
    assert found.intent == ""
    assert found.why_not in ("confidence", "threshold", "gap")
    assert {name for name, _share in found.alternatives} >= {"tea", "train"}


def test_models_are_shared_and_only_some_are_kept(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_MODELS", 1)
    first, second = make_tenant("First"), make_tenant("Second")
    for owner in (first, second):
        make_version(owner, small_model(), is_active=True)
    mine, theirs = (live.models.active(owner.pk) for owner in (first, second))
    assert mine is not None
    assert theirs is not None
    assert mine.recogniser is theirs.recogniser
    third = make_tenant("Third")
    make_version(third, small_model("tea", "train"), is_active=True)
    assert intents(third, "green tea")[0][0] == "tea"
    assert intents(first, "will it snow")[0][0] == "weather"  # loaded again, as it had to make room


def test_a_recognition_that_fails_is_told_and_stops_nothing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_rows, "content", lambda: b"")
    live.models.forget()
    assert [one.why_not for one in recognize(["hello"], tenant_id=tenant.pk)] == ["no_model"]
