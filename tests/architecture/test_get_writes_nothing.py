"""A GET changes nothing: tried at every address, for a tenant and an installation in which nothing was ever done."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from messaging.configuration.flow import flow_rules
from tests.architecture.routes import Route, every_route
from tests.architecture.test_tenants import SAMPLES, Owned, path_of
from tests.builders import Api, configure, make_api, make_tenant

pytestmark = pytest.mark.django_db
#: Tables that a GET may write to, and why.
MAY_WRITE = {"accounts_auditentry": "the audit trail names who took out a list as a file"}
WRITES = re.compile(r"\b(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE|DELETE\s+FROM|REPLACE\s+INTO)\s+[\"`](\w+)", re.IGNORECASE)


class Written:
    """The tables that were written to, by what was asked."""

    def __init__(self) -> None:
        self.by_address: dict[str, set[str]] = {}

    @contextmanager
    def by(self, address: str) -> Iterator[None]:
        """Watch the statements of the block."""

        def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            for table in WRITES.findall(sql):
                if table not in MAY_WRITE:
                    self.by_address.setdefault(address, set()).add(table)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(watch):
            yield


@pytest.fixture(autouse=True)
def _no_limits() -> Iterator[None]:
    """Let nothing be refused for asking too often."""
    configure(flow_rules, rules=[])
    with flow_rules.set(rules=[]):
        yield


def pages() -> list[Route]:
    return [route for route in every_route() if not route.pattern.startswith("api/")]


def reader() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


def test_a_write_is_seen() -> None:
    written = Written()
    with written.by("making a tenant"):
        tenant = make_tenant()
        tenant.save()
        tenant.delete()
    assert written.by_address["making a tenant"] >= {"accounts_tenant"}


def test_no_page_writes_where_nothing_is() -> None:
    written, client, answered = Written(), reader(), 0
    make_tenant()
    for route in pages():
        with written.by(f"GET {route.path}"):
            answer = client.get(route.path, headers={"Accept": "text/html"})
        answered += answer.status_code == 200
    assert written.by_address == {}
    assert answered > 40, "most pages without a parameter answer"


def test_no_page_of_a_module_writes_before_it_is_changed_first() -> None:
    written, client = Written(), reader()
    modules = [route for route in pages() if "<slug:name>" in route.pattern and route.pattern.startswith("config/")]
    assert modules
    for route in modules:
        with written.by(str(route)):
            client.get(re.sub(r"<\w+:\w+>", "1", f"/{route.pattern.replace('<slug:name>', 'queues')}"))
    assert written.by_address == {}


def test_no_address_of_the_api_writes_where_nothing_is() -> None:
    written, api = Written(), make_api(make_tenant(is_operator=True))
    _call_all(written, api, lambda route: route.path)
    assert written.by_address == {}


def test_no_address_of_the_api_writes_where_something_is(acme: Owned) -> None:
    written = Written()
    _call_all(written, make_api(acme.tenant), lambda route: path_of(route, acme) if route.pattern in SAMPLES else route.path)
    assert written.by_address == {}


def _call_all(written: Written, api: Api, path: Any) -> None:
    for route in every_route():
        if route.pattern.startswith("api/"):
            with written.by(f"GET {route}"):
                assert api.get(path(route)).status_code < 500, route
