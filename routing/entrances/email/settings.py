"""What is set up for an e-mail entrance."""

from typing import Literal, Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting
from messaging.channels.recipients import normalise_recipient

DEFAULT_PORTS = {"tls": 993, "starttls": 143, "none": 143}


class EmailSettings(Shape):
    """An address, and the mailbox that its mail is fetched from."""

    address: str = setting("", _("Address"), _("Where customers write. Replies ask for answers to this address."), max_length=320)
    other_addresses: list[str] = setting(
        list,
        _("Other own addresses"),
        _("Addresses that the platform sends from, one per line. Mail from them is not taken in, so that nothing answers itself."),
        widget="lines",
        max_length=50,
    )
    trusts_reply_to: bool = setting(False, _("Answer to Reply-To"), _("For mail that a form on a site sends in the name of the customer."))
    bot_replies_per_hour: int = setting(
        10,
        _("Automatic replies"),
        _("Replies over the API to one customer. More are refused, as two systems may be answering each other."),
        unit=_("per hour"),
        ge=0,
        le=1_000,
    )
    imap_host: str = setting("", _("IMAP server"), _("Empty: mail is only posted, not fetched."), max_length=253)
    imap_port: int = setting(0, _("IMAP port"), _("0: 993 with tls, 143 otherwise."), ge=0, le=65535)
    imap_security: Literal["tls", "starttls", "none"] = setting("tls", _("Encryption"), "")
    imap_username: str = setting("", _("IMAP username"), "", max_length=320)
    imap_folder: str = setting("INBOX", _("Folder"), "", max_length=200)
    asks_rating: bool = setting(False, _("Ask for a rating"), _("The customer gets a link to rate with when a conversation is resolved."))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        hot.filled(self, "address")
        for name, values in (("address", [self.address]), ("other_addresses", self.other_addresses)):
            for value in values:
                try:
                    normalise_recipient("email", value)
                except ValueError as error:
                    raise hot.Wrong(name, "{reason}", reason=str(error)) from None
        if self.imap_host and not self.imap_username:
            raise hot.Wrong("imap_username", _("An IMAP server needs a username."))
        return self

    @property
    def port(self) -> int:
        """The port of the IMAP server."""
        return self.imap_port or DEFAULT_PORTS[self.imap_security]

    @property
    def own_addresses(self) -> frozenset[str]:
        """All addresses that are ours."""
        return frozenset(normalise_recipient("email", value).lower() for value in (self.address, *self.other_addresses))


class EmailSecrets(Shape):
    """The mailbox's password, and what a mail server posts with."""

    imap_password: str = setting("", _("IMAP password"), "", max_length=500)
    posting_secret: str = setting(
        "", _("Posting secret"), _("With it a mail server posts messages. At least 32 characters. Empty: none can."), max_length=200
    )

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        if self.posting_secret and len(self.posting_secret) < 32:
            raise hot.Wrong("posting_secret", _("At least 32 characters."))
        return self
