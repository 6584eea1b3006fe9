"""An agent says what a line really wanted: the conversation takes that intent, and the text is suggested for training."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid
from routing import event_types, events
from routing.actions import Action
from routing.conversations import notices
from routing.intents.suggestions import suggest_correction
from routing.models import AuthorKind, Conversation, Intent, Line


@transaction.atomic
def correct_intent(*, conversation: Conversation, intent: str, seq: int | None = None, by: Actor, now: datetime) -> Conversation:
    """Set a conversation's intent, empty for out of scope, and suggest the line of that number, by default the customer's first one.

    Raises:
        Invalid: there is no such intent, or no such line of the customer's.
    """
    known = Intent.objects.filter(tenant_id=conversation.tenant_id)
    if intent and ("\x00" in intent or not known.filter(name=intent).exists()):
        raise Invalid.field("intent", _("There is no intent {name}.").format(name=intent), "unknown")
    own = Line.objects.filter(conversation=conversation, author=AuthorKind.CUSTOMER).exclude(text="").order_by("seq")
    line = own.filter(seq=seq).first() if seq is not None else own.first()
    if line is None:
        raise Invalid.field("seq", _("There is no line of the customer's with this number that has a text."), "unknown")
    before = conversation.intent
    Conversation.objects.filter(pk=conversation.pk).update(intent=intent, confidence=1.0 if intent else None)
    suggest_correction(tenant_id=conversation.tenant_id, text=line.text, intent=intent, line_id=line.pk, author=str(by), now=now)
    audit.record(
        by=by,
        action=Action.CONVERSATION_CORRECT,
        target=conversation.pk,
        tenant_id=conversation.tenant_id,
        detail={"from": before, "to": intent, "seq": line.seq},
    )
    notices.changed_after_commit(conversation)
    conversation.refresh_from_db()
    events.conversation(event_types.CONVERSATION_INTENT_CORRECTED, conversation, now=now, previous_intent=before)
    return conversation
