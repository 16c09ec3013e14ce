"""An account at any instant: proved for the past, foreseen for the future."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import strawberry

from domain import balances
from domain.balances import Balance, Change, ChangeKind, Proof
from domain.errors import DomainError
from schema.context import Info
from schema.customers import visible_customer
from schema.doors import EVERYBODY
from schema.enums import describe
from schema.identifiers import gid, uuid_of
from schema.instants import instant
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.scalars import Points

Index = Annotated[int, msgspec.Meta(ge=0, le=2**31)]

describe(
    ChangeKind,
    name="BalanceChangeKind",
    description="What changes a balance when its time comes.",
    values={
        ChangeKind.CONFIRMED: "The hold of an order's points has passed: pending points become spendable.",
        ChangeKind.EXPIRED: "A lot expires.",
        ChangeKind.INACTIVE: "Everything spendable expires, because the customer has neither earned nor spent for so long.",
    },
)


@strawberry.type(description="What will happen to an account at an instant, if nobody does anything before.")
class BalanceChange:
    """Something that comes."""

    occurs_at: datetime = strawberry.field(description="When.")
    kind: ChangeKind = strawberry.field(description="What.")
    points: Points = strawberry.field(description="What it adds to the balance; negative when it takes.")
    points_pending: Points = strawberry.field(description="What it adds to the pending points; negative when it takes.")
    balance_after: Points = strawberry.field(description="The balance after it.")
    pending_after: Points = strawberry.field(description="The pending points after it.")


@strawberry.type(
    description=(
        "What proves a past balance. `hash` = SHA-256 of `previousHash`, then `version`, the balance and the pending points as "
        "8 bytes each, big-endian and signed, then `contentHash`; from there the chain leads to `headHash`."
    )
)
class BalanceProof:
    """The entry behind a balance, and the chain's end."""

    version: Points = strawberry.field(
        description="The position in the account's chain of the entry that was the newest; 0 before the first."
    )
    hash: str = strawberry.field(description="The entry's link in the chain, in hex; for version 0 where the chain begins.")
    previous_hash: str | None = strawberry.field(description="The link before it; null for version 0.")
    content_hash: str | None = strawberry.field(description="SHA-256 of the entry's content; null for version 0.")
    occurred_at: datetime | None = strawberry.field(description="When the entry was booked; null for version 0.")
    head_version: Points = strawberry.field(description="The position of the account's newest entry today.")
    head_hash: str = strawberry.field(description="The link of the account's newest entry today, in hex.")


@strawberry.type(description="An account at an instant.")
class PointsBalance:
    """The figures and what they rest on."""

    row: strawberry.Private[Balance]
    customer_id: strawberry.ID = strawberry.field(description="The customer.")
    as_of: datetime = strawberry.field(description="The instant.")
    points_balance: Points = strawberry.field(description="The points that can be spent.")
    points_pending: Points = strawberry.field(description="The points still pending.")
    proof: BalanceProof | None = strawberry.field(description="What proves it; null for the future.")

    @strawberry.field(
        description=(
            "What happens between now and the instant, in its order: holds that pass, lots that expire, inactivity. Pending "
            "points of unpaid or disputed orders stay pending. Empty for the past."
        )
    )
    def changes(
        self,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[BalanceChange]:
        """A page of what comes."""
        rows_wanted = check_first(first)
        place = read_cursor(after, tuple[Index])
        begin = place[0] + 1 if place else 0
        rows = list(enumerate(self.row.changes))[begin : begin + rows_wanted]
        return connection(rows, first, after, lambda row: _change(row[1]), lambda row: (row[0],))


def _change(change: Change) -> BalanceChange:
    return BalanceChange(
        occurs_at=change.at,
        kind=change.kind,
        points=Points(change.points),
        points_pending=Points(change.pending),
        balance_after=Points(change.balance_after),
        pending_after=Points(change.pending_after),
    )


def _proof(proof: Proof) -> BalanceProof:
    return BalanceProof(
        version=Points(proof.position),
        hash=proof.hash.hex(),
        previous_hash=proof.previous_hash.hex() if proof.previous_hash else None,
        content_hash=proof.digest.hex() if proof.digest else None,
        occurred_at=proof.occurred_at,
        head_version=Points(proof.head_position),
        head_hash=proof.head_hash.hex(),
    )


@strawberry.type
class BalanceQueries:
    """The query about an account at an instant."""

    @strawberry.field(
        description=(
            "An account at an instant: for the past or the present as the ledger has it, with its proof; for the future what "
            "time alone will make of it by the program in force now. Null when there is no such customer."
        ),
        extensions=[EVERYBODY],
    )
    async def points_balance(
        self,
        info: Info,
        customer_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The customer, by our global id; a customer may leave it out."),
        ] = None,
        as_of: Annotated[
            datetime | None, strawberry.argument(description="The instant, with a time zone; left out, the present.")
        ] = None,
    ) -> PointsBalance | None:
        """The account asked for."""
        context = info.context
        at = context.scope.at if as_of is None else instant(as_of, "asOf")
        wanted = context.customer_id if customer_id is None else uuid_of("Customer", customer_id)
        if wanted is None:
            if customer_id is None:
                raise DomainError("Pass `customerId`.", field=("customerId",))
            return None
        if await visible_customer(info, wanted) is None:
            return None
        found = await balances.as_of(context.scope, wanted, at)
        if found is None:
            return None
        return PointsBalance(
            row=found,
            customer_id=strawberry.ID(gid("Customer", wanted)),
            as_of=found.at,
            points_balance=Points(found.balance),
            points_pending=Points(found.pending),
            proof=_proof(found.proof) if found.proof else None,
        )
