"""What was told while the database is away, for an evaluator that takes over meanwhile: a hash in Redis for each alarm.

Each evaluator that starts without the database finds an alarm anew, with another id, so lines are kept by rule and series. What was told
of an alarm is forgotten when it ends, so that it is told again when it comes back. Without Redis nothing is known, and it is told.
"""

from monitor.alarms.notices import Line
from monitor.alarms.states import Episode, NoticeKind
from posthaste.lib import redis

SECONDS = 86_400


def is_first(line: Line, episode: Episode) -> bool:
    """Return whether no process has told this before, and note that it is told now."""
    key, field = _key(episode), _field(line)
    pipeline = redis.client().pipeline()
    pipeline.hsetnx(key, field, 1)
    pipeline.expire(key, SECONDS)
    if line.kind != NoticeKind.RESOLVED:
        pipeline.hdel(key, _field(Line(line.alarm, line.receiver, NoticeKind.RESOLVED)))  # its next end is another one
    try:
        return bool(pipeline.execute()[0])
    except redis.Unavailable:
        return True


def forget(episode: Episode) -> None:
    """Forget what was told of an alarm that has ended, but its end."""
    try:
        fields: list[bytes] = redis.client().hkeys(_key(episode))  # type: ignore[assignment]
        old = [field for field in fields if not field.decode().endswith(f":{NoticeKind.RESOLVED.value}:0")]
        if old:
            redis.client().hdel(_key(episode), *old)
    except redis.Unavailable:
        pass  # it expires


def _key(episode: Episode) -> str:
    return redis.key("alarms", "told", *episode.key)


def _field(line: Line) -> str:
    return f"{line.receiver}:{line.kind.value}:{line.number}"
