"""`manage.py load_demo`: a tenant, an administrator, keys, templates and sandbox providers. Safe to run again."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from accounts.services.audit import Actor
from accounts.services.demo import load_access
from messaging.demo import load_messaging


class Command(BaseCommand):
    help = "Loads demo data and writes what scripts need to use it (mode 600)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
        parser.add_argument("--base-url", default="http://localhost:8000")
        parser.add_argument("--ws-url", default="ws://localhost:8001/ws/statistics/")
        parser.add_argument("--address", action="append", default=[], metavar="NAME=URL", help="another address to write; may be repeated")

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        try:
            known = json.loads(output.read_text())
        except (OSError, ValueError):
            known = {}
        by = Actor.command("load_demo")
        with transaction.atomic():
            access = load_access(known, by=by)
            load_messaging(tenant=access.pop("tenant"), by=by)
        others = dict(address.split("=", 1) for address in options["address"])
        written = {"base_url": options["base_url"], "ws_url": options["ws_url"], **others, **access}
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = output.with_suffix(".tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(written, file, indent=2)
        temporary.replace(output)
        self.stdout.write(f"demo data loaded; see {output}")
