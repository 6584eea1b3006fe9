"""A key that may only change things is not shown what only a scope for reading shows."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Tenant
from messaging.models import BatchStatus, Status
from tests.builders import (
    RECIPIENTS,
    json_of,
    make_api,
    make_batch,
    make_endpoint,
    make_message,
    make_suppression,
    make_template,
    make_tenant,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
SECRET = "hunter2"
Call = tuple[str, str, Any]


def cancel(tenant: Tenant) -> Call:
    return "POST", f"/api/messages/{make_message(tenant, body=SECRET).pk}/cancel/", None


def retry(tenant: Tenant) -> Call:
    return "POST", f"/api/messages/{make_message(tenant, body=SECRET, status=Status.FAILED).pk}/retry/", None


def pause(tenant: Tenant) -> Call:
    return "POST", f"/api/batches/{_batch(tenant)}/pause/", None


def resume(tenant: Tenant) -> Call:
    return "POST", f"/api/batches/{_batch(tenant, status=BatchStatus.PAUSED)}/resume/", None


def cancel_batch(tenant: Tenant) -> Call:
    return "POST", f"/api/batches/{_batch(tenant)}/cancel/", None


def _batch(tenant: Tenant, **fields: Any) -> Any:
    batch = make_batch(tenant, pending=1, **fields)
    batch.name = SECRET
    batch.save()
    return batch.pk


def change_endpoint(tenant: Tenant) -> Call:
    return "PATCH", f"/api/webhooks/{_endpoint(tenant)}/", {}


def enable(tenant: Tenant) -> Call:
    return "POST", f"/api/webhooks/{_endpoint(tenant, is_enabled=False)}/enable/", None


def disable(tenant: Tenant) -> Call:
    return "POST", f"/api/webhooks/{_endpoint(tenant)}/disable/", None


def rotate(tenant: Tenant) -> Call:
    return "POST", f"/api/webhooks/{_endpoint(tenant)}/rotate-secret/", {}


def _endpoint(tenant: Tenant, **fields: Any) -> Any:
    return make_endpoint(tenant, name=SECRET, **fields).pk


def change_template(tenant: Tenant) -> Call:
    return "PATCH", f"/api/templates/{_template(tenant)}/", {}


def write_draft(tenant: Tenant) -> Call:
    return "PUT", f"/api/templates/{_template(tenant, publish=False)}/draft/", {"body": "Hi", "variables": []}


def publish_draft(tenant: Tenant) -> Call:
    return "POST", f"/api/templates/{_template(tenant, publish=False)}/publish/", None


def _template(tenant: Tenant, **fields: Any) -> str:
    return make_template(tenant, body=SECRET, variables=[], **fields).name


def suppress(tenant: Tenant) -> Call:
    make_suppression(tenant, RECIPIENTS["email"], reason=SECRET, channel="email")
    return "POST", "/api/suppressions/", {"recipient": RECIPIENTS["email"], "channel": "email"}


@pytest.mark.parametrize(
    ("scope", "read", "prepare"),
    [
        *[("messages:manage", "messages:read", prepare) for prepare in (cancel, retry, pause, resume, cancel_batch)],
        *[("webhooks:manage", "webhooks:read", prepare) for prepare in (change_endpoint, enable, disable, rotate)],
        *[("templates:write", "templates:read", prepare) for prepare in (change_template, write_draft, publish_draft)],
        ("suppressions:write", "suppressions:read", suppress),
    ],
)
def test_only_a_key_that_may_read_a_row_is_shown_it_in_the_answer_to_a_change(
    scope: str, read: str, prepare: Callable[[Tenant], Call]
) -> None:
    tenant = make_tenant()
    answer = make_api(tenant, scope).request(*prepare(tenant))
    assert answer.status_code == 200, answer.content
    assert SECRET not in answer.content.decode()
    assert json_of(answer), "it says which row was changed"
    other = make_tenant("Other")
    whole = make_api(other, scope, read).request(*prepare(other))
    assert whole.status_code == 200
    assert len(whole.content) > len(answer.content)
