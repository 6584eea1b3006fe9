"""The portal chat over HTTP: signed visitors, lines, files that only ever download, and which sites may call."""

import json
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from routing.entrances.portal import frames, sessions, signing
from routing.models import Attachment, Entrance, EntranceKind, Identity, IdentityKind, Line, PortalSession
from routing.processing import process
from tests.builders import json_of
from tests.routing.builders import make_entrance
from tests.routing.conversations.builders import FORMS

pytestmark = pytest.mark.django_db

SITE = "https://shop.example.com"
SECRET = "s" * 40


@pytest.fixture
def entrance() -> Entrance:
    return make_entrance(settings={"sites": [SITE]}, secrets={"signing_secret": SECRET})


class Browser:
    """Calls of a page on the site."""

    def __init__(self, entrance: Entrance, *, origin: str = SITE) -> None:
        self.client, self.origin, self.token = Client(), origin, ""
        self.base = f"/chat/{entrance.pk}"

    def _headers(self) -> dict[str, str]:
        found = {"Origin": self.origin} if self.origin else {}
        return found | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(f"{self.base}/{path}/", orjson.dumps(body or {}), content_type="application/json", headers=self._headers())

    def get(self, path: str, **query: str) -> Any:
        return self.client.get(f"{self.base}/{path}/", query, headers=self._headers())

    def upload(self, name: str, content: bytes) -> Any:
        return self.client.post(f"{self.base}/files/", {"file": SimpleUploadedFile(name, content)}, headers=self._headers())

    def begin(self, **body: Any) -> "Browser":
        response = self.post("session", body)
        assert response.status_code == 201, response.content
        self.token = json_of(response)["token"]
        return self


def signed(*, secret: str = SECRET, **fields: Any) -> dict[str, str]:
    """Return an identity as the site's server signs it."""
    expires = int((timezone.now() + timedelta(minutes=5)).timestamp())
    payload = orjson.dumps({"id": "4711", "name": "Ada", "expires": expires, **fields}).decode()
    return {"payload": payload, "signature": signing.signature_of(payload, secret)}


def test_a_visitor_writes_and_reads_without_a_cookie_or_an_account(entrance: Entrance) -> None:
    browser = Browser(entrance).begin(name="Ada")
    first = browser.post("lines", {"client_id": "c1", "text": "Hello"})
    again = browser.post("lines", {"client_id": "c1", "text": "Hello"})
    assert [(answer.status_code, json_of(answer)["known"]) for answer in (first, again)] == [(202, False), (202, True)]
    process.process_arrivals()

    answer = json_of(browser.get("lines"))

    assert [(line["seq"], line["text"], line["client_id"]) for line in answer["lines"]] == [(1, "Hello", "c1")]
    assert (answer["more"], answer["snapshot"]["status"], answer["snapshot"]["queue"]["position"]) == (False, "queued", 1)
    place = {"conversation": answer["lines"][0]["conversation"], "after": "1"}
    assert json_of(browser.get("lines", **place))["lines"] == []
    assert browser.post("read", {"seq": 1}).status_code == 204
    assert not browser.client.cookies
    assert "recognition" not in orjson.dumps(answer).decode()


def test_a_signed_visitor_is_the_same_customer_on_every_device(entrance: Entrance) -> None:
    for _device in range(2):
        Browser(entrance).begin(identity=signed(email="ada@example.com"))
    identity = Identity.objects.get(kind=IdentityKind.OWN)
    assert identity.value == "4711"
    assert PortalSession.objects.filter(identity=identity).count() == 2


@pytest.mark.parametrize(
    ("fields", "instead", "said"),
    [
        ({"secret": "x" * 40}, {}, "does not fit"),
        ({}, {"payload": '{"id": "4712", "expires": 9999999999}'}, "does not fit"),
        ({"expires": 1_000_000_000}, {}, "has expired"),
        ({"expires": 9_999_999_999}, {}, "valid for too long"),
        ({"id": ""}, {}, "1 to 250"),
        ({"role": "admin"}, {}, "not understood"),
    ],
)
def test_an_identity_that_is_not_signed_well_is_refused(
    entrance: Entrance, fields: dict[str, Any], instead: dict[str, str], said: str
) -> None:
    response = Browser(entrance).post("session", {"identity": signed(**fields) | instead})
    assert response.status_code == 401
    assert json_of(response)["code"] == "identity_not_signed"
    assert said in json_of(response)["detail"]
    assert not Identity.objects.exists()


def test_an_entrance_may_take_signed_visitors_only() -> None:
    entrance = make_entrance(settings={"sites": [SITE], "must_sign": True}, secrets={"signing_secret": SECRET})
    assert Browser(entrance).post("session").status_code == 401
    Browser(entrance).begin(identity=signed())


def test_only_a_hash_of_the_token_is_kept(entrance: Entrance) -> None:
    browser = Browser(entrance).begin()
    session = PortalSession.objects.get()
    assert session.digest == sessions.digest_of(browser.token)
    assert browser.token not in str(vars(session))


def test_a_session_that_has_ended_reads_and_writes_nothing(entrance: Entrance) -> None:
    browser = Browser(entrance).begin()
    PortalSession.objects.update(expires_at=timezone.now())
    answers = [browser.get("lines"), browser.post("lines", {"client_id": "c", "text": "x"}), browser.upload("a.txt", b"x")]
    assert [(answer.status_code, json_of(answer)["code"]) for answer in answers] == [(401, "session_ended")] * 3


def test_a_token_is_good_for_its_own_entrance_only(entrance: Entrance) -> None:
    other = Browser(make_entrance(entrance.tenant, settings={"sites": [SITE]}))
    other.token = Browser(entrance).begin().token
    assert other.get("lines").status_code == 401


@pytest.mark.parametrize(("origin", "status"), [(SITE, 201), ("", 201), ("http://testserver", 201), ("https://evil.example.com", 403)])
def test_only_the_sites_of_an_entrance_may_call_it(entrance: Entrance, origin: str, status: int) -> None:
    response = Browser(entrance, origin=origin).post("session")
    assert response.status_code == status
    assert response.headers.get("Access-Control-Allow-Origin") == (origin if origin and status == 201 else None)


def test_a_browser_may_ask_before_it_calls(entrance: Entrance) -> None:
    response = Client().options(f"/chat/{entrance.pk}/lines/", headers={"Origin": SITE, "Access-Control-Request-Method": "POST"})
    assert response.status_code == 204
    assert response["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert "Access-Control-Allow-Credentials" not in response


def test_pages_may_be_framed_by_the_entrances_sites_only(entrance: Entrance) -> None:
    response = Browser(entrance).post("session")
    assert f"frame-ancestors 'self' {SITE};" in response["Content-Security-Policy"] + ";"
    assert "X-Frame-Options" not in response
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(("kind", "fields"), [(EntranceKind.WEBHOOK, {}), (EntranceKind.PORTAL, {"is_enabled": False})])
def test_what_is_no_chat_is_not_found(kind: EntranceKind, fields: dict[str, Any]) -> None:
    response = Browser(make_entrance(kind=kind, **fields)).post("session")
    assert (response.status_code, json_of(response)["code"]) == (404, "not_found")


def test_an_address_that_begins_too_many_sessions_is_told_to_wait() -> None:
    entrance = make_entrance(settings={"sites": [SITE], "sessions_per_minute": 2})
    answers = [Browser(entrance).post("session") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[-1]["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("body", "field"),
    [({"text": "x"}, "client_id"), ({"client_id": "c", "text": 5}, "text"), ({"client_id": "c", "text": "x", "role": "admin"}, "role")],
)
def test_a_wrong_line_is_refused_with_its_field(entrance: Entrance, body: dict[str, Any], field: str) -> None:
    response = Browser(entrance).begin().post("lines", body)
    assert (response.status_code, json_of(response)["errors"][0]["field"]) == (422, field)


def test_a_file_is_sent_with_a_line_and_served_as_a_download_only(entrance: Entrance) -> None:
    browser = Browser(entrance).begin()
    uploaded = json_of(browser.upload("../<b>plan</b>.svg", b"<svg onload='alert(1)'/>"))
    assert (uploaded["name"], uploaded["type"]) == ("b_.svg", "application/octet-stream")
    assert browser.post("lines", {"client_id": "c1", "files": [uploaded["id"]]}).status_code == 202
    assert json_of(browser.post("lines", {"client_id": "c1", "files": [uploaded["id"]]}))["known"] is True
    process.process_arrivals()
    (file,) = json_of(browser.get("lines"))["lines"][0]["files"]

    response = Client().get(file["url"])

    assert response.content == b"<svg onload='alert(1)'/>"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert (response["X-Content-Type-Options"], response["Content-Type"]) == ("nosniff", "application/octet-stream")
    assert not response.cookies


def test_the_address_of_a_file_expires_and_cannot_be_made_up(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(entrance).begin()
    file = json_of(browser.upload("a.txt", b"hi"))
    browser.post("lines", {"client_id": "c1", "files": [file["id"]]})
    process.process_arrivals()
    address = json_of(browser.get("lines"))["lines"][0]["files"][0]["url"]
    assert Client().get(address).status_code == 200
    assert Client().get(address[:-4] + "xxx/").status_code == 404
    monkeypatch.setattr(frames, "FILE_SECONDS", -1)
    assert Client().get(address).status_code == 404


def test_one_visitor_can_neither_send_nor_read_the_file_of_another(entrance: Entrance) -> None:
    ada, bo = Browser(entrance).begin(), Browser(entrance).begin()
    file = json_of(ada.upload("a.txt", b"hi"))
    response = bo.post("lines", {"client_id": "c1", "files": [file["id"]]})
    assert (response.status_code, json_of(response)["errors"][0]["field"]) == (422, "files[0]")
    assert Attachment.objects.get().line_id is None
    assert not Line.objects.exists()


@pytest.mark.parametrize(("content", "code"), [(b"", "empty"), (b"x" * (1024 * 1024 + 1), "too_large")])
def test_an_empty_or_too_large_file_is_refused(content: bytes, code: str) -> None:
    entrance = make_entrance(settings={"sites": [SITE], "max_file_mib": 1})
    response = Browser(entrance).begin().upload("a.bin", content)
    assert (response.status_code, json_of(response)["errors"][0]["code"]) == (422, code)


@pytest.mark.parametrize(("kind", "body", "code"), FORMS)
def test_a_form_without_the_file_is_refused_with_its_field_and_what_to_do(entrance: Entrance, kind: str, body: bytes, code: str) -> None:
    browser = Browser(entrance).begin()
    response = browser.client.post(f"{browser.base}/files/", body, content_type=kind, headers=browser._headers())
    (error,) = json_of(response)["errors"]
    assert (response.status_code, error["field"], error["code"]) == (422, "file", code)


def test_a_body_longer_than_any_file_names_the_field_too(entrance: Entrance) -> None:
    browser = Browser(entrance).begin()
    said: dict[str, Any] = {"content_type": "multipart/form-data; boundary=x", "CONTENT_LENGTH": "99999999"}
    response = browser.client.post(f"{browser.base}/files/", b"", headers=browser._headers(), **said)
    assert (response.status_code, json_of(response)["errors"][0]["field"]) == (413, "file")


@pytest.mark.both_stacks
def test_a_name_with_nul_and_marks_that_turn_text_around_is_kept_without_them(entrance: Entrance) -> None:
    browser = Browser(entrance).begin(name="A\x00da\u202e", language="z\x00h")
    session = PortalSession.objects.select_related("identity").get()
    assert (browser.token != "", session.identity.name, session.language) == (True, "A da", "z h")


@pytest.mark.parametrize("identifier", [" ", "erased:4711", "\u202e4711"])
def test_a_signed_id_that_would_be_stored_as_another_one_begins_no_session(entrance: Entrance, identifier: str) -> None:
    refused = Browser(entrance).post("session", {"identity": signed(id=identifier)})
    assert (refused.status_code, json_of(refused)["code"]) == (401, "identity_not_signed")
    assert not Identity.objects.exists()


def test_a_signed_attribute_with_a_number_of_400_digits_is_left_out(entrance: Entrance) -> None:
    expires = int((timezone.now() + timedelta(minutes=5)).timestamp())
    payload = json.dumps({"id": "4711", "expires": expires, "attributes": {"points": 10**400, "level": "gold"}})
    Browser(entrance).begin(identity={"payload": payload, "signature": signing.signature_of(payload, SECRET)})
    assert list(Identity.objects.get().customer.attributes.values_list("name", flat=True)) == ["level"]


@pytest.mark.parametrize("origin", ["null", "http://[::1", "https://shop.example.com@evil.example", "http://testserver.evil.example"])
def test_an_origin_that_is_none_of_the_sites_is_refused_however_it_is_written(entrance: Entrance, origin: str) -> None:
    assert Browser(entrance, origin=origin).post("session").status_code == 403


def test_a_file_goes_into_one_line_even_before_that_line_is_processed(entrance: Entrance) -> None:
    browser = Browser(entrance).begin()
    file = json_of(browser.upload("a.txt", b"hi"))["id"]
    answers = [browser.post("lines", {"client_id": name, "files": [file]}) for name in ("c1", "c2")]
    assert [answer.status_code for answer in answers] == [202, 422]
    process.process_arrivals()
    assert [line.attachments.count() for line in Line.objects.all()] == [1]
