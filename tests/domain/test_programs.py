"""Programs: drafts can be edited, versions cannot, and an instant has one version."""

from datetime import timedelta

import asyncpg
import pytest

from domain import db, programs
from domain.errors import Code, DomainError
from domain.programs import Definition, PointsName
from tests.shop import NOON, Shop, rate


async def update(shop: Shop, definition: Definition, revision: int | None = None) -> programs.Draft:
    async with db.transaction(shop.scope()):
        return await programs.draft_update(shop.scope(), definition, revision=revision)


async def publish(shop: Shop, at_days: int = 0, revision: int | None = None) -> programs.ProgramVersion:
    scope = shop.scope(NOON + timedelta(days=at_days))
    async with db.transaction(scope):
        return await programs.publish(scope, revision=revision)


async def test_a_draft_becomes_the_next_version_and_is_gone(shop: Shop) -> None:
    draft = await update(shop, rate(10))
    assert (draft.revision, draft.definition) == (1, rate(10))
    assert await programs.live(shop.scope()) is None
    published = await publish(shop)
    assert (published.version, published.definition, published.effective_from) == (1, rate(10), NOON)
    assert await programs.draft(shop.scope()) is None
    live = await programs.live(shop.scope())
    assert live is not None
    assert live.version == 1


async def test_every_instant_has_the_version_that_was_in_force(shop: Shop) -> None:
    for days, points in ((0, 1), (10, 2), (20, 3)):
        await update(shop, rate(points))
        await publish(shop, days)
    instants = [NOON + timedelta(days=days, seconds=seconds) for days, seconds in ((0, -1), (0, 0), (10, -1), (10, 0), (25, 0))]
    found = await programs.in_force_each(shop.scope(), instants)
    assert [one and one.version for one in found] == [None, 1, 1, 2, 3]
    for at, one in zip(instants, found, strict=True):
        single = await programs.in_force(shop.scope(), at)
        assert (single and single.version) == (one and one.version)


async def test_a_version_cannot_be_changed(shop: Shop) -> None:
    await update(shop, rate(10))
    await publish(shop)
    async with db.connection(shop.scope()) as connection:
        for statement in ("update program_versions set definition = '{}'", "delete from program_versions"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_an_edit_of_an_old_revision_is_refused(shop: Shop) -> None:
    await update(shop, rate(1))
    await update(shop, rate(2), revision=1)
    with pytest.raises(DomainError) as refusal:
        await update(shop, rate(3), revision=1)
    assert refusal.value.code is Code.DRAFT_CHANGED
    with pytest.raises(DomainError) as refusal:
        await publish(shop, revision=1)
    assert refusal.value.code is Code.DRAFT_CHANGED
    draft = await programs.draft(shop.scope())
    assert draft is not None
    assert (draft.revision, draft.definition) == (2, rate(2))
    assert await programs.live(shop.scope()) is None


async def test_without_a_draft_there_is_nothing_to_publish_or_discard(shop: Shop) -> None:
    for act in (programs.publish, programs.draft_discard):
        with pytest.raises(DomainError) as refusal:
            async with db.transaction(shop.scope()):
                await act(shop.scope())
        assert refusal.value.code is Code.DRAFT_MISSING


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        (rate(1, signup_points=-1), ("signupPoints",)),
        (rate(1, hold_days=366), ("holdDays",)),
        (rate(1, points_name=PointsName("", "Stars")), ("pointsName", "singular")),
        (rate(1, points_name=PointsName("Star", "x" * 41)), ("pointsName", "plural")),
        (rate(-1), ("earning", "rules[0]", "rate", "points")),
        (rate(1, per=0), ("earning", "rules[0]", "rate", "per")),
        (rate(1, earning={"base": {"taxes": True}}), ("earning", "base", "taxes")),
        (Definition(earning={"rules": "none"}), ("earning", "rules")),
    ],
)
async def test_an_invalid_definition_is_refused_with_its_path(shop: Shop, definition: Definition, field: tuple[str, ...]) -> None:
    with pytest.raises(DomainError) as refusal:
        await update(shop, definition)
    assert (refusal.value.code, refusal.value.field) == (Code.PROGRAM_INVALID, field)
    assert await programs.draft(shop.scope()) is None


async def test_a_program_is_its_merchants_own(shop: Shop, other_shop: Shop) -> None:
    await shop.publish(rate(10))
    assert await programs.live(other_shop.scope()) is None
    assert await programs.version(other_shop.scope(), 1) is None
    assert await programs.versions(other_shop.scope(), 10, None) == []
