"""Callbacks of providers. No API key: the signature is checked with the provider's own secret."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from messaging.services import receipts
from posthaste.lib.problems import NotFound


class ReceiptIntake(APIView):
    """`/api/receipts/{provider}/`."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = ()

    @extend_schema(
        summary="Receipts from a provider",
        description=(
            "Signed as Standard Webhooks defines it (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`; five minutes). "
            "Body: `{receipts: [{message_id | provider_message_id, status: delivered | failed, code?, detail?, at?}]}`, "
            "or whatever the provider's `receipts` mapping says. Answers how many were applied, duplicate, late and unmatched."
        ),
        request=OpenApiTypes.OBJECT,
        responses=OpenApiTypes.OBJECT,
        auth=[],
    )
    def post(self, request: Request, provider: UUID) -> Response:
        row = receipts.provider_for_receipts(provider)
        if row is None:
            raise NotFound
        body = request._request.body
        receipts.verify(provider=row, body=body, headers=request.headers)
        counts = receipts.apply_receipts(provider=row, body=body, headers=request.headers, now=timezone.now())
        return Response({name: counts.get(name, 0) for name in receipts.ReceiptOutcome.values})
