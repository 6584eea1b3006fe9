"""What is found out about arrivals before they are written, outside of transactions: files are fetched, texts are recognized.

The systems that are asked may be slow, or away. One that is away is not asked for each arrival again, and what waits for it is tried later.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from posthaste.lib.blank import is_blank
from routing.contract import Incoming, IncomingFile
from routing.conversations import arrivals, attachments
from routing.entrances import registry
from routing.entrances.registry import SystemAway
from routing.intents import live
from routing.intents.live import Recognized
from routing.models import Arrival, Entrance
from routing.processing.ready import Ready

log = structlog.get_logger(__name__)
#: After so long, or with so much in memory, what is left of a claim is for the next worker.
MAX_SECONDS, MAX_BYTES = 60.0, 64 << 20


@dataclass(slots=True)
class Prepared:
    """What is ready to be written, what could not be read, with its error, and what was not begun."""

    ready: list[Ready] = field(default_factory=list)
    broken: list[tuple[Arrival, Exception]] = field(default_factory=list)
    left: Sequence[Arrival] = ()


def prepare(claimed: Sequence[Arrival]) -> Prepared:
    """Read, enrich and fetch, then recognize all texts together."""
    entrances = Entrance.objects.in_bulk({arrival.entrance_id for arrival in claimed})
    away: dict[UUID, SystemAway] = {}
    found, began, size = Prepared(), time.monotonic(), 0
    for place, arrival in enumerate(claimed):
        if size > MAX_BYTES or time.monotonic() > began + MAX_SECONDS:
            found.left = claimed[place:]
            break
        try:
            one = Ready(arrival, arrivals.incoming_of(arrival), entrances[arrival.entrance_id])
            if (known := away.get(arrival.entrance_id)) is not None:
                raise known
            one.incoming = _enriched(one)
            one.fetched = _fetch(one)
            size += sum(len(file.content) for file in one.fetched)
        except SystemAway as error:
            log.warning("an arrival waits for the system of its entrance", arrival=str(arrival.pk), error=str(error))
            away[arrival.entrance_id] = error
            found.broken.append((arrival, error))
        except Exception as error:  # whatever it is, it is this arrival's
            log.exception("an arrival could not be prepared", arrival=str(arrival.pk))
            found.broken.append((arrival, error))
        else:
            found.ready.append(one)
    _recognize(found.ready)
    return found


def _enriched(one: Ready) -> Incoming:
    """Return what came with what the sender's system has to be asked for."""
    kind = registry.KINDS.get(one.entrance.kind)
    return kind.enrich(registry.row_of(one.entrance), one.incoming) if kind is not None and kind.enrich is not None else one.incoming


def _fetch(one: Ready) -> list[IncomingFile]:
    """Get the bytes of the files that came as references only; those of our own uploads are here already."""
    kind = registry.KINDS.get(one.entrance.kind)
    wanted = [file for file in one.incoming.files if file.reference and "attachment" not in file.reference]
    if not wanted or kind is None or kind.fetch is None:
        return []
    row = registry.row_of(one.entrance)
    return [IncomingFile(name=file.name, content=kind.fetch(row, file.reference)) for file in wanted[: attachments.MAX_FILES]]


def _recognize(ready: Sequence[Ready]) -> None:
    """Recognize all texts of a tenant in one call. Without a model, or if it fails, lines are written all the same."""
    by_tenant: Mapping[int, list[Ready]] = defaultdict(list)
    for one in ready:
        if one.incoming.kind == "text" and not is_blank(one.incoming.text):
            by_tenant[one.arrival.tenant_id].append(one)
    for tenant_id, own in by_tenant.items():
        try:
            found = live.recognize([one.incoming.text for one in own], tenant_id=tenant_id)
        except Exception:
            log.exception("texts not recognized", tenant_id=tenant_id)
            found = [Recognized(why_not="error") for _one in own]
        for one, recognized in zip(own, found, strict=True):
            one.recognized = recognized
