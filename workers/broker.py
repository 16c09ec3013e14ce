"""The broker, set as a Redis stall and a killed worker demand; docs/adr/0004 has the reasons."""

from collections.abc import Coroutine
from typing import Any

import dramatiq
import redis
from dramatiq import Broker, Consumer, Middleware, Worker
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, Retries, ShutdownNotifications, TimeLimit

from domain import db
from domain.settings import settings

SOCKET_TIMEOUT_S = 60
"""redis-py's default of 5 s strands messages in a live worker after a stall of Redis that is longer."""

MAINTENANCE_CHANCE = 100_000
"""Of a million commands, how many look for the messages of dead workers; Dramatiq's 1,000 waits minutes in a quiet shop."""

JOB_TIME_LIMIT_MS = 120_000

OWN = "work"
"""The queue of what needs our own servers alone."""

SHOPIFY = "shopify"
"""The queue of what waits for Shopify. It has workers of its own, so that nothing else waits when Shopify is slow or away."""

QUEUES = (OWN, SHOPIFY)

POLL_MS = {OWN: 20, SHOPIFY: 100}
"""How long an idle worker waits before it asks Redis again: the larger part of the delay of a quiet shop's first event. Who waits
for Shopify next can wait a little longer before, and asking for nothing costs a processor something too."""

IDLE_MS = 500
"""How often a thread without work looks whether it is to stop, and a queue of what is tried again later whether that is due."""


def redis_client(url: str) -> redis.Redis:
    """The connection pool that the broker uses."""
    return redis.Redis.from_url(url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=5, health_check_interval=30)


class PacedBroker(RedisBroker):
    """Asks for each queue as often as its first message may be late. Dramatiq has one pace for that and for what only waits."""

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = IDLE_MS) -> Consumer:
        """A consumer of a queue that waits at most so many milliseconds before it asks again."""
        return super().consume(queue_name, prefetch, POLL_MS.get(queue_name, timeout))


class DatabaseAtBoot(Middleware):
    """Opens the worker's pool on the loop of its jobs, before the first job comes."""

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """Runs behind AsyncIO, which has started the loop."""
        _on_loop(db.open_database(settings().database_url, settings().pool_size))


def _on_loop(work: Coroutine[Any, Any, None]) -> None:
    thread = get_event_loop_thread()
    assert thread is not None, "AsyncIO stands before this middleware"
    thread.run_coroutine(work)


broker = PacedBroker(
    client=redis_client(settings().redis_url),
    namespace="loyalnest",
    maintenance_chance=MAINTENANCE_CHANCE,
    middleware=[
        ShutdownNotifications(),
        TimeLimit(time_limit=JOB_TIME_LIMIT_MS),
        # What fails three times is left to the sweeper, which knows from PostgreSQL what is still to be done.
        Retries(max_retries=3, min_backoff=500, max_backoff=10_000),
        AsyncIO(),
        DatabaseAtBoot(),
    ],
)
dramatiq.set_broker(broker)
