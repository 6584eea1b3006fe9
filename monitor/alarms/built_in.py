"""The rules of a new installation. docs/runbook.md says what each means and what to do."""

from monitor.alarms.rules import AlarmRule, Comparison, Severity

BELOW, CRITICAL = Comparison.BELOW, Severity.CRITICAL
#: Without these every figure that is kept in Redis or the database is missing or old.
SERVICES = ("redis-away", "database-away")
BROKER = (*SERVICES, "broker-away")
WORKERS = (*BROKER, "no-consumers")

DECLARED: list[AlarmRule] = [
    # What the platform rests on: one outage, one notice.
    AlarmRule(
        name="database-away",
        metric="up",
        only=["part=database"],
        comparison=BELOW,
        bound=1,
        severity=CRITICAL,
        group="services",
        for_seconds=10,
        hold_seconds=30,
    ),
    AlarmRule(
        name="redis-away",
        metric="up",
        only=["part=redis"],
        comparison=BELOW,
        bound=1,
        severity=CRITICAL,
        group="services",
        for_seconds=10,
        hold_seconds=30,
    ),
    AlarmRule(
        name="broker-away",
        metric="up",
        only=["part=broker"],
        comparison=BELOW,
        bound=1,
        severity=CRITICAL,
        group="services",
        for_seconds=10,
        hold_seconds=30,
    ),
    # Processes. A sign of life lasts five seconds, so a worker that stops is told within half a minute.
    AlarmRule(
        name="no-consumers",
        metric="processes",
        only=["kind=send"],
        comparison=BELOW,
        bound=1,
        severity=CRITICAL,
        group="processes",
        for_seconds=5,
        hold_seconds=30,
        inhibited_by=[*BROKER],
    ),
    AlarmRule(
        name="no-feeder",
        metric="processes",
        only=["kind=aux"],
        comparison=BELOW,
        bound=1,
        severity=CRITICAL,
        group="processes",
        for_seconds=5,
        hold_seconds=30,
        inhibited_by=[*BROKER],
    ),
    AlarmRule(
        name="beat-silent",
        metric="processes",
        only=["kind=beat"],
        comparison=BELOW,
        bound=1,
        severity=CRITICAL,
        group="processes",
        for_seconds=15,
        hold_seconds=30,
        inhibited_by=[*BROKER],
    ),
    # Sending.
    AlarmRule(
        name="backlog-age",
        metric="oldest_due_seconds",
        bound=300,
        clear_bound=60,
        severity=CRITICAL,
        group="sending",
        inhibited_by=[*WORKERS, "no-feeder"],
    ),
    AlarmRule(
        name="backlog", metric="due_messages", bound=99_000, clear_bound=80_000, group="sending", inhibited_by=[*WORKERS, "no-feeder"]
    ),
    AlarmRule(name="queue-near-capacity", metric="queue_usage_percent", bound=90, clear_bound=75, group="sending", inhibited_by=[*WORKERS]),
    AlarmRule(
        name="pool-at-maximum",
        metric="pool_usage_percent",
        bound=99,
        clear_bound=90,
        for_seconds=300,
        group="sending",
        inhibited_by=[*WORKERS],
    ),
    AlarmRule(
        name="success-rate",
        metric="success_percent",
        comparison=BELOW,
        bound=95,
        clear_bound=97,
        for_seconds=120,
        severity=CRITICAL,
        group="outcomes",
        inhibited_by=[*BROKER],
    ),
    AlarmRule(
        name="failure-spike", metric="failure_rise_ratio", bound=3, clear_bound=2, for_seconds=60, group="outcomes", inhibited_by=[*BROKER]
    ),
    AlarmRule(name="breaker-open", metric="open_breakers", bound=0, for_seconds=10, inhibited_by=[*SERVICES]),
    AlarmRule(name="receipts-missing", metric="receipts_missing_percent", bound=50, clear_bound=20, for_seconds=600),
    AlarmRule(name="credential-refused", metric="refused_credentials", bound=0, for_seconds=0, severity=CRITICAL),
    AlarmRule(name="credential-expiring", metric="credential_days", comparison=BELOW, bound=14, for_seconds=0, repeat_minutes=1_440),
    AlarmRule(name="certificate-expiring", metric="certificate_days", comparison=BELOW, bound=14, for_seconds=0, repeat_minutes=1_440),
    AlarmRule(name="webhook-endpoint-disabled", metric="webhook_given_up_endpoints", bound=0, for_seconds=0, repeat_minutes=1_440),
    # The platform itself.
    AlarmRule(name="configuration-not-applied", metric="config_lagging_instances", bound=0, for_seconds=60, inhibited_by=[*SERVICES]),
    AlarmRule(name="configuration-refused", metric="config_refused_instances", bound=0, for_seconds=30, inhibited_by=[*SERVICES]),
    AlarmRule(name="intent-model-unloadable", metric="unloadable_intent_models", bound=0, for_seconds=30, inhibited_by=[*SERVICES]),
    # The service desk.
    AlarmRule(name="arrivals-failed", metric="failed_arrivals", bound=0, for_seconds=0, repeat_minutes=1_440),
    AlarmRule(name="service-level-breached", metric="breached_clocks", bound=0, for_seconds=0, repeat_minutes=240),
    AlarmRule(name="calendar-without-holidays", metric="calendars_without_holidays", bound=0, for_seconds=0, repeat_minutes=1_440),
    AlarmRule(name="job-failed", metric="failed_jobs", bound=0, for_seconds=0, inhibited_by=[*BROKER]),
    AlarmRule(name="disk-full", metric="disk_used_percent", bound=90, clear_bound=85, severity=CRITICAL, no_data_minutes=60),
    AlarmRule(
        name="redis-memory", metric="redis_memory_used_percent", bound=90, clear_bound=80, severity=CRITICAL, inhibited_by=[*SERVICES]
    ),
    AlarmRule(
        name="limits-without-redis",
        metric="limits_are_local",
        bound=0,
        for_seconds=30,
        severity=CRITICAL,
        group="services",
        inhibited_by=["redis-away"],
    ),
]


def rules() -> list[AlarmRule]:
    """Return the built-in rules."""
    return [*DECLARED]
