"""The kind of entrance `email`: its settings, and its adapter for messages that a mail server posts.

A post is a whole message (RFC 5322). It is authentic with the posting secret as `Authorization: Bearer …`, as `Basic` with any name, or
with a signature of Standard Webhooks made with it. Mail that is fetched from a mailbox comes through `watch`.
"""

import base64
import binascii
import hmac

from django.utils.translation import gettext, gettext_lazy

from messaging.channels.base import CannotCompose
from posthaste.lib.problems import Invalid
from routing.contract import Answer, EntranceRow, InboundRequest, NotAuthentic, Parsed, Reply
from routing.entrances import signatures
from routing.entrances.email import automatic, bot_replies, mime, threads
from routing.entrances.email.settings import EmailSecrets, EmailSettings
from routing.entrances.registry import Kind, ProbeFailed, declare
from routing.models import EntranceKind

#: Registered by its module, which has to be imported for it.
HOOKS = (bot_replies.keep,)


class EmailAdapter:
    """Takes messages that are posted. Replies leave by the channel `email`."""

    def verify(self, entrance: EntranceRow, request: InboundRequest) -> None:
        secret = str(entrance.secrets.get("posting_secret", ""))
        if request.method != "POST" or not secret:
            raise NotAuthentic(gettext_lazy("This entrance takes no posts. Set a posting secret."))
        if request.headers.get("webhook-signature"):
            signatures.verify(request, secrets=[secret])
        elif not hmac.compare_digest(_presented(request.headers.get("authorization", "")).encode(), secret.encode()):
            raise NotAuthentic(gettext_lazy("Send the posting secret as 'Authorization: Bearer …', or sign the request with it."))

    def parse(self, entrance: EntranceRow, request: InboundRequest) -> Parsed:
        if len(request.body) > mime.MAX_BYTES:
            raise Invalid.field("", str(gettext_lazy("A message has at most 25 MiB.")), "too_large")
        settings = EmailSettings.model_validate(dict(entrance.settings))
        try:
            incoming = mime.read(
                request.body,
                own_addresses=settings.own_addresses,
                received_at=request.received_at,
                trusts_reply_to=settings.trusts_reply_to,
            )
        except mime.NotAMessage:
            said = str(gettext_lazy("The body is no e-mail message: it needs a header From with an e-mail address."))
            raise Invalid.field("From", said, "required") from None
        return Parsed(incoming=[incoming], answer=Answer(status=202))

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        raise CannotCompose("wrong_channel", "Replies of this entrance leave by the channel email.")


def _presented(header: str) -> str:
    """Return the secret in an Authorization header, empty if there is none."""
    scheme, _blank, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


def probe(entrance: EntranceRow) -> str:
    """Open the mailbox, and say how many messages it has had."""
    from routing.entrances.email import mailbox  # its library is needed by workers, and here

    settings = EmailSettings.model_validate(dict(entrance.settings))
    if not settings.imap_host:
        return gettext("There is nothing to connect to: mail is posted to this entrance.")
    try:
        with mailbox.Connection(settings, str(entrance.secrets.get("imap_password", ""))) as opened:
            _validity, next_uid = opened.state()
    except mailbox.ERRORS as error:
        raise ProbeFailed(mailbox.described(error)) from None
    return gettext("The mailbox can be read. The next message gets number {n}.").format(n=next_uid)


declare(
    Kind(
        code=EntranceKind.EMAIL,
        title=gettext_lazy("E-mail"),
        adapter=EmailAdapter(),
        Settings=EmailSettings,
        Secrets=EmailSecrets,
        carrier=threads.carry,
        sends_files=False,
        place=threads.placed,
        probe=probe,
        handlers={mime.AUTOMATIC: automatic.take_in},
    )
)
