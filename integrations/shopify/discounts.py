"""What a redemption needs in Shopify: a code, or store credit; found again when an answer was lost, and taken away again."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from domain import money
from domain.rewards import Redemption, RewardKind
from domain.rewards.offers import PRODUCT, free_product, metafields, pay_with_points
from domain.rewards.queries import Reward
from domain.rewards.rules import Definition, DiscountClass
from domain.scope import Scope, now
from integrations.shopify.client import Shopify
from integrations.shopify.errors import Refused, Unanswered

FUNCTION = "loyalty-discount"
CUSTOMER = "gid://shopify/Customer/{}"
ALL = [one.value for one in DiscountClass]
CLOCKS = timedelta(minutes=1)
"""By how much Shopify's clock may be behind the real one: a discount that starts in its future does not work yet."""


def title(kept: Redemption) -> str:
    """By which we know a discount of ours: nobody else's has the same code under this name."""
    return f"{kept.definition.name()} ({kept.code})"


async def find_code(shopify: Shopify, scope: Scope, kept: Redemption) -> tuple[str, int] | None:
    """(id, how often used) of the redemption's discount; None when Shopify has none with its code.

    Raises Refused, TAKEN, when another's discount has the code.
    """
    found = await shopify.call(scope, "CodeFind", code=kept.code)
    if found is None:
        return None
    told = found["codeDiscount"]
    if told.get("title") != title(kept):
        raise Refused("TAKEN", "Another discount has this code.")
    return found["id"], told["asyncUsageCount"]


async def ensure_code(shopify: Shopify, scope: Scope, kept: Redemption, customer_number: int, currency: str) -> str:
    """The id of the redemption's discount, made when it is not there. However often it runs, there is one."""
    if kept.attempts > 1 and (found := await find_code(shopify, scope, kept)):
        return found[0]
    operation, given = _code(kept, customer_number, currency)
    try:
        answer = await shopify.call(scope, operation, discount=given)
    except Refused as error:
        # An answer was lost, and the call was made again: what has the code is ours.
        if error.code == "TAKEN" and (found := await find_code(shopify, scope, kept)):
            return found[0]
        raise
    return answer["codeAppDiscount"]["discountId"] if operation == "CodeApp" else answer["codeDiscountNode"]["id"]


async def remove_code(shopify: Shopify, scope: Scope, kept: Redemption) -> bool:
    """Take the redemption's code away. Returns False when it was used: then it stays."""
    found = await find_code(shopify, scope, kept)
    if found is None:
        return True
    # No checkout begins with it from here on; one that was quicker shows in the count.
    await shopify.call(scope, "CodeDeactivate", id=found[0])
    found = await find_code(shopify, scope, kept)
    if found is None:
        return True
    if found[1] > 0:
        return False
    await shopify.call(scope, "CodeDelete", id=found[0])
    return True


async def ensure_credit(shopify: Shopify, scope: Scope, kept: Redemption, customer_number: int, currency: str) -> str:
    """The id of the redemption's store credit, given when it is not there.

    Shopify has no idempotency for it: a call without an answer is never repeated, but looked for by its amount and its end,
    which no other credit of the customer from us has. Raises Unanswered when it is not known whether it was given.
    """
    assert kept.expires_at is not None, "store credit has an end"
    amount = {"amount": money.render(kept.definition.amount_minor or 0, currency), "currencyCode": currency}
    owner = CUSTOMER.format(customer_number)
    if kept.attempts > 1:
        try:
            found = await _find_credit(shopify, scope, owner, amount, kept.expires_at)
        except Refused as error:
            # Whether an earlier call gave it is not known as long as the shop does not let us look.
            raise Unanswered(str(error)) from error
        if found is not None:
            return found
    credit = {"creditAmount": amount, "expiresAt": _instant(kept.expires_at), "notify": False}
    answer = await shopify.call(scope, "StoreCredit", repeatable=False, ownerId=owner, credit=credit)
    return answer["storeCreditAccountTransaction"]["id"]


async def _find_credit(shopify: Shopify, scope: Scope, owner: str, amount: dict[str, str], expires_at: datetime) -> str | None:
    customer = await shopify.call(scope, "StoreCredits", id=owner)
    for account in customer["storeCreditAccounts"]["nodes"] if customer else ():
        for one in account["transactions"]["nodes"]:
            if one.get("expiresAt") is None or one["amount"]["currencyCode"] != amount["currencyCode"]:
                continue
            same_amount = money.parse(one["amount"]["amount"], amount["currencyCode"]) == money.parse(*amount.values())
            if same_amount and datetime.fromisoformat(one["expiresAt"]) == expires_at:
                return one["id"]
    return None


async def ensure_way_to_pay(shopify: Shopify, scope: Scope, wanted: Reward, currency: str) -> str:
    """The id of the automatic discount by which reserved points are paid with, made when it is not there.

    A tag names reward and revision: a discount whose making was not answered is found by it, and an edit makes another.
    """
    definition = wanted.definition
    tag = f"loyalnest-{wanted.id}-{wanted.revision}"
    found = await shopify.call(scope, "AutomaticFind", query=f"title:{msgspec.json.encode(definition.name()).decode()}")
    for one in found["nodes"]:
        if tag in one["discount"].get("tags", ()) and one["discount"].get("status") == "ACTIVE":
            return one["id"]
    answer = await shopify.call(
        scope,
        "AutomaticApp",
        # Not repeated by itself: whoever comes again looks first.
        repeatable=False,
        discount={
            "title": definition.name(),
            "functionHandle": FUNCTION,
            "discountClasses": ["ORDER"],
            "startsAt": _instant(now() - CLOCKS),
            "combinesWith": _combines(definition),
            "tags": [tag],
            "metafields": metafields(pay_with_points(definition, currency)),
        },
    )
    return answer["automaticAppDiscount"]["discountId"]


async def remove_way_to_pay(shopify: Shopify, scope: Scope, shopify_id: str) -> None:
    """Deactivate the automatic discount; one that the merchant has deleted is as good."""
    try:
        await shopify.call(scope, "AutomaticDeactivate", id=shopify_id)
    except Refused as error:
        if error.code != "INVALID":
            raise


def _code(kept: Redemption, customer_number: int, currency: str) -> tuple[str, dict[str, Any]]:
    """The operation that makes the redemption's code, and its input."""
    definition = kept.definition
    given: dict[str, Any] = {
        "title": title(kept),
        "code": kept.code,
        # A sandbox's clock is ahead of Shopify's.
        "startsAt": _instant(min(kept.created_at, now()) - CLOCKS),
        "endsAt": None if kept.expires_at is None else _instant(kept.expires_at),
        "usageLimit": 1,
        "appliesOncePerCustomer": True,
        "context": {"customers": {"add": [CUSTOMER.format(customer_number)]}},
        "combinesWith": _combines(definition),
    }
    if definition.minimum_subtotal_minor is not None:
        least = money.render(definition.minimum_subtotal_minor, currency)
        given["minimumRequirement"] = {"subtotal": {"greaterThanOrEqualToSubtotal": least}}
    match definition.kind:
        case RewardKind.FREE_SHIPPING:
            # Shopify refuses that a shipping discount combines with another of its class.
            combines = {**given["combinesWith"], "shippingDiscounts": False}
            return "CodeFreeShipping", {**given, "combinesWith": combines, "destination": {"all": True}}
        case RewardKind.FREE_PRODUCT:
            mine = {"functionHandle": FUNCTION, "discountClasses": ["PRODUCT"]}
            return "CodeApp", {**given, **mine, "metafields": metafields(free_product(kept, currency))}
        case _:
            return "CodeBasic", {**given, "customerGets": {"value": _value(definition, currency), "items": _items(definition)}}


def _value(definition: Definition, currency: str) -> dict[str, Any]:
    if definition.amount_minor is not None:
        return {"discountAmount": {"amount": money.render(definition.amount_minor, currency), "appliesOnEachItem": False}}
    assert definition.percent_hundredths is not None, "a definition has an amount or a percentage"
    # Shopify's input is a float between 0 and 1; four decimals survive it.
    return {"percentage": definition.percent_hundredths / 10_000}


def _items(definition: Definition) -> dict[str, Any]:
    if not definition.product_ids:
        return {"all": True}
    return {"products": {"productsToAdd": [PRODUCT.format(number) for number in definition.product_ids]}}


def _combines(definition: Definition) -> dict[str, bool]:
    return {f"{one}Discounts": one in definition.combines_with for one in ALL}


def _instant(at: datetime) -> str:
    """An instant as Shopify keeps it: in whole seconds."""
    return at.isoformat(timespec="seconds")
