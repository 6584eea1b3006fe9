"""Alarms in every state, with notices, silences and a plot, and the addresses of their pages."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from monitor.alarms import operate, samples
from monitor.alarms.configuration import alarms
from monitor.alarms.states import AlarmState, Phase
from monitor.models import Alarm, AlarmNotice
from tests.browser.scene import Scene
from tests.builders import TESTER, configure
from tests.monitor.alarms.rules import receiver, rule


def alarm_pages(_scene: Scene | None = None) -> dict[str, str]:
    """Make them, and give the addresses of all pages by name."""
    now = timezone.now()
    configure(alarms, rules=[rule(clear_bound=50), rule("breaker-open")], receivers=[receiver(), receiver("chief", after_minutes=30)])
    for number, state in enumerate(AlarmState):
        phase = Phase(state.value) if state.value in Phase.values else Phase.FIRING
        made = Alarm.objects.create(
            rule="breaker-open", series=f"breaker=Gateway {number}", metric="open_breakers", group="breaker-open", severity="critical",
            phase=phase, state=state, since=now, started_at=now, fired_at=now, condition="> 0 (10 s)", value=1,
            resolved_at=now if phase == Phase.RESOLVED else None, acknowledged_by="user:ada" if state == AlarmState.ACKNOWLEDGED else "",
        )  # fmt: skip
    raised = now - timedelta(minutes=4)
    alarm = Alarm.objects.create(
        rule="backlog", metric="due_messages", group="backlog", severity="warning", phase=Phase.FIRING, state=AlarmState.FIRING,
        since=raised, started_at=raised, fired_at=raised, condition="> 100 (60 s)", value=140,
    )  # fmt: skip
    for step in range(40):
        samples.write({(alarm.rule, alarm.series): 20.0 + 3 * step + step % 5}, now=now - samples.EVERY * (40 - step))
    notices = [
        AlarmNotice.objects.create(
            receiver="ops", kind="email", recipient="o***@example.com", severity="critical", subject=f"[Warning] backlog: {state}",
            body="", state=state, way="straight", error="connection_refused: the server did not answer" if state == "failed" else "",
            created_at=now,
        )
        for state in ("failed", "sent")
    ]  # fmt: skip
    for number, notice in enumerate(notices):
        alarm.lines.create(notice=notice, receiver="ops", kind="repeat", number=number)
    window = {"rules": [], "starts_at": now, "ends_at": now + timedelta(hours=4), "comment": "New disks", "is_maintenance": True}
    operate.create_silence(**window, by=TESTER, now=now)  # type: ignore[arg-type]
    over = operate.create_silence(
        rules=["backlog"], starts_at=now, ends_at=now + timedelta(hours=1), comment="A known backlog", by=TESTER, now=now
    )
    operate.end_silence(silence=over, by=TESTER, now=now)
    return {
        "list of alarms": reverse("alarms"),
        "alarms that fire": reverse("alarms") + "?state=firing",
        "no such alarm": reverse("alarms") + "?q=nothing",
        "alarm": reverse("alarm", args=[alarm.pk]),
        "resolved alarm": reverse("alarm", args=[made.pk]),
        "silences": reverse("alarm-silences"),
        "receivers of alarms": reverse("alarm-receivers"),
    }
