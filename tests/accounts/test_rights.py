"""What staff may do with the installation's configuration."""

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts.models import ConfigRight, User
from accounts.services.rights import may_edit, may_publish, may_view


@pytest.mark.parametrize(
    ("right", "allowed"),
    [
        (ConfigRight.NONE, (False, False, False)),
        (ConfigRight.VIEW, (True, False, False)),
        (ConfigRight.EDIT, (True, True, False)),
        (ConfigRight.PUBLISH, (True, True, True)),
    ],
)
def test_each_right_includes_those_before_it(right: str, allowed: tuple[bool, bool, bool]) -> None:
    user = User(username="ada", is_staff=True, config_right=right)
    assert (may_view(user), may_edit(user), may_publish(user)) == allowed


def test_superusers_may_everything_and_others_nothing() -> None:
    assert may_publish(User(username="root", is_staff=True, is_superuser=True))
    assert not may_view(User(username="left", is_staff=True, is_superuser=True, is_active=False))
    assert not may_view(User(username="customer", is_staff=False, config_right=ConfigRight.PUBLISH))
    assert not may_view(AnonymousUser())
