"""What a link's address does: for a person, for a scanner, and when it does no more."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from messaging.models import Suppression
from routing.configuration import links_and_cache
from routing.links import cleaning, codes, handlers
from routing.links.handlers import Handler
from routing.models import IdentityKind, LinkClick, LinkPurpose, SafeLink
from tests.builders import make_tenant
from tests.routing.builders import make_customer, make_identity
from tests.routing.customers.builders import make_attachment
from tests.routing.links.builders import make_link, path_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


def outcomes() -> list[str]:
    return [*LinkClick.objects.order_by("pk").values_list("outcome", flat=True)]


def test_a_scanner_uses_nothing_up_and_a_person_one_use(client: Client) -> None:
    made = make_link(max_uses=1)
    for method in ("get", "head", "get"):
        assert getattr(client, method)(path_of(made)).status_code == 200
    assert SafeLink.objects.get().uses == 0
    page = client.post(path_of(made)).content.decode()
    assert 'content="0; url=https://www.example.com/orders/1042?a=1&amp;b=2"' in page
    assert client.post(path_of(made)).status_code == 410
    assert SafeLink.objects.get().uses == 1
    assert outcomes() == ["shown", "shown", "shown", "used", "used_up"]


def test_the_page_says_where_it_leads_and_is_kept_by_no_one(client: Client) -> None:
    answer = client.get(path_of(make_link()), headers={"Accept-Language": "en"})
    text = answer.content.decode()
    assert "www.example.com" in text
    assert "<script" not in text
    assert 'name="viewport"' in text
    assert (answer["Cache-Control"], answer["Referrer-Policy"], answer["X-Robots-Tag"]) == ("no-store", "no-referrer", "noindex, nofollow")
    assert not answer.cookies
    assert "default-src 'self'" in answer["Content-Security-Policy"]


def test_without_a_warning_an_unlimited_link_leads_there_at_once(client: Client) -> None:
    made = make_link()
    with links_and_cache.set(warn_before_leaving=False):
        answer = client.get(path_of(made))
    assert (answer.status_code, answer["Location"], answer["Cache-Control"]) == (302, made.row.target, "no-store")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"revoked_at": timezone.now()}, "revoked"),
        ({"max_uses": 2, "uses": 2}, "used_up"),
        ({"target": "https://10.0.0.1/"}, "unavailable"),
    ],
)
def test_a_link_that_works_no_more_says_why(client: Client, change: dict[str, Any], outcome: str) -> None:
    made = make_link()
    SafeLink.objects.update(**change)
    assert client.get(path_of(made)).status_code == 410
    assert client.post(path_of(made)).status_code == 410
    assert outcomes() == [outcome, outcome]


def test_an_expired_link_does_nothing(client: Client) -> None:
    made = make_link(now=timezone.now() - timedelta(hours=2), hours=1)
    assert client.post(path_of(made)).status_code == 410
    assert outcomes() == ["expired"]


def test_no_address_is_guessed_from_the_database_or_changed(client: Client) -> None:
    made = make_link()
    code, signature = codes.split(path_of(made).removeprefix("/l/").rstrip("/")) or ("", "")
    assert code not in str(made.row.__dict__)
    for path in (f"/l/{code}/", f"/l/{code}{'A' * 12}/", f"/l/{code[::-1]}{signature}/", "/l/x/", f"/l/{made.row.digest}/"):
        assert client.get(path).status_code == 404, path
    SafeLink.objects.update(expires_at=timezone.now() + timedelta(days=900))
    assert client.get(path_of(made)).status_code == 404, "the signature covers the expiry"


def test_hosts_are_checked_when_a_link_is_made_and_when_it_is_opened(client: Client) -> None:
    made = make_link()
    with links_and_cache.set(allowed_hosts=["*.example.com"]):
        assert client.get(path_of(made)).status_code == 200
    with links_and_cache.set(allowed_hosts=["example.com"]):
        assert client.get(path_of(made)).status_code == 410


def test_an_attachment_is_a_download_that_runs_nowhere(client: Client) -> None:
    file = make_attachment(name='bill "€".html')
    made = make_link(file.tenant, LinkPurpose.ATTACHMENT, data={"attachment": str(file.pk)})
    answer = client.get(path_of(made))
    assert answer.content == bytes(file.content)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == "attachment; filename=\"bill____.html\"; filename*=UTF-8''bill%20%22%E2%82%AC%22.html"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert (answer["X-Content-Type-Options"], answer["Cache-Control"]) == ("nosniff", "no-store")
    assert not answer.cookies


def test_unsubscribing_takes_a_post_and_suppresses_the_identity(client: Client) -> None:
    identity = make_identity(make_customer(), IdentityKind.EMAIL, value="ada@example.com")
    made = make_link(identity.tenant, LinkPurpose.UNSUBSCRIBE, data={"identity": str(identity.pk), "category": "news"})
    assert client.get(path_of(made)).status_code == 200
    assert not Suppression.objects.exists()
    assert client.post(path_of(made)).status_code == 200
    entry = Suppression.objects.get()
    assert (entry.recipient, entry.channel, entry.category, entry.reason) == ("ada@example.com", "email", "news", "unsubscribe")


def test_what_fails_is_not_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: Any) -> Any:
        raise RuntimeError("the survey is not ready")

    def check(*_given: Any) -> None: ...

    handler = Handler(perform=fail, words=lambda _link: {"title": "Rate"}, acts=True, check=check)
    monkeypatch.setitem(handlers._handlers, LinkPurpose.SATISFACTION, handler)
    made = make_link(purpose=LinkPurpose.SATISFACTION, max_uses=1)
    assert Client(raise_request_exception=False).post(path_of(made)).status_code == 500
    assert SafeLink.objects.get().uses == 0
    monkeypatch.delitem(handlers._handlers, LinkPurpose.SATISFACTION)
    assert Client().post(path_of(made)).status_code == 410, "nothing is installed for this purpose"


def test_what_is_old_is_removed_and_the_rest_stays(client: Client) -> None:
    now = timezone.now()
    make_link(now=now - timedelta(days=200), hours=1)
    kept = make_link()
    client.get(path_of(kept))
    assert cleaning.remove_old_links(now=now) == 1
    assert (SafeLink.objects.get().pk, LinkClick.objects.count()) == (kept.row.pk, 1)


def test_a_click_is_logged_with_its_network_only(client: Client) -> None:
    client.get(path_of(make_link()), REMOTE_ADDR="203.0.113.77", headers={"User-Agent": "Scanner/1.0\x07"})
    click = LinkClick.objects.get()
    assert (click.method, click.network, click.user_agent) == ("GET", "203.0.113.0/24", "Scanner/1.0")


@pytest.mark.django_db(transaction=True)
def test_of_many_who_take_the_last_use_at_once_one_gets_it() -> None:
    made = make_link(make_tenant(), max_uses=1)
    gate, found = threading.Barrier(6), list[int]()

    def work() -> None:
        gate.wait(10)
        found.append(Client().post(path_of(made)).status_code)
        connection.close()

    threads = [threading.Thread(target=work) for _number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [200, 410, 410, 410, 410, 410]
