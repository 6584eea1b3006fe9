"""What a notice says, in the language of the installation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings as django_settings
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from monitor.alarms import runbook, sentences, titles
from monitor.alarms.notices import Due, Line
from monitor.alarms.rules import AlarmRule, Comparison, Severity, number, title_of
from monitor.alarms.states import Episode, NoticeKind, is_met
from posthaste import env

MAX_SUBJECT = 200
MAX_LISTED = 20  # alarms that a notice describes; the others are counted
HEADS = {
    NoticeKind.RESOLVED: "resolved",
    NoticeKind.NO_DATA: "no_data",
    NoticeKind.REPEAT: "repeat",
    NoticeKind.FIRING: "firing",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A notice in words, and as data for programs."""

    subject: str
    body: str
    data: dict[str, Any]


def of_notice(due: Due, rules: Mapping[str, AlarmRule]) -> Text:
    """Write a notice about the alarms of a group."""
    with translation.override(django_settings.LANGUAGE_CODE):
        kind = _kind(due)
        names = ", ".join(dict.fromkeys(name_of(episode) for _line, episode in due.lines))
        head = f"[{_head(kind, due.severity)}]"
        if len(due.lines) == 1:
            line, episode = due.lines[0]
            rule = rules.get(episode.rule)
            subject = f"{head} {name_of(episode)}: {_said(line.kind, episode, rule)}"
        else:
            counted = ngettext("{n} alarm", "{n} alarms", len(due.lines)).format(n=len(due.lines))
            subject = f"{head} {counted}: {names}"
        body = "\n\n".join(_paragraph(line, episode, rules.get(episode.rule)) for line, episode in due.lines[:MAX_LISTED])
        if len(due.lines) > MAX_LISTED:
            body += "\n\n" + _("And {n} more.").format(n=len(due.lines) - MAX_LISTED)
        data = {
            "status": HEADS[kind],
            "group": due.group,
            "severity": due.severity.value,
            "alarms": [_as_data(line, episode, rules.get(episode.rule)) for line, episode in due.lines[:MAX_LISTED]],
        }
    return Text(_one_line(subject), f"{body}\n\n{list_url()}\n", data)


def of_test() -> Text:
    """Write a test notice."""
    with translation.override(django_settings.LANGUAGE_CODE):
        subject = _("Test notice of the alarms")
        body = _("This is a test: notices of alarms reach you.")
    return Text(subject, f"{body}\n\n{list_url()}\n", {"status": "test", "severity": Severity.INFO.value, "alarms": []})


def of_window(event: str, *, starts_at: datetime, ends_at: datetime, comment: str, rules: Sequence[str], active: int) -> Text:
    """Write that a maintenance window for some rules, or all, is announced, begins or has ended; `active` alarms remain at its end."""
    with translation.override(django_settings.LANGUAGE_CODE):
        start, end = moment(starts_at), moment(ends_at)
        match event:
            case "announced":
                subject = _("Maintenance from {start} to {end}").format(start=start, end=end)
            case "started":
                subject = _("Maintenance has begun, until {end}").format(end=end)
            case _:
                subject = _("Maintenance has ended")
        about = ", ".join(map(titles.of_rule, rules)) or _("all alarms")
        parts = [_("No notices are sent for: {alarms}").format(alarms=about)] if event != "ended" else []
        if event == "ended":
            parts.append(ngettext("{n} alarm is active.", "{n} alarms are active.", active).format(n=active))
        body = "\n".join(filter(None, [subject + ".", comment, *parts]))
    data = {"status": f"maintenance_{event}", "severity": Severity.INFO.value, "alarms": [], "ends_at": ends_at.isoformat()}
    return Text(_one_line(subject), f"{body}\n\n{list_url()}\n", data)


def list_url() -> str:
    """Return the address of the list of alarms."""
    return f"{env.load().public_url.rstrip('/')}/alarms/"


def name_of(episode: Episode) -> str:
    """Name an alarm: its rule, and which of the metric's series it is about."""
    title = titles.of_rule(episode.rule)
    return f"{title} ({episode.series})" if episode.series else title


def moment(value: datetime) -> str:
    """Write a time so that a reader in any zone understands it."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_SUBJECT]


def _kind(due: Due) -> NoticeKind:
    kinds = {line.kind for line, _episode in due.lines}
    return next(kind for kind in (NoticeKind.FIRING, NoticeKind.NO_DATA, NoticeKind.REPEAT, NoticeKind.RESOLVED) if kind in kinds)


def _head(kind: NoticeKind, severity: Severity) -> str:
    return str(kind.label if kind == NoticeKind.RESOLVED else severity.label)


def _said(kind: NoticeKind, episode: Episode, rule: AlarmRule | None) -> str:
    if rule is None:
        return str(kind.label)
    title = title_of(rule.metric) + (f" ({', '.join(rule.only)})" if rule.only else "")
    if kind == NoticeKind.NO_DATA:
        return _("no data of {metric}").format(metric=title)
    value = "–" if episode.value is None else number(episode.value)
    if kind == NoticeKind.RESOLVED:
        return _("{metric} is back at {value}").format(metric=title, value=value)
    words = {"metric": title, "value": value, "comparison": Comparison(rule.comparison).label, "bound": number(rule.bound)}
    if episode.value is not None and not is_met(rule, episode.value):  # it has got better since it fired
        return _("{metric} was {comparison} {bound}, and is {value} now").format(**words)
    return sentences.sentence(rule, episode.series, episode.value)


def _paragraph(line: Line, episode: Episode, rule: AlarmRule | None) -> str:
    since = episode.fired_at or episode.started_at
    lines = [f"{name_of(episode)}: {_said(line.kind, episode, rule)}", _("Since {time}.").format(time=moment(since))]
    if line.kind == NoticeKind.RESOLVED and episode.resolved_at:
        lines.append(_("Resolved {time}.").format(time=moment(episode.resolved_at)))
    if episode.acknowledged_by:
        lines.append(_("Acknowledged by {name}.").format(name=episode.acknowledged_by))
    if guide := runbook.url(episode.rule):
        lines.append(_("What to do: {url}").format(url=guide))
    lines.append(f"{list_url()}{episode.id}/")
    return "\n".join(lines)


def _as_data(line: Line, episode: Episode, rule: AlarmRule | None) -> dict[str, Any]:
    return {
        "id": str(episode.id),
        "rule": episode.rule,
        "series": episode.series,
        "status": HEADS[line.kind],
        "metric": rule.metric if rule else "",
        "value": episode.value,
        "bound": rule.bound if rule else None,
        "since": (episode.fired_at or episode.started_at).isoformat(),
        "resolved_at": episode.resolved_at.isoformat() if episode.resolved_at else None,
        "url": f"{list_url()}{episode.id}/",
        "runbook": runbook.url(episode.rule),
    }
