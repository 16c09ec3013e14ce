"""Documents: read once, priced, and refused where they are too long, too deep or too dear, before anything else."""

from collections.abc import AsyncIterator
from functools import cache, lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldsOnCorrectTypeRule,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.graphql import OperationType

from domain.errors import Code, DomainError
from schema.context import Allowance
from schema.cost import COMMAND_COST, COST_MAX, TooComplex, Walk, actual_cost, check_size
from schema.trusted import TRUSTED

TOKENS_MAX = 1_000
CHARACTERS_MAX = 16 * 1024
"""Reading a text is work by the character, also where it is one token: a comment, or a block string."""
ERRORS_MAX = 3
"""Validation ends at so many errors: nobody reads more of them."""
CACHED = 512
CACHED_CHARACTERS_MAX = 4_000
"""Only documents of ordinary size are kept, so that strangers' documents cannot fill the memory."""
PRICES_MAX = 64
"""How many prices of one document are kept, for its different page sizes."""
REFUSED_COST = 10
"""What a document costs that was read in vain."""

# graphql-core compares fields of one name pairwise, up to this budget for a document. Its own is half a second of work.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 1_000

RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
FIRST_RULES = (FieldsOnCorrectTypeRule,)
"""What stops at the first unknown fields. Other rules walk the whole operation before any field of it is looked at."""
NO_OPERATION = parse("{ __typename }")


class Unreadable(Exception):
    """The document cannot be run; `errors` say why."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("the document cannot be run")
        self.errors = errors


class Prepared:
    """A document that may run, with its prices."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.document = document
        self._schema = schema
        self._prices: dict[tuple[Any, ...], int] = {}
        self._pages: dict[str | None, tuple[str, ...]] = {}

    def cost(self, name: str | None, variables: dict[str, Any] | None) -> int:
        """What its operation of this name may cost with these variables."""
        given = variables or {}
        pages = self._pages.get(name)
        if pages is not None and (cost := self._prices.get(_key(name, pages, given))) is not None:
            return cost
        walk = Walk(self._schema, self.document, given)
        cost = max((walk.cost(one) for one in self._operations(name)), default=1)
        self._pages[name] = pages = tuple(sorted(walk.pages))
        if len(self._prices) >= PRICES_MAX:
            # The oldest goes, and comes back when it is the usual one: nobody's odd sizes push it out for good.
            del self._prices[next(iter(self._prices))]
        self._prices[_key(name, pages, given)] = cost
        return cost

    def _operations(self, name: str | None) -> list[OperationDefinitionNode]:
        operations = [one for one in self.document.definitions if isinstance(one, OperationDefinitionNode)]
        return [one for one in operations if name is None or (one.name is not None and one.name.value == name)]


def _key(name: str | None, pages: tuple[str, ...], given: dict[str, Any]) -> tuple[Any, ...]:
    """What a price depends on: the sizes of the pages, where they are whole numbers."""
    sizes = (given.get(page, "left out") for page in pages)
    return name, *(size if isinstance(size, int) or size == "left out" else None for size in sizes)


def prepare(schema: GraphQLSchema, text: str) -> Prepared:
    """Read a document and check it, cheapest first. Raises Unreadable.

    A refusal is not remembered: whoever sends nonsense does not push out what others send every second. Trusted documents are
    kept for good, whatever strangers send.
    """
    if text in _TRUSTED_TEXTS:
        return _kept(schema, text)
    if len(text) <= CACHED_CHARACTERS_MAX:
        return _remembered(schema, text)
    return _prepare(schema, text)


def _prepare(schema: GraphQLSchema, text: str) -> Prepared:
    try:
        if len(text) > CHARACTERS_MAX:
            raise TooComplex(f"A document has at most {CHARACTERS_MAX} characters.")
        document = parse(text, max_tokens=TOKENS_MAX)
        check_size(document)
        prepared = Prepared(schema, document)
        # Without variables every page is taken as the largest, so that nesting is checked, and that alone.
        prepared.cost(None, None)
        if not any(isinstance(one, OperationDefinitionNode) for one in document.definitions):
            # Nothing to run, which the door says with a status of its own.
            return prepared
    except GraphQLError as error:
        raise Unreadable([error]) from error
    except DomainError as error:
        raise Unreadable([_refusal(error)]) from error
    except RecursionError as error:
        raise Unreadable([_refusal(TooComplex("The document is nested deeper than it can be read."))]) from error
    for rules in (FIRST_RULES, RULES):
        errors = validate(schema, document, rules, max_errors=ERRORS_MAX, hide_suggestions=True)
        if errors:
            raise Unreadable(errors)
    return prepared


_remembered = lru_cache(maxsize=CACHED)(_prepare)
_kept = cache(_prepare)
_TRUSTED_TEXTS = frozenset(one.body for one in TRUSTED.values())


def _core(schema: Any) -> GraphQLSchema:
    return schema._schema  # noqa: SLF001 -- graphql-core's schema, which Strawberry wraps


def _refusal(error: DomainError) -> GraphQLError:
    return GraphQLError(error.message, original_error=error)


class Documents(SchemaExtension):
    """Reads, prices and charges an operation in the place of Strawberry's parsing and validation.

    It never raises: where a subscription begins, an error of an extension is not expected, and the client would be told that
    all went well. What is refused stands in `pre_execution_errors`, and a document that does nothing stands in for the one given.
    """

    _prepared: Prepared | None = None
    _refused: list[GraphQLError] | None = None
    _cost: dict[str, Any] | None = None

    async def on_parse(self) -> AsyncIterator[None]:
        """Take the document from the cache, or read it."""
        context = self.execution_context
        if context.query:
            try:
                self._prepared = prepare(_core(context.schema), context.query)
                context.graphql_document = self._prepared.document
            except Unreadable as error:
                self._refused = error.errors
                context.graphql_document = NO_OPERATION
                context._provided_operation_name = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- the stand-in has no name
        yield

    async def on_validate(self) -> AsyncIterator[None]:
        """Charge the operation to the caller's allowance."""
        context = self.execution_context
        allowance: Allowance | None = context.context.allowance if context.context else None
        try:
            if self._prepared is None:
                if allowance is not None:
                    await allowance.spend(REFUSED_COST)
                context.pre_execution_errors = self._refused
            else:
                requested = self._prepared.cost(context.operation_name, context.variables)
                await self._charge(allowance, requested)
                context.pre_execution_errors = []
        except DomainError as error:
            context.pre_execution_errors = [_refusal(error)]
        yield

    async def _charge(self, allowance: Allowance | None, requested: int) -> None:
        self._cost = {"requestedQueryCost": requested, "actualQueryCost": None}
        if requested > COST_MAX:
            raise TooComplex(f"The operation may cost {requested} points, and one operation may cost at most {COST_MAX}.")
        if allowance is not None:
            try:
                await allowance.spend(requested)
            except DomainError as error:
                if error.code is Code.THROTTLED:
                    allowance.told = True
                raise

    async def on_execute(self) -> AsyncIterator[None]:
        """Give back what the answer did not use."""
        yield
        context = self.execution_context
        result = context.result
        if self._cost is None or context.operation_type is OperationType.SUBSCRIPTION or result is None:
            return
        data = getattr(result, "data", None)
        used = 1 if data is None else max(actual_cost(data) - 1, 1)
        if context.operation_type is OperationType.MUTATION:
            used += COMMAND_COST * len(data or ())
        requested: int = self._cost["requestedQueryCost"]
        self._cost["actualQueryCost"] = used
        allowance: Allowance | None = context.context.allowance if context.context else None
        if allowance is not None and used < requested:
            allowance.give_back(requested - used)

    def get_results(self) -> dict[str, Any]:
        """The cost, for those who ask for it and for those who were turned away over it."""
        context = self.execution_context.context
        allowance: Allowance | None = context.allowance if context else None
        if self._cost is None or allowance is None or not allowance.told:
            return {}
        status = allowance.status()
        throttle = {
            "maximumAvailable": status.maximum,
            "currentlyAvailable": status.available,
            "restoreRate": status.restore_per_s,
        }
        return {"cost": {**self._cost, "throttleStatus": throttle}}
