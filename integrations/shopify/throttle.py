"""The cost that Shopify allows per app and shop, shared by all processes through Redis.

Before a call its cost is taken from a bucket that fills at Shopify's own rate; after it, the bucket is set to what Shopify
says is left, less what other calls hold that are still under way. Redis is no truth here: without it calls go out unpaced,
and Shopify's own THROTTLED slows them.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import redis.asyncio
from redis.exceptions import RedisError

from domain.log import log

HOLD_S = 30
"""A call that is under way for longer has died with its process, and holds nothing."""

WAIT_MAX_S = 20.0
STARTING_POINTS = 1000
STARTING_RATE = 50
"""Until Shopify has said what a shop has: less than any plan's."""

_TAKE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local state = redis.call('HMGET', KEYS[1], 'left', 'maximum', 'rate', 'at')
local maximum = tonumber(state[2]) or tonumber(ARGV[3])
local rate = tonumber(state[3]) or tonumber(ARGV[4])
local left = tonumber(state[1]) or maximum
left = math.min(maximum, left + rate * math.max(0, now - (tonumber(state[4]) or now)))
local cost = math.min(tonumber(ARGV[1]), maximum)
local wait = 0
if left >= cost then
    left = left - cost
    redis.call('HSET', KEYS[2], ARGV[2], cost .. ':' .. now)
    redis.call('EXPIRE', KEYS[2], 600)
else
    wait = (cost - left) / rate
end
redis.call('HSET', KEYS[1], 'left', left, 'maximum', maximum, 'rate', rate, 'at', now)
redis.call('EXPIRE', KEYS[1], 600)
return tostring(wait)
"""

_GIVE_BACK = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[2] == '' then return 0 end
local held = 0
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
    local cost, since = string.match(all[i + 1], '^(.-):(.+)$')
    if now - tonumber(since) > tonumber(ARGV[5]) then
        redis.call('HDEL', KEYS[2], all[i])
    else
        held = held + tonumber(cost)
    end
end
local left = math.max(0, math.min(tonumber(ARGV[2]) - held, tonumber(ARGV[3])))
redis.call('HSET', KEYS[1], 'left', left, 'maximum', ARGV[3], 'rate', ARGV[4], 'at', now)
redis.call('EXPIRE', KEYS[1], 600)
return 0
"""


@dataclass(frozen=True, slots=True)
class Status:
    """Shopify's `throttleStatus`, in points of cost and points a second."""

    maximum: float
    left: float
    rate: float


class Throttle:
    """The buckets of all shops."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._take = client.register_script(_TAKE)
        self._give_back = client.register_script(_GIVE_BACK)

    async def take(self, merchant_id: UUID, cost: float) -> str:
        """Wait until the shop has this much cost left and hold it. Returns what `give_back` wants."""
        hold = uuid4().hex
        waited = 0.0
        while waited < WAIT_MAX_S:
            try:
                answer = await self._take(keys=_keys(merchant_id), args=[cost, hold, STARTING_POINTS, STARTING_RATE])
            except RedisError as error:
                log.warning("shopify.unpaced", error=type(error).__name__)
                return hold
            wait = float(answer)
            if wait == 0:
                return hold
            # At most a second at a time: what others give back may come sooner than the refill.
            pause = min(max(wait, 0.005), 1.0)
            await asyncio.sleep(pause)
            waited += pause
        return hold

    async def give_back(self, merchant_id: UUID, hold: str, status: Status | None) -> None:
        """End a hold; `status` is what Shopify said, None when it said nothing."""
        told = ["", "", ""] if status is None else [status.left, status.maximum, status.rate]
        try:
            await self._give_back(keys=_keys(merchant_id), args=[hold, *told, HOLD_S])
        except RedisError as error:
            log.warning("shopify.unpaced", error=type(error).__name__)


def _keys(merchant_id: UUID) -> list[str]:
    return [f"loyalnest:shopify:{{{merchant_id}}}:bucket", f"loyalnest:shopify:{{{merchant_id}}}:held"]
