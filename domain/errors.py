"""Expected refusals. Each has a code that never changes; a message may."""

from enum import StrEnum


class Code(StrEnum):
    """Every code that a client can meet, in `userErrors { code }` and in `errors[].extensions.code`."""

    # The request as a whole.
    BAD_INPUT = "BAD_INPUT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    ORIGIN_FOREIGN = "ORIGIN_FOREIGN"
    TOO_LARGE = "TOO_LARGE"
    DOCUMENT_REQUIRED = "DOCUMENT_REQUIRED"
    DOCUMENT_UNKNOWN = "DOCUMENT_UNKNOWN"
    COST_EXCEEDED = "COST_EXCEEDED"
    THROTTLED = "THROTTLED"
    DATA_DAMAGED = "DATA_DAMAGED"
    INTERNAL = "INTERNAL"
    # Any command.
    NOT_FOUND = "NOT_FOUND"
    BLANK = "BLANK"
    TOO_LONG = "TOO_LONG"
    IDEMPOTENCY_KEY_REQUIRED = "IDEMPOTENCY_KEY_REQUIRED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    # Roles, keys and accounts.
    LAST_OWNER = "LAST_OWNER"
    LAST_ADMIN = "LAST_ADMIN"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    SCOPE_UNKNOWN = "SCOPE_UNKNOWN"
    PASSWORD_WEAK = "PASSWORD_WEAK"  # noqa: S105 -- a code
    # Points.
    POINTS_ZERO = "POINTS_ZERO"
    POINTS_OUT_OF_RANGE = "POINTS_OUT_OF_RANGE"
    INSUFFICIENT_POINTS = "INSUFFICIENT_POINTS"
    NOTHING_TO_RESTORE = "NOTHING_TO_RESTORE"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    MERGE_CONFLICT = "MERGE_CONFLICT"
    MERGE_SPENT = "MERGE_SPENT"
    # Programs and orders.
    PROGRAM_INVALID = "PROGRAM_INVALID"
    DRAFT_MISSING = "DRAFT_MISSING"
    DRAFT_CHANGED = "DRAFT_CHANGED"
    CURRENCY_UNKNOWN = "CURRENCY_UNKNOWN"
    TIME_ZONE_UNKNOWN = "TIME_ZONE_UNKNOWN"
    AMOUNT_INVALID = "AMOUNT_INVALID"
    ORDER_INVALID = "ORDER_INVALID"
    CUSTOMER_INVALID = "CUSTOMER_INVALID"
    # Deliveries.
    DELIVERY_INVALID = "DELIVERY_INVALID"
    DELIVERY_DONE = "DELIVERY_DONE"
    # Sandboxes.
    SANDBOX_REQUIRED = "SANDBOX_REQUIRED"
    CLOCK_BACKWARDS = "CLOCK_BACKWARDS"
    CLOCK_TOO_FAR = "CLOCK_TOO_FAR"
    # Several shops of one merchant.
    STORE_IN_USE = "STORE_IN_USE"
    STORE_DIFFERS = "STORE_DIFFERS"
    # Actions.
    ACTION_NOT_OFFERED = "ACTION_NOT_OFFERED"
    DATE_INVALID = "DATE_INVALID"
    INSTANT_INVALID = "INSTANT_INVALID"
    REVIEW_INVALID = "REVIEW_INVALID"
    SECRET_INVALID = "SECRET_INVALID"  # noqa: S105 -- a code
    TOO_MANY = "TOO_MANY"
    # Rewards.
    REWARD_INVALID = "REWARD_INVALID"
    REWARD_CHANGED = "REWARD_CHANGED"
    REWARD_UNAVAILABLE = "REWARD_UNAVAILABLE"
    REWARD_NOT_FOR_CUSTOMER = "REWARD_NOT_FOR_CUSTOMER"
    REWARD_LIMIT_REACHED = "REWARD_LIMIT_REACHED"
    REWARD_OUT_OF_STOCK = "REWARD_OUT_OF_STOCK"
    REDEMPTION_NOT_CANCELLABLE = "REDEMPTION_NOT_CANCELLABLE"
    POINTS_RESERVED = "POINTS_RESERVED"
    HANDLE_INVALID = "HANDLE_INVALID"


class DomainError(Exception):
    """A refusal that the caller can act on.

    code: stable, one of `Code`. message: one sentence for a person. field: the path into the input, outermost first.
    """

    code: Code = Code.BAD_INPUT

    def __init__(self, message: str, *, field: tuple[str, ...] = (), code: Code | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code or self.code


class NotFound(DomainError):
    """The thing named is not there, or is another merchant's: the answer is the same."""

    code = Code.NOT_FOUND
