"""The demo merchants: made once however often they are seeded, with a sandbox that has something to wait for."""

import json
import os
import subprocess
import sys
from typing import Any
from uuid import UUID

import jwt
import pytest

from domain import customers, db
from domain.scope import system
from tests.conftest import ROOT
from tests.e2e.processes import SEED
from workers.inbox import work_off


def seeded() -> dict[str, Any]:
    """What a process of its own writes into demo.json; its pool is not the tests' pool."""
    told = subprocess.check_output([sys.executable, "-c", SEED, "http://127.0.0.1:8000"], cwd=ROOT, text=True, env=os.environ)
    return json.loads(told)


@pytest.mark.usefixtures("application")
async def test_the_sandbox_has_points_on_hold_and_is_seeded_once() -> None:
    first, second = seeded(), seeded()
    assert [(one["name"], one["sandbox"]) for one in first["merchants"]] == [
        ("Cedar & Sage", False),
        ("Sakura Tea", False),
        ("Juniper Lab", True),
    ]
    assert [one["id"] for one in first["merchants"]] == [one["id"] for one in second["merchants"]]
    claims = [
        jwt.decode(one["customers"][0]["token"], options={"verify_signature": False}).get("sandbox")
        for one in second["merchants"]
    ]
    assert claims == [None, None, True]
    scope = system(UUID(second["merchants"][2]["id"].rpartition("/")[2]))
    async with db.connection(scope) as connection:
        assert await connection.fetchval("select count(*) from inbox where merchant_id = $1", scope.merchant_id) == 6
    await work_off(scope)
    figures = {one.shopify_id: (one.balance, one.pending) for one in await customers.page(scope, 10, None, None)}
    # 5 points per euro, rounded down for each order, behind a hold of 14 days; 100 for joining.
    assert figures == {
        407119551: (100 + 422, 99),
        407119552: (100 + 1200, 175),
        407119553: (100, 295 + 62),
    }
