"""The proof of the ledger finds every kind of tampering, and names the first bad entry, lot or move."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain import db, points
from domain.points import Entry, TransactionType
from domain.points.verify import Progress, verify
from tests.ledger import give_back, spend
from tests.shop import NOON, Shop

LEDGER = ("points_transactions", "points_accounts", "points_lots", "points_lot_moves")


async def three_entries(shop: Shop) -> UUID:
    customer = await shop.customer()
    async with db.transaction(shop.scope()):
        await points.post(
            shop.scope(),
            [
                Entry(customer.id, TransactionType.EARN, amount, 5, "test", f"{customer.id}-{amount}", "earn", trace="{}")
                for amount in (100, 200, 300)
            ],
        )
    return customer.id


async def tamper(owner: "asyncpg.Connection[Any]", *statements: str) -> None:
    """Change the ledger as somebody could who owns the tables: the application cannot."""
    async with owner.transaction():
        for table in LEDGER:
            await owner.execute(f"alter table {table} no force row level security")
        for statement in statements:
            await owner.execute(statement)
        for table in LEDGER:
            await owner.execute(f"alter table {table} force row level security")


async def test_an_untouched_ledger_is_proved(shop: Shop) -> None:
    await three_entries(shop)
    await three_entries(shop)
    await shop.customer()
    progress = Progress()
    assert await verify(shop.scope(), progress) is None
    assert (progress.entries, progress.accounts) == (6, 3)


@pytest.mark.parametrize(
    ("change", "position", "what"),
    [
        ("update points_transactions set points = 201", 2, "its content is not what was written"),
        ("update points_transactions set pending = 6", 2, "its content is not what was written"),
        ("update points_transactions set type = 'adjust'", 2, "its content is not what was written"),
        ("update points_transactions set source = 'x'", 2, "its content is not what was written"),
        ("update points_transactions set external_id = 'x'", 2, "its content is not what was written"),
        ("update points_transactions set purpose = 'x'", 2, "its content is not what was written"),
        ("update points_transactions set program_version = 9", 2, "its content is not what was written"),
        ("update points_transactions set reason = 'x'", 2, "its content is not what was written"),
        ("update points_transactions set actor = 'x'", 2, "its content is not what was written"),
        ("update points_transactions set trace = '[]'", 2, "its content is not what was written"),
        (
            "update points_transactions set occurred_at = occurred_at + interval '1 microsecond'",
            2,
            "its content is not what was written",
        ),
        ("update points_transactions set digest = sha256('x')", 2, "its content is not what was written"),
        ("update points_transactions set hash = sha256('x')", 2, "its link in the chain is broken"),
        ("update points_transactions set balance_after = 301", 2, "its balance is not the sum of the entries up to it"),
        ("update points_transactions set pending_after = 11", 2, "its balance is not the sum of the entries up to it"),
        ("delete from points_transactions", 2, "this entry is missing; the next one there is number 3"),
    ],
)
async def test_a_changed_entry_is_found(
    shop: Shop, owner: "asyncpg.Connection[Any]", change: str, position: int, what: str
) -> None:
    customer_id = await three_entries(shop)
    await tamper(owner, f"{change} where customer_id = '{customer_id}' and position = 2")
    fault = await verify(shop.scope(), Progress())
    assert fault is not None
    assert (fault.customer_id, fault.position, fault.what) == (customer_id, position, what)


async def test_entries_that_changed_places_are_found(shop: Shop, owner: "asyncpg.Connection[Any]") -> None:
    customer_id = await three_entries(shop)
    which = f"where customer_id = '{customer_id}' and position"
    await tamper(
        owner,
        f"update points_transactions set position = 9 {which} = 1",
        f"update points_transactions set position = 1 {which} = 2",
        f"update points_transactions set position = 2 {which} = 9",
    )
    fault = await verify(shop.scope(), Progress())
    assert fault is not None
    assert (fault.position, fault.what) == (1, "its balance is not the sum of the entries up to it")


async def test_a_cut_end_is_found(shop: Shop, owner: "asyncpg.Connection[Any]") -> None:
    customer_id = await three_entries(shop)
    await tamper(owner, f"delete from points_transactions where customer_id = '{customer_id}' and position = 3")
    fault = await verify(shop.scope(), Progress())
    assert fault is not None
    assert (fault.position, fault.what) == (2, "the account ends at entry 3, and its entries at number 2")


async def test_a_changed_account_is_found(shop: Shop, owner: "asyncpg.Connection[Any]") -> None:
    customer_id = await three_entries(shop)
    await tamper(owner, f"update points_accounts set balance = 601 where customer_id = '{customer_id}'")
    fault = await verify(shop.scope(), Progress())
    assert fault is not None
    assert fault.what == "the account's balance is not the sum of its entries"


async def test_another_merchants_fault_is_not_ours(shop: Shop, other_shop: Shop, owner: "asyncpg.Connection[Any]") -> None:
    await three_entries(shop)
    foreign = await three_entries(other_shop)
    await tamper(owner, f"update points_transactions set points = 1 where customer_id = '{foreign}' and position = 1")
    assert await verify(shop.scope(), Progress()) is None
    assert await verify(other_shop.scope(), Progress()) is not None


async def test_the_application_cannot_change_the_ledger(shop: Shop) -> None:
    await three_entries(shop)
    async with db.connection(shop.scope()) as connection:
        for statement in ("update points_transactions set points = 1", "delete from points_transactions"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def moved_lots(shop: Shop) -> UUID:
    """Eight entries: lot 2 expires before lot 1 and goes first; 70 of 150 come back; what is left of lot 2 expires."""
    customer = await shop.customer()
    shop.at = NOON
    async with db.transaction(shop.scope()):
        await points.post(
            shop.scope(),
            [
                Entry(
                    customer.id, TransactionType.IMPORT, amount, 0, "test", f"{customer.id}-{days}", "import", expires_at=expiry
                )
                for amount, days in ((100, 50), (120, 40))
                for expiry in [NOON + timedelta(days=days)]
            ],
        )
    position = await spend(shop, customer.id, 150, f"{customer.id}")
    assert await give_back(shop, customer.id, position, 70, f"{customer.id}") != []
    shop.at = NOON + timedelta(days=41)
    async with db.transaction(shop.scope()):
        assert await points.expire(shop.scope(), 10) == 1
    await spend(shop, customer.id, 1, f"{customer.id}-one")
    return customer.id


async def test_lots_and_moves_are_proved(shop: Shop) -> None:
    await moved_lots(shop)
    progress = Progress()
    assert await verify(shop.scope(), progress) is None
    assert (progress.entries, progress.lots, progress.moves, progress.rows) == (7, 2, 6, 16)


LOT = "where customer_id = '{customer}' and lot"
MOVE = "where customer_id = '{customer}' and position"


@pytest.mark.parametrize(
    ("change", "position", "what"),
    [
        (f"update points_lots set remaining = 82 {LOT} = 1", 1, "its lot's remaining is 83, and 82 is written"),
        (f"update points_lots set points = 101 {LOT} = 1", 1, "its lot's points is 100, and 101 is written"),
        (f"update points_lots set expired = 1 {LOT} = 1", 1, "its lot's expired is 0, and 1 is written"),
        (f"update points_lots set expired = 0 {LOT} = 2", 2, "its lot's expired is 56, and 0 is written"),
        (
            f"update points_lots set expires_at = null {LOT} = 1",
            1,
            "its lot's expires_at is 2026-04-21 12:00:00+00:00, and None is written",
        ),
        (f"delete from points_lots {LOT} = 1", 1, "the lot that it opens is missing"),
        (f"delete from points_lots {LOT} = 2", 2, "the lot that it opens is missing"),
        (f"update points_lots set lot = 3 {LOT} = 2", 2, "the lot that it opens is missing"),
        (
            "insert into points_lots select merchant_id, customer_id, 3, 5, 5, 0, null from points_lots " + LOT + " = 1",
            3,
            "there is a lot that it does not open",
        ),
        (
            "insert into points_lots select merchant_id, customer_id, 0, 5, 5, 0, null from points_lots " + LOT + " = 1",
            0,
            "there is a lot that it does not open",
        ),
        (
            "insert into points_lots select merchant_id, gen_random_uuid(), 3, 5, 5, 0, null from points_lots " + LOT + " = 1",
            3,
            "this lot is of no account, or of no entry",
        ),
        (
            f"update points_lot_moves set points = -119 {MOVE} = 3 and lot = 2",
            3,
            "in lot 2 it moves -120 points, and -119 are written",
        ),
        (f"update points_lot_moves set points = 15 {MOVE} = 4", 4, "in lot 1 it moves 14 points, and 15 are written"),
        (f"update points_lot_moves set lot = 7 {MOVE} = 3 and lot = 2", 3, "in lot 7 it moves 0 points, and -120 are written"),
        (f"delete from points_lot_moves {MOVE} = 6", 6, "in lot 2 it moves -56 points, and none are written"),
        (f"delete from points_lot_moves {MOVE} = 3 and lot = 1", 3, "in lot 1 it moves -30 points, and none are written"),
        (
            "insert into points_lot_moves select merchant_id, customer_id, 2, 1, -1 from points_lots " + LOT + " = 1",
            2,
            "in lot 1 it moves 0 points, and -1 are written",
        ),
    ],
)
async def test_a_changed_lot_or_move_is_found(
    shop: Shop, owner: "asyncpg.Connection[Any]", change: str, position: int, what: str
) -> None:
    customer_id = await moved_lots(shop)
    await tamper(owner, change.format(customer=customer_id))
    fault = await verify(shop.scope(), Progress())
    assert fault is not None
    assert (fault.position, fault.what) == (position, what)


async def test_points_moved_from_one_lot_to_another_are_found(shop: Shop, owner: "asyncpg.Connection[Any]") -> None:
    """All sums hold: only the rule of which lot is spent first tells."""
    customer_id = await moved_lots(shop)
    which = MOVE.format(customer=customer_id)
    await tamper(
        owner,
        f"update points_lot_moves set lot = 9 {which} = 3 and lot = 1",
        f"update points_lot_moves set lot = 1 {which} = 3 and lot = 2",
        f"update points_lot_moves set lot = 2 {which} = 3 and lot = 9",
    )
    fault = await verify(shop.scope(), Progress())
    assert fault is not None
    assert (fault.position, fault.what) == (3, "in lot 1 it moves -30 points, and -120 are written")
