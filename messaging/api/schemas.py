"""How the API reference describes what msgspec decodes: generated from the same classes, so it can't differ."""

from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from messaging.intake.bodies import BatchIn, MessageIn, RecipientIn
from messaging.intake.duplicates import Duplicates
from messaging.intake.prepare import MAX_RECIPIENTS

#: Header fields of the answers to a message or a batch, as `posthaste.lib.flow.headers` makes them.
LIMIT_HEADERS = [
    OpenApiParameter(
        "RateLimit",
        str,
        OpenApiParameter.HEADER,
        response=[202, 429],
        description='The limit with the least left, such as `"accept-window";r=9313;t=58`: `r` units, and `t` seconds until the first of '
        "those in use come back (draft-ietf-httpapi-ratelimit-headers-10). Other answers to a request that was counted carry it too. "
        "Missing where no limit holds.",
    ),
    OpenApiParameter(
        "RateLimit-Policy",
        str,
        OpenApiParameter.HEADER,
        response=[202, 429],
        description='Every limit that the request had to pass, such as `"accept-rate";q=1000;w=1`: `q` units in `w` seconds, or `q` '
        "requests at once. On the same answers as `RateLimit`.",
    ),
    OpenApiParameter(
        "Retry-After",
        int,
        OpenApiParameter.HEADER,
        response=[429],
        description="Seconds until the same request fits, if no other request comes first. Missing: waiting does not help, the batch is "
        "larger than the limit itself; send smaller ones.",
    ),
]
TOO_MANY = {
    (429, "application/problem+json"): OpenApiResponse(
        {"$ref": "#/components/schemas/Problem"}, description="A limit was reached, or too much waits already. Nothing was stored."
    )
}


def _schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    found: dict[str, Any] = components[schema["$ref"].rsplit("/", 1)[1]]
    if "channel" in found["properties"]:
        found["properties"]["channel"] = {"$ref": "#/components/schemas/OpenChannel"}
    return found


def message_request() -> dict[str, Any]:
    """Return the JSON schema of a single message."""
    return _schema_of(MessageIn)


def batch_request() -> dict[str, Any]:
    """Return the JSON schema of a batch with its rows."""
    schema = _schema_of(BatchIn)
    schema["properties"]["recipients"] = {"type": "array", "minItems": 1, "maxItems": MAX_RECIPIENTS, "items": _schema_of(RecipientIn)}
    schema["properties"]["on_error"] = {"enum": ["reject", "skip"], "default": "reject"}
    schema["properties"]["duplicates"] = {
        "enum": [choice.value for choice in Duplicates],
        "default": "drop",
        "description": "What becomes of rows with the same recipient and the same content as an earlier row: the variables that the "
        "template uses are equal. `drop` leaves them out, `reject` treats them as invalid, `send` sends them all.",
    }
    return schema


class AcceptedOut(serializers.Serializer[dict[str, Any]]):
    """Answer to a single message."""

    id = serializers.UUIDField()
    trace_id = serializers.CharField(help_text="The id as a W3C trace-id: 32 hex digits.")
    status = serializers.CharField(help_text="pending: accepted and stored.")
    segments = serializers.IntegerField(required=False, help_text="SMS only: segments it will take.")


class RejectedOut(serializers.Serializer[dict[str, Any]]):
    """One bad row of a batch."""

    index = serializers.IntegerField()
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class DroppedRowOut(serializers.Serializer[dict[str, Any]]):
    """A row of a batch that repeats an earlier one."""

    index = serializers.IntegerField()
    same_as = serializers.IntegerField(help_text="Index of the row that it repeats.")


class DuplicatesOut(serializers.Serializer[dict[str, Any]]):
    """The rows of a batch that were left out as duplicates."""

    dropped = serializers.IntegerField(help_text="How many.")
    rows = DroppedRowOut(many=True, help_text="The first 100 of them.")


class BatchAcceptedOut(serializers.Serializer[dict[str, Any]]):
    """Answer to a batch."""

    batch_id = serializers.UUIDField()
    accepted = serializers.IntegerField()
    rejected = RejectedOut(many=True)
    duplicates = DuplicatesOut()


class ReceiptProblemOut(serializers.Serializer[dict[str, Any]]):
    """One receipt of a callback that changed nothing."""

    index = serializers.IntegerField(help_text="Its place in the callback, from 0.")
    outcome = serializers.ChoiceField(choices=["invalid", "unmatched"])
    message = serializers.CharField()


class ReceiptsOut(serializers.Serializer[dict[str, Any]]):
    """Answer to a callback: how many receipts had which outcome."""

    applied = serializers.IntegerField()
    duplicate = serializers.IntegerField(help_text="The message had this state already.")
    late = serializers.IntegerField(help_text="The message had another outcome already, which it keeps.")
    unmatched = serializers.IntegerField(help_text="This provider carried no such message.")
    invalid = serializers.IntegerField(help_text="Not understood: without an id or a status.")
    problems = ReceiptProblemOut(many=True, help_text="The first 100 that are invalid or unmatched.")


class NodeOut(serializers.Serializer[dict[str, Any]]):
    """One node of a trace."""

    name = serializers.ChoiceField(choices=["queue", "process", "send", "callback"])
    duration_ms = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(
        choices=["ok", "failed", "waiting", "never"], help_text="never: the message has ended without coming there."
    )


class AnswerOut(serializers.Serializer[dict[str, Any]]):
    """Where a message or a batch is, and why, in one sentence."""

    code = serializers.CharField(help_text="The state and its reason as one word, such as scheduled, breaker_open, batch_paused.")
    text = serializers.CharField(help_text="The sentence, in the language of the request.")
    until = serializers.DateTimeField(allow_null=True, help_text="Until when it waits, where that is known.")


class SpanOut(serializers.Serializer[dict[str, Any]]):
    """A part of a message's time."""

    kind = serializers.ChoiceField(choices=["scheduled", "waiting", "process", "send", "callback", "ended"])
    start_ms = serializers.IntegerField(help_text="Since the message was accepted.")
    duration_ms = serializers.IntegerField()
    attempt = serializers.IntegerField(required=False)
    provider = serializers.CharField(required=False)
    code = serializers.CharField(required=False, help_text="Why the call failed.")
    is_open = serializers.BooleanField(required=False, help_text="It goes on.")


class PercentilesOut(serializers.Serializer[dict[str, Any]]):
    """How long the messages of a batch spent in one place, in milliseconds."""

    name = serializers.ChoiceField(choices=["queue", "process", "send", "callback", "until_sent"])
    messages = serializers.IntegerField(help_text="Of how many messages that is known; process and send of the latest 500.")
    p50_ms = serializers.IntegerField(allow_null=True)
    p95_ms = serializers.IntegerField(allow_null=True)
    p99_ms = serializers.IntegerField(allow_null=True)


class BatchProgressOut(serializers.Serializer[dict[str, Any]]):
    """How a batch gets on."""

    batch_id = serializers.UUIDField()
    status = serializers.CharField()
    left = serializers.IntegerField(help_text="Messages without an outcome.")
    per_second = serializers.FloatField(help_text="Messages that left each second, over the last 30 seconds.")
    left_seconds = serializers.FloatField(allow_null=True, help_text="Until it has ended at this rate; null: nothing has left lately.")
    answer = AnswerOut()
    nodes = PercentilesOut(many=True)


class TraceStatisticsOut(serializers.Serializer[dict[str, Any]]):
    """How long the message took from when it was due, and which percentage of its calls was accepted (null: none was made)."""

    total_duration_ms = serializers.IntegerField()
    success_rate = serializers.FloatField(allow_null=True)


class TraceOut(serializers.Serializer[dict[str, Any]]):
    """The way of a message."""

    trace_id = serializers.CharField()
    message_id = serializers.UUIDField()
    status = serializers.CharField()
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field of this name
        choices=["trace", "message"], help_text="message: the trace has expired; the times are the message's own."
    )
    nodes = NodeOut(many=True)
    statistics = TraceStatisticsOut()
    answer = AnswerOut()
    spans = SpanOut(many=True)
    events = serializers.ListField(child=serializers.DictField())
