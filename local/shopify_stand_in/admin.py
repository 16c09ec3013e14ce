"""The Admin API: Shopify's own schema, executed by graphql-core over the shop's state."""

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import graphql

from local.shopify_stand_in import bulk, orders
from local.shopify_stand_in.shop import Discount, Json, ShopState, digest, instant, now

SCHEMA = Path(__file__).parents[2] / "integrations" / "shopify" / "admin_schema.graphql"
PAYLOADS = {
    "basic": "codeDiscountNode",
    "shipping": "codeDiscountNode",
    "app": "codeAppDiscount",
    "automatic": "automaticAppDiscount",
}
TYPES = {
    "basic": "DiscountCodeBasic",
    "shipping": "DiscountCodeFreeShipping",
    "app": "DiscountCodeApp",
    "automatic": "DiscountAutomaticApp",
}
METAFIELDS_MAX = 25


@cache
def schema() -> graphql.GraphQLSchema:
    """The part of Shopify's schema that our operations touch."""
    return graphql.build_schema(SCHEMA.read_text())


@lru_cache(maxsize=100)
def read(text: str) -> tuple[graphql.DocumentNode, list[graphql.GraphQLError]]:
    """A document, and what is wrong with it. Remembered, because the application asks the same few documents all the time."""
    document = graphql.parse(text)
    return document, graphql.validate(schema(), document)


def cost(document: graphql.DocumentNode) -> float:
    """Shopify's rule: an object 1, a scalar 0, a connection its children for each of `first`, a mutation 10."""
    [operation] = [node for node in document.definitions if isinstance(node, graphql.OperationDefinitionNode)]
    root = schema().mutation_type if operation.operation is graphql.OperationType.MUTATION else schema().query_type
    base = 10.0 if operation.operation is graphql.OperationType.MUTATION else 0.0
    return base + _selected(operation.selection_set, root)


def _selected(selections: graphql.SelectionSetNode | None, parent: Any) -> float:
    total = 0.0
    for node in selections.selections if selections else ():
        if isinstance(node, graphql.InlineFragmentNode):
            total += _selected(node.selection_set, schema().type_map[node.type_condition.name.value])
        elif isinstance(node, graphql.FieldNode) and node.selection_set is not None:
            kind = graphql.get_named_type(parent.fields[node.name.value].type)
            inner = _selected(node.selection_set, kind)
            if kind.name.endswith("Connection"):
                first = next((int(one.value.value) for one in node.arguments if one.name.value == "first"), 10)
                total += 2 + first * max(1.0, inner - 1)
            else:
                total += 1 + inner
    return total


async def execute(shop: ShopState, text: str, variables: Json, address: str) -> graphql.ExecutionResult:
    """Validate and execute one document; every mistake is an error as Shopify would tell it. address: the shop's."""
    document, errors = read(text)
    if errors:
        return graphql.ExecutionResult(data=None, errors=errors)
    return graphql.execute_sync(schema(), document, root_value=_Root(shop, address), variable_values=variables)


def _error(field: list[str], code: str, message: str) -> Json:
    return {"field": field, "code": code, "message": message, "elementIndex": None}


class _Root:
    """The root fields. graphql-core calls them with the execution's info and the arguments in Shopify's own names."""

    def __init__(self, shop: ShopState, address: str) -> None:
        self._shop = shop
        self._address = address

    # ---- discounts ----

    def discountCodeBasicCreate(self, _: Any, basicCodeDiscount: Json) -> Json:
        return self._create("basic", "basicCodeDiscount", basicCodeDiscount)

    def discountCodeFreeShippingCreate(self, _: Any, freeShippingCodeDiscount: Json) -> Json:
        return self._create("shipping", "freeShippingCodeDiscount", freeShippingCodeDiscount)

    def discountCodeAppCreate(self, _: Any, codeAppDiscount: Json) -> Json:
        return self._create("app", "codeAppDiscount", codeAppDiscount)

    def discountAutomaticAppCreate(self, _: Any, automaticAppDiscount: Json) -> Json:
        return self._create("automatic", "automaticAppDiscount", automaticAppDiscount)

    def _create(self, kind: str, argument: str, given: Json) -> Json:
        errors = self._faults(kind, argument, given)
        if errors:
            return {PAYLOADS[kind]: None, "userErrors": errors}
        discount = Discount(next(self._shop.numbers), kind, given)
        self._shop.discounts[discount.number] = discount
        made = {"discountId": discount.id} if kind in ("app", "automatic") else self._node(discount)
        return {PAYLOADS[kind]: made, "userErrors": []}

    def _faults(self, kind: str, argument: str, given: Json) -> list[Json]:
        """What Shopify refuses, as far as our inputs can run into it."""
        faults = []
        needed = ("title", "startsAt") if kind == "automatic" else ("title", "startsAt", "code")
        faults += [_error([argument, name], "BLANK", f"{name} can't be blank") for name in needed if not given.get(name)]
        if given.get("code") and self._shop.by_code(given["code"]) is not None:
            faults.append(_error([argument, "code"], "TAKEN", "Code must be unique. Please try a different code."))
        ends, starts = given.get("endsAt"), given.get("startsAt")
        if ends and starts and instant(ends) <= instant(starts):
            faults.append(_error([argument, "endsAt"], "END_DATE_BEFORE_START_DATE", "Ends at needs to be after starts_at"))
        if kind in ("app", "automatic") and given.get("functionHandle") != "loyalty-discount":
            faults.append(_error([argument, "functionHandle"], "INVALID", "Function not found."))
        for wanted in ((given.get("context") or {}).get("customers") or {}).get("add") or []:
            if _number(wanted) not in self._shop.customers:
                faults.append(_error([argument, "context", "customers"], "INVALID", "Customer is invalid"))
        at = now()
        automatic = [one for one in self._shop.discounts.values() if one.kind == "automatic" and one.status(at) == "ACTIVE"]
        if kind == "automatic" and len(automatic) >= 25:
            faults.append(_error([argument], "ACTIVE_PERIOD_OVERLAP", "At most 25 automatic discounts can be active."))
        return faults

    def discountCodeDelete(self, _: Any, id: str) -> Json:
        found = self._discount(id)
        if found is None:
            return {"deletedCodeDiscountId": None, "userErrors": [_error(["id"], "INVALID", "Code discount does not exist.")]}
        del self._shop.discounts[found.number]
        return {"deletedCodeDiscountId": id, "userErrors": []}

    def discountCodeDeactivate(self, _: Any, id: str) -> Json:
        return self._deactivate(id, "codeDiscountNode")

    def discountAutomaticDeactivate(self, _: Any, id: str) -> Json:
        return self._deactivate(id, "automaticDiscountNode")

    def _deactivate(self, id: str, name: str) -> Json:
        found = self._discount(id)
        if found is None:
            return {name: None, "userErrors": [_error(["id"], "INVALID", "Discount does not exist.")]}
        found.active = False
        return {name: self._node(found), "userErrors": []}

    def codeDiscountNodeByCode(self, _: Any, code: str) -> Json | None:
        found = self._shop.by_code(code)
        return None if found is None else self._node(found)

    def discountNodes(self, _: Any, query: str = "", first: int = 10, **__: Any) -> Json:
        """Of Shopify's search only `title:'…'`."""
        title = query.removeprefix("title:").strip("'\"")
        found = [one for one in self._shop.discounts.values() if title in one.title][:first]
        return {"nodes": [{"id": one.id, "discount": self._told(one)} for one in found]}

    def _discount(self, identifier: str) -> Discount | None:
        found = self._shop.discounts.get(_number(identifier))
        return found if found is not None and found.id == identifier else None

    def _node(self, discount: Discount) -> Json:
        return {"id": discount.id, "codeDiscount": self._told(discount)}

    def _told(self, discount: Discount) -> Json:
        return {
            "__typename": TYPES[discount.kind],
            "title": discount.title,
            "status": discount.status(now()),
            "asyncUsageCount": discount.used,
            "tags": discount.given.get("tags") or [],
        }

    # ---- store credit ----

    def storeCreditAccountCredit(self, _: Any, id: str, creditInput: Json) -> Json:
        amount = creditInput["creditAmount"]
        if _number(id) not in self._shop.customers:
            refusal = _error(["id"], "OWNER_NOT_FOUND", "The owner does not exist.")
            return {"storeCreditAccountTransaction": None, "userErrors": [refusal]}
        if creditInput.get("expiresAt") and instant(creditInput["expiresAt"]) <= now():
            refusal = _error(["creditInput", "expiresAt"], "EXPIRES_AT_IN_PAST", "The expiry must be in the future.")
            return {"storeCreditAccountTransaction": None, "userErrors": [refusal]}
        made = {
            "__typename": "StoreCreditAccountCreditTransaction",
            "id": f"gid://shopify/StoreCreditAccountCreditTransaction/{next(self._shop.numbers)}",
            "amount": amount,
            "expiresAt": creditInput.get("expiresAt"),
            "customer": _number(id),
        }
        self._shop.credits.append(made)
        return {"storeCreditAccountTransaction": made, "userErrors": []}

    def customer(self, _: Any, id: str) -> Json | None:
        return self._customer(_number(id))

    def _customer(self, number: int) -> Json | None:
        found = self._shop.customers.get(number)
        if found is None:
            return None
        mine = [one for one in reversed(self._shop.credits) if one["customer"] == number]
        accounts = [{"balance": {"currencyCode": self._shop.currency}, "transactions": {"nodes": mine}}] if mine else []

        def metafield(_: Any, key: str, namespace: str | None = None) -> Json | None:
            value = found["metafields"].get((namespace or "$app", key))
            return None if value is None else {"value": value, "compareDigest": digest(value)}

        return {
            "__typename": "Customer",
            "id": f"gid://shopify/Customer/{number}",
            "storeCreditAccounts": {"nodes": accounts},
            "metafield": metafield,
        }

    # ---- metafields ----

    def metafieldsSet(self, _: Any, metafields: list[Json]) -> Json:
        """Atomic, at most 25, with compare-and-set where a digest is given (null means: must not exist yet)."""
        errors = []
        if len(metafields) > METAFIELDS_MAX:
            errors.append(_error(["metafields"], "LESS_THAN_OR_EQUAL_TO", f"At most {METAFIELDS_MAX}."))
        for index, one in enumerate(metafields):
            owner = self._shop.customers.get(_number(one["ownerId"]))
            if owner is None:
                errors.append(
                    _error(["metafields", str(index), "ownerId"], "INVALID", "Owner does not exist.") | {"elementIndex": index}
                )
                continue
            kept = owner["metafields"].get((one.get("namespace") or "$app", one["key"]))
            if "compareDigest" in one and one["compareDigest"] != (None if kept is None else digest(kept)):
                errors.append(
                    _error(["metafields", str(index)], "STALE_OBJECT", "The resource has been updated since it was loaded.")
                    | {"elementIndex": index}
                )
        if errors:
            return {"metafields": None, "userErrors": errors}
        made = []
        for one in metafields:
            number = _number(one["ownerId"])
            self._shop.customers[number]["metafields"][one.get("namespace") or "$app", one["key"]] = one["value"]
            owner = {"__typename": "Customer", "id": one["ownerId"]}
            made.append({"id": f"gid://shopify/Metafield/{number}", "compareDigest": digest(one["value"]), "owner": owner})
        return {"metafields": made, "userErrors": []}

    def metafieldsDelete(self, _: Any, metafields: list[Json]) -> Json:
        """What is not there is null among what was deleted, and no error."""
        deleted: list[Json | None] = []
        for index, one in enumerate(metafields):
            owner = self._shop.customers.get(_number(one["ownerId"]))
            if owner is None:
                error = {"field": ["metafields", str(index), "ownerId"], "message": "Owner does not exist."}
                return {"deletedMetafields": None, "userErrors": [error]}
            kept = owner["metafields"].pop((one["namespace"], one["key"]), None)
            deleted.append(None if kept is None else {"ownerId": one["ownerId"]})
        return {"deletedMetafields": deleted, "userErrors": []}

    def nodes(self, _: Any, ids: list[str]) -> list[Json | None]:
        return [self._customer(_number(one)) for one in ids]

    # ---- bulk operations ----

    def bulkOperationRunQuery(self, _: Any, query: str, groupObjects: bool) -> Json:
        """Without groupObjects Shopify gives the children in any order, which nobody here asks for."""
        made = bulk.run(schema(), self._shop, query) if groupObjects else "Not grouped."
        if isinstance(made, str):
            return {"bulkOperation": None, "userErrors": [_error(["query"], "INVALID", made)]}
        self._shop.bulk[_number(made.id)] = made
        return {"bulkOperation": {"id": made.id}, "userErrors": []}

    def bulkOperation(self, _: Any, id: str) -> Json | None:
        found = self._shop.bulk.get(_number(id))
        return None if found is None else found.look(self._address)

    def refund(self, _: Any, id: str) -> Json | None:
        for order in self._shop.orders.values():
            for one in order["refunds"]:
                if one["id"] == _number(id):
                    return orders.refund_as_graphql(one, order["currency"])
        return None

    # ---- shop and webhooks ----

    def shop(self, _: Any) -> Json:
        return {
            "name": self._shop.name,
            "myshopifyDomain": self._shop.domain,
            "currencyCode": self._shop.currency,
            "ianaTimezone": "America/New_York",
        }

    def webhookSubscriptions(self, _: Any, **__: Any) -> Json:
        return {"nodes": self._shop.subscriptions, "pageInfo": {"hasNextPage": False, "endCursor": None}}

    def webhookSubscriptionCreate(self, _: Any, topic: str, webhookSubscription: Json) -> Json:
        made = {"id": f"gid://shopify/WebhookSubscription/{next(self._shop.numbers)}", "topic": topic, "failures": 0}
        if self._is_taken(topic, webhookSubscription["uri"], made["id"]):
            return {"webhookSubscription": None, "userErrors": [_TAKEN]}
        self._shop.subscriptions.append(made | _subscription(webhookSubscription))
        return {"webhookSubscription": self._shop.subscriptions[-1], "userErrors": []}

    def webhookSubscriptionUpdate(self, _: Any, id: str, webhookSubscription: Json) -> Json:
        for kept in self._shop.subscriptions:
            if kept["id"] == id:
                if self._is_taken(kept["topic"], webhookSubscription["uri"], id):
                    return {"webhookSubscription": None, "userErrors": [_TAKEN]}
                kept.update(_subscription(webhookSubscription))
                return {"webhookSubscription": kept, "userErrors": []}
        return {"webhookSubscription": None, "userErrors": [{"field": ["id"], "message": "Could not find the subscription"}]}

    def webhookSubscriptionDelete(self, _: Any, id: str) -> Json:
        kept = [one for one in self._shop.subscriptions if one["id"] != id]
        gone = len(kept) < len(self._shop.subscriptions)
        self._shop.subscriptions[:] = kept
        refusals = [] if gone else [{"field": ["id"], "message": "Webhook subscription does not exist"}]
        return {"deletedWebhookSubscriptionId": id if gone else None, "userErrors": refusals}

    def _is_taken(self, topic: str, uri: str, identifier: str) -> bool:
        return any((one["topic"], one["uri"]) == (topic, uri) and one["id"] != identifier for one in self._shop.subscriptions)


_TAKEN = {"field": ["webhookSubscription", "uri"], "message": "Address for this topic has already been taken"}


def _subscription(given: Json) -> Json:
    """What a subscription says, with Shopify's defaults."""
    return {
        "uri": given["uri"],
        "format": given.get("format") or "JSON",
        "filter": given.get("filter") or None,
        "includeFields": given.get("includeFields") or [],
    }


def _number(identifier: str) -> int:
    last = identifier.rpartition("/")[2]
    return int(last) if last.isdigit() else 0
