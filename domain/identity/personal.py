"""Where something of a person is kept: one list, by which all of it is forgotten and told.

Whoever adds a table or a column says here what it keeps of a person, or in tests/house/test_personal.py that it keeps nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from domain import actions, customers, db
from domain.customers import Customer
from domain.damage import Damaged
from domain.scope import Scope
from domain.seal import unseal

INBOX = "inbox"
"""The one table whose rows do not say whose they are: the inbox finds them by what its deliveries are about."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a table keeps of customers.

    customer: the column with our id of the customer. forgotten: each column that says who somebody is, with the SQL that stands
    there once that is forgotten. sealed: those of them that are sealed JSON, with the column by whose value they are sealed.
    told: further columns that belong into the answer to somebody who asks what is kept of them; documents: JSON among them.
    deleted: the rows are nothing but what says who somebody is, and go as a whole.
    """

    customer: str | None
    forgotten: Mapping[str, str]
    sealed: Mapping[str, str] = field(default_factory=dict[str, str])
    told: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    deleted: bool = False


PERSONAL: dict[str, Kept] = {
    "action_claims": Kept(
        "customer_id", {}, told=("kind", "key", "rule", "occurred_at", "deserved", "reason", "posted_points", "posted_pending")
    ),
    "action_spendings": Kept("customer_id", {}, told=("key", "currency", "spent_minor", "placed_at", "paid_at")),
    "action_totals": Kept("customer_id", {}, told=("goal", "spent_minor")),
    # When the next gift is due is the birthday, but for the year.
    "birthdays": Kept(
        "customer_id",
        {"sealed": "null", "due_at": "null", "due_when_open": "null"},
        sealed={"sealed": "customer_id"},
        told=("set_at", "changes"),
    ),
    "customers": Kept(
        "id",
        {"profile": "null", "email_term": "null"},
        sealed={"profile": "id"},
        told=("id", "shopify_id", "state", "created_at", "joined_at", "merged_into"),
    ),
    "customer_exports": Kept("customer_id", {"content": "null"}, told=("requested_at", "taken_at")),
    "customer_terms": Kept("customer_id", {}, deleted=True),
    "customer_merges": Kept("gone_id", {}, told=("kept_id", "merged_at", "undone_at")),
    # A shop may call a segment what it will.
    "memberships": Kept("customer_id", {"tier": "null", "segments": "'{}'"}, told=("tier", "segments", "tier_at", "segments_at")),
    "points_accounts": Kept("customer_id", {}, told=("customer_id", "balance", "pending", "closed")),
    "points_lots": Kept("customer_id", {}, told=("lot", "points", "remaining", "expired", "expires_at")),
    "points_notices": Kept(
        "customer_id", {}, told=("position", "number", "kind", "payload", "occurred_at"), documents=("payload",)
    ),
    "redemptions": Kept(
        "customer_id",
        {},
        told=("id", "reward_id", "kind", "points", "status", "code", "expires_at", "order_id", "created_at", "updated_at"),
    ),
    "reservations": Kept(
        "customer_id", {}, told=("id", "points", "status", "points_used", "order_id", "created_at", "expires_at")
    ),
    "points_transactions": Kept(
        "customer_id",
        {},
        told=("position", "occurred_at", "type", "points", "pending", "balance_after", "source", "external_id", "reason"),
    ),
    "orders": Kept(
        "customer_id",
        {"email_term": "null"},
        told=("shopify_id", "created_at", "snapshot", "facts", "deserved", "reason", "posted_points", "posted_pending"),
        documents=("snapshot", "facts"),
    ),
    "reviews": Kept(
        "customer_id", {"email_term": "null"}, told=("provider", "review_id", "published", "written_at", "updated_at")
    ),
    "till_entries": Kept(
        "customer_id", {}, told=("client_id", "kind", "sale_id", "currency", "amount_minor", "occurred_at", "received_at")
    ),
    INBOX: Kept(None, {"profile": "null"}),
}
"""Each table that keeps something of a person. Ids and points alone say nothing of who somebody is, and stay in the ledger."""


async def forget(scope: Scope, customer_ids: Collection[UUID] | None) -> None:
    """Forget who these customers are, or who all of the shop are, in every table but the inbox. Precondition: a transaction."""
    # Reviews that nobody has been found for bear an address, and are found by it while it is known.
    people = await customers.by_ids(scope, list(customer_ids or ()))
    await actions.forget_writers(scope, {email for one in people.values() if (email := _email(one))})
    wanted = None if customer_ids is None else list(customer_ids)
    async with db.connection(scope) as connection:
        for table, kept in PERSONAL.items():
            whose = f"merchant_id = $1 and ($2::uuid[] is null or {kept.customer} = any ($2))"
            if kept.deleted:
                await connection.execute(f"delete from {table} where {whose}", scope.merchant_id, wanted)
            if kept.customer is None or not kept.forgotten:
                continue
            sets = ", ".join(f"{column} = {value}" for column, value in kept.forgotten.items())
            # Rows of which nothing is known any more are not written again, so that repeating costs nothing.
            known = " or ".join(f"{column} is distinct from {value}" for column, value in kept.forgotten.items())
            await connection.execute(f"update {table} set {sets} where {whose} and ({known})", scope.merchant_id, wanted)


def _email(customer: Customer) -> str | None:
    try:
        return customer.profile().email
    except Damaged:
        # Who asks to be forgotten is forgotten, also when somebody has tampered with what says who they are.
        return None


async def everything(scope: Scope, customer_ids: Collection[UUID]) -> dict[str, list[dict[str, Any]]]:
    """All that is kept of customers, table by table, opened where it is sealed. Keyed hashes say nothing and are left out.

    Where something does not open stands `{"damaged": true}`: who asked is told of all the rest, and that there is this.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for table, kept in PERSONAL.items():
        columns = [*kept.told, *kept.sealed]
        if kept.customer is None or not columns:
            continue
        names = ", ".join(dict.fromkeys([*columns, *kept.sealed.values()]))
        async with db.connection(scope) as connection:
            rows = await connection.fetch(
                f"select {names} from {table} where merchant_id = $1 and {kept.customer} = any ($2) order by {names}",
                scope.merchant_id,
                list(customer_ids),
            )
        found[table] = [_opened(scope, table, kept, dict(row)) for row in rows]
    return found


def _opened(scope: Scope, table: str, kept: Kept, row: dict[str, Any]) -> dict[str, Any]:
    for column, key in kept.sealed.items():
        if row[column] is not None:
            try:
                row[column] = msgspec.Raw(unseal(scope.merchant_id, f"{table}.{column}", str(row[key]), row[column]))
            except Damaged:
                row[column] = {"damaged": True}
    for column in kept.documents:
        if row[column] is not None:
            row[column] = msgspec.Raw(row[column].encode())
    return row
