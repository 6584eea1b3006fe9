"""An arrival with all that is needed to write it."""

from dataclasses import dataclass, field

from routing.contract import Incoming, IncomingFile
from routing.intents.live import Recognized
from routing.models import Arrival, Entrance


class Beaten(Exception):
    """Another worker has the arrival by now: the lease ran out."""


@dataclass(slots=True)
class Ready:
    """An arrival, what it brought, and what was found out about it outside of transactions."""

    arrival: Arrival
    incoming: Incoming
    entrance: Entrance
    recognized: Recognized | None = None
    fetched: list[IncomingFile] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Return whether it is a text of a sender with one name, and nothing comes with it."""
        one = self.incoming
        return one.kind == "text" and not (one.also or one.attributes or one.files or self.fetched)
