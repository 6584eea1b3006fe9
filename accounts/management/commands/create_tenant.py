"""`manage.py create_tenant SLUG`: a tenant with its first API key, printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug
from django.db import transaction

from accounts.models import KeyKind, Tenant
from accounts.scopes import SCOPES
from accounts.services.api_keys import issue_api_key
from accounts.services.audit import Actor
from accounts.services.tenants import create_tenant
from posthaste.lib.problems import Invalid


class Command(BaseCommand):
    help = "Makes a tenant and its first API key. The key is printed on standard output, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="short name, such as shop")
        parser.add_argument("--name", help="name that people see; default: the short name")
        parser.add_argument("--weight", type=int, default=1, help="share of the sending capacity, 1 to 100")
        parser.add_argument("--sandbox", action="store_true", help="the key never reaches a real provider")
        parser.add_argument(
            "--operator", action="store_true", help="its keys reach the whole installation: configuration, limits, locks, GET /metrics"
        )
        parser.add_argument("--scope", action="append", choices=sorted(SCOPES), help="may be given several times; default: all")

    def handle(self, *args: Any, **options: Any) -> None:
        by = Actor.command("create_tenant")
        try:
            validate_slug(options["slug"])
            with transaction.atomic():
                tenant = Tenant(
                    slug=options["slug"],
                    name=options["name"] or options["slug"],
                    weight=options["weight"],
                    is_operator=options["operator"],
                )
                create_tenant(tenant=tenant, by=by)
                _key, clear = issue_api_key(
                    tenant=tenant,
                    name="first key",
                    kind=KeyKind.SANDBOX if options["sandbox"] else KeyKind.LIVE,
                    scopes=options["scope"] or list(SCOPES),
                    by=by,
                )
        except Invalid as error:
            raise CommandError(str(error.errors)) from None
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(clear)
