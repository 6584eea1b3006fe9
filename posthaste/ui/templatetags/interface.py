"""What every page shares: badges of states, icons, times, numbers, bars. The states themselves are declared by the apps.

Usable in templates (`{% load interface %}`) and in Python, so that a list column and a page show the same thing.
Widths are attributes of SVG, never styles: the Content-Security-Policy allows no inline style.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django import template
from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from posthaste.lib.masking import mask_recipient
from posthaste.ui import badges

register = template.Library()

NOTHING = "–"


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return an icon; it says nothing to a screen reader, so a word must stand beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>', static("img/icons.svg"), name
    )


@register.simple_tag
def badge(state: str, of: str = "", label: str = "") -> SafeString:
    """Return a state's badge: colour, icon and word. `of` names its enumeration, `label` is shown instead of its own word."""
    look = badges.shown(state, of)
    return format_html('<span class="badge tone-{}">{}{}</span>', look.tone, icon(look.icon), label or look.label)


@register.simple_tag
def ago(moment: datetime | None) -> SafeString:
    """Return a time that the page turns into a relative one in the reader's zone, exact on hover."""
    if moment is None:
        return SafeString(NOTHING)
    local = timezone.localtime(moment)
    text = f"{formats.date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M} {local.tzname()}"
    return format_html(
        '<time class="ago" datetime="{}" title="{}">{}</time>', local.isoformat(), f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}", text
    )


@register.simple_tag
def moment(value: datetime | None) -> SafeString:
    """Return an exact time, shown in the reader's zone."""
    if value is None:
        return SafeString(NOTHING)
    local = timezone.localtime(value)
    return format_html('<time class="exact" datetime="{}">{}</time>', local.isoformat(), f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}")


@register.simple_tag
def clock(value: datetime) -> SafeString:
    """Return the time of day, for a page that is refreshed all the time; the date is on hover."""
    local = timezone.localtime(value)
    return format_html(
        '<time class="clock" datetime="{}" title="{}">{}</time>',
        local.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}",
        f"{local:%H:%M:%S}",
    )


@register.filter
def thousands(value: Any) -> str:
    """Return a number with separated thousands, or a dash."""
    return NOTHING if value is None else formats.number_format(value, use_l10n=True, force_grouping=True)


@register.filter
def milliseconds(value: Any) -> str:
    """Return a duration: 850 ms, 1.05 s, 3 min 20 s."""
    if value is None:
        return NOTHING
    if value < 1_000:
        return f"{value} {_('ms')}"
    if value < 60_000:
        return f"{value / 1000:.2f} {_('s')}"
    minutes, seconds = divmod(round(value / 1000), 60)
    if minutes < 60:
        return f"{minutes} {_('min')} {seconds} {_('s')}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} {_('h')} {minutes} {_('min')}"


@register.filter
def short_id(value: UUID | str) -> str:
    """Return the part of an id that tells neighbours apart: a UUIDv7 begins with the time and ends at random."""
    text = value.hex if isinstance(value, UUID) else str(value)
    return f"{text[:8]}…{text[-6:]}"


@register.filter
def language_name(code: object) -> str:
    """Return a language with its code, such as "Chinese (zh)"; a code that stands for none that is known stays as it is."""
    known = str(code or "").lower()
    try:
        name = get_language_info(known)["name_translated"]
    except KeyError:
        name = _("Chinese") if known.partition("-")[0] == "zh" else ""  # Django knows it by script and country only
    return _("{language} ({code})").format(language=name, code=code) if name else str(code or "")


@register.filter
def masked(recipient: str, channel: str) -> str:
    """Return a recipient fit to be shown."""
    return mask_recipient(channel, recipient)


def two_lines(first: Any, second: Any) -> SafeString:
    """Return a list's cell of two lines, the second one softer; both are cut off where they are too long."""
    return format_html('<span class="first">{}</span><span class="second soft">{}</span>', first, second)


@register.simple_tag
def percent(value: float | None) -> str:
    """Return a percentage, or a dash."""
    return NOTHING if value is None else f"{formats.number_format(value, use_l10n=True)} %"


def segments(counts: Mapping[str, int], of: str) -> list[dict[str, Any]]:
    """Lay counts by state side by side: each with start and width in per cent of their sum."""
    total = sum(counts.values())
    found, start = [], 0.0
    # What has not begun comes last: a bar fills up from its start.
    for state in sorted(badges.in_order(of), key=lambda state: badges.shown(state, of).tone == "pending"):
        if number := counts.get(state, 0):
            width = 100.0 * number / total
            found.append({"look": badges.shown(state, of), "number": number, "start": round(start, 3), "width": round(width, 3)})
            start += width
    return found


@register.simple_tag
def state_bar(counts: Mapping[str, int], of: str) -> SafeString:
    """Return a bar of the states' shares, with its figures as text for those who can't see it."""
    parts = segments(counts, of)
    label = ", ".join(f"{part['look'].label} {thousands(part['number'])}" for part in parts) or _("Empty")
    bars = format_html_join(
        "",
        '<rect class="fill-{}" x="{}%" y="0" width="{}%" height="100%"><title>{}</title></rect>',
        (
            # What has not begun is the empty track, so that a bar fills up as the work goes on.
            (
                "track" if p["look"].tone == "pending" else p["look"].tone,
                p["start"],
                p["width"],
                f"{p['look'].label}: {thousands(p['number'])}",
            )
            for p in parts
        ),
    )
    return format_html('<svg class="bar" role="img" aria-label="{}">{}</svg>', label, bars)


@register.simple_tag
def share_bar(value: float | None, tone: str = "accent") -> SafeString:
    """Return a bar filled to a percentage."""
    width = max(0.0, min(100.0, float(value or 0)))
    return format_html(
        '<svg class="bar" aria-hidden="true"><rect class="fill-{}" width="{}%" height="100%"></rect></svg>', tone, round(width, 1)
    )


def facts(values: Mapping[str, Any]) -> SafeString:
    """Return plain values as a list of facts, each under its name; values inside values are lists inside the list."""

    def shown(value: Any) -> Any:
        if isinstance(value, Mapping):
            return facts(value) if value else NOTHING
        if isinstance(value, list):
            return format_html_join(SafeString("<br>"), "{}", ((shown(each),) for each in value)) if value else NOTHING
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        return NOTHING if value in (None, "") else value

    rows = ((_(name.replace("_", " ").capitalize()), shown(value)) for name, value in values.items())
    return format_html('<dl class="facts">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))


@register.filter
def meaning(thing: object) -> SafeString:
    """Return what a class says about itself, in the reader's language; what stands in backticks is code."""
    said = " ".join((thing.__doc__ or "").split())
    return with_code(_(said) if said else "")


@register.filter
def with_code(text: object) -> SafeString:
    """Return a text in which what stands in backticks is code."""
    parts = enumerate(str(text or "").split("`"))
    return format_html_join("", "{}", ((format_html("<code>{}</code>", part) if place % 2 else part,) for place, part in parts))
