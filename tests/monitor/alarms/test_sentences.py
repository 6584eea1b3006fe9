"""What an alarm says in one sentence, on the big screen, on its page and in its notices."""

import pytest
from django.test import Client
from django.utils import translation

from monitor.alarms import built_in, runbook, sentences, titles
from monitor.alarms.rules import AlarmRule

BUILT_IN = {rule.name: rule for rule in built_in.rules()}


@pytest.mark.parametrize(
    ("name", "series", "value", "said"),
    [
        ("redis-away", "", 0, "Redis unavailable: Redis does not respond"),
        ("redis-away", "", 1, "Redis unavailable: back to normal, and over if that lasts"),
        ("no-consumers", "", 0, "Workers missing: No worker process is running"),
        ("backlog-age", "", 400, "Messages wait too long: The oldest message has been waiting for 6 min 40 s"),
        ("backlog-age", "", 200, "Messages wait too long: The oldest message has been waiting for 3 min 20 s"),
        ("backlog", "", 120_000, "Backlog too large: 120,000 messages are waiting to be sent"),
        ("success-rate", "", 91.5, "Low success rate: Only 91.5 % of messages succeed"),
        ("breaker-open", "breaker=FCM gateway", 1, "Breaker open: The breaker of FCM gateway is open"),
        ("disk-full", "host=db-1", 93, "Disk nearly full (host=db-1): The disk is 93 % full"),
        ("credential-expiring", "provider=FCM", -1, "Credential expires soon: A credential of FCM has expired"),
        ("webhook-endpoint-disabled", "", 2, "Webhook endpoint disabled: Webhook endpoints that Posthaste disabled: 2"),
    ],
)
def test_an_alarm_says_in_a_plain_sentence_what_is_wrong(name: str, series: str, value: float, said: str) -> None:
    assert sentences.headline(BUILT_IN[name], series, value) == said


def test_a_missing_reading_says_so() -> None:
    assert sentences.headline(BUILT_IN["disk-full"], "", None) == "Disk nearly full: no data of Disk space used, per cent"


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("rule", built_in.rules(), ids=lambda rule: rule.name)
def test_every_built_in_alarm_has_a_sentence_in_both_languages(rule: AlarmRule, language: str) -> None:
    value = rule.bound + 1 if rule.comparison == "above" else rule.bound - 1
    with translation.override(language):
        said = sentences.sentence(rule, "" if rule.only else "name=Mail", value)
    assert said
    assert "{" not in said
    assert "(1)" not in said


def test_built_in_rules_are_called_by_a_title_and_own_rules_by_their_name() -> None:
    assert set(titles.TITLES) == set(BUILT_IN)
    assert len({str(title) for title in titles.TITLES.values()}) == len(BUILT_IN)
    assert sentences.headline(BUILT_IN["backlog"].model_copy(update={"name": "ours"}), "", 120_000).startswith("ours: ")
    assert AlarmRule.in_brief(BUILT_IN["redis-away"].model_dump(mode="json")).startswith("Redis unavailable · ")


@pytest.mark.django_db
def test_the_runbook_has_a_page_with_the_section_of_each_built_in_alarm(client: Client) -> None:
    response = client.get("/docs/runbook/")
    text = response.content.decode()
    for name in BUILT_IN:
        assert runbook.path(name) == f"/docs/runbook/#{name}"
        assert f'<h3 id="{name}">' in text
    assert 'href="configuration.md' not in text
    assert runbook.path("a-rule-of-ours") == ""


def test_the_address_in_a_notice_is_complete() -> None:
    assert runbook.url("redis-away").endswith("/docs/runbook/#redis-away")
    assert runbook.url("redis-away").startswith("http")
