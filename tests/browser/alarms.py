"""Alarms in every state, and the addresses of their pages."""

from django.urls import reverse
from django.utils import timezone

from monitor.alarms import operate, samples
from monitor.alarms.configuration import alarms
from monitor.alarms.states import AlarmState, Phase
from monitor.models import Alarm, AlarmNotice
from tests.browser.scene import Scene
from tests.builders import TESTER, configure
from tests.monitor.alarms.rules import receiver, rule


def alarm_pages(_scene: Scene) -> dict[str, str]:
    """Make alarms in every state, with notices, a silence and a plot, and return the addresses of their pages by name."""
    now = timezone.now()
    configure(alarms, rules=[rule(), rule("breaker-open")], receivers=[receiver(), receiver("chief", after_minutes=30)])
    for number, state in enumerate(AlarmState):
        phase = Phase(state.value) if state.value in Phase.values else Phase.FIRING
        made = Alarm.objects.create(
            rule="breaker-open", series=f"breaker=Gateway {number}", metric="open_breakers", group="breaker-open", severity="critical",
            phase=phase, state=state, since=now, started_at=now, fired_at=now, condition="> 0 (10 s)", value=1,
            resolved_at=now if phase == Phase.RESOLVED else None, acknowledged_by="user:ada" if state == AlarmState.ACKNOWLEDGED else "",
        )  # fmt: skip
    alarm = Alarm.objects.get(state=AlarmState.FIRING)
    for step in range(30):
        samples.write({(alarm.rule, alarm.series): float(step % 7)}, now=now - samples.EVERY * (30 - step))
    notice = AlarmNotice.objects.create(
        receiver="ops", kind="email", recipient="o***@example.com", severity="critical", subject="[Critical] breaker-open",
        body="", state="failed", way="straight", error="connection_refused", created_at=now,
    )  # fmt: skip
    alarm.lines.create(notice=notice, receiver="ops", kind="firing")
    operate.create_silence(
        rules=[], starts_at=now, ends_at=now + samples.EXPIRES, comment="New disks", is_maintenance=True, by=TESTER, now=now
    )
    return {
        "list of alarms": reverse("alarms"),
        "alarm": reverse("alarm", args=[alarm.pk]),
        "resolved alarm": reverse("alarm", args=[made.pk]),
        "silences": reverse("alarm-silences"),
        "receivers": reverse("alarm-receivers"),
    }
