"""Intents as people make, describe and delete them."""

from collections.abc import Mapping
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock
from routing import references
from routing.actions import Action
from routing.models import Intent

#: Stands for "no intent" in files and bodies, so no intent may have it as its name.
OUT_OF_SCOPE = "oos"
MOST = 500
DESCRIBING = ("title", "title_zh", "description")


@transaction.atomic
def create_intent(
    *, tenant_id: int, name: str, title: str = "", title_zh: str = "", description: str = "", by: Actor, now: datetime
) -> Intent:
    """Store a new intent. Without a title it is called by its name.

    Raises:
        Conflict: the tenant has as many intents as it may have.
        Invalid: the name is taken, or can't be one.
    """
    check_name(name)
    if Intent.objects.filter(tenant_id=tenant_id).count() >= MOST:
        raise Conflict(_("A tenant has at most {n} intents.").format(n=MOST))
    intent = Intent(
        tenant_id=tenant_id,
        name=name,
        title=title or title_of(name),
        title_zh=title_zh,
        description=description,
        created_at=now,
    )
    try:
        with transaction.atomic():
            intent.save(force_insert=True)
    except IntegrityError:
        raise Invalid.field("name", _("An intent with this name already exists."), "taken") from None
    audit.record(by=by, action=Action.INTENT_CREATE, target=intent.name, tenant_id=tenant_id)
    return intent


@transaction.atomic
def change_intent(*, intent: Intent, changes: Mapping[str, str], by: Actor) -> Intent:
    """Change what describes an intent. Its name stays: rules and calling systems know it.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(intent)
    changed = sorted(name for name, value in changes.items() if name in DESCRIBING and getattr(intent, name) != value)
    for name in changed:
        setattr(intent, name, changes[name])
    if changed:
        intent.save(update_fields=changed)
        audit.record(by=by, action=Action.INTENT_CHANGE, target=intent.name, tenant_id=intent.tenant_id, detail={"fields": changed})
    return intent


@transaction.atomic
def delete_intent(*, intent: Intent, by: Actor) -> int:
    """Delete an intent with its utterances, and return the number of these. Models that know it stay as they are.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(intent)
    number = intent.utterances.count()
    name, tenant_id = intent.name, intent.tenant_id
    named = {"named_by": uses} if (uses := references.uses_of_intent(name, tenant_id)) else {}
    intent.delete()
    audit.record(by=by, action=Action.INTENT_DELETE, target=name, tenant_id=tenant_id, detail={"utterances": number} | named)
    return number


def check_name(name: str, *, field: str = "name") -> None:
    """Check that an intent can have a name.

    Raises:
        Invalid: it can't.
    """
    try:
        validate_slug(name)
    except ValidationError:
        raise Invalid.field(field, _("Use letters, digits, hyphens and underscores only.")) from None
    if len(name) > 80:
        raise Invalid.field(field, _("At most {n} characters.").format(n=80), "max_length")
    if name.lower() == OUT_OF_SCOPE:
        raise Invalid.field(field, _("“oos” stands for texts out of scope. Choose another name."), "reserved")


def title_of(name: str) -> str:
    """Return a title for a short name: `order_status` is called "Order status"."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] or name
