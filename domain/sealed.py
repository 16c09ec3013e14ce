"""Where something is sealed, and whether all of it opens.

`python -m domain.sealed` goes through every value of every merchant and of the platform. It streams, and shows nothing of what it
opens.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from domain import db, keyring, master, merchants
from domain.admins.queries import email_place, totp_place
from domain.scope import Scope, system
from domain.seal import opens
from domain.settings import settings

ROWS_A_FETCH = 2_000
PROGRESS_S = 1
TOLD_MAX = 100
"""So many places are told one by one; of a merchant whose key is gone there is one for every value."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed column, and the column that names its row, with its type."""

    table: str
    column: str
    row: str
    row_type: str

    @property
    def name(self) -> str:
        """What its values are sealed for."""
        return f"{self.table}.{self.column}"


SEALED = (
    Sealed("customers", "profile", "id", "uuid"),
    Sealed("inbox", "profile", "webhook_id", "text"),
    Sealed("customer_exports", "content", "id", "uuid"),
    Sealed("birthdays", "sealed", "customer_id", "uuid"),
    Sealed("review_sources", "secret", "provider", "text"),
    Sealed("installations", "access_token", "merchant_id", "uuid"),
    Sealed("installations", "refresh_token", "merchant_id", "uuid"),
)
"""Every sealed column of a merchant's tables; tests/domain/test_rotation.py fails for one that is missing here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies, and whether it opens. `owner` is a merchant's id, or the platform."""

    owner: str
    name: str
    row: str
    is_open: bool

    def __str__(self) -> str:
        return f"{self.name} of row {self.row} of {self.owner}"


async def verify() -> int:
    """Try every value of the database of the settings, say which do not open, and return the exit code: 0 when all do, else 1."""
    await db.open_database(settings().database_url, 2)
    try:
        return await tell(_everywhere())
    finally:
        await db.close_database()


async def tell(places: AsyncIterator[Place]) -> int:
    """Say which do not open, and how far it is. Returns the exit code."""
    began = told_at = monotonic()
    seen = damaged = 0
    async for place in places:
        seen += 1
        if not place.is_open:
            damaged += 1
            if damaged <= TOLD_MAX:
                sys.stdout.write(f"DAMAGED {place}\n")
        if monotonic() - told_at > PROGRESS_S:
            told_at = monotonic()
            sys.stderr.write(f"{seen:,} sealed values, {seen / (told_at - began):,.0f} values/s …\n")
    if damaged:
        sys.stdout.write(f"{damaged:,} of {seen:,} sealed values do not open: they were changed or moved, or their key was\n")
        return 1
    sys.stdout.write(f"{seen:,} sealed values: each opens where it lies\n")
    return 0


async def _everywhere() -> AsyncIterator[Place]:
    async for place in _platform():
        yield place
    for merchant_id in await merchants.every_id():
        async for place in of_merchant(system(merchant_id)):
            yield place


async def of_merchant(scope: Scope) -> AsyncIterator[Place]:
    """Every value of one merchant, their keys first."""
    owner = f"merchant {scope.merchant_id}"
    async with db.connection(scope) as connection:
        keys = await connection.fetch("select purpose, id, wrapped from data_keys where merchant_id = $1", scope.merchant_id)
    for row in keys:
        place = keyring.place(scope.merchant_id, row["purpose"], row["id"])
        yield Place(owner, "data_keys.wrapped", f"{row['purpose']}/{row['id']}", await _unwraps(row["wrapped"], place))
    for sealed in SEALED:
        async for row in _values(scope, sealed):
            yield Place(owner, sealed.name, row["row"], opens(scope.merchant_id, sealed.name, row["row"], row["value"]))


async def _values(scope: Scope, sealed: Sealed) -> AsyncIterator[Any]:
    """The values of one column, page by page: who checks for hours holds up no other's cleaning of the table."""
    last = None
    while True:
        async with db.connection(scope) as connection:
            rows = await connection.fetch(
                f"""
                select {sealed.row}::text as row, {sealed.column} as value from {sealed.table}
                where merchant_id = $1 and {sealed.column} is not null
                    and ($2::{sealed.row_type} is null or {sealed.row} > $2::{sealed.row_type})
                order by {sealed.row} limit $3
                """,
                scope.merchant_id,
                last,
                ROWS_A_FETCH,
            )
        for row in rows:
            yield row
        if len(rows) < ROWS_A_FETCH:
            return
        last = rows[-1]["row"]


async def _platform() -> AsyncIterator[Place]:
    async with db.reference() as connection:
        rows = await connection.fetch("select id, email, totp_secret from admins order by id")
    for row in rows:
        yield Place("the platform", "admins.email", str(row["id"]), await _unwraps(row["email"], email_place(row["id"])))
        yield Place(
            "the platform", "admins.totp_secret", str(row["id"]), await _unwraps(row["totp_secret"], totp_place(row["id"]))
        )


async def _unwraps(wrapped: bytes, place: str) -> bool:
    try:
        await master.unwrap(wrapped, place)
    except master.UNOPENED:
        return False
    return True


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m domain.sealed", description=__doc__).parse_args()
    sys.exit(asyncio.run(verify()))
