"""Short ways to move points in a test, and to see what moved."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain import db, orders, points
from domain.points import Entry, TransactionType
from tests.shop import NOON, Shop


async def converge(shop: Shop, *payloads: dict[str, Any], told: list[tuple[int, Any]] | None = None) -> set[int]:
    arrivals = []
    for payload in payloads:
        text = json.dumps(orders.keep(payload))
        arrivals.append((orders.parse(text), text))
    async with db.transaction(shop.scope()):
        return await orders.converge(shop.scope(), arrivals, told or [])


async def spend(shop: Shop, customer_id: UUID, amount: int, name: str = "r1") -> int:
    async with db.transaction(shop.scope()):
        [posted] = await points.post(
            shop.scope(),
            [Entry(customer_id, TransactionType.REDEEM, -amount, 0, "redemption", name, "hold", floor=0)],
        )
    return posted.position


async def give_back(shop: Shop, customer_id: UUID, position: int, amount: int, name: str) -> list[points.Posted]:
    async with db.transaction(shop.scope()):
        return await points.restore(
            shop.scope(),
            customer_id=customer_id,
            position=position,
            points=amount,
            source="redemption",
            external_id=name,
            purpose="restore",
        )


async def rows(shop: Shop, customer_id: UUID) -> list[tuple[int, int, str, int | None]]:
    found = await points.since(shop.scope(), customer_id, 0, 100)
    return [(row.points, row.pending, row.purpose, row.reverses) for row in found]


async def lots(shop: Shop, customer_id: UUID) -> list[tuple[int, int]]:
    return [(lot.lot, lot.remaining) for lot in await points.open_lots(shop.scope(), customer_id, 100)]


def later(minutes: int) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()
