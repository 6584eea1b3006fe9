"""Signing in with a password can't be hammered: one budget of attempts for the admin and for every other door."""

from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited

from accounts.models import User
from posthaste.lib.addresses import client_ip

MAX_NAME = 150
PER_ADDRESS = "20/m"
PER_NAME = "10/m"


def _address(_group: str, request: HttpRequest) -> str:
    return client_ip(request)


def _name(_group: str, request: HttpRequest) -> str:
    # Cleaned as the sign-in form cleans it: white space and other forms of the same letters are no way round.
    return User.normalize_username(str(request.POST.get("username", "")).strip())[:MAX_NAME].strip().casefold()


def too_many_attempts(request: HttpRequest) -> bool:
    """Count one attempt, of the field `username` and from the request's address, and return whether it is one too many."""
    many = is_ratelimited(request, group="login-address", key=_address, rate=PER_ADDRESS, increment=True)
    return bool(is_ratelimited(request, group="login-name", key=_name, rate=PER_NAME, increment=True) or many)
