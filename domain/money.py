"""The thin face of the core's money: amounts are integers in minor units, decimal text at the edges.

There is no second implementation and no float: `loyalty_native` parses, formats and knows the exponents of ISO 4217.
"""

from loyalty_native import LoyaltyError, currency_exponent, money_format, money_parse

from domain.errors import Code, DomainError


class UnknownCurrency(DomainError):
    """No currency of ISO 4217 has this code."""

    code = Code.CURRENCY_UNKNOWN


class InvalidAmount(DomainError):
    """The text is no amount of the currency: not a number, too many decimals, or too large."""

    code = Code.AMOUNT_INVALID


def parse(amount: str, currency: str, *, field: tuple[str, ...] = ()) -> int:
    """Decimal text in `currency` as minor units: ("19.99", "USD") is 1999, ("1200", "JPY") is 1200.

    Raises UnknownCurrency or InvalidAmount.
    """
    try:
        return money_parse(amount, currency)
    except LoyaltyError as error:
        refusal = UnknownCurrency if error.code == "CURRENCY_UNKNOWN" else InvalidAmount
        raise refusal(str(error), field=field) from error


def render(minor: int, currency: str) -> str:
    """Minor units as decimal text with the currency's exponent: (1999, "USD") is "19.99"."""
    return money_format(minor, currency)


def require_currency(currency: str, *, field: tuple[str, ...] = ()) -> None:
    """Raises UnknownCurrency unless ISO 4217 has the code."""
    try:
        currency_exponent(currency)
    except LoyaltyError as error:
        raise UnknownCurrency(str(error), field=field) from error
