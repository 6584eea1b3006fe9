"""The four queues, and priorities as each broker counts them.

Our priorities run from 0 (whenever) to 10 (now). RabbitMQ's classic priority queues count the same way. Kombu's Redis
transport pops ten lists in order, 0 first, so there 0 is the most urgent and 9 and 10 share it.
"""

from kombu.entity import Exchange, Queue

from posthaste import env

SEND = "message.send"
AI = "ai.process"
NOTIFICATION = "notification"
DELAYED = "delayed"
NAMES = (SEND, AI, NOTIFICATION, DELAYED)

MAX_PRIORITY = 10
URGENT = 9  # from here on a message travels alone, never inside a chunk

exchange = Exchange("posthaste", type="direct", durable=True)


def declared() -> list[Queue]:
    """Return the queues as kombu declares them."""
    arguments = {"x-max-priority": MAX_PRIORITY} if env.load().is_rabbitmq else None
    return [
        Queue(SEND, exchange, routing_key=SEND, durable=True, queue_arguments=arguments),
        *(Queue(name, exchange, routing_key=name, durable=True) for name in (AI, NOTIFICATION, DELAYED)),
    ]


def broker_priority(priority: int, *, rabbitmq: bool | None = None) -> int:
    """Map our 0–10 to the broker's way of counting."""
    if rabbitmq is None:
        rabbitmq = env.load().is_rabbitmq
    return priority if rabbitmq else 9 - min(priority, 9)
