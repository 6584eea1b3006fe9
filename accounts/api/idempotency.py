"""How the API reference describes requests that do something once for an `Idempotency-Key`."""

from drf_spectacular.utils import OpenApiParameter

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1–128 characters of your choice. Same key and body: the same answer for 24 hours; another body: 409.",
)
REPLAYED = OpenApiParameter(
    "Idempotent-Replayed",
    str,
    OpenApiParameter.HEADER,
    enum=["true"],
    response=[201, 202],
    description="The Idempotency-Key is known: this is the answer of the first time.",
)
