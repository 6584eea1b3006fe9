"""Providers: their breakers, credentials and receipts; and the limits at the entrance."""

from collections import Counter
from collections.abc import Mapping

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.providers import breakers as names_of_breakers
from messaging.providers import condition
from posthaste.lib.breaker import Phase, breakers
from posthaste.lib.flow import totals
from posthaste.lib.flow.limiter import limiter
from posthaste.lib.metric_readings import once_a_reading
from posthaste.lib.metrics import largest, metric, smallest

MAX_RULES = 50  # a label has no more values than this, however many rules there have been
KINDS = {names_of_breakers.PROVIDER: "provider", names_of_breakers.WEBHOOK: "webhook"}


@once_a_reading
def _phases() -> Mapping[str, Phase]:
    return breakers.phases()


@once_a_reading
def _limits() -> Mapping[str, float]:
    return totals.so_far()


def _kind(name: str) -> str:
    return next((kind for prefix, kind in KINDS.items() if name.startswith(prefix)), "other")


@metric("breakers", help=_("Breakers by kind and state. Those that were never open are not counted as closed."), labels=("kind", "state"))
def breakers_by_state() -> Mapping[tuple[str, ...], float]:
    """Count the breakers that have a state."""
    found = Counter((_kind(name), phase.value) for name, phase in _phases().items())
    return {(kind, phase.value): float(found[kind, phase.value]) for kind in KINDS.values() for phase in Phase}


@metric(
    "open_breakers",
    title=_("Open breakers"),
    help=_("Breakers of providers and webhook hosts that let no calls through."),
    labels=("breaker",),
    fold=sum,
)
def open_breakers() -> Mapping[str, float]:
    """Name the open breakers as pages do."""
    names = [name for name, phase in _phases().items() if phase is Phase.OPEN]
    return dict.fromkeys(condition.titles(names), 1.0)


@metric(
    "refused_credentials",
    title=_("Providers that refuse their credentials"),
    help=_("Enabled providers that refused our credentials within the last ten minutes."),
    labels=("provider",),
    fold=sum,
)
def refused_credentials() -> Mapping[str, float]:
    """Return the providers by name."""
    return dict.fromkeys(condition.refusing(), 1.0)


@metric(
    "credential_days",
    title=_("Days until a provider's credential expires"),
    help=_("Days until a credential in a provider's configuration expires: a certificate, a token, or one whose last day was entered."),
    unit="days",
    labels=("provider",),
    fold=smallest,
    keep_seconds=60,
)
def credential_days() -> Mapping[str, float]:
    """Return what the configurations tell."""
    return condition.credential_days(now=timezone.now())


@metric(
    "certificate_days",
    title=_("Days until a provider's certificate expires"),
    help=_("Days until the certificate of a provider's server expires, looked up every six hours."),
    unit="days",
    labels=("provider",),
    fold=smallest,
    keep_seconds=60,
)
def certificate_days() -> Mapping[str, float]:
    """Return what the job found."""
    return condition.certificate_days(now=timezone.now())


@metric(
    "receipts_missing_percent",
    title=_("Missing receipts, per cent"),
    help=_("Of a provider's messages sent 10 to 70 minutes ago, those without a receipt; only providers that sent receipts this week."),
    unit="percent",
    labels=("provider",),
    fold=largest,
    keep_seconds=60,
)
def receipts_missing_percent() -> Mapping[str, float]:
    """Look at a sample of what was sent."""
    return condition.receipts_missing(now=timezone.now())


@metric(
    "limiter_requests_total",
    help=_("Requests that the limits let in, and those of them that waited for their turn."),
    kind="counter",
    labels=("outcome",),
)
def limiter_requests_total() -> Mapping[str, float]:
    """Return what all processes have counted in Redis."""
    return {outcome: _limits().get(outcome, 0.0) for outcome in ("let_in", "waited")}


@metric(
    "limiter_refusals_total",
    help=_("Requests that a limit refused, by the name of its rule."),
    kind="counter",
    labels=("rule",),
)
def limiter_refusals_total() -> Mapping[str, float]:
    """Return what all processes have counted in Redis; rules beyond the first `MAX_RULES` are one."""
    refused = {name.removeprefix(totals.REFUSED): number for name, number in _limits().items() if name.startswith(totals.REFUSED)}
    largest_first = sorted(refused, key=lambda rule: -refused[rule])
    shown = {rule: refused[rule] for rule in largest_first[:MAX_RULES]}
    return {**shown, "other": sum(refused[rule] for rule in largest_first[MAX_RULES:])}


@metric(
    "limits_are_local",
    title=_("Limits kept without Redis (1) or not (0)"),
    help=_("Whether the process that was asked keeps to its share of every limit, because Redis is away: 1 or 0."),
)
def limits_are_local() -> float:
    """Return what this process does."""
    return float(limiter.is_local)
