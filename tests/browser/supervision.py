"""The supervisor's page with people who wait, the reports of a week, one that is sent by e-mail, and a calendar."""

from django.urls import reverse
from django.utils import timezone

from routing.demo.history import load_history
from routing.desk.reports import schedules
from routing.models import ReportSchedule
from tests.browser.scene import Scene
from tests.builders import TESTER
from tests.routing.assignment.builders import make_agent, make_group, make_waiting
from tests.routing.builders import make_customer, make_entrance
from tests.routing.calendars.builders import make_calendar, make_day


def supervision_pages(scene: Scene) -> dict[str, str]:
    """Make a desk at work with a week behind it, and return the addresses of the pages by name."""
    tenant, now = scene.tenant, timezone.now()
    group, entrance = make_group(tenant, "billing", at=now, title="Billing"), make_entrance(tenant, name="Shop")
    agent = make_agent(tenant, group, at=now, name="Mei", load=1, capacity=1)
    make_waiting(tenant, group, at=now, customer=make_customer(tenant, name="王芳"), entrance=entrance)
    held = make_waiting(tenant, group, at=now, entrance=entrance, status="assigned", agent=agent, assigned_at=now)
    load_history(tenant=tenant, entrances=[entrance], now=now)
    made = ReportSchedule(tenant=tenant, report="agent", recipients=["lea@example.com"], time_zone="Asia/Shanghai", weekday=1)
    schedule = schedules.create_schedule(schedule=made, by=TESTER, now=now)
    calendar = make_calendar(tenant, at=now, name="workshop", title="Workshop", is_default=False)
    make_day(calendar, f"{now.year}-12-25", name="Christmas")
    supervisor, reports = (f"{reverse(name)}?tenant={tenant.pk}" for name in ("desk-supervisor", "desk-reports"))
    return {
        "supervisor": supervisor,
        "giving a conversation to another": f"{supervisor}&conversation={held.pk}",
        "presence of an agent": f"{supervisor}&agent={agent.pk}",
        "report by day": reports,
        "report by agent": f"{reports}&by=agent",
        "scheduled reports": f"{reverse('desk-report-schedules')}?tenant={tenant.pk}",
        "calendar": reverse("admin:routing_businesscalendar_change", args=[calendar.pk]),
        "import of days": reverse("admin:routing_businesscalendar_import_file", args=[calendar.pk]),
        "scheduled report": reverse("desk-report-schedule", args=[schedule.pk]),
    }
