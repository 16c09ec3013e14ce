"""The platform's own people: how they prove who they are, and what each may do."""

from domain.admins.commands import Enrolment, create, disable, password_change, reset, update
from domain.admins.queries import Admin, page
from domain.admins.sessions import Refused, Session, Tokens, anonymous, end, refresh, session, sign_in

__all__ = [
    "Admin",
    "Enrolment",
    "Refused",
    "Session",
    "Tokens",
    "anonymous",
    "create",
    "disable",
    "end",
    "page",
    "password_change",
    "refresh",
    "reset",
    "session",
    "sign_in",
    "update",
]
