"""Becomes a worker or beat: `python -m deploy.celery_process worker -n NAME@%h -Q QUEUES (-c N | --autoscale=MAX,MIN)`, or `beat`.

The options are those of Celery's own command line, whose modules (prompts, colours, a shell) would take 15 MB in each process. And
Celery would run all system checks at each start, for which it loads every page: they have run when the database was migrated.
"""

import argparse
import os
import sys

from celery.utils.nodenames import default_nodename, host_format

from posthaste.lib import garbage

os.environ.setdefault("CELERY_SKIP_CHECKS", "true")
garbage.expect_little()

from posthaste.celery import app  # noqa: E402


def run_worker(options: argparse.Namespace) -> int:
    """Work until a signal asks to stop, and return the exit status."""
    worker = app.Worker(
        hostname=host_format(default_nodename(options.name)),
        queues=options.queues,
        concurrency=options.concurrency,
        autoscale=options.autoscale,
        loglevel="INFO",
        # Workers need not know of each other: what they share is in Redis and in the database.
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Runs a worker or beat.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    worker = kinds.add_parser("worker")
    worker.add_argument("-n", dest="name", required=True, help="node name; %%h: the host's")
    worker.add_argument("-Q", dest="queues", required=True, help="queues, comma-separated")
    size = worker.add_mutually_exclusive_group(required=True)
    size.add_argument("-c", dest="concurrency", type=int, help="threads")
    size.add_argument("--autoscale", help="most and fewest threads: MAX,MIN")
    kinds.add_parser("beat")
    options = parser.parse_args()
    sys.argv[:1] = ["-m", "deploy.celery_process"]  # Celery starts this command anew at SIGHUP
    if options.kind == "worker":
        return run_worker(options)
    app.Beat().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
