"""Look up when the certificates of providers' servers expire, before they do: an alarm can then be raised in time.

What if the process dies: what was known before stays until the next run. Two runs at once find the same.
"""

import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from jobs.registry import job
from messaging.channels import registry
from messaging.channels.base import TlsServer
from messaging.models import Provider
from messaging.providers import condition
from posthaste.lib import certificates, redis
from posthaste.lib.guard import OutboundError
from posthaste.lib.queues import NOTIFICATION

log = structlog.get_logger(__name__)
MAX_SERVERS = 500
THREADS = 4


@job(
    "messaging.look_at_certificates",
    title=_("Look at the certificates of providers"),
    purpose=_("Looks up when the certificates of the providers' servers expire, for the alarm that warns before they do."),
    every=timedelta(hours=6),
    timeout=timedelta(minutes=10),
    queue=NOTIFICATION,
)
def look_at_certificates(*, now: datetime) -> int:
    """Ask the server of each enabled provider and return how many told."""
    servers: dict[UUID, TlsServer] = {}
    for row in Provider.objects.filter(is_enabled=True).order_by("pk")[:MAX_SERVERS]:
        try:
            adapter = registry.make_adapter(row.kind, row.config)
        except (ValueError, KeyError, ImproperlyConfigured):
            continue  # the page of providers says so
        try:
            server = adapter.tls_server()
        finally:
            adapter.close()
        if server is not None:
            servers[row.pk] = server
    distinct = sorted({*servers.values()})
    with ThreadPoolExecutor(THREADS, thread_name_prefix="certificates") as pool:
        expire_at = dict(zip(distinct, pool.map(_ask, distinct), strict=True))
    found = {provider_id: at for provider_id, server in servers.items() if (at := expire_at[server])}
    try:
        condition.note_certificates(found)
    except redis.Unavailable:
        log.warning("certificates not noted: Redis is away")
    return len(found)


def _ask(server: TlsServer) -> datetime | None:
    try:
        return certificates.expires_at(server.host, server.port, starttls=server.starttls)
    except (OutboundError, ssl.SSLError, OSError, ValueError) as error:
        log.info("certificate not looked up", host=server.host, port=server.port, error=type(error).__name__)
        return None
