"""Which version of a tenant's model recognizes texts. An older one is activated in the same way: that is the rollback."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from jobs.registry import job
from posthaste.lib import queues
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.models import IntentModel, ModelState

KEPT = 20  # newest versions of a tenant that are ready; each takes some megabytes
FAILED_FOR = timedelta(days=30)


@transaction.atomic
def activate_model(*, model: IntentModel, by: Actor, now: datetime) -> IntentModel:
    """Let a version recognize the tenant's texts. Every process uses it from the next text on, within a second.

    Raises:
        Conflict: it is not ready, or is active already.
    """
    # All versions of the tenant, in one order: of two who activate different ones at the same time, the second waits and wins.
    rows = {row.pk: row for row in _locked(model.tenant_id)}
    wanted = rows.get(model.pk)
    if wanted is None or wanted.state != ModelState.READY:
        raise Conflict(_("Only a version that is ready can be activated."))
    if wanted.is_active:
        raise Conflict(_("This version is active already."))
    before = next((row for row in rows.values() if row.is_active), None)
    IntentModel.objects.filter(tenant_id=model.tenant_id, is_active=True).update(is_active=False)
    IntentModel.objects.filter(pk=model.pk).update(is_active=True, activated_at=now)
    detail = {"version": wanted.number, "before": before.number if before else 0}
    audit.record(by=by, action=Action.MODEL_ACTIVATE, target=f"#{wanted.number}", tenant_id=model.tenant_id, detail=detail)
    model.is_active, model.activated_at = True, now
    return model


def _locked(tenant_id: int) -> list[IntentModel]:
    rows = IntentModel.objects.select_for_update().filter(tenant_id=tenant_id).order_by("pk")
    return list(rows.only("pk", "number", "state", "is_active"))


@job(
    "routing.remove_old_intent_models",
    title=gettext_lazy("Remove old intent models"),
    purpose=gettext_lazy("Keeps the active version of each tenant and the twenty newest, and what failed for a month."),
    cron="20 4 * * *",
    timeout=timedelta(minutes=5),
    queue=queues.NOTIFICATION,
)
def remove_old_models(*, now: datetime) -> int:
    """Remove versions that are too old to be gone back to, and return their number. The active one always stays."""
    ended = IntentModel.objects.filter(state__in=[ModelState.FAILED, ModelState.CANCELLED], created_at__lt=now - FAILED_FOR)
    removed = ended.delete()[0]
    for tenant_id in IntentModel.objects.order_by().values_list("tenant_id", flat=True).distinct():
        ready = IntentModel.objects.filter(tenant_id=tenant_id, state=ModelState.READY).order_by("-number").values_list("pk", flat=True)
        # Asked again by the statement itself, as one may have been activated meanwhile.
        removed += IntentModel.objects.filter(pk__in=list(ready[KEPT:]), is_active=False).delete()[0]
    return removed
