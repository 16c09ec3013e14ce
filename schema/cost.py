"""What an operation may cost, known before it is validated or run.

One point for every object that the answer can hold, ten more for a command, and one for every twenty selections that the
document writes out, because reading them is work too. Each selection of a document is visited once, however often it is spread:
what a fragment costs is remembered, so that a document of doubling fragments is priced in as many steps as it has selections.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    VariableNode,
    get_named_type,
    is_introspection_type,
)

from domain.errors import Code, DomainError
from schema.pagination import PAGE_MAX

COST_MAX = 1_000
"""The most that one operation may ask for, as with Shopify."""
COMMAND_COST = 10
SELECTIONS_PER_POINT = 20
LIST_SIZE = 10
"""What a list without pages is taken to hold: such lists hold what one thing has, and are short."""
INTROSPECTION_LIST_SIZE = 2
"""Introspection reads memory and no database: priced so that the usual tools' query passes, and its nested forms do not."""

DEPTH_MAX = 16
NESTING_MAX = 32
"""Levels of selections inside each other with fragments counted, where `DEPTH_MAX` counts only fields."""
REPEATS_MAX = 10
WRITTEN_MAX = {
    "definitions": 50,
    "selections": 500,
    "aliases": 100,
    "arguments": 200,
    "directives": 50,
    "inline fragments": 50,
}
"""How often each may stand in a document."""


class TooComplex(DomainError):
    """The document goes beyond a limit that no ordinary one comes near."""

    code = Code.COST_EXCEEDED


class Price(NamedTuple):
    """What a set of selections costs: once, and for each item of the page that it is asked of; and how many fields deep it is."""

    once: int
    each: int
    depth: int


NOTHING = Price(0, 0, 0)


class Walk:
    """One pass over an operation. `steps` counts the selections visited, and `pages` the variables that a price depends on."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.steps = 0
        self.pages: set[str] = set()
        self._schema = schema
        self._given = variables
        self._variables: dict[str, Any] = {}
        self._priced: dict[str, Price | None] = {}
        self._fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}

    def cost(self, operation: OperationDefinitionNode) -> int:
        """The points that the operation may cost. Raises TooComplex when it is nested too deep."""
        self._variables = {
            one.variable.name.value: self._given.get(one.variable.name.value, _whole(one.default_value))
            for one in operation.variable_definitions or ()
        }
        root = self._schema.get_root_type(operation.operation)
        price = self._selections(operation.selection_set, root, 1)
        if price.depth > DEPTH_MAX:
            raise TooComplex(f"A document is at most {DEPTH_MAX} fields deep.")
        extra = COMMAND_COST if operation.operation is OperationType.MUTATION else 0
        roots = sum(isinstance(one, FieldNode) for one in operation.selection_set.selections)
        # A root field that answers no object still reads the database.
        return max(price.once, roots, 1) + extra * max(roots, 1) + self.steps // SELECTIONS_PER_POINT

    def _selections(self, selected: SelectionSetNode | None, parent: GraphQLNamedType | None, level: int) -> Price:
        if selected is None:
            return NOTHING
        if level > NESTING_MAX:
            raise TooComplex(f"A document nests at most {NESTING_MAX} selections.")
        once = each = depth = 0
        for one in selected.selections:
            self.steps += 1
            match one:
                case FieldNode():
                    price = self._field(one, parent, level)
                case InlineFragmentNode():
                    narrowed = parent if one.type_condition is None else self._named(one.type_condition.name)
                    price = self._selections(one.selection_set, narrowed, level + 1)
                case FragmentSpreadNode():
                    price = self._fragment(one.name.value, level)
                case _:
                    continue
            once, each, depth = once + price.once, each + price.each, max(depth, price.depth)
        return Price(once, each, depth)

    def _fragment(self, name: str, level: int) -> Price:
        if name not in self._priced:
            # Until it is known: a fragment that spreads itself adds nothing here, and validation refuses it.
            self._priced[name] = None
            definition = self._fragments.get(name)
            if definition is not None:
                parent = self._named(definition.type_condition.name)
                self._priced[name] = self._selections(definition.selection_set, parent, level + 1)
        return self._priced[name] or NOTHING

    def _field(self, field: FieldNode, parent: GraphQLNamedType | None, level: int) -> Price:
        definition = _definition(self._schema, parent, field.name.value)
        if definition is None or field.selection_set is None:
            # A leaf, or nothing that validation lets pass.
            return Price(0, 0, 1)
        kind = cast("GraphQLNamedType", get_named_type(definition.type))
        inner = self._selections(field.selection_set, kind, level + 1)
        cost = 1 + inner.once
        if _is_page(kind):
            cost += inner.each * self._page_size(field)
        elif _is_list(definition.type):
            if _is_page(parent):
                return Price(0, cost, 1 + inner.depth)
            cost *= INTROSPECTION_LIST_SIZE if is_introspection_type(kind) else 1 if kind.name == "UserError" else LIST_SIZE
        return Price(cost, 0, 1 + inner.depth)

    def _page_size(self, field: FieldNode) -> int:
        given: Any = None
        for argument in field.arguments or ():
            if argument.name.value == "first":
                given = argument.value
        if isinstance(given, VariableNode):
            self.pages.add(given.name.value)
            size = self._variables.get(given.name.value)
        else:
            size = _whole(given)
        # What is no number of a page is refused later; until then it is priced as the largest.
        return size if isinstance(size, int) and 0 <= size <= PAGE_MAX else PAGE_MAX

    def _named(self, name: NameNode) -> GraphQLNamedType | None:
        return self._schema.type_map.get(name.value)


def _definition(schema: GraphQLSchema, parent: GraphQLNamedType | None, name: str) -> Any:
    if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
        return None
    if name.startswith("__") and parent is schema.query_type:
        return {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}.get(name)
    return parent.fields.get(name)


def _is_page(kind: GraphQLNamedType | None) -> bool:
    return isinstance(kind, GraphQLObjectType) and kind.name.endswith("Connection")


def _is_list(kind: Any) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)


def _whole(value: Any) -> int | None:
    return int(value.value) if isinstance(value, IntValueNode) and len(value.value) < 10 else None


def check_size(document: DocumentNode) -> None:
    """Count what is written in a document, each selection once. Raises TooComplex."""
    written: Counter[str] = Counter()
    rest: list[tuple[Any, int]] = []
    for one in document.definitions:
        written["definitions"] += 1
        rest.append((one, 0))
        variables = one.variable_definitions or () if isinstance(one, OperationDefinitionNode) else ()
        written["directives"] += sum(len(variable.directives or ()) for variable in variables)
    while rest:
        node, level = rest.pop()
        written["selections"] += 1
        written["directives"] += len(node.directives or ())
        written["inline fragments"] += isinstance(node, InlineFragmentNode)
        if isinstance(node, FieldNode):
            written["aliases"] += node.alias is not None
            written["arguments"] += len(node.arguments or ())
        for name, most in WRITTEN_MAX.items():
            if written[name] > most:
                raise TooComplex(f"A document has at most {most} {name}.")
        if level > NESTING_MAX:
            raise TooComplex(f"A document nests at most {NESTING_MAX} selections.")
        selected: SelectionSetNode | None = getattr(node, "selection_set", None)
        if selected is not None:
            selections = selected.selections
            _check_repeats(selections)
            rest += [(one, level + 1) for one in selections]


def _check_repeats(selections: Sequence[Any]) -> None:
    """Equal names in one place are compared pairwise when they are validated. Nobody writes many of them."""
    names = Counter((one.alias or one.name).value for one in selections if isinstance(one, FieldNode))
    if names and max(names.values()) > REPEATS_MAX:
        raise TooComplex(f"A selection names one field at most {REPEATS_MAX} times.")


def actual_cost(data: Any) -> int:
    """How many objects an answer holds."""
    if isinstance(data, dict):
        values = cast("dict[str, Any]", data).values()
        return 1 + sum(actual_cost(value) for value in values if isinstance(value, dict | list))
    return sum(map(actual_cost, cast("list[Any]", data))) if isinstance(data, list) else 0
