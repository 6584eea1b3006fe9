"""What pages and the API read of intents, utterances and models."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from routing.models import Intent, IntentModel, ModelState, Utterance, UtteranceState


def intents(tenant_id: int) -> "QuerySet[Intent]":
    """Return a tenant's intents with the number of their accepted and suggested utterances."""
    return counted(Intent.objects.filter(tenant_id=tenant_id))


def counted(rows: "QuerySet[Intent]") -> "QuerySet[Intent]":
    """Add to intents how many accepted, held-out and suggested utterances they have."""
    accepted = Q(utterances__state=UtteranceState.ACCEPTED)
    return rows.annotate(
        accepted=Count("utterances", filter=accepted),
        held_out=Count("utterances", filter=accepted & Q(utterances__held_out=True)),
        suggested=Count("utterances", filter=Q(utterances__state=UtteranceState.SUGGESTED)),
    )


def by_language(intent_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """Return how many accepted utterances intents have in each language, the most frequent first; one query."""
    rows = Utterance.objects.filter(intent_id__in=intent_ids, state=UtteranceState.ACCEPTED).order_by()
    found: dict[UUID, dict[str, int]] = defaultdict(dict)
    for intent_id, language, number in rows.values_list("intent_id", "language").annotate(n=Count("pk")).order_by("-n", "language"):
        found[intent_id][language] = number
    return found


def utterances(tenant_id: int) -> "QuerySet[Utterance]":
    """Return a tenant's utterances."""
    return Utterance.objects.filter(tenant_id=tenant_id).select_related("intent")


def suggestions(tenant_ids: Collection[int]) -> "QuerySet[Utterance]":
    """Return what waits to be labelled: corrections first, then what the model was least sure of."""
    waiting = Utterance.objects.filter(tenant_id__in=tenant_ids, state=UtteranceState.SUGGESTED)
    return waiting.select_related("intent", "tenant").order_by("source", "confidence", "pk")


def intent_models(tenant_id: int) -> "QuerySet[IntentModel]":
    """Return a tenant's versions without the models themselves."""
    return IntentModel.objects.filter(tenant_id=tenant_id).defer("artefact")


def active_models(tenant_ids: Iterable[int]) -> dict[int, IntentModel]:
    """Return the active version of tenants, without the models themselves, by tenant."""
    rows = IntentModel.objects.filter(tenant_id__in=tenant_ids, is_active=True, state=ModelState.READY)
    return {row.tenant_id: row for row in rows.defer("artefact")}


def f1_by_intent(model: IntentModel | None) -> dict[str, float]:
    """Return the F1 of each intent on the held-out texts of a version."""
    found: list[dict[str, Any]] = model.evaluation.get("intents", []) if model is not None else []
    return {str(one["intent"]): float(one["f1"]) for one in found if one.get("texts")}
