"""Allowances: a bucket of points for every credential and one for its merchant, shared by all processes through Redis.

A process takes a handful of points at a time and spends them without asking again, so that the usual request costs no round trip.
All that is spent has left the buckets before. While Redis is away every process goes on with small buckets of its own: nobody is
locked out, and nobody gets more than a part of what they would have had.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import redis.asyncio
from redis.exceptions import RedisError

from domain.errors import Code, DomainError
from domain.log import log
from domain.scope import Actor
from schema.context import ThrottleStatus

TIMEOUT_S = 0.25
AWAY_S = 1.0
"""After Redis has failed it is left alone for so long: no request waits for a time-out that another has just waited for."""
LEASE_S = 30.0
"""Points taken and not spent are forgotten after so long; the bucket has regained them long before."""
LEASE_PART = 10
"""A process takes at most this part of a bucket ahead."""
LOCAL_PART = 4
"""Without Redis a process gives this part of the bucket and of its rate."""
MERCHANT_FACTOR = 20
"""A merchant's bucket holds and regains as much as so many credentials: many customers, one noisy partner, and room for both."""
KEPT_MAX = 50_000

# KEYS: the buckets. ARGV: what is needed, what is wanted, then capacity and points per second of each bucket.
# Takes from all buckets or from none, and answers what was taken and what the first bucket has left.
TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local needed, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])
local points, available = {}, wanted
for i, key in ipairs(KEYS) do
    local capacity, rate = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    local kept = redis.call('HMGET', key, 'points', 'at')
    local held, at = tonumber(kept[1]) or capacity, tonumber(kept[2]) or now
    points[i] = math.min(capacity, held + math.max(0, now - at) * rate)
    available = math.min(available, math.floor(points[i]))
end
if available < needed then
    return {0, math.floor(points[1])}
end
for i, key in ipairs(KEYS) do
    local capacity, rate = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    points[i] = points[i] - available
    redis.call('HSET', key, 'points', tostring(points[i]), 'at', string.format('%.6f', now))
    redis.call('PEXPIRE', key, math.ceil(capacity / rate * 1000) + 1000)
end
return {available, math.floor(points[1])}
"""


class Throttled(DomainError):
    """The bucket does not hold what the operation may cost."""

    code = Code.THROTTLED


@dataclass(slots=True)
class _Lease:
    """What this process holds of a bucket, what it left there, and until when both may be believed."""

    points: float
    left: int
    until: float


class Throttle:
    """The buckets as one process sees them. `capacity` and `restore_per_s` are a credential's; a merchant has a multiple."""

    def __init__(self, url: str, capacity: int, restore_per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity = capacity
        self.restore_per_s = restore_per_s
        self._clock = clock
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        self._take = self._redis.register_script(TAKE)
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._local: OrderedDict[str, _Lease] = OrderedDict()
        self._turns: dict[str, asyncio.Lock] = {}
        self._away_until = 0.0

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def spend(self, merchant_id: UUID, credential: str, points: int) -> None:
        """Take points from the credential's bucket and from its merchant's. Raises Throttled."""
        if self._spend_held(credential, points):
            return
        # One at a time, so that those who wait spend what the first of them has brought.
        async with self._turn(credential):
            if self._spend_held(credential, points):
                return
            now = self._clock()
            held = self._held(credential, now)
            taken, left = await self._ask(merchant_id, credential, max(points - held, 1), now)
            # What others gave back meanwhile counts.
            held = self._held(credential, now) + taken
            self._keep(credential, _Lease(held - points if held >= points else held, left, now + LEASE_S))
            if held < points:
                self._refuse(points, held + left)

    def _spend_held(self, credential: str, points: int) -> bool:
        lease = self._leases.get(credential)
        if lease is None or lease.until <= self._clock() or lease.points < points:
            return False
        lease.points -= points
        return True

    def _held(self, credential: str, now: float) -> int:
        lease = self._leases.get(credential)
        return int(lease.points) if lease is not None and lease.until > now else 0

    @asynccontextmanager
    async def _turn(self, credential: str) -> AsyncIterator[None]:
        lock = self._turns.setdefault(credential, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._turns.pop(credential, None)

    def give_back(self, credential: str, points: int) -> None:
        """Return what an operation did not use, to be spent by this process next."""
        lease = self._leases.get(credential)
        if lease is not None:
            lease.points = min(lease.points + points, self.capacity)

    def available(self, credential: str) -> int:
        """What the credential could spend now, as far as this process knows."""
        lease = self._leases.get(credential)
        return self.capacity if lease is None else min(int(lease.points) + lease.left, self.capacity)

    async def _ask(self, merchant_id: UUID, credential: str, needed: int, now: float) -> tuple[int, int]:
        if now >= self._away_until:
            wanted = needed + self.capacity // LEASE_PART
            # The braces keep both buckets on one server of a cluster.
            keys = [f"cost:{{{merchant_id}}}:{credential}", f"cost:{{{merchant_id}}}"]
            rates = [self.capacity, self.restore_per_s, self.capacity * MERCHANT_FACTOR, self.restore_per_s * MERCHANT_FACTOR]
            try:
                taken, left = cast("tuple[int, int]", await self._take(keys=keys, args=[needed, wanted, *rates]))
                return taken, left
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("throttle.alone", error=type(error).__name__)
                self._away_until = now + AWAY_S
        return self._take_alone(credential, needed, now)

    def _take_alone(self, credential: str, needed: int, now: float) -> tuple[int, int]:
        capacity, rate = self.capacity / LOCAL_PART, self.restore_per_s / LOCAL_PART
        bucket = self._local.get(credential)
        held = capacity if bucket is None else min(capacity, bucket.points + (now - bucket.until) * rate)
        taken = needed if held >= needed else 0
        self._local[credential] = _Lease(held - taken, 0, now)
        self._local.move_to_end(credential)
        if len(self._local) > KEPT_MAX:
            self._local.popitem(last=False)
        return taken, int(held - taken)

    def _keep(self, credential: str, lease: _Lease) -> None:
        self._leases[credential] = lease
        self._leases.move_to_end(credential)
        if len(self._leases) > KEPT_MAX:
            self._leases.popitem(last=False)

    def _refuse(self, points: int, available: int) -> None:
        missing = max(points - available, 1)
        seconds = -(-missing // self.restore_per_s)
        raise Throttled(f"The operation may cost {points} points, and {available} are left. Try again in {seconds} s.")


class CallerAllowance:
    """One caller's allowance for one operation. `told` asks for the cost in the answer."""

    def __init__(self, throttle: Throttle, merchant_id: UUID, actor: Actor, *, told: bool = False) -> None:
        self.told = told
        self._throttle = throttle
        self._merchant_id = merchant_id
        self._credential = f"{merchant_id}/{actor}"

    async def spend(self, points: int) -> None:
        """Take points. Raises Throttled."""
        await self._throttle.spend(self._merchant_id, self._credential, points)

    def give_back(self, points: int) -> None:
        """Return what was not used."""
        self._throttle.give_back(self._credential, points)

    def status(self) -> ThrottleStatus:
        """The bucket as it stands."""
        throttle = self._throttle
        return ThrottleStatus(throttle.capacity, throttle.available(self._credential), throttle.restore_per_s)
