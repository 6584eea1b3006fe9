"""The admin of the service desk, one subject a module."""

from routing.admin import agents, assignments, conversations, customer_merges, customers, entrances, intents, links, quick_replies

__all__ = ["agents", "assignments", "conversations", "customer_merges", "customers", "entrances", "intents", "links", "quick_replies"]
