"""Which processes run which version: each tells through Redis once a second, the console and the API read."""

import hashlib
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from redis import Redis

from posthaste import env
from posthaste.lib import redis

ALIVE_SECONDS = 5
Source = Literal["database", "snapshot", "defaults"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is for gray releases: the same after a restart, so that an instance which takes part stays in."""

    host: str
    kind: str
    labels: tuple[str, ...] = ()

    def takes_part(self, *, item: str, labels: Iterable[str], percent: int) -> bool:
        """This function will tell whether the gray release of an item is for this instance."""
        if not set(labels).isdisjoint(self.labels):
            return True
        # The item is part of it, so that it is not always the same instances that try what is new.
        drawn = int.from_bytes(hashlib.sha256(f"{item}|{self.host}|{self.kind}".encode()).digest()[:4])
        return drawn % 100 < percent


def identity(kind: str) -> Identity:
    """This function will say who this process is."""
    return Identity(socket.gethostname(), kind, tuple(env.load().instance_labels))


@dataclass(frozen=True, slots=True)
class Version:
    """What an instance runs of one module; `lag_ms` from publishing to running, None where it was published before it started."""

    number: int
    md5: str
    lag_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One live process, as it told a moment ago."""

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


@dataclass(frozen=True, slots=True)
class State:
    """What a process tells of itself."""

    source: Source = "defaults"
    revision: int = -1
    versions: Mapping[str, Version] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def own_id(who: Identity) -> str:
    """This function will name this very process."""
    return f"{who.host}:{os.getpid()}:{who.kind}"


def _register() -> str:
    return redis.key("config-instances")


def _key(name: str) -> str:
    return redis.key("config-instance", name)


def report(*, who: Identity, state: State, started_at: datetime, client: "Redis | None" = None) -> None:
    """This function will tell what this process runs; it counts as gone when it has told nothing for five seconds.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    name, now = own_id(who), time.time()
    told = {
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
    pipeline.set(_key(name), orjson.dumps(told), ex=ALIVE_SECONDS)
    pipeline.zadd(_register(), {name: now + ALIVE_SECONDS})
    pipeline.zremrangebyscore(_register(), "-inf", now - 60)
    pipeline.execute()


def live() -> list[Instance]:
    """This function will give the processes that are alive, by kind and host.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    client = redis.client()
    names: Any = client.zrangebyscore(_register(), time.time(), "+inf")
    told = client.mget([_key(name.decode()) for name in names]) if names else []
    found = [_read(name.decode(), orjson.loads(value)) for name, value in zip(names, told, strict=True) if value]
    return sorted(found, key=lambda instance: (instance.kind, instance.host, instance.pid))


def _read(name: str, told: dict[str, Any]) -> Instance:
    versions = {module: Version(**version) for module, version in told.pop("versions").items()}
    started, seen = (datetime.fromtimestamp(told.pop(field), UTC) for field in ("started_at", "seen_at"))
    return Instance(id=name, versions=versions, started_at=started, seen_at=seen, **told)


def told(instance: Instance) -> dict[str, Any]:
    """This function will give what an instance told as plain data, for answers."""
    return asdict(instance)
