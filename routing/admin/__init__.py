"""The admin of the service desk, one subject a module."""

from routing.admin import (
    agents,
    assignments,
    bot_turns,
    calendars,
    clocks,
    conversations,
    customer_merges,
    customers,
    entrances,
    faq,
    intents,
    links,
    quick_replies,
    satisfaction,
    ticket_types,
    tickets,
)

__all__ = [
    "agents",
    "assignments",
    "bot_turns",
    "calendars",
    "clocks",
    "conversations",
    "customer_merges",
    "customers",
    "entrances",
    "faq",
    "intents",
    "links",
    "quick_replies",
    "satisfaction",
    "ticket_types",
    "tickets",
]
