"""LoyalNest's math core, compiled from Rust: exact money, the points an order earns and the
discounts a checkout gives.

Everything here is an integer or exact text; what is refused raises `LoyaltyError`. The types and
their units stand in `_native.pyi`.
"""

try:
    from loyalty_native._native import (
        Evaluation,
        LoyaltyError,
        Order,
        Program,
        allocate,
        currency_exponent,
        discount_evaluate,
        discount_query_variables,
        discount_trace_amount,
        money_format,
        money_parse,
        share_floor,
        trace_points,
    )
except ImportError as error:
    raise ImportError(
        "The compiled part of loyalty_native is missing or was built for another Python. "
        "Run ./dev.sh up, which builds it, or: maturin develop --release -m native/python/Cargo.toml"
    ) from error

__all__ = [
    "Evaluation",
    "LoyaltyError",
    "Order",
    "Program",
    "allocate",
    "currency_exponent",
    "discount_evaluate",
    "discount_query_variables",
    "discount_trace_amount",
    "money_format",
    "money_parse",
    "share_floor",
    "trace_points",
]
