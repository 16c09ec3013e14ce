"""`./dev.sh keys`, on the shops of one test."""

from datetime import timedelta

from domain import customers
from domain.keyring import SEAL
from local.keys import finish, turn
from tests.domain.test_rotation import keys, people
from tests.shop import Shop

AT_ONCE = timedelta(0)


async def test_every_key_turns_and_everybody_stays_readable(shop: Shop, other_shop: Shop) -> None:
    told: list[str] = []
    ids = [shop.merchant.id, other_shop.merchant.id]
    for one in (shop, other_shop):
        await people(one, 3)
    await turn(ids, told.append, AT_ONCE)
    await finish(ids, told.append, AT_ONCE)
    for one in (shop, other_shop):
        assert await keys(one, SEAL) == [2]
        assert [found.profile().last_name for found in await customers.page(one.scope(), 10, None, "common")] == ["Common"] * 3
    assert told == ["4 keys are being turned.", "No key is being turned any more."]


async def test_a_rotation_that_was_killed_is_gone_on_with(shop: Shop) -> None:
    await people(shop, 2)
    await turn([shop.merchant.id], lambda _: None, AT_ONCE)
    assert await keys(shop, SEAL) == [1, 2]
    # A second run begins nothing anew, and ends what the first began.
    await turn([shop.merchant.id], lambda _: None, AT_ONCE)
    assert await keys(shop, SEAL) == [1, 2]
    await finish([shop.merchant.id], lambda _: None, AT_ONCE)
    assert await keys(shop, SEAL) == [2]
