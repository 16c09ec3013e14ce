"""Shopify's deliveries in the API: what came, what waits, what failed and why; and running it again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import quote, unquote

import strawberry

from domain import inbox
from domain.errors import Code, DomainError, NotFound
from domain.inbox import TOPICS, Received, Status
from schema.command import command
from schema.context import Info
from schema.doors import STAFF, STAFF_AND_ADMINS
from schema.enums import describe
from schema.errors import UserError
from schema.identifiers import gid, key_of
from schema.node import Node
from schema.pagination import Connection, check_first, connection, read_cursor

describe(
    Status,
    name="WebhookDeliveryStatus",
    description="How far a delivery of Shopify's has come.",
    values={
        Status.PENDING: "It is to be worked off: at once, or at `dueAt` after an attempt that failed.",
        Status.PARKED: "It waits for an order or a customer that is not known yet, and is worked off when that comes.",
        Status.DONE: "It has been worked off. Its payload is gone.",
        Status.FAILED: "It could not be worked off, and is kept with its payload until somebody runs it again.",
    },
)


@strawberry.type(description="Why a delivery could not be worked off. It quotes nothing of the payload.")
class WebhookDeliveryFailure:
    """Why the last attempt failed."""

    code: Code = strawberry.field(description="The stable code; INTERNAL is a fault of ours.")
    message: str = strawberry.field(description="One sentence for a person.")
    path: str | None = strawberry.field(description="Where in the payload it breaks, such as line_items[0].price.")


@strawberry.type(description="A webhook that Shopify has delivered. What it says is not shown: an order shows what became of it.")
class WebhookDelivery(Node):
    """A delivery."""

    webhook_id: str = strawberry.field(description="Shopify's id of the delivery.")
    topic: str = strawberry.field(description="Its topic, such as orders/create.")
    status: Status = strawberry.field(description="How far it has come.")
    attempts: int = strawberry.field(description="How often it has been tried.")
    failure: WebhookDeliveryFailure | None = strawberry.field(description="Why the last attempt failed; null when none did.")
    waits_for: strawberry.ID | None = strawberry.field(
        description="While it is parked: Shopify's global id of the order or customer that it waits for."
    )
    triggered_at: datetime | None = strawberry.field(description="When Shopify says that it happened.")
    received_at: datetime = strawberry.field(description="When it came.")
    due_at: datetime | None = strawberry.field(description="While it is pending: when it is tried next, at the earliest.")
    request_id: str = strawberry.field(description="The id of the request that brought it, which finds it in the logs.")


def webhook_delivery(row: Received) -> WebhookDelivery:
    """A delivery's row as the API shows it."""
    status = Status(row.status)
    return WebhookDelivery(
        id=strawberry.ID(gid("WebhookDelivery", quote(row.webhook_id, safe=""))),
        webhook_id=row.webhook_id,
        topic=row.topic,
        status=status,
        attempts=row.attempts,
        failure=_failure(row),
        waits_for=_waits_for(row.parent) if status is Status.PARKED else None,
        triggered_at=row.triggered_at,
        received_at=row.received_at,
        due_at=row.due_at if status is Status.PENDING else None,
        request_id=row.request_id,
    )


def _failure(row: Received) -> WebhookDeliveryFailure | None:
    if row.failure is None:
        return None
    # The name of an error of ours is for the logs.
    code = Code.__members__.get(row.failure, Code.INTERNAL)
    return WebhookDeliveryFailure(code=code, message=row.failure_message or "", path=row.failure_path)


def _waits_for(parent: str | None) -> strawberry.ID | None:
    of, _, number = (parent or "").partition("/")
    return strawberry.ID(f"gid://shopify/{of.capitalize()}/{number}") if number else None


async def visible_delivery(info: Info, identifier: str) -> WebhookDelivery | None:
    """The delivery with this global id, for staff; null for everybody else."""
    webhook_id = _webhook_id(identifier)
    if webhook_id is None or info.context.scope.actor.door not in STAFF_AND_ADMINS.doors:
        return None
    row = await inbox.by_webhook_id(info.context.scope, webhook_id)
    return webhook_delivery(row) if row else None


def _webhook_id(identifier: str) -> str | None:
    webhook_id = unquote(key_of("WebhookDelivery", identifier) or "")
    # The door takes no other, and PostgreSQL cannot hold every text.
    return webhook_id if webhook_id and webhook_id.isascii() and webhook_id.isprintable() else None


@strawberry.input(description="Which deliveries to show; all that is given must hold.")
class WebhookDeliveryFilter:
    """Which deliveries."""

    status: Status | None = strawberry.field(default=None, description="Only those that have come so far.")
    topic: str | None = strawberry.field(default=None, description="Only this topic, such as orders/create.")


@strawberry.input(description="Which deliveries to run again; all that is given must hold.")
class WebhookDeliveryRetryFilter:
    """Which deliveries, of one status."""

    status: Status = strawberry.field(default=Status.FAILED, description="Those that have come so far; DONE is refused.")
    topic: str | None = strawberry.field(default=None, description="Only this topic, such as orders/create.")


@strawberry.type(description="The answer to `webhookDeliveryRetry`.")
class WebhookDeliveryRetryPayload:
    """The delivery as it is now."""

    webhook_delivery: WebhookDelivery | None = strawberry.field(default=None, description="The delivery, which is pending now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `webhookDeliveriesRetry`.")
class WebhookDeliveriesRetryPayload:
    """How many."""

    count: int | None = strawberry.field(default=None, description="How many deliveries are pending because of it.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type
class InboxQueries:
    """The queries about deliveries."""

    @strawberry.field(description="What Shopify has delivered, newest first.", extensions=[STAFF_AND_ADMINS])
    async def webhook_deliveries(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        filter: Annotated[WebhookDeliveryFilter | None, strawberry.argument(description="Which deliveries to show.")] = None,
    ) -> Connection[WebhookDelivery]:
        """A page of the inbox."""
        rows_wanted = check_first(first)
        chosen = filter or WebhookDeliveryFilter()
        place = read_cursor(after, tuple[datetime, str])
        if place is not None and not place[1].isprintable():
            raise DomainError("This cursor is not one of this list's.", field=("after",))
        topic = _topic(chosen.topic)
        rows = await inbox.page(info.context.scope, rows_wanted, place, status=chosen.status, topic=topic)
        return connection(rows, first, after, webhook_delivery, lambda row: (row.received_at, row.webhook_id))


@strawberry.type
class InboxMutations:
    """The commands about deliveries."""

    @strawberry.mutation(
        description=(
            "Run a delivery again that failed or waits. It gets one attempt; worked off twice is worked off once. "
            "What it waits for still has to be there."
        ),
        extensions=[STAFF],
    )
    async def webhook_delivery_retry(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The delivery's global id.")]
    ) -> WebhookDeliveryRetryPayload:
        """Make it due, and after the commit tell the workers."""
        payload = await _retry(self, info, id)
        info.context.ring_inbox(info.context.scope.merchant_id)
        return payload

    @strawberry.mutation(
        description="Run all deliveries of a status and topic again, such as all that failed before a fault was mended.",
        extensions=[STAFF],
    )
    async def webhook_deliveries_retry(
        self,
        info: Info,
        filter: Annotated[WebhookDeliveryRetryFilter, strawberry.argument(description="Which deliveries to run again.")],
    ) -> WebhookDeliveriesRetryPayload:
        """Make them due, and after the commit tell the workers."""
        payload = await _retry_all(self, info, filter)
        info.context.ring_inbox(info.context.scope.merchant_id)
        return payload


@command
async def _retry(_: object, info: Info, id: strawberry.ID) -> WebhookDeliveryRetryPayload:
    webhook_id = _webhook_id(id)
    if webhook_id is None:
        raise NotFound("There is no such delivery.", field=("id",))
    return WebhookDeliveryRetryPayload(webhook_delivery=webhook_delivery(await inbox.retry(info.context.scope, webhook_id)))


@command
async def _retry_all(_: object, info: Info, filter: WebhookDeliveryRetryFilter) -> WebhookDeliveriesRetryPayload:
    count = await inbox.retry_all(info.context.scope, filter.status, _topic(filter.topic))
    return WebhookDeliveriesRetryPayload(count=count)


def _topic(topic: str | None) -> str | None:
    if topic is not None and topic not in TOPICS:
        raise DomainError("This is no topic that is received.", field=("filter", "topic"))
    return topic
