"""Roles of members, and which of them sees and changes a model.

A model says it beside its fields, so that a reader of the model finds both answers in one place:

    tenant_lookup = "tenant_id"            # whose a row is; see `accounts.tenancy`
    access = Access(change=Role.OPERATOR)  # the least role that sees it, and that changes it

A model without `access` is seen and changed by superusers only.
"""

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a member may do, each including those below it."""

    OWNER = "owner", _("Owner: everything, including keys and members")
    OPERATOR = "operator", _("Operator: sends, cancels, replays and manages providers")
    AUTHOR = "author", _("Author: edits templates")
    VIEWER = "viewer", _("Viewer: read-only")


#: Each role includes those before it.
RANKS = (Role.VIEWER, Role.AUTHOR, Role.OPERATOR, Role.OWNER)


@dataclass(frozen=True, slots=True)
class Access:
    """The least role that sees a model's rows, and that adds, changes and deletes them. None: superusers only."""

    view: Role | None = Role.VIEWER
    change: Role | None = None

    def least(self, action: str) -> Role | None:
        """Return the least role for an action of Django's permissions: view, add, change or delete."""
        return self.view if action == "view" else self.change


SUPERUSERS_ONLY = Access(view=None)


def access_of(model: type[models.Model]) -> Access:
    """Return what a model declares about its readers and writers."""
    found = getattr(model, "access", SUPERUSERS_ONLY)
    return found if isinstance(found, Access) else SUPERUSERS_ONLY


def roles_from(least: Role) -> tuple[Role, ...]:
    """Return a role and all that include it."""
    return RANKS[RANKS.index(least) :]
