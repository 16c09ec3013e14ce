"""The proof of the ledger finds every kind of tampering, and names the first bad entry."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain import db, points
from domain.points import Entry, TransactionType
from domain.points.verify import Progress, verify
from tests.shop import Shop

LEDGER = ("points_transactions", "points_accounts")


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
