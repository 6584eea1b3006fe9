"""Hot configuration of sending: one subject a module, each discovered automatically.

Import the values from here:

from messaging.configuration import retry_policy
retry_policy.value.max_retries
"""

from messaging.configuration.breakers import circuit_breakers
from messaging.configuration.delivery import delivery_rules
from messaging.configuration.flow import flow_rules
from messaging.configuration.limits import message_limits
from messaging.configuration.pools import queues, thread_pools
from messaging.configuration.providers import provider_routing
from messaging.configuration.retries import retry_policy
from messaging.configuration.webhooks import webhooks

__all__ = [
    "circuit_breakers",
    "delivery_rules",
    "flow_rules",
    "message_limits",
    "provider_routing",
    "queues",
    "retry_policy",
    "thread_pools",
    "webhooks",
]
