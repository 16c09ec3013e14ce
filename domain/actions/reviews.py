"""Reviews: what their providers tell, who wrote them, and what they earn while they are published."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from domain import audit, customers, db, points, programs
from domain.actions.claims import book, by_keys, capped, judged
from domain.actions.persons import earners
from domain.actions.rules import EARLIEST, Claim, Kind, Reason
from domain.customers import Standing, State
from domain.damage import Damaged
from domain.errors import Code, DomainError
from domain.scope import Scope
from domain.seal import match_term, seal, unseal

SECRET_LENGTH_MIN = 16
SECRET_LENGTH_MAX = 200
REVIEW_ID_LENGTH_MAX = 100
LATEST = datetime(3000, 1, 1, tzinfo=UTC)


class Provider(StrEnum):
    """Whose reviews."""

    JUDGEME = "judgeme"
    YOTPO = "yotpo"


class InvalidReview(DomainError):
    """The body is no review that we can read."""

    code = Code.REVIEW_INVALID


@dataclass(frozen=True, slots=True)
class Told:
    """What a delivery tells of a review. email is personal, and not kept."""

    review_id: str
    email: str | None
    published: bool
    written_at: datetime
    updated_at: datetime


async def set_source(scope: Scope, provider: Provider, secret: str) -> None:
    """Keep the secret with which a provider proves itself, in place of an earlier one; audited, without the secret.

    Refusal: SECRET_INVALID.
    """
    if not SECRET_LENGTH_MIN <= len(secret) <= SECRET_LENGTH_MAX or not secret.isascii() or not secret.isprintable():
        raise DomainError(
            f"A secret has {SECRET_LENGTH_MIN} to {SECRET_LENGTH_MAX} printable characters of ASCII.",
            field=("secret",),
            code=Code.SECRET_INVALID,
        )
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into review_sources (merchant_id, provider, secret, set_at) values ($1, $2, $3, $4)
            on conflict (merchant_id, provider) do update set secret = excluded.secret, set_at = excluded.set_at
            """,
            scope.merchant_id,
            provider.value,
            seal(scope.merchant_id, "review_sources.secret", provider.value, secret.encode()),
            scope.at,
        )
    await audit.record(scope, "review_source.set", f"review source/{provider.value}")


async def proves(scope: Scope, provider: Provider, body: bytes, proof: str) -> bool:
    """Whether a delivery comes from the provider: for Judge.me the hex of the body's HMAC-SHA256, for Yotpo the secret itself.

    False too when the merchant has set no secret, or the one that is kept does not open: it is to be set anew then.
    docs/adr/0015 says why the two differ.
    """
    async with db.connection(scope) as connection:
        sealed = await connection.fetchval(
            "select secret from review_sources where merchant_id = $1 and provider = $2", scope.merchant_id, provider.value
        )
    # Without a secret the same work is done, so that the time does not tell.
    secret = None if sealed is None else _secret(scope, provider, sealed)
    known = secret or b""
    expected = hmac.digest(known, body, "sha256").hex().encode() if provider is Provider.JUDGEME else known
    return hmac.compare_digest(expected, proof.encode()) and secret is not None


def _secret(scope: Scope, provider: Provider, sealed: bytes) -> bytes | None:
    try:
        return unseal(scope.merchant_id, "review_sources.secret", provider.value, sealed)
    except Damaged:
        return None


def read(provider: Provider, body: bytes) -> Told:
    """What a provider's webhook tells. Raises InvalidReview, whose message quotes nothing of the body."""
    try:
        if provider is Provider.JUDGEME:
            return _judgeme(msgspec.json.decode(body, type=_JudgemeBody, strict=False).review)
        yotpo = msgspec.json.decode(body, type=_YotpoBody, strict=False)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidReview("The body is no review of this provider.") from error
    return _yotpo(yotpo)


class _Reviewer(msgspec.Struct):
    email: str | None = None


class _JudgemeReview(msgspec.Struct):
    id: str | int
    created_at: datetime
    updated_at: datetime
    published: bool
    hidden: bool | None = None
    reviewer: _Reviewer | None = None


class _JudgemeBody(msgspec.Struct):
    review: _JudgemeReview


class _YotpoReview(msgspec.Struct):
    id: str | int
    created_at: str
    updated_at: str
    customer_email: str | None = None
    archived: bool | None = None
    deleted: bool | None = None
    escalated: bool | None = None
    published: bool | None = None


class _YotpoBody(msgspec.Struct):
    event: str
    data: _YotpoReview


def _judgeme(review: _JudgemeReview) -> Told:
    shown = review.published and not review.hidden
    email = review.reviewer.email if review.reviewer else None
    return _told(review.id, email, shown, review.created_at, review.updated_at)


def _yotpo(body: _YotpoBody) -> Told:
    """Yotpo tells of a review's birth and of its changes; that it is shown is a change, so a birth alone publishes nothing."""
    review = body.data
    hidden = review.archived or review.deleted or review.escalated or review.published is False
    shown = body.event == "review_updated" and not hidden
    return _told(review.id, review.customer_email, shown, _instant(review.created_at), _instant(review.updated_at))


def _number(given: str | int) -> str:
    text = str(given)
    if not 0 < len(text) <= REVIEW_ID_LENGTH_MAX or not text.isascii() or not text.isprintable():
        raise InvalidReview("The review's id cannot be kept.")
    return text


def _instant(text: str) -> datetime:
    """Yotpo writes instants in two ways: 2018-02-20 14:12:13 UTC, and 2024-02-20T21:31:13.000Z."""
    try:
        return datetime.fromisoformat(text.removesuffix(" UTC") + "Z" if text.endswith(" UTC") else text)
    except ValueError as error:
        raise InvalidReview("The review's instants cannot be read.") from error


def _told(number: str | int, email: str | None, shown: bool, written_at: datetime, updated_at: datetime) -> Told:
    for instant in (written_at, updated_at):
        if instant.tzinfo is None or not EARLIEST <= instant <= LATEST:
            raise InvalidReview("The review's instants need a time zone and are of this millennium.")
    return Told(_number(number), email, shown, written_at, updated_at)


async def tell(scope: Scope, provider: Provider, told: Told) -> bool:
    """Keep what a delivery tells of a review, in one statement, and make it due. Returns whether it is news.

    Of two tellings the later one stays, and of two from the same instant the one that does not publish: whichever comes first.
    """
    email = (told.email or "").strip()
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            insert into reviews (
                merchant_id, provider, review_id, email_term, published, written_at, updated_at, received_at, due_at
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
            on conflict (merchant_id, provider, review_id) do update set
                email_term = coalesce(reviews.email_term, excluded.email_term), published = excluded.published,
                updated_at = excluded.updated_at, due_at = excluded.due_at
            where (excluded.updated_at, not excluded.published) > (reviews.updated_at, not reviews.published)
            """,
            scope.merchant_id,
            provider.value,
            told.review_id,
            match_term(scope.merchant_id, email) if email else None,
            told.published,
            told.written_at,
            told.updated_at,
            scope.at,
        )
    return status == "INSERT 0 1"


async def meet(scope: Scope, emails: Collection[str]) -> None:
    """Make due the reviews of people who have just become known under these addresses. Precondition: the transaction of that."""
    if not emails:
        return
    async with db.connection(scope) as connection:
        # By itself, so that the statement after it sees what was set aside while this one waited.
        await connection.execute("select pg_advisory_xact_lock_shared(hashtextextended($1, 0))", _lock(scope))
        await connection.execute(
            "update reviews set due_at = $3 where merchant_id = $1 and email_term = any ($2) and customer_id is null",
            scope.merchant_id,
            [match_term(scope.merchant_id, email) for email in emails],
            scope.at,
        )


async def look_again(scope: Scope, customer_ids: Collection[UUID]) -> None:
    """Make due the reviews of customers whose account is being opened. Whoever works on one waits for that, and sees it open."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update reviews set due_at = $3 where merchant_id = $1 and (provider, review_id) in (
                select r.provider, r.review_id from reviews r where r.merchant_id = $1 and r.customer_id = any ($2)
                for update skip locked
            )
            """,
            scope.merchant_id,
            list(customer_ids),
            scope.at,
        )


async def forget_writers(scope: Scope, emails: Collection[str]) -> None:
    """Forget that reviews without a known writer came from these addresses. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update reviews set email_term = null where merchant_id = $1 and email_term = any ($2)",
            scope.merchant_id,
            [match_term(scope.merchant_id, email) for email in emails],
        )


async def settle_reviews(scope: Scope, limit: int) -> int:
    """Give for reviews that were published, and take back what was given for those that are not any more; at most `limit`.

    A review whose writer is unknown waits for them. Returns how many were looked at. Precondition: an open transaction that
    holds no account. Running it twice is running it once.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select provider, review_id, email_term, published, written_at, customer_id from reviews
            where merchant_id = $1 and due_at <= $2 order by due_at, provider, review_id limit $3 for update skip locked
            """,
            scope.merchant_id,
            scope.at,
            limit,
        )
        if not rows:
            return 0
        # Whoever makes a customer known holds this lock until they can be seen: after it, nobody is overlooked.
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", _lock(scope))
        terms = {row["email_term"] for row in rows if row["customer_id"] is None and row["email_term"] is not None}
        found = await customers.by_email_terms(scope, terms)
        writers: list[UUID | None] = [row["customer_id"] or found.get(row["email_term"]) for row in rows]
        standing = await earners(scope, writers)
        await points.hold_all(scope, {one.id for one in standing.values()})
        for row, writer in zip(rows, writers, strict=True):
            if writer is not None:
                await _settle(scope, row, writer, standing[writer])
        await connection.execute(
            """
            update reviews r set due_at = null, customer_id = n.customer_id
            from unnest($2::text[], $3::text[], $4::uuid[]) as n (provider, review_id, customer_id)
            where r.merchant_id = $1 and r.review_id = any ($3) and r.provider = n.provider and r.review_id = n.review_id
            """,
            scope.merchant_id,
            [row["provider"] for row in rows],
            [row["review_id"] for row in rows],
            writers,
        )
    return len(rows)


async def _settle(scope: Scope, row: Any, writer: UUID, owner: Standing) -> None:
    """Book one review. Of a closed account nothing is given: its reviews are due again when it is opened."""
    key = f"{row['provider']}/{row['review_id']}"
    claim = (await by_keys(scope, Kind.REVIEW, [key])).get(key)
    if not row["published"]:
        if claim is not None and claim.deserved:
            await book(scope, [replace(claim, deserved=0, reason=Reason.NOT_PUBLISHED)])
        return
    if claim is not None and (claim.deserved or claim.reason != Reason.NOT_PUBLISHED):
        return
    if owner.state is not State.OPEN:
        return
    version = await programs.in_force(scope, row["written_at"])
    rule = None if version is None else version.definition.actions.review
    fresh = Claim(
        kind=Kind.REVIEW.value,
        key=key,
        customer_id=owner.id,
        told_of=writer,
        rule=row["provider"],
        occurred_at=row["written_at"],
        created_at=scope.at,
        program_version=None,
        deserved=0,
        reason=None,
        trace=None,
        spendable_at=row["written_at"],
    )
    claim = judged(claim or fresh, version, rule)
    if version is not None and rule is not None:
        zone = version.definition.time_zone
        claim = await capped(scope, claim, zone, per_day=rule.per_day, per_life=rule.per_life, across=True)
    await book(scope, [claim])


def _lock(scope: Scope) -> str:
    return f"{scope.merchant_id}/reviews"
