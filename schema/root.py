"""The schema: its roots, and how it answers errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry
from graphql import GraphQLError
from strawberry.types import ExecutionContext

from domain import programs
from domain.access import Permission
from schema.access import AccessMutations, AccessQueries
from schema.actions import ActionMutations, ActionQueries
from schema.admins import PlatformMutations, PlatformQueries
from schema.audit import AuditQueries, AuditSubscriptions
from schema.balance import ActivitySubscriptions, BalanceMutations, BalanceSubscriptions
from schema.balances import BalanceQueries
from schema.context import Info
from schema.customers import CustomerQueries, customer, visible_customer
from schema.documents import Documents
from schema.doors import EVERYBODY, declare
from schema.errors import CodedErrors, log_bugs
from schema.identifiers import key_of, type_of, uuid_of
from schema.identity import IdentityMutations, IdentityQueries, visible_export
from schema.inbox import InboxMutations, InboxQueries, visible_delivery
from schema.memberships import MembershipMutations
from schema.merchants import MerchantMutations, MerchantQueries
from schema.node import Node
from schema.orders import OrderQueries, visible_order
from schema.points import PointsQueries, visible_transaction
from schema.programs import ProgramMutations, ProgramQueries, program
from schema.reward_commands import RewardMutations, RewardSubscriptions
from schema.rewards import RewardQueries, visible_redemption, visible_reservation, visible_reward
from schema.scalars import CONFIG
from schema.stores import StoreMutations


async def _customer(info: Info, id: str) -> Node | None:
    wanted = uuid_of("Customer", id)
    row = None if wanted is None else await visible_customer(info, wanted)
    return customer(row) if row else None


async def _order(info: Info, id: str) -> Node | None:
    number = _number(key_of("Order", id))
    return None if number is None else await visible_order(info, number)


async def _program(info: Info, id: str) -> Node | None:
    version = _number(key_of("Program", id))
    if version is None or version > 2**31 - 1:
        return None
    found = await programs.version(info.context.scope, version)
    return program(found) if found else None


def _number(key: str | None) -> int | None:
    return int(key) if key is not None and key.isascii() and key.isdigit() and len(key) < 19 else None


_NODES: dict[str, Callable[[Info, str], Awaitable[Node | None]]] = {
    "Customer": _customer,
    "CustomerExport": visible_export,
    "Order": _order,
    "PointsReservation": visible_reservation,
    "PointsTransaction": visible_transaction,
    "Program": _program,
    "Redemption": visible_redemption,
    "Reward": visible_reward,
    "WebhookDelivery": visible_delivery,
}
"""What finds a thing by its global id, for whoever may see it: by the type that the id names."""


@strawberry.type(description="What can be asked. The merchant is always the credential's.")
class Query(
    AccessQueries,
    ActionQueries,
    AuditQueries,
    BalanceQueries,
    CustomerQueries,
    IdentityQueries,
    InboxQueries,
    MerchantQueries,
    OrderQueries,
    PlatformQueries,
    PointsQueries,
    ProgramQueries,
    RewardQueries,
):
    """The root of queries."""

    @strawberry.field(
        description="Anything with a global id; null when there is none, or when the caller may not see it.",
        extensions=[EVERYBODY],
    )
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The global id.")]
    ) -> Node | None:
        """The thing asked for."""
        find = _NODES.get(type_of(id) or "")
        return await find(info, id) if find else None


@strawberry.type(
    description=(
        "What can be done. A command either does all it says or nothing; why it was refused stands in `userErrors`. "
        "Commands that move points take an `idempotencyKey`."
    )
)
class Mutation(
    AccessMutations,
    ActionMutations,
    BalanceMutations,
    IdentityMutations,
    InboxMutations,
    MembershipMutations,
    MerchantMutations,
    PlatformMutations,
    ProgramMutations,
    RewardMutations,
    StoreMutations,
):
    """The root of commands."""


@strawberry.type(description="What can be listened to, over graphql-transport-ws.")
class Subscription(BalanceSubscriptions, ActivitySubscriptions, AuditSubscriptions, RewardSubscriptions):
    """The root of streams."""


declare(Query, Permission.READ)
declare(Mutation, Permission.WRITE)
declare(Subscription, Permission.READ)


class LoyalNestSchema(strawberry.Schema):
    """Strawberry's schema, with our logs."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log bugs; refusals are data."""
        log_bugs(errors, execution_context)


schema = LoyalNestSchema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=CONFIG,
    extensions=[CodedErrors, Documents],
)
