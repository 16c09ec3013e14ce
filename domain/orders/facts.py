"""What is told of an order by deliveries that are not the order: refunds, payments, disputes, and that it was deleted.

Facts are gathered by their ids and never taken back, so that they end alike in whatever order they come.
"""

from typing import Any

import msgspec

from domain.orders.rules import Amount, InvalidOrder, Payment, Refund

OPEN_DISPUTE = frozenset({"needs_response", "under_review"})
LOST_DISPUTE = frozenset({"charge_refunded", "accepted", "lost"})


class Dispute(msgspec.Struct, frozen=True):
    """A buyer's bank contests a payment. While it is open nothing is decided; when it is lost the amount is gone."""

    id: int
    status: str
    amount: Amount = "0"
    currency: str | None = None
    type: str | None = None


class Facts(msgspec.Struct, frozen=True):
    """All that was told of an order besides its snapshots, by id."""

    refunds: dict[int, Refund] = {}
    payments: dict[int, Payment] = {}
    disputes: dict[int, Dispute] = {}
    deleted: bool = False

    @property
    def is_disputed(self) -> bool:
        """Whether a dispute is open."""
        return any(dispute.status in OPEN_DISPUTE for dispute in self.disputes.values())


class Deletion(msgspec.Struct, frozen=True):
    """The order was deleted in the shop."""

    id: int


Fact = Refund | Payment | Dispute | Deletion

NOTHING = Facts()


def facts_from(text: str | None) -> Facts:
    """Stored facts."""
    return NOTHING if text is None else msgspec.json.decode(text, type=Facts)


def facts_text(facts: Facts) -> str | None:
    """Facts as they are stored: the same facts are always the same text."""
    return None if facts == NOTHING else msgspec.json.encode(facts).decode()


def learn(facts: Facts, fact: Fact) -> Facts:
    """The facts with one more. Of two tellings with one id the one that is further stays, whichever comes first."""
    match fact:
        case Refund():
            return msgspec.structs.replace(facts, refunds=_with(facts.refunds, fact))
        case Payment():
            return msgspec.structs.replace(facts, payments=_with(facts.payments, fact))
        case Dispute():
            return msgspec.structs.replace(facts, disputes=_with(facts.disputes, fact))
        case Deletion():
            return msgspec.structs.replace(facts, deleted=True)


def _with(known: dict[int, Any], fact: Any) -> dict[int, Any]:
    earlier = known.get(fact.id)
    if earlier is not None and _progress(earlier) >= _progress(fact):
        return known
    return dict(sorted({**known, fact.id: fact}.items()))


def _progress(fact: Any) -> tuple[int, bytes]:
    """How far a telling is: an open matter before a settled one, then by text, so that the order is total."""
    status: str | None = getattr(fact, "status", None)
    settled = isinstance(fact, Refund) or (status is not None and status not in OPEN_DISPUTE | {"pending"})
    return int(settled), msgspec.json.encode(fact)


class _OrderNumber(msgspec.Struct, frozen=True):
    order_id: int


def read_fact(text: str, kind: type[Fact]) -> tuple[int, Fact]:
    """A stored delivery as (order number, fact). Raises InvalidOrder with the path of what is wrong."""
    try:
        fact = msgspec.json.decode(text, type=kind)
        if isinstance(fact, Deletion):
            return fact.id, fact
        return msgspec.json.decode(text, type=_OrderNumber).order_id, fact
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from error
