"""One worker process: `python -m workers [--threads N] [--queue work|shopify]`. Start as many as there are processors to give.

Both queues are worked off unless one is named. One process serves `work` alone, so that the ledger never waits for Shopify.
"""

import argparse
import asyncio
import gc
import os
import signal
import threading

# Dramatiq reads it when it is imported: eight threads wait on a prefetch of sixteen and reach a quarter of the throughput.
os.environ.setdefault("dramatiq_queue_prefetch", "500")

import uvloop
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.worker import Worker

from domain.log import configure, log
from domain.settings import settings
from workers import sweeper
from workers.broker import IDLE_MS, OWN, QUEUES, broker

GARBAGE_THRESHOLDS = (50_000, 20, 20)
"""Python looks for cycles after every 700 objects that stay. A batch of orders holds tens of thousands for a moment, and a sixth
of a worker's time went into looking."""


def main() -> None:
    """Work until SIGTERM or SIGINT; then finish what runs and stop."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=main.__doc__)
    parser.add_argument("--threads", type=int, default=4, help="jobs at once (default 4)")
    parser.add_argument("--queue", choices=QUEUES, action="append", help="what to work off (default: everything)")
    arguments = parser.parse_args()
    queues: list[str] = arguments.queue or list(QUEUES)
    configure(development=settings().environment == "development")
    # As in the API's processes. The thread of the jobs makes its loop by the policy.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    broker.emit_after("process_boot")
    worker = Worker(broker, queues=set(queues), worker_threads=arguments.threads, worker_timeout=IDLE_MS)
    worker.start()
    loop = get_event_loop_thread()
    assert loop is not None, "the AsyncIO middleware starts the loop with the worker"
    # The sweeper finds the work of both queues, so those who serve our own are enough to run it.
    sweeping = asyncio.run_coroutine_threadsafe(sweeper.run(), loop.loop) if OWN in queues else None
    # What has been imported stays: it need not be looked through again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    log.info("workers.ready", threads=arguments.threads, queues=queues)
    stopping.wait()
    log.info("workers.stopping")
    if sweeping is not None:
        sweeping.cancel()
    worker.stop()
    broker.close()


if __name__ == "__main__":
    main()
