"""Celery's settings. Retries, limits and state live in the database; Celery only carries ids and runs threads."""

from posthaste import env
from posthaste.lib import queues

_env = env.load()

broker_url = _env.broker_url
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # however long it is away: a worker that gave up would need a restart by hand
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
        # How long a worker's blocking read for tasks waits; a stop waits for its end.
        "polling_interval": 2,
        "socket_connect_timeout": 2.0,
        "socket_keepalive": True,
    }

task_queues = queues.declared()
task_default_queue = queues.NOTIFICATION
task_default_exchange = queues.exchange.name
task_default_routing_key = queues.NOTIFICATION
task_create_missing_queues = False
task_routes = "jobs.registry.route"  # each task names its queue where it is declared
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
result_expires = None  # there are no results, so no job that clears them away
task_acks_late = True
task_reject_on_worker_lost = True
# Once, which is enough to open a new connection in place of one that broke (beat keeps one for ever and would never notice).
# Waiting longer is not worth it: the publisher has a fallback, and the feeder publishes the message later.
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

beat_scheduler = "jobs.scheduler:LeaderScheduler"  # takes the schedule from jobs.registry
beat_max_loop_interval = 1
timezone = "UTC"
enable_utc = True
