"""Every door of shop A, tried with everything of shop B: the answer is that of an id which does not exist.

The calls stand in tests/house/calls.py, by root field. A new root field, argument or node type fails until its calls do.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from graphql import GraphQLObjectType, get_named_type

from domain import programs
from domain.access import Permission
from domain.scope import Actor, Door
from schema.context import Context
from schema.doorbell import Doorbell
from schema.identifiers import type_of
from schema.root import schema
from tests.house.calls import LISTS, NODES, PLATFORM, Thing, with_ids, without_ids
from tests.house.full_shop import Full, fill
from tests.house.selection import CORE, selection
from tests.house.test_catalog import TENANT_TABLES, contents
from tests.shop import open_shop

_REQUEST_ID = re.compile(r'"requestId":\s*"[^"]*"')


def document(name: str, arguments: dict[str, Any], depth: int = 4) -> str:
    """The operation that calls one root field with these arguments and asks for everything."""
    kind, field = next(
        (kind, root.fields[name])
        for kind, root in (("query", CORE.query_type), ("mutation", CORE.mutation_type), ("subscription", CORE.subscription_type))
        if isinstance(root, GraphQLObjectType) and name in root.fields
    )
    declared = ", ".join(f"$v_{key}: {field.args[key].type}" for key in arguments)
    passed = ", ".join(f"{key}: $v_{key}" for key in arguments)
    head = f"{kind} ({declared})" if declared else kind
    call = f"{name}({passed})" if passed else name
    only = type_of(str(arguments.get("id", "")))
    return f"{head} {{ {call} {selection(get_named_type(field.type), depth, only)} }}"


@dataclass(frozen=True)
class Probe:
    """The two shops, and who asks."""

    own: Full
    foreign: Full
    tokens: dict[Door, str]
    own_things: Thing
    foreign_things: Thing

    async def ask(self, door: Door, name: str, arguments: dict[str, Any]) -> str:
        """An answer as text, without its request id."""
        operation = document(name, arguments)
        variables = {f"v_{key}": value for key, value in arguments.items()}
        if operation.startswith("subscription"):
            return await self.listen(door, operation, variables)
        answer = await self.own.shop.ask(operation, token=self.tokens[door], **variables)
        return _REQUEST_ID.sub("", json.dumps(answer))

    async def listen(self, door: Door, operation: str, variables: dict[str, Any]) -> str:
        """The first message of a subscription."""
        customer_id = self.own.customer_id if door is Door.CUSTOMER else None
        actor = Actor(door, "probe")
        scope = self.own.shop.scope()
        context = Context(
            type(scope)(scope.merchant_id, actor, scope.at, "r"), Doorbell(), lambda _: None, customer_id, frozenset(Permission)
        )
        stream: Any = await schema.subscribe(operation, variable_values=variables, context_value=context)
        if not hasattr(stream, "__aiter__"):
            return _REQUEST_ID.sub("", json.dumps({"data": stream.data, "errors": [one.formatted for one in stream.errors]}))
        first = await anext(stream)
        await stream.aclose()
        errors = [one.formatted for one in first.errors or []]
        return _REQUEST_ID.sub("", json.dumps({"data": first.data, "errors": errors}))


async def cursors(full: Full) -> dict[str, str]:
    """A real cursor of each list."""
    found: dict[str, str] = {}
    for name in LISTS:
        data = await full.shop.data(f"{{ {name}(first: 1) {{ pageInfo {{ endCursor }} }} }}")
        found[name] = data[name]["pageInfo"]["endCursor"]
    return found


@pytest.fixture
async def probe(application: object) -> Probe:
    """Shop A, with a program version less than shop B, and its three kinds of callers."""
    own = await fill(await open_shop(application), "alder")
    foreign = await fill(await open_shop(application), "beech", versions=3)
    tokens = {
        Door.STAFF: own.shop.staff_token(),
        Door.CUSTOMER: own.shop.customer_token(own.customer_id),
        Door.PARTNER: await own.shop.partner_key(),
    }
    own_things = Thing.of(own, await cursors(own))
    return Probe(own, foreign, tokens, own_things, Thing.of(foreign, await cursors(foreign)))


OWN_ACCOUNT = ("customer", "balanceUpdated", "pointsBalance", "customerActivity")
DOORS = (Door.STAFF, Door.CUSTOMER, Door.PARTNER)
PARTNERS_OWN = {"eventRecord", "pointsSync"}
NOT_STAFFS = {*PARTNERS_OWN, "socialFollowClaim"}
EMPTY = Thing(*[""] * 12, dict.fromkeys(LISTS, ""), *[""] * 4)


def test_every_root_field_and_argument_is_probed() -> None:
    probed: dict[str, set[str]] = {}
    for calls in (with_ids(EMPTY), without_ids(EMPTY, EMPTY), PLATFORM):
        for name, argument_sets in calls.items():
            probed.setdefault(name, set()).update(*argument_sets)
    in_schema = {
        name: set(field.args)
        for root in (CORE.query_type, CORE.mutation_type, CORE.subscription_type)
        if root is not None
        for name, field in root.fields.items()
    }
    assert probed == in_schema


def test_every_type_with_a_global_id_is_probed() -> None:
    node = CORE.type_map["Node"]
    assert {one.name for one in CORE.get_possible_types(node)} == set(NODES) == set(EMPTY.nodes())  # type: ignore[arg-type]


def test_every_argument_that_names_a_thing_is_probed_with_a_foreign_one() -> None:
    """An argument of type ID, wherever it stands, is one of these: whoever adds one adds its foreign call."""
    naming = set()
    for root in (CORE.query_type, CORE.mutation_type, CORE.subscription_type):
        assert root is not None
        for name, field in root.fields.items():
            naming |= {f"{name}({key})" for key, one in field.args.items() if get_named_type(one.type).name == "ID"}
    assert naming == {
        "actionClaims(customerId)",
        "adminDisable(id)",
        "adminReset(id)",
        "adminUpdate(id)",
        "apiKeyRevoke(id)",
        "apiKeyRotate(id)",
        "balanceUpdated(customerId)",
        "customerActivity(customerId)",
        "customerBirthday(customerId)",
        "customerBirthdaySet(customerId)",
        "customer(id)",
        "customer(shopifyId)",
        "customerExportTake(id)",
        "customerMergeUndo(id)",
        "customerSegmentsSet(customerId)",
        "customerTierSet(customerId)",
        "node(id)",
        "order(shopifyId)",
        "pointsAdjust(customerId)",
        "pointsBalance(customerId)",
        "pointsReserve(customerId)",
        "redemptionCancel(id)",
        "redemptionUpdated(id)",
        "redemptions(customerId)",
        "reservationRelease(id)",
        "rewardCouponsAdd(rewardId)",
        "rewardRedeem(customerId)",
        "rewardRedeem(rewardId)",
        "rewardUpdate(id)",
        "rewards(customerId)",
        "webhookDeliveryRetry(id)",
    }
    called = {f"{name}({key})" for name, sets in (with_ids(EMPTY) | PLATFORM).items() for one in sets for key in one}
    assert naming <= called


@pytest.mark.parametrize("door", DOORS)
async def test_what_is_foreign_is_not_there(probe: Probe, owner: "asyncpg.Connection[asyncpg.Record]", door: Door) -> None:
    before = await everything(owner, probe.foreign)
    own_before = await everything(owner, probe.own)
    nowhere = Thing.nowhere({})
    foreign_calls, absent_calls = with_ids(probe.foreign_things), with_ids(nowhere)
    for name, argument_sets in foreign_calls.items():
        for foreign, absent in zip(argument_sets, absent_calls[name], strict=True):
            answer = await probe.ask(door, name, foreign)
            assert answer == await probe.ask(door, name, absent), (name, foreign)
            assert [mark for mark in probe.foreign.marks() if mark in answer] == [], name
    assert await everything(owner, probe.foreign) == before
    assert await everything(owner, probe.own) == own_before


async def test_the_same_calls_find_what_is_the_callers_own(probe: Probe) -> None:
    """The control: were a call malformed, the test above would compare two errors and prove nothing."""
    own_calls, absent_calls = with_ids(probe.own_things), with_ids(Thing.nowhere({}))
    for name, argument_sets in own_calls.items():
        for own, absent in zip(argument_sets, absent_calls[name], strict=True):
            door = Door.PARTNER if name in PARTNERS_OWN else Door.STAFF
            answer = await probe.ask(door, name, own)
            assert answer != await probe.ask(door, name, absent), (name, own)
            assert '"errors": [{' not in answer, (name, own)


@pytest.mark.parametrize("door", DOORS)
async def test_what_names_nothing_foreign_shows_and_changes_nothing_foreign(
    probe: Probe, owner: "asyncpg.Connection[asyncpg.Record]", door: Door
) -> None:
    before = await everything(owner, probe.foreign)
    for name, argument_sets in without_ids(probe.own_things, probe.foreign_things).items():
        for arguments in argument_sets:
            answer = await probe.ask(door, name, arguments)
            # Staff have no account of their own to fall back on, so these need an id from them.
            if door is Door.STAFF and name not in NOT_STAFFS and (arguments or name not in OWN_ACCOUNT):
                assert '"errors": [{' not in answer, (name, answer)
            assert [mark for mark in probe.foreign.marks() if mark in answer] == [], name
    assert await everything(owner, probe.foreign) == before
    live = await programs.live(probe.own.shop.scope(at=probe.own.shop.at.replace(year=2100)))
    assert live is not None
    assert live.version == (2 if door is Door.STAFF else 1)


@pytest.mark.parametrize("door", DOORS)
async def test_the_platform_is_closed_to_merchants(probe: Probe, owner: "asyncpg.Connection[asyncpg.Record]", door: Door) -> None:
    async def platform() -> list[Any]:
        return [await owner.fetch(f"select * from {table}") for table in ("admins", "admin_sessions", "platform_audit_entries")]

    before = await platform()
    for name, argument_sets in PLATFORM.items():
        for arguments in argument_sets:
            answer = await probe.ask(door, name, arguments)
            assert (answer.count('"code": "FORBIDDEN"'), '"data": {' in answer) == (1, False), (name, answer)
    assert await platform() == before


async def everything(owner: "asyncpg.Connection[asyncpg.Record]", full: Full) -> dict[str, list[str]]:
    """Every row of a shop, whole."""
    rows = {table: await contents(owner, table, full.shop.merchant.id) for table in sorted(TENANT_TABLES)}
    assert [] not in rows.values()
    return rows
