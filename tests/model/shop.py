"""Orders as a shop keeps them, and what they are worth: integers, a rate, and nothing of the domain."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


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
    changes: int = 0
    paid_at: datetime | None = None

    @property
    def kept_cents(self) -> int:
        """What the customer keeps and has paid for."""
        if self.cancelled:
            return 0
        return max(0, sum(line.cents * line.kept for line in self.lines) - self.goodwill_cents)

    def worth(self, points: int, per: int) -> int:
        """`points` for each `per` whole units of what was kept, rounded down once."""
        return self.kept_cents * points // (per * 100)

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
                {
                    "id": line.id,
                    "price": f"{line.cents // 100}.{line.cents % 100:02d}",
                    "quantity": line.quantity,
                    "current_quantity": line.kept,
                }
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
            "transactions": [
                {
                    "id": number,
                    "kind": "refund",
                    "status": "success",
                    "amount": f"{cents // 100}.{cents % 100:02d}",
                    "currency": "USD",
                }
            ],
        }
        self.refunds.append(refund)
        self.status = "partially_refunded" if self.status == "paid" else self.status
        return refund
