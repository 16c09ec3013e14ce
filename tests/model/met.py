"""What lives have met: a machine that meets nothing finds nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping

from tests.model.ledger import ModelAccount
from tests.model.people import ModelPerson
from tests.model.shop import ModelOrder

MET = {
    "a dispute held points",
    "a dispute: lost",
    "a dispute: won",
    "a goal was given",
    "a merge: back-out",
    "a merge: in, with a date",
    "a merge: pending-in",
    "a merge: taken",
    "all expired by inactivity",
    "points came back to a lot that had expired",
    "points expired",
    "several lots were spent at once",
    "somebody was forgotten",
}
"""What the lives of an ordinary run must have met: what they meet four times at least, however the eight come together. What is
rarer is printed and held by tests of its own, such as a sale that is taken back by test_till.py."""


def met(
    accounts: Mapping[ModelPerson, ModelAccount], orders: Iterable[ModelOrder], people: Iterable[ModelPerson]
) -> Counter[str]:
    """How often something that is hard to get right has happened in a life."""
    seen: Counter[str] = Counter(["a life"])
    for account in accounts.values():
        for entry in account.entries:
            lot = account.lots.get(entry.lot or 0)
            if entry.type == "expire":
                seen["points expired" if entry.source == "expiry" else "all expired by inactivity"] += 1
            if entry.type == "redeem" and len(account.taken.get(entry.position, ())) > 1:
                seen["several lots were spent at once"] += 1
            if entry.type == "redeem" and entry.points > 0 and lot and lot.expires_at and lot.expires_at <= entry.occurred_at:
                seen["points came back to a lot that had expired"] += 1
            if entry.source == "merge":
                side = entry.purpose.partition(":")[0]
                seen[f"a merge: {side}" + (", with a date" if side == "in" and entry.expires_at else "")] += 1
            if entry.purpose.startswith("held:"):
                seen["a dispute held points"] += 1
            if entry.source == "goal":
                seen["a goal was given" if entry.points > 0 or entry.pending > 0 else "a goal was taken back"] += 1
            if entry.source in {"sale", "event"} and entry.purpose.startswith("reversed"):
                seen["a sale was taken back"] += 1
    for order in orders:
        seen[f"a dispute: {order.dispute}"] += order.dispute is not None
    seen["somebody was forgotten"] += sum(one.is_erased for one in people)
    return seen
