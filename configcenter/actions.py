"""The names under which the audit trail keeps what is done to the configuration."""

from enum import StrEnum


class Action(StrEnum):
    """One event, one name, whichever way it came."""

    ITEM_CREATE = "config.create"
    ITEM_CHANGE = "config.change"
    DRAFT_SAVE = "config.draft"
    DRAFT_DISCARD = "config.draft.discard"
    PUBLISH = "config.publish"
    IMPORT = "config.import"
    ROLLBACK = "config.rollback"
    REMOVE = "config.remove"
    GRAY_START = "config.gray.start"
    GRAY_WIDEN = "config.gray.widen"
    GRAY_PROMOTE = "config.gray.promote"
    GRAY_ABANDON = "config.gray.abandon"
    NAMESPACE_CREATE = "config.namespace.create"
    NAMESPACE_DELETE = "config.namespace.delete"
