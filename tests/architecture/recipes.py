"""What each recipe of docs/extend.md promises, checked in a process in which the recipe's app is installed.

python -m tests.architecture.recipes page    # test_recipes.py starts it, with the settings of such an installation
"""

import os
import sys
import traceback
from collections.abc import Callable
from uuid import UUID

import django

CHECKS: dict[str, Callable[[], None]] = {}


def check(function: Callable[[], None]) -> Callable[[], None]:
    """Add a check under its function's name."""
    CHECKS[function.__name__] = function
    return function


@check
def page() -> None:
    """Check that the page answers in the admin's frame and is in the navigation of those who may open it."""
    from django.test import Client

    from accounts.models import User

    assert Client().get("/docsorders/open/").status_code == 302
    clients = {name: Client() for name in ("boss", "clerk")}
    for name, client in clients.items():
        client.force_login(User.objects.create(username=name, is_staff=True, is_superuser=name == "boss"))
    assert clients["clerk"].get("/docsorders/open/").status_code == 403
    answer = clients["boss"].get("/docsorders/open/")
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert "A-1042" in shown
    assert '<a class="entry" href="/docsorders/open/" title="Open docsorders" aria-current="page">' in shown
    assert 'href="/docsorders/open/"' in clients["boss"].get("/admin/").content.decode()
    assert 'href="/docsorders/open/"' not in clients["clerk"].get("/admin/").content.decode()


@check
def job() -> None:
    """Check that the job is in the schedule, in the admin and in its queue, and that a worker runs it."""
    from celery import current_app
    from django.test import Client
    from django_celery_beat.models import PeriodicTask
    from structlog.testing import capture_logs

    from accounts.models import User
    from jobs.scheduler import LeaderScheduler

    scheduler = LeaderScheduler(app=current_app._get_current_object())
    assert scheduler.schedule
    row = PeriodicTask.objects.get(task="docsorders.close_forgotten")
    assert (row.enabled, row.crontab.hour, row.crontab.minute) == (True, "4", "30")
    assert current_app.amqp.Router().route({}, "docsorders.close_forgotten")["queue"].name == "notification"
    with capture_logs() as logged:
        current_app.tasks["docsorders.close_forgotten"]()
    assert [entry["event"] for entry in logged] == ["closed forgotten docsorders"]
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    shown = client.get(f"/jobs/{row.pk}/").content.decode()
    assert "Close forgotten docsorders" in shown
    assert "5 minutes" in shown
    assert 'id="upcoming"' in shown


@check
def configuration() -> None:
    """Check that the module is in the console and the API with its default, and that a draft outside its limits is refused."""
    from django.test import Client

    from accounts.models import User
    from tests.builders import json_of, make_api, make_tenant

    api = make_api(make_tenant(is_operator=True))
    found = json_of(api.get("/api/config/modules/docsorders/"))
    assert found["effective"] == {"closed_after_days": 30}
    assert found["schema"]["properties"]["closed_after_days"]["maximum"] == 365
    assert json_of(api.post("/api/config/modules/docsorders/validate/", {"content": {"closed_after_days": 0}}))["errors"]
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    assert "When docsorders are closed." in client.get("/config/").content.decode()
    assert "Closed after" in client.get("/config/modules/docsorders/").content.decode()


@check
def metric() -> None:
    """Check that /metrics has the figure."""
    from tests.builders import make_api, make_tenant

    answer = make_api(make_tenant(is_operator=True), "statistics:read").get("/metrics")
    assert answer.status_code == 200
    assert 'posthaste_open_docsorders{country="cn"} 17.0' in answer.content.decode()


@check
def provider_kind() -> None:
    """Check that a provider of the kind is made over the API, sends its test message, and reports a refusal."""
    from django.test import Client

    from accounts.models import User
    from tests.builders import json_of, make_api, make_tenant

    api = make_api(make_tenant())
    assert "docspager" in {kind["kind"] for kind in json_of(api.get("/api/provider-kinds/"))}
    config = {"url": os.environ["PAGER_URL"], "token": "topsecret"}
    made = api.post("/api/providers/", {"name": "Pager", "channel": "push", "kind": "docspager", "config": config})
    assert made.status_code == 201, made.content
    assert b"topsecret" not in made.content
    test = f"/api/providers/{json_of(made)['id']}/test/"
    sent = json_of(api.post(test, {"recipient": "device-token-0001", "text": "Hello"}))
    assert (sent["ok"], sent["provider_message_id"]) == (True, "page-1"), sent
    refused = json_of(api.post(test, {"recipient": "device-token-0001", "text": "refuse this"}))
    assert (refused["ok"], refused["code"]) == (False, "http_422"), refused
    assert api.post("/api/providers/", {"name": "SMS", "channel": "sms", "kind": "docspager", "config": config}).status_code == 422
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    assert "From the service&#x27;s settings page." in client.get("/admin/messaging/provider/add/").content.decode()


@check
def channel() -> None:
    """Check that a message for the channel is accepted, delivered through the sandbox and shown, without a change of tables."""
    from django.core.management import call_command

    from messaging.delivery.deliver import deliver
    from tests.builders import json_of, make_api, make_provider, make_tenant

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    tenant = make_tenant()
    make_provider(tenant, channel="docsvoice", kind="sandbox")
    api = make_api(tenant)
    accepted = api.post("/api/messages/", {"channel": "docsvoice", "recipient": "+86 138-1234-5678", "body": "Your taxi is here."})
    assert accepted.status_code == 202, accepted.content
    identifier = json_of(accepted)["id"]
    deliver([UUID(identifier)])
    message = json_of(api.get(f"/api/messages/{identifier}/"))
    assert (message["channel"], message["status"]) == ("docsvoice", "sent"), message
    [entry] = json_of(api.get("/api/sandbox/outbox/"))
    assert (entry["channel"], entry["recipient"]) == ("docsvoice", "+8613812345678")
    [row] = json_of(api.get("/api/messages/", channel="docsvoice"))["results"]
    assert (row["id"], row["recipient"]) == (identifier, "+86 138****5678")
    assert api.post("/api/messages/", {"channel": "docsvoice", "recipient": "nobody", "body": "Hello"}).status_code == 422
    template = {"name": "taxi", "channel": "docsvoice", "body": "Your taxi is here."}
    assert api.post("/api/templates/", template).status_code == 201
    assert '"docsvoice"' in api.get("/api/schema/", format="json").content.decode()


@check
def event() -> None:
    """Check that endpoints can ask for the type, and that an event is in the stream once its transaction is committed."""
    from importlib import import_module

    from django.db import transaction
    from django.test import Client
    from django.utils import timezone

    from accounts.models import User
    from posthaste.lib.ids import new_id
    from tests.builders import json_of, make_api, make_tenant

    tenant, other = make_tenant(), make_tenant("Other")
    api = make_api(tenant)
    endpoint = {"name": "Shop", "url": "http://127.0.0.1:9/", "event_types": ["order.shipped", "order.*"]}
    assert api.post("/api/webhooks/", endpoint).status_code == 201
    assert api.post("/api/webhooks/", {**endpoint, "name": "Other", "event_types": ["order.lost"]}).status_code == 422
    ship, order_id = import_module("docsorders.shipping").ship, new_id()
    ship(tenant_id=tenant.pk, order_id=order_id, now=timezone.now())
    ship(tenant_id=other.pk, order_id=order_id, now=timezone.now())  # has no endpoint
    with transaction.atomic():
        ship(tenant_id=tenant.pk, order_id=order_id, now=timezone.now())
        transaction.set_rollback(True)
    [found] = json_of(api.get("/api/events/"))["results"]
    assert (found["type"], found["data"]) == ("order.shipped", {"id": str(order_id), "carrier": "DHL"}), found
    assert json_of(make_api(other).get("/api/events/"))["code"] == "events_not_recorded"
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    assert "an order was shipped" in client.get("/admin/messaging/webhookendpoint/add/").content.decode()


def main() -> None:
    """Run one check; the exit status tells how it went."""
    from django.test.utils import setup_test_environment

    from configcenter.services import watch

    setup_test_environment()
    watch.never_here()
    try:
        CHECKS[sys.argv[1]]()
    except BaseException:  # noqa: BLE001 - the test that waits for us shows it
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)  # threads that would go on are no business of the check


if __name__ == "__main__":
    django.setup()
    main()
