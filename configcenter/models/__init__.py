"""Models of access (tenants, people, keys, audit) of hot configuration (items, releases), and the fences of locks."""

from configcenter.models.access import ApiKey, AuditEntry, ConfigRight, KeyKind, Member, Role, Tenant, User
from configcenter.models.config import ConfigItem, ConfigNamespace, ConfigRelease, ConfigState, Format, ReleaseAction
from configcenter.models.fences import Fence

__all__ = [
    "ApiKey",
    "AuditEntry",
    "ConfigItem",
    "ConfigNamespace",
    "ConfigRelease",
    "ConfigRight",
    "ConfigState",
    "Fence",
    "Format",
    "KeyKind",
    "Member",
    "ReleaseAction",
    "Role",
    "Tenant",
    "User",
]
