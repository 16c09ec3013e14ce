"""Every merchant's keys, opened once per process and kept for half a minute.

A key is random, is kept in `data_keys` wrapped by the master key, and is never changed. `domain/db.py` sees to it that whoever
holds a connection to a merchant's rows has the merchant's keys, so that sealing and opening need no waiting. A new key is read by
every process long before any of them begins to write with it: docs/adr/0023 says how that makes a rotation safe.
"""

import os
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import master
from domain.damage import Damaged, damaged
from domain.settings import settings

SEAL = "seal"
SEARCH = "search"
MATCH = "match"
PURPOSES = (SEAL, SEARCH, MATCH)
TURNED = (SEAL, SEARCH)
"""Those whose keys can turn, because what they made can be made anew."""
REFRESH_S = 30
"""After so long a process looks whether there are other keys. A key begins to be written with much later than it appears."""
KEPT_MAX = 20_000


class KeyMissing(Damaged):
    """A value names a key that the merchant does not have."""


class KeyDamaged(Damaged):
    """A key of the merchant's does not open: nothing that it seals can be read or written until it is given back."""


@dataclass(slots=True)
class Ring:
    """One merchant's keys by purpose and id; `active` is the one to write with, and `other` the one that is turned, if any is.

    A key that was once read stays: a row may be opened a moment after its key was removed.
    """

    until: float
    keys: dict[str, dict[int, bytes]] = field(default_factory=lambda: {purpose: {} for purpose in PURPOSES})
    active: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)
    damaged: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])


_rings: OrderedDict[UUID, Ring] = OrderedDict()


def is_fresh(merchant_id: UUID) -> bool:
    """Whether this process knows the merchant's keys."""
    ring = _rings.get(merchant_id)
    return ring is not None and ring.until > time.monotonic()


async def load(connection: Any, merchant_id: UUID) -> None:
    """Read the merchant's keys, and make the first ones. Precondition: a connection that sees the merchant."""
    rows = await _read(connection, merchant_id)
    if not rows:
        for purpose in PURPOSES:
            await _make_first(connection, merchant_id, purpose)
        rows = await _read(connection, merchant_id)
    ring, known = Ring(time.monotonic() + REFRESH_S), _rings.get(merchant_id)
    if known is not None:
        ring.keys = {purpose: dict(held) for purpose, held in known.keys.items()}
    for row in rows:
        purpose, key_id = row["purpose"], row["id"]
        try:
            ring.keys[purpose][key_id] = await _opened(merchant_id, purpose, key_id, row["wrapped"])
        except master.UNOPENED as error:
            # What needs this key is refused where it is needed. Points need none, and go on.
            ring.damaged.add((purpose, key_id))
            damaged(merchant_id, "data_keys.wrapped", f"{purpose}/{key_id}", error)
        if row["is_active"]:
            if purpose in ring.active:
                ring.other[purpose] = ring.active[purpose]
            ring.active[purpose] = key_id
        else:
            ring.other[purpose] = key_id
    newest = _rings.get(merchant_id)
    if newest is not None and any(ring.active.get(purpose, 0) < key_id for purpose, key_id in newest.active.items()):
        # Somebody else who began later was sooner: nobody goes back to a key that is being turned.
        return
    _rings[merchant_id] = ring
    _rings.move_to_end(merchant_id)
    if len(_rings) > KEPT_MAX:
        _rings.popitem(last=False)


def forget(merchant_id: UUID) -> None:
    """Read the merchant's keys anew at the next connection."""
    ring = _rings.get(merchant_id)
    if ring is not None:
        ring.until = 0


def active(merchant_id: UUID, purpose: str) -> tuple[int, bytes]:
    """The id of the key to write with, and the key. Raises KeyDamaged when it does not open: no other takes its place."""
    key_id = _ring(merchant_id).active[purpose]
    return key_id, key(merchant_id, purpose, key_id)


def key(merchant_id: UUID, purpose: str, key_id: int) -> bytes:
    """The key of this id. Raises KeyMissing, and KeyDamaged."""
    ring = _ring(merchant_id)
    found = ring.keys[purpose].get(key_id)
    if found is None:
        raise KeyDamaged if (purpose, key_id) in ring.damaged else KeyMissing
    return found


def other(merchant_id: UUID, purpose: str) -> bytes | None:
    """During a rotation, the key that is not written with yet, or not any more."""
    ring = _ring(merchant_id)
    key_id = ring.other.get(purpose)
    return None if key_id is None else ring.keys[purpose].get(key_id)


def place(merchant_id: UUID, purpose: str, key_id: int) -> str:
    """What a wrapped key is bound to."""
    return f"data_keys/{merchant_id}/{purpose}/{key_id}"


def _ring(merchant_id: UUID) -> Ring:
    ring = _rings.get(merchant_id)
    assert ring is not None, "whoever seals or opens has read or will write through db.connection"
    return ring


async def _read(connection: Any, merchant_id: UUID) -> list[Any]:
    return await connection.fetch(
        """
        select purpose, id, wrapped, active_from <= now() as is_active from data_keys where merchant_id = $1
        order by purpose, id
        """,
        merchant_id,
    )


async def _make_first(connection: Any, merchant_id: UUID, purpose: str) -> None:
    """The first key. Where rows are older than this table, it is the one that they were sealed with: it was derived."""
    is_old = await connection.fetchval(
        """
        select exists (select from customers where merchant_id = $1) or exists (select from inbox where merchant_id = $1)
            or exists (select from review_sources where merchant_id = $1)
        """,
        merchant_id,
    )
    first = derived(merchant_id, purpose) if is_old else AESGCM.generate_key(256)
    await connection.execute(
        """
        insert into data_keys (merchant_id, purpose, id, wrapped, master, active_from)
        select $1, $2, 1, $3, $4, now() where exists (select from merchants where id = $1)
        on conflict (merchant_id, purpose, id) do nothing
        """,
        merchant_id,
        purpose,
        await master.wrap(first, place(merchant_id, purpose, 1)),
        master.current_id(),
    )


def derived(merchant_id: UUID, purpose: str) -> bytes:
    """The key that the first version of sealing derived from the master key; while that one is turned, from the one before."""
    derivation = HKDF(
        algorithm=SHA256(), length=32, salt=merchant_id.bytes, info=f"loyalnest/{SEAL if purpose == SEAL else SEARCH}/1".encode()
    )
    return derivation.derive(settings().master_key_previous_bytes or settings().master_key_bytes)


_plain: "OrderedDict[bytes, bytes]" = OrderedDict()


async def _opened(merchant_id: UUID, purpose: str, key_id: int, wrapped: bytes) -> bytes:
    # A key management service is asked once for each wrapped key, not at every refresh.
    found = _plain.get(wrapped)
    if found is None:
        found = _plain[wrapped] = await master.unwrap(wrapped, place(merchant_id, purpose, key_id))
        if len(_plain) > 2 * KEPT_MAX:
            _plain.popitem(last=False)
    return found


def new_key() -> bytes:
    """A fresh random key."""
    return os.urandom(32)


@lru_cache(maxsize=4096)
def cipher(secret: bytes) -> AESGCM:
    """The cipher of a key: making one costs as much as using it."""
    return AESGCM(secret)
