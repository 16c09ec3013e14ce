"""The peers of the read benchmark: two servers that answer the same question with less in them.

`bare` is one Litestar route with the same SQL and msgspec. `strawberry_defaults` is Strawberry on Litestar as its documentation
shows it. Neither checks a credential; both read as the application's role does, with the merchant fixed by the environment.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import strawberry
from litestar import Litestar, get
from litestar.datastructures import State
from strawberry.litestar import make_graphql_controller
from strawberry.types import Info

from domain.db import APPLICATION_ROLE

POOL_SIZE = 10

SQL = """
    select c.merchant_id, c.id, c.shopify_id, c.created_at, c.joined_at, c.profile, a.balance, a.pending, a.version
    from customers c join points_accounts a on a.merchant_id = c.merchant_id and a.customer_id = c.id
    where c.merchant_id = $1 and c.id = $2
"""
MERCHANT_ID = UUID(os.environ["BENCH_MERCHANT"])


class Balance(msgspec.Struct, rename="camel"):
    """A customer's balance."""

    points_balance: int


class Answer(msgspec.Struct):
    """The answer's one field."""

    customer: Balance | None


async def _keep_session(_connection: Any) -> None:
    return None


def _lifespan(**options: Any) -> Any:
    @asynccontextmanager
    async def opened(application: Litestar) -> AsyncGenerator[None, None]:
        application.state.pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"],
            min_size=POOL_SIZE,
            max_size=POOL_SIZE,
            server_settings={"role": APPLICATION_ROLE, "app.merchant": str(MERCHANT_ID), "jit": "off"},
            **options,
        )
        yield
        await application.state.pool.close()

    return opened


@get("/customers/{customer_id:uuid}")
async def _customer(customer_id: UUID, state: State) -> Answer:
    row = await state.pool.fetchrow(SQL, MERCHANT_ID, customer_id)
    return Answer(None if row is None else Balance(row["balance"]))


# Without asyncpg's reset between requests, as the application does without it.
bare = Litestar([_customer], lifespan=[_lifespan(reset=_keep_session)], openapi_config=None, logging_config=None)


@strawberry.type
class Customer:
    """A customer with a balance."""

    points_balance: int


@strawberry.type
class Query:
    """The one question."""

    @strawberry.field
    async def customer(self, info: Info[Any, Any], id: strawberry.ID) -> Customer | None:
        """A customer by id."""
        row = await info.context["request"].app.state.pool.fetchrow(SQL, MERCHANT_ID, UUID(id))
        return None if row is None else Customer(points_balance=row["balance"])


strawberry_defaults = Litestar(
    [make_graphql_controller(strawberry.Schema(Query), path="/graphql")],
    lifespan=[_lifespan()],
    openapi_config=None,
    logging_config=None,
)
