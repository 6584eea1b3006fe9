"""What no page sends: wrong types, odd texts and numbers. Each is refused or taken, and nothing falls over."""

from typing import Any, get_type_hints
from uuid import uuid4

import msgspec
import orjson
import pytest
from django.test import Client

from accounts.models import Tenant
from accounts.roles import Role
from routing.desk.data import acting, deciding, keeping, many, talking
from routing.models import EntranceKind
from tests.builders import make_provider
from tests.routing.builders import make_entrance
from tests.routing.desk.builders import Desk, ask, hold, make_desk

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]

BODIES: dict[str, type[msgspec.Struct]] = {
    "reply": talking.ReplyIn,
    "note": talking.NoteIn,
    "draft": talking.DraftIn,
    "side": talking.SideIn,
    "read": talking.SeqIn,
    "transfer": deciding.TransferIn,
    "snooze": deciding.SnoozeIn,
    "tags": deciding.TagsIn,
    "priority": deciding.PriorityIn,
    "intent": deciding.IntentIn,
    "merge": deciding.MergeIn,
    **dict.fromkeys(("claim", "release", "resolve", "reopen", "close", "spam", "unmerge"), deciding.Nothing),
}
#: JSON as it may come, also such as no encoder writes.
VALUES = [
    b"null", b"-1", b"9223372036854775808", b"1" * 300, b'"a\\u0000b"', b'"\\ud800"', b'"' + b"x" * 30_000 + b'"', b'["a\\u0000b"]',
    b"[" * 2_000 + b"]" * 2_000, b'"2026-12-01T10:00:00"', b'"' + str(uuid4()).encode() + b'"',
]  # fmt: skip
USUAL: dict[Any, bytes] = {str: b'"a@example.com"', int: b"1", bool: b"false"}
ODD = ("a\x00b", "9" * 40)


def bodies(shape: type[msgspec.Struct]) -> list[bytes]:
    """Return bodies in which one field is odd and the others are as usual, and one with a field that there is not."""
    hints = get_type_hints(shape)
    usual = {
        field.name: USUAL[hints[field.name]] for field in msgspec.structs.fields(shape) if field.required and hints[field.name] in USUAL
    }
    found = [{**usual, "other": b"1"}, *({**usual, name: value} for name in hints for value in VALUES)]
    return [b"{" + b",".join(f'"{name}":'.encode() + value for name, value in one.items()) + b"}" for one in found]


@pytest.fixture
def mei(tenant: Tenant) -> Desk:
    make_provider(tenant, channel="email")
    make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "desk@acme.example"})
    desk = make_desk(tenant, role=Role.OPERATOR)
    desk.client = Client(raise_request_exception=False)
    desk.client.force_login(desk.user)
    return desk


def sent(desk: Desk, path: str, body: bytes) -> int:
    status: int = desk.client.post(f"/desk/data/{path}", body, content_type="application/json").status_code
    return status


def test_all_actions_have_a_shape_here() -> None:
    assert set(BODIES) == set(acting.ACTIONS)


@pytest.mark.parametrize("action", BODIES)
def test_no_body_of_an_action_brings_the_desk_down(tenant: Tenant, mei: Desk, action: str) -> None:
    conversation = hold(ask(tenant), mei.agent)
    for body in bodies(BODIES[action]):
        assert sent(mei, f"c/{conversation.pk}/{action}/", body) < 500, body[:200]
    assert mei.get(f"c/{conversation.pk}/").status_code == 200


@pytest.mark.parametrize(
    ("path", "shape"),
    [("bulk/", many.BulkIn), ("filters/", keeping.FilterIn), ("notices/read/", keeping.ReadIn), ("presence/", keeping.PresenceIn)],
)
def test_no_other_body_does(tenant: Tenant, mei: Desk, path: str, shape: type[msgspec.Struct]) -> None:
    tries = bodies(shape)
    if shape is keeping.PresenceIn:
        tries += [b'{"presence":"break","break_until":' + value + b"}" for value in VALUES]
    if shape is keeping.FilterIn:
        tries += [b'{"name":"n","query":{"q":' + value + b"}}" for value in VALUES]
    if shape is many.BulkIn:
        pk = str(ask(tenant).pk).encode()
        tries += [b'{"action":"tags","ids":["' + pk + b'"],"parameters":{"add":' + value + b"}}" for value in VALUES]
    for body in tries:
        assert sent(mei, path, body) < 500, body[:200]
    assert mei.get(path.replace("read/", "") if path != "bulk/" else "inbox/").status_code in (200, 405)


def test_no_parameter_of_an_address_does(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    addresses = {
        "/desk/data/inbox/": ("view", "q", "group", "agent", "tag", "intent", "language", "entrance", "priority", "sort", "tenant"),
        "/desk/data/rows/": ("ids",),
        f"/desk/data/c/{conversation.pk}/lines/": ("after", "before"),
        "/desk/data/bulk/merge/": ("ids",),
        "/desk/data/notices/": ("after",),
        "/desk/data/quick-replies/": ("conversation",),
        "/desk/data/export/": ("q", "tag", "identities"),
        "/desk/tickets/": ("type", "tag", "q", "after"),
        "/desk/tickets/new/": ("type", "for", "conversation"),
        "/desk/supervisor/": ("zone", "conversation"),
        "/desk/reports/": ("from", "zone"),
    }
    for address, names in addresses.items():
        for name in names:
            for value in ODD:
                status = mei.client.get(address, {name: value, **({"view": "all"} if name == "q" else {})}).status_code
                assert status < 500, (address, name, value[:50])


def test_addresses_with_odd_ids_are_not_there(tenant: Tenant, mei: Desk) -> None:
    for address in (f"/desk/tickets/{'9' * 40}/", f"/desk/tickets/{'9' * 5_000}/", f"/desk/c/{uuid4()}/x/", "/desk/data/c/%00/lines/"):
        assert mei.client.get(address).status_code == 404, address[:60]
    assert orjson.loads(mei.get(f"c/{uuid4()}/").content)["status"] == 404
