"""The language of an answer, negotiated as Django's LocaleMiddleware does: the language cookie, then `Accept-Language`.

For entrances that Django's middleware does not stand before. What both headers fail to say is settings.LANGUAGE_CODE.
"""

from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, parse_cookie
from django.utils.translation.trans_real import LANGUAGE_CODE_MAX_LENGTH, get_language_from_request

#: What an answer needs whose text depends on the language, so that a cache keeps the languages apart.
VARY = ("vary", "Accept-Language")


def negotiate(accept_language: str, cookie: str = "") -> str:
    """Return the language that a caller wants, by the values of the headers `Accept-Language` and `Cookie`."""
    if not accept_language and not cookie:
        return settings.LANGUAGE_CODE
    name = settings.LANGUAGE_COOKIE_NAME
    chosen = parse_cookie(cookie).get(name, "") if name in cookie else ""
    # Django reads no more of either, so what callers make up can't fill the memory.
    return _negotiate(accept_language[: LANGUAGE_CODE_MAX_LENGTH + 1], chosen[: LANGUAGE_CODE_MAX_LENGTH + 1])


@lru_cache(maxsize=512)
def _negotiate(accept_language: str, chosen: str) -> str:
    request = HttpRequest()
    request.META["HTTP_ACCEPT_LANGUAGE"] = accept_language
    if chosen:
        request.COOKIES[settings.LANGUAGE_COOKIE_NAME] = chosen
    return get_language_from_request(request)
