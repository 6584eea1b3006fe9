"""What the API answers when something is made is what the OpenAPI document says; apart from the others, as accepting messages commits."""

from typing import Any

import pytest

from tests.architecture.routes import api_routes
from tests.architecture.test_schema import wrong
from tests.architecture.test_tenants import make_everything
from tests.builders import close_committer, make_api

pytestmark = pytest.mark.django_db(transaction=True)
SMS = {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"}
MADE: dict[str, dict[str, Any]] = {
    "api/messages/": SMS,
    "api/messages/batch/": {"channel": "sms", "body": "Hi", "recipients": [{"recipient": "+8613812345678"}]},
    "api/templates/": {"name": "welcome", "channel": "sms", "body": "Hi"},
    "api/providers/": {"name": "gateway", "channel": "sms", "kind": "sandbox"},
    "api/keys/": {"name": "shop", "scopes": ["messages:send"]},
    "api/suppressions/": {"recipient": "+8613812345678", "channel": "sms"},
    "api/webhooks/": {"name": "shop", "url": "https://192.0.46.9/hook"},
    "api/config/namespaces/": {"namespace": "dev", "name": "Development"},
    "api/intents/": {"name": "tea"},
    "api/faq/entries/": {"question": "Where is my parcel?", "answer": "In **My orders**."},
    "api/utterances/": {"utterances": [{"text": "a cup of tea", "intent": "a-own-intent"}]},
    "api/config/items/": {"namespace": "public", "group": "shop", "data_id": "shop.yaml", "format": "yaml"},
}


def test_what_is_made_is_as_described() -> None:
    api, found = make_api(make_everything("Acme").tenant), {}
    for route in api_routes():
        if body := MADE.get(route.pattern):
            answer = api.request("POST", route.path, body)
            assert answer.status_code in (201, 202), (route, answer.content)
            found[str(route)] = wrong("POST", route, answer)
    close_committer()  # its connection would keep the test database from being removed
    assert len(found) == len(MADE)
    assert {name: text for name, text in found.items() if text} == {}
