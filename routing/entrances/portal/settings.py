"""The settings and secrets of a portal entrance: where its chat is shown, how its pages look, how much a visitor may write."""

import re
from typing import Literal, Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting

ORIGIN = re.compile(r"https?://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:[0-9]{1,5})?")
#: The address of the pages: /help/<slug>/. What looks like an id is none.
SLUG = re.compile(r"(?![0-9a-f]{8}-)[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")
Accent = Literal["indigo", "blue", "teal", "green", "red", "violet", "slate"]


class PortalSettings(Shape):
    """Where the chat is shown, how its pages look, and how much a visitor may write."""

    sites: list[str] = setting(
        list,
        _("Sites"),
        _("Origins of the pages that show the chat, such as https://www.example.com, one per line."),
        widget="lines",
        max_length=50,
    )
    must_sign: bool = setting(False, _("Signed visitors only"), _("Refuse visitors whose identity the site has not signed."))
    session_hours: int = setting(720, _("Session lasts"), _("After that the visitor begins anew."), unit="h", ge=1, le=8_784)
    lines_per_minute: int = setting(30, _("Lines per visitor"), _("More are refused."), unit="per min", ge=1, le=600)
    address_per_minute: int = setting(
        300, _("Lines per address"), _("From one IP address; many visitors may share it."), unit="per min", ge=1, le=100_000
    )
    sessions_per_minute: int = setting(
        30, _("Sessions per address"), _("New sessions from one IP address."), unit="per min", ge=1, le=10_000
    )
    max_file_mib: int = setting(10, _("Largest file"), "", unit="MiB", ge=1, le=20)
    slug: str = setting("", _("Short address"), _("The pages are at /help/ and this. Empty: the entrance's ID."), max_length=50)
    title: str = setting("", _("Title"), _("Of the pages. Empty: the tenant's name."), max_length=60)
    title_zh: str = setting("", _("Title in Chinese"), _("Empty: the title above."), max_length=60)
    greeting: str = setting("", _("Greeting"), _("The first sentence that a visitor reads."), max_length=300)
    greeting_zh: str = setting("", _("Greeting in Chinese"), _("Empty: the greeting above."), max_length=300)
    logo: str = setting("", _("Logo text"), _("One to three letters. Empty: the first letter of the title."), max_length=3)
    accent: Accent = setting("indigo", _("Accent color"), _("Of buttons and of the visitor's lines."))
    shows_chat: bool = setting(True, _("Chat"), _("Visitors can write in a chat."))
    shows_articles: bool = setting(True, _("Articles"), _("Visitors can search published FAQ entries."))
    shows_tickets: bool = setting(True, _("Requests"), _("Visitors can send the forms of public ticket types, and see their tickets."))
    asks_email: bool = setting(
        True, _("E-mail address out of hours"), _("Outside business hours the chat asks where an answer may be sent to.")
    )
    asks_rating: bool = setting(True, _("Ask for a rating"), _("The customer is asked for one when a conversation is resolved."))

    @model_validator(mode="after")
    def _sites_are_origins(self) -> Self:
        hot.each("sites", self.sites, ORIGIN.fullmatch, _("Must be an origin such as https://www.example.com, without a path."))
        return self

    @model_validator(mode="after")
    def _slug_is_an_address(self) -> Self:
        if self.slug and not SLUG.fullmatch(self.slug):
            raise hot.Wrong("slug", _("Small letters, digits and hyphens, such as shop-help."))
        return self


class PortalSecrets(Shape):
    """What the site signs its visitors' identities with."""

    signing_secret: str = setting(
        "", _("Signing secret"), _("The site's server signs with it who a visitor is. At least 32 characters."), max_length=200
    )

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        if self.signing_secret and len(self.signing_secret) < 32:
            raise hot.Wrong("signing_secret", _("At least 32 characters. Empty: no visitor is signed."))
        return self
