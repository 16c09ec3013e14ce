"""Which door opens which field: declared at the field, shown in its description, checked before it runs."""

import inspect
from typing import Any

from strawberry.extensions import FieldExtension
from strawberry.types.field import StrawberryField

from domain.errors import Code, DomainError
from domain.scope import Door
from schema.context import Info


class Forbidden(DomainError):
    """The caller came through another door."""

    code = Code.FORBIDDEN


class Opens(FieldExtension):
    """Lets in the callers of these doors and no others."""

    def __init__(self, *doors: Door) -> None:
        self.doors = doors

    def apply(self, field: StrawberryField) -> None:
        """Say so in the field's description."""
        names = ", ".join(door.value for door in self.doors)
        field.description = f"{field.description or ''} Open to: {names}.".strip()

    def _check(self, info: Info) -> None:
        if info.context.scope.actor.door not in self.doors:
            raise Forbidden("This credential does not open this field.")

    def resolve(self, next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        """Check, then run."""
        self._check(info)
        return next_(source, info, **arguments)

    async def resolve_async(self, next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        """Check, then run; a subscription's resolver gives its stream at once and is not awaited."""
        self._check(info)
        result = next_(source, info, **arguments)
        return await result if inspect.isawaitable(result) else result


EVERYBODY = Opens(Door.STAFF, Door.CUSTOMER, Door.PARTNER)
STAFF_AND_PARTNERS = Opens(Door.STAFF, Door.PARTNER)
STAFF_AND_CUSTOMERS = Opens(Door.STAFF, Door.CUSTOMER)
STAFF = Opens(Door.STAFF)
CUSTOMERS = Opens(Door.CUSTOMER)
PARTNERS = Opens(Door.PARTNER)
