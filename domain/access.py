"""What each role may do: one list of permissions, and what every kind of caller is granted of it."""

from enum import StrEnum


class Permission(StrEnum):
    """What a field may need. The values are also the scopes of partners' keys."""

    READ = "read"
    PERSONAL = "personal"
    POINTS = "points"
    WRITE = "write"
    AUDIT = "audit"
    ACCESS = "access"
    PLATFORM = "platform"
    ADMINS = "admins"


class StaffRole(StrEnum):
    """What a member of the merchant's staff is to LoyalNest."""

    OWNER = "owner"
    MANAGER = "manager"
    SUPPORT = "support"
    ANALYST = "analyst"


class AdminRole(StrEnum):
    """What one of the platform's own people is to it."""

    FULL = "full"
    ANALYTICS = "analytics"
    SUPPORT = "support"
    POINTS = "points"


_P = Permission
STAFF_GRANTS: dict[StaffRole, frozenset[Permission]] = {
    StaffRole.OWNER: frozenset({_P.READ, _P.PERSONAL, _P.POINTS, _P.WRITE, _P.AUDIT, _P.ACCESS}),
    StaffRole.MANAGER: frozenset({_P.READ, _P.PERSONAL, _P.POINTS, _P.WRITE, _P.AUDIT}),
    StaffRole.SUPPORT: frozenset({_P.READ, _P.PERSONAL, _P.POINTS}),
    StaffRole.ANALYST: frozenset({_P.READ}),
}
ADMIN_GRANTS: dict[AdminRole, frozenset[Permission]] = {
    AdminRole.FULL: frozenset(Permission),
    AdminRole.ANALYTICS: frozenset({_P.READ, _P.PLATFORM}),
    AdminRole.SUPPORT: frozenset({_P.READ, _P.PERSONAL, _P.PLATFORM, _P.AUDIT}),
    AdminRole.POINTS: frozenset({_P.READ, _P.PERSONAL, _P.POINTS, _P.PLATFORM}),
}
PARTNER_SCOPES = frozenset({_P.READ, _P.POINTS, _P.WRITE})
"""What a merchant can grant to a partner. Personal data and the merchant's own house are for people."""
