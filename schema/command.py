"""A mutation is a command: one transaction, refusals as data."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import asyncpg

from domain import db
from domain.errors import DomainError
from domain.scope import NOBODY, Scope
from schema.context import Info
from schema.errors import user_error

P = ParamSpec("P")
Payload = TypeVar("Payload")

UNSTORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
"""What PostgreSQL says of the character U+0000, in text and in JSON: the only one of Unicode that it cannot hold."""


ATTEMPTS = 3
"""How often a command is tried that meets a worker at the same accounts, or another one that writes the same new row."""


def command(
    resolver: Callable[Concatenate[Any, Info, P], Awaitable[Payload]],
) -> Callable[Concatenate[Any, Info, P], Awaitable[Payload]]:
    """Run a resolver in a transaction of the caller's merchant, and turn its refusal into the payload's `userErrors`.

    The payload's fields are resolved after the commit, and then the workers are told to relay the outbox.
    """

    @functools.wraps(resolver)
    async def run(self: Any, info: Info, *arguments: P.args, **options: P.kwargs) -> Payload:
        context = info.context
        try:
            payload = await _in_transaction(context.scope, lambda: resolver(self, info, *arguments, **options))
        except DomainError as error:
            return _payload_type(resolver)(user_errors=[user_error(error)])
        except UNSTORABLE:
            refusal = DomainError("A text holds the character U+0000, which cannot be stored.")
            return _payload_type(resolver)(user_errors=[user_error(refusal)])
        if context.scope.merchant_id != NOBODY:
            context.ring(context.scope.merchant_id)
        return payload

    return run


async def _in_transaction(scope: Scope, act: Callable[[], Awaitable[Payload]]) -> Payload:
    """Run `act` in a transaction, and again when it collides: nothing of it was written then, and whoever won has finished."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with db.transaction(scope):
                return await act()
        except db.COLLISIONS:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


@functools.cache
def _payload_type(resolver: Callable[..., Any]) -> Callable[..., Any]:
    hints = get_type_hints(inspect.unwrap(resolver))
    return hints["return"]
