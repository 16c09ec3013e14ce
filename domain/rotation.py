"""Turning keys while everything runs: a merchant's data key and search key, and the master key.

A rotation is a row with two keys in it, so that it can be begun, watched, killed and gone on with by any process. The new key is
written with only after `GRACE`, when every process has read it; the old one is removed when nothing is sealed with it any more.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from domain import customers, db, keyring, master
from domain.admins.commands import EMAILS
from domain.admins.queries import email_place, totp_place
from domain.damage import Damaged, damaged
from domain.keyring import REFRESH_S, SEARCH, KeyDamaged
from domain.scope import NOBODY, Scope
from domain.seal import prefix, seal, unseal
from domain.sealed import SEALED, Sealed

GRACE = timedelta(seconds=10 * REFRESH_S)
"""How long a key is known before it is written with, and how long it is written with before the old one is looked for."""
BATCH = 500


class State(StrEnum):
    """Where a rotation stands. One that is blocked has met what does not open, and keeps the old key for when it is mended."""

    WAITING = "waiting"
    BLOCKED = "blocked"
    DONE = "done"


class Pass(NamedTuple):
    """What one pass over all values has come to: how many it has written anew, and how many do not open."""

    rewritten: int
    damaged: int


async def begin(scope: Scope, purpose: str, grace: timedelta = GRACE) -> None:
    """Make the merchant's next key of this purpose. Doing it twice is doing it once: a rotation that is going on goes on."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select id from data_keys where merchant_id = $1 and purpose = $2 order by id", scope.merchant_id, purpose
        )
        if len(rows) == 1:
            key_id = rows[0]["id"] + 1
            await connection.execute(
                """
                insert into data_keys (merchant_id, purpose, id, wrapped, master, active_from)
                values ($1, $2, $3, $4, $5, now() + $6) on conflict (merchant_id, purpose, id) do nothing
                """,
                scope.merchant_id,
                purpose,
                key_id,
                await master.wrap(keyring.new_key(), keyring.place(scope.merchant_id, purpose, key_id)),
                master.current_id(),
                grace,
            )
    keyring.forget(scope.merchant_id)


async def go_on(scope: Scope, purpose: str, grace: timedelta = GRACE) -> State:
    """Do what can be done of a rotation: rewrite what the old key sealed, and remove the key when there is nothing left of it.

    Safe to run twice, from several processes, and to kill. WAITING while some process may still write with the old key; BLOCKED
    when something does not open: what a backup gives back of it may need the old key, so that it stays.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select id, active_from + $3 <= now() as is_settled from data_keys where merchant_id = $1 and purpose = $2 order by id
            """,
            scope.merchant_id,
            purpose,
            grace,
        )
    if len(rows) < 2:
        return State.DONE
    if not rows[-1]["is_settled"]:
        return State.WAITING
    keyring.forget(scope.merchant_id)
    async with db.connection(scope):
        try:
            assert keyring.active(scope.merchant_id, purpose)[0] == rows[-1]["id"], "the newest key is the one to write with"
        except KeyDamaged:
            return State.BLOCKED
    # A second pass that finds nothing is the proof that there was nothing behind the first.
    while (done := await _rewrite(scope, purpose, rows[-1]["id"])).rewritten:
        pass
    if done.damaged:
        return State.BLOCKED
    async with db.connection(scope) as connection:
        await connection.execute(
            "delete from data_keys where merchant_id = $1 and purpose = $2 and id < $3",
            scope.merchant_id,
            purpose,
            rows[-1]["id"],
        )
    keyring.forget(scope.merchant_id)
    return State.DONE


async def _rewrite(scope: Scope, purpose: str, key_id: int) -> Pass:
    if purpose == SEARCH:
        return Pass(*await customers.reindex(scope, BATCH))
    each = [await _reseal(scope, one, key_id) for one in SEALED]
    return Pass(sum(one.rewritten for one in each), sum(one.damaged for one in each))


async def _reseal(scope: Scope, sealed: Sealed, key_id: int) -> Pass:
    """Seal anew what is not sealed with this key."""
    rewritten, unopened, place = 0, 0, None
    while True:
        async with db.connection(scope) as connection:
            rows = await connection.fetch(
                f"""
                select {sealed.row}::text as row, {sealed.column} as value from {sealed.table}
                where merchant_id = $1 and {sealed.column} is not null and substring({sealed.column} from 1 for 3) <> $2
                    and ($3::{sealed.row_type} is null or {sealed.row} > $3::{sealed.row_type})
                order by {sealed.row} limit $4
                """,
                scope.merchant_id,
                prefix(key_id),
                place,
                BATCH,
            )
            for row in rows:
                try:
                    await _reseal_one(scope, connection, sealed, row)
                    rewritten += 1
                except Damaged:
                    unopened += 1
        if not rows:
            return Pass(rewritten, unopened)
        place = rows[-1]["row"]


async def _reseal_one(scope: Scope, connection: db.Connection, sealed: Sealed, row: Any) -> None:
    plain = unseal(scope.merchant_id, sealed.name, row["row"], row["value"])
    # Only the value that was read: whoever wrote another one meanwhile wrote it with the new key.
    await connection.execute(
        f"""
        update {sealed.table} set {sealed.column} = $3
        where merchant_id = $1 and {sealed.row} = $2::text::{sealed.row_type} and {sealed.column} = $4
        """,
        scope.merchant_id,
        row["row"],
        seal(scope.merchant_id, sealed.name, row["row"], plain),
        row["value"],
    )


async def rewrap(scope: Scope) -> Pass:
    """Wrap the merchant's keys by the present master key, those that another one wrapped. Running it twice is safe."""
    rewritten = 0
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select purpose, id, wrapped from data_keys where merchant_id = $1 and master <> $2",
            scope.merchant_id,
            master.current_id(),
        )
        for row in rows:
            place = keyring.place(scope.merchant_id, row["purpose"], row["id"])
            try:
                wrapped = await master.wrap(await master.unwrap(row["wrapped"], place), place)
            except master.UNOPENED as error:
                damaged(scope.merchant_id, "data_keys.wrapped", f"{row['purpose']}/{row['id']}", error)
                continue
            await connection.execute(
                "update data_keys set wrapped = $4, master = $5 where merchant_id = $1 and purpose = $2 and id = $3",
                scope.merchant_id,
                row["purpose"],
                row["id"],
                wrapped,
                master.current_id(),
            )
            rewritten += 1
    return Pass(rewritten, len(rows) - rewritten)


async def rewrap_platform() -> Pass:
    """Wrap the secrets of the platform's people by the present master key, those that another one wrapped."""
    rewritten = unopened = 0
    async with db.reference() as connection:
        for row in await connection.fetch("select id, email, totp_secret from admins"):
            if master.id_of(row["email"]) == master.id_of(row["totp_secret"]) == master.current_id():
                continue
            try:
                await _rewrap_admin(connection, row)
                rewritten += 1
            except master.UNOPENED as error:
                damaged(NOBODY, "admins.email or totp_secret", row["id"], error)
                unopened += 1
    return Pass(rewritten, unopened)


async def _rewrap_admin(connection: Any, row: Any) -> None:
    email = await master.unwrap(row["email"], email_place(row["id"]))
    secret = await master.unwrap(row["totp_secret"], totp_place(row["id"]))
    await connection.execute(
        """
        update admins set email = $2, email_term = $3, totp_secret = $4 where id = $1 and email = $5 and totp_secret = $6
        """,
        row["id"],
        await master.wrap(email, email_place(row["id"])),
        (await master.macs(email.decode(), EMAILS))[0],
        await master.wrap(secret, totp_place(row["id"])),
        row["email"],
        row["totp_secret"],
    )
