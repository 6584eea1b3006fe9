"""Rows that another request may delete at any moment."""

from django.db.models import Model
from django.utils.translation import gettext as _

from posthaste.lib.problems import NotFound


def is_kept(row: Model) -> bool:
    """Lock a row until the transaction ends, and return whether it still exists."""
    return type(row)._default_manager.order_by().select_for_update().filter(pk=row.pk).values_list("pk", flat=True).first() is not None


def lock(row: Model) -> None:
    """Lock a row until the transaction ends.

    Raises:
        NotFound: it was deleted since it was read.
    """
    if not is_kept(row):
        raise NotFound(_("It was deleted in the meantime."))
