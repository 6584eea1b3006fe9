"""Flow control: how much is let in (`limiter`), and how fast something goes out (`pacing`).

rules.py     what a rule is; its checks for one value
book.py      the rules in force, and the plan of a request
limiter.py   asks `enter.lua` in Redis, all rules in one round trip
questions.py how they travel
model.py     the same in Python; local.py uses it while Redis is away
gate.py      what entrances call: in, or a 429
system.py, adaptive.py   by what this process can do
"""

from posthaste.lib.flow.pacing import reserve, reserve_alone, take_turn, wait_for_turn

__all__ = ["reserve", "reserve_alone", "take_turn", "wait_for_turn"]
