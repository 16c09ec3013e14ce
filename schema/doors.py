"""Which door opens which field, and to whom: declared at the field, shown in its description, checked before it runs.

A root field that declares nothing is closed to everybody; `declare` sees to it, and tests/house names such a field.
"""

import inspect
from enum import Enum
from typing import Any, cast

from strawberry.extensions import FieldExtension
from strawberry.types.field import StrawberryField

from domain.access import ADMIN_GRANTS, PARTNER_SCOPES, STAFF_GRANTS, Permission
from domain.errors import Code, DomainError
from domain.scope import NOBODY, Door
from schema.context import Context


class Forbidden(DomainError):
    """The caller came through another door, or was not granted what the field needs."""

    code = Code.FORBIDDEN


class ShopMistaken(DomainError):
    """One of the platform's people asked for a merchant's field without saying whose, or for the platform's and named a shop."""


class About(Enum):
    """What a field is about: one merchant, the platform, or whichever of them the caller means."""

    MERCHANT = "merchant"
    PLATFORM = "platform"
    EITHER = "either"


class Opens(FieldExtension):
    """Lets in the callers of these doors who were granted what the field needs, and no others.

    A query or a stream needs `read` and a command `write`, unless it says otherwise with `needing`; a field of an object always
    says what it needs. A customer needs nothing more than the door: what customers see is their own.
    """

    def __init__(self, *doors: Door, needs: Permission | None = None, about: About = About.MERCHANT) -> None:
        self.doors = doors
        self.needs = needs
        self._about = about

    def needing(self, permission: Permission) -> "Opens":
        """The same doors, for those who were granted this."""
        return Opens(*self.doors, needs=permission, about=self._about)

    def opened_to(self) -> str:
        """The doors and whom they let in, in words."""
        permission = self.needs
        assert permission is not None, "declare, or the field itself, has said what is needed"
        names: list[str] = []
        for door in self.doors:
            match door:
                case Door.STAFF:
                    roles = [role.value for role, granted in STAFF_GRANTS.items() if permission in granted]
                    names.append(_among(door, roles, len(STAFF_GRANTS)))
                case Door.ADMIN:
                    roles = [role.value for role, granted in ADMIN_GRANTS.items() if permission in granted]
                    names.append(_among(door, roles, len(ADMIN_GRANTS)))
                case Door.PARTNER:
                    assert permission in PARTNER_SCOPES, f"no partner can be granted {permission.value}"
                    names.append(f"{door.value} (scope {permission.value})")
                case _:
                    names.append(door.value)
        return ", ".join(names) or "nobody"

    def apply(self, field: StrawberryField) -> None:
        """Say so in the field's description."""
        field.description = f"{field.description or ''} Open to: {self.opened_to()}.".strip()

    def lets_in(self, context: Context) -> bool:
        """Whether the caller came through one of the doors, and was granted what is needed."""
        door = context.scope.actor.door
        return door in self.doors and (door is Door.CUSTOMER or self.needs in context.permissions)

    def check(self, context: Context) -> None:
        """Raises Forbidden, and ShopMistaken."""
        if not self.lets_in(context):
            raise Forbidden("This credential does not open this field.")
        names_shop = context.scope.merchant_id != NOBODY
        if self._about is About.MERCHANT and not names_shop:
            raise ShopMistaken("Say which shop: `X-LoyalNest-Shop: cedar.myshopify.com`.")
        if self._about is About.PLATFORM and names_shop:
            raise ShopMistaken("This is about the platform: leave `X-LoyalNest-Shop` out.")

    def resolve(self, next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        """Check, then run."""
        self.check(info.context)
        return next_(source, info, **arguments)

    async def resolve_async(self, next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        """Check, then run; a subscription's resolver gives its stream at once and is not awaited."""
        self.check(info.context)
        result = next_(source, info, **arguments)
        return await result if inspect.isawaitable(result) else result


def _among(door: Door, roles: list[str], all_: int) -> str:
    return door.value if len(roles) == all_ else f"{door.value} ({', '.join(roles)})"


def declare(root: type, needs: Permission) -> None:
    """Say of every field of a root what it needs: `needs`, unless it says so itself. What has no door at all stays closed."""
    fields: list[Any] = cast("Any", root).__strawberry_definition__.fields
    for field in fields:
        given: list[Any] = field.extensions
        opens = next((one for one in given if isinstance(one, Opens)), CLOSED)
        others = [one for one in given if one is not opens]
        field.extensions = [opens.needing(needs) if opens.needs is None else opens, *others]


CLOSED = Opens()
"""For nobody."""
EVERYBODY = Opens(Door.STAFF, Door.CUSTOMER, Door.PARTNER, Door.ADMIN)
STAFF_AND_PARTNERS = Opens(Door.STAFF, Door.PARTNER, Door.ADMIN)
STAFF_AND_CUSTOMERS = Opens(Door.STAFF, Door.CUSTOMER, Door.ADMIN)
STAFF_AND_ADMINS = Opens(Door.STAFF, Door.ADMIN)
STAFF = Opens(Door.STAFF)
CUSTOMERS = Opens(Door.CUSTOMER)
PARTNERS = Opens(Door.PARTNER)
HOUSE = STAFF.needing(Permission.ACCESS)
"""For what decides who has a say in the merchant: roles, keys, and the shops that belong to it."""
PERSONAL_DATA = STAFF_AND_CUSTOMERS.needing(Permission.PERSONAL)
"""For what tells who a customer is."""
PLATFORM = Opens(Door.ADMIN, needs=Permission.PLATFORM, about=About.PLATFORM)
"""For the platform's own people, without a merchant."""
