"""Everything that is stored about customers and what they write, one subject a module."""

from routing.models.agents import Agent, AgentSkill, Assignment, AssignmentCause, Presence, SkillGroup
from routing.models.conversations import (
    OPEN_STATUSES,
    Arrival,
    ArrivalState,
    Attachment,
    AuthorKind,
    Conversation,
    ConversationStatus,
    Entrance,
    EntranceKind,
    Line,
    PortalSession,
)
from routing.models.customers import AttributeSource, Customer, CustomerAttribute, CustomerMerge, Identity, IdentityKind
from routing.models.intents import Intent, IntentModel, ModelState, Utterance, UtteranceSource, UtteranceState
from routing.models.links import LinkClick, LinkPurpose, SafeLink
from routing.models.mailboxes import Mailbox
from routing.models.wecom import ContactWay, Follow, KfCursor, Welcome

__all__ = [
    "OPEN_STATUSES",
    "Agent",
    "AgentSkill",
    "Arrival",
    "ArrivalState",
    "Assignment",
    "AssignmentCause",
    "Attachment",
    "AttributeSource",
    "AuthorKind",
    "ContactWay",
    "Conversation",
    "ConversationStatus",
    "Customer",
    "CustomerAttribute",
    "CustomerMerge",
    "Entrance",
    "EntranceKind",
    "Follow",
    "Identity",
    "IdentityKind",
    "Intent",
    "IntentModel",
    "KfCursor",
    "Line",
    "LinkClick",
    "LinkPurpose",
    "Mailbox",
    "ModelState",
    "PortalSession",
    "Presence",
    "SafeLink",
    "SkillGroup",
    "Utterance",
    "UtteranceSource",
    "UtteranceState",
    "Welcome",
]
