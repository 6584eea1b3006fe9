"""Colors and icons of the states of the service desk."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy

from posthaste.ui import badges
from posthaste.ui.badges import Look
from routing.links.using import Outcome
from routing.models import (
    ArrivalState,
    AssignmentCause,
    BotAction,
    ClockState,
    ConversationStatus,
    CustomerMerge,
    FaqState,
    ModelState,
    Presence,
    TicketPriority,
    TicketStatus,
    UtteranceState,
    Welcome,
)

badges.register(
    "customer_merge",
    CustomerMerge.State,
    {
        CustomerMerge.State.SUGGESTED: Look("unknown", "unknown"),
        CustomerMerge.State.DONE: Look("delivered", "layers"),
        CustomerMerge.State.UNDONE: Look("cancelled", "retry"),
        CustomerMerge.State.DISMISSED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "link_outcome",
    Outcome,
    {
        Outcome.SHOWN: Look("pending", "eye"),
        Outcome.USED: Look("delivered", "sent"),
        Outcome.EXPIRED: Look("cancelled", "expired"),
        Outcome.USED_UP: Look("cancelled", "sent"),
        Outcome.REVOKED: Look("failed", "cancelled"),
        Outcome.UNAVAILABLE: Look("failed", "failed"),
        Outcome.USABLE: Look("delivered", "play"),
    },
)


class EntranceState(TextChoices):
    """Whether an entrance takes in what is written."""

    ENABLED = "enabled", gettext_lazy("Enabled")
    DISABLED = "disabled", gettext_lazy("Disabled")


WELCOMES = Welcome.State
badges.register(
    "entrance",
    EntranceState,
    {EntranceState.ENABLED: Look("delivered", "delivered"), EntranceState.DISABLED: Look("cancelled", "cancelled")},
)
badges.register(
    "welcome",
    WELCOMES,
    {
        WELCOMES.SENDING: Look("sending", "sending"),
        WELCOMES.SENT: Look("sent", "sent"),
        WELCOMES.LATE: Look("expired", "expired"),
        WELCOMES.FAILED: Look("failed", "failed"),
    },
)

badges.register(
    "presence",
    Presence,
    {
        Presence.ONLINE: Look("delivered", "user"),
        Presence.BREAK: Look("unknown", "pause"),
        Presence.OFFLINE: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "assignment_cause",
    AssignmentCause,
    {
        AssignmentCause.RULE: Look("sending", "auto"),
        AssignmentCause.CLAIM: Look("sent", "user"),
        AssignmentCause.TRANSFER: Look("pending", "sending"),
        AssignmentCause.RESPONSE: Look("sent", "messages"),
        AssignmentCause.SILENCE: Look("unknown", "expired"),
        AssignmentCause.OFFLINE: Look("cancelled", "cancelled"),
        AssignmentCause.RESOLVED: Look("delivered", "delivered"),
    },
)

badges.register(
    "intent_model",
    ModelState,
    {
        ModelState.TRAINING: Look("sending", "sending"),
        ModelState.READY: Look("delivered", "delivered"),
        ModelState.FAILED: Look("failed", "failed"),
        ModelState.CANCELLED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "utterance",
    UtteranceState,
    {
        UtteranceState.ACCEPTED: Look("delivered", "sent"),
        UtteranceState.SUGGESTED: Look("unknown", "unknown"),
        UtteranceState.REJECTED: Look("cancelled", "cancelled"),
    },
)

badges.register(
    "conversation",
    ConversationStatus,
    {
        ConversationStatus.NEW: Look("pending", "pending"),
        ConversationStatus.BOT: Look("unknown", "auto"),
        ConversationStatus.QUEUED: Look("queued", "queued"),
        ConversationStatus.ASSIGNED: Look("sending", "user"),
        ConversationStatus.RESOLVED: Look("delivered", "delivered"),
        ConversationStatus.CLOSED: Look("cancelled", "cancelled"),
        ConversationStatus.SPAM: Look("suppressed", "suppressed"),
    },
)
badges.register(
    "arrival",
    ArrivalState,
    {
        ArrivalState.PENDING: Look("pending", "pending"),
        ArrivalState.DONE: Look("cancelled", "sent"),
        ArrivalState.FAILED: Look("failed", "failed"),
    },
)

badges.register(
    "ticket",
    TicketStatus,
    {
        TicketStatus.NEW: Look("pending", "pending"),
        TicketStatus.BOT: Look("unknown", "auto"),
        TicketStatus.QUEUED: Look("queued", "queued"),
        TicketStatus.ASSIGNED: Look("sending", "user"),
        TicketStatus.IN_PROGRESS: Look("sent", "play"),
        TicketStatus.WAITING: Look("pending", "expired"),
        TicketStatus.ON_HOLD: Look("unknown", "pause"),
        TicketStatus.RESOLVED: Look("delivered", "delivered"),
        TicketStatus.CLOSED: Look("cancelled", "cancelled"),
        TicketStatus.MERGED: Look("cancelled", "merge"),
        TicketStatus.SPAM: Look("suppressed", "suppressed"),
    },
)
badges.register(
    "ticket_priority",
    TicketPriority,
    {
        TicketPriority.URGENT: Look("failed", "failed"),
        TicketPriority.HIGH: Look("unknown", "unknown"),
        TicketPriority.NORMAL: Look("pending", "pending"),
        TicketPriority.LOW: Look("cancelled", "pending"),
    },
)
badges.register(
    "clock",
    ClockState,
    {
        ClockState.RUNNING: Look("sending", "play"),
        ClockState.PAUSED: Look("pending", "pause"),
        ClockState.MET: Look("delivered", "delivered"),
        ClockState.MISSED: Look("failed", "expired"),
        ClockState.CANCELLED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "faq",
    FaqState,
    {
        FaqState.DRAFT: Look("pending", "pending"),
        FaqState.REVIEW: Look("unknown", "eye"),
        FaqState.PUBLISHED: Look("delivered", "delivered"),
        FaqState.ARCHIVED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "bot",
    BotAction,
    {
        BotAction.ANSWER: Look("delivered", "messages"),
        BotAction.OFFER: Look("sent", "layers"),
        BotAction.ASK: Look("pending", "unknown"),
        BotAction.COLLECT: Look("sending", "edit"),
        BotAction.HAND_OVER: Look("queued", "agent"),
        BotAction.SILENT: Look("cancelled", "cancelled"),
    },
)
