"""What people read as the name of an alarm: the title of a built-in rule in their language, or the name that a rule of one's own has.

Programs, the configuration and the runbook know every rule by its name, which is the same in all languages.
"""

from django.utils.translation import gettext_lazy as _

#: Each built-in rule's; a test asks for all of them.
TITLES = {
    "database-away": _("Database unavailable"),
    "redis-away": _("Redis unavailable"),
    "broker-away": _("Message broker unavailable"),
    "no-consumers": _("Workers missing"),
    "no-feeder": _("worker-aux missing"),
    "beat-silent": _("Beat missing"),
    "backlog-age": _("Messages wait too long"),
    "backlog": _("Backlog too large"),
    "queue-near-capacity": _("Queue nearly full"),
    "pool-at-maximum": _("All sending threads busy"),
    "success-rate": _("Low success rate"),
    "failure-spike": _("Sharp rise in failures"),
    "breaker-open": _("Breaker open"),
    "receipts-missing": _("Receipts missing"),
    "intent-model-unloadable": _("Intent model can't be loaded"),
    "arrivals-failed": _("Messages of customers failed"),
    "service-level-breached": _("Service levels breached"),
    "calendar-without-holidays": _("Calendar lacks holidays"),
    "credential-refused": _("Credentials refused"),
    "credential-expiring": _("Credential expires soon"),
    "certificate-expiring": _("Certificate expires soon"),
    "webhook-endpoint-disabled": _("Webhook endpoint disabled"),
    "configuration-not-applied": _("Configuration not applied"),
    "configuration-refused": _("Configuration refused"),
    "job-failed": _("Job failed"),
    "disk-full": _("Disk nearly full"),
    "redis-memory": _("Redis memory nearly full"),
    "limits-without-redis": _("Limits kept without Redis"),
}


def of_rule(name: str) -> str:
    """Return what a rule is called in the reader's language."""
    return str(TITLES.get(name, name))


def of_alarm(rule: str, series: str) -> str:
    """Return what an alarm is called: its rule, and which of the metric's series it is about."""
    return f"{of_rule(rule)} · {series}" if series else of_rule(rule)


def named_like(text: str) -> list[str]:
    """Return the names of the built-in rules whose title in the reader's language has this text in it."""
    wanted = text.casefold()
    return [name for name, title in TITLES.items() if wanted in str(title).casefold()]
