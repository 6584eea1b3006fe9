"""What a member of staff may do, from the roles in `Member`: no per-user permission lists to forget."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from accounts.models import Member, Role, User
from accounts.tenancy import RANKS, tenant_of, tenant_path

#: (app, model) → the least role to change it. What is not listed can be changed by nobody but a superuser.
CHANGE = {
    ("accounts", "apikey"): Role.OWNER,
    ("accounts", "member"): Role.OWNER,
    ("messaging", "provider"): Role.OPERATOR,
    ("messaging", "message"): Role.OPERATOR,
    ("messaging", "batch"): Role.OPERATOR,
    ("messaging", "suppression"): Role.OPERATOR,
    ("messaging", "template"): Role.AUTHOR,
    ("messaging", "templateversion"): Role.AUTHOR,
}
#: (app, model) → the least role to see it, where that is not viewer.
VIEW = {
    ("accounts", "apikey"): Role.OWNER,
    ("accounts", "member"): Role.OWNER,
    ("accounts", "auditentry"): Role.OWNER,
}
APPS = ("accounts", "messaging")
#: Models of the whole installation, not of one tenant.
SUPERUSER_ONLY = {("accounts", "user")}


def least_role(app: str, model: str, action: str) -> Role | None:
    """Return the least role that may do `action` (view, add, change, delete) to a model."""
    if app not in APPS or (app, model) in SUPERUSER_ONLY:
        return None
    if action == "view":
        return VIEW.get((app, model), Role.VIEWER)
    return CHANGE.get((app, model))


class RoleBackend(ModelBackend):
    """Django's users and passwords, with permissions from roles."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if not user_obj.is_active or not isinstance(user_obj, User):
            return False
        if user_obj.is_superuser:
            return True
        app, _sep, codename = perm.partition(".")
        action, _sep, model = codename.partition("_")
        least = least_role(app, model, action)
        if least is None:
            return False
        roles = self._roles(user_obj)
        if obj is not None and tenant_path(type(obj)):
            owner = tenant_of(obj)
            roles = {owner: roles[owner]} if owner in roles else {}
        return any(RANKS.index(Role(role)) >= RANKS.index(least) for role in roles.values())

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        if not user_obj.is_active:
            return False
        return user_obj.is_superuser or (app_label in APPS and bool(self._roles(user_obj)))

    @staticmethod
    def _roles(user: User) -> dict[int, str]:
        if not hasattr(user, "roles_by_tenant"):
            user.roles_by_tenant = dict(Member.objects.filter(user=user, tenant__is_active=True).values_list("tenant_id", "role"))
        return user.roles_by_tenant
