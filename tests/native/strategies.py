"""Random programs and orders, small enough that their parts meet often."""

from typing import Any

from hypothesis import strategies as st
from reference import EXPONENTS

Json = dict[str, Any]

CURRENCIES = sorted(EXPONENTS)
PRODUCTS = ["tea", "cup", "pot"]
COLLECTIONS = ["drinks", "table"]
TAGS = ["sale", "new"]
TIERS = ["silver", "gold"]
SEGMENTS = ["champions", "loyal", "at_risk"]


def decimal_text(minor: int, currency: str) -> str:
    exponent = EXPONENTS[currency]
    digits = str(minor).rjust(exponent + 1, "0")
    return f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits


def amounts(currency: str, largest_units: int = 300) -> st.SearchStrategy[str]:
    minor = st.integers(0, largest_units * 10 ** EXPONENTS[currency])
    return minor.map(lambda minor: decimal_text(minor, currency))


def some_of(names: list[str], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique=True, min_size=least, max_size=2)


def choices() -> st.SearchStrategy[Json]:
    by_name = {"products": PRODUCTS, "collections": COLLECTIONS, "tags": TAGS}
    return st.one_of([some_of(names, 1).map(lambda some, key=key: {key: some}) for key, names in by_name.items()])


def conditions() -> st.SearchStrategy[Json]:
    """At most a few, so that many rules do fire."""
    times = st.integers(0, 20)
    possible = {
        "tiers": some_of(TIERS, 1),
        "segments": some_of(SEGMENTS, 1),
        "countries": some_of(["DE", "US"], 1),
        "first_purchase_within_hours": st.integers(1, 48),
        "minimum": st.integers(1, 400).map(str),
        "starts_at": times.map(lambda at: at * 3600),
        "ends_at": times.map(lambda at: (at + 30) * 3600),
        "only": choices(),
        "except": choices(),
    }
    names = st.lists(st.sampled_from(sorted(possible)), unique=True, max_size=2)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: possible[name] for name in chosen}))


def rates() -> st.SearchStrategy[Json]:
    per = st.sampled_from([1, 2, 5, 10, 100, 7])
    return st.fixed_dictionaries({"points": st.integers(1, 30), "per": per})


def rules() -> st.SearchStrategy[list[Json]]:
    points = st.integers(1, 300)
    kinds: list[st.SearchStrategy[Json]] = [
        st.fixed_dictionaries(
            {"kind": st.just("per_currency_unit"), "rate": rates()},
            optional={"rates": st.dictionaries(st.sampled_from(CURRENCIES), rates(), max_size=2)},
        ),
        st.fixed_dictionaries({"kind": st.just("per_item"), "points": points}),
        st.fixed_dictionaries({"kind": st.just("per_order"), "points": points}),
        st.fixed_dictionaries(
            {"kind": st.just("goal_spend"), "points": points, "goal": st.sampled_from(["100", "49.5", "7"])},
            optional={"repeat": st.booleans()},
        ),
    ]
    multiplied = st.one_of(st.just({}), st.booleans().map(lambda is_so: {"multiplied": is_so}))
    rule = st.builds(lambda *halves: halves[0] | halves[1] | halves[2], st.one_of(kinds), conditions(), multiplied)
    return st.lists(rule, min_size=1, max_size=4).map(numbered)


def numbered(items: list[Json]) -> list[Json]:
    return [item | {"id": f"item {index}"} for index, item in enumerate(items)]


def factors() -> st.SearchStrategy[Json]:
    return st.sampled_from([(1, 1), (5, 4), (3, 2), (2, 1), (10, 3)]).map(lambda pair: {"num": pair[0], "den": pair[1]})


def multipliers() -> st.SearchStrategy[Json]:
    item = st.builds(lambda factor, when: {"source": "campaign", "factor": factor} | when, factors(), conditions())
    return st.fixed_dictionaries(
        {"items": st.lists(item, max_size=4).map(numbered)},
        optional={"stacking": st.sampled_from(["best_of", "additive"]), "cap": factors()},
    )


def programs() -> st.SearchStrategy[Json]:
    flag = st.booleans()
    base = st.fixed_dictionaries(
        {},
        optional={
            "discounts": st.sampled_from(["after", "before"]),
            "tax": flag,
            "shipping": flag,
            "tips": flag,
            "gift_cards": flag,
            "tenders": st.fixed_dictionaries({}, optional={"gift_card": flag, "store_credit": flag}),
        },
    )
    return st.fixed_dictionaries(
        {"rules": rules()},
        optional={
            "enabled": st.sampled_from([True, True, True, False]),
            "currency": st.sampled_from(CURRENCIES),
            "base": base,
            "rounding": st.sampled_from(["floor", "ceil", "half_up", "half_even"]),
            "multipliers": multipliers(),
            "caps": st.fixed_dictionaries({}, optional={"per_order": st.integers(0, 900), "per_day": st.integers(0, 900)}),
            "exclusions": choices(),
        },
    )


@st.composite
def orders(draw: st.DrawFn, currencies: list[str] = CURRENCIES) -> Json:
    currency = draw(st.sampled_from(currencies))
    amount = amounts(currency)
    line = st.fixed_dictionaries(
        {"product_id": st.sampled_from(PRODUCTS), "unit_price": amount},
        optional={
            "quantity": st.integers(0, 4),
            "discount": amounts(currency, 20),
            "tax": amounts(currency, 20),
            "collections": some_of(COLLECTIONS),
            "tags": some_of(TAGS),
            "gift_card": st.sampled_from([False, False, False, True]),
        },
    )
    hours = st.integers(0, 60).map(lambda hour: hour * 3600)
    customer = st.fixed_dictionaries(
        {},
        optional={
            "tier": st.sampled_from([None, *TIERS]),
            "segments": some_of(SEGMENTS),
            "orders_before": st.integers(0, 1),
            "signed_up_at": st.one_of(st.none(), hours),
            "points_today": st.integers(0, 500),
        },
    )
    tender = st.fixed_dictionaries({"kind": st.sampled_from(["gift_card", "store_credit", "other"]), "amount": amount})
    exchange = st.fixed_dictionaries(
        {"currency": st.sampled_from(CURRENCIES), "rate": st.sampled_from(["1.0873", "0.0066", "3.2528"])}
    )
    order = st.fixed_dictionaries(
        {"at": hours, "lines": st.lists(line, max_size=5).map(numbered), "customer": customer},
        optional={
            "country": st.sampled_from([None, "DE", "US"]),
            "exchange": exchange,
            "taxes_included": st.booleans(),
            "shipping": amounts(currency, 20),
            "shipping_tax": amounts(currency, 5),
            "tip": amounts(currency, 20),
            "duties": amounts(currency, 20),
            "refunded": amounts(currency, 50),
            "tenders": st.lists(tender, max_size=3),
        },
    )
    return draw(order) | {"currency": currency}
