"""The names under which the audit trail keeps what is done to tenants, people and keys, and what is taken out of lists."""

from enum import StrEnum


class Action(StrEnum):
    """One event, one name, whichever way it came."""

    KEY_ISSUE = "key.issue"
    KEY_REVOKE = "key.revoke"
    TENANT_CREATE = "tenant.create"
    TENANT_CHANGE = "tenant.change"
    TENANT_DELETE = "tenant.delete"
    MEMBER_CREATE = "member.create"
    MEMBER_CHANGE = "member.change"
    MEMBER_DELETE = "member.delete"
    USER_CREATE = "user.create"
    USER_CHANGE = "user.change"
    USER_PASSWORD = "user.password"
    USER_DELETE = "user.delete"
    LIST_EXPORT = "list.export"
