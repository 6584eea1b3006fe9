"""Celery's settings. Retries, limits and state live in the database; Celery only carries ids and runs threads."""

from datetime import timedelta

from posthaste import env
from posthaste.lib import queues

_env = env.load()

broker_url = _env.broker_url
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # however long it is away: a worker that gave up would have to be started by somebody
broker_connection_timeout = 3.0
broker_pool_limit = 8
broker_transport_options: dict[str, object]
if _env.is_rabbitmq:
    broker_transport_options = {"confirm_publish": True, "max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
else:
    broker_transport_options = {
        "global_keyprefix": f"{_env.redis_prefix}:broker:",
        "priority_steps": list(range(10)),
        "queue_order_strategy": "priority",
        # A task whose worker was killed comes back after this; the database has long recovered its messages by then.
        "visibility_timeout": 900,
        "socket_connect_timeout": 2.0,
        "socket_keepalive": True,
    }

task_queues = queues.declared()
task_default_queue = queues.NOTIFICATION
task_default_exchange = queues.exchange.name
task_default_routing_key = queues.NOTIFICATION
task_create_missing_queues = False
task_routes = {
    "messaging.deliver": {"queue": queues.SEND},
    "messaging.feed": {"queue": queues.DELAYED},
    "messaging.recover": {"queue": queues.DELAYED},
    "messaging.look_up_unknown": {"queue": queues.DELAYED},
    "messaging.maintain_partitions": {"queue": queues.NOTIFICATION},
    "messaging.sandbox_receipts": {"queue": queues.NOTIFICATION},
    "messaging.forget_idempotency_keys": {"queue": queues.NOTIFICATION},
    "configcenter.forget_old_releases": {"queue": queues.NOTIFICATION},
}
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
task_acks_late = True
task_reject_on_worker_lost = True
# Once, which is enough to open a new connection in place of one that broke (beat keeps one for ever and would never notice).
# More is not worth waiting for: whoever publishes knows what to do instead, and the feeder brings it later.
task_publish_retry = True
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}
task_time_limit = None

worker_prefetch_multiplier = 1
worker_pool = "posthaste.lib.elastic:TaskPool"
worker_autoscaler = "messaging.queueing.autoscale:Autoscaler"
worker_hijack_root_logger = False
worker_send_task_events = False
worker_cancel_long_running_tasks_on_connection_loss = False
# After a lost connection Celery would ask for a smaller prefetch, and raise it again from within pool threads: two threads then
# read one connection, and the consumer never hears of a task again. Our autoscaler sets the prefetch, in the event loop.
worker_enable_prefetch_count_reduction = False

beat_scheduler = "jobs.scheduler:LeaderScheduler"
beat_max_loop_interval = 1
beat_schedule = {
    "feed": {"task": "messaging.feed", "schedule": timedelta(seconds=1), "options": {"expires": 3.0}},
    "recover": {"task": "messaging.recover", "schedule": timedelta(seconds=2), "options": {"expires": 5.0}},
    "look up unknown outcomes": {"task": "messaging.look_up_unknown", "schedule": timedelta(seconds=30), "options": {"expires": 30.0}},
    "maintain partitions": {
        "task": "messaging.maintain_partitions",
        "schedule": timedelta(hours=1),
        "options": {"expires": 600.0},
    },
    "forget idempotency keys": {"task": "messaging.forget_idempotency_keys", "schedule": timedelta(hours=1), "options": {"expires": 600.0}},
    "forget old releases": {"task": "configcenter.forget_old_releases", "schedule": timedelta(days=1), "options": {"expires": 3600.0}},
}
timezone = "UTC"
enable_utc = True
