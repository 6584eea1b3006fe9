import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from posthaste.lib.http import BrokenOff, GuardedClient, Refused, TimedOut, host_name, is_permitted
from tests import crowds
from tests.builders import poll
from tests.peers.certificate import make_certificate
from tests.peers.gateway import Answer, Gateway

LOCAL = ("127.0.0.0/8",)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Make look-ups give these addresses, one list a look-up, and collect the names asked for."""
    asked: list[str] = []
    waiting = list(answers)

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        addresses = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.0.170",
        "192.88.99.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "4000::1",
        "6000::1",
        "8000::1",
        "1000::1",
        "fc00::1",
        "::ffff:0:127.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
        "2001:db8::1",
        "3fff::1",
        "3ffe::1",
        "5f00::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_permitted(ip_address(address), ())


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1", "3000::1"])
def test_a_public_address_is_permitted(address: str) -> None:
    assert is_permitted(ip_address(address), ())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "169.254.169.254", "[::ffff:127.0.0.1]"]
)
def test_no_way_of_writing_an_inner_address_gets_through(host: str) -> None:
    with pytest.raises(Refused) as caught:
        GuardedClient().request("GET", f"http://{host}:8000/")
    assert caught.value.code in ("blocked_address", "dns")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://example.com/", "http://", "http://user:pass@example.com/", "http://host:99999/", "//host/"]
)
def test_what_is_not_a_plain_http_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="http"):
        GuardedClient().request("GET", url)


def test_an_allowed_network_may_be_reached(gateway: Gateway) -> None:
    answer = GuardedClient(LOCAL).request("POST", gateway.url, body=b'{"to": "x"}', headers={"Idempotency-Key": "a1"})
    assert answer.status == 200
    assert gateway.counts() == {"a1": 1}


def test_a_name_with_one_public_and_one_inner_address_never_reaches_the_inner_one(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, ["127.0.0.1", "203.0.113.7", "8.8.8.8"])
    assert [answer[4][0] for answer in GuardedClient().check_host("mixed.example", 80)] == ["8.8.8.8"]


def test_the_connection_goes_to_the_address_that_was_checked_without_a_second_lookup(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    asked = resolve_to(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    answer = GuardedClient(LOCAL).request("GET", f"http://rebound.example:{gateway.port}/received")
    assert answer.status == 200
    assert asked == ["rebound.example"]


def test_every_new_connection_is_checked_again(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    resolve_to(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    client = GuardedClient(LOCAL)
    url = f"http://rebound.example:{gateway.port}/send"
    gateway.script(Answer(headers={"Connection": "close"}))
    client.request("POST", url, body=b"{}")
    client.close()
    with pytest.raises(Refused) as caught:
        client.request("POST", url, body=b"{}")
    assert caught.value.code == "blocked_address"


def test_the_host_header_holds_the_name(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    resolve_to(monkeypatch, ["127.0.0.1"])
    GuardedClient(LOCAL).request("POST", f"http://name.example:{gateway.port}/send", body=b"{}")
    assert gateway.records[0].headers["host"] == f"name.example:{gateway.port}"


def test_tls_verifies_the_certificate_for_the_name_although_the_address_is_pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate, context = make_certificate(tmp_path, "good.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    resolve_to(monkeypatch, ["127.0.0.1"])
    with Gateway(tls=context) as gateway:
        client = GuardedClient(LOCAL)
        assert client.request("GET", f"https://good.example:{gateway.port}/received").status == 200
        with pytest.raises(Refused) as caught:
            client.request("POST", f"https://bad.example:{gateway.port}/send", body=b"{}")
        assert caught.value.code == "tls"
        assert gateway.asked == {}


def test_a_self_signed_certificate_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    _, context = make_certificate(tmp_path, "127.0.0.1")
    with Gateway(tls=context) as gateway:
        with pytest.raises(Refused):
            GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}")
        assert gateway.asked == {}


def test_a_redirect_is_not_followed(gateway: Gateway) -> None:
    gateway.script(Answer(status=302, headers={"Location": "http://169.254.169.254/"}))
    assert GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}").status == 302


def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert GuardedClient(LOCAL).request("GET", f"http://127.0.0.1:{gateway.port}/received").status == 200


def test_a_refused_connection_means_nothing_was_sent() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Refused) as caught:
        GuardedClient(LOCAL).request("POST", f"http://127.0.0.1:{port}/", body=b"{}")
    assert not caught.value.sent


def test_a_name_that_does_not_resolve_means_nothing_was_sent() -> None:
    with pytest.raises(Refused) as caught:
        GuardedClient(LOCAL).request("POST", "http://no-such-host.invalid/", body=b"{}")
    assert caught.value.code == "dns"


def test_silence_after_the_request_is_a_time_out_with_sent(gateway: Gateway) -> None:
    gateway.script(Answer(action="hang"))
    with pytest.raises(TimedOut) as caught:
        GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}", total_timeout=0.2)
    assert caught.value.sent


def test_a_handshake_that_hangs_is_a_time_out_without_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(TimedOut) as caught:
            GuardedClient(LOCAL).request("POST", f"https://127.0.0.1:{server.getsockname()[1]}/", body=b"{}", total_timeout=0.2)
        assert not caught.value.sent


@pytest.mark.parametrize("action", ["reset", "garbage"])
def test_a_broken_answer_is_broken_off_with_sent(gateway: Gateway, action: str) -> None:
    gateway.script(Answer(action=action))  # type: ignore[arg-type]
    with pytest.raises(BrokenOff) as caught:
        GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}")
    assert caught.value.sent


def test_a_body_that_is_cut_off_is_broken_off(gateway: Gateway) -> None:
    gateway.script(Answer(body=b"short", headers={"Content-Length": "1000", "Connection": "close"}))
    with pytest.raises((BrokenOff, TimedOut)) as caught:
        GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}", total_timeout=0.3)
    assert caught.value.sent


@pytest.mark.parametrize("status", [200, 204, 500])
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_the_status_counts_without_the_whole_body_if_that_is_not_needed(gateway: Gateway, status: int, connection: str) -> None:
    gateway.script(Answer(status=status, body=b"short", headers={"Content-Length": "1000", "Connection": connection}))
    client = GuardedClient(LOCAL)
    answer = client.request("POST", gateway.url, body=b"{}", total_timeout=0.3, needs_body=False)
    assert answer.status == status
    assert b"short".startswith(answer.body)
    assert client.request("POST", gateway.url, body=b"{}", needs_body=False).status == 200  # on another connection


@pytest.mark.parametrize("answer", [Answer(action="hang"), Answer(action="reset"), Answer(action="garbage"), Answer(action="drip")])
def test_without_all_headers_there_is_no_answer_either_way(gateway: Gateway, answer: Answer) -> None:
    gateway.script(answer)
    with pytest.raises((BrokenOff, TimedOut)) as caught:
        GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}", total_timeout=0.3, needs_body=False)
    assert caught.value.sent


def test_a_server_that_drips_cannot_hold_the_thread(gateway: Gateway) -> None:
    gateway.script(Answer(action="drip", body="x" * 1000))
    with pytest.raises(TimedOut):  # all of it takes 50 s
        GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}", total_timeout=0.4)


def test_a_huge_answer_is_cut(gateway: Gateway) -> None:
    gateway.script(Answer(body=b"x" * 3_000_000))
    client = GuardedClient(LOCAL)
    answer = client.request("POST", gateway.url, body=b"{}", max_body=1000)
    assert (len(answer.body), answer.truncated) == (1000, True)
    assert client.request("POST", gateway.url, body=b"{}").status == 200


def test_a_compressed_answer_is_not_unpacked(gateway: Gateway) -> None:
    gateway.script(Answer(body=b"\x1f\x8b raw", headers={"Content-Encoding": "gzip"}))
    assert GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}").body == b"\x1f\x8b raw"


def test_a_line_break_in_a_header_is_refused(gateway: Gateway) -> None:
    with pytest.raises(Refused):
        GuardedClient(LOCAL).request("POST", gateway.url, headers={"X-A": "b\r\nX-C: d"}, body=b"{}")
    assert gateway.asked == {}


def test_a_request_on_a_used_connection_that_ends_without_an_answer_is_not_repeated(gateway: Gateway) -> None:
    """Libcurl would send it again by itself; the gateway may have acted upon the first."""
    client = GuardedClient(LOCAL)
    client.request("POST", gateway.url, body=b"{}", headers={"Idempotency-Key": "first"})
    gateway.script(Answer(action="reset"))
    with pytest.raises(BrokenOff) as caught:
        client.request("POST", gateway.url, body=b"{}", headers={"Idempotency-Key": "second"})
    assert caught.value.sent
    assert (gateway.asked, gateway.connections) == ({"first": 1, "second": 1}, 1)


def test_a_connection_that_the_server_has_closed_meanwhile_is_replaced(gateway: Gateway) -> None:
    """With a word of warning or without: nothing is sent on it, so nothing becomes unknown."""
    client = GuardedClient(LOCAL)
    gateway.script(Answer(headers={"Connection": "close"}))
    for key in ("first", "second"):
        assert client.request("POST", gateway.url, body=b"{}", headers={"Idempotency-Key": key}).status == 200
    for transport in list(gateway._open):
        gateway._loop.call_soon_threadsafe(transport.close)
    poll(lambda: not gateway._open, what="the gateway has hung up")
    assert client.request("POST", gateway.url, body=b"{}", headers={"Idempotency-Key": "third"}).status == 200
    assert (gateway.asked, gateway.connections) == ({"first": 1, "second": 1, "third": 1}, 3)


def test_a_gateway_that_went_away_between_two_requests_was_not_asked() -> None:
    client = GuardedClient(LOCAL)
    with Gateway() as passing:
        client.request("POST", passing.url, body=b"{}")
    with pytest.raises(Refused) as caught:
        client.request("POST", passing.url, body=b"{}")
    assert not caught.value.sent


@pytest.mark.parametrize(("method", "body"), [("POST", None), ("PUT", b"{}"), ("DELETE", None), ("GET", None), ("POST", b"")])
def test_methods_take_turns_on_one_connection(gateway: Gateway, method: str, body: bytes | None) -> None:
    client = GuardedClient(LOCAL)
    for called in ("POST", method, "GET", method):
        answer = client.request(called, gateway.url, body=b"{}" if called == "POST" and body is None else body)
        assert answer.status == 200
    assert gateway.connections == 1


def test_an_answer_to_head_has_no_body_and_the_connection_goes_on(gateway: Gateway) -> None:
    client = GuardedClient(LOCAL)
    assert client.request("GET", f"http://127.0.0.1:{gateway.port}/received").body
    assert client.request("HEAD", f"http://127.0.0.1:{gateway.port}/received", total_timeout=2).body == b""


def test_headers_are_found_however_they_are_written_and_empty_ones_are_sent(gateway: Gateway) -> None:
    gateway.script(Answer(headers={"RETRY-after": "7"}))
    answer = GuardedClient(LOCAL).request("POST", gateway.url, body=b"{}", headers={"X-Empty": "", "X-Text": "grün"})
    assert answer.headers["Retry-After"] == "7"
    sent = gateway.records[0].headers
    assert sent["x-empty"] == ""
    assert "accept" not in sent
    assert "content-type" not in sent


def test_connections_are_reused_among_threads(gateway: Gateway) -> None:
    client = GuardedClient(LOCAL)

    def send() -> None:
        for _ in range(50):
            client.request("POST", gateway.url, body=b"{}", headers={"Idempotency-Key": "k"})

    crowds.at_once(*[send] * 8)
    assert gateway.counts() == {"k": 400}
    assert gateway.connections <= 8


def test_a_connection_that_was_idle_for_long_is_not_reused(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    client = GuardedClient(LOCAL)
    client.request("POST", gateway.url, body=b"{}")
    monkeypatch.setattr("posthaste.lib.http.MAX_IDLE_SECONDS", -1.0)
    client.request("POST", gateway.url, body=b"{}")
    assert gateway.connections == 2


def test_the_client_speaks_to_servers_with_a_modern_context_only() -> None:
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("urls", "name"),
    [
        (["http://127.0.0.1:9421/a", "http://127.1:9421", "http://127.0.0.1.:9421/", "http://2130706433:9421/?b"], "127.0.0.1:9421"),
        (["https://Shop.Example.com", "https://shop.example.com.:443/x", "http://shop.example.com:080/", "http://u:p@shop.example.com/"],
         "shop.example.com"),
        (["http://[::1]:8080/", "http://[0:0:0:0:0:0:0:1]:8080/a"], "[::1]:8080"),
        (["https://m\u00fcnchen.example/", "https://xn--mnchen-3ya.example/"], "xn--mnchen-3ya.example"),
    ],
)  # fmt: skip
def test_a_host_has_one_name_however_it_is_written(urls: list[str], name: str) -> None:
    assert [host_name(url) for url in urls] == [name] * len(urls)


@pytest.mark.parametrize(
    "url", ["", "nowhere", "http://[::1", "http://127.0.0.1:9421\\[x", "http://a b/", "http://a:99999/", "http://" + "a" * 3_000]
)
def test_naming_a_host_never_fails_and_is_short(url: str) -> None:
    assert len(host_name(url)) <= 200
