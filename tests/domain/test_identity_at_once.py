"""What is told of persons is worked off by several at once, and nobody waits for somebody who waits for them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from domain import customers, db, inbox
from domain.errors import NotFound
from tests.domain.test_merges import give, merge, two, undo
from tests.ledger import converge
from tests.shop import NOON, Shop, order, rate


async def at_once(shop: Shop, *acts: Callable[[], Awaitable[Any]]) -> None:
    """Do all at the same time, each in its transaction; one who finds that another was first begins again."""

    async def alone(act: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                async with db.transaction(shop.scope()):
                    await act()
            except db.Collision:
                continue
            return

    await asyncio.gather(*(alone(act) for act in acts))


def told(topic: str, payload: dict[str, Any], parent: int) -> inbox.Waiting:
    return inbox.Waiting("w", topic, inbox.customer_key(parent), json.dumps(payload), None, 0, "r", None)


async def test_tellings_of_the_same_customers_at_once_do_not_wait_for_each_other(shop: Shop) -> None:
    """They would if each held what the other wants: a deadlock is an error here, and takes a second to be found."""
    await shop.publish(rate(1))
    numbers = (7, 8, 9)
    await converge(shop, *(order(number, customer=number) for number in numbers))
    batches = [
        [told(f"customers/{what}", {"id": number, "updated_at": NOON.isoformat()}, number) for number in turn]
        for what in ("disable", "enable")
        for turn in (numbers, numbers[::-1])
    ]
    await at_once(shop, *(partial(inbox.work_off, shop.scope(), inbox.Kind.ACCOUNTS, batch) for batch in batches * 2))
    states = [(await customers.by_id(shop.scope(), (await shop.customer(number)).id)) for number in numbers]
    assert [one.state for one in states if one] == ["disabled"] * 3


async def test_merges_at_once_do_not_wait_for_each_other(shop: Shop) -> None:
    await shop.publish(rate(1))
    numbers = (7, 8, 9)
    await converge(shop, *(order(number, customer=number) for number in numbers))
    merges = [
        told(
            "customers/merge",
            {
                "admin_graphql_api_customer_kept_id": f"gid://shopify/Customer/{kept}",
                "admin_graphql_api_customer_deleted_id": f"gid://shopify/Customer/{gone}",
                "status": "completed",
            },
            gone,
        )
        for kept, gone in ((8, 7), (9, 8))
    ]
    batches = [merges, merges[::-1]] * 3
    await at_once(shop, *(partial(inbox.work_off, shop.scope(), inbox.Kind.MERGES, batch) for batch in batches))
    assert {(await shop.customer(number)).id for number in numbers} == {(await shop.customer(9)).id}
    assert await shop.balance((await shop.customer(9)).id) == (300, 0)


async def test_a_merge_can_be_taken_back_by_one_of_two(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, gone, 10, "a")
    await merge(shop)
    answers = await asyncio.gather(undo(shop, gone.id), undo(shop, gone.id), return_exceptions=True)
    [refusal] = [one for one in answers if isinstance(one, BaseException)]
    assert isinstance(refusal, NotFound)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (10, 0))
