"""What a member of staff may do, from the roles in `Member`: no per-user permission lists to forget.

Which role a model asks for is declared beside the model (`accounts.roles.Access`). With a row, only the role in that row's tenant
counts. Without one the answer is about some tenant of the user's: enough for a menu or an empty form, never for touching a row.
"""

from typing import Any

from django.apps import apps
from django.contrib.auth.backends import ModelBackend

from accounts.models import Member, User
from accounts.roles import Role, access_of, roles_from
from accounts.tenancy import tenant_of, tenant_path


def least_role(app: str, model: str, action: str) -> Role | None:
    """Return the least role that may do `action` (view, add, change, delete) to a model; None: superusers only."""
    try:
        found = apps.get_model(app, model)
    except LookupError:
        return None
    return access_of(found).least(action) if tenant_path(found) else None


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
        if obj is not None:
            owner = tenant_of(obj)
            roles = {owner: roles[owner]} if owner in roles else {}
        return any(role in roles_from(least) for role in roles.values())

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        if not user_obj.is_active:
            return False
        if user_obj.is_superuser:
            return True
        try:
            models = apps.get_app_config(app_label).get_models()
        except LookupError:
            return False
        return any(self.has_perm(user_obj, f"{app_label}.view_{model._meta.model_name}") for model in models)

    @staticmethod
    def _roles(user: User) -> dict[int, str]:
        if not hasattr(user, "roles_by_tenant"):
            user.roles_by_tenant = dict(Member.objects.filter(user=user, tenant__is_active=True).values_list("tenant_id", "role"))
        return user.roles_by_tenant
