"""Rows that the tests of a module share: made once, seen by each as they were made."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from pytest_django import DjangoDbBlocker


@contextmanager
def kept(blocker: DjangoDbBlocker) -> Iterator[None]:
    """Keep what a module's fixture makes in this block until the module ends; what a test changes is rolled back after it, as ever.

    Only for modules without tests that commit.
    """
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined] # as Django's own: code that must not be in a transaction may still be in it
    with blocker.unblock():
        around.__enter__()
    try:
        yield
    finally:
        with blocker.unblock():
            transaction.set_rollback(True)
            around.__exit__(None, None, None)
