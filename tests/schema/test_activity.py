"""What happens to an account: pages of it, and the stream, without a gap or a repeat."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from domain import db, points
from domain.access import Permission
from domain.scope import Actor, Door, Scope
from schema.context import Context
from schema.doorbell import Doorbell
from schema.root import schema
from tests.rewards import definition, offer
from tests.shop import NOON, Shop
from workers.relay import relay

WHAT = """pointsTransaction { points } expiryNotice { points expiresAt reason }"""
STREAM = f"""subscription ($customer: ID, $since: String) {{
    customerActivity(customerId: $customer, since: $since) {{ cursor activity {{ {WHAT} }} }}
}}"""
PAGE = f"""query ($customer: ID!, $first: Int!, $after: String) {{ customer(id: $customer) {{
    activity(first: $first, after: $after) {{ edges {{ cursor node {{ {WHAT} }} }} pageInfo {{ hasNextPage }} }} }} }}"""
SOON_S = 5


def gid(customer_id: UUID) -> str:
    return f"gid://loyalnest/Customer/{customer_id}"


class Listener:
    """One stream of one account, with the bell that the workers would ring."""

    def __init__(self, shop: Shop, customer_id: UUID | None = None) -> None:
        actor = Actor(Door.STAFF if customer_id is None else Door.CUSTOMER, "test")
        self.bell = Doorbell()
        self.context = Context(
            Scope(shop.merchant.id, actor, NOON, "request"),
            self.bell,
            lambda _: None,
            customer_id,
            permissions=frozenset({Permission.READ}),
        )
        self.stream: Any = None

    async def open(self, **variables: Any) -> "Listener":
        self.stream = await schema.subscribe(STREAM, variable_values=variables, context_value=self.context)
        return self

    async def next(self) -> tuple[str, Any]:
        result = await asyncio.wait_for(anext(self.stream), SOON_S)
        assert result.errors is None
        update = result.data["customerActivity"]
        return update["cursor"], told(update["activity"])

    async def error(self) -> tuple[str, str]:
        result = await anext(self.stream) if hasattr(self.stream, "__aiter__") else self.stream
        [error] = result.errors
        return error.extensions["code"], error.message


def told(activity: dict[str, Any] | None) -> Any:
    """Points of an entry, or ("notice", points), or None where nothing happened."""
    if activity is None:
        return None
    entry, notice = activity["pointsTransaction"], activity["expiryNotice"]
    assert (entry is None) != (notice is None)
    return entry["points"] if entry else ("notice", notice["points"])


async def earn(shop: Shop, customer_id: UUID, amount: int, days: int) -> None:
    expires_at = NOON + timedelta(days=days)
    entry = points.Entry(customer_id, points.TransactionType.EARN, amount, 0, "test", str(uuid4()), "earn", expires_at=expires_at)
    async with db.transaction(shop.scope()):
        await points.post(shop.scope(), [entry])


async def warn(shop: Shop, days: int) -> None:
    async with db.transaction(shop.scope()):
        await points.warn_of_lots(shop.scope(), NOON + timedelta(days=days), None, 10)


async def lived(shop: Shop) -> UUID:
    """10 points, a notice, 20 points, and two notices."""
    customer = await shop.customer()
    await earn(shop, customer.id, 10, 5)
    await warn(shop, 5)
    await earn(shop, customer.id, 20, 6)
    await earn(shop, customer.id, 30, 7)
    await warn(shop, 7)
    return customer.id


HAPPENED = [10, ("notice", 10), 20, 30, ("notice", 20), ("notice", 30)]


async def test_pages_go_back_in_time_and_leave_nothing_out(shop: Shop) -> None:
    customer_id = await lived(shop)
    whole = (await shop.data(PAGE, customer=gid(customer_id), first=100))["customer"]["activity"]
    assert [told(edge["node"]) for edge in whole["edges"]] == HAPPENED[::-1]
    assert whole["edges"][0]["node"] == {
        "pointsTransaction": None,
        "expiryNotice": {"points": 30, "expiresAt": "2026-03-09T12:00:00+00:00", "reason": "LOT"},
    }
    for first in (1, 2, 3, 5):
        after, seen = None, []
        while True:
            page = (await shop.data(PAGE, customer=gid(customer_id), first=first, after=after))["customer"]["activity"]
            seen += page["edges"]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["edges"][-1]["cursor"]
        assert seen == whole["edges"]


async def test_a_reward_within_reach_is_in_the_page_and_in_the_stream(shop: Shop) -> None:
    what = """pointsTransaction { points } expiryNotice { points }
        reachableNotice { rewardId name(locale: "de-AT") names { locale text } points occurredAt }"""
    page = f"query ($customer: ID!) {{ customer(id: $customer) {{ activity(first: 10) {{ edges {{ node {{ {what} }} }} }} }} }}"
    stream = f"subscription ($since: String) {{ customerActivity(since: $since) {{ activity {{ {what} }} }} }}"
    reward = await offer(shop, definition(points=10, names={"en": "A mug", "de": "Ein Becher"}))
    customer = await shop.customer()
    listener = Listener(shop, customer.id)
    begin, _ = await (await listener.open()).next()
    await listener.stream.aclose()
    await earn(shop, customer.id, 10, 5)
    await relay(shop.scope())
    notice = {
        "rewardId": f"gid://loyalnest/Reward/{reward.id}",
        "name": "Ein Becher",
        "names": [{"locale": "de", "text": "Ein Becher"}, {"locale": "en", "text": "A mug"}],
        "points": 10,
        "occurredAt": "2026-03-02T12:00:00+00:00",
    }
    none = {"pointsTransaction": None, "expiryNotice": None, "reachableNotice": None}
    expected = [none | {"pointsTransaction": {"points": 10}}, none | {"reachableNotice": notice}]
    for token in (None, shop.customer_token(customer.id)):
        found = await shop.data(page, token=token, customer=gid(customer.id))
        assert [edge["node"] for edge in found["customer"]["activity"]["edges"]] == expected[::-1]
    messages: Any = await schema.subscribe(stream, variable_values={"since": begin}, context_value=listener.context)
    for wanted in expected:
        message = await asyncio.wait_for(anext(messages), SOON_S)
        assert (message.errors, message.data) == (None, {"customerActivity": {"activity": wanted}})
    await messages.aclose()


async def test_a_reconnect_anywhere_goes_on_without_a_gap_or_a_repeat(shop: Shop) -> None:
    customer_id = await lived(shop)
    whole = (await shop.data(PAGE, customer=gid(customer_id), first=100))["customer"]["activity"]["edges"][::-1]
    for place in range(len(whole) - 1):
        listener = await Listener(shop).open(customer=gid(customer_id), since=whole[place]["cursor"])
        expected = [(edge["cursor"], told(edge["node"])) for edge in whole[place + 1 :]]
        assert [await listener.next() for _ in expected] == expected
        await listener.stream.aclose()
        assert listener.bell.count() == 0


async def test_a_stream_says_where_it_begins_and_then_all_that_happens(shop: Shop) -> None:
    customer_id = await lived(shop)
    listener = await Listener(shop).open(customer=gid(customer_id))
    begin, nothing = await listener.next()
    assert nothing is None
    waiting = asyncio.ensure_future(listener.next())
    await asyncio.sleep(0)
    await earn(shop, customer_id, 40, 8)
    listener.bell.ring(shop.merchant.id, customer_id)
    entry, what = await waiting
    assert what == 40
    # Without a ring: what came between reading and waiting is read all the same.
    await warn(shop, 8)
    listener.bell.ring(shop.merchant.id, customer_id)
    notice, what = await listener.next()
    assert what == ("notice", 40)
    await listener.stream.aclose()
    again = await Listener(shop).open(customer=gid(customer_id), since=begin)
    assert [await again.next() for _ in range(2)] == [(entry, 40), (notice, ("notice", 40))]
    await again.stream.aclose()


async def test_before_anything_happened_there_is_a_place_too(shop: Shop) -> None:
    customer = await shop.customer()
    listener = await Listener(shop, customer.id).open()
    begin, nothing = await listener.next()
    assert nothing is None
    await listener.stream.aclose()
    await earn(shop, customer.id, 10, 5)
    listener = await Listener(shop, customer.id).open(since=begin)
    assert (await listener.next())[1] == 10
    await listener.stream.aclose()


async def test_bad_places_and_strangers_are_refused(shop: Shop, other_shop: Shop) -> None:
    customer, other, foreign = await shop.customer(), await shop.customer(), await other_shop.customer()
    for since in ("", "x", "WzFd", "Wy0xLDBd", "WzEsIngiXQ", "W251bGwsMF0"):
        listener = await Listener(shop).open(customer=gid(customer.id), since=since)
        assert await listener.error() == ("BAD_INPUT", "`since` is a cursor of this stream, or of `Customer.activity`.")
        assert listener.bell.count() == 0
    for listener, wanted in ((Listener(shop, customer.id), other.id), (Listener(shop), foreign.id), (Listener(shop), uuid4())):
        await listener.open(customer=gid(wanted))
        assert await listener.error() == ("NOT_FOUND", "There is no such customer.")
