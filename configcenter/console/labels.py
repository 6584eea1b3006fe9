"""Words for the members of the modules' enumerations, by the name of the class: one place, so that a choice reads the same everywhere."""

from enum import StrEnum

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

WORDS: dict[str, dict[str, str]] = {
    "Behaviour": {
        "reject": _("Refuse"),
        "warm_up": _("Warm up, then refuse"),
        "queue": _("Let wait"),
        "warm_up_queue": _("Warm up and let wait"),
    },
    "Choice": {"least_loaded": _("Least loaded"), "round_robin": _("In turn"), "longest_idle": _("Longest idle")},
    "Comparison": {"above": _("above"), "below": _("below")},
    "Figure": {
        "backlog": _("Messages waiting"),
        "oldest_seconds": _("Age of the oldest, seconds"),
        "failed_percent": _("Failed, per cent"),
        "success_percent": _("Successful, per cent"),
        "latency_p95_ms": _("Latency p95, milliseconds"),
        "pool_usage_percent": _("Use of the thread pool, per cent"),
        "breaker_open": _("Open breakers"),
        "process_missing": _("Missing processes"),
        "job_failed": _("Failed jobs"),
        "limiter_local": _("Limits kept without Redis"),
    },
    "Origin": {
        "all": _("Everybody together"),
        "tenant": _("Tenant"),
        "key": _("API key"),
        "ip": _("Address"),
        "recipient": _("Recipient"),
        "template": _("Template"),
    },
    "Outside": {"defer": _("Wait"), "drop": _("Drop")},
    "Resource": {
        "api": _("Any call of the API"),
        "accept": _("Handing over messages"),
        "callback": _("Receipts and inbound messages"),
        "public": _("Pages without a login"),
    },
    "Severity": {"info": _("Information"), "warning": _("Warning"), "critical": _("Critical")},
    "Strategy": {"weighted": _("By weight"), "fastest": _("By weight and latency"), "in_order": _("In order of weight")},
}
#: Units of the modules' fields: marked here, translated where they are shown.
UNITS = (_("ms"), _("s"), _("min"), _("h"), _("per s"), _("%"), _("threads"))


def word_for(member: StrEnum) -> str:
    """Return the reader's word for a member, or its value where nobody wrote one down."""
    return gettext(WORDS.get(type(member).__name__, {}).get(member.value, member.value))
