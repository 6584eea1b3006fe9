"""Which receivers the notices of alarms can't reach: what no check of the settings alone can know, as tenants and providers change."""

from django.utils.translation import gettext as _

from monitor.alarms import dispatch
from monitor.alarms.configuration import Alarms
from monitor.alarms.rules import ROBOTS, ReceiverKind
from posthaste import env


def problems(settings: Alarms) -> list[tuple[str, str]]:
    """Return what keeps notices from being sent, each with what to do."""
    found = []
    of = dispatch.sender(settings)
    if settings.sent_by and of is None:
        found.append(
            (
                _("Notices of alarms are to be sent by the tenant {name}, which does not exist or is inactive.").format(
                    name=settings.sent_by
                ),
                _("Correct “Sent by”, or leave it empty."),
            )
        )
    for receiver in settings.receivers:
        if not receiver.is_enabled or receiver.kind in (*ROBOTS, ReceiverKind.WEBHOOK):
            continue
        by_smtp = receiver.kind == ReceiverKind.EMAIL and env.load().alarm_smtp_url.get_secret_value()
        if not by_smtp and (of is None or not dispatch.is_served(of, receiver.kind.channel)):
            found.append(
                (
                    _("Notices of alarms can't reach the receiver {name}.").format(name=receiver.name),
                    _("Add a provider of the kind {kind} to the tenant that sends them.").format(kind=receiver.kind.label),
                )
            )
    return found
