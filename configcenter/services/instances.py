"""Which processes run which version: each tells through Redis every few seconds, the console and the API read."""

import hashlib
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from redis import Redis

from posthaste import env
from posthaste.lib import redis

ALIVE_SECONDS = 8
Source = Literal["database", "snapshot", "defaults"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is for gray releases: the same after a restart, so that an instance which takes part stays in."""

    host: str
    kind: str
    labels: tuple[str, ...] = ()

    def takes_part(self, *, item: str, labels: Iterable[str], percent: int) -> bool:
        """Return whether the gray release of an item is for this instance."""
        if not set(labels).isdisjoint(self.labels):
            return True
        # The item is part of it, so that it is not always the same instances that try what is new.
        drawn = int.from_bytes(hashlib.sha256(f"{item}|{self.host}|{self.kind}".encode()).digest()[:4])
        return drawn % 100 < percent


def identity(kind: str) -> Identity:
    """Say who this process is."""
    return Identity(socket.gethostname(), kind, tuple(env.load().instance_labels))


def key_of(data_id: str, tenant_id: int | None = None) -> str:
    """Name a module, or a tenant's override of it, as instances do: a tenant keeps its id when its name changes."""
    return data_id if tenant_id is None else f"{data_id}@{tenant_id}"


@dataclass(frozen=True, slots=True)
class Version:
    """What an instance runs of one module or override; `lag_ms` from publishing to running, None where that was before it started."""

    number: int
    md5: str
    lag_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One live process, as last reported. `overrides`, by `key_of`, are present only if requested (`with_overrides`)."""

    id: str
    kind: str
    host: str
    pid: int
    labels: list[str]
    source: Source
    revision: int
    versions: dict[str, Version]
    errors: dict[str, str]
    started_at: datetime
    seen_at: datetime
    overrides: dict[str, Version] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """What a process tells of itself; modules by name, overrides and errors by `key_of`."""

    source: Source = "defaults"
    revision: int = -1
    versions: Mapping[str, Version] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Version] = field(default_factory=dict)


def own_id(who: Identity) -> str:
    """Name this very process."""
    return f"{who.host}:{os.getpid()}:{who.kind}"


def _register() -> str:
    return redis.key("config-instances")


def _key(name: str) -> str:
    return redis.key("config-instance", name)


def _overrides_key(name: str) -> str:
    return redis.key("config-overrides", name)


#: The overrides that this process told last. There may be thousands: they are written when they change, otherwise only kept alive.
_told_overrides: dict[str, Mapping[str, Version]] = {}


def report(*, who: Identity, state: State, started_at: datetime, client: "Redis | None" = None) -> None:
    """Return what this process runs; it counts as gone when it has told nothing for eight seconds.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    name, now = own_id(who), time.time()
    reported = {
        "kind": who.kind,
        "host": who.host,
        "pid": os.getpid(),
        "labels": who.labels,
        "source": state.source,
        "revision": state.revision,
        "versions": {module: asdict(version) for module, version in state.versions.items()},
        "errors": state.errors,
        "started_at": started_at.timestamp(),
        "seen_at": now,
    }
    pipeline = (client or redis.client()).pipeline(transaction=False)
    pipeline.set(_key(name), orjson.dumps(reported), ex=ALIVE_SECONDS)
    pipeline.zadd(_register(), {name: now + ALIVE_SECONDS})
    pipeline.zremrangebyscore(_register(), "-inf", now - 60)
    pipeline.expire(_overrides_key(name), ALIVE_SECONDS)
    is_kept = bool(pipeline.execute()[-1])
    if _told_overrides.get(name) is not state.overrides or is_kept != bool(state.overrides):
        _report_overrides(name, state.overrides, client or redis.client())


def _report_overrides(name: str, overrides: Mapping[str, Version], client: "Redis") -> None:
    pipeline = client.pipeline(transaction=True)
    pipeline.delete(_overrides_key(name))
    if overrides:
        pipeline.hset(_overrides_key(name), mapping={key: orjson.dumps(asdict(version)) for key, version in overrides.items()})
        pipeline.expire(_overrides_key(name), ALIVE_SECONDS)
    pipeline.execute()
    _told_overrides.clear()  # a child of this process has its own name
    _told_overrides[name] = overrides


def live() -> list[Instance]:
    """Return the processes that are alive, by kind and host.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    client = redis.client()
    names: Any = client.zrangebyscore(_register(), time.time(), "+inf")
    reported = client.mget([_key(name.decode()) for name in names]) if names else []
    found = [_read(name.decode(), orjson.loads(value)) for name, value in zip(names, reported, strict=True) if value]
    return sorted(found, key=lambda instance: (instance.kind, instance.host, instance.pid))


def with_overrides(found: Sequence[Instance], keys: Sequence[str] | None = None) -> list[Instance]:
    """Add to instances which versions of overrides they run: of these keys (`key_of`), or of all.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    if not found or (keys is not None and not keys):
        return list(found)
    pipeline = redis.client().pipeline(transaction=False)
    for instance in found:
        if keys is None:
            pipeline.hgetall(_overrides_key(instance.id))
        else:
            pipeline.hmget(_overrides_key(instance.id), list(keys))
    answers = [
        {key.decode(): value for key, value in answer.items()} if keys is None else dict(zip(keys, answer, strict=True))
        for answer in pipeline.execute()
    ]
    return [
        replace(instance, overrides={key: Version(**orjson.loads(value)) for key, value in answer.items() if value})
        for instance, answer in zip(found, answers, strict=True)
    ]


def _read(name: str, reported: dict[str, Any]) -> Instance:
    versions = {module: Version(**version) for module, version in reported.pop("versions").items()}
    started, seen = (datetime.fromtimestamp(reported.pop(field), UTC) for field in ("started_at", "seen_at"))
    return Instance(id=name, versions=versions, started_at=started, seen_at=seen, **reported)


def errors_of(instance: Instance, module: str) -> str:
    """Return what an instance could not apply of a module or of its overrides, "" where nothing was wrong."""
    wrong = [text for key, text in sorted(instance.errors.items()) if key.partition("@")[0] == module]
    return "; ".join(wrong)
