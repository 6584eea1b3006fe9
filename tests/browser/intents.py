"""What concerns intents: their lists, the queue of texts to label, an import, and versions of the model."""

from typing import Any
from uuid import uuid4

from django.urls import reverse
from django.utils import timezone

from routing.intents.starting_rows import load_starting_set
from routing.models import Intent, IntentModel, ModelState, Utterance, UtteranceSource, UtteranceState
from tests.browser.scene import Scene
from tests.builders import TESTER
from tests.routing.intents.builders import make_utterance, make_version


def intent_pages(scene: Scene) -> dict[str, str]:
    """Load the starting set, and return the addresses of the pages by name."""
    tenant = scene.tenant
    load_starting_set(tenant_id=tenant.pk, by=TESTER, now=timezone.now())
    intent = Intent.objects.get(tenant=tenant, name="order_status")
    unsure: dict[str, Any] = {"state": UtteranceState.SUGGESTED, "source": UtteranceSource.UNSURE, "guess": intent.name, "confidence": 0.41}
    for text in ("it said Tuesday and now nothing at all", "can you look into my thing from last week, the big one, before the weekend?"):
        make_utterance(tenant, text, **unsure)
    make_utterance(tenant, "怎么还没消息", intent, state=UtteranceState.SUGGESTED, source=UtteranceSource.CORRECTION, language="zh")
    started = IntentModel.objects.get(tenant=tenant)
    compared = {"version": started.number, "accuracy": 0.93, "macro_f1": 0.92, "intents": started.evaluation["intents"]}
    newer = make_version(tenant, number=2, evaluation={**started.evaluation, "compared": compared, "trained_with": 1_900}, sha256="ab" * 32)
    far: dict[str, Any] = {"progress_done": 9, "progress_total": 15, "progress_note": "Calibration", "lease_token": uuid4()}
    training = make_version(tenant, number=3, state=ModelState.TRAINING, activates_if_better=True, **far)
    failed = make_version(tenant, number=4, state=ModelState.FAILED, error="interrupted")
    return {
        "intents": reverse("admin:routing_intent_changelist"),
        "intent": reverse("admin:routing_intent_change", args=[intent.pk]),
        "new intent": reverse("admin:routing_intent_add"),
        "deleting an intent": reverse("admin:routing_intent_delete", args=[intent.pk]),
        "starting set": reverse("admin:routing_intent_starting_set"),
        "utterances": reverse("admin:routing_utterance_changelist"),
        "utterance": reverse("admin:routing_utterance_change", args=[Utterance.objects.filter(intent=intent)[0].pk]),
        "new utterances": reverse("admin:routing_utterance_add"),
        "texts to label": reverse("admin:routing_utterance_label"),
        "import of utterances": reverse("admin:routing_utterance_import"),
        "intent models": reverse("admin:routing_intentmodel_changelist"),
        "version to be trained": reverse("admin:routing_intentmodel_add"),
        "active version": reverse("admin:routing_intentmodel_change", args=[started.pk]),
        "newer version": reverse("admin:routing_intentmodel_change", args=[newer.pk]),
        "version in training": reverse("admin:routing_intentmodel_change", args=[training.pk]),
        "version that failed": reverse("admin:routing_intentmodel_change", args=[failed.pk]),
    }
