"""Two queues: what waits for Shopify, and what must not wait for it."""

from workers import due  # noqa: F401 -- declares every job
from workers.broker import broker
from workers.job import OWN, QUEUES, SHOPIFY


def test_only_what_speaks_to_shopify_waits_for_it() -> None:
    """A job is on Shopify's queue when it calls Shopify, and its messages come behind ours where one process serves both."""
    by_queue = {queue: {name for name, actor in broker.actors.items() if actor.queue_name == queue} for queue in QUEUES}
    assert by_queue[SHOPIFY] == {"rewards.settle", "rewards.publish", "rewards.tell", "installations.webhooks"}
    assert by_queue[OWN] | by_queue[SHOPIFY] == set(broker.actors)
    assert {broker.actors[name].priority for name in by_queue[OWN]} == {0}
    assert {broker.actors[name].priority for name in by_queue[SHOPIFY]} == {1}
