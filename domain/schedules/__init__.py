"""Work of a merchant that recurs: when it is next to be done, and how far it has been done."""

from domain.schedules.commands import DAILY, done, plan
from domain.schedules.queries import next_due, reached

__all__ = ["DAILY", "done", "next_due", "plan", "reached"]
