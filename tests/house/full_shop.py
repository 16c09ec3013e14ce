"""A shop with at least one row in every tenant table, and with words in them that can be searched for in an answer."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain import actions, customers, db, identity, installations, memberships, merchants, points, programs, rewards, staff
from domain.access import StaffRole
from domain.actions import Movement, Provider, TillEntry
from domain.customers import CustomerSnapshot, Profile
from domain.installations import Grant
from domain.programs import Actions, Goal, Period, PointsName, Unit
from domain.rewards import Definition, RewardKind
from local.seed import STAFF_USER
from tests.shop import NOON, Shop, order, rate

REFERENCE_TABLES = frozenset(
    {"merchants", "api_keys", "stores", "store_invitations", "admins", "admin_sessions", "platform_audit_entries"}
)
"""What must be unique over all merchants. On Citus these are copied to every node; all else is distributed by merchant."""


@dataclass(frozen=True)
class Full:
    """A shop and what was put into it. `word` stands in every text of the shop and in no other shop's."""

    shop: Shop
    word: str
    customer_id: UUID
    customer_number: int
    order_number: int
    pending_number: int
    key: str
    versions: int
    merged_id: UUID
    export_id: UUID
    reward_id: UUID
    redemption_id: UUID
    reservation_id: UUID
    api_key_id: UUID

    @property
    def email(self) -> str:
        """The customer's address."""
        return f"{self.word}@example.com"

    def marks(self) -> tuple[str, ...]:
        """What must not show in an answer to anybody else."""
        return (self.word, str(self.shop.merchant.id), str(self.customer_id), str(self.customer_number), str(self.order_number))


GOAL = Goal("first hundred", points=5, spend="100.00", currency="USD")


async def _act(shop: Shop, word: str, customer_id: UUID, key: str) -> None:
    """One of every action."""
    scope = shop.scope()
    told = actions.Told(f"{word} 1", f"{word}@example.com", published=True, written_at=NOON, updated_at=NOON)
    sale = TillEntry(key, Movement.SALE, NOON, "10.00", "USD", customer_id, None)
    async with db.transaction(scope):
        await actions.set_birthday(scope, customer_id=customer_id, month=5, day=17, year=1990)
        await actions.set_source(scope, Provider.YOTPO, f"secret of {word} 0123")
        await actions.tell(scope, Provider.YOTPO, told)
        await actions.sync(scope, [sale])


async def fill(shop: Shop, word: str, versions: int = 1) -> Full:
    """Fill every tenant table of the shop."""
    numbers = [abs(hash((word, name))) % 10**9 + 10**9 for name in ("customer", "order", "pending")]
    customer_number, order_number, pending_number = numbers
    for version in range(1, versions + 1):
        lasting = rate(
            version, points_name=PointsName(word, word), points_expire_after=Period(30, Unit.DAYS), actions=Actions(goals=(GOAL,))
        )
        await shop.publish(lasting)
    arrival = CustomerSnapshot(customer_number, NOON, NOON), Profile(f"{word}@example.com", word, word)
    scope = shop.scope()
    async with db.transaction(scope):
        await programs.draft_update(scope, rate(7, points_name=PointsName(word, word)))
        [customer_id] = await customers.arrive(scope, [arrival])
    await shop.deliver("orders/create", order(order_number, customer=customer_number))
    await shop.work()
    async with db.transaction(scope):
        await points.adjust(
            scope, customer_id=customer_id, points=5, reason=f"because {word}", idempotency_key=f"K{pending_number}"
        )
        await points.adjust(
            scope, customer_id=customer_id, points=-1, reason=f"because {word}", idempotency_key=f"L{pending_number}"
        )
    await _act(shop, word, customer_id, f"K{pending_number}")
    async with db.transaction(scope):
        assert await points.warn_of_lots(scope, NOON + timedelta(days=60), None, 1) == customer_id
        merge = await identity.merge(scope, kept=customer_number, gone=customer_number + 1)
        await identity.request_data(scope, customer_number, 1)
        await memberships.set_tier(scope, customer_id=customer_id, tier=f"{word}-tier")
        await memberships.set_segments(scope, customer_id=customer_id, segments=[f"{word}-segment"])
        await customers.met(scope, [customer_number + 1], f"{word}.myshopify.com")
        await staff.assign(scope, user_id=STAFF_USER, role=StaffRole.OWNER)
        await staff.assign(scope, user_id=str(pending_number), role=StaffRole.ANALYST)
        made, _ = await merchants.api_key_create(scope, name=word, scopes=["read"])
    assert merge is not None
    [export] = await identity.exports(scope, 1, None)
    await shop.deliver("orders/create", order(pending_number, customer=customer_number), f"{word}-pending")
    taken = await _take_rewards(shop, word, customer_id)
    key = f"K{pending_number}"
    numbers = (customer_id, customer_number, order_number, pending_number)
    return Full(shop, word, *numbers, key, versions, merge.gone_id, export.id, *taken, made.id)


async def _take_rewards(shop: Shop, word: str, customer_id: UUID) -> tuple[UUID, UUID, UUID]:
    """A pool of coupons, one of which is taken, and points set aside for a checkout. Returns reward, redemption, reservation."""
    scope = shop.scope()
    await installations.install(scope, Grant(word, NOON, word, NOON, "read_orders"))
    async with db.transaction(scope):
        pool = await rewards.create(scope, Definition(RewardKind.COUPON, {"en": word}, points=1))
        await rewards.add_coupons(scope, pool.id, [f"{word}-1", f"{word}-2"])
        await rewards.create(scope, Definition(RewardKind.PAY_WITH_POINTS, {"en": word}, points=1, amount_minor=1))
        taken = await rewards.redeem(scope, customer_id=customer_id, reward_id=pool.id, idempotency_key=f"R{word}")
        held = await rewards.reserve(scope, customer_id=customer_id, points=1, idempotency_key=f"V{word}")
    return pool.id, taken.id, held.id
