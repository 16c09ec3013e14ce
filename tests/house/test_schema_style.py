"""What every type, field and argument of the schema owes its reader."""

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    is_introspection_type,
    is_specified_scalar_type,
)

from schema.doors import Opens
from schema.root import Mutation, Query, Subscription, schema
from tests.house.source import ROOT

CORE = schema._schema
ROOTS = {"Query": Query, "Mutation": Mutation, "Subscription": Subscription}


def described() -> Iterator[tuple[str, str | None]]:
    """Everything in the schema that carries a description, with it."""
    for name, kind in CORE.type_map.items():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield name, kind.description
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in kind.fields.items():
                yield f"{name}.{field_name}", field.description
                for argument_name, argument in field.args.items():
                    yield f"{name}.{field_name}({argument_name}:)", argument.description
        if isinstance(kind, GraphQLInputObjectType):
            for input_name, input_field in kind.fields.items():
                yield f"{name}.{input_name}", input_field.description
        if isinstance(kind, GraphQLEnumType):
            for value_name, value in kind.values.items():
                yield f"{name}.{value_name}", value.description


def test_everything_is_described_in_a_sentence() -> None:
    everything = dict(described())
    assert len(everything) > 150
    silent = {name for name, text in everything.items() if not (text or "").strip()}
    assert silent == set()
    # Strawberry describes its own scalar, without a full stop.
    assert {name for name, text in everything.items() if text and text.rstrip()[-1] not in ".…"} == {"DateTime"}


def test_the_snapshot_is_the_schema() -> None:
    """When the change is meant: ./dev.sh schema > schema/schema.graphql"""
    assert (ROOT / "schema" / "schema.graphql").read_text() == schema.as_str() + "\n"


@pytest.mark.parametrize("root", ROOTS)
def test_every_root_field_says_which_doors_open_it(root: str) -> None:
    """A field that is named here declares no door, and is closed: give it `extensions=[…]` from schema/doors.py."""
    fields = ROOTS[root].__strawberry_definition__.fields  # type: ignore[attr-defined]
    opens = {field.python_name: [one for one in field.extensions if isinstance(one, Opens)] for field in fields}
    assert [name for name, found in opens.items() if len(found) != 1 or not found[0].doors] == []
    for field in fields:
        [found] = opens[field.python_name]
        assert field.description.endswith(f" Open to: {found.opened_to()}."), field.python_name
        for door in found.doors:
            assert door.value in found.opened_to()


def test_who_may_run_which_command() -> None:
    """Doors and permission of every command. A command without a word of its own needs `write`."""
    opened = {
        field.python_name: one.opened_to()
        for field in Mutation.__strawberry_definition__.fields  # type: ignore[attr-defined]
        for one in field.extensions
        if isinstance(one, Opens)
    }
    program, house, people = "staff (owner, manager)", "staff (owner)", "admin (full)"
    desk = "staff (owner, manager, support), customer, admin (full, points)"
    telling = "partner (scope write)"
    belonging = "staff (owner, manager), partner (scope write), admin (full)"
    assert opened == {
        "admin_create": people,
        "admin_disable": people,
        "admin_password_change": "admin",
        "admin_reset": people,
        "admin_update": people,
        "api_key_create": house,
        "api_key_revoke": house,
        "api_key_rotate": house,
        "customer_birthday_set": desk,
        "customer_export_take": "staff (owner, manager, support)",
        "customer_merge_undo": program,
        "customer_segments_set": belonging,
        "customer_tier_set": belonging,
        "event_record": telling,
        "points_adjust": "staff (owner, manager, support), admin (full, points)",
        "points_reserve": desk,
        "points_sync": telling,
        "program_draft_discard": program,
        "program_draft_update": program,
        "program_publish": program,
        "redemption_cancel": desk,
        "reservation_release": desk,
        "review_source_set": house,
        "reward_coupons_add": program,
        "reward_create": program,
        "reward_redeem": desk,
        "reward_update": program,
        "sandbox_clock_advance": program,
        "social_follow_claim": "customer",
        "staff_role_assign": house,
        "staff_role_remove": house,
        "store_invite": house,
        "store_join": house,
        "store_remove": house,
        "webhook_deliveries_retry": program,
        "webhook_delivery_retry": program,
        "webhooks_check": house,
    }


def test_every_command_that_moves_points_takes_an_idempotency_key() -> None:
    mutation = CORE.mutation_type
    assert mutation is not None
    movers = {name: field for name, field in mutation.fields.items() if name.startswith("points") or name == "rewardRedeem"}
    assert set(movers) == {"pointsAdjust", "pointsReserve", "pointsSync", "rewardRedeem"}
    entry, event = CORE.type_map["TillEntryInput"], CORE.type_map["EventInput"]
    assert isinstance(entry, GraphQLInputObjectType)
    assert isinstance(event, GraphQLInputObjectType)
    keyed = [field.args["idempotencyKey"].type for name, field in movers.items() if name != "pointsSync"]
    # A queue of many entries has a key for each, and an event is named by its partner.
    for key in (*keyed, entry.fields["clientId"].type, event.fields["id"].type):
        assert isinstance(key, GraphQLNonNull)
        assert key.of_type is GraphQLString


def test_every_command_answers_refusals_as_data() -> None:
    mutation = CORE.mutation_type
    assert mutation is not None
    for name, field in mutation.fields.items():
        payload = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        assert isinstance(payload, GraphQLObjectType)
        assert payload.name == f"{name[0].upper()}{name[1:]}Payload"
        assert str(payload.fields["userErrors"].type) == "[UserError!]!"
        others = {key: str(one.type) for key, one in payload.fields.items() if key != "userErrors"}
        assert [key for key, kind in others.items() if kind.endswith("!")] == [], "a refusal has nothing else to give"


def test_every_list_of_things_is_a_page() -> None:
    """A list without a page grows with the shop."""
    for kind in CORE.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                if str(field.type).strip("!").endswith("Connection"):
                    assert str(field.args["first"].type) == "Int!", f"{kind.name}.{name}"
                    assert "after" in field.args, f"{kind.name}.{name}"
