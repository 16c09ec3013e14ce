"""To be forgotten and to be told: after it nothing of a person is found in any table, and the chain holds."""

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain import actions, customers, db, identity, inbox, merchants, points
from domain.errors import NotFound
from domain.points import AccountClosed
from domain.points.verify import Progress, verify
from domain.seal import match_term, search_term, unseal
from tests.domain.test_guests import account, found, guest
from tests.house.test_catalog import TENANT_TABLES, contents
from tests.shop import Shop, order, rate

Connection = asyncpg.Connection  # type: ignore[type-arg]
CANARY = "canary"
EMAIL = "Canary@Example.com"
OTHER_EMAIL = "canary@work.example.com"
WORDS = (EMAIL, OTHER_EMAIL, "canary", "canaryson")
BORN = 1937


def person(number: int, **changes: Any) -> dict[str, Any]:
    return account(number, email=EMAIL, first_name="Canary", last_name="Canaryson", **changes)


async def traces(shop: Shop, owner: Connection, words: tuple[str, ...] = WORDS) -> set[str]:
    """The tables in which a person is found: by a word, by its keyed hash, or in what is sealed."""
    terms = [term(shop.merchant.id, word).hex() for word in words for term in (search_term, match_term)]
    seen: set[str] = set()
    for table in sorted(TENANT_TABLES):
        for row in await contents(owner, table, shop.merchant.id):
            if any(word.casefold() in row.casefold() for word in (*words, *terms)):
                seen.add(table)
            if any(one in opened(shop, table, json.loads(row)).casefold() for one in (CANARY, str(BORN))):
                seen.add(table)
    return seen


def opened(shop: Shop, table: str, row: dict[str, Any]) -> str:
    """What is sealed in a row, in the clear."""
    sealed_in = {
        "customers": ("profile", "id"),
        "inbox": ("profile", "webhook_id"),
        "birthdays": ("sealed", "customer_id"),
    }
    column, key = sealed_in.get(table, ("content", "id"))
    sealed = row.get(column)
    return "" if sealed is None else unseal(shop.merchant.id, f"{table}.{column}", row[key], bytes.fromhex(sealed[2:])).decode()


async def live(shop: Shop) -> None:
    """A person who leaves a trace wherever one can be left, and another beside them."""
    await shop.publish(rate(1, signup_points=10))
    await shop.deliver("orders/create", guest(1, email=EMAIL))
    await shop.deliver("orders/create", guest(4, email=OTHER_EMAIL))
    await shop.deliver("customers/create", person(7))
    await shop.deliver("orders/create", order(2, customer=7))
    await shop.deliver("customers/create", account(9))
    await shop.work()
    customer = await shop.customer(7)
    async with db.transaction(shop.scope()):
        await actions.set_birthday(shop.scope(), customer_id=customer.id, month=5, day=17, year=BORN)
    # One review whose writer is found, and one that nobody has looked at.
    await actions.tell(shop.scope(), actions.Provider.YOTPO, actions.Told("1", EMAIL, True, shop.at, shop.at))
    async with db.transaction(shop.scope()):
        await actions.settle_reviews(shop.scope(), 10)
    await actions.tell(shop.scope(), actions.Provider.YOTPO, actions.Told("2", EMAIL, True, shop.at, shop.at))
    async with db.transaction(shop.scope()):
        await identity.request_data(shop.scope(), 7, 55, [1])
    # Deliveries that could not be worked off, or have not been: one cannot be read, one waits.
    await shop.deliver("customers/update", person(7) | {"created_at": "yesterday"}, "broken")
    await shop.work()
    await shop.deliver("orders/create", guest(3, email=EMAIL), "waits")
    await shop.deliver("customers/update", account(9, minutes=3), "other")


async def test_after_redaction_no_table_knows_the_person(shop: Shop, owner: Connection) -> None:
    await live(shop)
    assert await traces(shop, owner) == {
        "birthdays",
        "customers",
        "customer_terms",
        "customer_exports",
        "inbox",
        "orders",
        "reviews",
    }
    customer = await shop.customer(7)
    before = await shop.balance(customer.id)
    await shop.deliver(
        "customers/redact", {"shop_id": 1, "customer": {"id": 7, "email": EMAIL}, "orders_to_redact": [1, 2, 3, 4]}
    )
    redacting = await claim(shop, inbox.Kind.PRIVACY)
    async with db.transaction(shop.scope()):
        await inbox.work_off(shop.scope(), inbox.Kind.PRIVACY, redacting)
    assert await traces(shop, owner) == set()
    # What is delivered later of them brings nothing back.
    await shop.deliver("customers/update", person(7, minutes=60))
    await shop.work()
    assert await traces(shop, owner) - {"inbox"} == set()
    assert await shop.balance(customer.id) == before
    assert await verify(shop.scope(), Progress()) is None
    again = await shop.customer(7)
    assert (again.state, again.profile().email) == ("redacted", None)
    other = await shop.customer(9)
    assert other.profile().first_name == "Gwen"
    assert (await found(shop, 1)).deserved == 100


async def claim(shop: Shop, kind: inbox.Kind) -> list[inbox.Waiting]:
    async with db.transaction(shop.scope()):
        return await inbox.claim(shop.scope(), kind, 10)


async def test_redaction_reaches_those_who_were_merged_into_the_person(shop: Shop, owner: Connection) -> None:
    await shop.deliver("customers/create", person(7))
    await shop.deliver("customers/create", account(8, email="keeps@example.com"))
    await shop.work()
    async with db.transaction(shop.scope()):
        await identity.merge(shop.scope(), kept=8, gone=7)
    async with db.transaction(shop.scope()):
        await identity.redact(shop.scope(), 8)
        await identity.redact(shop.scope(), 8)
    assert await traces(shop, owner) == set()


async def test_when_who_is_gone_is_erased_who_was_kept_stays(shop: Shop, owner: Connection) -> None:
    await shop.deliver("customers/create", person(7))
    await shop.deliver("customers/create", account(8, email="keeps@example.com"))
    await shop.work()
    async with db.transaction(shop.scope()):
        merge = await identity.merge(shop.scope(), kept=8, gone=7)
        await identity.redact(shop.scope(), 7)
    assert merge is not None
    with pytest.raises(AccountClosed):
        await points.adjust(shop.scope(), customer_id=merge.gone_id, points=5, reason="x", idempotency_key="k")
    assert await traces(shop, owner) == set()
    kept = await shop.customer(8)
    assert (kept.state, kept.profile().email) == ("open", "keeps@example.com")
    assert (await shop.customer(7)).id == kept.id


async def test_after_shop_redact_nobody_is_known_and_no_key_opens(shop: Shop, other_shop: Shop, owner: Connection) -> None:
    await live(shop)
    await live(other_shop)
    key = await shop.partner_key()
    await shop.deliver("shop/redact", {"shop_id": 1, "shop_domain": shop.merchant.shop_domain})
    redacting = await claim(shop, inbox.Kind.PRIVACY)
    async with db.transaction(shop.scope()):
        await inbox.work_off(shop.scope(), inbox.Kind.PRIVACY, redacting)
    assert await traces(shop, owner, (*WORDS, "guest@example.com", "gwen")) == set()
    assert "customers" in await traces(other_shop, owner)
    assert await merchants.by_api_key(key, shop.at) is None
    assert await verify(shop.scope(), Progress()) is None
    assert {(await customers.by_shopify_id(shop.scope(), number)).state for number in (7, 9)} == {"redacted"}  # type: ignore[union-attr]


async def test_an_uninstalled_shop_has_no_keys(shop: Shop, other_shop: Shop) -> None:
    key, other = await shop.partner_key(), await other_shop.partner_key()
    await shop.deliver("app/uninstalled", {"id": 1, "myshopify_domain": shop.merchant.shop_domain})
    await shop.work()
    assert await merchants.by_api_key(key, shop.at) is None
    assert await merchants.by_api_key(other, shop.at) is not None


async def join(shop: Shop, other_shop: Shop) -> None:
    """The other shop becomes one of the merchant's."""
    async with db.transaction(shop.scope()):
        await merchants.stores.invite(shop.scope(), other_shop.merchant.shop_domain)
    async with db.transaction(other_shop.scope()):
        await merchants.stores.join(other_shop.scope(), shop.merchant.shop_domain)


@pytest.mark.parametrize(("topic", "name"), [("shop/redact", "shop_domain"), ("app/uninstalled", "myshopify_domain")])
async def test_one_of_several_shops_leaves_and_takes_nobody_with_it(
    shop: Shop, other_shop: Shop, owner: Connection, topic: str, name: str
) -> None:
    await join(shop, other_shop)
    key = await shop.partner_key()
    await shop.deliver("customers/create", person(7))
    await shop.deliver(topic, {"id": 1, name: other_shop.merchant.shop_domain})
    await shop.work()
    assert await traces(shop, owner) == {"customers", "customer_terms"}
    assert await merchants.by_api_key(key, shop.at) is not None
    left = await merchants.by_shop_domain(other_shop.merchant.shop_domain)
    assert left is not None
    assert left.id == other_shop.merchant.id


async def test_a_shop_whose_customers_are_others_too_is_not_erased(shop: Shop, other_shop: Shop, owner: Connection) -> None:
    await join(shop, other_shop)
    key = await shop.partner_key()
    await shop.deliver("customers/create", person(7))
    await shop.deliver("app/uninstalled", {"id": 1, "myshopify_domain": shop.merchant.shop_domain})
    await shop.deliver("shop/redact", {"shop_id": 1, "shop_domain": shop.merchant.shop_domain}, "first")
    await shop.deliver("shop/redact", {"shop_id": 1, "shop_domain": "stranger.myshopify.com"}, "stranger")
    await shop.work()
    kept = [await inbox.by_webhook_id(shop.scope(), name) for name in ("first", "stranger")]
    assert [(one.status, one.failure) for one in kept if one] == [("failed", "STORE_IN_USE"), ("failed", "DELIVERY_INVALID")]
    assert await traces(shop, owner) == {"customers", "customer_terms"}
    assert await merchants.by_api_key(key, shop.at) is not None
    async with db.transaction(shop.scope()):
        await merchants.stores.remove(shop.scope(), other_shop.merchant.shop_domain)
        await inbox.retry(shop.scope(), "first")
    await shop.work()
    assert await traces(shop, owner) == set()
    assert await merchants.by_api_key(key, shop.at) is None


async def take(shop: Shop, export_id: UUID) -> dict[str, Any]:
    async with db.transaction(shop.scope()):
        return json.loads((await identity.take_export(shop.scope(), export_id))[1])


async def test_a_person_is_told_all_once(shop: Shop) -> None:
    await live(shop)
    await shop.deliver(
        "customers/data_request", {"customer": {"id": 7}, "orders_requested": [1, 4], "data_request": {"id": 56}, "shop_id": 1}
    )
    await shop.deliver("customers/data_request", {"customer": {"id": 7}, "orders_requested": [], "data_request": {"id": 56}})
    await shop.work()
    exports = await identity.exports(shop.scope(), 10, None)
    assert [one.is_waiting for one in exports] == [True, True]
    told = await take(shop, exports[0].id)
    [one] = told["customers"]
    assert one["profile"] == {"email": EMAIL, "first_name": "Canary", "last_name": "Canaryson"}
    assert (one["shopify_id"], one["state"]) == (7, "open")
    assert told["points_accounts"] == [{"customer_id": one["id"], "balance": 310, "pending": 0, "closed": None}]
    assert [(entry["points"], entry["source"], entry["external_id"]) for entry in told["points_transactions"]] == [
        (10, "signup", "7"),
        (100, "order", "1"),
        (100, "order", "2"),
        (100, "order", "3"),
    ]
    assert [lot["remaining"] for lot in told["points_lots"]] == [10, 100, 100, 100]
    assert [(each["shopify_id"], each["snapshot"]["id"]) for each in told["orders"]] == [(1, 1), (2, 2), (3, 3)]
    assert [each["snapshot"]["id"] for each in told["orders_of_guests"]] == [4]
    assert len(told["customer_exports"]) == 1
    assert told["customer_merges"] == []
    with pytest.raises(NotFound):
        await take(shop, exports[0].id)
    taken = await identity.exported(shop.scope(), exports[0].id)
    assert taken is not None
    assert (taken.is_waiting, taken.taken_at, taken.taken_by) == (False, shop.at, "system:test")


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("customers/redact", {}),
        ("customers/redact", {"customer": {"id": "7"}}),
        ("customers/redact", {"customer": {"id": 7}, "orders_to_redact": ["1"]}),
        ("customers/data_request", {"customer": {"id": 7}}),
        ("shop/redact", {"shop_id": 1}),
        ("app/uninstalled", {"id": 1}),
        ("customers/disable", {"id": None}),
        ("customers/disable", {"id": 7, "updated_at": "2026-01-01T00:00:00"}),
        ("customers/delete", {"id": 2**63}),
        ("customers/redact", {"customer": {"id": -1}}),
    ],
)
async def test_a_delivery_that_cannot_be_read_is_kept_with_its_reason(shop: Shop, topic: str, payload: dict[str, Any]) -> None:
    await shop.deliver(topic, payload, "bad")
    await shop.work()
    kept = await inbox.by_webhook_id(shop.scope(), "bad")
    assert kept is not None
    assert (kept.status, kept.failure) == ("failed", "DELIVERY_INVALID")


@pytest.mark.parametrize(
    "kept", ["gid://shopify/Order/7", "7", "gid://shopify/Customer/0", "gid://shopify/Customer/9999999999999999999"]
)
async def test_a_merge_that_names_nobody_is_kept_with_its_reason(shop: Shop, kept: str) -> None:
    await shop.customer(8)
    gone = "gid://shopify/Customer/8"
    body = {"admin_graphql_api_customer_kept_id": kept, "admin_graphql_api_customer_deleted_id": gone, "status": "completed"}
    await shop.deliver("customers/merge", body, "bad")
    await shop.work()
    found_ = await inbox.by_webhook_id(shop.scope(), "bad")
    assert found_ is not None
    assert (found_.status, found_.failure, found_.failure_path) == (
        "failed",
        "DELIVERY_INVALID",
        "admin_graphql_api_customer_kept_id",
    )
