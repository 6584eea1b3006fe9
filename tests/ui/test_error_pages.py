"""Errors keep the frame of the page for those who have one."""

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from monitor import reference
from posthaste.lib import problem_responses

pytestmark = pytest.mark.django_db
HTML = {"Accept": "text/html"}


def staff(**fields: bool) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create(username="ann", is_staff=True, **fields))
    return client


def test_what_is_not_there_keeps_the_frame() -> None:
    answer = staff().get("/nowhere/", headers=HTML)
    assert answer.status_code == 404
    shown = answer.content.decode()
    assert 'id="rail"' in shown
    assert "There is nothing at this address" in shown


def test_what_is_not_allowed_keeps_the_frame() -> None:
    answer = staff().get(reverse("admin:accounts_user_changelist"), headers=HTML)
    assert answer.status_code == 403
    assert 'id="rail"' in answer.content.decode()


def test_a_stranger_sees_an_error_without_the_navigation() -> None:
    answer = Client().get("/nowhere/", headers=HTML)
    assert answer.status_code == 404
    assert 'id="rail"' not in answer.content.decode()


def test_an_error_of_ours_keeps_the_frame() -> None:
    request = RequestFactory().get("/", headers=HTML)
    request.user = User.objects.create(username="ann", is_staff=True)
    answer = problem_responses.server_error(request)
    assert answer.status_code == 500
    assert 'id="rail"' in answer.content.decode()


def test_an_error_whose_frame_fails_too_is_shown_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_request: object) -> dict[str, object]:
        raise ConnectionError

    monkeypatch.setattr(problem_responses, "frame_of", broken)
    answer = problem_responses.server_error(RequestFactory().get("/", headers=HTML))
    assert answer.status_code == 500
    assert "Nothing was partly saved" in answer.content.decode()


@pytest.mark.parametrize(
    ("language", "title", "text"),
    [
        ("en", "Something went wrong on our side", "Nothing was partly saved"),
        ("zh-hans", "服务器内部错误", "没有被部分保存"),
    ],
)
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_an_error_that_a_page_really_raised_is_shown_in_both_languages(
    monkeypatch: pytest.MonkeyPatch, is_signed_in: bool, language: str, title: str, text: str
) -> None:
    monkeypatch.setattr(reference, "every_problem", lambda: 1 / 0)
    client = staff() if is_signed_in else Client(raise_request_exception=False)
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    answer = client.get(reverse("docs-errors"), headers=HTML)
    shown = answer.content.decode()
    assert (answer.status_code, answer["Content-Type"]) == (500, "text/html; charset=utf-8")
    assert f"<h1>{title}</h1>" in shown
    assert text in shown
    assert f'<html lang="{language}"' in shown
    assert ('id="rail"' in shown) == is_signed_in
    assert "ZeroDivisionError" not in shown, "what went wrong is for the log"
