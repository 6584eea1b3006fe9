"""The configuration of an HTTP gateway."""

import re
from typing import Self

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from messaging.channels.base import CredentialConfig
from messaging.channels.http.templates import (
    DEFAULT_BULK_BODY,
    SAMPLE,
    RequestTemplates,
    check_bulk_body,
    check_lookup_url,
    check_url,
    check_url_template,
    try_template,
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTENT_TYPE = r"^[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+(; ?[A-Za-z0-9_-]+=[A-Za-z0-9_-]+)*$"
_RANGE = re.compile(r"\s*([1-5][0-9]{2})\s*(?:-\s*([1-5][0-9]{2})\s*)?")
#: Set by the adapter or by the connection itself.
_RESERVED_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "idempotency-key", "content-type", "expect", "upgrade"}
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ErrorMapping(_Part):
    """What an answer of the gateway means. The first that fits decides; those with `match` or `path` also look at 2xx answers."""

    status: int | None = Field(None, ge=100, le=599, description=_("HTTP status it applies to. Empty: any."))
    match: str = Field("", max_length=200, description=_("Text that the response contains."))
    path: str = Field("", max_length=200, description=_("Dotted path into the JSON response, such as error.code."))
    value: str | int | bool | None = Field(None, description=_("Value at the path. Empty: any value but null."))
    code: str = Field(min_length=1, max_length=64, description=_("Posthaste error code."))
    permanent: bool = Field(False, description=_("The message will never be accepted."))
    hard_bounce: bool = Field(False, description=_("The recipient does not exist and is added to the suppression list."))
    retry_after: float | None = Field(None, ge=0, le=86_400, description=_("Seconds to wait before the next attempt."))

    @model_validator(mode="after")
    def says_when(self) -> Self:
        if self.status is None and not self.match and not self.path:
            raise ValueError(gettext("Give at least one of status, match and path."))
        return self


class BulkConfig(_Part):
    """How the gateway takes many messages in one request."""

    url: str = Field(description=_("URL for bulk requests."))
    size: int = Field(100, ge=2, le=100, description=_("Maximum messages per request."))
    body: str = Field(DEFAULT_BULK_BODY, max_length=20_000, description=_("Liquid template with the list `messages`."))
    results_path: str = Field(
        "",
        max_length=200,
        description=_("Dotted path to the list of results. Empty: a successful request means that all messages were accepted."),
    )
    id_field: str = Field("id", max_length=100, description=_("Message ID in a result. Empty: results are in the order of the messages."))
    status_field: str = Field("", max_length=100, description=_("Status in a result. Empty: a result without an error code is accepted."))
    success_values: list[str] = Field(default_factory=lambda: ["ok", "accepted", "queued", "sent", "success", "true", "0"], max_length=20)
    message_id_field: str = Field("", max_length=100, description=_("The gateway's ID in a result."))
    error_code_field: str = Field("", max_length=100, description=_("Error code in a refused result."))
    permanent_codes: list[str] = Field(default_factory=list, max_length=200, description=_("Error codes of permanent failures."))

    @field_validator("url")
    @classmethod
    def url_is_http(cls, value: str) -> str:
        return check_url(value)


class ReceiptConfig(_Part):
    """Where a receipt's parts are. The default is {"receipts": [{…}]} or one such object."""

    items_path: str = Field(
        "receipts", max_length=200, description=_("Dotted path to the list of receipts. Empty: the whole body is one receipt.")
    )
    message_id_field: str = Field("message_id", max_length=100, description=_("Message ID."))
    provider_message_id_field: str = Field("provider_message_id", max_length=100, description=_("The gateway's ID."))
    status_field: str = Field("status", max_length=100)
    delivered_values: list[str] = Field(default_factory=lambda: ["delivered"], min_length=1, max_length=20)
    failed_values: list[str] = Field(default_factory=lambda: ["failed", "undelivered", "rejected", "expired"], max_length=20)
    code_field: str = Field("code", max_length=100)
    detail_field: str = Field("detail", max_length=100)
    at_field: str = Field("at", max_length=100, description=_("ISO 8601 with zone, or seconds since 1970."))
    bounce_field: str = Field("bounce", max_length=100, description=_("Contains `hard` if the recipient does not exist."))
    hard_values: list[str] = Field(
        default_factory=lambda: ["hard", "permanent"],
        max_length=20,
        description=_("Values that add the recipient to the suppression list."),
    )


class HttpConfig(CredentialConfig):
    """A gateway that takes messages over HTTP."""

    url: str = Field(
        "",
        max_length=2048,
        description=_(
            "URL of the gateway, or a Liquid template with the variables of the body, which are percent-encoded. "
            "Leave it empty for the channel webhook: there the recipient is the URL."
        ),
    )
    method: str = Field("POST", pattern="^(POST|PUT|PATCH|GET)$")
    headers: dict[str, SecretStr] = Field(default_factory=dict, max_length=30, description=_("Sent with each request. Values are secret."))
    body: str = Field(
        "",
        max_length=20_000,
        description=_("Liquid template; variables id, recipient, subject, body, html, channel, reference, metadata, attempt."),
    )
    content_type: str = Field(
        "application/json", max_length=100, pattern=r"^[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+(; ?[A-Za-z0-9_-]+=[A-Za-z0-9_-]+)*$"
    )
    success_codes: str = Field(
        "200-299", max_length=200, description=_("Statuses that mean accepted: numbers and ranges, separated by commas.")
    )
    error_codes: list[ErrorMapping] = Field(default_factory=list, max_length=100)
    message_id_path: str = Field(
        "", max_length=200, description=_("Dotted path to the gateway's ID in a JSON response, such as data.0.id.")
    )
    idempotent: bool = Field(False, description=_("The gateway ignores a second request with the same Idempotency-Key."))
    timeout_seconds: float = Field(10.0, ge=0.1, le=25, description=_("Maximum time for one request."))
    signing_secret: SecretStr | None = Field(
        None, description=_("Signs each body according to standardwebhooks.com: whsec_ followed by base64.")
    )
    bulk: BulkConfig | None = None
    receipts: ReceiptConfig = Field(default_factory=ReceiptConfig)
    lookup_url: str = Field(
        "", max_length=2048, description=_("Liquid template with id. 200 means that the gateway has the message, 404 that it does not.")
    )

    @property
    def is_form(self) -> bool:
        """Whether the body is a form, in which variables are percent-encoded."""
        return self.content_type.startswith("application/x-www-form-urlencoded")

    @field_validator("url")
    @classmethod
    def url_is_http(cls, value: str) -> str:
        return check_url_template(value) if value else value

    @field_validator("headers")
    @classmethod
    def headers_are_sound(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _TOKEN.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
                raise ValueError(gettext("The header {name} can't be set here.").format(name=name))
            text = secret.get_secret_value()
            if not text.isascii() or not text.isprintable():
                raise ValueError(gettext("The value of {name} must be one line of ASCII.").format(name=name))
            if "{{" in text or "{%" in text:
                raise ValueError(gettext("The value of {name} is sent as it is. It can't contain a template.").format(name=name))
        return value

    @field_validator("success_codes")
    @classmethod
    def codes_parse(cls, value: str) -> str:
        parse_codes(value)
        return value

    @field_validator("signing_secret")
    @classmethod
    def secret_is_usable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                Webhook(value.get_secret_value())
            except (ValueError, RuntimeError, EmptyWebhookSecretError):
                raise ValueError(gettext("Must be whsec_ followed by base64.")) from None
        return value

    @model_validator(mode="after")
    def parts_fit(self, info: ValidationInfo) -> Self:
        channel = (info.context or {}).get("channel")
        if channel and not self.url and channel != "webhook":
            raise ValueError("url: " + gettext("Give the address of the gateway. Only the channel webhook may leave it empty."))
        if self.bulk and not self.url:
            raise ValueError("bulk: " + gettext("Needs a url."))
        if self.method == "GET" and self.body:
            raise ValueError("body: " + gettext("A GET request has no body. Choose another method, or leave it empty."))
        if self.method == "GET" and self.bulk:
            raise ValueError("bulk: " + gettext("A GET request has no body. Choose another method, or leave it empty."))
        if self.body:
            try_template("body", self.body, SAMPLE, json="json" in self.content_type, percent=self.is_form)
        RequestTemplates(url=self.url, body=self.body, method=self.method, channel=channel or "", is_form=self.is_form).check()
        if self.bulk:
            check_bulk_body(self.bulk.body, json="json" in self.content_type)
        if self.lookup_url:
            check_lookup_url(self.lookup_url)
        return self


def parse_codes(text: str) -> frozenset[int]:
    """Read `200-299, 409` as the set of statuses it means."""
    codes: set[int] = set()
    for part in text.split(","):
        found = _RANGE.fullmatch(part)
        if not found:
            raise ValueError(gettext("Give statuses as numbers and ranges, such as 200-299, 409."))
        first, last = int(found[1]), int(found[2] or found[1])
        codes.update(range(first, last + 1))
    return frozenset(codes)
