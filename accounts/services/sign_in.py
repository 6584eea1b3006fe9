"""Signing in with a password can't be hammered: one budget of attempts for the admin and for every other door.

While Redis is away each process counts for itself, so that operators get in, and guessing is still slowed down.
"""

import time

from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited

from accounts.models import User
from posthaste.lib import redis
from posthaste.lib.addresses import client_ip

MAX_NAME = 150
PER_ADDRESS = "20/m"
PER_NAME = "10/m"
_here = LocMemCache("sign-in", {})


def _address(_group: str, request: HttpRequest) -> str:
    return client_ip(request)


def _name(_group: str, request: HttpRequest) -> str:
    # Cleaned as the sign-in form cleans it: white space and other forms of the same letters are no way round.
    return User.normalize_username(str(request.POST.get("username", "")).strip())[:MAX_NAME].strip().casefold()


def too_many_attempts(request: HttpRequest) -> bool:
    """Count one attempt, of the field `username` and from the request's address, and return whether it is one too many."""
    budgets = (("login-address", _address, PER_ADDRESS), ("login-name", _name, PER_NAME))
    try:
        over = [is_ratelimited(request, group=group, key=key, rate=rate, increment=True) for group, key, rate in budgets]
    except redis.Unavailable:
        over = [_is_over_here(f"{group}:{key(group, request)}", rate) for group, key, rate in budgets]
    return any(over)


def _is_over_here(name: str, rate: str) -> bool:
    """Count one attempt in this process, and return whether it is one too many in this minute."""
    name = f"{name}:{time.time() // 60:.0f}"
    _here.add(name, 0, timeout=120)
    return _here.incr(name) > int(rate.removesuffix("/m"))
