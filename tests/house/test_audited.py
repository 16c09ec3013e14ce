"""Every command of staff, partners and our own people leaves one entry in the audit when it changes something, and else none.

The calls are those of the tenancy probe, so that a new command is held to it as soon as it stands there.
"""

import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from domain.access import STAFF_GRANTS, Permission, StaffRole
from domain.scope import Door
from tests.house.calls import Thing, with_ids, without_ids
from tests.house.full_shop import Full, fill
from tests.house.selection import CORE
from tests.house.test_catalog import TENANT_TABLES, contents
from tests.house.test_permissions import Kind, ask, opened
from tests.house.test_tenancy_probe import cursors
from tests.rewards import offer, rich
from tests.shop import open_shop

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
    # Neither of the shops is a sandbox: tests/schema/test_merchants.py.
    "sandboxClockAdvance",
    # A shop is joined by another one's invitation: tests/schema/test_merchants.py.
    "storeJoin",
    "storeRemove",
    # A coupon cannot be taken back: below.
    "redemptionCancel",
    # A follow is a customer's own.
    "socialFollowClaim",
    # The platform's: tests/api/test_admin_accounts.py.
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
