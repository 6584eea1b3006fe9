"""Flow control: how much is let in (`limiter`), and how fast something goes out (`pacing`).

rules.py        what a rule is, and its checks for one value
plan_cache.py   the rules in force, and the plan of a request
limiter.py      asks `enter.lua` in Redis, all rules in one round trip
wire_format.py  how a query travels
model.py        the same algorithm in Python; local.py uses it while Redis is away
gate.py         what entrances call: in, or a 429
concurrency_leases.py  concurrent calls to a provider, across all workers
system.py, adaptive.py  limits that follow what this process can do
"""

from posthaste.lib.flow.pacing import reserve, reserve_alone, take_turn, wait_for_turn

__all__ = ["reserve", "reserve_alone", "take_turn", "wait_for_turn"]
