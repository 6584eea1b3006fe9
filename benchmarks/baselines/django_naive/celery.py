"""The Celery application and the task of baseline (a)."""

import os

import django
import urllib3
from celery import Celery
from django.utils import timezone
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.baselines.django_naive.settings")
django.setup()

from benchmarks.baselines.django_naive.models import Message  # noqa: E402 - after setup

app = Celery("django_naive", broker=os.environ["BROKER_URL"])
app.conf.update(
    task_queues=[Queue("naive.send", durable=True, queue_arguments={"x-max-priority": 10})],
    task_default_queue="naive.send",
    task_acks_late=True,
    task_ignore_result=True,
    broker_transport_options={"confirm_publish": True},
    broker_pool_limit=64,
    broker_heartbeat=0,  # it is frozen while the other side is measured
    worker_send_task_events=False,
)
GATEWAY = os.environ.get("GATEWAY_URL", "")
http = urllib3.PoolManager(maxsize=2, retries=False, timeout=5.0)


@app.task(name="naive.send")
def send_message(message_id: str) -> None:
    """Send one message; the provider takes it at once, or answers over HTTP."""
    message = Message.objects.get(pk=message_id)
    message.status = "sending"
    message.attempts += 1
    message.save()
    if GATEWAY:
        answer = http.request(
            "POST", GATEWAY, json={"to": message.recipient, "text": message.body}, headers={"Idempotency-Key": message_id}
        )
        if answer.status != 200:
            message.status = "failed"
            message.save()
            return
        message.provider_message_id = answer.json()["id"]
    message.status = "sent"
    message.sent_at = timezone.now()
    message.save()
