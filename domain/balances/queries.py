"""An account at an instant."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import actions, calendar, db, orders, points, programs, schedules
from domain.balances.rules import Change, Hold, foresee
from domain.points import Account
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Proof:
    """What a past balance is proved by: the entry that was the newest, and how the account goes on from there.

    hash = SHA-256(previous hash | position | balance | pending | digest), the numbers as 8 bytes big-endian. For position 0,
    before the first entry, the hash is where the account's chain begins. head_hash: the newest entry's, of number
    head_position, to which the chain leads from here.
    """

    position: int
    hash: bytes
    previous_hash: bytes | None
    digest: bytes | None
    occurred_at: datetime | None
    head_position: int
    head_hash: bytes


@dataclass(frozen=True, slots=True)
class Balance:
    """An account at an instant. `proof` for the past and the present, `changes` for what comes until a future instant."""

    customer_id: UUID
    at: datetime
    balance: int
    pending: int
    proof: Proof | None
    changes: list[Change]


async def as_of(scope: Scope, customer_id: UUID, at: datetime) -> Balance | None:
    """The account as the ledger had it at an instant, or as time alone will have made it; None when there is no such customer.

    Past: the sums up to the newest entry that was booked at the instant or earlier. Future: what confirmed holds, lots that
    expire and inactivity make of the account as it stands, by the program in force now.
    """
    async with db.connection(scope) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        account = await points.account(scope, customer_id)
        if account is None:
            return None
        if at <= scope.at:
            return await _past(scope, account, at)
        return await _future(scope, account, at)


async def _past(scope: Scope, account: Account, at: datetime) -> Balance:
    newest = await points.newest_at(scope, account.customer_id, at)
    if newest is None:
        start = points.genesis(scope.merchant_id, account.customer_id)
        return Balance(account.customer_id, at, 0, 0, Proof(0, start, None, None, None, account.version, account.last_hash), [])
    proof = Proof(
        newest.position, newest.hash, newest.previous_hash, newest.digest, newest.occurred_at, account.version, account.last_hash
    )
    return Balance(account.customer_id, at, newest.balance_after, newest.pending_after, proof, [])


async def _future(scope: Scope, account: Account, at: datetime) -> Balance:
    lots = await points.expiring_lots(scope, account.customer_id, at)
    holds = await _holds(scope, account.customer_id, at)
    deadline = await _deadline(scope, account)
    changes = foresee(account.balance, account.pending, lots, holds, deadline, at)
    balance = account.balance + sum(change.points for change in changes)
    pending = account.pending + sum(change.pending for change in changes)
    return Balance(account.customer_id, at, balance, pending, None, changes)


async def _holds(scope: Scope, customer_id: UUID, until: datetime) -> list[Hold]:
    """What is pending of orders and of all else, and becomes spendable by `until`."""
    held = [
        *(
            (one.matures_at, one.posted_pending, one.program_version)
            for one in await orders.maturing_of(scope, customer_id, until)
        ),
        *(
            (one.matures_at, one.posted_pending, one.program_version)
            for one in await actions.maturing_of(scope, customer_id, until)
        ),
    ]
    versions = await programs.by_numbers(scope, {number for _, _, number in held if number})
    holds: list[Hold] = []
    for place, (matures_at, pending, number) in enumerate(held):
        assert matures_at is not None, "it matures"
        version = versions.get(number or 0)
        holds.append(Hold(matures_at, place, pending, version.definition.expires_at(matures_at) if version else None))
    return holds


async def _deadline(scope: Scope, account: Account) -> datetime | None:
    """When everything expires for inactivity, unless that midnight's work is done already."""
    rule = await points.inactivity(scope, scope.at)
    undone = await schedules.next_due(scope, schedules.DAILY)
    if rule is None or undone is None:
        return None
    deadline = rule.deadline(account.active_at)
    zone = calendar.time_zone(rule.definition.time_zone)
    # The midnight's work takes in the deadlines behind the midnight before it.
    return deadline if deadline > calendar.days_after(undone, -1, zone) else None
