"""A sandbox's clock: forward only, at most ten years, for sandboxes only, and by the database too."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from domain import db, merchants
from domain.errors import Code, DomainError
from domain.merchants import Merchant
from domain.merchants.rules import CLOCK_OFFSET_MAX, clock_target
from domain.scope import NO_TIME, Actor, Door, Scope, now, system
from tests.shop import NOON, Shop, open_shop

DAY = timedelta(days=1)
NOBODY = UUID(int=1)


@pytest.fixture
async def sandbox(application: object) -> Shop:
    return await open_shop(application, sandbox=True)


async def scope(shop: Shop, real: datetime = NOON) -> Scope:
    """A request that comes at the real instant `real`."""
    offset = await merchants.clock_offset(shop.merchant.id)
    return Scope(shop.merchant.id, Actor(Door.STAFF, "42"), real + offset, "request", offset)


async def advance(given: Scope, **target: object) -> Merchant:
    async with db.transaction(given):
        return await merchants.clock_advance(given, **target)  # type: ignore[arg-type]


async def refusal(given: Scope, **target: object) -> tuple[Code, tuple[str, ...]]:
    before = await merchants.clock_offset(given.merchant_id)
    with pytest.raises(DomainError) as refused:
        await advance(given, **target)
    assert await merchants.clock_offset(given.merchant_id) == before
    return refused.value.code, refused.value.field


async def test_days_and_instants_move_the_clock(sandbox: Shop) -> None:
    moved = await advance(await scope(sandbox), days=14)
    assert moved == await merchants.by_id(sandbox.merchant.id)
    assert moved.clock_offset == 14 * DAY
    moved = await advance(await scope(sandbox, NOON + timedelta(hours=1)), until=NOON + 30 * DAY)
    assert moved.clock_offset == 30 * DAY - timedelta(hours=1)
    elsewhere = (NOON + 40 * DAY).astimezone(datetime.fromisoformat("2026-01-01T00:00+09:00").tzinfo)
    assert (await advance(await scope(sandbox), until=elsewhere)).clock_offset == 40 * DAY
    assert (await advance(await scope(sandbox), days=1)).clock_offset == 41 * DAY


async def test_the_clock_goes_forward_only(sandbox: Shop) -> None:
    await advance(await scope(sandbox), days=10)
    given = await scope(sandbox)
    assert given.at == NOON + 10 * DAY
    for days in (0, -1, -(2**31)):
        assert await refusal(given, days=days) == (Code.CLOCK_BACKWARDS, ("days",))
    for until in (NOON, NOON + 10 * DAY, NOON + 10 * DAY - timedelta(microseconds=1), datetime.min.replace(tzinfo=UTC)):
        assert await refusal(given, until=until) == (Code.CLOCK_BACKWARDS, ("until",))
    assert (await advance(given, until=NOON + 10 * DAY + timedelta(microseconds=1))).clock_offset > 10 * DAY


async def test_ten_years_is_the_end(sandbox: Shop) -> None:
    given = await scope(sandbox)
    assert await refusal(given, days=3654) == (Code.CLOCK_TOO_FAR, ("days",))
    assert await refusal(given, days=2**31 - 1) == (Code.CLOCK_TOO_FAR, ("days",))
    assert await refusal(given, until=datetime.max.replace(tzinfo=UTC)) == (Code.CLOCK_TOO_FAR, ("until",))
    assert (await advance(given, days=3653)).clock_offset == CLOCK_OFFSET_MAX
    given = await scope(sandbox)
    assert await refusal(given, days=1) == (Code.CLOCK_TOO_FAR, ("days",))
    assert await refusal(given, until=given.at + timedelta(microseconds=1)) == (Code.CLOCK_TOO_FAR, ("until",))


async def test_exactly_one_target_with_a_time_zone(sandbox: Shop) -> None:
    given = await scope(sandbox)
    assert await refusal(given) == (Code.BAD_INPUT, ("days",))
    assert await refusal(given, days=1, until=NOON + DAY) == (Code.BAD_INPUT, ("days",))
    assert await refusal(given, until=(NOON + DAY).replace(tzinfo=None)) == (Code.BAD_INPUT, ("until",))


async def test_only_a_sandbox_has_a_clock(shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    assert await refusal(await scope(shop), days=1) == (Code.SANDBOX_REQUIRED, ())
    for offset, wall in ((DAY, "clock_of_sandboxes_only"), (-DAY, "clock_never_behind")):
        with pytest.raises(asyncpg.CheckViolationError, match=wall):
            await owner.execute("update merchants set clock_offset = $2 where id = $1", shop.merchant.id, offset)


async def test_what_a_merchant_is_stays(shop: Shop, sandbox: Shop) -> None:
    for one, other in ((shop, True), (sandbox, False)):
        again = await merchants.register(one.merchant.shop_domain, "Other", "EUR", now(), sandbox=other)
        assert again == one.merchant
    async with db.connection(sandbox.scope()) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("update merchants set sandbox = true where id = $1", shop.merchant.id)


async def test_two_calls_at_once_move_the_clock_once(sandbox: Shop) -> None:
    given = await scope(sandbox)
    for target in ({"days": 7}, {"until": NOON + 20 * DAY}):
        results = await asyncio.gather(*(advance(given, **target) for _ in range(4)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in results) == ["ClockBackwards"] * 3 + ["Merchant"]
    assert await merchants.clock_offset(sandbox.merchant.id) == 20 * DAY


async def test_a_move_is_audited(sandbox: Shop) -> None:
    await advance(await scope(sandbox), days=2)
    await advance(await scope(sandbox), days=1)
    async with db.connection(sandbox.scope()) as connection:
        rows = await connection.fetch("select at, actor, action, subject, before, after from audit_entries order by at")
    assert [(row["at"], json.loads(row["before"]), json.loads(row["after"])) for row in rows] == [
        (NOON, {"now": "2026-03-02T12:00:00Z"}, {"now": "2026-03-04T12:00:00Z"}),
        (NOON + 2 * DAY, {"now": "2026-03-04T12:00:00Z"}, {"now": "2026-03-05T12:00:00Z"}),
    ]
    subject = f"gid://loyalnest/Merchant/{sandbox.merchant.id}"
    assert {(row["actor"], row["action"], row["subject"]) for row in rows} == {("staff:42", "sandbox_clock.advanced", subject)}


def test_a_target_knows_the_clock_as_it_is_and_as_it_was_asked() -> None:
    """Somebody moved the clock on between the question and the lock: days count from what the caller saw."""
    sandbox_row = Merchant(NOBODY, "s.myshopify.com", "S", "USD", sandbox=True, clock_offset=5 * DAY)
    with pytest.raises(DomainError) as refused:
        clock_target(sandbox_row, NOON, NOON, 5, None)
    assert refused.value.code is Code.CLOCK_BACKWARDS
    assert clock_target(sandbox_row, NOON, NOON, 6, None) == NOON + 6 * DAY


def test_the_present_of_a_scope_is_its_merchants() -> None:
    before = now()
    for offset in (NO_TIME, 400 * DAY):
        for given in (system(NOBODY, clock_offset=offset), system(NOBODY, NOON, offset).present()):
            assert before + offset <= given.at <= now() + offset
            assert given.clock_offset == offset
    assert system(NOBODY, NOON, DAY).at == NOON


async def test_nobodys_clock_is_the_real_one() -> None:
    assert await merchants.clock_offset(NOBODY) == NO_TIME
