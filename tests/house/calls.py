"""The calls that try one shop's door with another shop's things, by root field: a new root field has to stand here."""

import itertools
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from schema.pagination import cursor_of
from tests.house.full_shop import Full

NODES = (
    "Customer",
    "CustomerExport",
    "Order",
    "PointsReservation",
    "PointsTransaction",
    "Program",
    "Redemption",
    "Reward",
    "WebhookDelivery",
)
LISTS = (
    "actionClaims",
    "apiKeys",
    "auditEntries",
    "customerExports",
    "customers",
    "pointsTransactions",
    "programVersions",
    "redemptions",
    "rewards",
    "staffMembers",
    "webhookDeliveries",
)
_keys = itertools.count(1)


@dataclass(frozen=True)
class Thing:
    """The ids under which a caller asks: a shop's own, or such as exist nowhere."""

    customer: str
    customer_number: str
    order_number: str
    transaction: str
    program: str
    delivery: str
    merged: str
    export: str
    reward: str
    redemption: str
    reservation: str
    email: str
    cursors: dict[str, str]
    key: str
    shop: str
    member: str
    api_key: str

    @classmethod
    def of(cls, full: Full, cursors: dict[str, str]) -> "Thing":
        """What a shop has."""
        return cls(
            f"gid://loyalnest/Customer/{full.customer_id}",
            str(full.customer_number),
            str(full.order_number),
            f"gid://loyalnest/PointsTransaction/{full.customer_id}.1",
            f"gid://loyalnest/Program/{full.versions}",
            f"gid://loyalnest/WebhookDelivery/{full.word}-pending",
            f"gid://loyalnest/Customer/{full.merged_id}",
            f"gid://loyalnest/CustomerExport/{full.export_id}",
            f"gid://loyalnest/Reward/{full.reward_id}",
            f"gid://loyalnest/Redemption/{full.redemption_id}",
            f"gid://loyalnest/PointsReservation/{full.reservation_id}",
            full.email,
            cursors,
            full.key,
            full.shop.merchant.shop_domain,
            str(full.pending_number),
            f"gid://loyalnest/ApiKey/{full.api_key_id}",
        )

    @classmethod
    def nowhere(cls, cursors: dict[str, str]) -> "Thing":
        """What nobody has."""
        nobody = uuid4()
        return cls(
            f"gid://loyalnest/Customer/{nobody}",
            "999999999999",
            "999999999998",
            f"gid://loyalnest/PointsTransaction/{nobody}.1",
            "gid://loyalnest/Program/99",
            f"gid://loyalnest/WebhookDelivery/{nobody}",
            f"gid://loyalnest/Customer/{nobody}",
            f"gid://loyalnest/CustomerExport/{nobody}",
            f"gid://loyalnest/Reward/{nobody}",
            f"gid://loyalnest/Redemption/{nobody}",
            f"gid://loyalnest/PointsReservation/{nobody}",
            "nobody@example.com",
            cursors,
            f"fresh {next(_keys)}",
            "nowhere.myshopify.com",
            "999999999997",
            f"gid://loyalnest/ApiKey/{nobody}",
        )

    def nodes(self) -> dict[str, str]:
        """A global id of each type."""
        return {
            "Customer": self.customer,
            "CustomerExport": self.export,
            "Order": f"gid://loyalnest/Order/{self.order_number}",
            "PointsTransaction": self.transaction,
            "Program": self.program,
            "WebhookDelivery": self.delivery,
            "Reward": self.reward,
            "Redemption": self.redemption,
            "PointsReservation": self.reservation,
        }


Call = tuple[str, dict[str, Any]]
EVENT = {"name": "probe", "occurredAt": "2026-03-02T12:00:00Z"}
SALE = {"movement": "SALE", "occurredAt": "2026-03-02T12:00:00Z", "amount": "1.00", "currency": "USD"}
POOL = {"kind": "COUPON", "names": [{"locale": "en", "text": "A pool"}], "points": 1}
CART = {"currency": "USD", "lines": [{"unitPrice": "10", "productId": "1", "collectionIds": ["2"]}]}


def with_ids(thing: Thing) -> dict[str, list[dict[str, Any]]]:
    """The calls that name a thing by an id, a word or a number: root field → sets of arguments."""
    return {
        "customer": [{"id": thing.customer}, {"shopifyId": thing.customer_number}],
        "customers": [
            {"first": 10, "query": thing.email},
            {"first": 10, "query": thing.customer_number},
            {"first": 10, "query": thing.email.partition("@")[0]},
        ],
        "pointsTransactions": [{"first": 10, "filter": {"orderId": thing.order_number}}],
        "order": [{"shopifyId": thing.order_number}, {"shopifyId": f"gid://shopify/Order/{thing.order_number}"}],
        "program": [{"version": int(thing.program.rpartition("/")[2] or 0)}],
        "node": [{"id": identifier} for identifier in thing.nodes().values()],
        "pointsAdjust": [
            {"customerId": thing.customer, "points": amount, "reason": "probe", "idempotencyKey": f"probe {next(_keys)}"}
            for amount in (1, -1)
        ],
        "webhookDeliveryRetry": [{"id": thing.delivery}],
        "storeJoin": [{"shopDomain": thing.shop}],
        "storeRemove": [{"shopDomain": thing.shop}],
        "customerMergeUndo": [{"id": thing.merged}],
        "customerExportTake": [{"id": thing.export}],
        "customerTierSet": [{"customerId": thing.customer, "tier": tier} for tier in ("gold", None)],
        "customerSegmentsSet": [{"customerId": thing.customer, "segments": ["probe"]}],
        "actionClaims": [{"first": 10, "customerId": thing.customer}],
        "customerBirthday": [{"customerId": thing.customer}],
        "customerBirthdaySet": [{"customerId": thing.customer, "month": 2, "day": 28, "year": 1990}],
        "eventRecord": [{"input": {**EVENT, "customerId": thing.customer, "id": f"probe {next(_keys)}"}}],
        "pointsSync": [{"entries": [{**SALE, "customerId": thing.customer, "clientId": "probe"}]}],
        "rewards": [{"first": 10, "customerId": thing.customer}],
        "redemptions": [{"first": 10, "customerId": thing.customer}],
        "rewardUpdate": [{"id": thing.reward, "input": POOL}, {"id": thing.reward, "input": POOL, "revision": 1}],
        "rewardCouponsAdd": [{"rewardId": thing.reward, "codes": ["probe"]}],
        "rewardRedeem": [
            {"rewardId": thing.reward, "customerId": thing.customer, "idempotencyKey": f"probe {next(_keys)}"} | more
            for more in ({}, {"shopDomain": thing.shop})
        ],
        "redemptionCancel": [{"id": thing.redemption}],
        "pointsReserve": [{"customerId": thing.customer, "points": 1, "idempotencyKey": f"probe {next(_keys)}"}],
        "reservationRelease": [{"id": thing.reservation}],
        "redemptionUpdated": [{"id": thing.redemption}],
        "balanceUpdated": [{"customerId": thing.customer}, {"customerId": thing.customer, "since": 0}],
        "pointsBalance": [
            {"customerId": thing.customer},
            {"customerId": thing.customer, "asOf": "2026-03-02T12:00:00Z"},
            {"customerId": thing.customer, "asOf": "2100-01-01T00:00:00Z"},
        ],
        "customerActivity": [{"customerId": thing.customer}, {"customerId": thing.customer, "since": cursor_of((0, 0))}],
        "staffRoleRemove": [{"userId": thing.member}],
        "apiKeyRotate": [{"id": thing.api_key}, {"id": thing.api_key, "overlapHours": 1}],
        "apiKeyRevoke": [{"id": thing.api_key}],
    }


def without_ids(own: Thing, foreign: Thing) -> dict[str, list[dict[str, Any]]]:
    """The calls that name nothing of the other shop, or only a place in a list or a key: they act on the caller's own."""
    return {
        "customer": [{}],
        "customers": [{"first": 10}, {"first": 10, "after": foreign.cursors["customers"]}],
        "pointsTransactions": [{"first": 10}, {"first": 10, "after": foreign.cursors["pointsTransactions"]}],
        "program": [{}],
        "programVersions": [{"first": 10}, {"first": 10, "after": foreign.cursors["programVersions"]}],
        "programDraft": [{}],
        "webhookDeliveries": [
            {"first": 10},
            {"first": 10, "filter": {"status": "PENDING", "topic": "orders/create"}},
            {"first": 10, "after": foreign.cursors["webhookDeliveries"]},
        ],
        "customerExports": [{"first": 10}, {"first": 10, "after": foreign.cursors["customerExports"]}],
        "webhookDeliveriesRetry": [{"filter": {"status": "PENDING"}}],
        "simulateOrder": [{"order": CART}, {"order": CART, "draft": True}],
        # The other shop's key is a key like any other here.
        "pointsAdjust": [{"customerId": own.customer, "points": 3, "reason": "own", "idempotencyKey": foreign.key}],
        "programPublish": [{"revision": 1}, {}],
        "programDraftUpdate": [{"input": {"holdDays": 3}}, {"input": {"holdDays": 4}, "revision": 1}],
        "programDraftDiscard": [{}],
        "balanceUpdated": [{}],
        "pointsBalance": [{}],
        "customerActivity": [{}],
        "merchant": [{}],
        "webhooksCheck": [{}],
        "storeInvite": [{"shopDomain": "alder-outlet.myshopify.com"}],
        "actionClaims": [
            {"first": 10},
            {"first": 10, "kind": "SALE"},
            {"first": 10, "after": foreign.cursors["actionClaims"]},
        ],
        "customerBirthday": [{}],
        "socialFollowClaim": [{"network": "INSTAGRAM"}],
        "reviewSourceSet": [{"provider": "JUDGEME", "secret": "a secret of my own"}],
        # The other shop's client ids are ids like any other here.
        "pointsSync": [{"entries": [{**SALE, "customerId": own.customer, "clientId": foreign.key}]}],
        "rewards": [{"first": 10}, {"first": 10, "after": foreign.cursors["rewards"]}],
        "redemptions": [
            {"first": 10, "status": "ISSUED"},
            {"first": 10, "after": foreign.cursors["redemptions"]},
        ],
        "rewardCreate": [{"input": POOL}],
        "pointsReserve": [{"customerId": own.customer, "points": 1, "idempotencyKey": f"{foreign.key} reserve"}],
        # Neither shop is a sandbox, so that both calls are refused, as data.
        "sandboxClockAdvance": [{"days": 1}, {"until": "2100-01-01T00:00:00Z"}],
        "viewer": [{}],
        "staffMembers": [{"first": 10}, {"first": 10, "after": foreign.cursors["staffMembers"]}],
        "apiKeys": [{"first": 10}, {"first": 10, "after": foreign.cursors["apiKeys"]}],
        "auditEntries": [
            {"first": 10},
            {"first": 10, "after": foreign.cursors["auditEntries"]},
            {"first": 10, "filter": {"subject": f"api_key:{foreign.api_key.rpartition('/')[2]}"}},
        ],
        "staffRoleAssign": [{"userId": foreign.member, "role": "SUPPORT"}],
        "apiKeyCreate": [{"name": "own", "scopes": ["READ"], "expiresAt": None}],
    }


PLATFORM: dict[str, list[dict[str, Any]]] = {
    "merchants": [{"first": 10}, {"first": 10, "after": None, "query": "beech"}],
    "admins": [{"first": 10}, {"first": 10, "after": None}],
    "adminCreate": [{"email": "a@example.com", "name": "A", "role": "FULL", "networks": []}],
    "adminUpdate": [{"id": "gid://loyalnest/Admin/x", "name": "A", "role": "FULL", "networks": []}],
    "adminDisable": [{"id": "gid://loyalnest/Admin/x"}],
    "adminReset": [{"id": "gid://loyalnest/Admin/x"}],
    "adminPasswordChange": [{"current": "x", "password": "y"}],
    "auditRecorded": [{}, {"filter": {}, "since": "gid://loyalnest/AuditEntry/x"}],
}
"""The fields of the platform's own people, which are closed to every caller of a merchant."""
