"""`manage.py load_desk_demo`: the service desk of the tenant of `load_demo`, with some conversations. Safe to run again."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.selectors import Tenant
from accounts.services.audit import Actor
from accounts.services.demo import load_agents
from routing.demo import load_desk


class Command(BaseCommand):
    help = "Loads the demo's service desk and adds its addresses to the file of load_demo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, required=True, help="JSON file that load_demo wrote")

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        by = Actor.command("load_desk_demo")
        tenant = Tenant.objects.get(slug="demo")
        desk = load_desk(tenant=tenant, users=load_agents(tenant=tenant, by=by), by=by, now=timezone.now())
        written = json.loads(output.read_text()) | {"desk": desk}
        temporary = output.with_suffix(".tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(written, file, indent=2)
        temporary.replace(output)
        self.stdout.write("desk loaded")
