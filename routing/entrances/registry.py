"""The kinds of entrances: each a folder of this package, whose module `kind` declares it.

    declare(Kind(code=EntranceKind.WEBHOOK, title=_("Signed webhook"), adapter=WebhookAdapter(), Settings=…, Secrets=…))

`discover` imports them when the application starts, in every process: a large library is imported by the method that uses it.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from pydantic import ValidationError

from configcenter.hot import Shape
from posthaste.lib.problems import Invalid, errors_for
from posthaste.lib.wrong_values import words_of
from routing import entrances
from routing.contract import Adapter, EntranceRow, Incoming
from routing.conversations import carriers
from routing.models import AttributeSource, Entrance

#: Takes in what is no text, such as an event. It runs in the transaction in which the arrival becomes done, perhaps more than once.
Handler = Callable[[Entrance, Incoming, datetime], None]
#: Puts messages into their threads, with what is stored; it writes nothing.
Place = Callable[[EntranceRow, Sequence[Incoming]], Sequence[Incoming]]
#: Writes down what else a request wants done, in the transaction in which its arrivals are stored.
Want = Callable[[EntranceRow, Sequence[Mapping[str, Any]], datetime], None]
#: Adds what the sender's system has to be asked for. It runs outside of transactions, perhaps more than once; an error tries it again;
#: after `SystemAway`, for an hour.
Enrich = Callable[[EntranceRow, Incoming], Incoming]
#: Connects to the system behind an entrance and says in a sentence what is there; it raises ProbeFailed.
Probe = Callable[[EntranceRow], str]
#: Gets the bytes of a file that came as a reference only. It runs outside of transactions; errors are as for `Enrich`.
Fetch = Callable[[EntranceRow, Mapping[str, Any]], bytes]


class ProbeFailed(Exception):
    """The system behind an entrance can't be used as it is set up; the message says why."""


class SystemAway(Exception):
    """The system behind an entrance did not respond, or is busy: what came in is tried again, and is not at fault."""


class NoSettings(Shape):
    """For a kind that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of entrance. The fields of `Settings` and `Secrets` say what staff enters; secrets are stored encrypted."""

    code: str
    title: str | Promise
    adapter: Adapter
    Settings: type[Shape] = NoSettings
    Secrets: type[Shape] = NoSettings
    #: What carries its replies, if that is not its adapter.
    carrier: carriers.Carrier = carriers.through_entrance
    #: Whether replies can have files. If not, links to them stand in the text.
    sends_files: bool = True
    #: By the kind of an incoming thing.
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    fetch: Fetch | None = None
    place: Place | None = None
    want: Want | None = None
    enrich: Enrich | None = None
    probe: Probe | None = None
    #: As what the attributes of its texts are kept.
    source: AttributeSource = AttributeSource.API


#: By code, in the order in which they were found.
KINDS: dict[str, Kind] = {}


def declare(kind: Kind) -> Kind:
    """Add a kind and return it.

    Raises:
        ValueError: there is one of this code.
    """
    if KINDS.setdefault(kind.code, kind) is not kind:
        raise ValueError(f"The kind of entrance {kind.code} is declared twice.")
    carriers.declare(kind.code, carriers.Way(kind.carrier, kind.sends_files))
    return kind


def discover() -> None:
    """Import the module `kind` of each folder, which declares it."""
    for part in pkgutil.iter_modules(entrances.__path__):
        if part.ispkg:
            import_module(f"{entrances.__name__}.{part.name}.kind")


def find(code: str) -> Kind:
    """Return the kind of that code.

    Raises:
        Invalid: there is none.
    """
    if code not in KINDS:
        raise Invalid.field("kind", _("There is no kind {kind}. Available: {known}.").format(kind=code, known=", ".join(KINDS)), "unknown")
    return KINDS[code]


def row_of(entrance: Entrance) -> EntranceRow:
    """Return an entrance as its adapter sees it."""
    return EntranceRow(
        id=str(entrance.pk), tenant_id=entrance.tenant_id, kind=entrance.kind, settings=entrance.settings, secrets=entrance.secrets
    )


def checked(code: str, *, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check the settings and secrets of an entrance and return them in the form that is stored.

    Raises:
        Invalid: naming each wrong field as `settings.<field>` or `secrets.<field>`.
    """
    kind = find(code)
    values: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for part, shape, given in (("settings", kind.Settings, settings), ("secrets", kind.Secrets, secrets)):
        try:
            values.append(shape.model_validate(dict(given)).model_dump(mode="json"))
        except ValidationError as error:
            errors += errors_for(error.errors(include_url=False, include_input=False), partial(_entry, part))
    if errors:
        raise Invalid(errors=errors)
    return values[0], values[1]


def _entry(part: str, found: Any) -> dict[str, Any]:
    wrong = found.get("ctx", {}).get("error")
    path = [str(step) for step in found["loc"]] or ([wrong.field] if hasattr(wrong, "field") else [])
    said = _(wrong.words).format(**wrong.values) if hasattr(wrong, "words") else words_of(found)
    return {"field": ".".join((part, *path)), "code": found["type"], "message": said}
