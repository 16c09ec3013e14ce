"""The broker, set as a Redis stall and a killed worker demand; docs/adr/0004 has the reasons."""

from collections.abc import Coroutine
from typing import Any

import dramatiq
import redis
from dramatiq import Broker, Middleware, Worker
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


def redis_client(url: str) -> redis.Redis:
    """The connection pool that the broker uses."""
    return redis.Redis.from_url(url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=5, health_check_interval=30)


class DatabaseAtBoot(Middleware):
    """Opens the worker's pool on the loop of its jobs, before the first job comes."""

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """Runs behind AsyncIO, which has started the loop."""
        _on_loop(db.open_database(settings().database_url, settings().pool_size))


def _on_loop(work: Coroutine[Any, Any, None]) -> None:
    thread = get_event_loop_thread()
    assert thread is not None, "AsyncIO stands before this middleware"
    thread.run_coroutine(work)


broker = RedisBroker(
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
