"""Words for what the service desk stores as short names: intents by title, groups by name, actors by who they are."""

from collections.abc import Collection, Iterable, Mapping

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.roles import Role
from accounts.staff import actors
from accounts.staff.tenant_admin import own_tenants
from posthaste.ui.templatetags.interface import short_id
from routing.assignment.explain import Names
from routing.intents.titles import intent_titles as intent_titles
from routing.intents.titles import title_of as title_of
from routing.models import Assignment, Conversation, Customer, SkillGroup


def called(customer: Customer) -> str:
    """Return the name of a customer, or what tells those without one apart."""
    return customer.name or " · ".join((_("Erased") if customer.erased_at else _("Without a name"), short_id(customer.pk)))


def conversation_link(conversation: Conversation) -> SafeString:
    """Return a link to a conversation, called by its customer: an id tells a reader nothing."""
    address = reverse("admin:routing_conversation_change", args=[conversation.pk])
    return format_html('<a href="{}">{}</a>', address, called(conversation.customer))


def actors_in_words(request: HttpRequest, found: Iterable[str]) -> dict[str, str]:
    """Return actors as people read them."""
    wanted = {actor for actor in found if actor}
    names = actors.names_of(wanted, tenant_ids=own_tenants(request, at_least=Role.OWNER))
    return {actor: actors.in_words(actor, names) for actor in wanted}


def names_in(request: HttpRequest, spans: Collection[Assignment]) -> Mapping[int, Names]:
    """Return by tenant what the reasons of assignments call intents, groups and actors."""
    tenant_ids = {span.tenant_id for span in spans}
    intents, people = intent_titles(tenant_ids), actors_in_words(request, (span.assigned_by for span in spans))
    groups: dict[int, dict[str, str]] = {tenant_id: {} for tenant_id in tenant_ids}
    for tenant_id, name, title in SkillGroup.objects.filter(tenant_id__in=tenant_ids).values_list("tenant_id", "name", "title"):
        groups[tenant_id][name] = title
    return {tenant_id: Names(intents[tenant_id], groups[tenant_id], people) for tenant_id in tenant_ids}
