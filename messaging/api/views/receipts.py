"""Callbacks of providers. No API key: the signature is checked with the provider's own secret."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.api.schemas import ReceiptsOut
from messaging.configuration.flow import Resource
from messaging.receipts import receive
from posthaste.lib.flow import gate
from posthaste.lib.flow.views import FlowLimited
from posthaste.lib.jsonbodies import refuse_encoding
from posthaste.lib.problems import NotFound


class ReceiptIntake(FlowLimited):
    """`/api/receipts/{provider}/`."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = ()
    flow_resource = ""  # asked once it is known whose provider calls

    @extend_schema(
        summary="Receipts from a provider",
        description=(
            "Signed as Standard Webhooks defines it (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`; five minutes). "
            "Body: `{receipts: [{message_id | provider_message_id, status: delivered | failed, code?, detail?, at?}]}`, "
            "or whatever the provider's `receipts` mapping says. Each receipt is handled on its own: the answer counts the outcomes, and "
            "`problems` names those that were not understood or match no message."
        ),
        request=OpenApiTypes.OBJECT,
        responses=ReceiptsOut,
        auth=[],
    )
    def post(self, request: Request, provider: UUID) -> Response:
        row = receive.provider_for_receipts(provider)
        if row is None:
            raise NotFound
        self.flow_pass = gate.ask(Resource.CALLBACK, self.flow_values(request) | {"tenant": row.tenant.slug})
        refuse_encoding(request.headers.get("Content-Encoding", ""))
        body = request._request.body
        receive.verify(provider=row, body=body, headers=request.headers)
        return Response(receive.apply_receipts(provider=row, body=body, headers=request.headers, now=timezone.now()).as_dict())
