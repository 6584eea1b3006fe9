"""Whose request it is: the client's address behind however many proxies we were told of."""

from django.http import HttpRequest

from posthaste import env


def client_ip(request: HttpRequest) -> str:
    """This function will give the client's IP address.

    `X-Forwarded-For` is believed only as far back as TRUSTED_PROXIES says: what stands left of that was written by
    the client and may be anything.
    """
    remote = request.META.get("REMOTE_ADDR") or "127.0.0.1"
    proxies = env.load().trusted_proxies
    if proxies:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        if len(hops) >= proxies:
            return hops[-proxies]
    return remote.rpartition(":")[0] if remote.count(":") == 1 else remote
