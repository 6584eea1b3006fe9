"""`POST /api/routing/classify/`: what texts are recognized as."""

import time
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from accounts.scopes import SandboxSafe
from posthaste.lib.problems import Invalid
from routing.api.intents.shapes import ClassifyIn, ClassifyOut
from routing.intents.live import Recognized, recognize
from routing.scopes import CLASSIFY


class Classify(TenantView):
    """`/api/routing/classify/`."""

    scopes = {"POST": CLASSIFY}
    sandbox_safe = {"POST": SandboxSafe.READS}

    @extend_schema(
        summary="Recognize the intent of texts",
        description="One `text`, or up to 100 `texts`. Nothing is stored.",
        request=ClassifyIn,
        responses={200: ClassifyOut},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(ClassifyIn)
        if ("text" in values) == ("texts" in values):
            raise Invalid.field("texts" if "text" in values else "text", _("Send either text or texts."), "required")
        began = time.perf_counter()
        found = recognize(values.get("texts") or [values["text"]], tenant_id=self.tenant_id)
        spent = (time.perf_counter() - began) * 1000
        return Response({"model": found[0].model, "milliseconds": round(spent, 2), "results": [_shown(one) for one in found]})


def _shown(one: Recognized) -> dict[str, Any]:
    return {
        "intent": one.intent or None,
        "confidence": one.confidence,
        "alternatives": [{"intent": name, "confidence": confidence} for name, confidence in one.alternatives],
        "language": one.language,
        "why_not": one.why_not or None,
    }
