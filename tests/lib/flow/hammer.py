"""A process that asks one rule as fast as it can and prints when it was let in: `python -m tests.lib.flow.hammer PREFIX SECONDS RULE THREADS`.

The times are those of Redis at the moment of the decision, taken from the script itself: an observer outside would see answers later
than they were given.
"""

import json
import os
import sys
import threading
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

from posthaste.lib import redis
from posthaste.lib.flow import limiter as module
from posthaste.lib.flow.book import plan_for
from posthaste.lib.flow.limiter import Limiter
from posthaste.lib.flow.rules import Limits, Rule


def main(prefix: str, seconds: float, limits: dict[str, Any], threads: int) -> None:
    """This function will hammer and print `[times in µs, questions asked]`."""
    limiter = Limiter()
    plan = plan_for([Rule("r", "x", "all", Limits(**limits))], {}, prefix=prefix)
    taken: list[int] = []
    asked = 0
    stamp = f"{prefix}:taken"
    # the same script, which also notes the moment of each decision that let somebody in
    source = module.SOURCE.replace(
        "return answers\n",
        f"for _, found in ipairs(answers) do if found[1] == 1 then redis.call('RPUSH', '{stamp}', string.format('%.0f', now)) end end\nreturn answers\n",
    )
    assert source != module.SOURCE
    module.SOURCE, module.SHA = source, str(redis.client().script_load(source))
    redis.client().expire(stamp, 600)
    start_at = float(redis.client().get(f"{prefix}:start") or time.time())
    time.sleep(max(0.0, start_at - time.time()))
    until = start_at + seconds

    def one() -> None:
        nonlocal asked
        while time.time() < until:
            passed = limiter.enter(plan)
            assert not passed.is_local
            asked += 1
            if passed.allowed:
                limiter.leave(passed)
            else:
                time.sleep(0.001)

    crowd = [threading.Thread(target=one) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    print(json.dumps([taken, asked]))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4]))
