"""The templates of a request to an HTTP gateway, and what is checked when they are saved."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.utils.translation import gettext

from messaging.channels.channel import SMS
from posthaste.lib import http
from posthaste.lib.liquid import TemplateProblem, compile_template, render, variables_used

DEFAULT_WEBHOOK_BODY = (
    '{"id": {{ id | json }}{% if subject != "" %}, "subject": {{ subject | json }}{% endif %}, '
    '"text": {{ body | json }}, "reference": {{ reference | json }}, "metadata": {{ metadata | json }}}'
)
DEFAULT_BULK_BODY = (
    '{"messages": [{% for message in messages %}{"id": {{ message.id | json }}, "to": {{ message.recipient | json }}'
    '{% if message.subject != "" %}, "subject": {{ message.subject | json }}{% endif %}, "text": {{ message.body | json }}}'
    "{% unless forloop.last %}, {% endunless %}{% endfor %}]}"
)


class _AnyKey(dict[str, Any]):
    """The metadata of messages to come: whatever a template asks for is there."""

    def __missing__(self, key: str) -> str:
        return 'sample "7"'


#: What templates are tried with when they are saved: values that break JSON which does not use the `json` filter.
SAMPLE: dict[str, Any] = {
    "id": "0192f0c1a2b37c4d8e9f001122334455",
    "recipient": "+8613812345678",
    "subject": 'Say "hello"',
    "body": 'A "quoted" text\nwith a \\ and a second line',
    "html": "<p>A text</p>",
    "channel": "sms",
    "reference": 'order "7"',
    "metadata": _AnyKey(),
    "attempt": 1,
}

_OTHER = {"recipient": "+8613912345679", "subject": "Another", "body": "Another text", "html": "<p>Another</p>"}
#: A scheme and a host without variables: a recipient must not choose where the text goes.
_FIXED_HOST = re.compile(r"https?://[^/?#{}\\\s]+[/?#]", re.IGNORECASE)


def check_url(value: str) -> str:
    """Refuse what is not a plain http(s) address; whether it may be reached is decided when connecting."""
    if "{" in value or "}" in value:
        raise ValueError(gettext("A URL can't contain braces. Variables are written as {{ recipient }} and {{ body }}."))
    try:
        parts = urlsplit(value)
        good = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and value.isascii()
            and value.isprintable()
            and not set(value) & {" ", "\\"}
        )
    except ValueError:
        good = False
    if not good:
        raise ValueError(gettext("This is not an http or https address."))
    if "@" in parts.netloc:
        raise ValueError(gettext("The address must not contain a user name or password. Use a header."))
    if not http.is_address(value):
        raise ValueError(gettext("This is not an http or https address."))
    return value


def try_template(field: str, source: str, variables: dict[str, Any], *, json: bool, percent: bool = False) -> str:
    try:
        text = render(compile_template(source, roomy=not percent, percent=percent), variables)
    except TemplateProblem as problem:
        raise ValueError(f"{field}: {problem}") from None
    if json:
        try:
            orjson.loads(text)
        except ValueError:
            said = gettext("This is not JSON if the text has quotes or several lines. Write {{ body | json }} without quotes around it.")
            raise ValueError(f"{field}: {said}") from None
    return text


def is_template(url: str) -> bool:
    """Return whether a URL has variables."""
    return "{{" in url or "{%" in url


def fill_url(source: str, variables: dict[str, Any]) -> str:
    """Fill a URL in; each variable is percent-encoded.

    Raises:
        TemplateProblem: it can't be rendered.
        ValueError: the result is not an address, or a variable made it lead elsewhere.
    """
    url = check_url(render(compile_template(source, percent=True), variables))
    if any(part in (".", "..") for part in urlsplit(url).path.split("/")):  # no encoding keeps these from being a step up
        raise ValueError(gettext("A variable must not be . or .. in the path of a URL."))
    return url


def check_url_template(source: str) -> str:
    """Check a URL that may have variables, and return it.

    Raises:
        ValueError: with a sentence for the administrator.
    """
    if not is_template(source):
        return check_url(source)
    if not _FIXED_HOST.match(source):
        raise ValueError(gettext("Scheme and host can't contain a variable."))
    try:
        fill_url(source, SAMPLE)
    except TemplateProblem as problem:
        raise ValueError(str(problem)) from None
    return source


def check_lookup_url(source: str) -> None:
    """Check the URL that asks for one message.

    Raises:
        ValueError: with a sentence for the administrator.
    """
    check_url(try_template("lookup_url", source, {"id": SAMPLE["id"]}, json=False))
    if "id" not in variables_used(source):
        raise ValueError("lookup_url: " + gettext("Must contain {{ id }}: without it, the answer would be the same for all messages."))


def check_bulk_body(source: str, *, json: bool) -> None:
    """Check the body of a request for several messages.

    Raises:
        ValueError: with a sentence for the administrator.
    """
    usual = try_template("bulk.body", source, {"messages": [SAMPLE, SAMPLE]}, json=json)
    if usual == try_template("bulk.body", source, {"messages": [SAMPLE, SAMPLE | _OTHER]}, json=json):
        raise ValueError("bulk.body: " + gettext("Contains neither the recipient nor the text of a message."))


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestTemplates:
    """What a request is made of."""

    url: str
    body: str
    method: str
    channel: str
    is_form: bool

    def check(self) -> None:
        """Refuse templates that leave out what a message is: a gateway would take it, and nothing would arrive.

        Raises:
            ValueError: with the field and a sentence for the administrator.
        """
        is_get = self.method == "GET"
        field = "url" if is_get else "body"
        if not is_get and not self.body:
            return  # the default has all
        if not self._has("recipient", "subject", "body", "html"):
            said = gettext("Contains neither the recipient nor the text. Use {{ recipient }} and {{ body }}.")
            raise ValueError(f"{field}: {said}")
        if self.channel == SMS and not self._has("recipient"):
            raise ValueError(f"{field}: " + gettext("For SMS, {{ recipient }} is required."))

    def _has(self, *names: str) -> bool:
        """Return whether a request uses one of the variables."""
        sources = [self.url] if self.method == "GET" else [self.url, self.body]
        return any(is_template(source) and not variables_used(source).isdisjoint(names) for source in sources)
