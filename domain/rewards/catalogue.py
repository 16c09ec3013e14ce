"""Keeping the catalogue."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from domain import audit, db, outbox
from domain.errors import NotFound
from domain.identifiers import new_id
from domain.points import POINTS_MAX
from domain.rewards.queries import REWARD, Reward, reward
from domain.rewards.rules import (
    Definition,
    InvalidReward,
    RewardChanged,
    RewardKind,
    RewardStatus,
    definition_text,
    validate,
)
from domain.scope import Scope

COUPONS_MAX = 1_000
CODE_LENGTH_MAX = 64


async def create(
    scope: Scope, definition: Definition, *, stock: int | None = None, status: RewardStatus = RewardStatus.ACTIVE
) -> Reward:
    """Put a reward into the catalogue; audited. Precondition: an open transaction.

    Refusals: REWARD_INVALID, with the field at fault. A pool of coupons begins empty, and its stock is what is added to it.
    """
    _check(definition, stock)
    return await _write(
        scope,
        f"""
        insert into rewards (merchant_id, id, kind, definition, status, stock, revision, created_at, updated_at, due_at)
        values ($1, $2, $3, $4, $5, $6, 1, $7, $7, $8) returning {REWARD}
        """,
        new_id(),
        definition.kind.value,
        definition_text(definition),
        status.value,
        0 if definition.kind is RewardKind.COUPON else stock,
        scope.at,
        scope.at if definition.kind is RewardKind.PAY_WITH_POINTS else None,
        action="reward.created",
    )


async def update(
    scope: Scope, reward_id: UUID, definition: Definition, *, stock: int | None, status: RewardStatus, revision: int | None
) -> Reward:
    """Replace what a reward says; audited. What was taken before keeps what was promised then.

    Refusals: NOT_FOUND, REWARD_CHANGED when `revision` is not the current one, REWARD_INVALID.
    """
    kept = await reward(scope, reward_id)
    if kept is None:
        raise NotFound("There is no such reward.", field=("id",))
    if revision is not None and revision != kept.revision:
        raise RewardChanged(f"The reward is at revision {kept.revision} now.", field=("revision",))
    if definition.kind is not kept.definition.kind:
        raise InvalidReward("A reward stays of its kind.", field=("kind",))
    _check(definition, stock)
    return await _write(
        scope,
        f"""
        update rewards set kind = $3, definition = $4, status = $5, stock = $6, updated_at = $7, due_at = $8,
            revision = revision + 1
        where merchant_id = $1 and id = $2 and revision = $9 returning {REWARD}
        """,
        reward_id,
        definition.kind.value,
        definition_text(definition),
        status.value,
        kept.stock if definition.kind is RewardKind.COUPON else stock,
        scope.at,
        scope.at if definition.kind is RewardKind.PAY_WITH_POINTS else None,
        kept.revision,
        action="reward.updated",
    )


def _check(definition: Definition, stock: int | None) -> None:
    validate(definition)
    if stock is not None and not 0 <= stock <= POINTS_MAX:
        raise InvalidReward(f"The stock is between 0 and {POINTS_MAX}.", field=("stock",))


async def _write(scope: Scope, statement: str, reward_id: UUID, *values: object, action: str) -> Reward:
    try:
        async with db.connection(scope) as connection:
            row = await connection.fetchrow(statement, scope.merchant_id, reward_id, *values)
    except asyncpg.UniqueViolationError as error:
        raise InvalidReward("There is an active reward for paying with points already.", field=("kind",)) from error
    if row is None:
        raise RewardChanged("The reward was edited at the same time.", field=("revision",))
    written = Reward(*row)
    after = {"status": written.status, "stock": written.stock, "revision": written.revision, "definition": written.text}
    await audit.record(scope, action, f"gid://loyalnest/Reward/{written.id}", after=after)
    if written.definition.kind is RewardKind.PAY_WITH_POINTS:
        await outbox.add(scope, "reward.changed")
    return written


async def add_coupons(scope: Scope, reward_id: UUID, codes: Sequence[str]) -> tuple[Reward, int]:
    """Add codes to a pool; audited. Those that are in a pool already are passed over. Returns the reward and how many were new.

    Refusals: NOT_FOUND, REWARD_INVALID when the reward is no pool, or for a blank or long code or more than 1,000 of them.
    """
    kept = await reward(scope, reward_id)
    if kept is None:
        raise NotFound("There is no such reward.", field=("rewardId",))
    if kept.definition.kind is not RewardKind.COUPON:
        raise InvalidReward("Only a pool of coupons takes codes.", field=("rewardId",))
    wanted = sorted({code.strip() for code in codes})
    if not 1 <= len(codes) <= COUPONS_MAX or any(not 1 <= len(code) <= CODE_LENGTH_MAX for code in wanted):
        raise InvalidReward(f"1 to {COUPONS_MAX} codes of 1 to {CODE_LENGTH_MAX} characters.", field=("codes",))
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            insert into coupons (merchant_id, reward_id, code, added_at)
            select $1, $2, n.code, $4 from unnest($3::text[]) as n (code)
            on conflict (merchant_id, code) do nothing
            """,
            scope.merchant_id,
            reward_id,
            wanted,
            scope.at,
        )
        added = int(status.rpartition(" ")[2])
        row = await connection.fetchrow(
            f"""
            update rewards set stock = stock + $3, updated_at = $4, revision = revision + 1
            where merchant_id = $1 and id = $2 returning {REWARD}
            """,
            scope.merchant_id,
            reward_id,
            added,
            scope.at,
        )
    assert row is not None, "the reward was read above, and none is ever deleted"
    await audit.record(scope, "coupons.added", f"gid://loyalnest/Reward/{reward_id}", after={"added": added})
    return Reward(*row), added
