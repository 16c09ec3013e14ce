"""What an entry of the ledger is, and what is hashed of it."""

from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

import msgspec

from domain.errors import Code, DomainError

POINTS_MAX = 2**53 - 1
"""The most points that a balance, a pending sum or an entry may hold: the largest integer that every JSON reader keeps."""


class TransactionType(StrEnum):
    """Why points moved, in the words that merchants know."""

    EARN = "earn"
    REDEEM = "redeem"
    EXPIRE = "expire"
    ADJUST = "adjust"
    IMPORT = "import"
    REFERRAL = "referral"
    CAMPAIGN = "campaign"
    MERGE = "merge"


class InsufficientPoints(DomainError):
    """The entry would take the balance below its floor."""

    code = Code.INSUFFICIENT_POINTS


class AccountClosed(DomainError):
    """The account neither earns nor spends: its customer is disabled, deleted, merged or erased."""

    code = Code.ACCOUNT_CLOSED


class PointsOutOfRange(DomainError):
    """An amount of points, or a sum, beyond what the ledger holds."""

    code = Code.POINTS_OUT_OF_RANGE


class Entry(msgspec.Struct, frozen=True):
    """One movement to be posted.

    points: what it adds to the balance; pending: what it adds to the points not yet spendable; both signed.
    source, external_id, purpose: the cause, together unique in a merchant's ledger; the same cause is never posted twice.
    floor: the balance below which the entry is refused, or None for no floor.
    lot: the lot that it takes from before all others, or gives back to; a lot bears the position of the entry that opened it.
    reverses: the position of the entry that it reverses. shares: what a reversal takes of each line, as `line_shares` writes it.
    expires_at: when the lot that it opens expires. With a lot named too, points go back as a lot of their own with this expiry.
    """

    customer_id: UUID
    type: TransactionType
    points: int
    pending: int
    source: str
    external_id: str
    purpose: str
    program_version: int | None = None
    reason: str | None = None
    trace: str | None = None
    floor: int | None = None
    lot: int | None = None
    reverses: int | None = None
    expires_at: datetime | None = None
    shares: str | None = None


_encode = msgspec.json.Encoder().encode


def digest(
    type: str,
    points: int,
    pending: int,
    source: str,
    external_id: str,
    purpose: str,
    program_version: int | None,
    reason: str | None,
    actor: str,
    trace: str | None,
    occurred_at: datetime,
    lot: int | None = None,
    reverses: int | None = None,
    expires_at: datetime | None = None,
    shares: str | None = None,
) -> bytes:
    """SHA-256 over the entry's content, as a JSON array in this order; a trace enters as the hex of its own SHA-256.

    The last four enter only when one of them is there, so that entries from before there were lots keep their digest.

    The chain goes over it: hash = SHA-256(previous hash | position | balance after | pending after | digest), the numbers as
    8 bytes big-endian, and the first previous hash is SHA-256(merchant id | customer id).
    """
    trace_hash = None if trace is None else sha256(trace.encode()).hexdigest()
    content: tuple[object, ...] = (
        type,
        points,
        pending,
        source,
        external_id,
        purpose,
        program_version,
        reason,
        actor,
        trace_hash,
        _instant(occurred_at),
    )
    if lot is not None or reverses is not None or expires_at is not None or shares is not None:
        content += (lot, reverses, None if expires_at is None else _instant(expires_at), shares)
    return sha256(_encode(content)).digest()


def _instant(at: datetime) -> str:
    """The same text for the same instant, in whatever zone it is told: as `isoformat` writes it in UTC, with microseconds.

    Every entry is hashed with its instant, so that it is written by msgspec: docs/adr/0044.
    """
    text = _encode(at.astimezone(UTC)).decode()
    return f"{text[1:20]}{text[20:-2] or '.000000'}+00:00"


def genesis(merchant_id: UUID, customer_id: UUID) -> bytes:
    """What the first entry of an account is chained to."""
    return sha256(merchant_id.bytes + customer_id.bytes).digest()


def link(previous: bytes, position: int, balance_after: int, pending_after: int, content: bytes) -> bytes:
    """The hash of the next entry in an account's chain."""
    numbers = b"".join(number.to_bytes(8, "big", signed=True) for number in (position, balance_after, pending_after))
    return sha256(previous + numbers + content).digest()
