"""What no page of the portal sends: odd texts and numbers, and what is another visitor's."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from routing.models import Entrance
from tests.builders import make_provider
from tests.routing.builders import make_entrance
from tests.routing.portal.builders import Visitor, make_article, make_form
from tests.routing.satisfaction.builders import make_answered

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]

ODD = ("a%00b", "%FF%FE", "9" * 40)
VALUES = [
    b"null", b"true", b"-1", b"1.5", b"9223372036854775808", b"1" * 300, b'""', b'"a\\u0000b"', b'"\\ud800"',
    '"\u202e\u200b"'.encode(), b'"' + b"x" * 30_000 + b'"', b"[]", b"{}", b"[" * 2_000 + b"]" * 2_000, b'["a"]',
]  # fmt: skip
USUAL = {
    "rating/": {"conversation": b"?", "score": b"5", "comment": b'""'},
    "email/": {"email": b'"a@example.com"'},
    "transcript/": {"conversation": b"?", "email": b'"a@example.com"'},
    "device/": {"email": b'""'},
    "vote/late/": {"helpful": b"true"},
    "tickets/": {"type": b'"refund"', "client_id": b'"f"', "values": b"{}"},
    "tickets/#": {"fields.order": b'"A-1"', "fields.way": b'"Bank"', "subject": b'"s"', "description": b'"d"', "odd": b"1"},
}


@pytest.fixture
def entrance() -> Entrance:
    made = make_entrance()
    make_provider(made.tenant, channel="email")
    make_article(made.tenant, "late", "My parcel is late")
    make_form(made.tenant)
    return made


@pytest.fixture
def visitor(entrance: Entrance) -> Visitor:
    found = Visitor(entrance).begin()
    found.client = Client(raise_request_exception=False)
    return found


def written(values: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(f'"{name}":'.encode() + value for name, value in values.items()) + b"}"


def test_no_address_of_the_portal_falls_over(entrance: Entrance) -> None:
    client = Client(raise_request_exception=False)
    for odd in ODD:
        for address in (f"/help/{odd}/", f"/help/{odd}/widget.js", f"/help/{entrance.pk}/a/{odd}/", f"/l/{odd}/", f"/chat/files/{odd}/"):
            assert client.get(address).status_code in (404, 429), address[:80]
        for path, name in (("articles", "q"), ("articles", "category"), ("suggest", "q"), ("request", "type"), ("chat", "lang")):
            assert client.get(f"/help/{entrance.pk}/{path}/?{name}={odd}").status_code in (200, 429), (path, odd)


@pytest.mark.parametrize("path", USUAL)
def test_no_body_brings_the_portal_down(visitor: Visitor, path: str) -> None:
    conversation = make_answered(visitor.entrance, identity=visitor.session.identity)
    usual = {name: f'"{conversation.pk}"'.encode() if value == b"?" else value for name, value in USUAL[path].items()}
    address, headers = f"/help/{visitor.entrance.pk}/{path.rstrip('#')}", {"Authorization": f"Bearer {visitor.token}"}
    for name in usual:
        for value in VALUES:
            body = written(usual | {name: value})
            if path.endswith("#"):
                body = written({"type": b'"refund"', "client_id": b'"f"', "values": body})
            answer = visitor.client.post(address, body, content_type="application/json", headers=headers)
            assert answer.status_code < 500, body[:200]


def test_what_is_anothers_is_not_there(visitor: Visitor) -> None:
    other = make_answered(visitor.entrance)
    for path, more in (("rating/", {"score": 5}), ("transcript/", {"email": "a@example.com"})):
        for pk in (other.pk, uuid4()):
            body: dict[str, Any] = {"conversation": str(pk), **more}
            assert visitor.post(path, body).status_code == 404
