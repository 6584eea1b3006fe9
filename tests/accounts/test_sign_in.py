"""Guessing passwords is slowed down by name and by address, however the name is written."""

import ipaddress
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from accounts.services.sign_in import too_many_attempts
from posthaste.lib.ids import new_id
from tests.services import Redis

pytestmark = pytest.mark.django_db


def attempts(name: str, number: int) -> list[bool]:
    """Try to sign in from an address that no other test has used up."""
    address = str(ipaddress.ip_address(int(ipaddress.ip_address("2001:db8::")) + secrets.randbits(80)))
    request = RequestFactory().post("/admin/login/", {"username": name}, REMOTE_ADDR=address)
    return [too_many_attempts(request) for _ in range(number)]


def wide(name: str) -> str:
    """Return a name in full-width letters, which NFKC makes the usual ones."""
    return "".join(chr(ord(letter) + 0xFEE0) for letter in name)


@pytest.fixture
def victim() -> str:
    """Return a name that no other test has used up: attempts are counted in Redis."""
    return f"victim{new_id().hex}"


@pytest.mark.parametrize(
    "write",
    [
        str.upper,
        "{} ".format,
        "\u3000{}".format,
        "\t{}\n".format,
        wide,
        lambda name: wide(name.upper()) + "\u3000",
        lambda name: " " * 500 + name,
    ],
)
def test_another_way_to_write_a_name_is_no_way_round_the_limit(write: Callable[[str], str], victim: str) -> None:
    assert attempts(victim, 10) == [False] * 10
    assert attempts(write(victim), 1) == [True]
    assert attempts(f"{victim}-another", 1) == [False]


def test_without_redis_attempts_are_counted_too(victim: str, own_redis: Redis, settings: Any) -> None:
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": own_redis.url_of(0)}}
    own_redis.stop()
    # A minute may begin in between, which begins a new budget.
    assert sum(attempts(victim, 30)) >= 10
    assert attempts(f"{victim}-another", 1) == [False]


def test_a_signed_in_user_stays_so_without_redis(client: Client, own_redis: Redis, settings: Any) -> None:
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": own_redis.url_of(0)}}
    own_redis.stop()
    User.objects.create_user("victim", password="a long password", is_staff=True)
    answer = client.post(reverse("admin:login"), {"username": "victim", "password": "a long password"})
    assert answer.status_code == 302
    assert client.get(reverse("admin:index")).status_code == 200
    client.post(reverse("admin:logout"))
    assert client.get(reverse("admin:index")).status_code == 302


def test_the_form_lets_the_same_user_in_under_each_spelling_that_is_counted_together(client: Client) -> None:
    User.objects.create_user("victim", password="a long password", is_staff=True)
    answer = client.post(reverse("admin:login"), {"username": "\u3000ｖｉｃｔｉｍ ", "password": "a long password"})
    assert answer.status_code == 302
