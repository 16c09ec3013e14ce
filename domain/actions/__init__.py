"""What customers earn for besides orders and joining: birthdays, reviews, follows, goals, partners' events, sales at the till."""

from domain.actions.birthdays import Birthday, birthday, give_birthdays, set_birthday
from domain.actions.claims import mature, maturing_of, page
from domain.actions.commands import claim_follow, record_event
from domain.actions.goals import Spending, count
from domain.actions.merging import (
    MovedClaim,
    later_lots,
    move,
    move_back,
    pause,
    resume,
    returning,
    settle_apart,
    take_back_twice,
)
from domain.actions.reviews import (
    InvalidReview,
    Provider,
    Told,
    forget_writers,
    meet,
    proves,
    read,
    set_source,
    settle_reviews,
    tell,
)
from domain.actions.rules import Claim, Kind
from domain.actions.till import Answer, Movement, Outcome, TillEntry, hold_tills, sync
from domain.actions.totals import WrongTotal, wrong_totals

__all__ = [
    "Answer",
    "Birthday",
    "Claim",
    "InvalidReview",
    "Kind",
    "MovedClaim",
    "Movement",
    "Outcome",
    "Provider",
    "Spending",
    "TillEntry",
    "Told",
    "WrongTotal",
    "birthday",
    "claim_follow",
    "count",
    "forget_writers",
    "give_birthdays",
    "hold_tills",
    "later_lots",
    "mature",
    "maturing_of",
    "meet",
    "move",
    "move_back",
    "page",
    "pause",
    "proves",
    "read",
    "record_event",
    "resume",
    "returning",
    "set_birthday",
    "set_source",
    "settle_apart",
    "settle_reviews",
    "sync",
    "take_back_twice",
    "tell",
    "wrong_totals",
]
