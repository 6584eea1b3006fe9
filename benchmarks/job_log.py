"""How long the page of a run takes whose log has 50 MB: its end, its beginning, its middle.

    python -m benchmarks.job_log [--megabytes 50] [--rounds 20] [--output FILE]

The rows are written as a worker writes them, once a second's worth at a time, into a database of its own (SQLite, or PostgreSQL where
DATABASE_URL names a server's database that may be written to). The bound is a second.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from benchmarks.result import Comparison, Result
from tests.services import Valkey

BOUND_MS = 1_000.0
LINE = "2026-11-29T10:00:00.000000Z [info     ] removed a thousand rows        [messaging.storage] day=2026-10-30 left={}\n"


def measure(*, megabytes: int, rounds: int) -> Result:
    """Write a log and open its page."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from django.test import Client
    from django.urls import reverse
    from django.utils import timezone

    from accounts.selectors import User
    from jobs.models import JobRun, Plan, RunState, Trigger
    from jobs.services import plans, run_log

    now = timezone.now()
    plans.declare_all(now=now)
    job = Plan.objects.select_related("job").get(job__name="jobs.remove_old_runs").job
    fields = {"nominal_at": now, "due_at": now, "published_at": now, "started_at": now, "ended_at": now}
    run = JobRun.objects.create(job=job, task=job.task, trigger=Trigger.HAND, state=RunState.KILLED, **fields)
    writer, number = run_log.Writer(run.pk), 0
    while writer.size < megabytes * 1_000_000:
        writer.write("".join(LINE.format(number + each) for each in range(2_000)))
        writer.flush()
        number += 2_000
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create(username="benchmark", is_staff=True, is_superuser=True))
    comparisons = []
    for name, query in {"end": "", "beginning": "?from=0", "middle": f"?from={writer.size // 2}"}.items():
        took = []
        for _round in range(rounds + 1):
            began = time.perf_counter()
            answer = client.get(reverse("job-run", args=[run.pk]) + query)
            took.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200
            assert b"removed a thousand rows" in answer.content
        comparisons.append(Comparison(f"page at the {name}", "ms", took[1:], "", [BOUND_MS], target=1.0, higher_is_better=False))
    return Result(comparisons, details={"megabytes": round(writer.size / 1_000_000, 1)})


def main() -> None:
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(description="Measures the page of a run with a long log.")
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/log.sqlite3")
        os.environ.setdefault("DATA_DIR", folder)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
        server = Valkey(Path(folder)).start()
        os.environ["REDIS_URL"] = server.url_of(0)
        try:
            result = measure(megabytes=options.megabytes, rounds=options.rounds)
        finally:
            server.stop()
    print(result.table("job_log"))
    if options.output:
        options.output.write_text(json.dumps(result.as_dict(), indent=2))


if __name__ == "__main__":
    main()
