"""Each built-in rule fires and resolves on the figure that it really reads; the outages of whole servers are in tests/integration."""

from datetime import timedelta
from typing import Any

import pytest

from monitor import figures
from monitor.alarms import built_in, states
from monitor.alarms.evaluator import readings_of
from monitor.alarms.states import Episode, Phase
from posthaste.lib import metrics
from tests.monitor.alarms.rules import START
from tests.monitor.alarms.sources import events, sources

pytestmark = [
    pytest.mark.django_db(transaction=True),  # readers have a connection of their own
    pytest.mark.both_stacks,
    pytest.mark.usefixtures("nothing_told"),
]
RULES = {rule.name: rule for rule in built_in.rules()}
#: Proven by servers that stop: tests/integration/test_outages.py, and Redis below.
SERVERS = {"database-away", "redis-away", "broker-away"}


class Watch:
    """One rule, evaluated on the real figure at times that the test gives."""

    def __init__(self, name: str) -> None:
        self.rule = RULES[name]
        self.now = START
        self.known: dict[tuple[str, str], Episode] = {}

    def after(self, wait: timedelta = timedelta(0)) -> dict[str, Phase]:
        """Read the figure after some time, and return the open and ended alarms by series."""
        self.now += wait
        figures.forget()
        read = figures.read([self.rule.metric])
        assert not read[self.rule.metric].error
        readings = {self.rule.name: readings_of(self.rule, read)}
        for key, episode in states.evaluate({self.rule.name: self.rule}, readings, self.known, now=self.now).items():
            self.known.pop(key, None)
            if episode is not None:
                self.known[key] = episode
        return {series: episode.phase for (_rule, series), episode in self.known.items()}


def goes_through_an_alarm(name: str, worsen: Any, mend: Any, series: str) -> None:
    """Assert that a rule is quiet, pending, firing, and resolved, in this order and at its own times."""
    watch = Watch(name)
    rule, moment = watch.rule, timedelta(seconds=1)
    wait, hold = timedelta(seconds=rule.for_seconds), timedelta(seconds=rule.hold_seconds)
    mend()
    assert watch.after() == {}, "well"
    worsen()
    if wait:
        assert watch.after(moment) == {series: Phase.PENDING}
        assert watch.after(wait - moment) == {series: Phase.PENDING}
        worsen()  # what is told of a process lasts for seconds
        assert watch.after(moment) == {series: Phase.FIRING}
    else:
        assert watch.after(moment) == {series: Phase.FIRING}
    mend()
    assert watch.after(moment) == {series: Phase.FIRING}
    mend()
    assert watch.after(hold - moment) == {series: Phase.FIRING}
    mend()
    assert watch.after(moment) == {series: Phase.RESOLVED}


def test_every_built_in_rule_is_proven() -> None:
    assert set(sources()) | SERVERS == set(RULES)


@pytest.mark.parametrize("name", sorted(set(RULES) - SERVERS))
def test_a_built_in_rule_fires_and_resolves_on_the_figure_it_reads(name: str, request: pytest.FixtureRequest) -> None:
    if name == "redis-memory":
        request.getfixturevalue("own_redis")
    source = sources()[name]
    source.make()
    goes_through_an_alarm(name, source.worsen, source.mend, source.series)


def test_a_few_failures_of_a_quiet_installation_are_no_low_success_rate() -> None:
    watch = Watch("success-rate")
    events(sent=14, failed=5)()
    assert watch.after() == {}
    events(sent=15, failed=5)()
    assert watch.after() == {"": Phase.PENDING}


def test_redis_away_fires_and_resolves_with_a_redis_that_stops(own_redis: Any) -> None:
    def start() -> None:
        if own_redis.process.poll() is not None:
            own_redis.start()

    goes_through_an_alarm("redis-away", own_redis.kill, start, "")


def test_every_rule_watches_a_metric_that_is_there_with_labels_that_it_has() -> None:
    known = {found.name: found for found in metrics.metrics()}
    for rule in RULES.values():
        assert rule.metric in known, rule.name
        assert set(rule.labels) <= set(known[rule.metric].labels), rule.name
        assert set(rule.inhibited_by) <= set(RULES), rule.name


def test_nothing_fires_where_nothing_is_known() -> None:
    unknown = dict.fromkeys(RULES, None)
    found = states.evaluate(RULES, unknown, {}, now=START)
    assert {episode.phase for episode in found.values() if episode} <= {Phase.MISSING}
