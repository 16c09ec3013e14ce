"""From the outbox to those who listen."""

import asyncio
from collections.abc import Collection, Sequence
from functools import cache
from uuid import UUID

import msgspec
import redis.asyncio

from domain import identity, memberships, merchants, outbox
from domain.log import log
from domain.outbox import Event
from domain.rewards import publishing, reach, standings
from domain.scope import Scope, system
from domain.settings import settings
from workers.broker import broker
from workers.job import in_transaction, job

CHANNEL = "loyalnest:points"
"""Where the doorbells ring: a JSON list of [merchant id, customer id, account version]. It tells that there is news, not what."""

CHANGED = "points.changed"
TOLD = frozenset({CHANGED, memberships.CHANGED, identity.REDACTED})
"""The events of which checkout is told."""
BATCH = 500
TIMEOUT_S = 5

WAKES = {"redemption.held": "rewards.settle", "reward.changed": "rewards.publish", "standing.changed": "rewards.tell"}
"""Which job an event starts at once. The sweeper starts each of them too, when its message is lost."""


@cache
def _redis() -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(settings().redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


async def relay(scope: Scope) -> int:
    """Ring for every event in the merchant's outbox and remove it. Returns how many were sent.

    A crash between the two rings twice, which harms nobody: who is rung for reads the ledger. While Redis is away nothing is
    removed, and the sweeper comes back. Which rewards have come within reach is told in the transaction that removes the events,
    and so once; what that leaves in the outbox is rung for in the next round.
    """
    sent = 0
    while events := await outbox.unsent(scope, BATCH):
        doorbells = [
            [str(scope.merchant_id), event.payload["customer_id"], event.payload["version"]]
            for event in events
            if "customer_id" in event.payload
        ]
        await _redis().publish(CHANNEL, msgspec.json.encode(doorbells))
        await _wake(scope, events)
        if causes := sorted({event.request_id for event in events} - {""}):
            log.info("outbox.relayed", merchant_id=str(scope.merchant_id), request_ids=causes)
        told = await _forget(scope, events)
        sent += len(events)
        if len(events) < BATCH and not told:
            break
    return sent


async def _forget(scope: Scope, events: list[Event]) -> int:
    """Remove the events and tell of the rewards that they brought within reach. Returns how many notices that made."""

    async def act() -> int:
        removed = await outbox.forget(scope, events)
        return await reach.tell(scope, [(one.customer_id, one.version) for one in _changes(removed, {CHANGED})])

    if any(event.name == CHANGED for event in events) and await reach.is_possible(scope):
        return await in_transaction(scope, act)
    # A reward that becomes active only now is not told to those whose balances have changed before. The statement runs again when
    # it collides: two relays may remove the same events, each in its own order.
    await in_transaction(scope, lambda: outbox.forget(scope, events))
    return 0


class _Change(msgspec.Struct, frozen=True):
    """What is told of a changed balance, tier or segments."""

    customer_id: UUID
    version: int


def _changes(events: Sequence[Event], names: Collection[str]) -> list[_Change]:
    return msgspec.convert([event.payload for event in events if event.name in names], list[_Change])


async def _wake(scope: Scope, events: Sequence[Event]) -> None:
    """Start what the events ask for. Where a balance, a tier or segments have changed, checkout is to be told."""
    jobs: dict[str, set[str]] = {}
    for event in events:
        if event.name in WAKES:
            jobs.setdefault(WAKES[event.name], set()).add(event.request_id)
    changed = _changes(events, TOLD)
    if changed and await standings.mark(scope, {one.customer_id for one in changed}):
        jobs.setdefault(WAKES["standing.changed"], set())
    for merchant_id in sorted(
        {one for event in events if event.name == merchants.stores.MOVED for one in event.payload["merchant_ids"]}
    ):
        await _look_again(UUID(merchant_id))
    for name in sorted(jobs):
        given = {"causes": causes} if (causes := sorted(jobs[name] - {""})) else {}
        await asyncio.to_thread(broker.get_actor(name).send, str(scope.merchant_id), **given)


async def _look_again(merchant_id: UUID) -> None:
    """Have the way to pay with points be in every shop that the merchant speaks to now, and in no other."""
    offset = await merchants.clock_offset(merchant_id)
    await publishing.again(system(merchant_id, clock_offset=offset))
    await asyncio.to_thread(broker.get_actor(WAKES["reward.changed"]).send, str(merchant_id))


async def _relay(scope: Scope) -> None:
    await relay(scope)


relay_outbox = job("outbox.relay")(_relay)
"""Sends what commands have left in the merchant's outbox."""
