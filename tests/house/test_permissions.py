"""Every field of the schema as every kind of caller: who gets in is who the field's description says, and nobody else.

The calls are those of the tenancy probe, so that a new field is asked for here as soon as it stands there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from graphql import GraphQLField, GraphQLObjectType, get_named_type

from domain.access import ADMIN_GRANTS, PARTNER_SCOPES, STAFF_GRANTS, Permission
from domain.scope import NOBODY, Actor, Door, Scope
from schema.context import Context
from schema.doorbell import Doorbell
from schema.root import schema
from tests.house.calls import PLATFORM, Thing, with_ids, without_ids
from tests.house.full_shop import Full, fill
from tests.house.selection import CORE
from tests.house.test_tenancy_probe import cursors, document, everything
from tests.shop import open_shop

_OPEN_TO = re.compile(r"Open to: (.+)\.$")
_ENTRY = re.compile(r"(\w+)(?: \(([^)]*)\))?(?:, |$)")


@dataclass(frozen=True)
class Kind:
    """A kind of caller: the door, the word for the role or the scope in descriptions, and what it is granted."""

    door: Door
    word: str
    permissions: frozenset[Permission]
    at_shop: bool = True

    def __str__(self) -> str:
        return f"{self.door.value} {self.word}{'' if self.at_shop else ' of the platform'}".strip()


KINDS = (
    *(Kind(Door.STAFF, role.value, granted) for role, granted in STAFF_GRANTS.items()),
    Kind(Door.CUSTOMER, "", frozenset()),
    Kind(Door.PARTNER, "", frozenset()),
    *(Kind(Door.PARTNER, f"scope {scope.value}", frozenset({scope})) for scope in sorted(PARTNER_SCOPES)),
    *(Kind(Door.ADMIN, role.value, granted, at_shop) for at_shop in (True, False) for role, granted in ADMIN_GRANTS.items()),
)


def opened(field: GraphQLField, kind: Kind) -> bool:
    """Whether the field's description lets this kind of caller in. One that says nothing is as open as what led there."""
    found = _OPEN_TO.search(field.description or "")
    if found is None:
        return True
    words = {door: roles.split(", ") if roles else None for door, roles in _ENTRY.findall(found[1])}
    if kind.door.value not in words:
        return False
    roles = words[kind.door.value]
    return roles is None or kind.word in roles


def roots() -> dict[str, GraphQLField]:
    """Every field of every root."""
    types = (CORE.query_type, CORE.mutation_type, CORE.subscription_type)
    return {name: field for root in types if root is not None for name, field in root.fields.items()}


def seen(
    data: Any, kind: GraphQLObjectType, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, GraphQLField, Any]]:
    """(path, name, field, value) of everything in an answer."""
    for name, value in data.items():
        if name == "__typename":
            continue
        field = kind.fields[name]
        yield (*path, name), f"{kind.name}.{name}", field, value
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            # A scalar of JSON is an object too, and has no type's name in it.
            if isinstance(one, dict) and "__typename" in one:
                inner: Any = CORE.type_map[one["__typename"]]
                at = (*path, name, str(number)) if isinstance(value, list) else (*path, name)
                yield from seen(one, inner, at)


async def ask(own: Full, kind: Kind, name: str, arguments: dict[str, Any]) -> Any:
    """The result of one call, or the first of a subscription."""
    operation = document(name, arguments)
    merchant_id = own.shop.merchant.id if kind.at_shop else NOBODY
    # An admin's actor is the uuid of an account.
    actor = Actor(kind.door, str(uuid4()))
    context = Context(
        Scope(merchant_id, actor, own.shop.at, "r"),
        Doorbell(),
        lambda _: None,
        own.customer_id if kind.door is Door.CUSTOMER else None,
        kind.permissions,
    )
    given: dict[str, Any] = {"variable_values": {f"v_{key}": value for key, value in arguments.items()}, "context_value": context}
    if not operation.startswith("subscription"):
        return await schema.execute(operation, **given)
    stream: Any = await schema.subscribe(operation, **given)
    if not hasattr(stream, "__aiter__"):
        return stream
    try:
        return await anext(stream)
    finally:
        await stream.aclose()


def codes(result: Any) -> list[str]:
    return [error.extensions["code"] for error in result.errors or ()]


@pytest.fixture
async def own(application: object) -> Full:
    """A shop with something of everything."""
    return await fill(await open_shop(application), "cypress")


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_who_is_not_named_is_kept_out(own: Full, owner: "asyncpg.Connection[asyncpg.Record]", kind: Kind) -> None:
    thing = Thing.of(own, await cursors(own))
    before = await everything(owner, own)
    kept_out = 0
    for calls in (with_ids(thing), without_ids(thing, thing), PLATFORM):
        for name, argument_sets in calls.items():
            for arguments in argument_sets:
                if not opened(roots()[name], kind):
                    result = await ask(own, kind, name, arguments)
                    assert codes(result) == ["FORBIDDEN"], (name, arguments)
                    assert not result.data or result.data == {name: None}, name
                    kept_out += 1
    assert kept_out > 0 or kind.permissions == frozenset(Permission)
    assert await everything(owner, own) == before


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_who_is_named_gets_in_and_sees_what_is_open(own: Full, kind: Kind) -> None:
    thing = Thing.of(own, await cursors(own))
    shown: set[str] = set()
    for calls in (with_ids(thing), without_ids(thing, thing), PLATFORM):
        for name, argument_sets in calls.items():
            # The stream of the audit gives its first message when something happens.
            if name == "auditRecorded" or not opened(roots()[name], kind):
                continue
            for arguments in argument_sets:
                shown |= await _checked(own, kind, name, arguments)
    personal = {"Customer.email", "Customer.firstName", "Customer.lastName"}
    sees_people = kind.at_shop and (kind.door is Door.CUSTOMER or Permission.PERSONAL in kind.permissions)
    assert shown & personal == (personal if sees_people else set())


async def _checked(own: Full, kind: Kind, name: str, arguments: dict[str, Any]) -> set[str]:
    """What was shown, by type and field. What was kept back says so in its description, and every refusal is one of those."""
    result = await ask(own, kind, name, arguments)
    by_path: dict[tuple[str, ...], GraphQLField] = {}
    shown: set[str] = set()
    for root in (CORE.query_type, CORE.mutation_type, CORE.subscription_type):
        if root is None or name not in root.fields or not result.data:
            continue
        for path, place, field, value in seen(result.data, root):
            by_path[path] = field
            if not opened(field, kind):
                assert value is None, (name, place)
            elif value is not None:
                shown.add(place)
    for error in result.errors or ():
        path = tuple(str(step) for step in error.path or ())
        if error.extensions["code"] == "FORBIDDEN":
            assert not opened(by_path[path], kind), (name, path)
        else:
            # Such as a draft that a call before has discarded, or an admin who names no shop.
            assert error.extensions["code"] != "INTERNAL", (name, error)
    return shown


NOT_PERSONAL = {
    "ActionClaim": "key reason rule",
    "Admin": "networks",
    "ApiKey": "name createdBy",
    "AuditEntry": "actor action subject before after requestId origin",
    "BalanceProof": "hash previousHash contentHash headHash",
    "Customer": "tier segments",
    "CustomerActivityUpdate": "cursor",
    "CustomerExport": "takenBy",
    "EventEarning": "name",
    "ExplainTrace": "reason factor exact rounding remainder json",
    "LineShare": "lineId",
    "LocalisedText": "locale text",
    "Merchant": "name shopDomain",
    "Order": "reason",
    "PointsName": "singular plural",
    "PointsReservation": "status attributeKey attributeValue",
    "PointsSyncResult": "clientId",
    "PointsTransaction": "source sourceId purpose reason hash",
    "Program": "publishedBy",
    "ProgramDefinition": "earning timeZone",
    "ProgramDraft": "updatedBy",
    "Redemption": "name failure shopDomain",
    "ReviewSourceSetPayload": "webhookPath",
    "RewardReachableNotice": "name",
    "Reward": "name description percent tiers segments",
    "SocialFollowEarning": "url",
    "SpendGoal": "id",
    "StaffMember": "updatedBy",
    "Store": "shopDomain",
    "TraceAmount": "lineId reason",
    "TraceLine": "lineId factor exact",
    "TraceMultiplier": "id source factor whyNot",
    "TraceRule": "id kind whyNot exact",
    "UserError": "message field",
    "Viewer": "actor",
    "WebhookDelivery": "webhookId topic requestId",
    "WebhookDeliveryFailure": "message path",
}
"""Texts that tell nothing of who a customer is. A new text stands here, or its field has `extensions=[PERSONAL_DATA]`."""
OF_ADMINS = {"Admin.email", "Admin.name"}
"""Of the platform's own people, which only those see who manage them."""
SHOWN_ONCE = {"CustomerExportTakePayload.document", "ApiKeyCreatePayload.secret", "ApiKeyRotatePayload.secret"} | {
    f"Admin{command}Payload.{name}" for command in ("Create", "Reset") for name in ("password", "totpUrl")
}


def test_every_text_is_personal_or_is_said_not_to_be() -> None:
    texts = {
        f"{name}.{field_name}": field
        for name, kind in CORE.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__") and says_something(name)
        for field_name, field in kind.fields.items()
        if get_named_type(field.type).name in ("String", "JSON", "Date")
    }
    plain = {f"{kind}.{name}" for kind, names in NOT_PERSONAL.items() for name in names.split()}
    analyst = next(kind for kind in KINDS if kind.word == "analyst")
    guarded = {place for place, field in texts.items() if not opened(field, analyst)}
    assert set(texts) - plain - guarded - OF_ADMINS - SHOWN_ONCE == set()
    assert plain | OF_ADMINS | SHOWN_ONCE <= set(texts)
    assert guarded == {"Customer.email", "Customer.firstName", "Customer.lastName", "Redemption.code"}


def says_something(name: str) -> bool:
    """Whether a type says something: of pages and their edges all texts are cursors."""
    return name not in ("Query", "Mutation", "Subscription", "PageInfo") and not name.endswith("Edge")
