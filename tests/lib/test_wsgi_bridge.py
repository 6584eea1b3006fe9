"""A WSGI application behind Granian's RSGI, called over real connections."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from deploy.local.installation import free_port
from posthaste.env import ROOT
from tests.builders import poll
from tests.peers import bridged_application


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "rsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(number),
        "--no-ws",
        "--http",
        "1",
    ]
    server = subprocess.Popen(
        [*command, "tests.peers.bridged_application:application"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        poll(lambda: answers(number))
        yield number
    finally:
        server.terminate()
        server.wait(20)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def called(port: int, path: str = "/", *, method: str = "GET", body: Any = None, **options: Any) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, **options)
        with connection.getresponse() as answer:
            yield answer


def told(port: int, path: str = "/", **options: Any) -> dict[str, Any]:
    with called(port, path, **options) as answer:
        assert answer.status == 200
        found: dict[str, Any] = json.loads(answer.read())
        return found


def raw(port: int, text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(text)
    return connection


def test_an_application_is_told_what_the_request_says(port: int) -> None:
    seen = told(port, "/a%2Fb/%E4%BD%A0?x=%20y&z", method="POST", body=b"hello", headers={"X-One": "1", "Content-Type": "text/x"})
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/a/b/你"
    assert (seen["QUERY_STRING"], seen["REQUEST_METHOD"], seen["HTTP_X_ONE"]) == ("x=%20y&z", "POST", "1")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["read"], seen["ends"]) == ("text/x", "5", 5, "hello")
    assert (seen["REMOTE_ADDR"], seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("127.0.0.1", "127.0.0.1", str(port))


def test_headers_of_one_name_are_joined_and_names_with_an_underscore_are_left_out(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 9.9.9.9\r\nX-Forwarded-For: 2.2.2.2\r\n"
    with raw(port, head + b"Cookie: a=1\r\nCookie: b=2\r\nConnection: close\r\n\r\n") as connection:
        text = b"".join(iter(lambda: connection.recv(65_536), b""))
    seen = json.loads(text.partition(b"\r\n\r\n")[2])
    assert (seen["HTTP_X_FORWARDED_FOR"].replace(" ", ""), seen["HTTP_COOKIE"]) == ("1.1.1.1,2.2.2.2", "a=1; b=2")


def test_headers_of_an_answer_may_have_the_same_name(port: int) -> None:
    with called(port) as answer:
        assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    with called(port, method="HEAD") as answer:
        assert (answer.status, answer.read()) == (200, b"")


def test_a_large_body_arrives_whole_with_and_without_its_length(port: int) -> None:
    body = b"x" * 3_000_000 + b"end.."
    assert (told(port, method="POST", body=body)["read"], told(port, method="POST", body=body)["ends"]) == (3_000_005, "end..")
    pieces = iter([body[:1_000_000], body[1_000_000:]])
    assert told(port, method="POST", body=pieces, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})["read"] == 3_000_005


def test_a_body_without_a_length_is_read_whole_up_to_the_bound_and_refused_beyond_it(port: int) -> None:
    def chunked(*sizes: int) -> dict[str, Any]:
        return {"body": (b"x" * size for size in sizes), "encode_chunked": True, "headers": {"Transfer-Encoding": "chunked"}}

    many = [100_000] * 40
    assert sum(many) == bridged_application.MAX_BYTES
    assert told(port, method="POST", **chunked(*many))["read"] == bridged_application.MAX_BYTES
    for sizes in ([*many, 1], [*many[:-1], 100_001], [bridged_application.MAX_BYTES + 1]):
        with called(port, method="POST", **chunked(*sizes)) as answer:
            assert answer.status == 413
    assert told(port)["read"] == 0


def test_a_large_body_is_not_read_from_whoever_is_refused_before(port: int) -> None:
    with raw(port, b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 1000) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_client_that_goes_away_in_the_middle_of_its_body_holds_no_thread(port: int) -> None:
    before = told(port)["short"]
    for _ in range(4):  # there are two threads
        raw(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 100_000).close()
    poll(lambda: told(port)["short"] == before + 4)


def test_slow_bodies_leave_threads_for_others_and_end_at_their_deadline(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    small = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    slow = [raw(port, (head if number % 2 else small) + b"x") for number in range(80)]
    try:
        answered = 0
        for _request in range(20):
            for connection in slow[:8]:
                connection.sendall(b"x")
            answered += told(port)["read"] == 0
            answered += told(port, method="POST", body=b"hello")["read"] == 5
        assert answered == 40
        ends = [connection.recv(65_536).split(b" ")[1] for connection in slow[:8]]
        assert set(ends) <= {b"408", b"503"}
    finally:
        for connection in slow:
            connection.close()
    poll(lambda: told(port, method="POST", body=b"x" * 3_000_000)["read"] == 3_000_000)


def test_a_large_answer_goes_out_piece_by_piece_and_is_closed(port: int) -> None:
    before = told(port)["closed"]
    with called(port, "/large") as answer:
        assert answer.read(len(bridged_application.PIECE)) == bridged_application.PIECE  # the second piece does not exist yet
        assert told(port)["closed"] == before
        told(port, "/go")
        assert answer.read() == bridged_application.PIECE
    poll(lambda: told(port)["closed"] == before + 1)


def test_a_large_answer_ends_although_an_error_still_refers_to_the_request(port: int) -> None:
    with called(port, "/kept") as answer:
        assert answer.status == 422
        assert answer.read() == bridged_application.PIECE * 2


def test_an_application_that_fails_is_a_500_and_the_next_request_is_answered(port: int) -> None:
    with called(port, "/fails") as answer:
        assert answer.status == 500
    assert told(port)["read"] == 0
