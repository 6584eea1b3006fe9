"""Which of several providers takes a message: by weight, away from what is slow or failing, and slowly back.

Rules: `provider_routing` of the configuration, with a tenant's override, and the breakers.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from messaging.configuration import provider_routing
from messaging.configuration.providers import ProviderRouting, Strategy
from messaging.providers import breakers as rules
from messaging.providers.cache import LoadedProvider
from messaging.providers.latency import latencies
from messaging.queueing import breaker_backlog
from posthaste.lib.breaker import Phase, breakers

NEXT_TRIAL_SECONDS = (0.5, 1.5)  # what is tried next when the trial call of this chunk has succeeded comes back after so long


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision for a message: a provider takes it, or it waits, or (neither) no provider is left to try."""

    provider: LoadedProvider | None = None
    #: Who would have been asked too, were its breaker closed.
    instead_of: LoadedProvider | None = None
    #: Every breaker is open: seconds until one may be tried.
    wait_seconds: float | None = None
    #: Why this provider, as a trace has it: one of `Reason`, with the release of the rules where they decided.
    reason: str = ""


class Reason(StrEnum):
    """Why a provider was chosen; one letter each, because it stands in the trace of every message."""

    ONLY = "o"  # there is no other
    LEFT = "l"  # the others were tried before
    WEIGHTED = "w"
    FASTEST = "f"
    IN_ORDER = "i"
    TRIAL = "t"  # its breaker lets a trial call through


BY_STRATEGY = {Strategy.WEIGHTED: Reason.WEIGHTED, Strategy.FASTEST: Reason.FASTEST, Strategy.IN_ORDER: Reason.IN_ORDER}


@dataclass(slots=True)
class Trial:
    """A trial call granted by a half-open breaker: it takes as many messages as one call carries."""

    epoch: int
    room: int
    is_made: bool = False


def weights(providers: Sequence[LoadedProvider], routing: ProviderRouting, channel: str) -> tuple[Strategy, dict[UUID | None, int]]:
    """Return the strategy for a channel and the configured weight of each provider."""
    route = next((route for route in routing.channels if route.channel == channel), None)
    if route is None:
        return routing.strategy, {c.provider_id: c.weight for c in providers}
    named = {entry.provider: entry.weight for entry in route.weights}
    return route.strategy, {c.provider_id: named.get(c.name, c.weight) for c in providers}


@dataclass(slots=True)
class ProviderSelection:
    """The choices for one round of a chunk. Trial calls are asked for once a round and breaker."""

    trials: dict[str, Trial | None] = field(default_factory=dict)
    coming: Counter[str] = field(default_factory=Counter)  # messages that come back soon, to be the next trial calls

    def select(
        self,
        providers: Sequence[LoadedProvider],
        *,
        tenant_id: int | None = None,
        channel: str = "",
        without: set[UUID | None] | None = None,
    ) -> Choice:
        """Choose among the providers not tried yet."""
        routing = provider_routing.of(tenant_id)
        tried = without or set()
        left = [c for c in providers if c.provider_id not in tried]
        if not left or len(tried) >= routing.max_providers:
            return Choice()
        if len(left) == 1 and self._phase(left[0]) == Phase.CLOSED:
            return Choice(left[0], reason=Reason.LEFT if tried else Reason.ONLY)  # the usual case
        strategy, weight = weights(left, routing, channel)
        if not routing.fail_over:
            left = [_draw(left, strategy, weight, drift_seconds=0)]
        phases = {c.provider_id: self._phase(c) for c in left}
        tests = [c for c in left if phases[c.provider_id] == Phase.HALF_OPEN]
        well = [c for c in left if phases[c.provider_id] == Phase.CLOSED]
        awake = [c for c in well if not (c.breaker and breakers.is_resting(c.breaker))] or well
        heaviest = max((weight[c.provider_id] for c in awake), default=0)
        for provider in sorted(tests, key=lambda c: -weight[c.provider_id]):
            # Some call must test it; a provider that is only a reserve is tested when it is needed.
            is_needed = not awake or (weight[provider.provider_id] > (heaviest if strategy == Strategy.IN_ORDER else 0))
            if is_needed and self._admit(provider):
                return Choice(provider, reason=Reason.TRIAL)
        if awake:
            provider = _draw(awake, strategy, weight, drift_seconds=routing.drift_back_seconds)
            least = weight[provider.provider_id] if strategy == Strategy.IN_ORDER else 0
            out = [c for c in left if phases[c.provider_id] != Phase.CLOSED and weight[c.provider_id] > least]
            instead_of = max(out, key=lambda c: weight[c.provider_id]) if out else None
            return Choice(provider, instead_of=instead_of, reason=f"{BY_STRATEGY[strategy]}@{provider_routing.now.release}")
        if tests:
            return Choice(wait_seconds=self._trial_wait(tests[0].breaker or ""), instead_of=tests[0])
        soonest = min(left, key=_wait)
        return Choice(wait_seconds=breaker_backlog.seconds(_wait(soonest)), instead_of=soonest)

    def host_waits(self, host: str) -> float | None:
        """Return the seconds that messages to a host must wait; None: one may go now."""
        name = rules.of_host(host)
        phase = rules.phase(name)
        if phase == Phase.CLOSED or (phase == Phase.HALF_OPEN and self._take(name, 1)):
            return None
        return breaker_backlog.seconds(breakers.wait_seconds(name)) if phase == Phase.OPEN else self._trial_wait(name)

    def _trial_wait(self, name: str) -> float:
        """Return the seconds that a message waits when all trial calls of a half-open breaker are taken.

        Only as many messages as there are trial calls come back soon.
        """
        until_tried = breakers.wait_seconds(name)
        self.coming[name] += 1
        if until_tried <= 0 and self.coming[name] < rules.rule(name).trial_calls:
            return random.uniform(*NEXT_TRIAL_SECONDS)
        return breaker_backlog.seconds(until_tried)

    def has_opened(self, name: str) -> bool:
        """Return whether a breaker has opened since this round's choice, and no trial call of it was granted."""
        phase = rules.phase(name)
        return phase == Phase.OPEN or (phase == Phase.HALF_OPEN and not self.trials.get(name))

    def made(self, name: str) -> int:
        """Note that a call was made and return the epoch of the trial it is; 0: it is none."""
        trial = self.trials.get(name)
        if trial is None:
            return 0
        trial.is_made = True
        return trial.epoch

    def not_made(self) -> Iterator[tuple[str, int]]:
        """Return the breaker and epoch of each trial call that was granted and came to nothing."""
        return ((name, trial.epoch) for name, trial in self.trials.items() if trial and trial.epoch and not trial.is_made)

    def _phase(self, provider: LoadedProvider) -> Phase:
        return rules.phase(provider.breaker) if provider.breaker else Phase.CLOSED

    def _admit(self, provider: LoadedProvider) -> bool:
        return provider.breaker is not None and self._take(provider.breaker, max(1, provider.adapter.bulk_size))

    def _take(self, name: str, size: int) -> bool:
        """Reserve space for messages in this round's trial call, requesting the call first if necessary."""
        if name not in self.trials:
            granted, epoch = breakers.admit(name, rules.rule(name), release=rules.release())
            # It has closed meanwhile: this round still sends one call's worth, the next one sees it closed.
            self.trials[name] = Trial(max(0, epoch) if granted < 0 else epoch, size) if granted else None
        trial = self.trials[name]
        if trial is None or trial.room <= 0:
            return False
        trial.room -= 1
        return True


def _wait(provider: LoadedProvider) -> float:
    return breakers.wait_seconds(provider.breaker) if provider.breaker else 0.0


def _draw(
    providers: Sequence[LoadedProvider], strategy: Strategy, weight: dict[UUID | None, int], *, drift_seconds: float
) -> LoadedProvider:
    """One of those that are well; weight 0 only where there is nothing else. What came back lately is drawn less often."""
    weighted = [c for c in providers if weight[c.provider_id] > 0] or list(providers)[:1]
    if len(weighted) == 1:
        return weighted[0]
    share = {c.provider_id: breakers.share(c.breaker, drift_seconds) if c.breaker else 1.0 for c in weighted}
    if strategy == Strategy.IN_ORDER:
        in_order = sorted(weighted, key=lambda c: -weight[c.provider_id])
        return next((c for c in in_order if share[c.provider_id] >= 1 or random.random() < share[c.provider_id]), in_order[0])
    drawn_by = [weight[c.provider_id] * share[c.provider_id] for c in weighted]
    if strategy == Strategy.FASTEST:
        took = [latencies.of(c.provider_id) if c.provider_id else None for c in weighted]
        fastest = min((ms for ms in took if ms is not None), default=1.0)  # who was never called is given the chance to show itself
        drawn_by = [w / max(1.0, fastest if ms is None else ms) for w, ms in zip(drawn_by, took, strict=True)]
    return random.choices(weighted, weights=drawn_by)[0]
