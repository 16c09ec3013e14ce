"""Programs in the API: the live one, its history, and the draft."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import msgspec
import strawberry
from strawberry.scalars import JSON

from domain import programs
from domain.programs import Definition, Draft, InvalidProgram, ProgramVersion
from domain.programs import PointsName as PointsNameValue
from domain.programs.rules import DEFAULT
from schema.command import command
from schema.context import Info
from schema.doors import EVERYBODY, STAFF, STAFF_AND_PARTNERS
from schema.errors import UserError
from schema.identifiers import gid
from schema.node import Node
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.scalars import Points

RATE_RULE = "purchase"
"""The id of the rule that `earningRate` stands for."""


@strawberry.enum(description="Whether an order earns on its goods before or after discounts.")
class DiscountBase(Enum):
    """Which price of the goods counts."""

    AFTER = strawberry.enum_value("after", description="What the customer pays for the goods.")
    BEFORE = strawberry.enum_value("before", description="The price before discounts.")


@strawberry.enum(description="How the order's points are rounded to a whole number, once.")
class Rounding(Enum):
    """The core's roundings."""

    FLOOR = strawberry.enum_value("floor", description="Down: 9.9 is 9.")
    CEIL = strawberry.enum_value("ceil", description="Up: 9.1 is 10.")
    HALF_UP = strawberry.enum_value("half_up", description="To the nearest, halves up: 9.5 is 10.")
    HALF_EVEN = strawberry.enum_value("half_even", description="To the nearest, halves to even: 8.5 is 8.")


@strawberry.type(description="How many points per how many whole units of the shop's currency.")
class EarningRate:
    """A rational rate."""

    points: Points = strawberry.field(description="The points.")
    per: int = strawberry.field(description="The whole units of currency that give them.")


@strawberry.type(description="What of an order earns points.")
class BasePolicy:
    """What counts."""

    discounts: DiscountBase = strawberry.field(description="Goods before or after discounts.")
    tax: bool = strawberry.field(description="Whether tax earns.")
    shipping: bool = strawberry.field(description="Whether shipping earns.")
    tips: bool = strawberry.field(description="Whether tips earn.")
    gift_cards: bool = strawberry.field(description="Whether buying a gift card earns.")


@strawberry.type(description="What the merchant calls points.")
class PointsName:
    """The name of one point and of many."""

    singular: str = strawberry.field(description="One: Star.")
    plural: str = strawberry.field(description="Many: Stars.")


@strawberry.type(description="What a program says, be it published or a draft.")
class ProgramDefinition:
    """The content of a program."""

    enabled: bool = strawberry.field(description="Whether orders and signups earn at all.")
    earning_rate: EarningRate | None = strawberry.field(
        description="The rate of the rule `purchase`; null when the earning rules have no such rule."
    )
    base_policy: BasePolicy = strawberry.field(description="What of an order earns.")
    rounding: Rounding = strawberry.field(description="How points are rounded.")
    signup_points: Points = strawberry.field(description="Given once to every customer who joins.")
    hold_days: int = strawberry.field(description="Whole days from payment until points can be spent.")
    points_name: PointsName = strawberry.field(description="What the merchant calls points.")
    earning: JSON = strawberry.field(description="The whole earning definition, as the core reads it.")


@strawberry.type(description="A published version of the merchant's program. It never changes.")
class Program(Node):
    """A published version."""

    version: int = strawberry.field(description="Its number, from 1 on.")
    effective_from: datetime = strawberry.field(description="Orders created from here on are decided by it.")
    published_at: datetime = strawberry.field(description="When it was published.")
    published_by: str = strawberry.field(description="Who published it.")
    definition: ProgramDefinition = strawberry.field(description="What it says.")


@strawberry.type(description="The one draft of the merchant's next program version.")
class ProgramDraft:
    """The draft."""

    revision: int = strawberry.field(description="How often it was edited. Pass it to be refused when somebody else edited.")
    updated_at: datetime = strawberry.field(description="When it was edited last.")
    updated_by: str = strawberry.field(description="Who edited it last.")
    definition: ProgramDefinition = strawberry.field(description="What it says.")


@strawberry.input(description="How many points per how many whole units of the shop's currency.")
class EarningRateInput:
    """A rate to set."""

    points: Points = strawberry.field(description="The points, zero or more.")
    per: int = strawberry.field(default=1, description="The whole units of currency, one or more.")


@strawberry.input(description="What of an order earns points; what is left out stays as it is.")
class BasePolicyInput:
    """What shall count."""

    discounts: DiscountBase | None = strawberry.field(default=None, description="Goods before or after discounts.")
    tax: bool | None = strawberry.field(default=None, description="Whether tax earns.")
    shipping: bool | None = strawberry.field(default=None, description="Whether shipping earns.")
    tips: bool | None = strawberry.field(default=None, description="Whether tips earn.")
    gift_cards: bool | None = strawberry.field(default=None, description="Whether buying a gift card earns.")


@strawberry.input(description="What to call points.")
class PointsNameInput:
    """A name to set."""

    singular: str = strawberry.field(description="One: Star.")
    plural: str = strawberry.field(description="Many: Stars.")


@strawberry.input(
    description="Changes to the draft. What is left out stays as the draft has it, or the live program when there is no draft."
)
class ProgramDraftInput:
    """An edit."""

    enabled: bool | None = strawberry.field(default=None, description="Whether orders and signups earn at all.")
    earning_rate: EarningRateInput | None = strawberry.field(default=None, description="The rate of the rule `purchase`.")
    base_policy: BasePolicyInput | None = strawberry.field(default=None, description="What of an order earns.")
    rounding: Rounding | None = strawberry.field(default=None, description="How points are rounded.")
    signup_points: Points | None = strawberry.field(default=None, description="Given once to every customer who joins.")
    hold_days: int | None = strawberry.field(default=None, description="Whole days from payment until points can be spent.")
    points_name: PointsNameInput | None = strawberry.field(default=None, description="What to call points.")
    earning: JSON | None = strawberry.field(
        default=None,
        description="The whole earning definition, as the core reads it; the fields above are applied on top of it.",
    )


@strawberry.type(description="The answer to `programDraftUpdate`.")
class ProgramDraftUpdatePayload:
    """The draft after the edit."""

    draft: ProgramDraft | None = strawberry.field(default=None, description="The draft after the edit.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `programDraftDiscard`.")
class ProgramDraftDiscardPayload:
    """Nothing but refusals."""

    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `programPublish`.")
class ProgramPublishPayload:
    """The new version."""

    program: Program | None = strawberry.field(default=None, description="The version that was published.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


def program(row: ProgramVersion) -> Program:
    """A published version as the API shows it."""
    return Program(
        id=strawberry.ID(gid("Program", row.version)),
        version=row.version,
        effective_from=row.effective_from,
        published_at=row.published_at,
        published_by=row.published_by,
        definition=_definition(row.definition),
    )


def _draft(row: Draft) -> ProgramDraft:
    return ProgramDraft(
        revision=row.revision,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        definition=_definition(row.definition),
    )


def _definition(definition: Definition) -> ProgramDefinition:
    base: dict[str, Any] = definition.earning.get("base", {})
    rate = next((rule["rate"] for rule in _rules(definition.earning) if rule.get("id") == RATE_RULE and "rate" in rule), None)
    return ProgramDefinition(
        enabled=definition.enabled,
        earning_rate=None if rate is None else EarningRate(points=rate["points"], per=rate["per"]),
        base_policy=BasePolicy(
            discounts=DiscountBase(base.get("discounts", "after")),
            tax=base.get("tax", False),
            shipping=base.get("shipping", False),
            tips=base.get("tips", False),
            gift_cards=base.get("gift_cards", False),
        ),
        rounding=Rounding(definition.earning.get("rounding", "floor")),
        signup_points=Points(definition.signup_points),
        hold_days=definition.hold_days,
        points_name=PointsName(singular=definition.points_name.singular, plural=definition.points_name.plural),
        earning=JSON(definition.earning),
    )


def _rules(earning: dict[str, Any]) -> list[dict[str, Any]]:
    rules = earning.get("rules", [])
    return [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []  # pyright: ignore[reportUnknownVariableType]


def _edited(current: Definition, input: ProgramDraftInput) -> Definition:
    given_earning: Any = input.earning
    if given_earning is not None and not isinstance(given_earning, dict):
        raise InvalidProgram("The earning definition is a JSON object.", field=("input", "earning"))
    earning: dict[str, Any] = {**current.earning} if given_earning is None else {**given_earning}
    if input.earning_rate is not None:
        rate = {"points": input.earning_rate.points, "per": input.earning_rate.per}
        rule = {"id": RATE_RULE, "kind": "per_currency_unit", "rate": rate}
        others = [one for one in _rules(earning) if one.get("id") != RATE_RULE]
        earning["rules"] = [rule, *others]
    if input.base_policy is not None:
        given = {
            "discounts": input.base_policy.discounts and input.base_policy.discounts.value,
            "tax": input.base_policy.tax,
            "shipping": input.base_policy.shipping,
            "tips": input.base_policy.tips,
            "gift_cards": input.base_policy.gift_cards,
        }
        base = earning.get("base", {})
        if isinstance(base, dict):
            earning["base"] = {**base, **{name: value for name, value in given.items() if value is not None}}
    if input.rounding is not None:
        earning["rounding"] = input.rounding.value
    changes: dict[str, Any] = {
        "earning": earning,
        "enabled": input.enabled,
        "signup_points": input.signup_points,
        "hold_days": input.hold_days,
        "points_name": input.points_name and PointsNameValue(input.points_name.singular, input.points_name.plural),
    }
    return msgspec.structs.replace(current, **{name: value for name, value in changes.items() if value is not None})


@strawberry.type
class ProgramQueries:
    """The queries about programs."""

    @strawberry.field(
        description="The live program, or the version with this number; null when there is none.", extensions=[EVERYBODY]
    )
    async def program(
        self,
        info: Info,
        version: Annotated[int | None, strawberry.argument(description="A version's number.")] = None,
    ) -> Program | None:
        """The program asked for."""
        scope = info.context.scope
        row = await (programs.live(scope) if version is None else programs.version(scope, version))
        return program(row) if row else None

    @strawberry.field(description="All published versions, newest first.", extensions=[STAFF_AND_PARTNERS])
    async def program_versions(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[Program]:
        """A page of the history."""
        rows_wanted = check_first(first)
        place = read_cursor(after, tuple[int])
        rows = await programs.versions(info.context.scope, rows_wanted, place[0] if place else None)
        return connection(rows, first, after, program, lambda row: (row.version,))

    @strawberry.field(description="The draft of the next version; null when nobody began one.", extensions=[STAFF])
    async def program_draft(self, info: Info) -> ProgramDraft | None:
        """The draft."""
        row = await programs.draft(info.context.scope)
        return _draft(row) if row else None


@strawberry.type
class ProgramMutations:
    """The commands about programs."""

    @strawberry.mutation(
        description="Edit the draft, or begin one from the live program. Nothing earns by it until it is published.",
        extensions=[STAFF],
    )
    @command
    async def program_draft_update(
        self,
        info: Info,
        input: Annotated[ProgramDraftInput, strawberry.argument(description="What to change.")],
        revision: Annotated[
            int | None, strawberry.argument(description="The revision that was read; refused when it is not the draft's.")
        ] = None,
    ) -> ProgramDraftUpdatePayload:
        """Edit the draft."""
        scope = info.context.scope
        draft = await programs.draft(scope)
        live = None if draft else await programs.live(scope)
        current = draft.definition if draft else live.definition if live else DEFAULT
        row = await programs.draft_update(scope, _edited(current, input), revision=revision)
        return ProgramDraftUpdatePayload(draft=_draft(row))

    @strawberry.mutation(description="Drop the draft.", extensions=[STAFF])
    @command
    async def program_draft_discard(self, info: Info) -> ProgramDraftDiscardPayload:
        """Drop the draft."""
        await programs.draft_discard(info.context.scope)
        return ProgramDraftDiscardPayload()

    @strawberry.mutation(
        description=(
            "Publish the draft as the next version. Orders created from now on are decided by it; older orders keep theirs."
        ),
        extensions=[STAFF],
    )
    @command
    async def program_publish(
        self,
        info: Info,
        revision: Annotated[
            int | None, strawberry.argument(description="The revision that was read; refused when it is not the draft's.")
        ] = None,
    ) -> ProgramPublishPayload:
        """Publish the draft."""
        row = await programs.publish(info.context.scope, revision=revision)
        return ProgramPublishPayload(program=program(row))
