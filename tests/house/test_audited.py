"""Every command of staff, partners and our own people leaves one entry in the audit when it changes something, and else none.

The calls are those of the tenancy probe, so that a new command is held to it as soon as it stands there.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from domain.access import STAFF_GRANTS, AdminRole, Permission, StaffRole
from domain.scope import Door
from tests.api.admin import person
from tests.house.calls import Thing, with_ids, without_ids
from tests.house.full_shop import Full, fill
from tests.house.selection import CORE
from tests.house.test_catalog import TENANT_TABLES, contents
from tests.house.test_permissions import Kind, ask, opened
from tests.house.test_tenancy_probe import cursors
from tests.rewards import offer, rich
from tests.shop import Shop, open_shop

Connection = asyncpg.Connection  # type: ignore[type-arg]

CALLERS = {
    Door.STAFF: Kind(Door.STAFF, StaffRole.OWNER.value, STAFF_GRANTS[StaffRole.OWNER]),
    Door.PARTNER: Kind(Door.PARTNER, "scope write", frozenset({Permission.WRITE})),
    Door.ADMIN: Kind(Door.ADMIN, "full", frozenset(Permission)),
}
STRANGER = Kind(Door.PARTNER, "", frozenset())
BESIDES = frozenset({"audit_entries", "idempotency_keys", "outbox", "data_keys"})
"""What tells of a change, and is none."""
MUTE = {"review_source.set", "customer.export_taken"}
"""What was before and after these is a secret, or a person."""
LAST = {"webhookDeliveryRetry", "staffRoleRemove", "apiKeyRotate", "apiKeyRevoke", "programDraftDiscard"}
"""What takes something away, or is done with it for others, comes last, so that the others still find it."""
SHARED = frozenset({"api_keys", "stores", "store_invitations"})
"""They are no tenant's tables, and yet their rows are a merchant's."""
assert CORE.mutation_type is not None
COMMANDS = CORE.mutation_type.fields
CHECKED_ELSEWHERE = {
    # Neither of the shops is a sandbox, and a shop is joined by another one's invitation: below.
    *("sandboxClockAdvance", "storeJoin", "storeRemove"),
    # A coupon cannot be taken back: below.
    "redemptionCancel",
    # A follow is a customer's own.
    "socialFollowClaim",
    # The platform's: below.
    *("adminCreate", "adminUpdate", "adminDisable", "adminReset", "adminPasswordChange"),
}


async def rows(owner: Connection, full: Full) -> dict[str, list[str]]:
    """What a command may change."""
    return {table: await contents(owner, table, full.shop.merchant.id) for table in sorted((TENANT_TABLES | SHARED) - BESIDES)}


async def audited(owner: Connection, full: Full) -> list[dict[str, Any]]:
    """The merchant's audit."""
    return [json.loads(row) for row in await contents(owner, "audit_entries", full.shop.merchant.id)]


def calls(full: Full, places: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Every command of the probe with the shop's own things, each as often as there are sets of arguments."""
    thing = Thing.of(full, places)
    found = [
        (name, arguments)
        for each in (with_ids(thing), without_ids(thing, thing))
        for name, sets in each.items()
        for arguments in sets
        if name in COMMANDS
    ]
    return sorted(found, key=lambda one: one[0] in LAST)


@pytest.mark.parametrize("door", CALLERS)
async def test_a_change_is_one_entry_and_a_refusal_is_none(application: object, owner: Connection, door: Door) -> None:
    kind = CALLERS[door]
    full = await fill(await open_shop(application), "linden")
    wrong: list[tuple[str, int, list[str]]] = []
    changing: set[str] = set()
    for name, arguments in calls(full, await cursors(full)):
        # Each at an instant of its own, so that whatever is done anew shows it.
        full.shop.at += timedelta(minutes=1)
        before, entries = await rows(owner, full), await audited(owner, full)
        result = await ask(full, kind, name, arguments)
        after, news = await rows(owner, full), await audited(owner, full)
        fresh = [entry for entry in news if entry not in entries]
        changed = [table for table in after if after[table] != before[table]]
        # A field of the answer may be closed to who was let in to the command.
        answer = (result.data or {}).get(name)
        refused = answer is None or bool(answer["userErrors"])
        assert not (refused and changed), (name, changed)
        if changed:
            changing.add(name)
        silent = [entry for entry in fresh if entry["before"] is None and entry["after"] is None and entry["action"] not in MUTE]
        if len(fresh) != bool(changed) or silent or any(not entry["actor"].startswith(door.value) for entry in fresh):
            wrong.append((name, len(fresh), changed))
    assert wrong == []
    open_here = {name for name, field in COMMANDS.items() if opened(field, kind)}
    assert open_here - changing - CHECKED_ELSEWHERE == set()


async def test_what_is_taken_back_tells_what_it_was(application: object, owner: Connection) -> None:
    full = await fill(await open_shop(application), "walnut")
    customer, reward = await rich(full.shop), await offer(full.shop)
    given = {"rewardId": f"gid://loyalnest/Reward/{reward.id}", "customerId": f"gid://loyalnest/Customer/{customer.id}"}
    entries = await audited(owner, full)
    taken = await ask(full, CALLERS[Door.STAFF], "rewardRedeem", given | {"idempotencyKey": "take"})
    identifier = taken.data["rewardRedeem"]["redemption"]["id"]
    for _ in range(2):
        await ask(full, CALLERS[Door.STAFF], "redemptionCancel", {"id": identifier})
    news = [entry for entry in await audited(owner, full) if entry not in entries]
    told = {entry["action"]: (entry["subject"], entry["before"], entry["after"]) for entry in news}
    after = {"customerId": str(customer.id), "rewardId": str(reward.id), "points": 500}
    assert told == {
        "reward.redeemed": (identifier, None, after),
        "redemption.cancelled": (identifier, {"status": "held"}, None),
    }
    assert len(news) == 2


async def test_who_is_kept_out_leaves_nothing(application: object, owner: Connection) -> None:
    full = await fill(await open_shop(application), "poplar")
    entries = await audited(owner, full)
    tried = 0
    for name, arguments in calls(full, await cursors(full)):
        result = await ask(full, STRANGER, name, arguments)
        assert [error.extensions["code"] for error in result.errors] == ["FORBIDDEN"], name
        tried += 1
    assert tried > 20
    assert await audited(owner, full) == entries


async def told(owner: Connection, shop: Shop) -> list[tuple[Any, ...]]:
    """What the merchant's audit tells, oldest first."""
    rows = [json.loads(row) for row in await contents(owner, "audit_entries", shop.merchant.id)]
    return [(row["action"], row["before"], row["after"]) for row in sorted(rows, key=lambda row: row["id"])]


async def test_a_clock_that_is_moved_tells_from_when_to_when(application: object, owner: Connection) -> None:
    sandbox = await open_shop(application, sandbox=True)
    advance = "mutation ($until: DateTime) { sandboxClockAdvance(until: $until) { merchant { now } userErrors { code } } }"
    entries: list[tuple[Any, ...]] = []
    for year in (2030, 2031):
        until = f"{year}-01-01T00:00:00Z"
        for expected in ([], [{"code": "CLOCK_BACKWARDS"}]):
            moved = await sandbox.data(advance, until=until)
            assert moved["sandboxClockAdvance"]["userErrors"] == expected
        *before, (action, was, became) = await told(owner, sandbox)
        assert before == entries
        assert (action, became) == ("sandbox_clock.advanced", {"now": until})
        # The clock goes on between the two calls, however fast they are.
        assert datetime.fromisoformat(was["now"]).year in {datetime.now(UTC).year, year - 1}
        entries = [*before, (action, was, became)]
    assert len(entries) == 2


async def test_a_shop_that_joins_and_leaves_is_told_by_whoever_did_it(application: object, owner: Connection) -> None:
    home, outlet = await open_shop(application), await open_shop(application)
    call = "mutation ($shop: String!) { %s(shopDomain: $shop) { userErrors { code } } }"

    async def run(shop: Shop, name: str, other: Shop) -> list[Any]:
        codes = (await shop.data(call % name, shop=other.merchant.shop_domain))[name]["userErrors"]
        return [one["code"] for one in codes]

    here, there = home.merchant.shop_domain, outlet.merchant.shop_domain
    assert await run(outlet, "storeJoin", home) == ["NOT_FOUND"]
    assert await run(home, "storeRemove", outlet) == ["NOT_FOUND"]
    assert await told(owner, home) == await told(owner, outlet) == []
    for name, shop, other in (("storeInvite", home, outlet), ("storeJoin", outlet, home)):
        for _ in range(2):
            assert await run(shop, name, other) == []
    assert await told(owner, home) == [("store.invited", None, {"shop_domain": there})]
    assert await told(owner, outlet) == [("store.joined", None, {"joined": here})]
    assert await run(home, "storeRemove", outlet) == []
    assert await run(home, "storeRemove", outlet) == ["NOT_FOUND"]
    assert (await told(owner, home))[1:] == [("store.removed", {"shop_domain": there, "joined": True}, None)]
    assert await told(owner, outlet) == [("store.joined", None, {"joined": here})]


async def test_what_the_platforms_people_do_to_each_other_is_told(shop: Shop, owner: Connection) -> None:
    boss, someone = await person(shop), await person(shop, AdminRole.SUPPORT)
    token, subject = (await boss.tokens())["token"], f"gid://loyalnest/Admin/{someone.admin_id}"

    async def entries() -> list[tuple[Any, ...]]:
        rows = await owner.fetch("select * from platform_audit_entries where subject = $1 order by id", subject)
        assert {row["actor"] for row in rows[1:]} <= {f"admin:{boss.admin_id}", f"admin:{someone.admin_id}"}
        return [(row["action"], *(row[side] and json.loads(row[side]) for side in ("before", "after"))) for row in rows]

    async def run(given: str, *, by: str = token) -> list[str]:
        answer = await boss.ask(by, f"mutation ($id: ID!) {{ {given} {{ userErrors {{ code }} }} }}", id=subject)
        return [one["code"] for one in answer["data"][given.partition("(")[0]]["userErrors"]]

    was, became = {"role": "support", "networks": []}, {"role": "points", "networks": ["127.0.0.0/8"]}
    expected = [("admin.created", None, was)]
    assert await entries() == expected
    for change in ('adminUpdate(id: $id, role: POINTS, networks: ["127.0.0.0/8"])', "adminUpdate(id: $id)"):
        # Done once, it is no change the second time.
        assert [await run(change), await run(change)] == [[], []]
    assert await run('adminUpdate(id: $id, networks: ["nowhere"])') == ["BAD_INPUT"]
    expected.append(("admin.updated", was, became))
    assert await entries() == expected
    assert await run("adminReset(id: $id)") == []
    expected.append(("admin.reset", None, None))
    assert [await run("adminDisable(id: $id)"), await run("adminDisable(id: $id)")] == [[], []]
    expected.append(("admin.disabled", became, None))
    assert await entries() == expected


async def test_a_password_that_is_changed_is_told_without_it(shop: Shop, owner: Connection) -> None:
    someone = await person(shop)
    token = (await someone.tokens())["token"]
    change = """mutation ($current: String!, $password: String!) {
        adminPasswordChange(current: $current, password: $password) { userErrors { code } }
    }"""
    for current, code in (("wrong", ["NOT_FOUND"]), (someone.password, [])):
        answer = await someone.ask(token, change, current=current, password="long enough and new")
        assert [one["code"] for one in answer["data"]["adminPasswordChange"]["userErrors"]] == code
    rows = await owner.fetch("select * from platform_audit_entries where actor = $1 order by id", f"admin:{someone.admin_id}")
    assert [row["action"] for row in rows] == ["admin.signed_in", "admin.password_changed"]
    assert "long enough" not in repr(rows)
    assert (rows[1]["before"], rows[1]["after"]) == (None, None)
