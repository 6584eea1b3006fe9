"""Every entrance that takes a date refuses one that some database or time zone can't hold, and names the field."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey
from messaging.channels.base import Receipt
from messaging.channels.http.config import ReceiptConfig
from messaging.channels.http.receipts import read_receipts
from messaging.models import Batch, Message, Suppression
from tests.builders import RECIPIENTS, Api, fields_of, json_of, make_api, make_tenant

pytestmark = pytest.mark.django_db
FAR = ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "3000-01-01T00:00:00Z", "1969-07-20T20:17:40Z"]
SMS: dict[str, Any] = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "x"}
ROWS: dict[str, Any] = {"channel": "sms", "recipients": [{"recipient": RECIPIENTS["sms"]}], "body": "x"}


@pytest.fixture
def api() -> Api:
    return make_api(make_tenant())


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize("field", ["expires_at", "send_at"])
def test_messages_and_batches_are_refused(field: str, far: str, api: Api) -> None:
    assert fields_of(api.post("/api/messages/", SMS | {field: far})) == [field]
    assert fields_of(api.post("/api/messages/batch", ROWS | {field: far})) == [field]
    assert not Message.objects.exists()
    assert not Batch.objects.exists()


@pytest.mark.parametrize("far", FAR)
def test_keys_and_suppressions_are_refused(far: str, api: Api) -> None:
    keys = ApiKey.objects.count()
    assert fields_of(api.post("/api/keys/", {"name": "n", "kind": "live", "scopes": ["messages:send"], "expires_at": far})) == [
        "expires_at"
    ]
    assert fields_of(api.post("/api/suppressions/", {"recipient": RECIPIENTS["sms"], "expires_at": far})) == ["expires_at"]
    many = {"recipients": [RECIPIENTS["sms"]], "expires_at": far}
    assert fields_of(api.post("/api/suppressions/bulk/", many)) == ["expires_at"]
    assert (ApiKey.objects.count(), Suppression.objects.count()) == (keys, 0)


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize("field", ["since", "until"])
def test_a_replay_is_refused(field: str, far: str, api: Api) -> None:
    assert fields_of(api.post("/api/config/modules/delivery_rules/what-if/", {field: far})) == [field]


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_a_filter_is_refused(name: str, far: str, api: Api) -> None:
    assert fields_of(api.get("/api/messages/", **{name: far})) == [name]


@pytest.mark.parametrize("far", ["9999-12-31T23:59", "0001-01-01T00:00"])
@pytest.mark.parametrize("page", ["messaging/suppression", "accounts/apikey"])
def test_a_form_of_the_admin_says_so_beside_the_field(page: str, far: str, admin_client: Client) -> None:
    answer = admin_client.post(f"/admin/{page}/add/", {"expires_at": far})
    assert answer.status_code == 422
    assert "expires_at" in answer.context["form"].errors


@pytest.mark.parametrize("at", [*FAR, 1e18, "99999999999999"])
def test_a_receipt_with_such_a_time_counts_without_it(at: Any) -> None:
    body = b'{"message_id": "0190f3e0-0000-7000-8000-000000000000", "status": "delivered", "at": %s}' % (
        f'"{at}"'.encode() if isinstance(at, str) else str(at).encode()
    )
    (receipt,) = read_receipts(body, ReceiptConfig())
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.at) == ("delivered", None)


def test_a_date_in_range_is_taken_to_the_last_day(api: Api) -> None:
    answer = api.post("/api/messages/", SMS | {"expires_at": "2999-12-29T23:59:59+14:00"})
    assert answer.status_code == 202, json_of(answer)
