"""Files of replies that leave by a channel which carries text only: under the text stands a safe link to each of them."""

from datetime import UTC, datetime

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from routing.links import making
from routing.models import Conversation, Line, LinkPurpose


def with_links(conversation: Conversation, line: Line, *, by: Actor, now: datetime) -> str:
    """Return the text of a line with a link to each of its files, in the customer's language; the links join the transaction."""
    made = [
        (
            file,
            making.make(
                LinkPurpose.ATTACHMENT,
                tenant_id=conversation.tenant_id,
                data={"attachment": str(file["pk"])},
                customer_id=conversation.customer_id,
                by=by,
                now=now,
            ),
        )
        for file in line.attachments.order_by("pk").values("pk", "name", "size")
    ]
    if not made:
        return line.text
    with translation.override(_language_of(conversation)):
        until = date_format(made[0][1].row.expires_at.astimezone(UTC), "DATETIME_FORMAT")
        listed = [
            _("{name} ({size}): {link}").format(name=file["name"], size=filesizeformat(file["size"]), link=link.url) for file, link in made
        ]
        parts = [_("Files:"), *listed, _("The links work until {date} (UTC).").format(date=until)]
    return "\n\n".join(part for part in (line.text, "\n".join(parts)) if part)


def _language_of(conversation: Conversation) -> str:
    """Return the language of this platform that is next to what the customer writes."""
    try:
        return translation.get_supported_language_variant(conversation.language)
    except LookupError:
        return settings.LANGUAGE_CODE
