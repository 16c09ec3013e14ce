"""By which words customers are found, by which no more, and that the words say nothing by themselves."""

from datetime import timedelta
from uuid import UUID

import asyncpg

from domain import customers, db, identity
from domain.customers import CustomerSnapshot, Profile, terms
from domain.seal import search_term
from tests.house.test_catalog import contents
from tests.shop import NOON, Shop

Connection = asyncpg.Connection  # type: ignore[type-arg]


async def tell(shop: Shop, number: int, profile: Profile, minutes: int = 0) -> UUID:
    """What the shop says of a customer at an instant."""
    snapshot = CustomerSnapshot(number, NOON, NOON + timedelta(minutes=minutes))
    async with db.transaction(shop.scope()):
        await customers.arrive(shop.scope(), [(snapshot, profile)])
        return (await customers.ensure(shop.scope(), [number]))[number]


async def found(shop: Shop, query: str, first: int = 100, after: UUID | None = None) -> list[int]:
    """Shopify's numbers of who is found, newest first."""
    return [one.shopify_id for one in await customers.page(shop.scope(), first, after, query)]


async def test_every_word_must_be_there_in_any_order_and_case(shop: Shop, other_shop: Shop) -> None:
    await tell(shop, 1, Profile("ada@example.com", "Ada Maria", "Byron"))
    await tell(shop, 2, Profile("maria@example.com", "Maria", "Byron"))
    await tell(shop, 3, Profile(None, "Maria", "Curie"))
    await tell(other_shop, 4, Profile("ada@example.com", "Ada Maria", "Byron"))
    assert await found(shop, "maria") == [3, 2, 1]
    assert await found(shop, "BYRON maria Maria") == [2, 1]
    assert await found(shop, "maria ada byron 1 Ada@Example.com") == [1]
    for nobody in ("maria nobody", "mari", "ada curie", "4", "ada@example.com maria@example.com"):
        assert await found(shop, nobody) == []


async def test_pages_of_one_word_and_of_two_leave_nobody_out(shop: Shop) -> None:
    for number in range(1, 8):
        await tell(shop, number, Profile(None, "Common", "Name"))
    await tell(shop, 8, Profile(None, "Common", "Other"))
    for query, wanted in (("common", [8, 7, 6, 5, 4, 3, 2, 1]), ("name common", [7, 6, 5, 4, 3, 2, 1])):
        seen: list[int] = []
        after: UUID | None = None
        while page := await customers.page(shop.scope(), 3, after, query):
            seen += [one.shopify_id for one in page]
            after = page[-1].id
        assert seen == wanted


async def test_who_changes_their_name_is_not_found_by_the_old_one(shop: Shop) -> None:
    await tell(shop, 1, Profile("old@example.com", "Old", "Stays"))
    await tell(shop, 1, Profile("new@example.com", "New", "Stays"), minutes=1)
    # Told late, and so not taken over.
    await tell(shop, 1, Profile("late@example.com", "Late", "Stays"))
    assert [await found(shop, word) for word in ("new", "stays", "new@example.com", "1")] == [[1]] * 4
    assert [await found(shop, word) for word in ("old", "old@example.com", "late", "late@example.com")] == [[]] * 4


async def test_who_is_forgotten_has_no_word_left_and_gets_none_by_a_rotation(shop: Shop, owner: Connection) -> None:
    await tell(shop, 1, Profile("gone@example.com", "Gone", "Person"))
    stays = await tell(shop, 2, Profile("stays@example.com", "Stays", "Person"))
    async with db.transaction(shop.scope()):
        await identity.redact(shop.scope(), 1)
    await customers.reindex(shop.scope(), 10)
    rows = await contents(owner, "customer_terms", shop.merchant.id)
    assert len(rows) == 5
    assert all(str(stays) in row for row in rows)
    assert await found(shop, "person") == [2]


async def test_terms_of_what_was_read_do_not_replace_those_of_what_was_written_meanwhile(shop: Shop) -> None:
    """A rotation reads a customer, the shop tells of a new name, and then the rotation writes."""
    customer_id = await tell(shop, 1, Profile(None, "Old", None))
    async with db.connection(shop.scope()) as connection:
        read = await connection.fetchrow("select id, profile from customers where merchant_id = $1", shop.merchant.id)
    await tell(shop, 1, Profile(None, "New", None), minutes=1)
    async with db.connection(shop.scope()) as connection:
        stale = {search_term(shop.merchant.id, "old")}
        await terms._rewrite(shop.scope(), connection, read, stale)
        assert (await found(shop, "old"), await found(shop, "new")) == ([], [1])
        # What still is as it was read is written.
        now = await connection.fetchrow(
            "select id, profile from customers where id = $1 and merchant_id = $2", customer_id, shop.merchant.id
        )
        await terms._rewrite(shop.scope(), connection, now, stale)
    assert (await found(shop, "old"), await found(shop, "new")) == ([1], [])
