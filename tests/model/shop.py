"""A program, orders and sales as a shop keeps them, and what they are worth: integers, a rate, and nothing of the domain."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain.programs import Clawback

MONTHS_A_YEAR = 12


@dataclass(frozen=True)
class ModelProgram:
    """What the shop promises: points for each unit, days of hold, what becomes of spent points, and how long points last."""

    rate: int
    hold_days: int
    policy: Clawback
    grace_days: int
    expire_after: tuple[int, str] | None
    inactivity_days: int | None
    zone: str
    signup: int
    event_points: int
    goal_cents: int
    goal_points: int
    goal_times: int

    def expires_at(self, since: datetime) -> datetime | None:
        """The end of the local day on which points expire that could be spent from an instant on, or None for never."""
        if self.expire_after is None:
            return None
        count, unit = self.expire_after
        day = since.astimezone(ZoneInfo(self.zone)).date()
        return self._end_of(_months_later(day, count) if unit == "months" else day + timedelta(days=count))

    def inactive_at(self, since: datetime) -> datetime:
        """When everything expires of who was active last at an instant."""
        assert self.inactivity_days is not None
        return self._end_of(since.astimezone(ZoneInfo(self.zone)).date() + timedelta(days=self.inactivity_days))

    def _end_of(self, day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(self.zone))


def _months_later(day: date, count: int) -> date:
    """The same day of a later month, or that month's last day."""
    months = day.year * MONTHS_A_YEAR + day.month - 1 + count
    for number in range(day.day, 0, -1):
        try:
            return date(months // MONTHS_A_YEAR, months % MONTHS_A_YEAR + 1, number)
        except ValueError:
            continue
    raise AssertionError("every month has a first day")


@dataclass
class ModelLine:
    """A line: price of one piece in cents, pieces ordered, taken back by refunds, taken off by edits."""

    id: int
    cents: int
    quantity: int
    returned: int = 0
    removed: int = 0

    @property
    def kept(self) -> int:
        """The pieces that are left."""
        return self.quantity - self.returned - self.removed


@dataclass
class ModelOrder:
    """An order and its history as Shopify would tell it."""

    number: int
    customer: int
    created_at: datetime
    lines: list[ModelLine]
    status: str = "pending"
    guest: str | None = None
    """The address of who has ordered without an account; `customer` is then whose address it is."""
    is_known: bool = False
    """Whether something of it has been delivered."""
    is_claimed: bool = False
    was_returned: bool = False
    """Whether it may have been another's by a merge that was undone: what that one had spent of it is not taken from them."""
    cancelled: bool = False
    goodwill_cents: int = 0
    refunds: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dispute: str | None = None
    disputed_cents: int = 0
    changes: int = 0
    paid_at: datetime | None = None

    @property
    def kept_cents(self) -> int:
        """What the customer keeps and has paid for."""
        if self.cancelled:
            return 0
        lost = self.disputed_cents if self.dispute == "lost" else 0
        return max(0, sum(line.cents * line.kept for line in self.lines) - self.goodwill_cents - lost)

    @property
    def is_disputed(self) -> bool:
        """Whether the bank has not decided yet."""
        return self.dispute == "needs_response"

    def worth(self, rate: int) -> int:
        """`rate` points for each whole unit of what was kept, rounded down once."""
        return self.kept_cents * rate // 100

    def payload(self) -> dict[str, Any]:
        """The order as Shopify's webhook has it after its newest change."""
        self.changes += 1
        changed_at = self.created_at + timedelta(seconds=self.changes)
        if self.status == "paid":
            self.paid_at = self.paid_at or changed_at
        return {
            "id": self.number,
            "created_at": self.created_at.isoformat(),
            "updated_at": changed_at.isoformat(),
            "currency": "USD",
            "financial_status": self.status,
            "test": False,
            "taxes_included": False,
            "customer": None if self.guest else {"id": self.customer},
            "email": self.guest or "somebody@example.com",
            "cancelled_at": changed_at.isoformat() if self.cancelled else None,
            "line_items": [
                {"id": line.id, "price": money(line.cents), "quantity": line.quantity, "current_quantity": line.kept}
                for line in self.lines
            ],
            "refunds": list(self.refunds),
        }

    def refund(self, lines: list[tuple[ModelLine, int]], goodwill_cents: int) -> dict[str, Any]:
        """Take pieces back, and give money back besides. Returns the refund as its own webhook has it."""
        cents = goodwill_cents
        for line, pieces in lines:
            line.returned += pieces
            cents += line.cents * pieces
        self.goodwill_cents += goodwill_cents
        number = self.number * 100 + len(self.refunds) + 1
        refund = {
            "id": number,
            "order_id": self.number,
            "refund_line_items": [
                {"id": number, "line_item_id": line.id, "quantity": pieces, "subtotal": line.cents * pieces / 100}
                for line, pieces in lines
            ],
            "transactions": [{"id": number, "kind": "refund", "status": "success", "amount": money(cents), "currency": "USD"}],
        }
        self.refunds.append(refund)
        self.status = "partially_refunded" if self.status == "paid" else self.status
        return refund

    def disputed(self, status: str, cents: int) -> dict[str, Any]:
        """The buyer's bank contests a payment, or has decided. Returns what the dispute's webhook has."""
        self.dispute, self.disputed_cents = status, cents
        return {
            "id": self.number,
            "order_id": self.number,
            "type": "chargeback",
            "status": status,
            "amount": money(cents),
            "currency": "USD",
        }


@dataclass
class ModelSale:
    """A sale at a till that is not Shopify's, and what was given back of it."""

    key: str
    customer: int
    cents: int
    at: datetime
    is_known: bool = False
    """Whether the till was told that it is taken over."""
    returned_cents: int = 0

    @property
    def kept_cents(self) -> int:
        """What was not given back; a till may give back more than it took."""
        return max(0, self.cents - self.returned_cents)


def money(cents: int) -> str:
    """An amount as shops write it."""
    return f"{cents // 100}.{cents % 100:02d}"
