"""Programs over GraphQL: a draft is edited, refused, dropped or published, and versions stay."""

from typing import Any

import pytest

from tests.schema.rows import errors, rows
from tests.shop import Shop

CONTENT = """enabled earningRate { points per } basePolicy { discounts tax shipping tips giftCards } rounding
    signupPoints holdDays pointsName { singular plural } earning timeZone pointsExpireAfter { count unit }
    inactivityExpiresAfter { count unit } expiryWarningDays restoreGraceDays clawback b2bOrders draftOrders staffOrders"""
UPDATE = f"""mutation ($input: ProgramDraftInput!, $revision: Int) {{
    programDraftUpdate(input: $input, revision: $revision) {{
        draft {{ revision updatedBy definition {{ {CONTENT} }} }} userErrors {{ code message field }}
    }}
}}"""
PUBLISH = f"""mutation ($revision: Int) {{
    programPublish(revision: $revision) {{
        program {{ id version publishedBy definition {{ {CONTENT} }} }} userErrors {{ code message field }}
    }}
}}"""
DISCARD = "mutation { programDraftDiscard { userErrors { code message field } } }"
DRAFT = f"{{ programDraft {{ revision updatedBy definition {{ {CONTENT} }} }} }}"
LIVE = f"{{ program {{ id version publishedBy definition {{ {CONTENT} }} }} }}"

BEGINNING: dict[str, Any] = {
    "enabled": True,
    "earningRate": {"points": 1, "per": 1},
    "basePolicy": {"discounts": "AFTER", "tax": False, "shipping": False, "tips": False, "giftCards": False},
    "rounding": "FLOOR",
    "signupPoints": 0,
    "holdDays": 0,
    "pointsName": {"singular": "point", "plural": "points"},
    "timeZone": "UTC",
    "pointsExpireAfter": None,
    "inactivityExpiresAfter": None,
    "expiryWarningDays": 0,
    "restoreGraceDays": 0,
    "clawback": "UNLIMITED",
    "b2bOrders": False,
    "draftOrders": False,
    "staffOrders": False,
    "earning": {"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"per": 1, "points": 1}}]},
}


async def update(shop: Shop, revision: int | None = None, **given: Any) -> dict[str, Any]:
    return (await shop.data(UPDATE, input=given, revision=revision))["programDraftUpdate"]


async def test_a_new_shop_has_no_program_and_no_draft(shop: Shop) -> None:
    assert await shop.data(LIVE) == {"program": None}
    assert await shop.data(DRAFT) == {"programDraft": None}


async def test_a_draft_begins_from_one_point_per_unit(shop: Shop) -> None:
    answer = await update(shop)
    expected = {"revision": 1, "updatedBy": "staff:90210", "definition": BEGINNING}
    assert answer == {"draft": expected, "userErrors": []}
    assert await shop.data(DRAFT) == {"programDraft": expected}
    assert await shop.data(LIVE) == {"program": None}


async def test_an_edit_changes_what_it_names_and_keeps_the_rest(shop: Shop) -> None:
    await update(shop, holdDays=14, pointsName={"singular": "Star", "plural": "Stars"})
    answer = await update(
        shop,
        earningRate={"points": 3, "per": 2},
        basePolicy={"tax": True, "discounts": "BEFORE"},
        rounding="HALF_EVEN",
        signupPoints=50,
        enabled=False,
    )
    expected = BEGINNING | {
        "enabled": False,
        "earningRate": {"points": 3, "per": 2},
        "basePolicy": {"discounts": "BEFORE", "tax": True, "shipping": False, "tips": False, "giftCards": False},
        "rounding": "HALF_EVEN",
        "signupPoints": 50,
        "holdDays": 14,
        "pointsName": {"singular": "Star", "plural": "Stars"},
        "earning": {
            "rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"per": 2, "points": 3}}],
            "base": {"discounts": "before", "tax": True},
            "rounding": "half_even",
        },
    }
    assert answer == {"draft": {"revision": 2, "updatedBy": "staff:90210", "definition": expected}, "userErrors": []}


async def test_a_whole_definition_can_be_given(shop: Shop) -> None:
    earning = {"rules": [{"id": "each", "kind": "per_order", "points": 25}]}
    answer = await update(shop, earning=earning)
    assert answer["draft"]["definition"]["earning"] == earning
    assert answer["draft"]["definition"]["earningRate"] is None
    answer = await update(shop, earningRate={"points": 2})
    rule = {"id": "purchase", "kind": "per_currency_unit", "rate": {"per": 1, "points": 2}}
    assert answer["draft"]["definition"]["earning"] == {"rules": [rule, *earning["rules"]]}


async def test_expiry_and_policies_are_set_and_unset(shop: Shop) -> None:
    given = {
        "timeZone": "Asia/Kathmandu",
        "pointsExpireAfter": {"count": 12, "unit": "MONTHS"},
        "inactivityExpiresAfter": {"count": 90, "unit": "DAYS"},
        "expiryWarningDays": 30,
        "restoreGraceDays": 7,
        "clawback": "PENDING_FIRST",
        "b2bOrders": True,
        "draftOrders": True,
        "staffOrders": True,
    }
    assert (await update(shop, **given))["draft"]["definition"] == BEGINNING | given
    # What is left out stays, null unsets a period, and null says nothing of what cannot be without a value.
    answer = await update(shop, pointsExpireAfter=None, clawback=None, timeZone=None, b2bOrders=False)
    assert answer["draft"]["definition"] == BEGINNING | given | {"pointsExpireAfter": None, "b2bOrders": False}
    assert (await update(shop, inactivityExpiresAfter=None))["draft"]["definition"]["inactivityExpiresAfter"] is None


async def test_a_time_zone_is_one_of_the_database(shop: Shop) -> None:
    before = await rows(shop)
    for name in ("Mars/Olympus", "", "europe/berlin", "../../etc/passwd"):
        assert await update(shop, timeZone=name) == {
            "draft": None,
            "userErrors": [
                {
                    "code": "TIME_ZONE_UNKNOWN",
                    "message": 'A time zone is its IANA name, such as "Europe/Berlin".',
                    "field": ["timeZone"],
                }
            ],
        }
    assert await rows(shop) == before


async def test_publishing_makes_versions_that_stay(shop: Shop) -> None:
    await update(shop, earningRate={"points": 10})
    first = (await shop.data(PUBLISH))["programPublish"]
    assert first["userErrors"] == []
    assert (first["program"]["id"], first["program"]["version"]) == ("gid://loyalnest/Program/1", 1)
    assert first["program"]["publishedBy"] == "staff:90210"
    assert await shop.data(LIVE) == {"program": first["program"]}
    assert await shop.data(DRAFT) == {"programDraft": None}
    await update(shop, earningRate={"points": 20})
    assert await shop.data(LIVE) == {"program": first["program"]}
    second = (await shop.data(PUBLISH, revision=1))["programPublish"]["program"]
    assert (second["version"], second["definition"]["earningRate"]) == (2, {"points": 20, "per": 1})
    assert await shop.data(LIVE) == {"program": second}
    node = f'{{ node(id: "gid://loyalnest/Program/1") {{ ... on Program {{ version definition {{ {CONTENT} }} }} }} }}'
    assert await shop.data(node) == {"node": {"version": 1, "definition": first["program"]["definition"]}}
    assert await shop.data("query ($v: Int) { program(version: $v) { version } }", v=1) == {"program": {"version": 1}}
    assert await shop.data("query ($v: Int) { program(version: $v) { version } }", v=3) == {"program": None}


async def test_the_history_is_paged_newest_first(shop: Shop) -> None:
    for points in (1, 2, 3):
        await update(shop, earningRate={"points": points})
        await shop.data(PUBLISH)
    document = """query ($after: String) {
        programVersions(first: 2, after: $after) { nodes { version } pageInfo { hasNextPage endCursor } }
    }"""
    page = (await shop.data(document))["programVersions"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([{"version": 3}, {"version": 2}], True)
    page = (await shop.data(document, after=page["pageInfo"]["endCursor"]))["programVersions"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([{"version": 1}], False)


async def test_a_draft_is_dropped(shop: Shop) -> None:
    await update(shop)
    assert await shop.data(DISCARD) == {"programDraftDiscard": {"userErrors": []}}
    assert await shop.data(DRAFT) == {"programDraft": None}


async def test_there_must_be_a_draft(shop: Shop) -> None:
    before = await rows(shop)
    assert await shop.data(DISCARD) == {
        "programDraftDiscard": {"userErrors": [{"code": "DRAFT_MISSING", "message": "There is no draft.", "field": []}]}
    }
    assert await shop.data(PUBLISH) == {
        "programPublish": {
            "program": None,
            "userErrors": [{"code": "DRAFT_MISSING", "message": "There is no draft to publish.", "field": []}],
        }
    }
    answer = await shop.ask('{ simulateOrder(order: {currency: "USD", lines: []}, draft: true) { points } }')
    assert errors(answer) == [("DRAFT_MISSING", "There is no draft.", ["simulateOrder"])]
    assert await rows(shop) == before


@pytest.mark.parametrize("revision", [0, 1, 3, -1, 2**31 - 1])
async def test_a_draft_that_somebody_else_changed(shop: Shop, revision: int) -> None:
    await update(shop)
    await update(shop, holdDays=1)
    before = await rows(shop)
    refusal = {"code": "DRAFT_CHANGED", "message": "The draft was changed meanwhile; read it again.", "field": ["revision"]}
    assert await update(shop, revision=revision, holdDays=2) == {"draft": None, "userErrors": [refusal]}
    assert (await shop.data(PUBLISH, revision=revision))["programPublish"] == {"program": None, "userErrors": [refusal]}
    assert await rows(shop) == before
    assert (await update(shop, revision=2, holdDays=2))["userErrors"] == []


RULE = {"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 1, "per": 1}}
INVALID: dict[str, tuple[dict[str, Any], list[str]]] = {
    "hold too long": ({"holdDays": 366}, ["holdDays"]),
    "hold negative": ({"holdDays": -1}, ["holdDays"]),
    "signup negative": ({"signupPoints": -1}, ["signupPoints"]),
    "signup too high": ({"signupPoints": 1_000_000_001}, ["signupPoints"]),
    "name blank": ({"pointsName": {"singular": " ", "plural": "x"}}, ["pointsName", "singular"]),
    "name long": ({"pointsName": {"singular": "x", "plural": "x" * 41}}, ["pointsName", "plural"]),
    "expiry after nothing": ({"pointsExpireAfter": {"count": 0, "unit": "DAYS"}}, ["pointsExpireAfter", "count"]),
    "expiry too far": ({"pointsExpireAfter": {"count": 36_501, "unit": "DAYS"}}, ["pointsExpireAfter", "count"]),
    "inactivity too far": ({"inactivityExpiresAfter": {"count": 1_201, "unit": "MONTHS"}}, ["inactivityExpiresAfter", "count"]),
    "warning before": ({"expiryWarningDays": -1}, ["expiryWarningDays"]),
    "warning too early": ({"expiryWarningDays": 366}, ["expiryWarningDays"]),
    "grace too long": ({"restoreGraceDays": 366}, ["restoreGraceDays"]),
    "rate per nothing": ({"earningRate": {"points": 1, "per": 0}}, ["earning", "rules[0]", "rate", "per"]),
    "rate negative": ({"earningRate": {"points": -1}}, ["earning", "rules[0]", "rate", "points"]),
    "earning a list": ({"earning": []}, ["input", "earning"]),
    "earning a text": ({"earning": "{}"}, ["input", "earning"]),
    "earning empty": ({"earning": {}}, ["earning", "rules"]),
    "unknown kind": ({"earning": {"rules": [RULE | {"kind": "per_smile"}]}}, ["earning", "rules[0]", "kind"]),
    "unknown field": ({"earning": {"rules": [RULE], "smile": 1}}, ["earning", "smile"]),
    "rules no list": ({"earning": {"rules": 5}}, ["earning", "rules"]),
    "fraction": ({"earning": {"rules": [RULE | {"rate": {"points": 1.5, "per": 1}}]}}, ["earning", "rules[0]", "rate", "points"]),
}


@pytest.mark.parametrize("name", INVALID)
async def test_an_invalid_program_is_refused_with_the_place(shop: Shop, name: str) -> None:
    given, field = INVALID[name]
    await update(shop)
    before = await rows(shop)
    answer = await update(shop, **given)
    [refusal] = answer["userErrors"]
    assert (answer["draft"], refusal["code"]) == (None, "PROGRAM_INVALID")
    assert refusal["message"]
    assert list(refusal["field"]) == field
    assert await rows(shop) == before


async def test_only_staff_touch_programs(shop: Shop) -> None:
    await update(shop)
    before = await rows(shop)
    customer = await shop.customer()
    for token in (shop.customer_token(customer.id), await shop.partner_key()):
        for name, document in (
            ("programPublish", PUBLISH),
            ("programDraftDiscard", DISCARD),
            ("programDraftUpdate", "mutation { programDraftUpdate(input: {}) { userErrors { code } } }"),
            ("programDraft", DRAFT),
        ):
            answer = await shop.ask(document, token=token)
            assert errors(answer) == [("FORBIDDEN", "This credential does not open this field.", [name])]
    assert (await rows(shop))["program_drafts"] == before["program_drafts"]
    assert await shop.data("{ program { version } }", token=shop.customer_token(customer.id)) == {"program": None}


async def test_the_character_that_cannot_be_stored_is_refused_here_too(shop: Shop) -> None:
    before = await rows(shop)
    answer = await update(shop, pointsName={"singular": "a\u0000", "plural": "b"})
    assert (answer["draft"], [one["code"] for one in answer["userErrors"]]) == (None, ["BAD_INPUT"])
    assert await rows(shop) == before
