"""Training as people ask for it: started, cancelled, begun again if its task was lost, ended if its worker was.

A version is a row first. Its task only says "look at this row", so it may come late, twice or never.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from jobs.registry import job
from posthaste.lib import queues
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.models import Intent, IntentModel, ModelState, Utterance, UtteranceState

log = structlog.get_logger(__name__)
TASK = "routing.train"
#: A version that waits is published again after this.
AGAIN = timedelta(seconds=30)
#: Training texts that each intent needs at least.
LEAST_TEXTS = 3
LEAST_INTENTS = 2
INTERRUPTED = "interrupted"


def start_training(*, tenant_id: int, activates_if_better: bool = False, by: Actor, now: datetime) -> IntentModel:
    """Begin a new version of a tenant's model, trained by `worker-aux`.

    Raises:
        Conflict: one is being trained already.
        Invalid: there are too few utterances; the detail says of what.
    """
    check_utterances(tenant_id=tenant_id)
    number = (IntentModel.objects.filter(tenant_id=tenant_id).aggregate(most=Max("number"))["most"] or 0) + 1
    model = IntentModel(
        tenant_id=tenant_id,
        number=number,
        state=ModelState.TRAINING,
        activates_if_better=activates_if_better,
        created_by=str(by)[:150],
        created_at=now,
    )
    try:
        with transaction.atomic():
            model.save(force_insert=True)
            audit.record(
                by=by,
                action=Action.MODEL_TRAIN,
                target=f"#{number}",
                tenant_id=tenant_id,
                detail={"version": number, "activates_if_better": activates_if_better},
            )
            transaction.on_commit(lambda: publish(model.pk))
    except IntegrityError:
        raise Conflict(_("A version is being trained already. Wait for it, or cancel it.")) from None
    return model


def check_utterances(*, tenant_id: int) -> None:
    """Check that a tenant has enough accepted utterances to train a model.

    Raises:
        Invalid: it has not.
    """
    trains = Count("utterances", filter=Q(utterances__state=UtteranceState.ACCEPTED, utterances__held_out=False))
    sizes = dict(Intent.objects.filter(tenant_id=tenant_id).order_by("name").annotate(n=trains).filter(n__gt=0).values_list("name", "n"))
    if len(sizes) < LEAST_INTENTS:
        told = _("At least {n} intents need utterances. Add some, import a file, or load the starting set.").format(n=LEAST_INTENTS)
        raise Invalid(told)
    if small := [name for name, number in sizes.items() if number < LEAST_TEXTS]:
        told = _("Each intent needs at least {n} utterances that are not held out. Too few: {names}.").format(
            n=LEAST_TEXTS, names=", ".join(small[:10])
        )
        raise Invalid(told)


@transaction.atomic
def cancel_training(*, model: IntentModel, by: Actor, now: datetime) -> IntentModel:
    """Cancel the training of a version. If it has begun, its process ends within two seconds.

    Raises:
        Conflict: it is not being trained.
    """
    waiting = IntentModel.objects.filter(pk=model.pk, state=ModelState.TRAINING)
    ended = waiting.filter(lease_token=None).update(state=ModelState.CANCELLED, finished_at=now)
    if not ended and not waiting.update(cancel_requested=True):
        raise Conflict(_("This version is not being trained."))
    audit.record(by=by, action=Action.MODEL_CANCEL, target=f"#{model.number}", tenant_id=model.tenant_id, detail={"version": model.number})
    model.refresh_from_db(fields=["state", "finished_at", "cancel_requested"])
    return model


def publish(model_id: UUID) -> None:
    """Tell the workers of a version that waits. What the broker refuses is published by `sweep_training` later."""
    try:
        current_app.send_task(TASK, args=[str(model_id)], expires=AGAIN.total_seconds())
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises: the row is there, and is looked at again
        log.warning("training waits for the broker", model=str(model_id), error=type(error).__name__)


def publish_waiting() -> None:
    """Tell the workers of the version that has waited longest, as there is room for one again."""
    waiting = IntentModel.objects.filter(state=ModelState.TRAINING, lease_token=None).order_by("pk")
    if (first := waiting.values_list("pk", flat=True).first()) is not None:
        publish(first)


def is_any_training() -> bool:
    """Return whether a version of any tenant is being trained, or waits for it."""
    return IntentModel.objects.filter(state=ModelState.TRAINING).exists()


@job(
    "routing.sweep_training",
    title=gettext_lazy("Look after training"),
    purpose=gettext_lazy("Ends the training of intent models whose worker is gone, and begins those whose task was lost."),
    every=timedelta(seconds=10),
    timeout=timedelta(seconds=30),
    queue=queues.NOTIFICATION,
    is_needed=is_any_training,
)
def sweep_training(*, now: datetime) -> None:
    """End what no worker trains any more, and publish again what waits."""
    lost = IntentModel.objects.filter(state=ModelState.TRAINING, lease_until__lt=now)
    if ended := lost.update(state=ModelState.FAILED, error=INTERRUPTED, finished_at=now, lease_token=None, lease_until=None):
        log.warning("training was interrupted", versions=ended)
    waiting = IntentModel.objects.filter(state=ModelState.TRAINING, lease_token=None, created_at__lt=now - AGAIN)
    for pk in waiting.order_by("pk").values_list("pk", flat=True)[:20]:
        publish(pk)


def examples(*, tenant_id: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the accepted texts of a tenant with the names of their intents, empty where out of scope: those that train, those held out."""
    trains: list[tuple[str, str]] = []
    held_out: list[tuple[str, str]] = []
    rows = Utterance.objects.filter(tenant_id=tenant_id, state=UtteranceState.ACCEPTED).order_by("pk")
    for text, name, is_held_out in rows.values_list("text", "intent__name", "held_out").iterator(chunk_size=2_000):
        (held_out if is_held_out else trains).append((text, name or ""))
    # An intent of which nothing is learned can't be recognized, so it is not measured either.
    learned = {name for _text, name in trains}
    return trains, [(text, name) for text, name in held_out if not name or name in learned]
