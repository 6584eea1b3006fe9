"""A tenant with one of everything, which most tests of this folder look at: made once for a module, as it takes a hundred statements."""

import copy
from collections.abc import Iterator
from functools import partial

import pytest
from pytest_django import DjangoDbBlocker

from tests.architecture.test_tenants import Owned, make_everything
from tests.kept import kept


@pytest.fixture(scope="module")
def acme_of_the_module(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Owned]:
    """Make it; `acme` is what a test asks for."""
    yield from kept(django_db_blocker, partial(make_everything, "Acme"))


@pytest.fixture
def acme(acme_of_the_module: Owned, db: None) -> Owned:
    """Lend it as it was made."""
    return copy.deepcopy(acme_of_the_module)
