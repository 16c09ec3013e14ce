"""By which words customers are found: keyed hashes in a table of their own, because behind row-level security PostgreSQL asks an
index only for what it knows to leak nothing, and of arrays that hold others it knows no such thing (docs/adr/0028).
"""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from domain import db
from domain.customers.rules import Profile, opened, words
from domain.damage import Damaged
from domain.scope import Scope
from domain.seal import match_term, search_term, search_terms

_LAST = UUID(int=2**128 - 1)
_UNDER_ONE_KEY = """
    (
        select t.customer_id from customer_terms t where t.merchant_id = $1 and t.customer_id < $2 and t.term = {term}
        order by t.customer_id desc limit $3
    )
"""
# A word that many have is read in the order of the index, and no further than the page goes.
HAVING_ONE = f"""
    {_UNDER_ONE_KEY.format(term="$4")} union {_UNDER_ONE_KEY.format(term="$5")} order by customer_id desc limit $3
"""
HAVING_ALL = """
    select t.customer_id from customer_terms t where t.merchant_id = $1 and t.customer_id < $2 and t.term = any ($4)
    group by t.customer_id
    having count(*) filter (where t.term = any ($5)) = $7 or count(*) filter (where t.term = any ($6)) = $7
    order by t.customer_id desc limit $3
"""
HAVING_ANY = "select distinct t.customer_id from customer_terms t where t.merchant_id = $1 and t.term = any ($2)"


def of(scope: Scope, shopify_id: int, profile: Profile) -> set[bytes]:
    """By what a customer is found: words to search for, and the address as reviews keep it, whose key never turns."""
    found = {search_term(scope.merchant_id, word) for word in words(shopify_id, profile)}
    return found | ({match_term(scope.merchant_id, profile.email)} if profile.email else set())


async def write(scope: Scope, customer_id: UUID, terms: Iterable[bytes]) -> None:
    """Let the customer be found by these terms and by no others. Precondition: their row is held by this transaction."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            with gone as (
                delete from customer_terms where merchant_id = $1 and customer_id = $2 and term <> all ($3)
            )
            insert into customer_terms (merchant_id, customer_id, term) select $1, $2, unnest($3) on conflict do nothing
            """,
            scope.merchant_id,
            customer_id,
            list(terms),
        )


async def having_all(scope: Scope, wanted: Collection[str], first: int, after: UUID | None) -> list[UUID]:
    """The ids of at most `first` customers who have every one of these words, newest first, from behind `after`.

    Precondition: there is at least one word.
    """
    distinct = {word.casefold() for word in wanted}
    async with db.connection(scope) as connection:
        present, other = search_terms(scope.merchant_id, distinct)
        page = scope.merchant_id, after or _LAST, first
        if len(distinct) == 1:
            rows = await connection.fetch(HAVING_ONE, *page, *present, *other)
        else:
            rows = await connection.fetch(HAVING_ALL, *page, list({*present, *other}), present, other, len(distinct))
    return [row["customer_id"] for row in rows]


async def having_any(scope: Scope, terms: Collection[bytes]) -> list[UUID]:
    """The ids of the customers who have one of these terms."""
    if not terms:
        return []
    async with db.connection(scope) as connection:
        rows = await connection.fetch(HAVING_ANY, scope.merchant_id, list(terms))
    return [row["customer_id"] for row in rows]


async def reindex(scope: Scope, batch: int) -> tuple[int, int]:
    """Keep every customer's terms under the present key. Safe to repeat.

    Returns how many were under another one, and how many customers have a profile that does not open.
    """
    rewritten, damaged, after = 0, 0, None
    while True:
        async with db.connection(scope) as connection:
            rows = await connection.fetch(
                """
                select c.id, c.shopify_id, c.profile, array(
                    select t.term from customer_terms t where t.merchant_id = $1 and t.customer_id = c.id
                ) as terms
                from customers c
                where c.merchant_id = $1 and ($2::uuid is null or c.id > $2) and c.state <> 'redacted' order by c.id limit $3
                """,
                scope.merchant_id,
                after,
                batch,
            )
            for row in rows:
                try:
                    terms = of(scope, row["shopify_id"], opened(scope.merchant_id, row["id"], row["profile"]))
                except Damaged:
                    # Their words cannot be known: they are found by the terms that are there, for as long as that key is.
                    damaged += 1
                    continue
                if terms != set(row["terms"]):
                    rewritten += 1
                    await _rewrite(scope, connection, row, terms)
        if not rows:
            return rewritten, damaged
        after = rows[-1]["id"]


async def _rewrite(scope: Scope, connection: db.Connection, row: Any, terms: set[bytes]) -> None:
    # Only of what was read: whoever changed the profile meanwhile wrote the terms of the new one.
    await connection.execute(
        """
        with held as (
            select id from customers where merchant_id = $1 and id = $2 and profile is not distinct from $4 for no key update
        ), gone as (
            delete from customer_terms t using held where t.merchant_id = $1 and t.customer_id = held.id and t.term <> all ($3)
        )
        insert into customer_terms (merchant_id, customer_id, term)
        select $1, held.id, unnest($3) from held on conflict do nothing
        """,
        scope.merchant_id,
        row["id"],
        list(terms),
        row["profile"],
    )
