"""Which problems raise an alarm, and who is notified."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, setting
from monitor import figures
from monitor.alarms import built_in
from monitor.alarms.rules import RECEIVER, AlarmRule, Receiver
from posthaste.lib import http

hot.CHOICES["figure"] = lambda: sorted(((name, found.title) for name, found in figures.titled().items()), key=lambda pair: str(pair[1]))


class Alarms(Module):
    """What is watched, and who is told."""

    rules: list[AlarmRule] = setting(built_in.rules, _("Alarms"), "", max_length=100, is_unordered=True)
    receivers: list[Receiver] = setting(
        list,
        _("Receivers"),
        _("Who is notified. The messages are sent by the providers of the tenant below, at the highest priority."),
        max_length=50,
        is_unordered=True,
    )
    sent_by: str = setting(
        "",
        _("Sent by"),
        _("Short name of the tenant whose providers send the notices. Empty: the first tenant that operates the installation."),
        max_length=50,
    )
    group_wait_seconds: int = setting(
        5, _("Wait for a group"), _("How long a notice waits for other alarms of its group."), unit="s", ge=0, le=300
    )
    group_interval_seconds: int = setting(
        60, _("Between notices of a group"), _("When more alarms of the group arise."), unit="s", ge=0, le=3_600
    )
    straight_after_seconds: int = setting(
        10,
        _("Directly after"),
        _("A notice that has not left by then is sent directly to the provider, past queues and workers."),
        unit="s",
        ge=2,
        le=300,
    )
    quiet_start: str = setting(
        "",
        _("Quiet from"),
        _("Only critical alarms are sent during these hours, the others at their end if still active. UTC. Empty: no quiet hours."),
        pattern=hot.CLOCK_OR_EMPTY,
    )
    quiet_end: str = setting("", _("Quiet until"), "", pattern=hot.CLOCK_OR_EMPTY)
    heartbeat_url: str = setting(
        "",
        _("Heartbeat address"),
        _("An address outside that is called every minute while alarms are evaluated, and that notifies you when the calls stop."),
        max_length=2048,
    )
    keep_days: int = setting(90, _("Keep for"), _("Resolved alarms are deleted after this time."), unit=_("days"), ge=1, le=3_650)

    @property
    def rules_by_name(self) -> dict[str, AlarmRule]:
        """The enabled rules."""
        return {rule.name: rule for rule in self.rules if rule.is_enabled}

    @property
    def receivers_by_name(self) -> dict[str, Receiver]:
        """All receivers."""
        return {receiver.name: receiver for receiver in self.receivers}

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        hot.no_two("rules", (rule.name for rule in self.rules), _("There are two rules named {name}."))
        hot.no_two("receivers", (receiver.name for receiver in self.receivers), _("There are two receivers named {name}."))
        names, receivers = {rule.name for rule in self.rules}, {receiver.name for receiver in self.receivers}
        for index, rule in enumerate(self.rules):
            for place, line in enumerate(rule.receivers):
                found = RECEIVER.fullmatch(line.strip())
                if found is None or found["name"] not in receivers:
                    raise hot.Wrong(f"rules[{index}].receivers[{place}]", _("There is no receiver {name}."), name=line.strip()[:60])
            for place, name in enumerate(rule.inhibited_by):
                if name not in names:
                    raise hot.Wrong(f"rules[{index}].inhibited_by[{place}]", _("There is no rule {name}."), name=name[:60])
        if (circle := _circle({rule.name: rule.inhibited_by for rule in self.rules})) is not None:
            index = next(index for index, rule in enumerate(self.rules) if rule.name == circle[0])
            place = self.rules[index].inhibited_by.index(circle[1])
            words = _("These rules would silence each other: {names}.")
            raise hot.Wrong(f"rules[{index}].inhibited_by[{place}]", words, names=" → ".join(circle))
        if self.quiet_start and self.quiet_start == self.quiet_end:
            raise hot.Wrong("quiet_end", _("Must differ from the start."))
        if bool(self.quiet_start) != bool(self.quiet_end):
            missing = "quiet_end" if self.quiet_start else "quiet_start"
            raise hot.Wrong(missing, _("Set both times, or neither."))
        if self.heartbeat_url and not http.is_address(self.heartbeat_url):
            raise hot.Wrong("heartbeat_url", _("Must be an address that begins with https:// or http://."))
        return self


def _circle(inhibitors: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return rules of which each is inhibited by the next, the first again at the end; None if there are none."""
    try:
        TopologicalSorter(inhibitors).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))  # it names each before those that wait for it
    return None


alarms = hot.register(Alarms, name="alarms", title=_("Alarms"), purpose=_("Which problems raise an alarm, and who is notified."), order=9)
