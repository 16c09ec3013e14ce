"""Texts that can be found again in whatever form they were written, and every store in which one may lie."""

import asyncio
import base64
import re
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import redis.asyncio

Connection = asyncpg.Connection  # type: ignore[type-arg]
LETTERS = "bcdfghjklmnpqrstvwxz"


def word() -> str:
    """A word that nobody else writes: letters alone, so that whatever normalises names and addresses leaves it."""
    return "".join(secrets.choice(LETTERS) for _ in range(16))


def forms(value: bytes) -> set[bytes]:
    """What a store holds where it holds these bytes: as they are, and in hexadecimal and base64 wherever they begin."""
    found = {value.lower(), value.hex().encode()}
    for lead in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * lead + value)
            # The characters at both ends depend on what stands beside.
            found.add(whole[(lead * 8 + 5) // 6 : len(whole) - 4].lower())
    return found


@dataclass
class Canaries:
    """What must not be found, by name. Comparisons are blind to case."""

    values: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A new word under this name."""
        made = word()
        self.values[name] = made.encode()
        return made

    def word(self, name: str) -> str:
        """The word under a name."""
        return self.values[name].decode()

    def secret(self, name: str, value: str | bytes) -> None:
        """A secret that is there already."""
        self.values[name] = value.encode() if isinstance(value, str) else value

    def found(self, content: bytes) -> set[str]:
        """The names of those that stand in a content."""
        lowered = content.lower()
        return {name for name, value in self.values.items() if any(form in lowered for form in forms(value))}


async def columns(owner: Connection) -> AsyncGenerator[tuple[str, bytes], None]:
    """(table.column, all its values) of every table of the database, as the owner of the tables sees it without its walls."""
    tables = [
        row["name"]
        for row in await owner.fetch(
            "select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace "
            "and c.relkind in ('r', 'p') and not c.relispartition order by 1"
        )
    ]
    assert len(tables) > 30
    for table in tables:
        turn = owner.transaction()
        await turn.start()
        try:
            await owner.execute(f"alter table {table} no force row level security")
            rows = await owner.fetch(f"select * from {table}")
        finally:
            # The walls stand again.
            await turn.rollback()
        for name in rows[0].keys() if rows else ():
            yield f"{table}.{name}", b"\n".join(_bytes(row[name]) for row in rows)


def _bytes(value: Any) -> bytes:
    if isinstance(value, list):
        return b"\n".join(map(_bytes, value))
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else str(value).encode(errors="surrogateescape")


@asynccontextmanager
async def listening(url: str) -> AsyncGenerator[list[bytes], None]:
    """Every command that Redis is sent meanwhile, whole: also what was gone a moment later."""
    heard: list[bytes] = []
    client = redis.asyncio.Redis.from_url(url, socket_timeout=None)
    ready = asyncio.Event()

    async def listen() -> None:
        async with client.monitor() as monitor:
            ready.set()
            while True:
                heard.append(str((await monitor.next_command())["command"]).encode())

    task = asyncio.create_task(listen())
    await ready.wait()
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await client.aclose()


async def keys(url: str) -> dict[str, bytes]:
    """Every key of Redis and its value, as Redis itself would write it down."""
    client = redis.asyncio.Redis.from_url(url)
    try:
        found: dict[str, bytes] = {}
        async for key in client.scan_iter():
            kind = await client.type(key)
            found[repr(key)] = repr(key).encode() + await _value(client, key, kind)
        return found
    finally:
        await client.aclose()


async def _value(client: Any, key: bytes, kind: bytes) -> bytes:
    match kind:
        case b"string":
            return await client.get(key) or b""
        case b"hash":
            return b"\n".join(part for pair in (await client.hgetall(key)).items() for part in pair)
        case b"list":
            return b"\n".join(await client.lrange(key, 0, -1))
        case b"set":
            return b"\n".join(await client.smembers(key))
        case b"zset":
            return b"\n".join(await client.zrange(key, 0, -1))
        case b"none":
            return b""
    raise AssertionError(f"Redis holds a {kind!r}, which this does not read")


@dataclass(frozen=True)
class Log:
    """A log, read from where it ended when this was made."""

    path: Path
    begin: int

    @classmethod
    def here(cls, path: Path) -> "Log":
        """The log as it goes on from here."""
        return cls(path, path.stat().st_size if path.exists() else 0)

    def lines(self) -> Iterator[bytes]:
        """What came since."""
        with self.path.open("rb") as file:
            file.seek(self.begin)
            yield from file

    def content(self) -> bytes:
        """All that came since."""
        return b"".join(self.lines())


TOKEN = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")
"""How a signed token looks, whoever it is for."""
