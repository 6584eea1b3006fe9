"""Rows that the tests of a module share: made once, seen by each as they were made."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from django.db import transaction
from pytest_django import DjangoDbBlocker

T = TypeVar("T")


def kept(blocker: DjangoDbBlocker, make: Callable[[], T]) -> Iterator[T]:
    """Yield what is made, for a module's fixture, and keep its rows until the module ends; what a test changes is rolled back, as ever.

    Only for modules without tests that commit.
    """
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined] # as Django's own: code that must not be in a transaction may still be in it
    with blocker.unblock():
        around.__enter__()
    try:
        with blocker.unblock():
            made = make()
        yield made
    finally:
        with blocker.unblock():
            transaction.set_rollback(True)
            around.__exit__(None, None, None)
