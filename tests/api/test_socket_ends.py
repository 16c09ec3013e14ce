"""A socket lasts no longer than what opened it: whoever loses a role, a key or an account hears nothing more after 5 seconds."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from api import socket as api_socket
from api.auth import admin_session_of
from api.socket import EXPIRED
from domain import admins, db, merchants, scope, staff
from domain.access import AdminRole, StaffRole
from domain.merchants import stores
from local.seed import STAFF_USER
from tests.api.admin import person
from tests.api.serving import PATIENCE_S, Client, Serving, heard, running, say, serving
from tests.shop import Shop, open_shop, rate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ANOTHER = "777001"
TOLD_WITHIN_S = 5


@dataclass
class Watches:
    """The time of those who watch credentials, which passes when a test lets it."""

    asked: list[float] = field(default_factory=list)
    _turn: asyncio.Condition = field(default_factory=asyncio.Condition)
    _until: int = 0

    async def pause(self, seconds: float) -> None:
        """What the watch does instead of sleeping."""
        self.asked.append(seconds)
        number = len(self.asked)
        async with self._turn:
            self._turn.notify_all()
            await self._turn.wait_for(lambda: self._until >= number)

    async def passes(self) -> None:
        """Let one pause pass. Nobody may have asked for more than the promise allows."""
        async with asyncio.timeout(PATIENCE_S), self._turn:
            await self._turn.wait_for(lambda: len(self.asked) > self._until)
            self._until += 1
            self._turn.notify_all()

    async def again(self) -> None:
        """Wait until the watch has looked, and pauses once more."""
        async with asyncio.timeout(PATIENCE_S), self._turn:
            await self._turn.wait_for(lambda: len(self.asked) > self._until)


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Watches:
    made = Watches()
    monkeypatch.setattr(api_socket, "pause", made.pause)
    return made


@pytest.fixture
async def served(application: Any) -> AsyncGenerator[Serving, None]:
    async with serving(application) as server:
        before = running()
        yield server
        await server.quiet(before)


async def subscribed(served: Serving, token: str, customer_id: UUID, **payload: str) -> Client:
    """A client that hears of a balance."""
    client = await served.admitted(token, **payload)
    live = f'subscription {{ balanceUpdated(customerId: "gid://loyalnest/Customer/{customer_id}") {{ version }} }}'
    await say(client, type="subscribe", id="1", payload={"query": live})
    assert (await heard(client))["payload"]["data"] == {"balanceUpdated": {"version": 0}}
    return client


async def closed(client: Client) -> int | None:
    """The code that the server closes with, before anything else is heard."""
    async with asyncio.timeout(PATIENCE_S):
        await client.wait_closed()
    return client.close_code


async def ends(served: Serving, watches: Watches, client: Client, change: Callable[[], Awaitable[object]]) -> None:
    """It stays while nothing changes, and is closed when the first look after the change comes: five seconds later at most."""
    await watches.passes()
    await watches.again()
    assert client.close_code is None
    await change()
    await watches.passes()
    assert await closed(client) == EXPIRED
    assert max(watches.asked) <= TOLD_WITHIN_S
    assert served.process.doorbell.count() == 0


async def does(shop: Shop, act: Callable[..., Awaitable[object]], *arguments: object, **options: object) -> None:
    """Run a command of the merchant's."""
    async with db.transaction(shop.scope()):
        await act(shop.scope(), *arguments, **options)


@pytest.fixture
async def customer_id(shop: Shop) -> UUID:
    await shop.publish(rate(10))
    return (await shop.customer()).id


async def own(shop: Shop) -> None:
    """The member of the staff who asks is an owner, and somebody else is one too."""
    for user in (STAFF_USER, ANOTHER):
        await does(shop, staff.assign, user_id=user, role=StaffRole.OWNER)


@pytest.mark.parametrize("role", [StaffRole.MANAGER, StaffRole.SUPPORT, StaffRole.ANALYST])
async def test_when_the_role_is_lowered(
    served: Serving, watches: Watches, shop: Shop, customer_id: UUID, role: StaffRole
) -> None:
    await own(shop)
    client = await subscribed(served, shop.staff_token(), customer_id)
    await ends(served, watches, client, partial(does, shop, staff.assign, user_id=STAFF_USER, role=role))


async def test_when_the_role_is_taken_away(served: Serving, watches: Watches, shop: Shop, customer_id: UUID) -> None:
    await own(shop)
    client = await subscribed(served, shop.staff_token(), customer_id)
    await ends(served, watches, client, partial(does, shop, staff.remove, user_id=STAFF_USER))


async def test_when_the_first_owner_is_named(served: Serving, watches: Watches, shop: Shop, customer_id: UUID) -> None:
    """Until then everybody is one, and from then on whoever is not listed is an analyst."""
    client = await subscribed(served, shop.staff_token(), customer_id)
    await ends(served, watches, client, partial(does, shop, staff.assign, user_id=ANOTHER, role=StaffRole.OWNER))


async def test_when_the_shop_goes_to_another_merchant(served: Serving, watches: Watches, application: object, shop: Shop) -> None:
    """A staff token names the shop, and for whom the shop speaks can change."""
    joining = await open_shop(application)
    client = await served.admitted(joining.staff_token())
    await say(client, type="subscribe", id="1", payload={"query": "{ merchant { shopDomain } }"})
    await heard(client)

    async def join() -> None:
        await does(shop, stores.invite, joining.merchant.shop_domain)
        await does(joining, stores.join, shop.merchant.shop_domain)

    await ends(served, watches, client, join)


async def revoked_key(shop: Shop, *scopes: str) -> tuple[str, Callable[[], Awaitable[object]]]:
    """A key, and what revokes it: so a merchant withdraws the consent that it is."""
    key = await shop.partner_key(*scopes)
    partner = await merchants.by_api_key(key, datetime.now(UTC))
    assert partner is not None
    return key, partial(does, shop, merchants.api_key_revoke, key_id=partner.key_id)


async def test_when_the_key_is_revoked(served: Serving, watches: Watches, shop: Shop, customer_id: UUID) -> None:
    key, revoke = await revoked_key(shop, "read")
    client = await subscribed(served, key, customer_id)
    await ends(served, watches, client, revoke)


async def test_when_the_key_expires(
    served: Serving, watches: Watches, shop: Shop, customer_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiry = datetime.now(UTC) + timedelta(hours=1)
    client = await subscribed(served, await shop.partner_key("read", expires_at=expiry), customer_id)

    async def later() -> None:
        monkeypatch.setattr(scope, "now", lambda: expiry)

    await ends(served, watches, client, later)


@pytest.mark.parametrize("loss", ["disabled", "lowered", "signed out", "elsewhere"])
async def test_when_one_of_our_own_people_may_no_longer(
    served: Serving, watches: Watches, shop: Shop, customer_id: UUID, loss: str
) -> None:
    someone = await person(shop)
    token = (await someone.tokens())["token"]
    client = await subscribed(served, token, customer_id, shop=shop.merchant.shop_domain)
    at = admins.anonymous(datetime.now(UTC), "test-request", "")

    async def lose() -> None:
        if loss == "signed out":
            await admins.end(at, admin_session_of(f"Bearer {token}", datetime.now(UTC)))
            return
        async with db.transaction(at):
            match loss:
                case "disabled":
                    await admins.disable(at, admin_id=someone.admin_id)
                case "lowered":
                    await admins.update(at, admin_id=someone.admin_id, role=AdminRole.ANALYTICS)
                case _:
                    await admins.update(at, admin_id=someone.admin_id, networks=["198.51.100.0/24"])

    # Somebody has to be left who can manage our people.
    await person(shop)
    await ends(served, watches, client, lose)


async def test_when_a_customers_token_expires(
    served: Serving, watches: Watches, shop: Shop, customer_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be revoked, so that its watch has one pause, until the very instant."""
    begun = datetime.now(UTC)
    monkeypatch.setattr(scope, "now", lambda: begun)
    client = await subscribed(served, shop.customer_token(customer_id, timedelta(minutes=5)), customer_id)
    await watches.again()
    # Tokens tell whole seconds.
    assert [round(asked) for asked in watches.asked] in ([300], [299], [301])
    monkeypatch.setattr(scope, "now", lambda: begun + timedelta(minutes=5, seconds=1))
    await watches.passes()
    assert await closed(client) == EXPIRED


async def test_who_keeps_what_they_had_stays(served: Serving, watches: Watches, shop: Shop, customer_id: UUID) -> None:
    """The control: other people's changes close nobody's socket."""
    await own(shop)
    client = await subscribed(served, shop.staff_token(), customer_id)
    key, revoke = await revoked_key(shop)
    await revoke()
    await does(shop, staff.remove, user_id=ANOTHER)
    for _ in range(3):
        await watches.passes()
    await watches.again()
    assert (client.close_code, key.startswith("lnp_")) == (None, True)
    await client.close()


async def test_while_the_database_is_away_nothing_is_closed(
    served: Serving, watches: Watches, shop: Shop, customer_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be read then, so that there is nothing to see either; the first look after it closes."""
    await own(shop)
    client = await subscribed(served, shop.staff_token(), customer_id)
    await does(shop, staff.remove, user_id=STAFF_USER)

    async def away(*_: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as without:
        without.setattr(merchants, "by_shop_domain", away)
        await watches.passes()
        await watches.again()
        assert client.close_code is None
    await watches.passes()
    assert await closed(client) == EXPIRED
