"""Live figures over a WebSocket, for those who may see them."""

import json
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.integration.customer import Customer
from tests.integration.stack import Stack

pytestmark = pytest.mark.both_stacks


def test_a_key_with_the_scope_gets_figures_every_second(stack: Stack) -> None:
    customer = Customer(stack)
    customer.settled(customer.send(channel="push", recipient="a-device-token"))
    with connect(f"{stack.ws_url}/ws/statistics/", additional_headers={"Authorization": f"Bearer {customer.http.api_key}"}) as socket:
        frames: list[dict[str, Any]] = []
        deadline = time.monotonic() + 60
        while len(frames) < 3 and time.monotonic() < deadline:
            frames.append(json.loads(socket.recv(timeout=30)))
    assert [frame["status"] for frame in frames] == ["live"] * 3
    assert set(frames[-1]["queues"]) == {"message.send", "ai.process", "notification", "delayed"}
    assert {"active_count", "queue_size", "completed_tasks", "queue_usage_percent"} <= set(frames[-1]["pool"])
    assert frames[0]["as_of"] != frames[-1]["as_of"]


@pytest.mark.parametrize("authorization", ["", "Bearer ph_live_abcdefgh_" + "x" * 43])
def test_nobody_else_gets_any(stack: Stack, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    with pytest.raises((ConnectionClosed, InvalidStatus)), connect(f"{stack.ws_url}/ws/statistics/", additional_headers=headers) as socket:
        socket.recv(timeout=10)


def test_a_page_of_another_site_is_refused_even_with_a_key(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.http.api_key}"}
    with pytest.raises(InvalidStatus), connect(f"{stack.ws_url}/ws/statistics/", additional_headers=headers, origin="https://evil.example"):  # type: ignore[call-overload]
        pass


def test_the_socket_process_answers_its_health_and_nothing_else_over_http(stack: Stack) -> None:
    base = stack.ws_url.replace("ws://", "http://")
    assert stack.http.pool.request("GET", f"{base}/health").json() == {"status": "ok"}
    assert stack.http.pool.request("GET", f"{base}/admin/").status == 404
