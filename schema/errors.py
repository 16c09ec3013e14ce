"""Errors as clients see them: expected ones as `userErrors`, the others coded, and a bug's text never."""

import re
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext

from domain.errors import Code, DomainError
from domain.log import log
from schema.enums import describe

_DESCRIPTIONS = {
    Code.BAD_INPUT: "The request cannot be read: no JSON, no GraphQL, an unknown field, or a value of the wrong type.",
    Code.UNAUTHENTICATED: "The credential is missing, expired or not valid.",
    Code.FORBIDDEN: "The credential is valid but does not open this field.",
    Code.ORIGIN_FOREIGN: "A page of another site shows a credential that is for our own pages and for servers.",
    Code.TOO_LARGE: "The request's body is larger than the server reads.",
    Code.DOCUMENT_REQUIRED: "Customers and staff name a document of our own by its id here, and do not send a text of theirs.",
    Code.DOCUMENT_UNKNOWN: "No document has this id.",
    Code.COST_EXCEEDED: "The operation is too long, too deep or too dear, whoever asks. Ask for less at a time.",
    Code.THROTTLED: "The allowance is used up for the moment. `extensions.cost.throttleStatus` says how fast it comes back.",
    Code.DATA_DAMAGED: (
        "A value that is kept sealed does not open: it was changed or moved where it lies. All else is answered."
    ),
    Code.INTERNAL: "A fault of ours. The request id finds it in the logs.",
    Code.NOT_FOUND: "There is nothing with this id, or it is another merchant's.",
    Code.BLANK: "A text that is needed is empty.",
    Code.TOO_LONG: "A text is longer than allowed.",
    Code.IDEMPOTENCY_KEY_REQUIRED: "The idempotency key is blank.",
    Code.IDEMPOTENCY_KEY_REUSED: "The idempotency key was used before with another input.",
    Code.LAST_OWNER: "The merchant would be left without an owner.",
    Code.LAST_ADMIN: "The platform would be left without anybody who can manage its people.",
    Code.ALREADY_EXISTS: "There is one like this already.",
    Code.SCOPE_UNKNOWN: "A scope that partners' keys cannot have.",
    Code.PASSWORD_WEAK: "The password is too short, or one that everybody tries first.",
    Code.POINTS_ZERO: "No points would move.",
    Code.POINTS_OUT_OF_RANGE: "An amount or a balance would exceed what the ledger holds.",
    Code.INSUFFICIENT_POINTS: "The customer has fewer points than that.",
    Code.ACCOUNT_CLOSED: "The customer is disabled, deleted, merged into another or erased, and neither earns nor spends.",
    Code.MERGE_CONFLICT: "The two cannot be merged, or not taken apart, because of another merge that is in force.",
    Code.MERGE_SPENT: "Points that came by the merge have been spent since, so that it cannot be undone.",
    Code.NOTHING_TO_RESTORE: "The entry spent fewer points than are to be given back, or they have been given back already.",
    Code.PROGRAM_INVALID: "The program's definition breaks a rule; `field` says where.",
    Code.DRAFT_MISSING: "There is no draft.",
    Code.DRAFT_CHANGED: "The draft was changed since the revision given.",
    Code.CURRENCY_UNKNOWN: "No currency of ISO 4217 has this code.",
    Code.TIME_ZONE_UNKNOWN: "The time zone database has no zone of this name.",
    Code.AMOUNT_INVALID: "The text is no amount of the currency.",
    Code.ORDER_INVALID: "The order or cart cannot be read; `field` says where.",
    Code.CUSTOMER_INVALID: "The customer of a delivery cannot be read. It stands in the failure of that delivery.",
    Code.DELIVERY_INVALID: "A delivery does not say what its topic promises. It stands in the failure of that delivery.",
    Code.DELIVERY_DONE: "The delivery has been worked off, and nothing is kept of it to run again.",
    Code.SANDBOX_REQUIRED: "The merchant is no sandbox, and their clock is the real one.",
    Code.CLOCK_BACKWARDS: "The sandbox's clock shows that instant already, and only goes forward.",
    Code.CLOCK_TOO_FAR: "The sandbox's clock would be more than ten years ahead of the real one.",
    Code.STORE_IN_USE: "The shop has something of its own, or is the merchant's already.",
    Code.STORE_DIFFERS: "The two shops have different currencies, or one of them is a sandbox.",
    Code.ACTION_NOT_OFFERED: "The program gives nothing for this.",
    Code.DATE_INVALID: "No calendar has this date, or it lies ahead.",
    Code.INSTANT_INVALID: "An instant has no time zone, has not come yet, or lies before the year 2000.",
    Code.REVIEW_INVALID: "The body is no review of this provider. Met by the provider's webhook, never in an answer of GraphQL.",
    Code.SECRET_INVALID: "The secret is too short, too long, or holds a character that cannot be printed.",
    Code.TOO_MANY: "A list has more items than are taken at once.",
    Code.REWARD_INVALID: "The reward's definition breaks a rule; `field` says which.",
    Code.REWARD_CHANGED: "The reward was edited since the revision given.",
    Code.REWARD_UNAVAILABLE: "The reward is paused, has not started or has ended, or is of a kind that is not taken this way.",
    Code.REWARD_NOT_FOR_CUSTOMER: "The reward is for another tier or segment.",
    Code.REWARD_LIMIT_REACHED: "The customer has taken the reward as often as is allowed.",
    Code.REWARD_OUT_OF_STOCK: "Nothing of the reward is left.",
    Code.REDEMPTION_NOT_CANCELLABLE: "The redemption is used, over, or of a kind that cannot be taken back.",
    Code.POINTS_RESERVED: "The customer has set points aside for a checkout already.",
    Code.HANDLE_INVALID: "A tier or segment is not 1 to 64 small letters, digits, hyphens and underscores.",
}

describe(
    Code,
    name="ErrorCode",
    description="Every code of an error, in `userErrors` and in `errors[].extensions.code`. A code never changes its meaning.",
    values=_DESCRIPTIONS,
)


@strawberry.type(description="Why a command was refused. Nothing was changed.")
class UserError:
    """One refusal of a command."""

    code: Code = strawberry.field(description="The stable code.")
    message: str = strawberry.field(description="One sentence for a person.")
    field: list[str] = strawberry.field(description="The path of the input at fault, outermost first; empty for the whole.")


def user_error(error: DomainError) -> UserError:
    """The refusal of a command as data."""
    return UserError(code=error.code, message=error.message, field=list(error.field))


def formatted(code: Code, message: str, request_id: str) -> dict[str, Any]:
    """A top-level error, for what fails before GraphQL begins."""
    return {"message": message, "extensions": {"code": code.value, "requestId": request_id}}


MISTAKES = (GraphQLError, MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError)
"""What the caller did wrong, in graphql-core's words or Strawberry's: no document, or none of the operations in it."""
_SUGGESTION = re.compile(r" Did you mean [^?]*\?")
"""What graphql-core adds for a guesser. Strawberry's own setting takes it from fields, and leaves it at arguments and values."""


class CodedErrors(MaskErrors):
    """Gives every top-level error a code and the request's id, and keeps the text of bugs to the logs."""

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """The error as the client may see it."""
        cause = error.original_error
        context = self.execution_context.context
        request_id: str = context.scope.request_id if context else ""
        if isinstance(cause, DomainError):
            code, message = cause.code, cause.message
        elif cause is None or isinstance(cause, MISTAKES):
            code, message = Code.BAD_INPUT, _SUGGESTION.sub("", error.message)
        else:
            code, message = Code.INTERNAL, "Something went wrong on our side."
        return GraphQLError(
            message,
            nodes=error.nodes,
            source=error.source,
            positions=error.positions,
            path=error.path,
            extensions={"code": code.value, "requestId": request_id},
        )


def log_bugs(errors: list[GraphQLError], execution_context: ExecutionContext | None) -> None:
    """Write what is no refusal to the log, without the document or its variables."""
    for error in errors:
        cause = error.original_error
        if cause is None or isinstance(cause, (DomainError, *MISTAKES)):
            continue
        context = execution_context.context if execution_context else None
        log.error(
            "graphql.bug",
            request_id=context.scope.request_id if context else None,
            path=error.path,
            error=type(cause).__name__,
            exc_info=cause,
        )
