"""Write traces: compact lines appended to one Redis string per message, in pipelines that are sent anyway.

A line is one letter, the milliseconds since the message's id was made, and the details:

    A<ms> <traceparent>              accepted within a trace of the caller's
    I<ms>                            the same request came again with its Idempotency-Key
    D<ms> <rows>                     so many equal rows of its batch were left out
    C<ms> <attempt> [<ms>]           claimed by a worker; when it was handed to the broker
    G<ms>                            rendered with its template
    S<ms> <duration ms> <provider> [<choice>[@<release>]]          taken by the provider
    E<ms> <duration ms> <provider> <code> [<choice>[@<release>]]   the provider did not take it
    R<ms> <delay ms>                 will be tried again
    B<ms> <why>                      given back without a call: its task ran out of time, or of connections
    F<ms> <why>                      brought forward: its breaker closed, or the rules have changed
    K<ms> <status> [<outcome>]       receipt; the outcome where it changed nothing: duplicate, late
    M<ms> <from> <to> <reason>@<release>     moved to another provider: breaker, unreachable
    W<ms> <duration ms> <endpoint> <event> <status>   an event about it went to a webhook endpoint: delivered, given_up
    X<ms> <status> <reason>[@<release>] [<delay ms>]   ended, or was put off, by a rule; as of which release of the rules
    V<ms> <status> <why> [<attempt> <ms> [<ms>]]   recovered: from a task that the broker lost, or from a dead worker, with the claim of
                                     that worker, which may not have told it: its attempt, when it was claimed and when it was queued
    L<ms> <answer> <provider>        the provider was asked what became of it
    O<ms> <verb> <who>               an operator acted: cancel, retry, sent, failed

What accepted and queued it is not written: the message's own row keeps it. Lines that repeat the one before are folded into it, so that a
message that waits for days stays small: ` *<times>+<ms>` at the end says how often and when the last one was, ` ^<ms>` when it was
brought forward last.

For a message that is not sampled (module *tracing*) only failures, retries and decisions are written, with the other events of the
same flush.

If Redis is away nothing is written and nothing waits: the message row keeps the main times.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zlib import crc32

from posthaste import env
from posthaste.lib import ids, redis
from tracing.configuration import tracing
from tracing.services import ended, latency

#: The live figures look back a quarter of an hour, and the rollups are made from these counts within it.
COUNTER_SECONDS = 1_200
MAX_PER_COMMAND = 1_000  # traces: Redis does nothing else meanwhile
BLANK = "\N{NO-BREAK SPACE}"  # replaces a space inside a word; a reader restores it
SENT = "sent"
BREAKER_CLOSED, RULES_CHANGED = "breaker_closed", "rules_changed"  # why messages are brought forward
#: Tenant, channel and event.
Counted = tuple[int, str, str]
ROUTINE = frozenset("ABCGSKW")  # what happens to every message that goes well
UNUSUAL = (" failed\n", " given_up\n")  # as the last word, it is not routine

# KEYS traces, ARGV[1] seconds they are kept, ARGV[2…] what to add to each; returns nothing. One command for all traces of a
# flush: packing and reading two for each message took more time than anything else about tracing.
# A single line of the letters B, I, K and X that says the same as the last line of the trace is folded into that one, and a single F
# into the X before it.
APPEND = """
local function split(line)
  local letter, at, rest = string.match(line, '^(%u)(%d+)(.*)$')
  if not letter then return nil end
  local forward = string.match(rest, ' %^%d+$') or ''
  rest = string.sub(rest, 1, #rest - #forward)
  local base, repeated = string.match(rest, '^(.-)( %*%d+%+%d+)$')
  base, repeated = base or rest, repeated or ''
  local same = base
  if letter == 'X' then same = string.match(base, '^ pending %S+') end
  return letter, at, base, repeated, same, forward
end
for i = 1, #KEYS do
  local added, line = ARGV[i + 1], nil
  local first = string.byte(added)
  if first == 88 or first == 66 or first == 70 or first == 73 or first == 75 then
    local letter, at, base, _, same = split(string.match(added, '^([^\\n]*)\\n$') or '')
    local stored = same and redis.call('GET', KEYS[i])
    local before, last = string.match(stored or '', '^(.-)([^\\n]*)\\n$')
    if last then
      local theirs, began, text, repeated, what, forward = split(last)
      if letter == 'F' and theirs == 'X' and what then
        line = theirs .. began .. text .. repeated .. ' ^' .. at
      elseif theirs == letter and what == same then
        local times = tonumber(string.match(repeated, '%*(%d+)') or 1)
        line = letter .. began .. base .. ' *' .. (times + 1) .. '+' .. at .. forward
      end
      if line then redis.call('SET', KEYS[i], before .. line .. '\\n', 'EX', ARGV[1]) end
    end
  end
  if not line then
    redis.call('APPEND', KEYS[i], added)
    redis.call('EXPIRE', KEYS[i], ARGV[1])
  end
end
"""


def trace_key(message_id: UUID) -> bytes:
    """Return the Redis key of a message's trace (21 bytes with the default prefix)."""
    return f"{env.load().redis_prefix}:t:".encode() + message_id.bytes


def offset_ms(message_id: UUID, at: datetime) -> int:
    """Return the milliseconds from the making of a message's id to a time; 0 for an earlier one."""
    return max(0, int(at.timestamp() * 1000) - ids.unix_ms(message_id))


def line(code: str, message_id: UUID, at: datetime, *words: object) -> str:
    """Return one event of a trace as a line."""
    since = max(0, int(at.timestamp() * 1000) - ids.unix_ms(message_id))
    return " ".join((f"{code}{since}", *map(str, words))) + "\n"


def word(text: str) -> str:
    """Return a text as one word, because a line is split at spaces; `tracing.selectors` reverses it."""
    return BLANK.join(text.split())[:40] or "-"


def is_sampled(message_id: UUID) -> bool:
    """Return whether a message is traced in full; the answer is the same in every process and for its whole life."""
    percent = tracing.value.sample_percent
    return percent >= 100 or crc32(message_id.bytes) % 100 < percent


def _worth_keeping(message_id: UUID, added: Iterable[str], always: Collection[UUID]) -> bool:
    return message_id in always or is_sampled(message_id) or any(entry[0] not in ROUTINE or entry.endswith(UNUSUAL) for entry in added)


def append(pipeline: Any, lines: Mapping[UUID, Collection[str]], *, always: Collection[UUID] = ()) -> None:
    """Add events to the traces of messages, in the caller's pipeline.

    Messages in `always` are written even if they are not sampled.
    """
    settings = tracing.value
    if settings.sample_percent < 100:
        lines = {message_id: added for message_id, added in lines.items() if _worth_keeping(message_id, added, always)}
    if lines:
        seconds = settings.retention_days * 86_400
        entries = list(lines.items())
        for start in range(0, len(entries), MAX_PER_COMMAND):
            part = entries[start : start + MAX_PER_COMMAND]
            keys = [trace_key(message_id) for message_id, _added in part]
            pipeline.eval(APPEND, len(keys), *keys, seconds, *("".join(added) for _message_id, added in part))
        if ended.is_exported():
            ended.note(pipeline, lines)


def append_now(lines: Mapping[UUID, Collection[str]]) -> None:
    """Add events to the traces of messages in a round trip of their own, for what people and recovery do; not for the hot path.

    If Redis is away, they are left out.
    """
    if not lines:
        return
    pipeline = redis.client().pipeline(transaction=False)
    append(pipeline, lines)
    try:
        pipeline.execute()
    except redis.Unavailable:
        pass


def sent_within(latency_ms: int) -> str:
    """Return the event of a message that was sent, with the bucket of its latency: sent/42."""
    return f"{SENT}/{latency.bucket_of(latency_ms)}"


def count(pipeline: Any, now: datetime, events: Mapping[Counted, int]) -> None:
    """Count events in their second for the live figures and the rollups, in the caller's pipeline."""
    if events:
        name = redis.key("n", int(now.timestamp()))
        for (tenant_id, channel, event), number in events.items():
            pipeline.hincrby(name, f"{tenant_id}:{channel}:{event}", number)
        pipeline.expire(name, COUNTER_SECONDS)
