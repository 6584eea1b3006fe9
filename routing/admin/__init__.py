"""The admin of the service desk, one subject a module."""

from routing.admin import assignment, conversations, customer_merges, customers, entrances, intents, links

__all__ = ["assignment", "conversations", "customer_merges", "customers", "entrances", "intents", "links"]
