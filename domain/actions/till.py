"""Sales at the till, told late and in any order: a sale's points are a function of it and of what was given back of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from loyalty_native import Evaluation, LoyaltyError
from loyalty_native import Order as CoreOrder

from domain import audit, calendar, customers, db, money, points, programs
from domain.actions.claims import book, by_keys
from domain.actions.goals import Spending, count
from domain.actions.persons import earners
from domain.actions.rules import Claim, Kind, Reason, check_instant, check_name
from domain.customers import Standing, State
from domain.errors import Code, DomainError, NotFound
from domain.points import AccountClosed
from domain.programs import ProgramVersion
from domain.scope import Scope

ENTRIES_MAX = 250
CLIENT_ID_LENGTH_MAX = 100
AMOUNT_MINOR_MAX = 10**12


class Movement(StrEnum):
    """What happened at the till."""

    SALE = "sale"
    REFUND = "refund"


class Outcome(StrEnum):
    """What became of an entry."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


class TooManyEntries(DomainError):
    """More entries than are taken at once."""

    code = Code.TOO_MANY


@dataclass(frozen=True, slots=True)
class TillEntry:
    """One entry of a till's queue.

    client_id: the till's own, unique in the shop. amount: decimal text in `currency`, what the goods cost after discounts and
    without tax; of a refund what went back. sale_id: of a refund, the client id of its sale. customer_id: of a sale.
    """

    client_id: str
    movement: Movement
    occurred_at: datetime
    amount: str
    currency: str
    customer_id: UUID | None
    sale_id: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one entry, and the claim of its sale as it stands now; a refund whose sale is not known yet has none."""

    client_id: str
    outcome: Outcome
    refusal: DomainError | None
    claim: Claim | None


_Row = tuple[str, str, str, UUID | None, str, int, datetime]
"""What is kept of an entry: client id, movement, sale id, customer of whom it was told, currency, minor units, instant."""


async def sync(scope: Scope, entries: Sequence[TillEntry]) -> list[Answer]:
    """Take over a till's queue. Each entry is answered on its own, in the order given; a refused one does not stop the others.

    Precondition: an open transaction that holds no account. Whatever order entries come in, in however many calls and however
    often, the points end alike. Raises TooManyEntries above 250. Refusals of entries: BLANK, TOO_LONG, BAD_INPUT,
    INSTANT_INVALID, AMOUNT_INVALID, CURRENCY_UNKNOWN, NOT_FOUND, ACCOUNT_CLOSED, and IDEMPOTENCY_KEY_REUSED for a client
    id with other content.
    """
    if len(entries) > ENTRIES_MAX:
        raise TooManyEntries(f"There are at most {ENTRIES_MAX} entries in a call.", field=("entries",))
    await hold_tills(scope)
    known = {row[0]: row for row in await _rows(scope, "client_id", [one.client_id for one in entries])}
    people = await earners(scope, [one.customer_id for one in entries] + [row[3] for row in known.values()])
    outcomes: list[tuple[str, Outcome, DomainError | None]] = []
    fresh: list[_Row] = []
    for index, one in enumerate(entries):
        try:
            row = _checked(scope, one, people, ("entries", str(index)))
            earlier = known.get(row[0])
            _check_anew(row, earlier, people, ("entries", str(index)))
        except DomainError as refusal:
            outcomes.append((one.client_id, Outcome.REFUSED, refusal))
            continue
        if earlier is None:
            known[row[0]] = row
            fresh.append(row)
        outcomes.append((one.client_id, Outcome.ACCEPTED if earlier is None else Outcome.DUPLICATE, None))
    await _keep(scope, fresh)
    await _settle(scope, {row[2] for row in fresh})
    if fresh:
        await audit.record_for_others(scope, "till_entries.synced", "till", after={"clientIds": [row[0] for row in fresh]})
    claims = await by_keys(scope, Kind.SALE, {row[2] for row in known.values()})
    return [
        Answer(client_id, outcome, refusal, None if refusal or client_id not in known else claims.get(known[client_id][2]))
        for client_id, outcome, refusal in outcomes
    ]


async def hold_tills(scope: Scope) -> None:
    """Let the shop's tills wait until the transaction ends, so that a refund and its sale that come at once see each other.

    Precondition: an open transaction; one that holds customers or accounts already may meet a deadlock, and is then run again.
    """
    async with db.connection(scope) as connection:
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"{scope.merchant_id}/till")


def _checked(scope: Scope, one: TillEntry, people: Mapping[UUID, Standing], path: tuple[str, ...]) -> _Row:
    check_name(one.client_id, CLIENT_ID_LENGTH_MAX, (*path, "clientId"))
    check_instant(scope.at, one.occurred_at, (*path, "occurredAt"))
    amount = money.parse(one.amount, one.currency, field=(*path, "amount"))
    if amount <= 0:
        raise money.InvalidAmount("The amount is above zero, of a refund too.", field=(*path, "amount"))
    if amount > AMOUNT_MINOR_MAX:
        raise money.InvalidAmount("The amount is larger than any till takes.", field=(*path, "amount"))
    if one.movement is Movement.SALE:
        if one.customer_id is None or one.customer_id not in people:
            raise NotFound("There is no such customer.", field=(*path, "customerId"))
        return one.client_id, one.movement.value, one.client_id, one.customer_id, one.currency, amount, one.occurred_at
    check_name(one.sale_id or "", CLIENT_ID_LENGTH_MAX, (*path, "saleId"))
    assert one.sale_id is not None, "it is not blank"
    return one.client_id, one.movement.value, one.sale_id, None, one.currency, amount, one.occurred_at


def _check_anew(row: _Row, earlier: _Row | None, people: Mapping[UUID, Standing], path: tuple[str, ...]) -> None:
    """Refuse a sale of a closed account, and a client id that came with another content; who was merged is who was kept."""
    if earlier is None:
        if row[3] is not None and people[row[3]].state is not State.OPEN:
            raise AccountClosed("The customer's account is closed: it neither earns nor spends.", field=(*path, "customerId"))
        return
    told, known = (people[one].id if one else None for one in (row[3], earlier[3]))
    if told != known or row != (*earlier[:3], row[3], *earlier[4:]):
        message = "This client id was used with another content."
        raise DomainError(message, field=(*path, "clientId"), code=Code.IDEMPOTENCY_KEY_REUSED)


async def settle_sales_of(scope: Scope, customer_ids: Collection[UUID]) -> None:
    """Compute the points of all sales that were told of these customers anew. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select client_id from till_entries where merchant_id = $1 and customer_id = any ($2) and kind = 'sale'",
            scope.merchant_id,
            list(customer_ids),
        )
    await _settle(scope, {row["client_id"] for row in rows})


async def _settle(scope: Scope, sale_ids: set[str]) -> None:
    """Compute the points of these sales from all that is known of them, and book the differences."""
    moves = await _rows(scope, "sale_id", sale_ids)
    sales = {row[0]: row for row in moves if row[1] == Movement.SALE}
    if not sales:
        return
    standing = await earners(scope, [row[3] for row in sales.values()])
    await points.hold_all(scope, {one.id for one in standing.values()})
    in_force = await programs.in_force_each(scope, [row[6] for row in sales.values()])
    versions = dict(zip(sales, in_force, strict=True))
    # Where the day's points bear on each other, all sales of the customer's day are decided again, in the order of the day.
    bound = {key for key, version in versions.items() if version is not None and version.asks_history}
    together = await _of_the_same_days(scope, [(sales[key], versions[key]) for key in bound], standing)
    versions |= {key: version for key, (_, version) in together.items()}
    sales |= {key: row for key, (row, _) in together.items()}
    moves = await _rows(scope, "sale_id", sales)
    # Those who were merged into the same one have their sales of the day in common.
    standing |= await earners(scope, [row[3] for row in sales.values()])
    kept = _kept(sales, moves)
    earlier = await by_keys(scope, Kind.SALE, sales)
    today: dict[tuple[Any, ...], int] = {}
    claims: list[Claim] = []
    spendings: list[Spending] = []
    for key, row in sorted(sales.items(), key=lambda item: (item[1][6], item[0])):
        assert row[3] is not None, "a sale has a customer"
        version, owner = versions[key], standing[row[3]]
        day = (owner.id, version.version, calendar.local_day(row[6], _zone(version))) if version else ()
        evaluation = _evaluate(row, kept[key], version, owner.joined_at, today.get(day, 0))
        if evaluation is not None:
            today[day] = today.get(day, 0) + evaluation.points
        claims.append(_claim(scope, row, owner.id, version, evaluation, earlier.get(key)))
        counted = 0 if evaluation is None else evaluation.base_minor
        spendings.append(Spending(f"sale/{key}", owner.id, version, row[4], counted, row[6], row[6]))
    await book(scope, [claim for claim in claims if claim != earlier.get(claim.key)])
    await count(scope, spendings)


def _evaluate(
    row: _Row, kept: int, version: ProgramVersion | None, joined_at: datetime | None, points_today: int
) -> Evaluation | None:
    """What the kept part of a sale deserves by the program that was in force: an order of one line.

    Whether it was the customer's first purchase a till does not know, so what is given for that is not given here.
    """
    if version is None:
        return None
    customer = {
        "signed_up_at": None if joined_at is None else int(joined_at.timestamp()),
        "orders_before": 1,
        "points_today": points_today,
    }
    order = {
        "currency": row[4],
        "at": int(row[6].timestamp()),
        "customer": customer,
        "lines": [{"id": "sale", "quantity": 1 if kept else 0, "unit_price": money.render(kept, row[4])}],
    }
    try:
        return version.core.evaluate(CoreOrder.from_json(msgspec.json.encode(order)))
    except LoyaltyError as error:
        raise money.InvalidAmount(str(error), field=("entries",)) from error


def _claim(
    scope: Scope,
    row: _Row,
    owner: UUID,
    version: ProgramVersion | None,
    evaluation: Evaluation | None,
    earlier: Claim | None,
) -> Claim:
    assert row[3] is not None, "a sale has a customer"
    decided: dict[str, Any] = {
        "program_version": None if version is None else version.version,
        "deserved": 0 if evaluation is None else evaluation.points,
        "reason": Reason.NO_PROGRAM if evaluation is None else evaluation.reason,
        "trace": None if evaluation is None else evaluation.trace().decode(),
    }
    if earlier is not None:
        return replace(earlier, **decided)
    hold_days = 0 if version is None else version.definition.hold_days
    return Claim(
        kind=Kind.SALE.value,
        key=row[0],
        customer_id=owner,
        told_of=row[3],
        rule="",
        occurred_at=row[6],
        created_at=scope.at,
        spendable_at=row[6] + timedelta(days=hold_days),
        **decided,
    )


def _kept(sales: Mapping[str, _Row], moves: Iterable[_Row]) -> dict[str, int]:
    """Of each sale what was not given back, in minor units. A refund in another currency is of no sale of this one's."""
    kept = {key: row[5] for key, row in sales.items()}
    for _, movement, sale_id, _, currency, amount, _ in moves:
        if movement == Movement.REFUND and sale_id in sales and currency == sales[sale_id][4]:
            kept[sale_id] = max(0, kept[sale_id] - amount)
    return kept


async def _of_the_same_days(
    scope: Scope, given: Sequence[tuple[_Row, ProgramVersion | None]], standing: Mapping[UUID, Standing]
) -> dict[str, tuple[_Row, ProgramVersion]]:
    found: dict[str, tuple[_Row, ProgramVersion]] = {}
    for row, version in given:
        if version is None or row[3] is None or row[0] in found:
            continue
        zone = _zone(version)
        beginning, end = calendar.day_bounds(calendar.local_day(row[6], zone), zone)
        async with db.connection(scope) as connection:
            rows = await connection.fetch(
                f"{_SELECT} and customer_id = any ($2) and kind = 'sale' and occurred_at >= $3 and occurred_at < $4",
                scope.merchant_id,
                list(await customers.family(scope, standing[row[3]].id)),
                beginning,
                end,
            )
        others = [tuple(one) for one in rows]
        in_force = await programs.in_force_each(scope, [one[6] for one in others])
        for one, other in zip(others, in_force, strict=True):
            if other is not None and other.version == version.version:
                found[one[0]] = one, other
    return found


_SELECT = """
    select client_id, kind, sale_id, customer_id, currency, amount_minor, occurred_at from till_entries where merchant_id = $1
"""


async def _rows(scope: Scope, column: str, keys: Iterable[str]) -> list[_Row]:
    assert column in {"client_id", "sale_id"}
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and {column} = any ($2)", scope.merchant_id, list(keys))
    return [tuple(row) for row in rows]


async def _keep(scope: Scope, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into till_entries (
                merchant_id, client_id, kind, sale_id, customer_id, currency, amount_minor, occurred_at, received_at, actor
            )
            select $1, n.*, $9, $10
            from unnest($2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::bigint[], $8::timestamptz[]) as n
            """,
            scope.merchant_id,
            *(list(column) for column in zip(*rows, strict=True)),
            scope.at,
            str(scope.actor),
        )


def _zone(version: ProgramVersion) -> Any:
    return calendar.time_zone(version.definition.time_zone)
