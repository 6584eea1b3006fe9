"""Quiet hours and send windows, by the recipient's clock."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from messaging.configuration.delivery import DeliveryRules, Hours, Outside
from posthaste.lib import zones

MAX_STEPS = 40  # from one end of a rule to the next; more means that they leave no gap
TOMORROW = timedelta(days=1)
DAYS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Block:
    """A rule that says "not now". `until` is when all rules let the message go; None: it is dropped."""

    code: str  # rule:quiet:<name> or rule:window:<name>
    until: datetime | None


def zone_of(*, channel: str, recipient: str, named: str, default: str) -> ZoneInfo:
    """Return a recipient's time zone: the one that came with the message, else the phone number's, else the default."""
    own = zones.zone(named)
    if own is None and channel == "sms":
        own = zones.zone(zones.of_phone(recipient, default))
    return own or zones.zone(default) or ZoneInfo("UTC")


def block(rules: DeliveryRules, *, category: str, channel: str, zone: ZoneInfo, now: datetime) -> Block | None:
    """Return the rule that keeps a message from going out now, if there is one."""
    schedule = Schedule(rules, category=category, channel=channel, zone=zone)
    first = schedule.closed(now)
    if first is None:
        return None
    rule, code, until = first
    if rule.outside == Outside.DROP:
        return Block(code, None)
    for _step in range(MAX_STEPS):
        after = schedule.closed(until)
        if after is None:
            return Block(code, until + schedule.spread(until, minutes=rules.jitter_minutes))
        until = max(after[2], until + timedelta(minutes=1))  # where clocks are put back, an end may lie before now
    return Block(code, now + TOMORROW)  # the rules leave no gap; perhaps they will tomorrow


class Schedule:
    """The rules that concern one kind of message in one zone."""

    def __init__(self, rules: DeliveryRules, *, category: str, channel: str, zone: ZoneInfo) -> None:
        self.zone = zone
        self.quiet = [rule for rule in rules.quiet_hours if _concerns(rule, category, channel)]
        self.windows = [rule for rule in rules.send_windows if _concerns(rule, category, channel)]

    def closed(self, at: datetime) -> tuple[Hours, str, datetime] | None:
        """Return the rule that is against this moment, its code and when it changes its mind."""
        local = at.astimezone(self.zone)
        for rule in self.quiet:
            if (end := _end_of(rule, local)) is not None:
                return rule, f"rule:quiet:{rule.name}", end
        if not self.windows or any(_end_of(rule, local) for rule in self.windows):
            return None
        opening, rule = min(((_next_start(rule, local), rule) for rule in self.windows), key=lambda pair: pair[0])
        return rule, f"rule:window:{rule.name}", opening

    def spread(self, at: datetime, *, minutes: int, draw: Callable[[], float] = random.random) -> timedelta:
        """Return a random pause so that not all goes out in one moment; never into hours that are closed."""
        pause = timedelta(minutes=minutes) * draw()
        while pause > timedelta(seconds=1) and self.closed(at + pause) is not None:
            pause /= 2
        return pause if self.closed(at + pause) is None else timedelta()


def _concerns(rule: Hours, category: str, channel: str) -> bool:
    return rule.is_enabled and rule.category in ("", category) and (not rule.channels or channel in rule.channels)


def _clock(text: str) -> time:
    return time(int(text[:2]), int(text[3:]))


def _end_of(rule: Hours, local: datetime) -> datetime | None:
    """Return when the span that contains `local` ends, in UTC; a span that began yesterday counts for yesterday's weekday."""
    start, end = _clock(rule.start), _clock(rule.end)
    for back in (0, 1):
        day = local.date() - timedelta(days=back)
        if day.isoweekday() not in rule.days:
            continue
        begins = datetime.combine(day, start, local.tzinfo)
        ends = datetime.combine(day if end > start else day + timedelta(days=1), end, local.tzinfo)
        if begins <= local < ends:  # of one zone: compared as a clock on the wall shows them
            return ends.replace(fold=local.fold).astimezone(UTC)
    return None


def _next_start(rule: Hours, local: datetime) -> datetime:
    """When the span begins next, in UTC."""
    for ahead in range(DAYS_AHEAD):
        begins = datetime.combine(local.date() + timedelta(days=ahead), _clock(rule.start), local.tzinfo)
        if begins.isoweekday() in rule.days and begins > local:
            return begins.astimezone(UTC)
    return local.astimezone(UTC) + TOMORROW  # a rule without days never opens
