"""The same cart, the same numbers: in `simulateOrder`, in the ledger, and in Wasm as Shopify's checkout runs it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import loyalty_native

from domain import db, orders, points
from domain.orders.facts import NOTHING
from domain.orders.net import core_order
from local.shopify_stand_in import host
from local.shopify_stand_in.inputs import LINES, function_input
from local.shopify_stand_in.outputs import check
from tests.shop import Shop, rate

SAMPLE = Path(__file__).parent.parent / "samples" / "order_usd_discount_tax_partial_refund.json"
PROGRAM: dict[str, Any] = {"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 10, "per": 1}}]}
WHOLE: dict[str, Any] = {"refunds": [], "financial_status": "paid"}
"""The sample as it was before its refund."""
SIMULATE = "query($order: SimulatedOrderInput!) { simulateOrder(order: $order) { json } }"


async def test_a_real_order_earns_the_same_everywhere(shop: Shop) -> None:
    await shop.publish(rate(10), at=datetime(2000, 1, 1, tzinfo=UTC))
    sample = json.loads(SAMPLE.read_text()) | WHOLE
    sample["line_items"] = [line | {"current_quantity": line["quantity"]} for line in sample["line_items"]]
    text = json.dumps(orders.keep(sample))
    snapshot = orders.parse(text)

    async with db.transaction(shop.scope()):
        await orders.converge(shop.scope(), [(snapshot, text)])
    customer = await shop.customer(sample["customer"]["id"])
    assert await shop.balance(customer.id) == (5870, 0)
    [entry] = await points.since(shop.scope(), customer.id, 0, 10)
    assert entry.trace is not None

    cart = {
        "currency": "USD",
        "lines": [
            {
                "id": str(line["id"]),
                "productId": str(line["product_id"]),
                "unitPrice": line["price"],
                "quantity": line["quantity"],
                "discount": line["discount_allocations"][0]["amount"],
                "tax": line["tax_lines"][0]["price"],
            }
            for line in sample["line_items"]
        ],
    }
    simulated = (await shop.data(SIMULATE, order=cart))["simulateOrder"]["json"]

    program = json.dumps({**PROGRAM, "enabled": True})
    [in_wasm] = host.answers("earning", [f"{program}\t1\t{core_order(snapshot, None, NOTHING, void=False).decode()}"])

    assert json.loads(in_wasm) == json.loads(entry.trace) == json.loads(simulated)
    assert json.loads(in_wasm)["points"] == loyalty_native.trace_points(in_wasm) == 5870


def test_the_same_lines_are_discounted_the_same_in_checkout() -> None:
    """The order's lines with 500 reserved points at 1.00 per 100: 5.00 off, in the function as on the server."""
    sample = json.loads(SAMPLE.read_text())
    case = {
        "config": {
            "version": 1,
            "currency": "USD",
            "offers": [{"id": "pay", "value": {"kind": "pay_with_points", "points": 100, "worth": "1.00"}}],
        },
        "customer": {"version": 1, "balance": 5870, "reservation": {"id": "r1", "points": 500}},
        "cart": {
            "currency": "USD",
            "reservation": "r1",
            "local_time": "2026-11-21",
            "lines": [
                {"id": f"gid://shopify/CartLine/{line['id']}", "quantity": line["quantity"], "subtotal": line["price"]}
                for line in sample["line_items"]
            ],
        },
    }
    on_the_server = json.loads(loyalty_native.discount_evaluate(json.dumps(case)))
    run = host.run("loyalty-discount", LINES, function_input(LINES, case))
    assert check(LINES, run.output) == []
    [operation] = run.output["operations"]
    [candidate] = operation["orderDiscountsAdd"]["candidates"]
    in_checkout = loyalty_native.money_parse(candidate["value"]["fixedAmount"]["amount"], "USD")
    assert in_checkout == on_the_server["discount_minor"] == 500
