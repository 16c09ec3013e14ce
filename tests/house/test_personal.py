"""What of a person is kept where: every column is in the list by which it is forgotten, or is named here as free of it."""

import asyncpg

from domain.identity.personal import PERSONAL
from tests.house.full_shop import REFERENCE_TABLES
from tests.house.test_catalog import TENANT_TABLES, partitions

Connection = asyncpg.Connection  # type: ignore[type-arg]

FREE = {
    # The shop and its partners are no customers.
    "merchants": {"id", "shop_domain", "name", "currency", "created_at", "sandbox", "clock_offset"},
    "stores": {"shop_domain", "merchant_id", "connected_at"},
    "store_invitations": {"shop_domain", "merchant_id", "invited_at"},
    # Keys are ids: of the customer, of a goal, of a provider's review, of a partner's event, of a till's sale.
    "action_claims": {
        *("kind", "key", "customer_id", "told_of", "rule", "occurred_at", "created_at", "program_version", "deserved"),
        *("reason", "trace"),
        *("spendable_at", "matures_at", "posted_points", "posted_pending", "revision", "lots", "pending_entry", "absorbed"),
        *("forgiven", "expired_elsewhere"),
    },
    "action_spendings": {
        *("key", "customer_id", "program_version", "currency", "spent_minor", "placed_at", "paid_at"),
    },
    # A goal is named by the shop.
    "action_totals": {"customer_id", "goal", "spent_minor"},
    "birthdays": {"customer_id", "set_at", "changes", "occasions"},
    "api_keys": {
        *("id", "key_hash", "name", "created_at", "expires_at", "revoked_at"),
        *("scopes", "created_by", "last_used_at", "replaces"),
    },
    # Ids, instants and figures. Staff stand in them by the id of their login.
    "audit_entries": {"origin", "id", "at", "actor", "action", "subject", "before", "after", "request_id"},
    "customer_terms": {"customer_id"},
    "customer_exports": {"id", "customer_id", "request_id", "requested_at", "taken_at", "taken_by"},
    "customer_merges": {
        *("id", "gone_id", "kept_id", "job_id", "merged_at", "undone_at"),
        *("gone_state", "kept_joined_at", "redirected", "signup", "orders", "claims"),
    },
    # Shopify's number stays, so that what is delivered late finds that its customer was erased.
    "customers": {"id", "shopify_id", "created_at", "joined_at", "snapshot_updated_at", "state", "state_at", "merged_into"},
    "idempotency_keys": {"key", "command", "input_hash", "result", "created_at"},
    # The door lets ids, instants and figures through; all that is personal is in the profile.
    "inbox": {
        *("webhook_id", "topic", "kind", "parent", "payload", "triggered_at", "received_at", "due_at", "request_id", "status"),
        *("attempts", "failure", "failure_message", "failure_path"),
    },
    "orders": {
        *("shopify_id", "customer_id", "currency", "created_at", "snapshot", "snapshot_updated_at", "program_version", "history"),
        *("deserved", "reason", "trace", "paid_at", "matures_at", "posted_points", "posted_pending", "revision", "lots"),
        *("pending_entry", "absorbed", "forgiven", "seized", "facts", "claimed_by", "waiting", "expired_elsewhere"),
    },
    "outbox": {"id", "event", "payload", "created_at"},
    "points_accounts": {"customer_id", "balance", "pending", "version", "last_hash", "active_at", "closed"},
    "points_lot_moves": {"customer_id", "position", "lot", "points"},
    "points_lots": {"customer_id", "lot", "points", "remaining", "expired", "expires_at"},
    "points_notices": {"customer_id", "position", "number", "kind", "cause", "payload", "occurred_at"},
    # A reason is written by staff, who are told to name nobody; it is hashed into the chain and cannot be taken out of it.
    "points_transactions": {
        *("customer_id", "position", "type", "points", "pending", "balance_after", "pending_after", "source", "external_id"),
        *("purpose", "program_version", "reason", "actor", "trace", "occurred_at", "digest", "hash", "lot", "reverses"),
        *("expires_at", "shares"),
    },
    "memberships": {"customer_id", "tier_at", "segments_at", "revision"},
    # Of which shop a number is.
    "customer_shops": {"shopify_id", "shop_domain", "told_at"},
    "coupons": {"reward_id", "code", "added_at", "redemption_id"},
    "installations": {
        *("access_token", "expires_at", "refresh_token", "refresh_expires_at", "scopes", "revision", "renewing_until"),
        *("installed_at", "uninstalled_at", "webhooks_due_at"),
    },
    "redemptions": {
        *("id", "customer_id", "reward_id", "kind", "definition", "points", "position", "status", "code", "expires_at"),
        *("shopify_id", "order_id", "failure", "created_at", "updated_at", "due_at", "attempts", "shop_domain"),
        "customer_number",
        "points_returned",
    },
    "reservations": {
        *("id", "customer_id", "reward_id", "definition", "points", "position", "status", "points_used", "order_id"),
        *("created_at", "expires_at", "due_at", "points_returned"),
    },
    "rewards": {
        *("id", "kind", "definition", "status", "stock", "revision", "created_at", "updated_at", "shopify_id", "due_at"),
        "elsewhere",
    },
    # The digest is Shopify's, of figures.
    "standings": {"customer_id", "wanted", "written", "digest", "due_at", "attempts"},
    "program_drafts": {"definition", "revision", "updated_at", "updated_by"},
    "review_sources": {"provider", "secret", "set_at"},
    "reviews": {
        *("provider", "review_id", "published", "written_at", "updated_at", "received_at", "customer_id", "due_at"),
    },
    # Of the merchant's staff a Shopify user id is kept, and of our own people sealed addresses: they are no customers.
    "staff_members": {"user_id", "role", "updated_at", "updated_by"},
    "data_keys": {"purpose", "id", "wrapped", "master", "created_at", "active_from"},
    "admins": {
        *("id", "email", "email_term", "name", "role", "networks", "password_hash", "totp_secret", "totp_step", "failures"),
        *("locked_until", "created_at", "disabled_at"),
    },
    "admin_sessions": {
        *("id", "admin_id", "refresh_hash", "created_at", "refreshed_at", "expires_at", "revoked_at", "origin"),
    },
    "platform_audit_entries": {"id", "at", "actor", "action", "subject", "before", "after", "request_id", "origin"},
    "schedules": {"job", "due_at", "wakes_at", "attempts", "failure"},
    "till_entries": {
        *("client_id", "kind", "sale_id", "customer_id", "currency", "amount_minor", "occurred_at", "received_at", "actor"),
    },
    "program_versions": {"version", "definition", "effective_from", "published_at", "published_by"},
}
"""The columns of every table, but for merchant_id, that say nothing of who a customer is."""


async def columns(owner: Connection) -> dict[str, set[str]]:
    rows = await owner.fetch(
        """
        select table_name, column_name from information_schema.columns
        where table_schema = 'public' and table_name <> 'migration'
        """
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["table_name"], set()).add(row["column_name"])
    return {table: names for table, names in found.items() if table not in await partitions(owner)}


async def test_every_column_is_forgotten_or_free_of_persons(owner: Connection) -> None:
    found = await columns(owner)
    assert set(found) == TENANT_TABLES | REFERENCE_TABLES
    for table, names in found.items():
        kept = set(PERSONAL[table].forgotten) if table in PERSONAL else set()
        free = FREE.get(table, set())
        if table in PERSONAL and PERSONAL[table].deleted:
            # What is personal of it goes with the whole row.
            kept = names - free - {"merchant_id"}
        assert kept & free == set(), table
        assert kept | free | {"merchant_id"} == names | {"merchant_id"}, table


async def test_the_list_names_columns_that_are_there(owner: Connection) -> None:
    found = await columns(owner)
    for table, kept in PERSONAL.items():
        named = {*kept.forgotten, *kept.sealed, *kept.sealed.values(), *kept.told, *([kept.customer] if kept.customer else [])}
        assert named <= found[table], table
        assert set(kept.sealed) <= set(kept.forgotten), table
        assert set(kept.documents) <= set(kept.told), table


async def test_whatever_names_a_customer_is_told_to_them(owner: Connection) -> None:
    """A table that is left out says why."""
    naming = {table for table, names in (await columns(owner)).items() if "customer_id" in names}
    assert naming - set(PERSONAL) == {
        # What checkout was told of them: figures that are told already.
        "standings",
        # Which lot an entry took from: the entries and the lots are told.
        "points_lot_moves",
    }
