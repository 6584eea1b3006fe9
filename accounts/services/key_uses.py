"""When API keys were last used: noted while a request is answered, and written later."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from accounts.models import ApiKey
from posthaste.lib.late_writes import late_writes, write_latest


def _write(uses: Mapping[int, datetime]) -> None:
    write_latest(ApiKey.objects.all(), "last_used_at", uses)


#: By the keys' ids.
key_uses = late_writes("key-uses", _write, noted_every=timedelta(minutes=1))
