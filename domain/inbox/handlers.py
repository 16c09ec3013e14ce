"""What is done with deliveries of each kind: whoever enters a function here opens the door to its topics."""

from collections.abc import Sequence

import msgspec

from domain import actions, calendar, customers, identity, orders, points, rewards
from domain.customers import CustomerSnapshot, Profile
from domain.inbox.kinds import TOPICS, Kind
from domain.inbox.persons import accounts, installations, merges, privacy
from domain.inbox.rules import InvalidCustomer, customer_key, order_key
from domain.inbox.waiting import Handler, Waiting
from domain.orders import Deletion, Dispute, Fact, OrderSnapshot, Payment, Refund
from domain.scope import Scope
from domain.seal import unseal


async def _orders(scope: Scope, waiting: Sequence[Waiting]) -> set[str]:
    """Deliveries that carry a whole order."""
    arrivals = [(_order(scope, one), one.payload) for one in waiting]
    await orders.converge(scope, arrivals)
    await rewards.track(scope, [text for _, text in arrivals])
    known = {order_key(snapshot.id) for snapshot, _ in arrivals}
    return known | {customer_key(snapshot.customer.id) for snapshot, _ in arrivals if snapshot.customer}


def _facts(kind: type[Fact]) -> Handler:
    """Deliveries that tell one thing of an order."""

    async def book(scope: Scope, waiting: Sequence[Waiting]) -> tuple[()]:
        facts = [orders.read_fact(one.payload, kind) for one in waiting]
        unknown = await orders.converge(scope, [], facts)
        assert not unknown, "a delivery without its order is parked, and an order that is known stays so"
        # A dispute takes the order's points, and nobody has returned anything: what was spent on it stays spent.
        if kind in (Refund, Payment):
            await rewards.settle_returns(scope, {number for number, fact in facts if not _is_income(fact)})
        return ()

    return book


async def _edits(scope: Scope, waiting: Sequence[Waiting]) -> tuple[()]:
    """An edit names pieces and no prices; the order that is delivered with it carries the whole of what it has become."""
    del scope, waiting
    return ()


async def _customers(scope: Scope, waiting: Sequence[Waiting]) -> set[str]:
    arrivals = [(_customer(one), _profile(scope, one)) for one in waiting]
    await identity.hold_arriving(scope, {one.id for one, _ in arrivals}, customers.verified_terms(scope, arrivals))
    joined = await customers.arrive(scope, arrivals)
    await points.award_signups(scope, joined)
    await identity.claim(scope, {snapshot.id for snapshot, _ in arrivals})
    await identity.unite(scope, {snapshot.id for snapshot, _ in arrivals})
    await actions.meet(scope, {profile.email for _, profile in arrivals if profile.email})
    return {customer_key(snapshot.id) for snapshot, _ in arrivals}


def _is_income(fact: Fact) -> bool:
    return isinstance(fact, Payment) and fact.kind != "refund"


HANDLERS: dict[Kind, Handler] = {
    Kind.CUSTOMERS: _customers,
    Kind.ORDERS: _orders,
    Kind.EDITS: _edits,
    Kind.PAYMENTS: _facts(Payment),
    Kind.REFUNDS: _facts(Refund),
    Kind.DISPUTES: _facts(Dispute),
    Kind.DELETIONS: _facts(Deletion),
    Kind.ACCOUNTS: accounts,
    Kind.MERGES: merges,
    Kind.PRIVACY: privacy,
    Kind.INSTALLATIONS: installations,
}


def handles(topic: str) -> bool:
    """Whether deliveries of this topic are worked off; the door answers and drops the others."""
    return topic in TOPICS and TOPICS[topic] in HANDLERS


def _order(scope: Scope, one: Waiting) -> OrderSnapshot:
    """The order, and of a guest's address only the keyed hash."""
    snapshot, email = orders.parse(one.payload), _profile(scope, one).email
    return snapshot if email is None else orders.with_email(scope, snapshot, email)


def _customer(one: Waiting) -> CustomerSnapshot:
    try:
        snapshot = msgspec.json.decode(one.payload, type=CustomerSnapshot)
    except msgspec.ValidationError as error:
        raise InvalidCustomer(str(error)) from error
    for name, told in (("created_at", snapshot.created_at), ("updated_at", snapshot.updated_at)):
        if not calendar.is_usable(told):
            raise InvalidCustomer(f"{name} needs a time zone, and a year from 1900 to 2999", field=(name,))
    return snapshot


def _profile(scope: Scope, one: Waiting) -> Profile:
    if one.profile is None:
        return Profile()
    return msgspec.json.decode(unseal(scope.merchant_id, "inbox.profile", one.webhook_id, one.profile), type=Profile)
