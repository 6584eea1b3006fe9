"""The peers are believed by every other test, so they are tested themselves."""

import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import orjson
import pytest
from standardwebhooks import Webhook

from posthaste.env import ROOT
from posthaste.lib.http import GuardedClient
from tests import crowds
from tests.peers.gateway import Answer, Gateway, Received
from tests.peers.receiver import send_receipt

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
client = GuardedClient(("127.0.0.0/8",))


@pytest.fixture(autouse=True)
def _connections_are_closed() -> object:
    yield
    client.close()


def post(url: str, id_: str, body: bytes = b"{}") -> int:
    return client.request("POST", url, headers={"Idempotency-Key": id_}, body=body).status


def test_the_gateway_tells_what_it_took_and_how_often(gateway: Gateway) -> None:
    gateway.script(Answer(status=500))
    assert [post(gateway.url, "a"), post(gateway.url, "a"), post(gateway.url, "a"), post(gateway.url, "b")] == [500, 200, 200, 200]
    report = orjson.loads(client.request("GET", f"http://127.0.0.1:{gateway.port}/received").body)
    assert (report["asked"], report["taken"], report["distinct"], report["doubles"]) == (4, 3, 2, {"a": 2})


def test_the_log_holds_every_id_before_its_answer(tmp_path: Path) -> None:
    log = tmp_path / "received.log"
    with Gateway(log=str(log)) as gateway:
        post(gateway.url, "a")
        assert log.read_text() == "a 200 taken\n"
        post(gateway.bulk_url, "key", b'{"messages": [{"id": "b", "to": "1"}, {"id": "c", "to": "2"}]}')
        assert log.read_text() == "a 200 taken\nb 200 taken\nc 200 taken\n"


def test_requests_written_together_are_answered_in_order(gateway: Gateway) -> None:
    gateway.script(Answer(body="one", delay_ms=20))
    gateway.script(Answer(body="two"))
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.settimeout(5)
        sock.sendall(b"POST /send HTTP/1.1\r\nContent-Length: 0\r\n\r\n" * 2)
        seen = b""
        while b"two" not in seen:
            seen += sock.recv(4096)
    assert seen.index(b"one") < seen.index(b"two")


def test_two_hundred_connections_at_once_lose_nothing(gateway: Gateway) -> None:
    barrier = threading.Barrier(200)

    def send(number: int) -> None:
        with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
            barrier.wait(30)
            for turn in range(3):
                sock.sendall(f"POST /send HTTP/1.1\r\nIdempotency-Key: {number}-{turn}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
                assert sock.recv(4096).startswith(b"HTTP/1.1 200")

    crowds.at_once(*(partial(send, number) for number in range(200)))
    assert (len(gateway.counts()), gateway.connections) == (600, 200)


def test_a_receipt_is_signed_as_a_provider_would(gateway: Gateway) -> None:
    arrived: list[Received] = []
    gateway.on_message = arrived.append
    assert send_receipt(gateway.url, SECRET, "0192f0c1a2b37c4d8e9f001122334455") == 200
    assert arrived[0].body["receipts"][0]["message_id"] == "0192f0c1a2b37c4d8e9f001122334455"
    Webhook(SECRET).verify(orjson.dumps(arrived[0].body).decode().replace('":', '": ').replace(',"', ', "'), arrived[0].headers)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def test_the_receiver_prints_mail_texts_and_events_and_posts_receipts(gateway: Gateway) -> None:
    smtp_port, http_port = free_ports(2)
    command = [sys.executable, "-u", "-m", "tests.peers.receiver", "--smtp-port", str(smtp_port), "--http-port", str(http_port)]
    command += ["--receipts", gateway.url, "--secret", SECRET]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUTF8": "1"}) as process:
        try:
            assert process.stdout
            assert "Waiting" in process.stdout.readline()
            message = EmailMessage()
            message["Subject"], message["From"], message["To"] = "Grüße", "a@example.com", "b@example.com"
            message.set_content("Hello Bob")
            with smtplib.SMTP("127.0.0.1", smtp_port) as smtp:
                smtp.send_message(message)
            events = b'{"events": [{"id": "evt_1", "type": "conversation.opened", "data": {"id": "c-1"}}]}'
            post(f"http://127.0.0.1:{http_port}/hooks", "msg-1", events)
            post(f"http://127.0.0.1:{http_port}/send", "id-1", b'{"to": "+8613812345678", "text": "Your code"}')
            seen = ""
            while "answered 200" not in seen:
                line = process.stdout.readline()
                assert line, seen
                seen += line
            assert "Subject: Grüße" in seen
            assert "Hello Bob" in seen
            assert 'EVENT conversation.opened  {"id": "c-1"}' in seen
            assert "TEXT to +8613812345678" in seen
            assert "Your code" in seen
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert gateway.records[0].body["receipts"][0]["message_id"] == "id-1"


def test_a_port_in_use_is_one_clear_line(gateway: Gateway) -> None:
    command = [sys.executable, "-m", "tests.peers.receiver", "--smtp-port", str(free_ports(1)[0]), "--http-port", str(gateway.port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "cannot start" in done.stderr.splitlines()[-1]


def test_the_gateway_runs_as_a_process(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-u", "-m", "tests.peers.gateway", "--port", str(port), "--log", str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert str(port) in process.stdout.readline()
            base = f"http://127.0.0.1:{port}"
            client.request("POST", f"{base}/script", body=b'{"status": 503, "times": 2}')
            assert [post(f"{base}/send", "x") for _ in range(3)] == [503, 503, 200]
            process.kill()
            process.wait(10)
            assert (tmp_path / "log").read_text() == "x 503 refused\nx 503 refused\nx 200 taken\n"
        finally:
            process.kill()
