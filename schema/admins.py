"""The platform: its merchants, and its own people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain import admins, merchants
from domain.access import AdminRole, Permission
from domain.admins import Admin as AdminRow
from domain.admins import Enrolment
from domain.damage import Damaged
from domain.errors import NotFound
from schema.command import command
from schema.context import Info
from schema.doors import PLATFORM
from schema.enums import describe
from schema.errors import UserError
from schema.identifiers import gid, uuid_of
from schema.merchants import Merchant, merchant
from schema.pagination import Connection, check_first, connection, read_cursor

describe(
    AdminRole,
    name="AdminRole",
    description="What one of the platform's own people may do.",
    values={
        AdminRole.FULL: "Everything, and managing the others.",
        AdminRole.ANALYTICS: "Reading what is not personal.",
        AdminRole.SUPPORT: "Reading, personal data and the audit too.",
        AdminRole.POINTS: "Reading, personal data too, and moving points by hand.",
    },
)
PEOPLE = PLATFORM.needing(Permission.ADMINS)
THE_ACCOUNT = strawberry.argument(description="The account, by its global id.")
NETWORKS = "Networks from which the account may be used, such as 203.0.113.0/24; an empty list means any."


@strawberry.type(description="One of the platform's own people.")
class Admin:
    """An account."""

    id: strawberry.ID = strawberry.field(description="The global id.")
    name: str = strawberry.field(description="What the person is called.")
    role: AdminRole = strawberry.field(description="What the person may do.")
    networks: list[str] = strawberry.field(description=NETWORKS)
    created_at: datetime = strawberry.field(description="When the account was made.")
    disabled_at: datetime | None = strawberry.field(description="When it was ended.")
    locked_until: datetime | None = strawberry.field(description="Until when it is locked, after failed sign-ins.")
    address: strawberry.Private[str | None]

    @strawberry.field(description="The address to sign in with; null, with DATA_DAMAGED, when it does not open.")
    def email(self) -> str | None:
        """All else of the account is answered when this is damaged."""
        if self.address is None:
            raise Damaged
        return self.address


@strawberry.type(description="The answer to `adminCreate`.")
class AdminCreatePayload:
    """What the first sign-in needs."""

    admin: Admin | None = strawberry.field(default=None, description="The account.")
    password: str | None = strawberry.field(default=None, description="The first password. It is shown here once.")
    totp_url: str | None = strawberry.field(default=None, description="What an authenticator reads. It is shown here once.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `adminReset`.")
class AdminResetPayload:
    """What the next sign-in needs."""

    admin: Admin | None = strawberry.field(default=None, description="The account.")
    password: str | None = strawberry.field(default=None, description="The new password. It is shown here once.")
    totp_url: str | None = strawberry.field(default=None, description="What an authenticator reads. It is shown here once.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `adminUpdate`.")
class AdminUpdatePayload:
    """The account after it."""

    admin: Admin | None = strawberry.field(default=None, description="The account after it.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `adminDisable`.")
class AdminDisablePayload:
    """The account after it."""

    admin: Admin | None = strawberry.field(default=None, description="The account after it.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `adminPasswordChange`.")
class AdminPasswordChangePayload:
    """Nothing more."""

    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


def _admin(row: AdminRow) -> Admin:
    return Admin(
        id=strawberry.ID(gid("Admin", row.id)),
        name=row.name,
        role=row.role,
        networks=row.networks,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        locked_until=row.locked_until,
        address=row.email,
    )


def _admin_id(identifier: str) -> UUID:
    found = uuid_of("Admin", identifier)
    if found is None:
        raise NotFound("There is no such account.", field=("id",))
    return found


@strawberry.type
class PlatformQueries:
    """The queries about the platform."""

    @strawberry.field(description="All merchants, newest first.", extensions=[PLATFORM])
    async def merchants(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        query: Annotated[
            str | None,
            strawberry.argument(description="Words that the name or the domain must contain, in any letter case."),
        ] = None,
    ) -> Connection[Merchant]:
        """A page of merchants."""
        wanted = check_first(first)
        place = read_cursor(after, tuple[UUID])
        rows = await merchants.page(wanted, place[0] if place else None, query)
        real = info.context.scope.real_at
        return connection(rows, first, after, lambda row: merchant(row, real), lambda row: (row.id,))

    @strawberry.field(description="The platform's own people, newest first.", extensions=[PEOPLE])
    async def admins(
        self,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[Admin]:
        """A page of accounts."""
        wanted = check_first(first)
        place = read_cursor(after, tuple[UUID])
        rows = await admins.page(wanted, place[0] if place else None)
        return connection(rows, first, after, _admin, lambda row: (row.id,))


@strawberry.type
class PlatformMutations:
    """The commands about the platform's own people. They stand in the platform's audit."""

    @strawberry.mutation(
        description="Make an account. Audited. Its first password and its authenticator's secret are shown once.",
        extensions=[PEOPLE],
    )
    @command
    async def admin_create(
        self,
        info: Info,
        email: Annotated[str, strawberry.argument(description="The address to sign in with.")],
        name: Annotated[str, strawberry.argument(description="What the person is called, in 1 to 100 characters.")],
        role: Annotated[AdminRole, strawberry.argument(description="What the person may do.")],
        networks: Annotated[list[str] | None, strawberry.argument(description=NETWORKS)] = None,
    ) -> AdminCreatePayload:
        """Make an account."""
        made = await admins.create(info.context.scope, email=email, name=name, role=role, networks=networks or [])
        return AdminCreatePayload(admin=_admin(made.admin), password=made.password, totp_url=made.totp_address)

    @strawberry.mutation(description="Change an account. Audited. What is left out stays.", extensions=[PEOPLE])
    @command
    async def admin_update(
        self,
        info: Info,
        id: Annotated[strawberry.ID, THE_ACCOUNT],
        name: Annotated[str | None, strawberry.argument(description="What the person is called.")] = None,
        role: Annotated[AdminRole | None, strawberry.argument(description="What the person may do.")] = None,
        networks: Annotated[list[str] | None, strawberry.argument(description=NETWORKS)] = None,
    ) -> AdminUpdatePayload:
        """Change an account."""
        row = await admins.update(info.context.scope, admin_id=_admin_id(id), name=name, role=role, networks=networks)
        return AdminUpdatePayload(admin=_admin(row))

    @strawberry.mutation(description="End an account and all its sessions at once. Audited.", extensions=[PEOPLE])
    @command
    async def admin_disable(self, info: Info, id: Annotated[strawberry.ID, THE_ACCOUNT]) -> AdminDisablePayload:
        """End an account."""
        return AdminDisablePayload(admin=_admin(await admins.disable(info.context.scope, admin_id=_admin_id(id))))

    @strawberry.mutation(
        description="Give a fresh password and authenticator to somebody who lost theirs; ends their sessions. Audited.",
        extensions=[PEOPLE],
    )
    @command
    async def admin_reset(self, info: Info, id: Annotated[strawberry.ID, THE_ACCOUNT]) -> AdminResetPayload:
        """Begin anew."""
        made: Enrolment = await admins.reset(info.context.scope, admin_id=_admin_id(id))
        return AdminResetPayload(admin=_admin(made.admin), password=made.password, totp_url=made.totp_address)

    @strawberry.mutation(
        description="Choose a password of one's own; ends every session. Audited.",
        extensions=[PLATFORM.needing(Permission.READ)],
    )
    @command
    async def admin_password_change(
        self,
        info: Info,
        current: Annotated[str, strawberry.argument(description="The present password.")],
        password: Annotated[str, strawberry.argument(description="The new one, of 12 to 200 characters.")],
    ) -> AdminPasswordChangePayload:
        """Choose a password."""
        scope = info.context.scope
        await admins.password_change(scope, admin_id=UUID(scope.actor.id), current=current, password=password)
        return AdminPasswordChangePayload()
