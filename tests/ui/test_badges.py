"""The looks of states: declared by the apps, the same wherever a state is shown."""

import re

import pytest
from django.db.models import TextChoices
from django.template import Context, Template

from accounts.labels import KeyState
from messaging.models import ReceiptOutcome, Status
from posthaste.env import ROOT
from posthaste.lib.breaker import Phase
from posthaste.ui import badges
from posthaste.ui.badges import Look
from posthaste.ui.templatetags.interface import badge, state_bar


def drawn(tag: str, **context: object) -> str:
    return Template("{% load interface %}" + tag).render(Context(context))


def test_a_badge_has_colour_icon_and_word() -> None:
    shown = badge(Status.FAILED)
    assert 'class="badge tone-failed"' in shown
    assert "#failed" in shown
    assert "Failed" in shown


def test_states_that_share_a_name_keep_their_own_look() -> None:
    assert "tone-expired" in badge(KeyState.EXPIRED)
    assert "tone-cancelled" in badge(Phase.CLOSED)
    assert "tone-delivered" in badge(ReceiptOutcome.APPLIED)
    assert drawn('{% badge "cancelled" "batch" %}') == badge(Status.CANCELLED)  # of two enumerations that look alike here


def test_a_template_names_the_enumeration_of_a_text() -> None:
    assert drawn('{% badge state "breaker" %}', state="open") == badge(Phase.OPEN)


def test_a_long_label_has_a_short_word_on_its_badge() -> None:
    assert str(ReceiptOutcome.LATE.label) not in badge(ReceiptOutcome.LATE)
    assert "Late" in badge(ReceiptOutcome.LATE)


def test_a_state_of_tomorrow_is_shown_by_its_code() -> None:
    assert "of-tomorrow" in badge("of-tomorrow", "message")


def test_a_text_without_its_enumeration_is_a_mistake() -> None:
    with pytest.raises(LookupError):
        badge("open")
    with pytest.raises(LookupError):
        badge("open", "nonsense")


def test_every_state_of_an_enumeration_needs_a_look() -> None:
    class Lamp(TextChoices):
        ON = "on"
        OFF = "off"

    with pytest.raises(ValueError, match="off"):
        badges.register("lamp", Lamp, {Lamp.ON: Look("sent", "sent")})
    with pytest.raises(ValueError, match="message"):
        badges.register("message", Lamp, {lamp: Look("sent", "sent") for lamp in Lamp})
    assert "lamp" not in badges.registered()


def test_every_look_has_a_colour_and_an_icon_that_there_are() -> None:
    tones = set(re.findall(r"\.tone-([\w-]+)", "".join(path.read_text() for path in (ROOT / "static/css").glob("*.css"))))
    icons = set(re.findall(r'symbol id="([\w-]+)"', (ROOT / "static/img/icons.svg").read_text()))
    looks = [badges.shown(state) for states in badges.registered().values() for state in states]
    assert looks
    assert {look.tone for look in looks} - tones == set()
    assert {look.icon for look in looks} - icons == set()


def test_a_bar_has_the_shares_of_the_states_in_the_order_of_charts_and_says_them() -> None:
    bar = state_bar({"failed": 1, "sent": 3}, "message")
    assert re.findall(r'fill-(\w+)" x="([\d.]+)%" y="0" width="([\d.]+)%', bar) == [("sent", "0.0", "75.0"), ("failed", "75.0", "25.0")]
    assert 'aria-label="Sent 3, Failed 1"' in bar


def test_what_has_not_begun_is_the_empty_part_of_a_bar() -> None:
    bar = state_bar({"pending": 3, "sent": 1}, "message")
    assert "fill-pending" not in bar
    assert re.findall(r'fill-(\w+)" x="[\d.]+%" y="0" width="([\d.]+)%', bar) == [("sent", "25.0"), ("track", "75.0")]
    assert 'aria-label="Sent 1, Pending 3"' in bar
