"""How the pages of a portal entrance look: title, greeting, language, shown parts."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.utils.translation import get_language

from accounts.selectors import tenant_by_id
from posthaste import env
from routing.entrances.portal.sessions import settings_of
from routing.entrances.portal.settings import PortalSettings
from routing.models import Entrance

CHINESE = "zh-hans"


@dataclass(frozen=True, slots=True)
class Portal:
    """A portal entrance as a reader sees it."""

    entrance: Entrance
    settings: PortalSettings
    tenant_name: str
    #: What stands in its address: the short one, or the id.
    key: str
    language: str
    #: The reader's own choice, which every link carries on; empty: as the browser says.
    chosen: str = ""
    #: Shown by the widget, in a frame.
    embedded: bool = False

    @property
    def title(self) -> str:
        """What the pages are called."""
        own = self.settings.title_zh if self.language == CHINESE else ""
        return own or self.settings.title or self.tenant_name

    @property
    def greeting(self) -> str:
        """The first sentence; empty: none was set."""
        own = self.settings.greeting_zh if self.language == CHINESE else ""
        return own or self.settings.greeting

    @property
    def logo(self) -> str:
        """One to three letters that stand for the title."""
        return self.settings.logo or self.title[:1].upper()

    @property
    def carried(self) -> dict[str, str]:
        """The parameters that every link carries on."""
        found = {"lang": self.chosen} if self.chosen else {}
        return found | ({"embedded": "1"} if self.embedded else {})

    def context(self) -> dict[str, Any]:
        """Return what every page of the portal needs."""
        process = env.load()
        others = [(code, urlencode(self.carried | {"lang": code})) for code, _name in django_settings.LANGUAGES if code != self.language]
        return {
            "portal": self,
            "carry": f"?{urlencode(self.carried)}" if self.carried else "",
            "other_languages": others,
            "ws_port": "" if process.trusted_proxies else process.ws_port,
        }


def language_of(request: HttpRequest) -> tuple[str, str]:
    """Return the language of a page, and the one that its address chooses; cookies get lost in a frame."""
    asked = request.GET.get("lang", "")
    known = {code for code, _name in django_settings.LANGUAGES}
    chosen = asked if asked in known else CHINESE if asked.startswith("zh") else ""
    return chosen or get_language() or django_settings.LANGUAGE_CODE, chosen


def portal_of(request: HttpRequest, entrance: Entrance) -> Portal:
    """Return an entrance as the reader of a request sees it."""
    found, tenant = settings_of(entrance), tenant_by_id(entrance.tenant_id)
    language, chosen = language_of(request)
    return Portal(
        entrance=entrance,
        settings=found,
        tenant_name=tenant.name if tenant else "",
        key=found.slug or str(entrance.pk),
        language=language,
        chosen=chosen,
        embedded=request.GET.get("embedded") == "1",
    )
