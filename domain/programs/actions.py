"""What a program gives for other things than orders: birthdays, reviews, follows, goals and partners' events."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from domain import money
from domain.errors import Code, DomainError

POINTS_MAX = 1_000_000_000
HOLD_DAYS_MAX = 365
LEAD_DAYS_MIN = 30
LEAD_DAYS_MAX = 365
CAP_MAX = 1_000_000
TIMES_MAX = 100
RULES_MAX = 50
NAME_LENGTH_MAX = 60
URL_LENGTH_MAX = 500
PAGE = re.compile(r"https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9](/[^\s\\]*)?", re.ASCII | re.IGNORECASE)
"""An address that every reader takes for the same: a named host, without a port or a user before it. The server never asks for
it; customers are sent there."""
YEARS = range(2000, 3000)
"""Of the instants of goals; far from the ends of the calendar, where no time zone has an instant any more."""


class InvalidActions(DomainError):
    """A rule of the actions breaks a limit; `field` says where."""

    code = Code.PROGRAM_INVALID


class Network(StrEnum):
    """Where a shop can be followed."""

    FACEBOOK = "facebook"
    INSTAGRAM = "instagram"
    PINTEREST = "pinterest"
    SNAPCHAT = "snapchat"
    TIKTOK = "tiktok"
    X = "x"
    YOUTUBE = "youtube"


class BirthdayRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Given at the beginning of the birthday. lead_days: whole days between setting or changing the date and the gift."""

    points: int
    lead_days: int = LEAD_DAYS_MIN
    hold_days: int = 0


class ReviewRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Given for each published review. per_day, per_life: how many reviews of one customer earn; None for no limit."""

    points: int
    hold_days: int = 0
    per_day: int | None = None
    per_life: int | None = None


class FollowRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Given once for saying that one follows the shop on a network, whose page is at `url`."""

    network: Network
    points: int
    url: str
    hold_days: int = 0


class EventRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Given when a partner tells of an event with this name. per_day, per_life: how many of one customer earn."""

    name: str
    points: int
    hold_days: int = 0
    per_day: int | None = None
    per_life: int | None = None


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Given when a customer has spent an amount on orders placed from `starts_at` until before `ends_at`; None for ever.

    spend: decimal text in `currency`. times: how often it can be reached, each time by as much again. Once published, a goal
    keeps its terms under its id, so that its points are a function of the orders alone.
    """

    id: str
    points: int
    spend: str
    currency: str
    times: int = 1
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    hold_days: int = 0

    def spend_minor(self) -> int:
        """The amount in minor units."""
        return money.parse(self.spend, self.currency)

    def times_reached(self, spent_minor: int) -> int:
        """How often it is reached by so many minor units."""
        each = self.spend_minor()
        return sum(spent_minor >= nth * each for nth in range(1, self.times + 1))

    def counts(self, placed_at: datetime) -> bool:
        """Whether an order that was placed at this instant counts."""
        return (self.starts_at is None or self.starts_at <= placed_at) and (self.ends_at is None or placed_at < self.ends_at)


class Actions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of all actions. What has no rule earns nothing."""

    birthday: BirthdayRule | None = None
    review: ReviewRule | None = None
    follows: tuple[FollowRule, ...] = ()
    events: tuple[EventRule, ...] = ()
    goals: tuple[Goal, ...] = ()

    def follow(self, network: Network) -> FollowRule | None:
        """The rule for a network."""
        return next((one for one in self.follows if one.network is network), None)

    def event(self, name: str) -> EventRule | None:
        """The rule for an event."""
        return next((one for one in self.events if one.name == name), None)


Rule = BirthdayRule | ReviewRule | FollowRule | EventRule | Goal


def validate_actions(actions: Actions) -> None:
    """Raises InvalidActions, UnknownCurrency or InvalidAmount with the path of what breaks a limit."""
    for path, rule in _rules(actions):
        _between(rule.points, 1, POINTS_MAX, "points", path, "points")
        _between(rule.hold_days, 0, HOLD_DAYS_MAX, "days of hold", path, "holdDays")
        match rule:
            case BirthdayRule():
                _between(rule.lead_days, LEAD_DAYS_MIN, LEAD_DAYS_MAX, "days of lead", path, "leadDays")
            case ReviewRule() | EventRule():
                for name, cap in (("perDay", rule.per_day), ("perLife", rule.per_life)):
                    if cap is not None:
                        _between(cap, 1, CAP_MAX, "times", path, name)
            case FollowRule():
                if len(rule.url) > URL_LENGTH_MAX or not rule.url.isprintable() or not PAGE.fullmatch(rule.url):
                    raise InvalidActions("The page to follow is an address with https.", field=(*path, "url"))
            case Goal():
                _validate_goal(rule, path)
    _validate_names("follows", "network", [rule.network.value for rule in actions.follows])
    _validate_names("events", "name", [rule.name for rule in actions.events])
    _validate_names("goals", "id", [goal.id for goal in actions.goals])


def check_goals_kept(actions: Actions, published: Iterable[Actions]) -> None:
    """Raises InvalidActions when a goal has other terms than an earlier version published under its id."""
    terms = {goal.id: goal for earlier in published for goal in earlier.goals}
    for index, goal in enumerate(actions.goals):
        if terms.get(goal.id, goal) != goal:
            raise InvalidActions(
                "This goal was published with other terms. Give the new terms another id.",
                field=("actions", "goals", str(index), "id"),
            )


def _rules(actions: Actions) -> Iterator[tuple[tuple[str, ...], Rule]]:
    if actions.birthday is not None:
        yield ("actions", "birthday"), actions.birthday
    if actions.review is not None:
        yield ("actions", "review"), actions.review
    lists: tuple[tuple[str, tuple[Rule, ...]], ...] = (
        ("follows", actions.follows),
        ("events", actions.events),
        ("goals", actions.goals),
    )
    for name, rules in lists:
        if len(rules) > RULES_MAX:
            raise InvalidActions(f"There are at most {RULES_MAX} of them.", field=("actions", name))
        for index, rule in enumerate(rules):
            yield ("actions", name, str(index)), rule


def _validate_goal(goal: Goal, path: tuple[str, ...]) -> None:
    _between(goal.times, 1, TIMES_MAX, "times", path, "times")
    if money.parse(goal.spend, goal.currency, field=(*path, "spend")) <= 0:
        raise InvalidActions("A goal asks for an amount above zero.", field=(*path, "spend"))
    for name, instant in (("startsAt", goal.starts_at), ("endsAt", goal.ends_at)):
        if instant is not None and instant.tzinfo is None:
            raise InvalidActions("An instant needs a time zone, such as 2026-11-21T12:00:00Z.", field=(*path, name))
        if instant is not None and instant.year not in YEARS:
            raise InvalidActions(f"The year is from {YEARS[0]} to {YEARS[-1]}.", field=(*path, name))
    if goal.starts_at is not None and goal.ends_at is not None and goal.starts_at >= goal.ends_at:
        raise InvalidActions("A goal ends after it has begun.", field=(*path, "endsAt"))


def _validate_names(name: str, part: str, given: list[str]) -> None:
    seen: set[str] = set()
    for index, one in enumerate(given):
        path = ("actions", name, str(index), part)
        if not one.strip() or len(one) > NAME_LENGTH_MAX or not one.isprintable():
            raise InvalidActions(f"A name has 1 to {NAME_LENGTH_MAX} characters that can be printed.", field=path)
        if one in seen:
            raise InvalidActions("There is another one with this name.", field=path)
        seen.add(one)


def _between(value: int, least: int, most: int, what: str, path: tuple[str, ...], name: str) -> None:
    if not least <= value <= most:
        raise InvalidActions(f"There are {least} to {most} {what}.", field=(*path, name))


def goals_by_id(definitions: Iterable[Any]) -> dict[str, Goal]:
    """All goals of some definitions. The same id is the same goal."""
    return {goal.id: goal for definition in definitions for goal in definition.actions.goals}
