"""Actions over GraphQL: what customers claim, what partners tell, what the program says of it, and who may not."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from domain import db
from domain.actions import Kind
from domain.customers import Customer
from schema.command import ATTEMPTS, command
from tests.ledger import converge
from tests.schema.rows import errors, rows
from tests.shop import NOON, Shop, order

ACTIONS = """actions {
    birthday { points leadDays holdDays } review { points holdDays perDay perLife }
    follows { network points url holdDays } events { name points holdDays perDay perLife }
    goals { id points spend currency times startsAt endsAt holdDays }
}"""
UPDATE = f"""mutation ($input: ProgramDraftInput!) {{
    programDraftUpdate(input: $input) {{ draft {{ definition {{ {ACTIONS} }} }} userErrors {{ code field }} }}
}}"""
PUBLISH = "mutation { programPublish { program { version } userErrors { code field } } }"
CLAIM = "kind key customerId rule occurredAt programVersion points pointsConfirmed pointsPending spendableAt reason"
BIRTHDAY = """mutation ($month: Int!, $day: Int!, $year: Int, $id: ID) {
    customerBirthdaySet(month: $month, day: $day, year: $year, customerId: $id) {
        birthday { month day year changes } userErrors { code field }
    }
}"""
FOLLOW = f"""mutation ($network: SocialNetwork!) {{
    socialFollowClaim(network: $network) {{ actionClaim {{ {CLAIM} }} userErrors {{ code field }} }}
}}"""
RECORD = f"""mutation ($input: EventInput!) {{
    eventRecord(input: $input) {{ actionClaim {{ {CLAIM} }} userErrors {{ code field }} }}
}}"""
SYNC = """mutation ($entries: [TillEntryInput!]!) {
    pointsSync(entries: $entries) {
        results { clientId outcome actionClaim { key points pointsConfirmed reason } userErrors { code field } }
        userErrors { code field }
    }
}"""
SECRET = """mutation ($secret: String!) {
    reviewSourceSet(provider: JUDGEME, secret: $secret) { webhookPath userErrors { code field } }
}"""
LIST = """query ($first: Int!, $after: String, $id: ID, $kind: ActionKind) {
    actionClaims(first: $first, after: $after, customerId: $id, kind: $kind) {
        nodes { kind key points reason } pageInfo { hasNextPage endCursor }
    }
}"""

RULES: dict[str, Any] = {
    "birthday": {"points": 200, "leadDays": 45, "holdDays": 1},
    "review": {"points": 100, "holdDays": 7, "perDay": 1, "perLife": 10},
    "follows": [{"network": "TIKTOK", "points": 50, "url": "https://tiktok.com/@cedar", "holdDays": 3}],
    "events": [{"name": "quiz", "points": 25, "holdDays": 0, "perDay": None, "perLife": 2}],
    "goals": [
        {
            "id": "spring",
            "points": 500,
            "spend": "100.00",
            "currency": "USD",
            "times": 2,
            "startsAt": "2026-03-01T00:00:00+00:00",
            "endsAt": None,
            "holdDays": 0,
        }
    ],
}
NOTHING = {"birthday": None, "review": None, "follows": [], "events": [], "goals": []}


def gid(customer: Customer) -> str:
    return f"gid://loyalnest/Customer/{customer.id}"


async def publish(shop: Shop, **rules: Any) -> None:
    answer = (await shop.data(UPDATE, input={"actions": rules, "earningRate": {"points": 10}}))["programDraftUpdate"]
    assert answer["userErrors"] == []
    assert (await shop.data(PUBLISH))["programPublish"]["userErrors"] == []


def event(customer: str, **changes: Any) -> dict[str, Any]:
    return {"name": "quiz", "customerId": customer, "occurredAt": "2026-11-01T12:00:00Z", "id": "e1"} | changes


def sale(customer: str, **changes: Any) -> dict[str, Any]:
    given = {"clientId": "s1", "movement": "SALE", "occurredAt": "2026-11-01T12:00:00Z", "amount": "12.34", "currency": "USD"}
    return given | {"customerId": customer} | changes


async def test_the_rules_are_a_part_of_the_program(shop: Shop) -> None:
    draft = (await shop.data(UPDATE, input={"actions": RULES}))["programDraftUpdate"]
    assert draft == {"draft": {"definition": {"actions": RULES}}, "userErrors": []}
    # An edit of something else keeps them, and new ones replace all of them.
    assert (await shop.data(UPDATE, input={"holdDays": 3}))["programDraftUpdate"] == draft
    await shop.data(PUBLISH)
    assert await shop.data(f"{{ program {{ definition {{ {ACTIONS} }} }} }}") == {"program": {"definition": {"actions": RULES}}}
    cleared = (await shop.data(UPDATE, input={"actions": {}}))["programDraftUpdate"]
    assert cleared == {"draft": {"definition": {"actions": NOTHING}}, "userErrors": []}


@pytest.mark.parametrize(
    ("broken", "code", "field"),
    [
        ({"birthday": {"points": 1, "leadDays": 29}}, "PROGRAM_INVALID", "actions.birthday.leadDays"),
        ({"review": {"points": 0}}, "PROGRAM_INVALID", "actions.review.points"),
        ({"follows": [RULES["follows"][0] | {"url": "http://a"}]}, "PROGRAM_INVALID", "actions.follows.0.url"),
        ({"events": [{"name": "", "points": 1}]}, "PROGRAM_INVALID", "actions.events.0.name"),
        ({"goals": [RULES["goals"][0] | {"endsAt": "2026-01-01T00:00:00Z"}]}, "PROGRAM_INVALID", "actions.goals.0.endsAt"),
        ({"goals": [RULES["goals"][0] | {"currency": "ZZZ"}]}, "CURRENCY_UNKNOWN", "actions.goals.0.spend"),
    ],
)
async def test_a_broken_rule_says_where_and_changes_nothing(shop: Shop, broken: dict[str, Any], code: str, field: str) -> None:
    before = await rows(shop)
    answer = (await shop.data(UPDATE, input={"actions": broken}))["programDraftUpdate"]
    assert answer == {"draft": None, "userErrors": [{"code": code, "field": field.split(".")}]}
    assert await rows(shop) == before


async def test_a_birthday_is_set_by_its_customer_or_staff_and_seen_by_both(shop: Shop) -> None:
    await publish(shop, birthday={"points": 200})
    customer = await shop.customer()
    own = shop.customer_token(customer.id)
    first = {"month": 2, "day": 29, "year": None, "changes": 0}
    answer = await shop.data(BIRTHDAY, token=own, month=2, day=29)
    assert answer["customerBirthdaySet"] == {"birthday": first, "userErrors": []}
    changed = {"month": 3, "day": 1, "year": 1999, "changes": 1}
    answer = await shop.data(BIRTHDAY, month=3, day=1, year=1999, id=gid(customer))
    assert answer["customerBirthdaySet"] == {"birthday": changed, "userErrors": []}
    shown = "query ($id: ID) { customerBirthday(customerId: $id) { month day year changes } }"
    assert await shop.data(shown, token=own) == {"customerBirthday": changed}
    assert await shop.data(shown, id=gid(customer)) == {"customerBirthday": changed}
    assert await shop.data(shown) == {"customerBirthday": None}


async def test_a_birthday_that_cannot_be_kept_is_refused(shop: Shop) -> None:
    customer, other = await shop.customer(), await shop.customer()
    before = await rows(shop)
    calls: list[tuple[str | None, dict[str, Any], str, list[str]]] = [
        (None, {"month": 2, "day": 30, "id": gid(customer)}, "DATE_INVALID", ["month"]),
        (None, {"month": 2, "day": 29, "year": 2001, "id": gid(customer)}, "DATE_INVALID", ["month"]),
        (None, {"month": 2, "day": 2, "year": 9999, "id": gid(customer)}, "DATE_INVALID", ["year"]),
        (None, {"month": -(2**31), "day": 2**31 - 1, "year": -(2**31), "id": gid(customer)}, "DATE_INVALID", ["month"]),
        (None, {"month": 2, "day": 2}, "NOT_FOUND", ["customerId"]),
        (None, {"month": 2, "day": 2, "id": f"gid://loyalnest/Customer/{uuid4()}"}, "NOT_FOUND", ["customerId"]),
        (shop.customer_token(customer.id), {"month": 2, "day": 2, "id": gid(other)}, "NOT_FOUND", ["customerId"]),
    ]
    for token, given, code, field in calls:
        answer = (await shop.data(BIRTHDAY, token=token, **given))["customerBirthdaySet"]
        assert answer == {"birthday": None, "userErrors": [{"code": code, "field": field}]}, given
    assert await rows(shop) == before


async def test_a_follow_is_its_customers_own_claim(shop: Shop) -> None:
    await publish(shop, follows=RULES["follows"])
    customer = await shop.customer()
    own = shop.customer_token(customer.id)
    claim = (await shop.data(FOLLOW, token=own, network="TIKTOK"))["socialFollowClaim"]
    assert claim["userErrors"] == []
    told = {name: claim["actionClaim"][name] for name in ("kind", "rule", "customerId", "points", "pointsPending", "reason")}
    assert told == {
        "kind": "FOLLOW",
        "rule": "tiktok",
        "customerId": gid(customer),
        "points": 50,
        "pointsPending": 50,
        "reason": None,
    }
    assert (await shop.data(FOLLOW, token=own, network="TIKTOK"))["socialFollowClaim"] == claim
    refused = (await shop.data(FOLLOW, token=own, network="X"))["socialFollowClaim"]
    assert refused == {"actionClaim": None, "userErrors": [{"code": "ACTION_NOT_OFFERED", "field": ["network"]}]}
    assert await shop.balance(customer.id) == (0, 50)


async def test_a_partners_event_gives_once_and_says_why_not(shop: Shop) -> None:
    await publish(shop, events=[{"name": "quiz", "points": 25, "perLife": 1}])
    customer = await shop.customer()
    partner = await shop.partner_key()
    # The program is in force since just now, and this happened before it.
    early = (await shop.data(RECORD, token=partner, input=event(gid(customer))))["eventRecord"]
    assert early["userErrors"] == []
    assert early["actionClaim"] == {
        "kind": "EVENT",
        "key": "e1",
        "customerId": gid(customer),
        "rule": "quiz",
        "occurredAt": "2026-11-01T12:00:00+00:00",
        "programVersion": None,
        "points": 0,
        "pointsConfirmed": 0,
        "pointsPending": 0,
        "spendableAt": "2026-11-01T12:00:00+00:00",
        "reason": "NO_PROGRAM",
    }
    now = (await shop.data("{ merchant { now } }"))["merchant"]["now"]
    answers = [
        (await shop.data(RECORD, token=partner, input=event(gid(customer), id=key, occurredAt=now)))["eventRecord"]
        for key in ("e2", "e2", "e3")
    ]
    assert [one["actionClaim"]["reason"] for one in answers] == [None, None, "LIFETIME_CAP"]
    assert answers[0] == answers[1]
    assert await shop.balance(customer.id) == (25, 0)


async def test_bad_events_are_refused_and_change_nothing(shop: Shop) -> None:
    await publish(shop, events=RULES["events"])
    customer = gid(await shop.customer())
    partner = await shop.partner_key()
    await shop.data(RECORD, token=partner, input=event(customer, properties={"score": 1}))
    before = await rows(shop)
    calls: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"properties": {"score": 2}}, "IDEMPOTENCY_KEY_REUSED", ["input", "id"]),
        ({"id": "e2", "properties": [1]}, "TOO_LONG", ["input", "properties"]),
        ({"id": "e2", "properties": {"x": "y" * 4096}}, "TOO_LONG", ["input", "properties"]),
        ({"id": "e2", "occurredAt": "2026-11-01T12:00:00"}, "INSTANT_INVALID", ["input", "occurredAt"]),
        ({"id": "e2", "occurredAt": "9999-12-31T23:59:59-14:00"}, "INSTANT_INVALID", ["input", "occurredAt"]),
        ({"id": "e2", "customerId": "gid://loyalnest/Order/1"}, "NOT_FOUND", ["input", "customerId"]),
        ({"id": "a\u0000b"}, "BAD_INPUT", ["input", "id"]),
        ({"id": " "}, "BLANK", ["input", "id"]),
    ]
    for changed, code, field in calls:
        answer = (await shop.data(RECORD, token=partner, input=event(customer, **changed)))["eventRecord"]
        assert answer == {"actionClaim": None, "userErrors": [{"code": code, "field": field}]}, changed
    assert await rows(shop) == before


async def test_a_tills_queue_is_answered_entry_by_entry(shop: Shop) -> None:
    await publish(shop)
    customer = gid(await shop.customer())
    partner = await shop.partner_key()
    now = (await shop.data("{ merchant { now } }"))["merchant"]["now"]
    back = {"clientId": "r1", "movement": "REFUND", "occurredAt": now, "amount": "2.34", "currency": "USD", "saleId": "s1"}
    entries = [back, sale(customer, occurredAt=now), sale(customer, clientId="s2", amount="0.00", occurredAt=now)]
    answer = (await shop.data(SYNC, token=partner, entries=entries))["pointsSync"]
    stands = {"key": "s1", "points": 100, "pointsConfirmed": 100, "reason": None}
    assert answer == {
        "results": [
            {"clientId": "r1", "outcome": "ACCEPTED", "actionClaim": stands, "userErrors": []},
            {"clientId": "s1", "outcome": "ACCEPTED", "actionClaim": stands, "userErrors": []},
            {
                "clientId": "s2",
                "outcome": "REFUSED",
                "actionClaim": None,
                "userErrors": [{"code": "AMOUNT_INVALID", "field": ["entries", "2", "amount"]}],
            },
        ],
        "userErrors": [],
    }
    again = (await shop.data(SYNC, token=partner, entries=entries[:2]))["pointsSync"]["results"]
    assert [one["outcome"] for one in again] == ["DUPLICATE", "DUPLICATE"]


async def test_a_queue_that_is_too_long_is_refused_as_a_whole(shop: Shop) -> None:
    await publish(shop)
    customer = gid(await shop.customer())
    token = await shop.partner_key()
    before = await rows(shop)
    entries = [sale(customer, clientId=f"s{number}") for number in range(251)]
    answer = (await shop.data(SYNC, token=token, entries=entries))["pointsSync"]
    assert answer == {"results": None, "userErrors": [{"code": "TOO_MANY", "field": ["entries"]}]}
    changed = await rows(shop)
    assert changed == before


async def test_the_secret_of_a_source_is_set_by_staff_and_never_shown(shop: Shop) -> None:
    answer = (await shop.data(SECRET, secret="a secret of my own"))["reviewSourceSet"]
    path = f"/webhooks/judgeme?shop={shop.merchant.shop_domain}"
    assert answer == {"webhookPath": path, "userErrors": []}
    assert "a secret of my own" not in str(await rows(shop))
    refused = (await shop.data(SECRET, secret="short"))["reviewSourceSet"]
    assert refused == {"webhookPath": None, "userErrors": [{"code": "SECRET_INVALID", "field": ["secret"]}]}


async def test_who_may_not_is_refused_and_nothing_changes(shop: Shop) -> None:
    await publish(shop, follows=RULES["follows"], events=RULES["events"])
    customer = await shop.customer()
    staff, own, partner = shop.staff_token(), shop.customer_token(customer.id), await shop.partner_key()
    before = await rows(shop)
    calls: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
        ("customerBirthdaySet", BIRTHDAY, {"month": 1, "day": 1, "id": gid(customer)}, (partner,)),
        ("socialFollowClaim", FOLLOW, {"network": "TIKTOK"}, (staff, partner)),
        ("eventRecord", RECORD, {"input": event(gid(customer))}, (staff, own)),
        ("pointsSync", SYNC, {"entries": [sale(gid(customer))]}, (staff, own)),
        ("reviewSourceSet", SECRET, {"secret": "a secret of my own"}, (own, partner)),
    ]
    for name, document, given, tokens in calls:
        for token in tokens:
            answer = await shop.ask(document, token=token, **given)
            assert errors(answer) == [("FORBIDDEN", "This credential does not open this field.", [name])]
    assert await rows(shop) == before


async def test_claims_are_listed_newest_first_and_a_customer_sees_their_own(shop: Shop) -> None:
    await publish(shop, follows=RULES["follows"], events=RULES["events"])
    one, two = await shop.customer(), await shop.customer()
    partner = await shop.partner_key()
    now = (await shop.data("{ merchant { now } }"))["merchant"]["now"]
    for number, customer in enumerate((one, two, one)):
        await shop.data(RECORD, token=partner, input=event(gid(customer), id=f"e{number}", occurredAt=now))
    await shop.data(FOLLOW, token=shop.customer_token(two.id), network="TIKTOK")

    async def listed(token: str | None = None, **given: Any) -> list[str]:
        found = await shop.data(LIST, token=token, **{"first": 100} | given)
        return [node["key"] for node in found["actionClaims"]["nodes"]]

    follow = f"{two.id}.tiktok"
    assert await listed() == [follow, "e2", "e1", "e0"]
    assert await listed(partner, kind="EVENT") == ["e2", "e1", "e0"]
    assert await listed(id=gid(two)) == [follow, "e1"]
    assert await listed(shop.customer_token(one.id)) == ["e2", "e0"]
    assert await listed(shop.customer_token(one.id), id=gid(two)) == []
    page = (await shop.data(LIST, first=3))["actionClaims"]
    assert page["pageInfo"]["hasNextPage"] is True
    rest = (await shop.data(LIST, first=3, after=page["pageInfo"]["endCursor"]))["actionClaims"]
    assert ([node["key"] for node in rest["nodes"]], rest["pageInfo"]["hasNextPage"]) == (["e0"], False)


async def test_a_goals_claim_says_what_became_of_it(shop: Shop) -> None:
    await publish(shop, goals=RULES["goals"])
    customer = await shop.customer()
    at = (await shop.data("{ merchant { now } }"))["merchant"]["now"]
    shop.at = NOON.replace(year=2999)
    placed = order(customer=customer.shopify_id, created_at=at, updated_at=at)
    await converge(shop, placed)
    goal = {"kind": Kind.GOAL.name, "key": f"{customer.id}.spring.1", "points": 500, "reason": None}
    assert (await shop.data(LIST, first=10))["actionClaims"]["nodes"] == [goal]
    await converge(shop, placed | {"cancelled_at": "2998-01-01T00:00:00Z", "updated_at": "2998-01-01T00:00:00Z"})
    lost = goal | {"points": 0, "reason": "BELOW_GOAL"}
    assert (await shop.data(LIST, first=10))["actionClaims"]["nodes"] == [lost]


@pytest.mark.parametrize("meets", [asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError, db.Collision])
async def test_a_command_that_collides_is_run_again_from_its_beginning(shop: Shop, meets: type[Exception]) -> None:
    class Context:
        scope = shop.scope()
        rung = 0

        def ring(self, merchant_id: Any) -> None:
            assert merchant_id == shop.merchant.id
            self.rung += 1

    class Info:
        context = Context()

    tries: list[int] = []
    fail_until = ATTEMPTS

    @command
    async def act(_: Any, info: Any, provider: str) -> str:
        tries.append(len(tries))
        async with db.connection(info.context.scope) as connection:
            await connection.execute(
                "insert into review_sources values ($1, $2, '', $3)", shop.merchant.id, provider, info.context.scope.at
            )
        if len(tries) < fail_until:
            raise meets
        return "done"

    assert await act(None, Info(), "yotpo") == "done"  # type: ignore[arg-type]
    assert (len(tries), Info.context.rung) == (ATTEMPTS, 1)
    fail_until, before = 100, await rows(shop)
    with pytest.raises(meets):
        await act(None, Info(), "judgeme")  # type: ignore[arg-type]
    assert await rows(shop) == before
