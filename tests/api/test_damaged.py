"""Sealed values that were changed or moved where they lie: a code for who asks, an alarm for the operators; all else goes on."""

import ast
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from domain import actions, customers, db, identity, inbox, installations, keyring, rotation
from domain.actions import Kind, Provider
from domain.damage import Damaged
from domain.db import Connection
from domain.errors import Code
from domain.installations import Grant
from domain.keyring import SEAL, SEARCH
from domain.programs import Actions, BirthdayRule
from domain.rotation import State
from domain.sealed import SEALED, Place, of_merchant, tell
from domain.settings import settings
from integrations.shopify import NotInstalled
from integrations.shopify.tokens import token
from local.keys import finish
from local.keys import rewrap as rewrap_all
from tests.api.admin import person
from tests.api.test_install import fetch, session_token
from tests.domain.test_guests import account, guest
from tests.domain.test_privacy import take, traces
from tests.domain.test_rotation import keys, people, turn_master
from tests.shop import NOON, Shop, order, rate
from tests.stand_in import Beside, beside

AT_ONCE = timedelta(0)
FLIPPED = "set_byte({0}, length({0}) - 1, get_byte({0}, length({0}) - 1) # 1)"
PROFILES = "query { customers(first: 10) { nodes { id pointsBalance email firstName } } }"


async def tamper(owner: Connection, shop: Shop, table: str, column: str, where: str = "true") -> None:
    """Flip one bit of each value."""
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    done = await owner.execute(
        f"update {table} set {column} = {FLIPPED.format(column)} where merchant_id = $1 and {where}", shop.merchant.id
    )
    assert done != "UPDATE 0"


def alarms(logged: list[str]) -> list[tuple[str, str, str]]:
    """(table, column, row) of each alarm; everything else of its line is known too, so that nothing can stand there besides."""
    events = [ast.literal_eval(line) for line in logged if "seal.damaged" in line]
    for event in events:
        assert set(event) == {"event", "merchant_id", "table", "column", "row", "why"}
    return [(event["table"], event["column"], event["row"]) for event in events]


async def damage(shop: Shop) -> list[str]:
    """The columns in which `verify` finds what does not open."""
    return sorted(place.name for place in await everything(shop) if not place.is_open)


async def everything(shop: Shop) -> list[Place]:
    return [place async for place in of_merchant(shop.scope())]


async def test_of_a_list_one_row_is_refused_and_the_others_are_answered(shop: Shop, owner: Connection, logged: list[str]) -> None:
    await people(shop, 3)
    third, second, first = await customers.page(shop.scope(), 3, None, None)
    await tamper(owner, shop, "customers", "profile", f"id = '{second.id}'")
    answer = await shop.ask(PROFILES)
    found = answer["data"]["customers"]["nodes"]
    assert [one["email"] for one in found] == ["person3@example.com", None, "person1@example.com"]
    assert [one["pointsBalance"] for one in found] == [0, 0, 0]
    told = [(error["path"], error["extensions"]["code"], error["message"]) for error in answer["errors"]]
    text = "What is kept here does not open. The operators of the platform have been told."
    assert told == [(["customers", "nodes", 1, name], "DATA_DAMAGED", text) for name in ("email", "firstName")]
    assert set(alarms(logged)) == {("customers", "profile", str(second.id))}
    assert not any("person2" in line or "Name2" in line for line in logged)
    assert not any("graphql.bug" in line for line in logged)
    # One that is not asked for its name is answered without a word, and found by its words as ever.
    [one] = (await shop.data('query { customers(first: 5, query: "person2@example.com") { nodes { id } } }'))["customers"][
        "nodes"
    ]
    assert one["id"].endswith(str(second.id))
    assert [one.name for one in await everything(shop) if not one.is_open] == ["customers.profile"]
    assert {third.profile().email, first.profile().email} == {"person3@example.com", "person1@example.com"}


async def test_values_that_change_places_do_not_open(shop: Shop, other_shop: Shop, owner: Connection, logged: list[str]) -> None:
    """Between two rows, and from one merchant to another: whole and unchanged, and not where they belong."""
    await people(shop, 2)
    await people(other_shop, 1, first=9)
    one, two = await customers.page(shop.scope(), 2, None, None)
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    await owner.execute("update customers set profile = $2 where id = $1", one.id, two.sealed_profile)
    await owner.execute("update customers set profile = $2 where id = $1", two.id, one.sealed_profile)
    answer = await shop.ask(PROFILES)
    assert [node["email"] for node in answer["data"]["customers"]["nodes"]] == [None, None]
    assert {error["extensions"]["code"] for error in answer["errors"]} == {Code.DATA_DAMAGED}
    assert {row for _, _, row in alarms(logged)} == {str(one.id), str(two.id)}
    [stranger] = await customers.page(other_shop.scope(), 1, None, None)
    await owner.execute(f"set app.merchant = '{other_shop.merchant.id}'")
    await owner.execute("update customers set profile = $2 where id = $1", stranger.id, two.sealed_profile)
    answer = await other_shop.ask(PROFILES)
    assert [node["email"] for node in answer["data"]["customers"]["nodes"]] == [None]
    assert await damage(shop) == ["customers.profile", "customers.profile"]
    assert await damage(other_shop) == ["customers.profile"]


async def test_a_delivery_that_does_not_open_is_set_aside_and_those_beside_it_are_booked(
    shop: Shop, owner: Connection, logged: list[str]
) -> None:
    await shop.publish(rate(1, signup_points=10))
    for number in (1, 2, 3):
        await shop.deliver("customers/create", account(number, email=f"{number}@example.com"), f"person {number}")
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    whole = await owner.fetchval("select profile from inbox where webhook_id = 'person 2'")
    await tamper(owner, shop, "inbox", "profile", "webhook_id = 'person 2'")
    await shop.work()
    kept = await inbox.by_webhook_id(shop.scope(), "person 2")
    assert kept is not None
    assert (kept.status, kept.failure) == ("failed", "DATA_DAMAGED")
    assert [(await shop.customer(number)).balance for number in (1, 2, 3)] == [10, 0, 10]
    assert set(alarms(logged)) == {("inbox", "profile", "person 2")}
    # What a backup gives back is booked when it is run again.
    await owner.execute("update inbox set profile = $1 where webhook_id = 'person 2'", whole)
    async with db.transaction(shop.scope()):
        await inbox.retry(shop.scope(), "person 2")
    await shop.work()
    assert (await shop.customer(2)).balance == 10


async def test_who_asks_is_told_of_all_the_rest_and_who_asks_to_be_forgotten_is(shop: Shop, owner: Connection) -> None:
    await shop.deliver("customers/create", account(7))
    await shop.work()
    await tamper(owner, shop, "customers", "profile")
    request = {"customer": {"id": 7}, "orders_requested": [], "data_request": {"id": 56}, "shop_id": 1}
    await shop.deliver("customers/data_request", request)
    await shop.work()
    [export] = await identity.exports(shop.scope(), 10, None)
    [told] = (await take(shop, export.id))["customers"]
    assert (told["profile"], told["shopify_id"]) == ({"damaged": True}, 7)
    await shop.deliver("customers/redact", {"shop_id": 1, "customer": {"id": 7}, "orders_to_redact": []})
    await shop.work()
    assert await traces(shop, owner, ("Guest@Example.com", "Gwen")) == set()
    assert await damage(shop) == []


async def test_an_export_that_does_not_open_is_refused_and_stays(shop: Shop, owner: Connection, logged: list[str]) -> None:
    async with db.transaction(shop.scope()):
        await identity.request_data(shop.scope(), 7, 55)
    await tamper(owner, shop, "customer_exports", "content")
    take_it = "mutation ($id: ID!) { customerExportTake(id: $id) { document userErrors { code field } } }"
    [waiting] = (await shop.data("query { customerExports(first: 5) { nodes { id isWaiting } } }"))["customerExports"]["nodes"]
    for _ in range(2):
        taken = (await shop.data(take_it, id=waiting["id"]))["customerExportTake"]
        assert taken == {"document": None, "userErrors": [{"code": "DATA_DAMAGED", "field": []}]}
    [one] = await identity.exports(shop.scope(), 5, None)
    assert one.is_waiting
    assert {(table, column) for table, column, _ in alarms(logged)} == {("customer_exports", "content")}


async def test_a_birthday_that_does_not_open_holds_up_nobody_and_waits(shop: Shop, owner: Connection) -> None:
    await shop.publish(rate(1, actions=Actions(birthday=BirthdayRule(200))))
    one, two = await shop.customer(), await shop.customer()
    for each in (one, two):
        async with db.transaction(shop.scope()):
            await actions.set_birthday(shop.scope(), customer_id=each.id, month=5, day=17, year=None)
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    whole = await owner.fetchval("select sealed from birthdays where customer_id = $1", one.id)
    await tamper(owner, shop, "birthdays", "sealed", f"customer_id = '{one.id}'")
    later = shop.scope(datetime(2026, 5, 18, tzinfo=UTC))
    for looked_at in (2, 0):
        async with db.transaction(later):
            assert await actions.give_birthdays(later, 10) == looked_at
    assert (await shop.balance(one.id), await shop.balance(two.id)) == ((0, 0), (200, 0))
    with pytest.raises(Damaged):
        async with db.transaction(later):
            await actions.set_birthday(later, customer_id=one.id, month=5, day=17, year=None)
    # Given back and set again, it is as if it had only been late.
    await owner.execute("update birthdays set sealed = $2 where customer_id = $1", one.id, whole)
    async with db.transaction(later):
        await actions.set_birthday(later, customer_id=one.id, month=5, day=17, year=None)
    async with db.transaction(later):
        assert await actions.give_birthdays(later, 10) == 1
    assert [claim.occurred_at for claim in await actions.page(later, 9, None, one.id, Kind.BIRTHDAY)] == [
        datetime(2026, 5, 17, tzinfo=UTC)
    ]
    assert await shop.balance(one.id) == (200, 0)


async def test_a_secret_that_does_not_open_proves_nothing(shop: Shop, owner: Connection, logged: list[str]) -> None:
    async with db.transaction(shop.scope()):
        await actions.set_source(shop.scope(), Provider.YOTPO, "a secret of the shop's own")
    await tamper(owner, shop, "review_sources", "secret")
    for proof in ("a secret of the shop's own", ""):
        refused = await shop.post(f"/webhooks/yotpo?shop={shop.merchant.shop_domain}&key={proof}", b"{}", {})
        assert (refused.status_code, refused.json()) == (401, {"status": "bad_signature"})
    assert set(alarms(logged)) == {("review_sources", "secret", "yotpo")}


@pytest.fixture
async def here(shop: Shop) -> AsyncGenerator[Beside, None]:
    async with beside(shop) as found:
        yield found


@pytest.mark.parametrize("column", ["access_token", "refresh_token"])
async def test_a_shop_whose_token_does_not_open_gives_another(here: Beside, owner: Connection, column: str) -> None:
    shop = here.shop
    now = datetime.now(UTC)
    await installations.install(shop.now(), Grant("a", now + timedelta(hours=1), "r", now + timedelta(days=9), "read_orders"))
    await tamper(owner, shop, "installations", column)
    with pytest.raises(NotInstalled):
        await token(shop.now(), here.shopify.http, shop.merchant.shop_domain)
    process = shop.application.state["process"]
    shop.application.state["process"] = type(process)(
        **{name: getattr(process, name) for name in process.__slots__} | {"shopify": here.shopify}
    )
    try:
        opened = await fetch(here, "POST", "/auth/session", authorization=f"Bearer {session_token(shop.merchant.shop_domain)}")
    finally:
        shop.application.state["process"] = process
    assert (opened.status_code, opened.json()) == (200, {"installed": True})
    assert (await token(shop.now(), here.shopify.http, shop.merchant.shop_domain)).access_token != "a"
    assert await damage(shop) == []


@pytest.mark.parametrize("purpose", [SEAL, SEARCH])
async def test_a_rotation_goes_around_what_does_not_open_and_keeps_its_key(shop: Shop, owner: Connection, purpose: str) -> None:
    await people(shop, 3)
    _, second, _ = await customers.page(shop.scope(), 3, None, None)
    await tamper(owner, shop, "customers", "profile", f"id = '{second.id}'")
    told: list[str] = []
    await rotation.begin(shop.scope(), purpose, AT_ONCE)
    for _ in range(2):
        assert await rotation.go_on(shop.scope(), purpose, AT_ONCE) is State.BLOCKED
    assert not await finish([shop.merchant.id], told.append, AT_ONCE)
    [said] = told
    assert said.startswith(f"The old keys of {shop.merchant.id} stay: not all that is sealed there opens.")
    assert await keys(shop, purpose) == [1, 2]
    assert len(await customers.page(shop.scope(), 5, None, "common")) == 3
    # A backup gives it back under the old key, and the rotation ends.
    await owner.execute("update customers set profile = $2 where id = $1", second.id, second.sealed_profile)
    assert await finish([shop.merchant.id], told.append, AT_ONCE)
    assert await keys(shop, purpose) == [2]
    assert len(await customers.page(shop.scope(), 5, None, "person2@example.com common")) == 1


async def test_a_key_that_does_not_open_leaves_points_as_they_are(shop: Shop, owner: Connection, logged: list[str]) -> None:
    await shop.publish(rate(1))
    await shop.deliver("orders/create", order(1, customer=7))
    await shop.work()
    await tamper(owner, shop, "data_keys", "wrapped", f"purpose = '{SEAL}'")
    keyring._rings.pop(shop.merchant.id)
    customer = await shop.customer(7)
    assert await shop.balance(customer.id) == (100, 0)
    # Shopify's deliveries would be lost by any other answer: it delivers them again.
    refused = await shop.webhook("orders/create", guest(2))
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (503, "DATA_DAMAGED")
    assert ("data_keys", "wrapped", "seal/1") in alarms(logged)
    assert not any("http.bug" in line for line in logged)
    assert "data_keys.wrapped" in await damage(shop)


async def test_the_previous_master_key_stays_for_what_does_not_open(shop: Shop, owner: Connection, logged: list[str]) -> None:
    await people(shop, 1)
    await tamper(owner, shop, "data_keys", "wrapped", f"purpose = '{SEARCH}'")
    someone = await person(shop)
    await owner.execute(f"update admins set totp_secret = {FLIPPED.format('totp_secret')} where id = $1", someone.admin_id)
    before, told = [os.environ["LOYALNEST_MASTER_KEY"]], list[str]()
    turn_master(before)
    try:
        assert not await rewrap_all([shop.merchant.id], told.append)
        assert told[1:] == ["2 do not open, so that the previous master key must stay. ./dev.sh verify says where they are."]
        assert ("data_keys", "wrapped", "search/1") in alarms(logged)
    finally:
        await owner.execute("delete from admins where id = $1", someone.admin_id)
        # Back under the key that the other tests' accounts are under.
        os.environ["LOYALNEST_MASTER_KEY_PREVIOUS"] = os.environ["LOYALNEST_MASTER_KEY"]
        os.environ["LOYALNEST_MASTER_KEY"] = before[0]
        settings.cache_clear()
        await rotation.rewrap_platform()
        os.environ.pop("LOYALNEST_MASTER_KEY_PREVIOUS")
        settings.cache_clear()


async def test_an_account_of_the_platform_that_does_not_open(shop: Shop, owner: Connection, logged: list[str]) -> None:
    chief, someone = await person(shop), await person(shop)
    at_work = (await chief.tokens())["token"]
    await owner.execute(f"update admins set totp_secret = {FLIPPED.format('totp_secret')} where id = $1", someone.admin_id)
    refused = await someone.sign_in()
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    await owner.execute(f"update admins set email = {FLIPPED.format('email')} where id = $1", someone.admin_id)
    gid = f"gid://loyalnest/Admin/{someone.admin_id}"
    listed = await chief.ask(at_work, "query { admins(first: 2) { nodes { id name email } } }")
    assert [(one["id"] == gid, one["email"] is None) for one in listed["data"]["admins"]["nodes"]] == [
        (True, True),
        (False, False),
    ]
    assert [error["extensions"]["code"] for error in listed["errors"]] == ["DATA_DAMAGED"]
    ended = "mutation ($id: ID!) { adminDisable(id: $id) { admin { disabledAt } userErrors { code } } }"
    done = (await chief.ask(at_work, ended, id=gid))["data"]["adminDisable"]
    assert (done["admin"]["disabledAt"] is not None, done["userErrors"]) == (True, [])
    assert set(alarms(logged)) == {("admins", name, str(someone.admin_id)) for name in ("totp_secret", "email")}
    await owner.execute("delete from admins where id = $1", someone.admin_id)


async def test_verify_names_each_value_and_says_how_many(
    shop: Shop, owner: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    await people(shop, 3)
    assert await tell(of_merchant(shop.scope())) == 0
    assert capsys.readouterr().out == "6 sealed values: each opens where it lies\n"
    one, two, _ = await customers.page(shop.scope(), 3, None, None)
    await tamper(owner, shop, "customers", "profile", f"id in ('{one.id}', '{two.id}')")
    assert await tell(of_merchant(shop.scope())) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"DAMAGED customers.profile of row {two.id} of merchant {shop.merchant.id}",
        f"DAMAGED customers.profile of row {one.id} of merchant {shop.merchant.id}",
        "2 of 6 sealed values do not open: they were changed or moved, or their key was",
    ]


async def test_every_sealed_column_is_looked_at(shop: Shop) -> None:
    async with db.connection(shop.scope()):
        pass
    assert {place.name for place in await everything(shop)} == {"data_keys.wrapped"}
    await people(shop, 1)
    await shop.deliver("orders/create", guest(1))
    async with db.transaction(shop.scope()):
        await identity.request_data(shop.scope(), 7, 55)
        await actions.set_birthday(
            shop.scope(), customer_id=(await customers.page(shop.scope(), 1, None, None))[0].id, month=5, day=1, year=None
        )
        await actions.set_source(shop.scope(), Provider.YOTPO, "a secret of 16 letters")
    await installations.install(shop.scope(), Grant("access", NOON, "refresh", NOON, "read_orders"))
    assert {place.name for place in await everything(shop)} == {"data_keys.wrapped", *(one.name for one in SEALED)}
    assert await damage(shop) == []
