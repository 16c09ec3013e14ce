"""Keys turn while everything runs: nothing becomes unreadable, nothing is lost, and in the end all is under the new key."""

import asyncio
import base64
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain import actions, customers, db, installations, keyring, master, rotation
from domain.actions import Kind, Provider, Told
from domain.customers import CustomerSnapshot, Profile
from domain.damage import Damaged
from domain.db import Connection
from domain.installations import Grant
from domain.keyring import SEAL, SEARCH
from domain.rotation import State
from domain.seal import NONCE_BYTES, OLD_VERSION, seal, unseal
from domain.sealed import SEALED
from domain.settings import settings
from tests.api.admin import person
from tests.shop import NOON, Shop

AT_ONCE = timedelta(0)


async def people(shop: Shop, count: int, first: int = 1) -> None:
    """Customers, each with a profile and a name of their own."""
    arrivals = [
        (CustomerSnapshot(number, NOON, NOON), Profile(f"person{number}@example.com", f"Name{number}", "Common"))
        for number in range(first, first + count)
    ]
    async with db.transaction(shop.scope()):
        await customers.arrive(shop.scope(), arrivals)


async def profiles(owner: Connection, shop: Shop) -> list[bytes]:
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    rows = await owner.fetch("select profile from customers where profile is not null order by id")
    return [bytes(row["profile"]) for row in rows]


async def keys(shop: Shop, purpose: str) -> list[int]:
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch(
            "select id from data_keys where merchant_id = $1 and purpose = $2 order by id", shop.merchant.id, purpose
        )
    return [row["id"] for row in rows]


async def test_a_data_key_turns(shop: Shop, owner: Connection) -> None:
    await people(shop, 5)
    before = await profiles(owner, shop)
    assert {one[:3] for one in before} == {b"\x02\x00\x01"}
    await rotation.begin(shop.scope(), SEAL, AT_ONCE)
    await rotation.begin(shop.scope(), SEAL, AT_ONCE)
    assert await keys(shop, SEAL) == [1, 2]
    assert await rotation.go_on(shop.scope(), SEAL, AT_ONCE) is State.DONE
    assert await rotation.go_on(shop.scope(), SEAL, AT_ONCE) is State.DONE
    assert await keys(shop, SEAL) == [2]
    after = await profiles(owner, shop)
    assert {one[:3] for one in after} == {b"\x02\x00\x02"}
    assert not set(before) & set(after)
    found = await customers.page(shop.scope(), 10, None, "person3@example.com")
    assert [one.profile().first_name for one in found] == ["Name3"]


async def test_a_key_waits_until_everybody_knows_it(shop: Shop, owner: Connection) -> None:
    await people(shop, 2)
    await rotation.begin(shop.scope(), SEAL)
    assert await rotation.go_on(shop.scope(), SEAL) is State.WAITING
    await people(shop, 1, first=10)
    assert {one[:3] for one in await profiles(owner, shop)} == {b"\x02\x00\x01"}
    await owner.execute("update data_keys set active_from = now() where id = 2")
    keyring.forget(shop.merchant.id)
    await people(shop, 1, first=20)
    # It is written with now, and the old one may still be: nothing is rewritten yet.
    assert {one[:3] for one in await profiles(owner, shop)} == {b"\x02\x00\x01", b"\x02\x00\x02"}
    assert await rotation.go_on(shop.scope(), SEAL) is State.WAITING
    await owner.execute("update data_keys set active_from = now() - $1::interval where id = 2", rotation.GRACE)
    assert await rotation.go_on(shop.scope(), SEAL) is State.DONE
    assert {one[:3] for one in await profiles(owner, shop)} == {b"\x02\x00\x02"}


async def test_the_search_key_turns_and_everybody_stays_findable(shop: Shop) -> None:
    await people(shop, 3)
    await rotation.begin(shop.scope(), SEARCH, AT_ONCE)
    # Half way: some under the old key, some under the new one.
    await people(shop, 3, first=4)
    assert len(await customers.page(shop.scope(), 10, None, "common")) == 6
    assert await rotation.go_on(shop.scope(), SEARCH, AT_ONCE) is State.DONE
    assert await keys(shop, SEARCH) == [2]
    assert len(await customers.page(shop.scope(), 10, None, "common")) == 6
    assert len(await customers.page(shop.scope(), 10, None, "common person5@example.com")) == 1
    assert await customers.page(shop.scope(), 10, None, "nobody") == []


async def test_all_keys_turn_under_load_without_a_failed_read(shop: Shop, previous_master: list[str]) -> None:
    await people(shop, 40)
    stop = asyncio.Event()
    rounds = {1: 0, 20: 0, 40: 0, 1_000: 0}
    moved = asyncio.Condition()

    async def came_round(number: int) -> None:
        async with moved:
            rounds[number] += 1
            moved.notify_all()

    def came(wanted: dict[int, int]) -> bool:
        return any(task.done() for task in tasks) or all(rounds[number] >= count for number, count in wanted.items())

    async def grace() -> None:
        """What time is in production: whoever was at work with the old keys has finished, and then has read the new ones."""
        for _ in range(2):
            wanted = {number: count + 2 for number, count in rounds.items()}
            async with moved:
                await moved.wait_for(partial(came, wanted))
            keyring.forget(shop.merchant.id)

    async def read(number: int) -> None:
        while not stop.is_set():
            [found] = await customers.page(shop.scope(), 5, None, f"person{number}@example.com")
            assert found.profile().first_name == f"Name{number}"
            await came_round(number)

    async def write() -> None:
        number = 1_000
        while not stop.is_set():
            await people(shop, 1, first=number)
            [found] = await customers.page(shop.scope(), 5, None, f"person{number}@example.com")
            assert found.profile().last_name == "Common"
            number += 1
            await came_round(1_000)

    tasks = [asyncio.create_task(read(number)) for number in (1, 20, 40)] + [asyncio.create_task(write())]
    try:
        for turn in range(3):
            for purpose in (SEAL, SEARCH):
                await rotation.begin(shop.scope(), purpose, AT_ONCE)
                await grace()
                assert await rotation.go_on(shop.scope(), purpose, AT_ONCE) is State.DONE
            turn_master(previous_master)
            assert await rotation.rewrap(shop.scope()) == (3, 0), turn
            await asyncio.sleep(0)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    assert (await keys(shop, SEAL), await keys(shop, SEARCH)) == ([4], [4])
    assert min(rounds.values()) > 10


@pytest.fixture
def previous_master(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The master keys that were; put back at the end."""
    kept = os.environ["LOYALNEST_MASTER_KEY"]
    yield [kept]
    os.environ["LOYALNEST_MASTER_KEY"] = kept
    os.environ.pop("LOYALNEST_MASTER_KEY_PREVIOUS", None)
    settings.cache_clear()
    # What was wrapped by a master key of this test alone opens for nobody any more, and is nobody's.
    monkeypatch.undo()


def turn_master(previous: list[str]) -> None:
    """A new master key, with the present one beside it."""
    previous.append(os.environ["LOYALNEST_MASTER_KEY"])
    os.environ["LOYALNEST_MASTER_KEY_PREVIOUS"] = os.environ["LOYALNEST_MASTER_KEY"]
    os.environ["LOYALNEST_MASTER_KEY"] = base64.b64encode(os.urandom(32)).decode()
    settings.cache_clear()


async def test_the_master_key_turns(shop: Shop, owner: Connection, previous_master: list[str]) -> None:
    await people(shop, 2)
    turn_master(previous_master)
    keyring.forget(shop.merchant.id)
    keyring._plain.clear()
    assert len(await customers.page(shop.scope(), 10, None, "common")) == 2
    assert await rotation.rewrap(shop.scope()) == (3, 0)
    assert await rotation.rewrap(shop.scope()) == (0, 0)
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    named = await owner.fetch("select distinct master from data_keys where merchant_id = $1", shop.merchant.id)
    assert [row["master"] for row in named] == [master.current_id()]
    # The previous one can go.
    os.environ.pop("LOYALNEST_MASTER_KEY_PREVIOUS")
    settings.cache_clear()
    keyring.forget(shop.merchant.id)
    keyring._plain.clear()
    [found] = await customers.page(shop.scope(), 10, None, "person1@example.com")
    assert found.profile().first_name == "Name1"


async def test_the_platforms_secrets_turn_too(shop: Shop, previous_master: list[str]) -> None:
    someone = await person(shop)
    turn_master(previous_master)
    assert (await someone.sign_in()).status_code == 200
    assert (await rotation.rewrap_platform()).rewritten >= 1
    assert await rotation.rewrap_platform() == (0, 0)
    os.environ.pop("LOYALNEST_MASTER_KEY_PREVIOUS")
    settings.cache_clear()
    assert (await someone.sign_in()).status_code == 200
    # Back under the key that the other tests' accounts are under.
    os.environ["LOYALNEST_MASTER_KEY_PREVIOUS"] = os.environ["LOYALNEST_MASTER_KEY"]
    os.environ["LOYALNEST_MASTER_KEY"] = previous_master[0]
    settings.cache_clear()
    assert (await rotation.rewrap_platform()).rewritten >= 1


async def test_a_missing_master_key_is_named(previous_master: list[str]) -> None:
    wrapped = await master.wrap(b"secret", "here")
    turn_master(previous_master)
    turn_master(previous_master)
    with pytest.raises(master.UnknownMasterKey, match=master.id_of(wrapped)):
        await master.unwrap(wrapped, "here")


async def test_what_is_moved_or_changed_does_not_open(shop: Shop, other_shop: Shop) -> None:
    for one in (shop, other_shop):
        async with db.connection(one.scope()):
            pass
    own, other = shop.merchant.id, other_shop.merchant.id
    sealed = seal(own, "customers.profile", "1", b"secret")
    assert unseal(own, "customers.profile", "1", sealed) == b"secret"
    for merchant_id, column, row in (
        (other, "customers.profile", "1"),
        (own, "inbox.profile", "1"),
        (own, "customers.email", "1"),
        (own, "customers.profile", "2"),
    ):
        with pytest.raises(Damaged):
            unseal(merchant_id, column, row, sealed)
    for bit in range(8 * len(sealed)):
        flipped = sealed[: bit // 8] + bytes([sealed[bit // 8] ^ (1 << bit % 8)]) + sealed[bit // 8 + 1 :]
        with pytest.raises(Damaged):
            unseal(own, "customers.profile", "1", flipped)
    for length in range(len(sealed)):
        with pytest.raises(Damaged):
            unseal(own, "customers.profile", "1", sealed[:length])
    wrapped = await master.wrap(b"secret", "here")
    with pytest.raises(InvalidTag):
        await master.unwrap(wrapped, "there")
    for bit in range(8 * len(wrapped)):
        flipped = wrapped[: bit // 8] + bytes([wrapped[bit // 8] ^ (1 << bit % 8)]) + wrapped[bit // 8 + 1 :]
        with pytest.raises(master.UNOPENED):
            await master.unwrap(flipped, "here")
    for length in range(len(wrapped)):
        with pytest.raises(master.UNOPENED):
            await master.unwrap(wrapped[:length], "here")


async def test_what_the_first_version_sealed_still_opens_and_turns(shop: Shop, owner: Connection) -> None:
    """A shop from before the data keys: values and terms under keys derived from the master key."""
    await people(shop, 1)
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    await owner.execute("delete from data_keys where merchant_id = $1", shop.merchant.id)
    row = await owner.fetchrow("select id from customers where merchant_id = $1", shop.merchant.id)
    nonce, plain = os.urandom(NONCE_BYTES), msgspec.json.encode(Profile("old@example.com", "Old", "Common"))
    associated = f"{shop.merchant.id}|customers|{row['id']}".encode()
    old = OLD_VERSION + nonce + AESGCM(keyring.derived(shop.merchant.id, SEAL)).encrypt(nonce, plain, associated)
    await owner.execute("update customers set profile = $2 where merchant_id = $1", shop.merchant.id, old)
    keyring.forget(shop.merchant.id)
    found = await customers.by_id(shop.scope(), row["id"])
    assert found is not None
    assert found.profile().first_name == "Old"
    assert await customers.reindex(shop.scope(), 10) == (1, 0)
    assert len(await customers.page(shop.scope(), 5, None, "old@example.com")) == 1
    await rotation.begin(shop.scope(), SEAL, AT_ONCE)
    assert await rotation.go_on(shop.scope(), SEAL, AT_ONCE) is State.DONE
    assert {one[:3] for one in await profiles(owner, shop)} == {b"\x02\x00\x02"}
    again = await customers.by_id(shop.scope(), row["id"])
    assert again is not None
    assert again.profile().first_name == "Old"


async def test_two_processes_make_one_first_key(shop: Shop) -> None:
    async def first() -> Any:
        async with db.connection(shop.scope()) as connection:
            keyring.forget(shop.merchant.id)
            await keyring.load(connection, shop.merchant.id)
            return keyring.active(shop.merchant.id, SEAL)

    found = await asyncio.gather(*(first() for _ in range(8)))
    assert len(set(found)) == 1


async def test_what_other_features_seal_turns_too(shop: Shop, owner: Connection) -> None:
    """A birthday, the secret of a provider of reviews, and the tokens of an installation; and a review still finds its writer."""
    await people(shop, 1)
    scope, secret = shop.scope(), "a secret of 16 letters"
    [customer] = await customers.page(scope, 1, None, None)
    told = Told("1", "Person9@example.com", published=True, written_at=NOON, updated_at=NOON)
    async with db.transaction(scope):
        await actions.set_birthday(scope, customer_id=customer.id, month=2, day=29, year=1996)
        await actions.set_source(scope, Provider.YOTPO, secret)
        await actions.tell(scope, Provider.YOTPO, told)
    await installations.install(scope, Grant("access", NOON, "refresh", NOON, "read_orders"))
    for purpose in (SEAL, SEARCH):
        await rotation.begin(scope, purpose, AT_ONCE)
        assert await rotation.go_on(scope, purpose, AT_ONCE) is State.DONE
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    for one in SEALED:
        written = f"select {one.column} from {one.table} where merchant_id = $1 and {one.column} is not null"
        found = {bytes(row[0])[:3] for row in await owner.fetch(written, shop.merchant.id)}
        assert found == (set() if one.table in ("inbox", "customer_exports") else {b"\x02\x00\x02"}), one
    birthday = await actions.birthday(scope, customer.id)
    assert birthday is not None
    assert (birthday.month, birthday.day, birthday.year) == (2, 29, 1996)
    assert await actions.proves(scope, Provider.YOTPO, b"", secret)
    installed = await installations.current(scope)
    assert installed is not None
    assert (installed.access_token, installed.refresh_token) == ("access", "refresh")
    # Who wrote the review becomes known only now: the hash of their address is not of the key that turned.
    await people(shop, 1, first=9)
    async with db.transaction(scope):
        await actions.settle_reviews(scope, 10)
    [writer] = await customers.page(scope, 1, None, "person9@example.com")
    assert [one.customer_id for one in await actions.page(scope, 10, None, None, Kind.REVIEW)] == [writer.id]


async def test_every_sealed_column_is_turned(owner: Connection) -> None:
    """A column of bytes in a tenant's table holds something sealed, or is named here with what else it holds."""
    rows = await owner.fetch(
        """
        select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
            and a.atttypid = 'bytea'::regtype and not a.attisdropped and exists (
                select from pg_attribute m where m.attrelid = c.oid and m.attname = 'merchant_id'
            )
        """
    )
    hashes = {
        "api_keys.key_hash",
        "customer_terms.term",
        "customers.email_term",
        "data_keys.wrapped",
        "idempotency_keys.input_hash",
        "orders.email_term",
        "points_accounts.last_hash",
        "points_transactions.digest",
        "points_transactions.hash",
        "reviews.email_term",
    }
    assert {f"{row['relname']}.{row['attname']}" for row in rows} - hashes == {f"{one.table}.{one.column}" for one in SEALED}
