"""Processes that ask one rule as fast as they can: `python -m tests.lib.flow.hammer PROCESSES SECONDS LIMITS`; prints what was let in.

The times are those of Redis at the moment of each decision, noted by the script itself: an observer outside would see answers later
than they were given.
"""

import json
import os
import secrets
import sys
import time
from functools import partial
from typing import Any

from posthaste.lib import redis
from posthaste.lib.flow import limiter as module
from posthaste.lib.flow.limiter import Limiter
from posthaste.lib.flow.plan_cache import plan_for
from posthaste.lib.flow.rules import Limits, Rule
from tests import crowds

THREADS = 2


def hammer(prefix: str, limits: dict[str, Any], *, start_at: float, seconds: float) -> None:
    """Ask until the time is up and add the number of questions to the others'."""
    limiter = Limiter()
    plan = plan_for([Rule("r", "x", "all", Limits(**limits))], {}, prefix=prefix)
    asked = [0] * THREADS
    time.sleep(max(0.0, start_at - time.time()))
    until = start_at + seconds

    def ask(number: int) -> None:
        while time.time() < until:
            passed = limiter.enter(plan)
            assert not passed.is_local
            asked[number] += 1
            if passed.allowed:
                limiter.leave(passed)
            else:
                time.sleep(0.001)

    crowds.at_once(*[partial(ask, number) for number in range(THREADS)])
    redis.client().incrby(f"{prefix}:asked", sum(asked))


def main(processes: int, seconds: float, limits: dict[str, Any]) -> None:
    """Let processes hammer and print `{"taken": [times in µs], "asked": number}`."""
    prefix = redis.key("flow", secrets.token_hex(6))
    taken = f"{prefix}:taken"
    # the same script, which also notes when it lets a request in
    note = f"for _, found in ipairs(answers) do if found[1] == 1 then redis.call('RPUSH', '{taken}', string.format('%.0f', now)) end end\n"
    source = module.SOURCE.replace("return answers\n", f"{note}return answers\n")
    assert source != module.SOURCE
    module.SOURCE, module.SHA = source, str(redis.client().script_load(source))
    redis.client().close()
    redis.client.cache_clear()
    start_at = time.time() + 0.3 + 0.02 * processes
    children = []
    for _ in range(processes):
        child = os.fork()
        if not child:
            hammer(prefix, limits, start_at=start_at, seconds=seconds)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    client = redis.client()
    found = sorted(int(at) for at in client.lrange(taken, 0, -1))
    asked = int(client.get(f"{prefix}:asked") or 0)
    client.delete(taken, f"{prefix}:asked")
    sys.stdout.write(json.dumps({"taken": found, "asked": asked}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3]))
