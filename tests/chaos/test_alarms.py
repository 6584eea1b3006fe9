"""A server that the platform rests on goes away and comes back: its alarm is told past the platform, once to each, and ends."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.installation import Installation
from tests.chaos.test_faults import STRIKES
from tests.integration.waiting import poll
from tests.peers.gateway import Gateway

#: The outages, one after the other, and the rule that tells of each.
OUTAGES = (
    ("rabbitmq", "kill", "broker-away"),
    ("redis", "kill", "redis-away"),
    ("postgresql", "kill", "database-away"),
    ("postgresql", "freeze", "database-away"),  # connections stay open, and nothing answers
)
SUBJECT = re.compile(r"\[(?P<head>\w+)\] (?P<rule>[\w-]+):")
HEADS = {"Critical": "firing", "Resolved": "resolved"}
QUIET_SECONDS = 120.0
Told = Counter[tuple[str, str]]


@pytest.fixture
def gateway(installation: Installation) -> Iterator[Gateway]:
    """Have critical alarms told by webhook and by e-mail, without waiting for others of their group after the first notice."""
    stack = installation.stack
    with Gateway() as gateway:
        installation.mend()
        usual = stack.http.get("/api/config/modules/alarms/").json()["effective"]
        hook = {"name": "hook", "kind": "webhook", "address": gateway.url, "least_severity": "critical"}
        mail = {"name": "mail", "kind": "email", "address": "ops@example.com", "least_severity": "critical"}
        stack.configure("alarms", receivers=[hook, mail], group_interval_seconds=0)
        yield gateway
        installation.mend()
        stack.configure("alarms", **usual)


def by_webhook(gateway: Gateway) -> Told:
    """Count what was told, by rule and status."""
    notices: list[dict[str, Any]] = [record.body["metadata"] for record in list(gateway.records)]
    return Counter((alarm["rule"], alarm["status"]) for notice in notices for alarm in notice["alarms"])


def by_mail(installation: Installation) -> Told:
    """Count what was told, by rule and status."""
    found = [SUBJECT.match(str(mail.message["Subject"])) for mail in list(installation.mails.messages)]
    return Counter((match["rule"], HEADS[match["head"]]) for match in found if match)


@pytest.mark.skipif(not STRIKES, reason="four outages until their alarms have ended take four minutes: make chaos")
def test_an_outage_of_each_server_is_told_straight_and_once_and_so_is_its_end(installation: Installation, gateway: Gateway) -> None:
    expected: Told = Counter()

    def told() -> tuple[Told, Told]:
        return by_webhook(gateway), by_mail(installation)

    def await_all(reason: str) -> None:
        poll(
            lambda: all(expected <= each for each in told()),
            progress=told,
            quiet_seconds=QUIET_SECONDS,
            reason=lambda: f"{reason}: {told()}",
        )

    for name, how, rule in OUTAGES:
        server = installation.services[name]
        getattr(server, how)()
        try:
            expected[rule, "firing"] += 1
            await_all(f"{name} is away: {how}")
        finally:
            server.thaw() if how == "freeze" else server.start()
        expected[rule, "resolved"] += 1
        await_all(f"{name} is back")
    assert told() == (expected, expected), "each once, and of nothing else"
    installation.stack.wait_healthy()

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = installation.stack.http.get("/api/alarms/", severity="critical").json()["results"]
        return found

    poll(lambda: {row["state"] for row in rows()} == {"resolved"}, progress=rows, reason="all are over")
    assert Counter(row["rule"] for row in rows()) == Counter(rule for _name, _how, rule in OUTAGES)
    for row in rows():
        notices = installation.stack.http.get(f"/api/alarms/{row['id']}/").json()["notices"]
        assert Counter(notice["receiver"] for notice in notices) == {"hook": 2, "mail": 2}
        assert {(notice["state"], notice["way"]) for notice in notices} == {("sent", "straight")}
