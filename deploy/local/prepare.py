"""Brings the database up to date and loads the demo, in one process because starting Django twice takes seconds.

    python -m deploy.local.prepare --output FILE --base-url URL --ws-url URL [--address NAME=URL …]

There is no collectstatic step: whitenoise serves files straight from the packages that hold them.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import django
import psycopg
from django.core.management import call_command

from posthaste import env


def prepare(*, output: str, base_url: str, ws_url: str, address: Sequence[str]) -> None:
    """Migrate the database and load the demo, which writes its addresses and secrets to `output`."""
    django.setup()
    settings = env.load()
    if settings.is_postgresql:
        # Asked without the pool, which would say only that it could not get a connection in ten seconds.
        try:
            psycopg.connect(settings.database_url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            sys.exit(f"DATABASE_URL: {' '.join(str(error).split())}")
    call_command("migrate", interactive=False, verbosity=1)
    others = [f"--address={each}" for each in address]
    call_command("load_demo", "--output", output, "--base-url", base_url, "--ws-url", ws_url, *others)
    call_command("load_desk_demo", "--output", output)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    parser = argparse.ArgumentParser()
    for name in ("output", "base-url", "ws-url"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--address", action="append", default=[])
    prepare(**vars(parser.parse_args()))
