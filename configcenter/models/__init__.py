"""Models of access (tenants, people, keys, audit) and of hot configuration (items, releases)."""

from configcenter.models.access import ApiKey, AuditEntry, ConfigRight, KeyKind, Member, Role, Tenant, ThreadPoolConfig, User
from configcenter.models.config import ConfigItem, ConfigNamespace, ConfigRelease, ConfigState, Format, ReleaseAction

__all__ = [
    "ApiKey",
    "AuditEntry",
    "ConfigItem",
    "ConfigNamespace",
    "ConfigRelease",
    "ConfigRight",
    "ConfigState",
    "Format",
    "KeyKind",
    "Member",
    "ReleaseAction",
    "Role",
    "Tenant",
    "ThreadPoolConfig",
    "User",
]
