"""Two queues: what waits for Shopify, and what must not wait for it."""

from typing import Any

from workers import due  # noqa: F401 -- declares every job
from workers.broker import IDLE_MS, OWN, QUEUES, SHOPIFY, broker


def test_only_what_speaks_to_shopify_waits_for_it() -> None:
    """A job is on Shopify's queue when it calls Shopify, and its messages come behind ours where one process serves both."""
    by_queue = {queue: {name for name, actor in broker.actors.items() if actor.queue_name == queue} for queue in QUEUES}
    assert by_queue[SHOPIFY] == {"rewards.settle", "rewards.publish", "rewards.tell", "installations.webhooks"}
    assert by_queue[OWN] | by_queue[SHOPIFY] == set(broker.actors)
    assert {broker.actors[name].priority for name in by_queue[OWN]} == {0}
    assert {broker.actors[name].priority for name in by_queue[SHOPIFY]} == {1}


def test_each_queue_is_asked_at_its_own_pace_and_what_waits_at_leisure() -> None:
    """Whatever the worker's own pace is: it is that of threads which only look whether they are to stop."""
    paces: dict[str, Any] = {OWN: 20, SHOPIFY: 100, f"{OWN}.DQ": IDLE_MS, f"{SHOPIFY}.DQ": IDLE_MS}
    consumers: dict[str, Any] = {queue: broker.consume(queue, timeout=IDLE_MS) for queue in paces}
    assert {queue: one.timeout for queue, one in consumers.items()} == paces
