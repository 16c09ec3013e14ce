"""Who is what when nobody has said so, and who must remain."""

import re

from domain.access import StaffRole
from domain.errors import Code, DomainError

_USER = re.compile(r"[0-9]{1,20}")


class LastOwner(DomainError):
    """Without an owner nobody could give roles any more."""

    code = Code.LAST_OWNER


def check_user(user_id: str) -> str:
    """A user's number as Shopify gives it, with or without its global id's head. Raises a BAD_INPUT refusal."""
    number = user_id.removeprefix("gid://shopify/StaffMember/")
    if not _USER.fullmatch(number):
        raise DomainError("A member of the staff is Shopify's number of the user.", field=("userId",))
    return number


def effective(role: str | None, *, has_owner: bool) -> StaffRole:
    """The role of a user. Before an owner is named, Shopify's own permission to open the app is all there is to go by."""
    if role is not None:
        return StaffRole(role)
    return StaffRole.ANALYST if has_owner else StaffRole.OWNER
