"""A breaker is held by hand: the audit entry is there whatever happens in between."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEntry
from messaging.providers.breakers import force, of_provider
from posthaste.lib import redis
from posthaste.lib.breaker import Phase, breakers
from tests.builders import TESTER, make_provider, make_tenant

pytestmark = pytest.mark.django_db


class Died(BaseException):
    """Ends the process at once: no handler of an ordinary error runs."""


@pytest.fixture
def name() -> str:
    return of_provider(make_provider(make_tenant()).pk)


def then(error: BaseException) -> Callable[..., Any]:
    """Return Redis's part of the change, followed by an error."""
    change = breakers.force

    def fail(*args: Any, **kwargs: Any) -> None:
        change(*args, **kwargs)
        raise error

    return fail


def test_a_process_that_dies_after_the_change_leaves_its_entry(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "force", then(Died()))
    with pytest.raises(Died):
        force(name=name, to="open", seconds=60, by=TESTER)
    assert breakers.phase(name) == Phase.OPEN
    entry = AuditEntry.objects.get(action="breaker.force")
    assert (entry.target, entry.actor, entry.detail) == (name, str(TESTER), {"state": "open", "seconds": 60})


def test_a_change_whose_answer_is_lost_leaves_an_entry_that_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "force", then(redis.Unavailable("timed out")))
    with pytest.raises(redis.Unavailable):
        force(name=name, to="open", by=TESTER)
    assert breakers.phase(name) == Phase.OPEN
    assert AuditEntry.objects.get(action="breaker.force").detail == {"state": "open", "outcome": "unknown"}


def test_releasing_a_breaker_that_is_not_held_leaves_no_entry(name: str) -> None:
    assert not force(name=name, to="automatic", by=TESTER)
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_entry_is_committed_before_the_breaker_changes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    change = breakers.force

    def look(*args: Any, **kwargs: Any) -> bool:
        seen.append((connection.in_atomic_block, AuditEntry.objects.filter(target=name).count()))
        return change(*args, **kwargs)

    monkeypatch.setattr(breakers, "force", look)
    assert force(name=name, to="open", by=TESTER)
    assert seen == [(False, 1)]
