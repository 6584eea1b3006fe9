"""Who may operate the installation: staff by their right to its configuration, keys by scope and by their tenant."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import ConfigRight, User
from accounts.services.api_keys import Caller
from posthaste.lib.problems import NotFound

#: What a member of staff without the right is told.
REFUSAL = gettext_lazy("Your account does not have this permission for the configuration. A superuser can grant it on your user page.")
#: Each includes those before it.
RANKS = (ConfigRight.NONE, ConfigRight.VIEW, ConfigRight.EDIT, ConfigRight.PUBLISH)


def _has(user: object, least: ConfigRight) -> bool:
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return False
    return user.is_superuser or RANKS.index(ConfigRight(user.config_right)) >= RANKS.index(least)


def may_view(user: object) -> bool:
    """Return whether a member of staff may look at the configuration."""
    return _has(user, ConfigRight.VIEW)


def may_open(user: object) -> bool:
    """Return whether a member of staff may open the console: to look at the configuration, or at what is their own tenant's as an owner."""
    return may_view(user) or (isinstance(user, User) and user.has_perm("accounts.view_apikey"))


def may_edit(user: object) -> bool:
    """Return whether a member of staff may edit drafts."""
    return _has(user, ConfigRight.EDIT)


def may_publish(user: object) -> bool:
    """Return whether a member of staff may publish, roll back and steer gray releases."""
    return _has(user, ConfigRight.PUBLISH)


def must_operate(caller: Caller) -> None:
    """Keep a key of a tenant that does not operate the installation from what is everybody's.

    Raises:
        NotFound: for this key there is nothing there.
    """
    if not caller.is_operator:
        raise NotFound(_("There is nothing at this address that this key can access."))
