"""The merchant's staff, and what each of them may do."""

from domain.staff.commands import assign, remove
from domain.staff.queries import Member, page, role_of

__all__ = ["Member", "assign", "page", "remove", "role_of"]
