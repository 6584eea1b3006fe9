"""`manage.py add_member TENANT USERNAME`: a role in a tenant, with an account where there is none yet."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from accounts.services import people
from accounts.services.audit import Actor

PASSWORD_BYTES = 12


class Command(BaseCommand):
    help = "Gives a person a role in a tenant. A person without an account gets one; its password is printed on standard output, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="short name of the tenant, such as shop")
        parser.add_argument("username", help="name with which the person signs in")
        parser.add_argument("--role", choices=Role.values, default=Role.VIEWER.value, help="default: viewer, which is enough for agents")
        parser.add_argument("--first-name", default="", help="of a new account")
        parser.add_argument("--last-name", default="", help="of a new account")
        parser.add_argument("--email", default="", help="of a new account")

    def handle(self, *args: Any, **options: Any) -> None:
        by = Actor.command("add_member")
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant with the short name {options['tenant']}. Create it with create_tenant.")
        try:
            with transaction.atomic():
                user, password = self._account(options, by)
                if Member.objects.filter(tenant=tenant, user=user).exists():
                    raise CommandError(f"{user} is a member of {tenant.slug} already. Change the role in the admin, under Members.")
                people.add_member(member=Member(tenant=tenant, user=user, role=options["role"]), by=by)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        except IntegrityError:
            raise CommandError("Another process made this account or membership at the same moment. Try again.") from None
        if password:
            self.stdout.write(password)
        else:
            self.stderr.write(f"{user} signs in with the password that they have.")

    def _account(self, options: dict[str, Any], by: Actor) -> tuple[User, str]:
        """Return the account, and its password if it was made just now.

        Raises:
            ValidationError: the user name or the e-mail address is wrong.
            CommandError: the account is switched off.
        """
        if user := User.objects.filter(username=options["username"]).first():
            if not (user.is_active and user.is_staff):
                raise CommandError(f"The account {user} may not sign in. Make it active and staff in the admin, under Users.")
            return user, ""
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        named = {field: options[field] for field in ("username", "first_name", "last_name", "email")}
        user = User(**named, is_staff=True)
        user.set_password(password)
        user.full_clean()
        return people.create_user(user=user, by=by), password
