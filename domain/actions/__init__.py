"""What customers earn for besides orders and joining: birthdays, reviews, follows, goals, partners' events, sales at the till."""

from domain.actions.birthdays import Birthday, birthday, give_birthdays, set_birthday
from domain.actions.claims import mature, page
from domain.actions.commands import claim_follow, record_event
from domain.actions.goals import Spending, count
from domain.actions.reviews import InvalidReview, Provider, Told, meet, proves, read, set_source, settle_reviews, tell
from domain.actions.rules import Claim, Kind
from domain.actions.till import Answer, Movement, Outcome, TillEntry, sync

__all__ = [
    "Answer",
    "Birthday",
    "Claim",
    "InvalidReview",
    "Kind",
    "Movement",
    "Outcome",
    "Provider",
    "Spending",
    "TillEntry",
    "Told",
    "birthday",
    "claim_follow",
    "count",
    "give_birthdays",
    "mature",
    "meet",
    "page",
    "proves",
    "read",
    "record_event",
    "set_birthday",
    "set_source",
    "settle_reviews",
    "sync",
    "tell",
]
