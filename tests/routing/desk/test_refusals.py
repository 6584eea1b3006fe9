"""What scripts of pages are told when they are refused: always a problem in JSON, never a page."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Tenant
from accounts.roles import Role
from posthaste.lib.flow import gate
from posthaste.lib.problems import TooMany
from tests.routing.desk.builders import Desk, ask, hold, make_desk, make_staff

pytestmark = pytest.mark.django_db
SCRIPT = {"Accept": "application/json"}
#: What answers a script, outside the API.
ADDRESSES = (
    "/desk/data/me/", "/desk/data/inbox/", "/desk/supervisor/charts/", "/monitor/figures/", "/admin/figures/", "/jobs/preview/",
    f"/jobs/runs/{uuid4()}/log/", "/config/modules/assignment/live/",
)  # fmt: skip


def told(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["Content-Type"], answer.json()["code"]


def problem(status: int, code: str) -> tuple[int, str, str]:
    return status, "application/problem+json", code


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_script_whose_session_has_ended_is_told_so(address: str) -> None:
    assert told(Client().get(address, headers=SCRIPT)) == problem(401, "signed_out")


def test_a_reader_whose_session_has_ended_is_led_to_the_login() -> None:
    assert Client().get("/desk/supervisor/", headers={"Accept": "text/html"}).status_code == 302


def test_a_script_without_the_right_is_told_so(tenant: Tenant) -> None:
    desk = Desk(make_staff(tenant, Role.AUTHOR))
    assert told(desk.client.get("/desk/supervisor/charts/", headers=SCRIPT)) == problem(403, "forbidden")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_an_old_token_is_no_page_for_a_script_and_says_what_to_do(tenant: Tenant, accept: str) -> None:
    desk = make_desk(tenant)
    conversation = hold(ask(tenant), desk.agent)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(desk.user)
    answer = strict.post(f"/desk/data/c/{conversation.pk}/reply/", "{}", content_type="application/json", headers={"Accept": accept})
    assert told(answer) == problem(403, "csrf")
    assert "Reload" in answer.json()["detail"]


def test_a_body_that_is_too_large_and_an_unknown_address_are_problems(tenant: Tenant, settings: Any) -> None:
    desk = make_desk(tenant)
    conversation = hold(ask(tenant), desk.agent)
    address = f"/desk/data/c/{conversation.pk}/reply/"
    assert told(desk.client.post(address, f'{{"text":"{"x" * 300_000}"}}', content_type="application/json")) == problem(413, "too_large")
    assert told(desk.client.get("/desk/data/nowhere/", headers={"Accept": "text/html"})) == problem(404, "not_found")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_024
    strict = Client(enforce_csrf_checks=True)  # the check reads the form for its token
    strict.force_login(desk.user)
    strict.cookies["csrftoken"] = "a" * 32
    assert told(strict.post("/desk/data/files/", {"text": "x" * 2_000}, headers=SCRIPT)) == problem(413, "too_large")


def test_too_many_requests_without_a_session_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> Any:
        raise TooMany(retry_after_seconds=7)

    monkeypatch.setattr(gate, "ask", refuse)
    answer = Client().get("/desk/data/me/", headers={"Accept": "text/html"})
    assert (*told(answer), answer.headers["Retry-After"]) == (*problem(429, "too_many_requests"), "7")
