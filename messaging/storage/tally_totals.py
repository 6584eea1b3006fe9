"""Adds up what the triggers of the message table have written, so that reading the counts stays cheap.

What if the process dies: nothing was added up, and the counts are as exact as before, only slower to read. Two at once: the second
one leaves it to the first.
"""

from datetime import datetime

from django.db import connection, transaction

from messaging.models import NO_BATCH, Batch, Tally, TallyChange
from messaging.storage.tallies import KEYS, are_kept
from posthaste.lib.ids import first_id_at

LOCK = "messaging.storage.tallies"
ADD_UP = f"""
WITH gone AS (DELETE FROM {TallyChange._meta.db_table} RETURNING {KEYS}, number)
INSERT INTO {Tally._meta.db_table} AS t ({KEYS}, number)
SELECT {KEYS}, sum(number) FROM gone GROUP BY {KEYS} HAVING sum(number) <> 0
ON CONFLICT ({KEYS}) DO UPDATE SET number = t.number + excluded.number
"""


def add_up() -> int:
    """Add up what has changed and return the number of counts that did."""
    if not are_kept():
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(ADD_UP)
        return int(cursor.rowcount)


def forget_before(*, moment: datetime) -> None:
    """Remove the counts of hours before `moment`, and of batches that are gone."""
    if not are_kept():
        return
    add_up()
    Tally.objects.filter(batch_id=NO_BATCH, hour__lt=moment).delete()
    old = Tally.objects.filter(batch_id__gt=NO_BATCH, batch_id__lt=first_id_at(moment))
    old.exclude(batch_id__in=Batch.objects.filter(pk__lt=first_id_at(moment)).values("pk")).delete()
