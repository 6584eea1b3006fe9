"""Queues mails with `send_many`, and sends them with `send_queued_mail`, the command its manual puts into cron.

python -m benchmarks.baselines.post_office.run prepare
python -m benchmarks.baselines.post_office.run queue|send 10000

Prints `{"seconds", "cpu_seconds", "began_at", "ended_at"}`.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.baselines.post_office.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - after setup
from post_office import mail  # noqa: E402
from post_office.models import Email  # noqa: E402

SENDING_PROCESSES = 2


def queue(count: int) -> None:
    """Queue mails as a caller with a list of recipients would."""
    mail.send_many(
        [
            {"recipients": f"u{n:08d}@example.com", "sender": "shop@example.com", "subject": "Your order", "message": "It is on its way."}
            for n in range(count)
        ]
    )


def send(_count: int) -> None:
    """Send everything that is queued."""
    with tempfile.TemporaryDirectory() as folder:
        call_command("send_queued_mail", processes=SENDING_PROCESSES, lockfile=str(Path(folder) / "lock"), log_level=1)


def main() -> None:
    """Run one step and print its cost, with that of its child processes."""
    step, *rest = sys.argv[1:]
    if step == "prepare":
        call_command("migrate", verbosity=0, interactive=False)
        return
    if step == "queue":
        Email.objects.all().delete()
    before, began, began_at = os.times(), time.perf_counter(), time.time()
    {"queue": queue, "send": send}[step](int(rest[0]))
    after = os.times()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "cpu_seconds": sum(after[:4]) - sum(before[:4]),
                "began_at": began_at,
                "ended_at": time.time(),
            }
        )
    )


if __name__ == "__main__":
    main()
