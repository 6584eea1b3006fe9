"""Recognize texts with the model that is active for their tenant, or with the starting model that comes with Posthaste.

Each process asks the database at most twice a second, and only while texts come, which version is active; the first text after that is
recognized by the new one. So there is no notice that could be lost, and an idle process does nothing. A model that can't be loaded, or a
database that is away, changes nothing: what recognized the texts before goes on.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from django.db import InterfaceError, OperationalError, connection

from posthaste.lib.process_state import on_reset
from routing.configuration import assignment
from routing.intents import starting_rows, unloadable
from routing.models import Entrance, IntentModel

if TYPE_CHECKING:
    from routing.intents.recognition import Recogniser, Recognition

log = structlog.get_logger(__name__)
LOOK_SECONDS = 0.5
RETRY_SECONDS = 10.0  # after a model could not be loaded
MAX_TENANTS = 1_000
MAX_MODELS = 8  # in memory; each takes some megabytes, and tenants with the same model share it
#: The version of the starting model. The versions of a tenant begin at 1.
STARTING = 0


@dataclass(frozen=True, slots=True)
class Recognized:
    """What a text was recognized as. `intent` is empty if it is out of scope or not sure; `why_not` says which."""

    intent: str = ""
    confidence: float = 0.0
    alternatives: tuple[tuple[str, float], ...] = ()
    language: str = "und"
    #: Version of the model, 0: the starting model, or none.
    model: int = STARTING
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Active:
    """The version that recognizes a tenant's texts: never changed, only replaced."""

    number: int
    recogniser: "Recogniser"


@dataclass(slots=True)
class _Place:
    """What this process knows of a tenant: the number and the hash of the version that is active."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    version: tuple[int, str] | None = None
    look_at: float = 0.0
    #: The alarm was told that the active version can't be loaded.
    is_noted: bool = False


class Models:
    """The models in this process. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: OrderedDict[int, _Place] = OrderedDict()
        self._recognisers: OrderedDict[str, Recogniser] = OrderedDict()  # by hash

    def active(self, tenant_id: int) -> Active | None:
        """Return what recognizes a tenant's texts now, or None if nothing can be loaded."""
        with self._lock:
            place = self._places.setdefault(tenant_id, _Place())
            self._places.move_to_end(tenant_id)
            while len(self._places) > MAX_TENANTS:
                self._places.popitem(last=False)
        found = self._loaded(place.version)
        # One thread looks, the others go on with what is there; only where nothing is loaded they wait.
        if (found is None or self._clock() >= place.look_at) and place.lock.acquire(blocking=found is None):
            try:
                if self._loaded(place.version) is None or self._clock() >= place.look_at:
                    self._look(tenant_id, place)
            finally:
                place.lock.release()
            found = self._loaded(place.version)
        return found

    def forget(self) -> None:
        """Forget all models."""
        with self._lock:
            self._places.clear()
            self._recognisers.clear()

    def _loaded(self, version: tuple[int, str] | None) -> Active | None:
        if version is None:
            return None
        number, sha256 = version
        with self._lock:
            found = self._recognisers.get(sha256)
            if found is None:
                return None
            self._recognisers.move_to_end(sha256)
        return Active(number, found)

    def _look(self, tenant_id: int, place: _Place) -> None:
        number = STARTING
        try:
            rows = IntentModel.objects.filter(tenant_id=tenant_id, is_active=True)
            number, sha256 = rows.values_list("number", "sha256").first() or (STARTING, starting_rows.sha256())
            if place.version != (number, sha256) or self._loaded(place.version) is None:
                self._load(tenant_id, number, sha256)
                place.version = (number, sha256)
                log.info("intent model", tenant=tenant_id, version=number, sha256=sha256[:12])
                unloadable.settle(tenant_id)
            elif place.is_noted:  # people went back to the version that is in use
                unloadable.settle(tenant_id)
            place.is_noted = False
            place.look_at = self._clock() + LOOK_SECONDS
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a model or the database, texts are processed
            place.look_at = self._clock() + RETRY_SECONDS
            reason = f"{type(error).__name__}: {error}"[:300]
            log.warning("intent model not loaded, what is in use stays", tenant=tenant_id, version=number, error=reason)
            if not isinstance(error, OperationalError | InterfaceError):  # that the database is away says nothing about the model
                unloadable.note(tenant_id, number)
                place.is_noted = True
            if self._loaded(place.version) is None:
                self._fall_back(place)

    def _fall_back(self, place: _Place) -> None:
        try:
            self._load(0, STARTING, starting_rows.sha256())
            place.version = (STARTING, starting_rows.sha256())
        except Exception:
            log.exception("the starting model can't be loaded")

    def _load(self, tenant_id: int, number: int, sha256: str) -> None:
        if self._loaded((number, sha256)) is not None:
            return
        from routing.intents import recognition  # loads numpy, which only processes that recognize texts need

        if sha256 == starting_rows.sha256():
            content = starting_rows.content()
        else:
            stored = IntentModel.objects.values_list("artefact", flat=True).get(tenant_id=tenant_id, number=number, sha256=sha256)
            content = bytes(stored or b"")
        made = recognition.Recogniser.load(content, expected=sha256)
        with self._lock:
            self._recognisers[sha256] = made
            while len(self._recognisers) > MAX_MODELS:
                self._recognisers.popitem(last=False)


models = Models()
on_reset(models.forget)


def recognize(texts: Sequence[str], *, tenant_id: int) -> list[Recognized]:
    """Return what each text was recognized as, in the same order. It never fails: a text that can't be recognized says why."""
    if not texts:
        return []
    active = models.active(tenant_id)
    if active is None:
        return [Recognized(why_not="no_model") for _text in texts]
    try:
        found = active.recogniser.classify(texts)
    except Exception:
        log.exception("texts not recognized", tenant=tenant_id, version=active.number)
        return [Recognized(model=active.number, why_not="error") for _text in texts]
    least = assignment.of(tenant_id).min_confidence_percent / 100
    return [_recognized(text, one, active.number, least) for text, one in zip(texts, found, strict=True)]


def warm() -> None:
    """Load the starting model and what it needs, so that the first text is as fast as the next. Never fails."""
    try:
        from routing.intents import recognition

        recognition.Recogniser.load(starting_rows.content(), expected=starting_rows.sha256()).classify(["warm"])
    except Exception:
        log.exception("the recognition of intents is not ready")


def warm_in_the_background() -> None:
    """Warm up in a thread where texts come in at all: without an entrance, the 150 MB of the sentence encoder would lie idle."""
    threading.Thread(target=_warm_where_texts_come_in, name="warm-intents", daemon=True).start()


def _warm_where_texts_come_in() -> None:
    try:
        is_needed = Entrance.objects.exists()
    except Exception as error:  # noqa: BLE001 - the first text warms up as well
        log.info("intents are warmed up by the first text", error=type(error).__name__)
        return
    finally:
        connection.close()
    if is_needed:
        warm()


def _recognized(text: str, one: "Recognition", number: int, least: float) -> Recognized:
    from routing.intents.language import language_of

    intent, why_not = one.intent or "", one.rejection
    if intent and one.confidence < least:
        intent, why_not = "", "confidence"
    alternatives = tuple((each.intent, round(each.confidence, 4)) for each in one.alternatives)
    return Recognized(intent, round(one.confidence, 4), alternatives, language_of(text), number, why_not)
