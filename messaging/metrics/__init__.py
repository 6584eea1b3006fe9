"""Figures of messages, queues, pools, providers and webhooks. What is counted in the database is counted up to a bound."""

from messaging.metrics import outcomes, providers, queues, webhooks  # noqa: F401 - each declares its own
