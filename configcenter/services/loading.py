"""Apply released configuration in this process: read it, check it, swap it in, and keep a local snapshot for outages."""

import os
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import structlog
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from pydantic import ValidationError

from configcenter import hot
from configcenter.models import MODULES, ConfigItem, ConfigState
from configcenter.services import instances
from configcenter.services.instances import Identity, State, Version
from configcenter.services.validation import explain, merged
from posthaste import env
from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)
RELEASE_FIELDS = ("number", "content", "md5", "revision", "at")
_REVISION = f"SELECT revision FROM {ConfigState._meta.db_table} WHERE {ConfigState._meta.pk.column} = {ConfigState.ONLY}"
Row = dict[str, Any]


def _revision() -> int:
    """Return the present revision. Every process asks every few seconds, and so without the ORM, which would take twenty times as long."""
    with connection.cursor() as cursor:
        cursor.execute(_REVISION)
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def snapshot_path() -> Path:
    """Return the file in which a host keeps what was last in force."""
    return env.load().data_dir / "configuration.json"


class Loader:
    """What this process has in force, and where it is from. One a process; threads may call it at once."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self.who: Identity | None = None
        self.state = State()
        self._rows: list[Row] | None = None
        self._saved: list[Row] | None = None
        self._applied: dict[str, Any] = {}
        self._lock = threading.Lock()

    def load(self) -> bool:
        """Read the database, put in force what changed, and return whether the revision was new.

        Raises:
            django.db.Error: the database is away.
        """
        with self._lock:
            known = self.state.revision if self.state.source == "database" else -1
            if _revision() == known:
                return False
            asked = time.monotonic()
            found = ConfigState.objects.filter(pk=ConfigState.ONLY).values_list("revision", Now()).first()
            revision, clock = found or (0, timezone.now())
            if revision == known:
                return False
            # After the revision, so they are at least as new; one statement, so they are of one moment.
            self._rows = _rows()
            self._put_in_force(self._rows, newer_than=known, clock=clock, asked=asked)
            self.state = replace(self.state, source="database", revision=revision)
            hot.know_revision(revision)
            return True

    def load_snapshot(self) -> bool:
        """Put in force what this host ran last, and return whether there was anything."""
        try:
            kept = orjson.loads(snapshot_path().read_bytes())
            rows, revision = list(kept["rows"]), int(kept["revision"])
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("configuration snapshot not readable", path=str(snapshot_path()), error=str(error))
            return False
        with self._lock:
            self._put_in_force(rows, newer_than=None, clock=None, asked=0.0)
            self.state = replace(self.state, source="snapshot", revision=revision)
            hot.know_revision(revision)
        log.warning("configuration is that of the last snapshot", revision=revision, saved_at=kept.get("saved_at"))
        return True

    def save_snapshot(self) -> None:
        """Write what is in force to the host's file, where it differs from what is there."""
        rows = self._rows
        if rows is None or rows is self._saved:
            return
        path = snapshot_path()
        document = {"revision": self.state.revision, "rows": orjson.loads(orjson.dumps(rows))}
        try:
            with suppress(OSError, ValueError, AttributeError):
                kept = orjson.loads(path.read_bytes())
                if {name: kept.get(name) for name in document} == document:
                    self._saved = rows
                    return  # another process of this host was quicker
            _write(path, orjson.dumps(document | {"saved_at": timezone.now()}))
            self._saved = rows
        except OSError as error:
            log.warning("configuration snapshot not written", path=str(path), error=str(error))

    def _put_in_force(self, rows: list[Row], *, newer_than: int | None, clock: datetime | None, asked: float) -> None:
        who = self.who or instances.identity("command")
        by_module: dict[str, list[Row]] = {}
        for row in rows:
            chosen = _choose(row, who)
            if chosen is not None:
                by_module.setdefault(row["data_id"], []).append(chosen)
        versions, overrides = dict(self.state.versions), dict(self.state.overrides)
        errors: dict[str, str] = {}

        def version_of(row: Row, before: Version | None) -> Version:
            """Return what is reported about a running release. If it ran before, keep the lag that was measured then."""
            if before is not None and (before.number, before.md5) == (row["number"], row["md5"]):
                return before
            lag = None
            if newer_than is not None and newer_than >= 0 and clock and row["revision"] > newer_than and row["at"]:
                lag = max(0, round((clock - row["at"]).total_seconds() * 1000 + (time.monotonic() - asked) * 1000))
            return Version(row["number"], row["md5"], lag)

        for handle in hot.modules():
            own = by_module.get(handle.name, [])
            running = self._applied.get(handle.name)
            wanted = [(row["tenant"], row["number"], row["md5"]) for row in own]
            if running is not None and running[0] == wanted and running[1] is handle.now:
                continue  # neither published anew nor replaced by a test
            applied, wrong = _applied_of(handle, own)
            if wrong:
                errors |= {key: text[:500] for key, text in wrong.items()}
                log.error("configuration not valid, the value before stays", module=handle.name, errors=wrong)
            if applied != handle.now:
                handle.swap(applied)
            # What is wrong is looked at again with the next revision: a release may come that makes it right.
            self._applied[handle.name] = (None if wrong else wanted, applied)
            for row in own:
                key = instances.key_of(handle.name, row["tenant"])
                if key not in wrong:  # what is wrong keeps what was told of the value before
                    into = versions if row["tenant"] is None else overrides
                    into[key] = version_of(row, into.get(key))
            if applied.release == 0:
                versions[handle.name] = Version(0, applied.md5)
            kept = {instances.key_of(handle.name, tenant) for tenant in applied.by_tenant}
            overrides = {key: version for key, version in overrides.items() if key in kept or key.partition("@")[0] != handle.name}
        self.state = replace(self.state, versions=versions, errors=errors)
        if overrides != self.state.overrides:  # otherwise the same object: nothing new to tell
            self.state = replace(self.state, overrides=overrides)


def _rows() -> list[Row]:
    """All modules and overrides with what is in force of them, for every instance alike: one statement."""
    names = [f"{which}__{name}" for which in ("current", "gray") for name in RELEASE_FIELDS]
    rows = ConfigItem.objects.filter(namespace__slug=MODULES, namespace__tenant=None, group=MODULES)
    found = rows.exclude(current=None, gray=None).order_by("data_id", "override_of_id")
    return list(found.values("data_id", "override_of_id", "gray_labels", "gray_percent", *names))


def _choose(row: Row, who: Identity) -> Row | None:
    """Return the release of an item that this instance runs."""
    which = "current"
    if row["gray__number"] is not None:
        item = instances.key_of(row["data_id"], row["override_of_id"])
        if who.takes_part(item=item, labels=row["gray_labels"], percent=row["gray_percent"]):
            which = "gray"
    if row[f"{which}__number"] is None:
        return None
    return {"tenant": row["override_of_id"], **{name: row[f"{which}__{name}"] for name in RELEASE_FIELDS}}


def _applied_of(handle: "hot.Handle[Any]", rows: list[Row]) -> tuple["hot.Applied[Any]", dict[str, str]]:
    """Return the new value of a module with its overrides, and the errors by item. An invalid one keeps its previous value."""
    wrong: dict[str, str] = {}
    running = handle.now
    base = next((row for row in rows if row["tenant"] is None), None)
    value, number, md5 = handle.model(), 0, ""
    if base is not None:
        try:
            value, number, md5 = handle.model.model_validate_json(base["content"]), base["number"], base["md5"]
        except ValidationError as error:
            wrong[handle.name] = _told(error, f"version {base['number']}")
            value, number, md5 = running.value, running.release, running.md5
    whole = value.model_dump(mode="json")
    by_tenant: dict[int, Any] = {}
    releases: dict[int, int] = {}
    for row in rows:
        if (tenant := row["tenant"]) is None:
            continue
        try:
            by_tenant[tenant] = merged(handle, whole, orjson.loads(row["content"]))
            releases[tenant] = row["number"]
        except (ValidationError, orjson.JSONDecodeError, AttributeError) as error:
            wrong[instances.key_of(handle.name, tenant)] = _told(error, f"override of tenant {tenant}, version {row['number']}")
            if tenant in running.by_tenant:
                by_tenant[tenant] = running.by_tenant[tenant]
                releases[tenant] = running.release_of(tenant)
    return hot.Applied(value, number, md5, by_tenant, releases), wrong


def _told(error: Exception, what: str) -> str:
    if not isinstance(error, ValidationError):
        return f"{what}: {error}"
    return f"{what}: " + ", ".join(f"{entry['field']}: {entry['message']}" for entry in explain(error))


def _write(path: Path, content: bytes) -> None:
    """Write to a temporary file and rename it, so that a reader sees the old file or the new one even after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


loader = Loader()


def apply_released() -> bool:
    """Bring into force what was released, from the database or, where it is away, from the local snapshot.

    For commands and tests; processes that stay have `watch.start`. Tells whether anything was new. Never fails.
    """
    try:
        changed = loader.load()
        loader.save_snapshot()
        return changed
    except Exception as error:  # noqa: BLE001 - a process must start without its database, too
        log.warning("configuration not read from the database", error=str(error))
        return loader.state.source == "defaults" and loader.load_snapshot()


@on_reset
def forget() -> None:
    """Forget what was applied."""
    loader.forget()
