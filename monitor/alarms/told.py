"""What was told while the database is away, for an evaluator that takes over meanwhile: one hash in Redis.

Each evaluator that starts without the database finds an alarm anew, with another id, so lines are kept by rule and series. What was told
of an alarm is forgotten when it ends, so that it is told again when it comes back, and all of it when the database is back. Without Redis
nothing is known, and it is told.
"""

from monitor.alarms.notices import Line
from monitor.alarms.states import Episode, NoticeKind
from posthaste.lib import redis

SECONDS = 86_400


def is_first(line: Line, episode: Episode) -> bool:
    """Return whether no process has told this before, and note that it is told now."""
    key, field = _key(), _field(line, episode)
    pipeline = redis.client().pipeline()
    pipeline.hsetnx(key, field, 1)
    pipeline.expire(key, SECONDS)
    if line.kind != NoticeKind.RESOLVED:
        pipeline.hdel(key, _field(Line(line.alarm, line.receiver, NoticeKind.RESOLVED), episode))  # its next end is another one
    try:
        return bool(pipeline.execute()[0])
    except redis.Unavailable:
        return True


def forget(episode: Episode) -> None:
    """Forget what was told of an alarm that has ended, but its end."""
    begin, end = f"{_alarm(episode)}\n", f"\n{NoticeKind.RESOLVED.value}\n0"
    try:
        fields: list[bytes] = redis.client().hkeys(_key())  # type: ignore[assignment]
        old = [field for field in fields if (text := field.decode()).startswith(begin) and not text.endswith(end)]
        if old:
            redis.client().hdel(_key(), *old)
    except redis.Unavailable:
        pass  # it expires


def forget_all() -> None:
    """Forget everything, as rows tell it again."""
    try:
        redis.client().delete(_key())
    except redis.Unavailable:
        pass  # it expires


def _key() -> str:
    return redis.key("alarms", "told")


def _alarm(episode: Episode) -> str:
    return "\n".join(episode.key)


def _field(line: Line, episode: Episode) -> str:
    return f"{_alarm(episode)}\n{line.receiver}\n{line.kind.value}\n{line.number}"
