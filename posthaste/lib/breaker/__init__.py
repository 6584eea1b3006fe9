"""Circuit breakers whose state all processes share through Redis.

A breaker has a name ("provider:…", "webhook:hooks.example.com") and goes

    closed ── too many slow or failed calls in the window ──▶ open ── its time is up ──▶ half-open ── trial calls succeed ──▶ closed
                                                               ▲                           │
                                                               └───── one of them fails ───┘

(Nygard, "Release It!", 2007). What calls gave is reported in bulk, within a pipeline that is sent anyway; states are read from a copy
in the process that is at most half a second old. Only a trial call costs a round trip of its own.
"""

from posthaste.lib.breaker.breaker import Breakers, Recording, breakers
from posthaste.lib.breaker.state import Phase, Rule, State, Tally

__all__ = ["Breakers", "Phase", "Recording", "Rule", "State", "Tally", "breakers"]
