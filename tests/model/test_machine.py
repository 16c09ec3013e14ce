"""The model against the ledger: as many lives as an ordinary run has time for, and a siege for who has more."""

import asyncio
import os
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Machine
from tests.model.met import MET

LIVES = "1-30"
"""The numbers of the lives of an ordinary run, the first and the last."""


async def test_a_shop_of_eight_hands_and_its_ledger(application: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each life has a number, and is the same each time but for how the eight meet. LOYALNEST_MODEL_LIVES=31-500 has others."""
    Machine.application, Machine.loop, Machine.met = application, asyncio.get_running_loop(), Counter()
    monkeypatch.setattr("domain.scope.now", lambda: Machine.now)
    first, _, last = os.environ.get("LOYALNEST_MODEL_LIVES", LIVES).partition("-")
    for number in range(int(first), int(last or first) + 1):
        await asyncio.to_thread(live, number)
    sys.stdout.write(f"Lives {first} to {last or first} have met: {dict(sorted(Machine.met.items()))}\n")
    if "LOYALNEST_MODEL_LIVES" not in os.environ:
        assert Machine.met.keys() >= MET, "a machine that does not meet it cannot find what is wrong with it"


def live(number: int) -> None:
    """One life. Hypothesis tries the simplest first, in which nothing happens, and then the one that this number stands for."""
    Machine.failures, Machine.is_simplest = [], True
    wanted = settings(
        max_examples=2,
        stateful_step_count=40,
        deadline=None,
        database=None,
        # A failure prints its steps, and making them fewer would take longer than reading them.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(number)(Machine), settings=wanted)
    except Exception as failure:  # noqa: BLE001 -- whatever it is, it is told with the number of the life
        # It may go wrong elsewhere, or not at all, when the eight meet otherwise; to be read is what went wrong at first.
        told = "\n".join([f"LOYALNEST_MODEL_LIVES={number} lives it again.", *getattr(failure, "__notes__", ())])
        raise AssertionError(told) from (*Machine.failures, failure)[0]
