"""The admin of the service desk, one subject a module."""

from routing.admin import agents, assignments, bot_turns, conversations, customer_merges, customers, entrances, faq, intents, links

__all__ = ["agents", "assignments", "bot_turns", "conversations", "customer_merges", "customers", "entrances", "faq", "intents", "links"]
