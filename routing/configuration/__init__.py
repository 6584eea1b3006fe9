"""How conversations find an agent, how quickly they are answered, and how links behave."""

import re
from datetime import date
from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, setting
from posthaste.lib import caching, zones
from posthaste.lib.caching import PageClass
from posthaste.lib.dates import is_day_in_range
from routing.configuration.assignment_rules import Assignment
from routing.configuration.attribute_rules import Customers
from routing.configuration.bot import Bot
from routing.configuration.hours import OpenHours, check_overlaps
from routing.configuration.targets import Target

#: A name in DNS of several parts, or `*.` before one; no scheme, port or path.
HOST = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)


class ServiceLevels(Module):
    """Clocks of the service desk; they stand still outside business hours. A default business calendar stands before these hours."""

    time_zone: str = setting("UTC", _("Time zone"), _("Time zone of the business hours."), max_length=64)
    hours: list[OpenHours] = setting(lambda: [OpenHours(day=day) for day in range(1, 6)], _("Business hours"), "", max_length=50)
    holidays: list[str] = setting(list, _("Holidays"), _("Dates such as 2026-12-25, one per line."), widget="lines", max_length=400)
    targets: list[Target] = setting(
        lambda: [
            Target(priority="urgent", first_response_minutes=15, next_response_minutes=60, resolution_minutes=240),
            Target(priority="high", first_response_minutes=30, next_response_minutes=120, resolution_minutes=480),
            Target(),
            Target(priority="low", first_response_minutes=240, next_response_minutes=480, resolution_minutes=2880),
        ],
        _("Targets"),
        _("The most specific one counts: by type, then by customer level."),
        is_unordered=True,
        max_length=200,
    )
    warn_percent: int = setting(80, _("Warn at"), _("Share of the time used."), unit="%", ge=1, le=99)
    reopen_days: int = setting(7, _("Reopens within"), _("A reply to a resolved ticket reopens it."), unit=_("days"), ge=0, le=365)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if zones.zone(self.time_zone) is None:
            raise hot.Wrong("time_zone", _("There is no time zone with this name. Use one such as Europe/Paris."))
        hot.each("holidays", self.holidays, _is_date, _("Must be a date such as 2026-12-25."))
        hot.no_two("targets", (target.conditions() for target in self.targets), _("There are two targets for {name}."))
        check_overlaps(self.hours)
        return self


def _is_date(text: str) -> bool:
    try:
        found = date.fromisoformat(text)
        return found.isoformat() == text and is_day_in_range(found)
    except ValueError:
        return False


class LinksAndCache(Module):
    """Links that are sent to customers, and how long pages are remembered."""

    link_hours: float = setting(72.0, _("Link works for"), "", unit="h", ge=0.1, le=8_784)
    link_uses: int = setting(0, _("Uses"), _("How often a link can be opened. 0: no limit."), ge=0, le=1000)
    code_length: int = setting(8, _("Length of the code"), _("Characters of a short link."), ge=6, le=32)
    allowed_hosts: list[str] = setting(
        list, _("Hosts"), _("Hosts that links may lead to, one per line. Empty: any public host."), widget="lines", max_length=200
    )
    warn_before_leaving: bool = setting(True, _("Warn"), _("An intermediate page shows where the link leads."))
    portal_cache_seconds: int = setting(
        60, _("Portal page cache"), _("How long a page is reused before it is built again. 0: not cached."), unit="s", ge=0, le=86_400
    )
    customer_cache_seconds: int = setting(
        30,
        _("Customer cache"),
        _("How long a customer's data is reused before it is read again. 0: not cached."),
        unit="s",
        ge=0,
        le=86_400,
    )
    click_days: int = setting(
        90, _("Clicks are kept"), _("Links are removed this long after they expired, with their clicks."), unit=_("days"), ge=1, le=3650
    )

    @model_validator(mode="after")
    def _hosts_are_hosts(self) -> Self:
        hot.each(
            "allowed_hosts", self.allowed_hosts, HOST.fullmatch, _("Must be a host such as www.example.com, without https:// and path.")
        )
        return self


assignment = hot.register(
    Assignment,
    name="assignment",
    title=_("Assignment"),
    purpose=_("How a conversation finds its agent: intent, skills, load and capacity."),
    order=10,
    per_tenant=tuple(Assignment.model_fields),
)
service_levels = hot.register(
    ServiceLevels,
    name="service_levels",
    title=_("Service levels"),
    purpose=_("Business hours, and how quickly tickets are answered and resolved."),
    order=11,
    per_tenant=tuple(ServiceLevels.model_fields),
)
links_and_cache = hot.register(
    LinksAndCache,
    name="links_and_cache",
    title=_("Links and cache"),
    purpose=_("How long links work, where they may lead, and how long pages are cached."),
    order=12,
    per_tenant=("link_hours", "link_uses", "allowed_hosts", "warn_before_leaving"),
)
caching.lasts(PageClass.PUBLIC, lambda: links_and_cache.value.portal_cache_seconds)
caching.lasts(PageClass.PRIVATE, lambda: links_and_cache.value.customer_cache_seconds)
customers = hot.register(
    Customers,
    name="customers",
    title=_("Customers"),
    purpose=_("Rules that derive attributes of customers from others, such as the level from the number of orders."),
    order=15,
    per_tenant=tuple(Customers.model_fields),
)
bot = hot.register(
    Bot,
    name="bot",
    title=_("Bot and FAQ"),
    purpose=_("What the bot answers from the FAQ, when it hands over to an agent, and who publishes entries."),
    order=16,
    per_tenant=tuple(Bot.model_fields),
)
