"""Actions in the API: what customers claim, what partners tell, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import strawberry
from strawberry.scalars import JSON

from domain import actions, merchants
from domain.access import Permission
from domain.actions import Answer, Birthday, Claim, Kind, Movement, Outcome, Provider, TillEntry
from domain.errors import Code, DomainError, NotFound
from schema.command import command
from schema.context import Info
from schema.doors import CUSTOMERS, EVERYBODY, HOUSE, PARTNERS, PERSONAL_DATA, STAFF_AND_CUSTOMERS
from schema.enums import describe
from schema.errors import UserError, user_error
from schema.identifiers import gid, uuid_of
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.program_actions import Network
from schema.scalars import CurrencyCode, Money, Points

PROPERTIES_BYTES_MAX = 4096

describe(
    Kind,
    name="ActionKind",
    description="What a customer did.",
    values={
        Kind.BIRTHDAY: "Had a birthday.",
        Kind.REVIEW: "Wrote a review that was published.",
        Kind.FOLLOW: "Said that they follow the shop on a social network. Nobody can check it.",
        Kind.EVENT: "Did what a partner tells of.",
        Kind.GOAL: "Spent as much as a goal asks for.",
        Kind.SALE: "Bought at a till that is not Shopify's.",
    },
)
describe(
    Provider,
    name="ReviewProvider",
    description="Whose reviews.",
    values={Provider.JUDGEME: "Judge.me.", Provider.YOTPO: "Yotpo."},
)
describe(
    Movement,
    name="TillMovement",
    description="What happened at the till.",
    values={Movement.SALE: "A sale.", Movement.REFUND: "Money went back of a sale, which may be told later."},
)
describe(
    Outcome,
    name="SyncOutcome",
    description="What became of an entry.",
    values={
        Outcome.ACCEPTED: "It was taken over now.",
        Outcome.DUPLICATE: "It had been taken over before; nothing moved.",
        Outcome.REFUSED: "It was not taken over; `userErrors` says why.",
    },
)


@strawberry.type(description="One thing that a customer did, what it earns, and why not.")
class ActionClaim:
    """A claim."""

    kind: Kind = strawberry.field(description="What the customer did.")
    key: str = strawberry.field(description="What makes it one thing, unique in its kind. Entries bear it as `sourceId`.")
    customer_id: strawberry.ID = strawberry.field(description="The customer.")
    rule: str = strawberry.field(
        description="Which rule: the network, the event's name, the goal's id, the provider of the review; empty for the others."
    )
    occurred_at: datetime = strawberry.field(description="When it happened: it decides the program version.")
    program_version: int | None = strawberry.field(description="The version that decided; null when there was none.")
    points: Points = strawberry.field(description="The points that it earns as things are now.")
    points_confirmed: Points = strawberry.field(description="What is booked to the balance for it.")
    points_pending: Points = strawberry.field(description="What is booked as pending for it.")
    spendable_at: datetime = strawberry.field(description="From when its points can be spent.")
    reason: str | None = strawberry.field(
        description=(
            "Why it earns nothing: NO_PROGRAM, PROGRAM_OFF, NOT_OFFERED, DAILY_CAP, LIFETIME_CAP, NOT_PUBLISHED, BELOW_GOAL, "
            "GIVEN_TWICE for what two customers had who were merged, or for a sale one of the reasons of orders."
        )
    )


@strawberry.type(description="A customer's birthday.")
class CustomerBirthday:
    """A birthday."""

    month: int = strawberry.field(description="1 to 12.")
    day: int = strawberry.field(description="1 to 31. Who was born on 29 February has it on the 28th in years without one.")
    year: int | None = strawberry.field(description="The year of birth, when it was told.")
    changes: int = strawberry.field(description="How often it was changed after it was first set.")
    next_gift_at: datetime = strawberry.field(
        description="The beginning of the next birthday that is given for: 30 days or more after a change, 365 after a gift."
    )


@strawberry.type(description="The answer to `customerBirthdaySet`.")
class CustomerBirthdaySetPayload:
    """The birthday after it."""

    birthday: CustomerBirthday | None = strawberry.field(default=None, description="The birthday as it is kept.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `socialFollowClaim`.")
class SocialFollowClaimPayload:
    """The claim."""

    action_claim: ActionClaim | None = strawberry.field(default=None, description="The claim, or the one made before.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `eventRecord`.")
class EventRecordPayload:
    """The claim."""

    action_claim: ActionClaim | None = strawberry.field(default=None, description="What the event earns, and why not.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `reviewSourceSet`.")
class ReviewSourceSetPayload:
    """Where to send."""

    webhook_path: str | None = strawberry.field(
        default=None,
        description="The webhook's address for the provider, behind this server's own. For Yotpo add `&key=` and the secret.",
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="What became of one entry of a till's queue.")
class PointsSyncResult:
    """An entry's answer."""

    client_id: str = strawberry.field(description="The entry's client id.")
    outcome: Outcome = strawberry.field(description="What became of it.")
    action_claim: ActionClaim | None = strawberry.field(
        description="The sale as it stands after this call; null when refused, and for a refund whose sale is not known yet."
    )
    user_errors: list[UserError] = strawberry.field(description="Why this entry was refused.")


@strawberry.type(description="The answer to `pointsSync`.")
class PointsSyncPayload:
    """The answers."""

    results: list[PointsSyncResult] | None = strawberry.field(
        default=None, description="What became of each entry, in the order given."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why the call as a whole was refused.")


@strawberry.input(description="An event that a partner tells of.")
class EventInput:
    """An event."""

    name: str = strawberry.field(description="Its name, by which the program has a rule for it; 1 to 60 characters.")
    customer_id: strawberry.ID = strawberry.field(description="The customer, by our global id.")
    occurred_at: datetime = strawberry.field(description="When it happened, with a time zone; not in the future.")
    id: str = strawberry.field(description="Your own id of it, 1 to 200 characters: the same one again moves nothing twice.")
    properties: JSON | None = strawberry.field(
        default=None,
        description="A JSON object of at most 4096 bytes. Compared when the id comes again, and not kept.",
    )


@strawberry.input(description="An entry of a till's queue.")
class TillEntryInput:
    """An entry."""

    client_id: str = strawberry.field(
        description="The till's own id of it, 1 to 100 characters, unique in the shop: the same one again moves nothing."
    )
    movement: Movement = strawberry.field(description="Sale or refund.")
    occurred_at: datetime = strawberry.field(description="When it happened on the till, with a time zone.")
    amount: Money = strawberry.field(
        description="What the goods cost after discounts and without tax; of a refund what went back. Above zero."
    )
    currency: CurrencyCode = strawberry.field(description="The amount's currency; of a refund that of its sale.")
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Who bought, by our global id: of a sale.")
    sale_id: str | None = strawberry.field(default=None, description="The client id of the sale: of a refund.")


def _claim(row: Claim) -> ActionClaim:
    return ActionClaim(
        kind=Kind(row.kind),
        key=row.key,
        customer_id=strawberry.ID(gid("Customer", row.customer_id)),
        rule=row.rule,
        occurred_at=row.occurred_at,
        program_version=row.program_version,
        points=Points(row.deserved),
        points_confirmed=Points(row.posted_points),
        points_pending=Points(row.posted_pending),
        spendable_at=row.spendable_at,
        reason=row.reason,
    )


def _birthday(row: Birthday) -> CustomerBirthday:
    return CustomerBirthday(month=row.month, day=row.day, year=row.year, changes=row.changes, next_gift_at=row.due_at)


def _result(answer: Answer) -> PointsSyncResult:
    return PointsSyncResult(
        client_id=answer.client_id,
        outcome=answer.outcome,
        action_claim=None if answer.claim is None else _claim(answer.claim),
        user_errors=[] if answer.refusal is None else [user_error(answer.refusal)],
    )


def _own(info: Info, given: str | None) -> UUID | None:
    """The customer that a caller names or is; None when it is nobody, or somebody else than the customer who asks."""
    own = info.context.customer_id
    wanted = own if given is None else uuid_of("Customer", given)
    return wanted if own in (None, wanted) else None


def _entry(input: TillEntryInput) -> TillEntry:
    return TillEntry(
        client_id=input.client_id,
        movement=input.movement,
        occurred_at=input.occurred_at,
        amount=input.amount,
        currency=input.currency,
        customer_id=None if input.customer_id is None else uuid_of("Customer", input.customer_id),
        sale_id=input.sale_id,
    )


@strawberry.type
class ActionQueries:
    """The queries about actions."""

    @strawberry.field(
        description="What customers did besides ordering, newest first; a customer sees their own.", extensions=[EVERYBODY]
    )
    async def action_claims(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only this customer's, by our global id.")
        ] = None,
        kind: Annotated[Kind | None, strawberry.argument(description="Only this kind.")] = None,
    ) -> Connection[ActionClaim]:
        """A page of claims."""
        rows_wanted = check_first(first)
        place = read_cursor(after, tuple[datetime, str, str])
        wanted = _own(info, customer_id)
        nobody = customer_id is not None and wanted is None
        rows = [] if nobody else await actions.page(info.context.scope, rows_wanted, place, wanted, kind)
        return connection(rows, first, after, _claim, lambda row: (row.created_at, row.kind, row.key))

    @strawberry.field(
        description="A customer's birthday; null when it is not known. A customer may leave the id out.",
        extensions=[PERSONAL_DATA],
    )
    async def customer_birthday(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID | None, strawberry.argument(description="The customer, by our global id.")] = None,
    ) -> CustomerBirthday | None:
        """A birthday."""
        wanted = _own(info, customer_id)
        if wanted is None:
            return None
        row = await actions.birthday(info.context.scope, wanted)
        return _birthday(row) if row else None


@strawberry.type
class ActionMutations:
    """The commands about actions."""

    @strawberry.mutation(
        description=(
            "Keep a customer's birthday. It is given for at the first instant of the day in the program's time zone, once in 365 "
            "days, and not sooner than 30 days after it was set or changed. The same date again changes nothing."
        ),
        extensions=[STAFF_AND_CUSTOMERS.needing(Permission.POINTS)],
    )
    @command
    async def customer_birthday_set(
        self,
        info: Info,
        month: Annotated[int, strawberry.argument(description="1 to 12.")],
        day: Annotated[int, strawberry.argument(description="1 to 31.")],
        year: Annotated[int | None, strawberry.argument(description="The year of birth, when it is to be kept.")] = None,
        customer_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The customer, by our global id; a customer may leave it out."),
        ] = None,
    ) -> CustomerBirthdaySetPayload:
        """Set a birthday."""
        wanted = _own(info, customer_id)
        if wanted is None:
            raise NotFound("There is no such customer.", field=("customerId",))
        row = await actions.set_birthday(info.context.scope, customer_id=wanted, month=month, day=day, year=year)
        return CustomerBirthdaySetPayload(birthday=_birthday(row))

    @strawberry.mutation(
        description=(
            "Say that one follows the shop on a social network, and get the program's points for it: once for each network, "
            "ever. It is a claim that nobody checks; the program may hold its points."
        ),
        extensions=[CUSTOMERS],
    )
    @command
    async def social_follow_claim(
        self, info: Info, network: Annotated[Network, strawberry.argument(description="The network.")]
    ) -> SocialFollowClaimPayload:
        """Claim a follow."""
        own = info.context.customer_id
        assert own is not None, "only customers come through this door"
        row = await actions.claim_follow(info.context.scope, customer_id=own, network=network)
        return SocialFollowClaimPayload(action_claim=_claim(row))

    @strawberry.mutation(
        description="Set the secret with which a provider of reviews proves itself. It can never be shown again.",
        extensions=[HOUSE],
    )
    @command
    async def review_source_set(
        self,
        info: Info,
        provider: Annotated[Provider, strawberry.argument(description="Whose reviews.")],
        secret: Annotated[
            str,
            strawberry.argument(
                description=(
                    "16 to 200 printable characters of ASCII. Of Judge.me: the secret of the app, or the private API token, with "
                    "which the webhook was made. Of Yotpo, which signs nothing: a random text of your own."
                )
            ),
        ],
    ) -> ReviewSourceSetPayload:
        """Set a secret."""
        scope = info.context.scope
        await actions.set_source(scope, provider, secret)
        domain = await merchants.shop_domain(scope)
        return ReviewSourceSetPayload(webhook_path=f"/webhooks/{provider.value}?shop={domain}")

    @strawberry.mutation(
        description=(
            "Tell of something that a customer did, and give what the program gives for it. What earns nothing is kept with the "
            "reason. The same id with the same input gives the same claim and moves nothing twice."
        ),
        extensions=[PARTNERS],
    )
    @command
    async def event_record(
        self, info: Info, input: Annotated[EventInput, strawberry.argument(description="The event.")]
    ) -> EventRecordPayload:
        """Record an event."""
        wanted = uuid_of("Customer", input.customer_id)
        if wanted is None:
            raise NotFound("There is no such customer.", field=("input", "customerId"))
        row = await actions.record_event(
            info.context.scope,
            name=input.name,
            customer_id=wanted,
            occurred_at=input.occurred_at,
            event_id=input.id,
            properties=_properties(input.properties),
        )
        return EventRecordPayload(action_claim=_claim(row))

    @strawberry.mutation(
        description=(
            "Take over the queue of a till that is not Shopify's: sales and refunds, with the time they happened. At most "
            "250 entries, each answered on its own. Whatever order they come in and however often, the points end alike."
        ),
        extensions=[PARTNERS],
    )
    @command
    async def points_sync(
        self, info: Info, entries: Annotated[list[TillEntryInput], strawberry.argument(description="The entries, 250 at most.")]
    ) -> PointsSyncPayload:
        """Take over a queue."""
        answers = await actions.sync(info.context.scope, [_entry(one) for one in entries])
        return PointsSyncPayload(results=[_result(one) for one in answers])


def _properties(given: Any) -> dict[str, Any] | None:
    if given is None or (isinstance(given, dict) and len(msgspec.json.encode(given)) <= PROPERTIES_BYTES_MAX):
        return given  # pyright: ignore[reportUnknownVariableType]
    message = f"Properties are a JSON object of at most {PROPERTIES_BYTES_MAX} bytes."
    raise DomainError(message, field=("input", "properties"), code=Code.TOO_LONG)
