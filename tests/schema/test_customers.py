"""Customers: found by their ids and words, seen by those who may."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import customers, db
from domain.customers import CustomerSnapshot, Profile
from tests.schema.rows import errors
from tests.shop import NOON, Shop, order, rate

FIELDS = "id shopifyId email firstName lastName pointsBalance pointsPending pointsVersion joinedAt"
BY_ID = f"query ($id: ID) {{ customer(id: $id) {{ {FIELDS} }} }}"
BY_SHOPIFY = "query ($id: ID) { customer(shopifyId: $id) { id } }"
OWN = f"{{ customer {{ {FIELDS} }} }}"
PAGE = """query ($first: Int!, $after: String, $words: String) {
    customers(first: $first, after: $after, query: $words) {
        nodes { shopifyId } edges { cursor node { shopifyId } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}"""
FORBIDDEN = "This credential does not open this field."


async def arrive(shop: Shop, number: int, email: str | None, first: str | None, last: str | None) -> str:
    async with db.transaction(shop.scope()):
        [customer_id] = await customers.arrive(
            shop.scope(), [(CustomerSnapshot(number, NOON - timedelta(days=1), NOON), Profile(email, first, last))]
        )
    return f"gid://loyalnest/Customer/{customer_id}"


async def bob(shop: Shop) -> tuple[str, dict[str, Any]]:
    """A customer with an order of 100.00 at ten points, held: and what the API shows of them."""
    await shop.publish(rate(10, hold_days=7))
    identifier = await arrive(shop, 207, "Bob@Example.com", "Bob", "Norman")
    await shop.deliver("orders/create", order(customer=207))
    await shop.work()
    return identifier, {
        "id": identifier,
        "shopifyId": "gid://shopify/Customer/207",
        "email": "Bob@Example.com",
        "firstName": "Bob",
        "lastName": "Norman",
        "pointsBalance": 1000,
        "pointsPending": 0,
        "pointsVersion": 1,
        "joinedAt": (NOON - timedelta(days=1)).isoformat(),
    }


async def test_staff_find_a_customer_by_either_id(shop: Shop) -> None:
    identifier, expected = await bob(shop)
    assert await shop.data(BY_ID, id=identifier) == {"customer": expected}
    for number in ("207", "gid://shopify/Customer/207"):
        assert await shop.data(BY_SHOPIFY, id=number) == {"customer": {"id": identifier}}


async def test_a_customer_sees_themself_and_nobody_else(shop: Shop) -> None:
    identifier, expected = await bob(shop)
    other = await arrive(shop, 208, "amina@example.com", "Amina", "Haddad")
    known = await customers.by_shopify_id(shop.scope(), 207)
    assert known is not None
    token = shop.customer_token(known.id)
    assert await shop.data(OWN, token=token) == {"customer": expected}
    assert await shop.data(BY_ID, token=token, id=identifier) == {"customer": expected}
    assert await shop.data(BY_SHOPIFY, token=token, id="207") == {"customer": {"id": identifier}}
    assert await shop.data(BY_ID, token=token, id=other) == {"customer": None}
    assert await shop.data(BY_SHOPIFY, token=token, id="208") == {"customer": None}
    assert await shop.data("query ($id: ID!) { node(id: $id) { id } }", token=token, id=other) == {"node": None}


async def test_a_partner_sees_figures_and_no_person(shop: Shop) -> None:
    identifier, expected = await bob(shop)
    key = await shop.partner_key()
    figures = "query ($id: ID) { customer(id: $id) { pointsBalance } }"
    assert await shop.data(figures, token=key, id=identifier) == {"customer": {"pointsBalance": 1000}}
    answer = await shop.ask(BY_ID, token=key, id=identifier)
    hidden = {"email": None, "firstName": None, "lastName": None}
    assert answer["data"] == {"customer": expected | hidden}
    assert errors(answer) == [("FORBIDDEN", FORBIDDEN, ["customer", name]) for name in hidden]


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "207",
        "gid://loyalnest/Customer/",
        "gid://loyalnest/Customer/207",
        "gid://loyalnest/Order/207",
        "gid://loyalnest/Program/1",
        "gid://loyalnest/Customer/' or true --",
        f"gid://loyalnest/Customer/{UUID(int=7)}",
        f"gid://loyalnest/Customer/{UUID(int=7)}/x",
        f"gid://shopify/Customer/{UUID(int=7)}",
        "x" * 10_000,
        "\u0000",
        "gid://loyalnest/Customer/\u0661",
    ],
)
async def test_an_id_of_nobody(shop: Shop, identifier: str) -> None:
    assert await shop.data(BY_ID, id=identifier) == {"customer": None}
    assert await shop.data("query ($id: ID!) { node(id: $id) { id } }", id=identifier) == {"node": None}


@pytest.mark.parametrize(
    "number", ["", "0", "-1", "1.5", "9223372036854775808", "9" * 30, "gid://shopify/Order/207", "\u0662\u0660\u0667", "x"]
)
async def test_a_shopify_number_of_nobody(shop: Shop, number: str) -> None:
    assert await shop.data(BY_SHOPIFY, id=number) == {"customer": None}


async def test_one_way_to_name_a_customer(shop: Shop) -> None:
    answer = await shop.ask('{ customer(id: "a", shopifyId: "1") { id } }')
    assert answer["data"] == {"customer": None}
    assert errors(answer) == [("BAD_INPUT", "Pass `id` or `shopifyId`, not both.", ["customer"])]
    answer = await shop.ask("{ customer { id } }")
    assert answer["data"] == {"customer": None}
    assert errors(answer) == [("BAD_INPUT", "Pass `id` or `shopifyId`.", ["customer"])]


async def test_pages_hold_every_customer_once_newest_first(shop: Shop) -> None:
    for number in range(1, 8):
        await shop.customer(number)
    seen: list[str] = []
    after = None
    pages = []
    while True:
        page = (await shop.data(PAGE, first=3, after=after))["customers"]
        assert [edge["node"] for edge in page["edges"]] == page["nodes"]
        seen += [node["shopifyId"] for node in page["nodes"]]
        info = page["pageInfo"]
        assert (info["startCursor"], info["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])
        pages.append((len(page["nodes"]), info["hasNextPage"], info["hasPreviousPage"]))
        if not info["hasNextPage"]:
            break
        after = info["endCursor"]
    assert pages == [(3, True, False), (3, True, True), (1, False, True)]
    assert seen == [f"gid://shopify/Customer/{number}" for number in range(7, 0, -1)]


async def test_an_empty_page(shop: Shop) -> None:
    page = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    assert await shop.data(PAGE, first=100) == {"customers": {"nodes": [], "edges": [], "pageInfo": page}}


@pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1])
async def test_a_page_of_no_size(shop: Shop, first: int) -> None:
    answer = await shop.ask(PAGE, first=first)
    assert errors(answer) == [("BAD_INPUT", "`first` is between 1 and 100.", ["customers"])]


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "W10", "bnVsbA", "!!!", "é", "WyJ4Il0", "9" * 5_000])
async def test_a_cursor_of_another_list(shop: Shop, cursor: str) -> None:
    answer = await shop.ask(PAGE, first=1, after=cursor)
    assert errors(answer) == [("BAD_INPUT", "This cursor is not one of this list's.", ["customers"])]
    answer = await shop.ask("query ($c: String) { pointsTransactions(first: 1, after: $c) { nodes { id } } }", c=cursor)
    assert errors(answer) == [("BAD_INPUT", "This cursor is not one of this list's.", ["pointsTransactions"])]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("bob@example.com", [207]),
        ("BOB@EXAMPLE.COM", [207]),
        ("bob", [207]),
        ("norman", [208, 207]),
        ("Bob Norman", [207]),
        ("norman bob", [207]),
        ("  bob   norman  ", [207]),
        ("207", [207]),
        ("Anna Maria", [208]),
        ("bo", []),
        ("bob@example", []),
        ("bob haddad", []),
        ("%", []),
        ("", [209, 208, 207]),
        ("   ", [209, 208, 207]),
        ("STRASSE", [209]),
    ],
)
async def test_customers_are_found_by_whole_words(shop: Shop, words: str, found: list[int]) -> None:
    await arrive(shop, 207, "Bob@Example.com", "Bob", "Norman")
    await arrive(shop, 208, None, "Anna Maria", "Norman")
    await arrive(shop, 209, "x@example.com", None, "Straße")
    data = await shop.data(PAGE, first=10, words=words)
    assert [node["shopifyId"] for node in data["customers"]["nodes"]] == [f"gid://shopify/Customer/{one}" for one in found]


async def test_a_person_who_changed_is_found_by_the_new_words_only(shop: Shop) -> None:
    await arrive(shop, 207, "old@example.com", "Old", "Name")
    async with db.transaction(shop.scope()):
        later = CustomerSnapshot(207, NOON, NOON + timedelta(hours=1))
        await customers.arrive(shop.scope(), [(later, Profile("new@example.com", "New", "Name"))])
    for words, count in (("old@example.com", 0), ("Old", 0), ("new@example.com", 1), ("name", 1), ("207", 1)):
        data = await shop.data(PAGE, first=10, words=words)
        assert len(data["customers"]["nodes"]) == count, words


async def test_a_customer_cannot_list_customers(shop: Shop) -> None:
    customer = await shop.customer()
    answer = await shop.ask(PAGE, token=shop.customer_token(customer.id), first=1)
    assert errors(answer) == [("FORBIDDEN", FORBIDDEN, ["customers"])]
    assert answer.get("data") is None
