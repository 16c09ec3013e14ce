"""The cost that Shopify allows per app and shop, shared by all processes through Redis.

Before a call its cost is taken from a bucket that fills at Shopify's own rate; after it, the bucket is set to what Shopify
says is left, where no other call was made meanwhile. Of calls that overlap nobody knows in which order Shopify had them: an
answer that is read late would give back what another has spent since. So after them the bucket goes on by its own count, and
is at most what Shopify says, less what is still under way. Redis is no truth here: without it calls go out unpaced, and
Shopify's own THROTTLED slows them.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import redis.asyncio
from redis.exceptions import RedisError

from domain.log import log
from integrations.shopify.errors import Throttled

WAIT_MAX_S = 20.0
HOLD_S = 45
"""A call that waits and is under way for longer has died with its process, and holds nothing."""

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
local wait = math.max(0, (cost - left) / rate)
if wait > tonumber(ARGV[5]) then return tostring(-wait) end
left = left - cost
local turn = redis.call('HINCRBY', KEYS[1], 'turn', 1)
redis.call('HSET', KEYS[2], ARGV[2], cost .. ':' .. now .. ':' .. turn)
redis.call('EXPIRE', KEYS[2], 600)
redis.call('HSET', KEYS[1], 'left', left, 'maximum', maximum, 'rate', rate, 'at', now)
redis.call('EXPIRE', KEYS[1], 600)
return tostring(wait)
"""

_GIVE_BACK = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local mine, since, turn = string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '', '^(.-):(.-):(.+)$')
redis.call('HDEL', KEYS[2], ARGV[1])
local was = redis.call('HINCRBY', KEYS[1], 'turn', 1) - 1
if ARGV[2] == '' then return 0 end
local held = 0
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
    local cost, since = string.match(all[i + 1], '^(.-):(.-):.+$')
    if cost == nil or now - tonumber(since) > tonumber(ARGV[6]) then
        redis.call('HDEL', KEYS[2], all[i])
    else
        held = held + tonumber(cost)
    end
end
local maximum, rate = tonumber(ARGV[3]), tonumber(ARGV[4])
local left = tonumber(ARGV[2]) - held
local state = redis.call('HMGET', KEYS[1], 'left', 'at')
local was_alone = mine ~= nil and tonumber(turn) == was
if state[1] and not was_alone then
    local own = tonumber(state[1]) + rate * math.max(0, now - tonumber(state[2])) + (tonumber(mine) or 0) - tonumber(ARGV[5])
    left = math.min(left, own)
end
left = math.min(left, maximum)
redis.call('HSET', KEYS[1], 'left', left, 'maximum', ARGV[3], 'rate', ARGV[4], 'at', now)
redis.call('EXPIRE', KEYS[1], 600)
return 0
"""


@dataclass(frozen=True, slots=True)
class Status:
    """Shopify's `throttleStatus` after a call, in points of cost and points a second. spent: what the call has cost."""

    maximum: float
    left: float
    rate: float
    spent: float


class Throttle:
    """The buckets of all shops."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._take = client.register_script(_TAKE)
        self._give_back = client.register_script(_GIVE_BACK)

    async def take(self, merchant_id: UUID, cost: float) -> str:
        """Take this much of what the shop allows, and wait until it has flowed in. Returns what `give_back` wants.

        Whoever comes first is served first, whatever they need: what is not there yet is taken all the same, and owed.
        Raises Throttled when that would take longer than 20 s.
        """
        hold = uuid4().hex
        try:
            given = [cost, hold, STARTING_POINTS, STARTING_RATE, WAIT_MAX_S]
            wait = float(await self._take(keys=_keys(merchant_id), args=given))
        except RedisError as error:
            log.warning("shopify.unpaced", error=type(error).__name__)
            return hold
        if wait < 0:
            raise Throttled(min(10.0, -wait - WAIT_MAX_S + 1))
        await asyncio.sleep(wait)
        return hold

    async def give_back(self, merchant_id: UUID, hold: str, status: Status | None) -> None:
        """End a hold; `status` is what Shopify said, None when it said nothing."""
        told = ["", "", "", ""] if status is None else [status.left, status.maximum, status.rate, status.spent]
        try:
            await self._give_back(keys=_keys(merchant_id), args=[hold, *told, HOLD_S])
        except RedisError as error:
            log.warning("shopify.unpaced", error=type(error).__name__)


def _keys(merchant_id: UUID) -> list[str]:
    return [f"loyalnest:shopify:{{{merchant_id}}}:bucket", f"loyalnest:shopify:{{{merchant_id}}}:held"]
