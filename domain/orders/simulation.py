"""What a cart would earn that does not exist yet: the same core, the same program, the same explanation."""

from typing import Any
from uuid import UUID

import msgspec
from loyalty_native import Evaluation, LoyaltyError
from loyalty_native import Order as CoreOrder

from domain import programs
from domain.errors import Code
from domain.orders.evaluation import before
from domain.orders.rules import InvalidOrder
from domain.programs import Definition
from domain.programs.rules import asks_history, core_program
from domain.scope import Scope

_CODES = {
    "AMOUNT_INVALID": Code.AMOUNT_INVALID,
    "AMOUNT_PRECISION": Code.AMOUNT_INVALID,
    "CURRENCY_UNKNOWN": Code.CURRENCY_UNKNOWN,
}
"""The core's codes that clients know by a name of their own; the others are ORDER_INVALID."""

_NEXT_NUMBER = 2**63 - 1
"""The cart comes after every order there is."""


async def simulate(
    scope: Scope, order: dict[str, Any], definition: Definition | None, customer_id: UUID | None
) -> Evaluation | None:
    """What an order (native/order.schema.json) would earn now under a draft's definition, or under the live program.

    customer_id: whose history counts where the program asks for it; None is a customer who has none. Returns None when there
    is no definition and nothing is published. Raises InvalidOrder with the path of what is wrong.
    """
    if definition is None:
        live = await programs.live(scope)
        if live is None:
            return None
        definition, core, asks = live.definition, live.core, live.asks_history
    else:
        core, asks = core_program(definition, 0), asks_history(definition)
    if asks and customer_id is not None and order["customer"] is not None:
        [history] = await before(scope, [(customer_id, _NEXT_NUMBER, scope.at, definition.time_zone)])
        order = {**order, "customer": {**order["customer"], **msgspec.to_builtins(history)}}
    try:
        return core.evaluate(CoreOrder.from_json(msgspec.json.encode(order)))
    except LoyaltyError as error:
        code = _CODES.get(error.code, Code.ORDER_INVALID)
        raise InvalidOrder(str(error), field=("order", *error.path.split(".")), code=code) from error
