from collections.abc import Sequence
from typing import final

class LoyaltyError(ValueError):
    """An input that the math core refuses.

    `str(error)` is a sentence that begins with the path.
    """

    code: str
    """Stable name of the refusal: `JSON_INVALID`, `FIELD_MISSING`, `FIELD_UNKNOWN`, `FIELD_TYPE`,
    `VALUE_INVALID`, `VALUE_NEGATIVE`, `VALUE_ZERO`, `VALUE_TOO_LARGE`, `ID_DUPLICATE`, `ID_RESERVED`,
    `CURRENCY_UNKNOWN`, `CURRENCY_MISMATCH`, `AMOUNT_INVALID`, `AMOUNT_PRECISION`,
    `MULTIPLIER_BELOW_ONE`, `FRACTION_TOO_FINE`, `OVERFLOW` or `TRACE_INCONSISTENT`."""
    path: str
    """The refused field, such as `rules[0].rate.per`; empty where the whole input is meant."""

@final
class Order:
    """A normalised order or cart (`native/order.schema.json`), read once and never changed."""

    @staticmethod
    def from_json(data: bytes | str) -> Order:
        """Read an order.

        Amounts are decimal text in the order's currency and are read exactly. Fields that are not
        known are refused.

        Raises LoyaltyError with the path of the field: `JSON_INVALID`, `FIELD_*`, `VALUE_*`, `ID_*`,
        `CURRENCY_UNKNOWN`, `AMOUNT_*`, `OVERFLOW`.
        """

@final
class Evaluation:
    """What one order earns under one version of a program."""

    @property
    def points(self) -> int:
        """Points of the whole order, rounded once, after caps."""
    @property
    def reason(self) -> str | None:
        """Why the points are zero, and None when they are not: `PROGRAM_OFF`, `TEST_ORDER`,
        `NO_CUSTOMER`, `NOTHING_ELIGIBLE`, `NOTHING_COUNTED`, `NO_RULE_FIRED`,
        `CURRENCY_WITHOUT_RATE`, `ROUNDED_TO_ZERO` or `CAPPED_TO_ZERO`."""
    @property
    def base_minor(self) -> int:
        """What counted as spent, in minor units of the order's currency.

        Where tenders or refunds without a line take a share away, this is rounded down for show; the
        points come from the exact share.
        """
    @property
    def lines(self) -> list[tuple[str, int]]:
        """Line id and points, in the order of the lines; the points add up to `points`.

        Where the program counts them, the parts `shipping` and `tip` stand at the end.
        """
    def trace(self) -> bytes:
        """The explanation as JSON (`native/trace.schema.json`), with its fields in a fixed order.

        It is computed when asked for. Raises LoyaltyError: `OVERFLOW`.
        """

@final
class Program:
    """One published version of a program, read and checked once."""

    def __init__(self, definition: bytes | str, version: int) -> None:
        """Read a program's JSON (`native/program.schema.json`); `version` is carried into traces.

        Raises LoyaltyError with the path of the field: `JSON_INVALID`, `FIELD_*`, `VALUE_*`,
        `ID_DUPLICATE`, `CURRENCY_UNKNOWN`, `AMOUNT_*`, `MULTIPLIER_BELOW_ONE`,
        `FRACTION_TOO_FINE`.
        """
    @property
    def version(self) -> int: ...
    def evaluate(self, order: Order) -> Evaluation:
        """Evaluate one order. Raises LoyaltyError: `OVERFLOW`."""
    def evaluate_batch(self, orders: Sequence[Order]) -> list[Evaluation]:
        """Evaluate orders in their order, with the GIL released.

        Raises LoyaltyError for the first order that cannot be evaluated, with `orders[i]` in its
        path: `OVERFLOW`.
        """
    def points_batch(self, orders: Sequence[Order]) -> list[int]:
        """The points of each order alone: the fast path, without lines and traces.

        Equal to `[e.points for e in evaluate_batch(orders)]`, and raises the same.
        """

def trace_points(trace: bytes | str) -> int:
    """The points that follow from a trace's own numbers, each of which is computed again.

    Raises LoyaltyError: `TRACE_INCONSISTENT` at the first number that does not follow; `JSON_INVALID`,
    `FIELD_*`, `VALUE_*` for what is no trace; `OVERFLOW`.
    """

def money_parse(amount: str, currency: str) -> int:
    """Minor units of an amount in decimal text: `("199.00", "USD")` is 19900. A sign is allowed.

    Raises LoyaltyError: `CURRENCY_UNKNOWN`, `AMOUNT_INVALID`, `AMOUNT_PRECISION` for digits other than
    zero beyond the currency's decimals, `OVERFLOW` beyond 64 bits.
    """

def money_format(minor: int, currency: str) -> str:
    """The decimal text of minor units, with all decimals: `(-5, "USD")` is `-0.05`.

    Raises LoyaltyError: `CURRENCY_UNKNOWN`.
    """

def currency_exponent(currency: str) -> int:
    """Decimals of a currency by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD.

    Raises LoyaltyError: `CURRENCY_UNKNOWN`.
    """

def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of a total in proportion to weights, by the largest remainder, the earlier first among equals.

    The parts add up to the total. Raises LoyaltyError: `VALUE_NEGATIVE`; `VALUE_ZERO` when there is a total and no weight;
    `OVERFLOW`.
    """

def share_floor(amount: int, part: int, whole: int) -> int:
    """`amount × part / whole`, rounded towards minus infinity.

    Raises LoyaltyError: `VALUE_ZERO` or `VALUE_NEGATIVE` for a whole that is not positive; `VALUE_NEGATIVE` for a negative
    part; `OVERFLOW`.
    """

def discount_evaluate(case: bytes | str) -> str:
    """What one discount takes off one cart, as JSON with sorted keys, every amount in minor units of the cart's currency.

    The case is `{"config", "customer", "cart", "classes"}`: the two metafields as objects or as their text
    (`shopify_functions/schemas/`), the cart as in `shopify_functions/schemas/cart.schema.json`, and the discount's classes,
    all three when left out. Every offer is listed with what it takes and the numbers that follow from, or with its `reason`.

    Raises LoyaltyError with the path of the field when the config or the cart is refused: `JSON_INVALID`, `FIELD_*`,
    `VALUE_*`, `ID_DUPLICATE`, `CURRENCY_UNKNOWN`, `AMOUNT_*`, `OVERFLOW`. A customer that cannot be read is a guest whose
    offers say `CUSTOMER_UNREADABLE`, as in checkout.
    """

def discount_query_variables(config: bytes | str) -> str:
    """The metafield `$app:function-variables` that belongs to a discount's config, as JSON text.

    Raises LoyaltyError as `discount_evaluate` does for a config.
    """

def discount_trace_amount(trace: bytes | str) -> int:
    """The discount of `discount_evaluate`'s answer in minor units, computed again from the numbers it records.

    Raises LoyaltyError: `TRACE_INCONSISTENT` where a number does not follow from the others; `JSON_INVALID`, `FIELD_*` and
    `VALUE_*` for what is no trace.
    """
