"""Work of a merchant that recurs: when it is next to be done, and how far it has been done."""

from domain.schedules.commands import DAILY, begin, done, fail, plan
from domain.schedules.queries import next_due, reached

__all__ = ["DAILY", "begin", "done", "fail", "next_due", "plan", "reached"]
