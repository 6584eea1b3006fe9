"""The admin of the service desk, one subject a module."""

from routing.admin import (
    agents,
    assignments,
    calendars,
    clocks,
    conversations,
    customer_merges,
    customers,
    entrances,
    intents,
    links,
    ticket_types,
    tickets,
)

__all__ = [
    "agents",
    "assignments",
    "calendars",
    "clocks",
    "conversations",
    "customer_merges",
    "customers",
    "entrances",
    "intents",
    "links",
    "ticket_types",
    "tickets",
]
