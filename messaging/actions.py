"""The names under which the audit trail keeps what is done to messages and what sends them."""

from enum import StrEnum


class Action(StrEnum):
    """One event, one name, whichever way it came."""

    MESSAGE_CANCEL = "message.cancel"
    MESSAGE_RETRY = "message.retry"
    MESSAGE_SETTLE_SENT = "message.settle_sent"
    MESSAGE_SETTLE_FAILED = "message.settle_failed"
    MESSAGE_REVEAL = "message.reveal"
    BATCH_PAUSE = "batch.pause"
    BATCH_RESUME = "batch.resume"
    BATCH_CANCEL = "batch.cancel"
    TEMPLATE_CREATE = "template.create"
    TEMPLATE_CHANGE = "template.change"
    TEMPLATE_DRAFT = "template.draft"
    TEMPLATE_PUBLISH = "template.publish"
    PROVIDER_CREATE = "provider.create"
    PROVIDER_CHANGE = "provider.change"
    PROVIDER_DELETE = "provider.delete"
    PROVIDER_TEST = "provider.test"
    PROVIDER_REVEAL_RECEIPT_SECRET = "provider.reveal_receipt_secret"
    PROVIDER_NEW_RECEIPT_SECRET = "provider.new_receipt_secret"
    BREAKER_FORCE = "breaker.force"
    SUPPRESSION_ADD = "suppression.add"
    SUPPRESSION_REMOVE = "suppression.remove"
    SUPPRESSION_UNSUBSCRIBE = "suppression.unsubscribe"
    SUPPRESSION_UNDO = "suppression.undo"
