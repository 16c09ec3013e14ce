"""What customers claim to have done, and what partners tell of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from domain import audit, idempotency, points, programs
from domain.actions.claims import all_of, book, by_keys, capped, judged
from domain.actions.persons import earner
from domain.actions.rules import Claim, Kind, NotOffered, check_instant, check_name
from domain.errors import Code, DomainError
from domain.programs import Network
from domain.programs.actions import NAME_LENGTH_MAX
from domain.scope import Scope

EVENT_ID_LENGTH_MAX = 200


async def claim_follow(scope: Scope, *, customer_id: UUID, network: Network) -> Claim:
    """Note that a customer says they follow the shop on a network, and give the program's points: once for each network, ever.

    Nobody can check it: it is a claim, and the program may hold its points. Saying it again gives the first claim.
    Who was merged with another has said what either has. Precondition: an open transaction. Refusals: NOT_FOUND, ACCOUNT_CLOSED,
    ACTION_NOT_OFFERED.
    """
    owner = await earner(scope, customer_id, ("customerId",))
    await points.hold(scope, owner)
    said = [one for one in await all_of(scope, owner, Kind.FOLLOW) if one.rule == network.value]
    if said:
        # What was given twice, before two customers became one, was taken back from one of them.
        return max(said, key=lambda one: one.deserved)
    key = f"{customer_id}.{network.value}"
    live = await programs.live(scope)
    rule = None if live is None else live.definition.actions.follow(network)
    claim = judged(_claim(scope, Kind.FOLLOW, key, owner, customer_id, network.value, scope.at), live, rule)
    if claim.reason is not None:
        raise NotOffered("The program gives nothing for following on this network.", field=("network",))
    return (await book(scope, [claim]))[key]


async def record_event(
    scope: Scope, *, name: str, customer_id: UUID, occurred_at: datetime, event_id: str, properties: dict[str, Any] | None
) -> Claim:
    """Note an event that a partner tells of, and give what the program in force when it happened gives for it.

    event_id: the partner's own; the same one with the same input gives the first answer. properties belong to that input, and
    are not kept. An event that earns nothing is kept with the reason. Precondition: an open transaction. Refusals: BLANK,
    TOO_LONG and BAD_INPUT for texts, INSTANT_INVALID, NOT_FOUND, ACCOUNT_CLOSED, and IDEMPOTENCY_KEY_REUSED when the id came with
    another input.
    """
    check_name(name, NAME_LENGTH_MAX, ("input", "name"))
    check_name(event_id, EVENT_ID_LENGTH_MAX, ("input", "id"))
    check_instant(scope.at, occurred_at, ("input", "occurredAt"))
    given = [name, str(customer_id), occurred_at, properties]
    remembered = f"event/{event_id}"
    try:
        repeated = await idempotency.earlier(scope, remembered, "eventRecord", given)
    except idempotency.KeyReused as error:
        message = "This event's id was used with another input."
        raise DomainError(message, field=("input", "id"), code=Code.IDEMPOTENCY_KEY_REUSED) from error
    if repeated is not None:
        return (await by_keys(scope, Kind.EVENT, [event_id]))[event_id]
    owner = await earner(scope, customer_id, ("input", "customerId"))
    await points.hold(scope, owner)
    version = await programs.in_force(scope, occurred_at)
    rule = None if version is None else version.definition.actions.event(name)
    claim = judged(_claim(scope, Kind.EVENT, event_id, owner, customer_id, name, occurred_at), version, rule)
    if version is not None and rule is not None:
        zone = version.definition.time_zone
        claim = await capped(scope, claim, zone, per_day=rule.per_day, per_life=rule.per_life)
    booked = (await book(scope, [claim]))[event_id]
    await idempotency.remember(scope, remembered, "eventRecord", given, event_id)
    after = {"event": event_id, "name": name, "points": booked.deserved}
    await audit.record_for_others(scope, "event.recorded", f"gid://loyalnest/Customer/{owner}", after=after)
    return booked


def _claim(scope: Scope, kind: Kind, key: str, owner: UUID, told_of: UUID, rule: str, occurred_at: datetime) -> Claim:
    return Claim(
        kind=kind.value,
        key=key,
        customer_id=owner,
        told_of=told_of,
        rule=rule,
        occurred_at=occurred_at,
        created_at=scope.at,
        program_version=None,
        deserved=0,
        reason=None,
        trace=None,
        spendable_at=occurred_at,
    )
