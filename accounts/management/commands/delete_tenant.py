"""`manage.py delete_tenant SLUG --yes`: a tenant that has sent nothing, with all it has."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Tenant
from accounts.services.audit import Actor
from accounts.services.tenants import TenantInUse, delete_tenant


class Command(BaseCommand):
    help = "Deletes a tenant that has sent nothing, with its keys, templates, providers, overrides and items."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="short name")
        parser.add_argument("--yes", action="store_true", help="really: it can't be undone")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["slug"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['slug']}.", returncode=5)
        if not options["yes"]:
            raise CommandError(f"This deletes {tenant.name} and can't be undone. Say --yes.", returncode=2)
        try:
            delete_tenant(tenant=tenant, by=Actor.command("delete_tenant"))
        except TenantInUse as error:
            raise CommandError(str(error.detail), returncode=4) from None
        self.stdout.write(f"{options['slug']} is deleted.")
