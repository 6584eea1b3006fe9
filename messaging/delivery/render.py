"""A claimed message made ready for a provider: its text rendered, everything a provider may need in one request."""

from dataclasses import dataclass, field
from uuid import UUID

from django.utils.translation import gettext as _

from messaging.channels.base import ProviderError, SendRequest
from messaging.channels.channel import EMAIL
from messaging.content import templates
from messaging.storage.store import Claimed
from messaging.suppression import unsubscribe
from posthaste.lib import liquid


@dataclass(slots=True)
class RenderedMessage:
    """One claimed message on its way to a provider."""

    row: Claimed
    request: SendRequest
    tried: set[UUID | None] = field(default_factory=set)
    error: ProviderError | None = None
    left: str = ""  # the provider that could not be reached
    choice: str = ""  # why its provider was chosen, as a trace has it
    own_link: str = ""  # what makes its text differ from the same text for another message


def render_message(row: Claimed) -> RenderedMessage:
    """Render a message with the version it pinned and make the request for its provider.

    Raises:
        posthaste.lib.liquid.TemplateProblem: the template can't be rendered with these variables, or renders to nothing.
    """
    header_url, text_url = unsubscribe.header_url(row), None
    if row.template_version_id:
        wording = templates.wording(row.template_version_id)
        if wording.links_to_unsubscribe:
            text_url = header_url or unsubscribe.text_url(row)
        text = wording.render(row.variables, unsubscribe_url=text_url)
        if text.empty_part(needs_subject=row.channel == EMAIL):
            raise liquid.TemplateProblem(_("The template renders to nothing with these variables."))
    else:
        text = templates.Rendered(row.subject, row.body)
    request = SendRequest(
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
        unsubscribe_url=header_url,
    )
    return RenderedMessage(row, request, own_link=unsubscribe.token_in(text_url) if text_url else "")
