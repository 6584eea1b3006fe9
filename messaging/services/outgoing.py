"""A claimed message made ready for a provider: its text rendered, everything a provider may need in one request."""

from dataclasses import dataclass, field
from uuid import UUID

from messaging.channels.base import ProviderError, SendRequest
from messaging.services import templates, unsubscribe
from messaging.services.store import Claimed


@dataclass(slots=True)
class Job:
    """One claimed message on its way to a provider."""

    row: Claimed
    request: SendRequest
    tried: set[UUID | None] = field(default_factory=set)
    error: ProviderError | None = None
    left: str = ""  # the provider that could not be reached


def request_for(row: Claimed) -> SendRequest:
    """This function will render a message with the version it pinned and give the request for its provider.

    Raises:
        posthaste.lib.liquid.TemplateProblem: the template can't be rendered with these variables.
    """
    if row.template_version_id:
        text = templates.wording(row.template_version_id).render(row.variables)
    else:
        text = templates.Rendered(row.subject, row.body)
    return SendRequest(
        id=row.id,
        channel=row.channel,
        recipient=row.recipient,
        subject=text.subject,
        body=text.body,
        html=text.html,
        attempt=row.attempts,
        reference=row.reference,
        metadata=row.metadata,
        tenant_id=row.tenant_id,
        unsubscribe_url=unsubscribe.url_for(row),
    )
