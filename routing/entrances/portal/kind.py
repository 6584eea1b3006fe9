"""The kind of entrance `portal`: its settings, and its adapter, which has nothing to hand over: sockets read lines from the database."""

import re
from typing import Self

from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting
from routing.contract import EntranceRow, InboundRequest, NotAuthentic, Parsed, Reply
from routing.entrances.registry import Kind, declare
from routing.models import AttributeSource, EntranceKind

ORIGIN = re.compile(r"https?://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:[0-9]{1,5})?")


class PortalSettings(Shape):
    """Where the chat is shown, and how much a visitor may write."""

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

    @model_validator(mode="after")
    def _sites_are_origins(self) -> Self:
        hot.each("sites", self.sites, ORIGIN.fullmatch, _("Must be an origin such as https://www.example.com, without a path."))
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


class PortalAdapter:
    """A reply has arrived as soon as its line is stored: the visitor's socket reads it. Visitors' lines come in no callback."""

    def verify(self, entrance: EntranceRow, request: InboundRequest) -> None:
        raise NotAuthentic

    def parse(self, entrance: EntranceRow, request: InboundRequest) -> Parsed:
        raise NotAuthentic

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        return f"portal-{reply.message_id}"


declare(
    Kind(
        code=EntranceKind.PORTAL,
        title=gettext_lazy("Portal chat"),
        adapter=PortalAdapter(),
        Settings=PortalSettings,
        Secrets=PortalSecrets,
        source=AttributeSource.PORTAL,
    )
)
