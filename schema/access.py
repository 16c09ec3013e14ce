"""The merchant's own house: the roles of the staff, and the keys of partners."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import strawberry

from domain import merchants, staff
from domain.access import Permission, StaffRole
from domain.errors import NotFound
from domain.merchants import ApiKey as ApiKeyRow
from domain.scope import Door
from domain.staff import Member
from schema.command import command
from schema.context import Info
from schema.doors import HOUSE, STAFF_AND_ADMINS, About, Opens
from schema.enums import describe
from schema.errors import UserError
from schema.identifiers import gid, uuid_of
from schema.instants import instant
from schema.pagination import Connection, check_first, connection, read_cursor

describe(
    StaffRole,
    name="StaffRole",
    description="What a member of the merchant's staff may do.",
    values={
        StaffRole.OWNER: "Everything, and giving roles and keys to others.",
        StaffRole.MANAGER: "Everything but roles and keys.",
        StaffRole.SUPPORT: "Reading, personal data too, and moving points by hand.",
        StaffRole.ANALYST: "Reading what is not personal.",
    },
)
describe(
    Permission,
    name="Permission",
    description="What a field may need of its caller. The description of each field says which roles and scopes have it.",
    values={
        Permission.READ: "Read what is not personal.",
        Permission.PERSONAL: "Read who a customer is.",
        Permission.POINTS: "Move points by hand.",
        Permission.WRITE: "Change the program and all that belongs to it.",
        Permission.AUDIT: "Read who changed what.",
        Permission.ACCESS: "Give and take roles and keys.",
        Permission.PLATFORM: "See which merchants there are.",
        Permission.ADMINS: "Manage the platform's own people.",
    },
)
DESCRIBED_ID = strawberry.argument(description="The key, by its global id.")


@strawberry.type(description="A member of the staff to whom a role was given.")
class StaffMember:
    """A member with a role."""

    user_id: strawberry.ID = strawberry.field(description="Shopify's number of the user.")
    role: StaffRole = strawberry.field(description="The role.")
    updated_at: datetime = strawberry.field(description="When it was given.")
    updated_by: str = strawberry.field(description="Who gave it: a door and an id, such as staff:42.")


@strawberry.type(description="Who is asking, and what they may do.")
class Viewer:
    """The caller."""

    actor: str = strawberry.field(description="The door and the id, as the audit writes them, such as staff:42.")
    permissions: list[Permission] = strawberry.field(description="What was granted; a customer needs nothing of it.")


@strawberry.type(description="A partner's key, without the key. Whoever made it agreed for the merchant to its scopes.")
class ApiKey:
    """A partner's key."""

    id: strawberry.ID = strawberry.field(description="The global id.")
    name: str = strawberry.field(description="Whom it is for.")
    scopes: list[Permission] = strawberry.field(description="What it grants.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="Who agreed to it.")
    expires_at: datetime | None = strawberry.field(description="When it ends by itself.")
    revoked_at: datetime | None = strawberry.field(description="When the agreement was taken back.")
    last_used_at: datetime | None = strawberry.field(description="When it was used last, exact to a minute; null when never.")
    replaces: strawberry.ID | None = strawberry.field(description="The key that it stands in for.")


@strawberry.type(description="The answer to `staffRoleAssign`.")
class StaffRoleAssignPayload:
    """The member after it."""

    staff_member: StaffMember | None = strawberry.field(default=None, description="The member with the role.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `staffRoleRemove`.")
class StaffRoleRemovePayload:
    """Nothing more."""

    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `apiKeyCreate`.")
class ApiKeyCreatePayload:
    """The key and its secret."""

    api_key: ApiKey | None = strawberry.field(default=None, description="The key that was made.")
    secret: str | None = strawberry.field(default=None, description="The key itself. It is shown here once, and never again.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `apiKeyRotate`.")
class ApiKeyRotatePayload:
    """The successor and its secret."""

    api_key: ApiKey | None = strawberry.field(default=None, description="The key that stands in from now on.")
    secret: str | None = strawberry.field(default=None, description="The key itself. It is shown here once, and never again.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `apiKeyRevoke`.")
class ApiKeyRevokePayload:
    """Nothing more."""

    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


def _member(row: Member) -> StaffMember:
    return StaffMember(user_id=strawberry.ID(row.user_id), role=row.role, updated_at=row.updated_at, updated_by=row.updated_by)


def _api_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=strawberry.ID(gid("ApiKey", row.id)),
        name=row.name,
        scopes=sorted(row.scopes),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        replaces=None if row.replaces is None else strawberry.ID(gid("ApiKey", row.replaces)),
    )


def _key_id(identifier: str) -> UUID:
    found = uuid_of("ApiKey", identifier)
    if found is None:
        raise NotFound("There is no such key, or it is not good any more.", field=("id",))
    return found


@strawberry.type
class AccessQueries:
    """The queries about the merchant's own house."""

    @strawberry.field(
        description="Who is asking, and what they may do.",
        extensions=[Opens(Door.STAFF, Door.PARTNER, Door.ADMIN, about=About.EITHER)],
    )
    def viewer(self, info: Info) -> Viewer:
        """The caller."""
        context = info.context
        return Viewer(actor=str(context.scope.actor), permissions=sorted(context.permissions))

    @strawberry.field(
        description=(
            "Members of the staff with a role, by user id. Until an owner is named, everybody whom Shopify lets into the app is "
            "one; from then on, whoever is not listed is an analyst."
        ),
        extensions=[STAFF_AND_ADMINS.needing(Permission.ACCESS)],
    )
    async def staff_members(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[StaffMember]:
        """A page of members."""
        wanted = check_first(first)
        place = read_cursor(after, tuple[str])
        rows = await staff.page(info.context.scope, wanted, place[0] if place else None)
        return connection(rows, first, after, _member, lambda row: (row.user_id,))

    @strawberry.field(
        description="The keys of the merchant's partners, newest first.",
        extensions=[STAFF_AND_ADMINS.needing(Permission.ACCESS)],
    )
    async def api_keys(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[ApiKey]:
        """A page of keys."""
        wanted = check_first(first)
        place = read_cursor(after, tuple[UUID])
        rows = await merchants.api_keys(info.context.scope, wanted, place[0] if place else None)
        return connection(rows, first, after, _api_key, lambda row: (row.id,))


@strawberry.type
class AccessMutations:
    """The commands about the merchant's own house."""

    @strawberry.mutation(description="Give a member of the staff a role. Audited. The last owner stays one.", extensions=[HOUSE])
    @command
    async def staff_role_assign(
        self,
        info: Info,
        user_id: Annotated[str, strawberry.argument(description="Shopify's number of the user.")],
        role: Annotated[StaffRole, strawberry.argument(description="The role.")],
    ) -> StaffRoleAssignPayload:
        """Give a role."""
        return StaffRoleAssignPayload(staff_member=_member(await staff.assign(info.context.scope, user_id=user_id, role=role)))

    @strawberry.mutation(description="Take a member's role. Audited. The last owner stays one.", extensions=[HOUSE])
    @command
    async def staff_role_remove(
        self,
        info: Info,
        user_id: Annotated[str, strawberry.argument(description="Shopify's number of the user.")],
    ) -> StaffRoleRemovePayload:
        """Take a role."""
        await staff.remove(info.context.scope, user_id=user_id)
        return StaffRoleRemovePayload()

    @strawberry.mutation(
        description="Make a key for a partner, and agree to what it may do. Audited. The key is shown once.", extensions=[HOUSE]
    )
    @command
    async def api_key_create(
        self,
        info: Info,
        name: Annotated[str, strawberry.argument(description="Whom it is for, in 1 to 100 characters.")],
        scopes: Annotated[list[Permission], strawberry.argument(description="What it grants: READ, WRITE, POINTS.")],
        expires_at: Annotated[datetime | None, strawberry.argument(description="When it ends by itself.")] = None,
    ) -> ApiKeyCreatePayload:
        """Make a key."""
        end = None if expires_at is None else instant(expires_at, "expiresAt")
        row, secret = await merchants.api_key_create(info.context.scope, name=name, scopes=scopes, expires_at=end)
        return ApiKeyCreatePayload(api_key=_api_key(row), secret=secret)

    @strawberry.mutation(
        description="Make a successor of a key, with the same scopes. Audited. Both are good together for a while.",
        extensions=[HOUSE],
    )
    @command
    async def api_key_rotate(
        self,
        info: Info,
        id: Annotated[strawberry.ID, DESCRIBED_ID],
        overlap_hours: Annotated[
            int, strawberry.argument(description="How long the old key stays good beside the new one: 0 to 168 hours.")
        ] = 24,
    ) -> ApiKeyRotatePayload:
        """Replace a key."""
        hours = max(-1, min(overlap_hours, 1_000))
        row, secret = await merchants.api_key_rotate(info.context.scope, key_id=_key_id(id), overlap=timedelta(hours=hours))
        return ApiKeyRotatePayload(api_key=_api_key(row), secret=secret)

    @strawberry.mutation(description="End a key at once. Audited. It cannot be undone.", extensions=[HOUSE])
    @command
    async def api_key_revoke(self, info: Info, id: Annotated[strawberry.ID, DESCRIBED_ID]) -> ApiKeyRevokePayload:
        """End a key."""
        await merchants.api_key_revoke(info.context.scope, key_id=_key_id(id))
        return ApiKeyRevokePayload()
