"""Rows that the tests of a module share: made once, seen by each as they were made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import transaction
from pytest_django import DjangoDbBlocker

from tests.memories import forget

T = TypeVar("T")


def _as_a_test() -> transaction.Atomic:
    """Return a transaction as a test's own is: code that must not be in a transaction may still be in it."""
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined]
    return around


def kept(blocker: DjangoDbBlocker, make: Callable[[], T]) -> Iterator[T]:
    """Yield what is made, for a module's fixture, and keep its rows until the module ends; what a test changes is rolled back, as ever.

    Only for modules without tests that commit.
    """
    around = _as_a_test()
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


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block writes, and what was remembered of it, so that the next one meets the rows as they were made."""
    with _as_a_test():
        yield
        transaction.set_rollback(True)
    forget(in_redis=True)
