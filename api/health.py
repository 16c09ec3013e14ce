"""Whether the process lives, and whether it can serve."""

import asyncpg
from litestar import Response, get
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from domain import db


@get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@get("/health/ready")
async def ready() -> Response[dict[str, str]]:
    """The process can reach PostgreSQL. Redis is not asked: without it answers come late, but they are right."""
    try:
        async with db.reference() as connection:
            await connection.fetchval("select 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return Response({"status": "no database"}, status_code=HTTP_503_SERVICE_UNAVAILABLE)
    return Response({"status": "ready"}, status_code=HTTP_200_OK)
