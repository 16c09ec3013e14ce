"""The application with some of its doors taken off: `BENCH_DOORS` names those that stay, of `who`, `cost` and `rows`.

`who`: the token is checked; without it a token is looked up in a dict. `cost`: operations are priced and charged; without it they
are free. `rows`: the tenant is set and policies compare it; without it a role reads whose policies let everything pass.
"""

import os
from datetime import datetime
from typing import Any
from uuid import UUID

import api.auth
import api.context
from api.app import create_app
from api.auth import Caller, Given
from domain import db
from schema import documents

OPEN_ROLE = "loyalnest_bench_open"
KEPT = set(os.environ["BENCH_DOORS"].split())
_known: dict[str | None, Caller] = {}


async def _known_caller(given: Given, at: datetime) -> Caller:
    found = _known.get(given.authorization)
    if found is None:
        found = _known[given.authorization] = await api.auth.authenticate(given, at)
    return found


def _price(self: documents.Prepared, name: str | None, variables: dict[str, Any] | None) -> int:
    del self, name, variables
    return 1


async def _use(self: db.TenantConnection, merchant_id: UUID) -> None:
    self.merchant_id = merchant_id


class _Free(api.context.CallerAllowance):
    """An allowance that counts nothing."""

    async def spend(self, points: int) -> None:
        pass

    def give_back(self, points: int) -> None:
        pass


if "who" not in KEPT:
    api.context.authenticate = _known_caller
if "cost" not in KEPT:
    api.context.CallerAllowance = _Free
    documents.Prepared.cost = _price
if "rows" not in KEPT:
    db.APPLICATION_ROLE = OPEN_ROLE
    db.TenantConnection.use = _use

application = create_app()
