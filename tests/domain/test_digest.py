"""What is hashed of an entry, written out once more with the standard library: a ledger of any age is proved by it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.points.rules import digest

INSTANTS = st.datetimes(timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))).filter(
    lambda at: 2 <= at.year <= 9998
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**53), 2**53)


def expected(content: Sequence[object], trace: str | None, at: datetime, tail: Sequence[object]) -> bytes:
    """SHA-256 over a JSON array, without spaces and with every character as itself."""
    hashed = None if trace is None else sha256(trace.encode()).hexdigest()
    whole = [*content, hashed, instant(at), *tail]
    return sha256(json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()).digest()


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


@given(TEXTS, NUMBERS, st.none() | TEXTS, st.none() | st.integers(1, 2**31 - 1), INSTANTS)
def test_a_digest_covers_what_an_entry_says(text: str, number: int, maybe: str | None, version: int | None, at: datetime) -> None:
    content: list[Any] = ["earn", number, -number, "order", text, "confirmed:1", version, maybe, "system:loyalnest"]
    assert digest(*content, maybe, at) == expected(content, maybe, at, [])


@given(NUMBERS, st.none() | TEXTS, INSTANTS, st.none() | INSTANTS)
def test_lots_and_reversals_are_covered_when_there_are_any(
    number: int, shares: str | None, at: datetime, expires_at: datetime | None
) -> None:
    content: list[Any] = ["adjust", number, 0, "adjustment", "key", "adjust", None, "Sorry", "staff:42"]
    made = digest(*content, None, at, number, None, expires_at, shares)
    assert made == expected(content, None, at, [number, None, None if expires_at is None else instant(expires_at), shares])


@pytest.mark.parametrize("microsecond", [0, 1, 500_000, 999_999])
def test_the_same_instant_has_one_digest_in_every_zone(microsecond: int) -> None:
    at = datetime(2026, 11, 27, 5, 0, 0, microsecond, UTC)
    content = ("earn", 10, 0, "order", "1", "confirmed:1", 1, None, "system:loyalnest", None)
    made = {digest(*content, at.astimezone(timezone(timedelta(hours=hours)))) for hours in (-11, 0, 5, 14)}
    assert made == {expected(content[:9], None, at, [])}
