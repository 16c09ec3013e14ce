"""What a program gives for other things than orders, in the API."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain.programs import Actions, BirthdayRule, EventRule, FollowRule, Goal, Network, ReviewRule
from domain.programs.actions import LEAD_DAYS_MIN
from schema.enums import describe
from schema.scalars import CurrencyCode, Money, Points

describe(
    Network,
    name="SocialNetwork",
    description="Where a shop can be followed.",
    values={
        Network.FACEBOOK: "Facebook.",
        Network.INSTAGRAM: "Instagram.",
        Network.PINTEREST: "Pinterest.",
        Network.SNAPCHAT: "Snapchat.",
        Network.TIKTOK: "TikTok.",
        Network.X: "X, once Twitter.",
        Network.YOUTUBE: "YouTube.",
    },
)


@strawberry.type(description="What is given for a birthday, at its first instant in the program's time zone.")
class BirthdayEarning:
    """The rule of birthdays."""

    points: Points = strawberry.field(description="The points.")
    lead_days: int = strawberry.field(description="Whole days, at least, between setting or changing the date and the gift.")
    hold_days: int = strawberry.field(description="Whole days until the points can be spent.")


@strawberry.type(description="What is given for a published review.")
class ReviewEarning:
    """The rule of reviews."""

    points: Points = strawberry.field(description="The points for each review.")
    hold_days: int = strawberry.field(description="Whole days until the points can be spent.")
    per_day: int | None = strawberry.field(description="How many reviews of a customer earn in a day; null for any number.")
    per_life: int | None = strawberry.field(description="How many reviews of a customer earn ever; null for any number.")


@strawberry.type(description="What is given for saying that one follows the shop on a network: once, and nobody can check it.")
class SocialFollowEarning:
    """The rule of a network."""

    network: Network = strawberry.field(description="The network.")
    points: Points = strawberry.field(description="The points.")
    url: str = strawberry.field(description="The shop's page on it.")
    hold_days: int = strawberry.field(description="Whole days until the points can be spent.")


@strawberry.type(description="What is given when a partner tells of an event with this name.")
class EventEarning:
    """The rule of an event."""

    name: str = strawberry.field(description="The event's name.")
    points: Points = strawberry.field(description="The points for each event.")
    hold_days: int = strawberry.field(description="Whole days until the points can be spent.")
    per_day: int | None = strawberry.field(description="How many events of a customer earn in a day; null for any number.")
    per_life: int | None = strawberry.field(description="How many events of a customer earn ever; null for any number.")


@strawberry.type(description="What is given for spending an amount. Once published it keeps its terms under its id.")
class SpendGoal:
    """A goal."""

    id: str = strawberry.field(description="The merchant's name of it.")
    points: Points = strawberry.field(description="The points, each time.")
    spend: Money = strawberry.field(description="The amount to be spent, on what was kept of paid orders.")
    currency: CurrencyCode = strawberry.field(description="The amount's currency; orders in another one do not count.")
    times: int = strawberry.field(description="How often it can be reached, each time by as much again.")
    starts_at: datetime | None = strawberry.field(description="Orders placed from here on count; null for all.")
    ends_at: datetime | None = strawberry.field(description="Orders placed before this count; null for all.")
    hold_days: int = strawberry.field(description="Whole days until the points can be spent.")


@strawberry.type(description="What is given for other things than orders and joining. What is not here earns nothing.")
class ProgramActions:
    """All rules of actions."""

    birthday: BirthdayEarning | None = strawberry.field(description="For a birthday.")
    review: ReviewEarning | None = strawberry.field(description="For a review.")
    follows: list[SocialFollowEarning] = strawberry.field(description="For following, by network.")
    events: list[EventEarning] = strawberry.field(description="For partners' events, by name.")
    goals: list[SpendGoal] = strawberry.field(description="For spending.")


@strawberry.input(description="What to give for a birthday.")
class BirthdayEarningInput:
    """A rule to set."""

    points: Points = strawberry.field(description="The points.")
    lead_days: int = strawberry.field(
        default=LEAD_DAYS_MIN, description="Whole days between setting or changing the date and the gift, 30 to 365."
    )
    hold_days: int = strawberry.field(default=0, description="Whole days until the points can be spent, 0 to 365.")


@strawberry.input(description="What to give for a published review.")
class ReviewEarningInput:
    """A rule to set."""

    points: Points = strawberry.field(description="The points for each review.")
    hold_days: int = strawberry.field(default=0, description="Whole days until the points can be spent, 0 to 365.")
    per_day: int | None = strawberry.field(default=None, description="How many reviews of a customer earn in a day.")
    per_life: int | None = strawberry.field(default=None, description="How many reviews of a customer earn ever.")


@strawberry.input(description="What to give for saying that one follows the shop on a network.")
class SocialFollowEarningInput:
    """A rule to set."""

    network: Network = strawberry.field(description="The network.")
    points: Points = strawberry.field(description="The points.")
    url: str = strawberry.field(description="The shop's page on it, an address with https.")
    hold_days: int = strawberry.field(default=0, description="Whole days until the points can be spent, 0 to 365.")


@strawberry.input(description="What to give when a partner tells of an event with this name.")
class EventEarningInput:
    """A rule to set."""

    name: str = strawberry.field(description="The event's name, 1 to 60 characters.")
    points: Points = strawberry.field(description="The points for each event.")
    hold_days: int = strawberry.field(default=0, description="Whole days until the points can be spent, 0 to 365.")
    per_day: int | None = strawberry.field(default=None, description="How many events of a customer earn in a day.")
    per_life: int | None = strawberry.field(default=None, description="How many events of a customer earn ever.")


@strawberry.input(description="What to give for spending an amount. Once published it keeps its terms: give new ones another id.")
class SpendGoalInput:
    """A goal to set."""

    id: str = strawberry.field(description="Your name of it, 1 to 60 characters.")
    points: Points = strawberry.field(description="The points, each time.")
    spend: Money = strawberry.field(description="The amount to be spent.")
    currency: CurrencyCode = strawberry.field(description="The amount's currency.")
    times: int = strawberry.field(default=1, description="How often it can be reached, 1 to 100.")
    starts_at: datetime | None = strawberry.field(default=None, description="Orders placed from here on count.")
    ends_at: datetime | None = strawberry.field(default=None, description="Orders placed before this count.")
    hold_days: int = strawberry.field(default=0, description="Whole days until the points can be spent, 0 to 365.")


@strawberry.input(description="What to give for other things than orders and joining. What is left out earns nothing.")
class ProgramActionsInput:
    """All rules of actions."""

    birthday: BirthdayEarningInput | None = strawberry.field(default=None, description="For a birthday.")
    review: ReviewEarningInput | None = strawberry.field(default=None, description="For a review.")
    follows: list[SocialFollowEarningInput] = strawberry.field(default_factory=list, description="For following, by network.")
    events: list[EventEarningInput] = strawberry.field(default_factory=list, description="For partners' events, by name.")
    goals: list[SpendGoalInput] = strawberry.field(default_factory=list, description="For spending.")


def actions_shown(actions: Actions) -> ProgramActions:
    """The rules of actions as the API shows them."""
    birthday, review = actions.birthday, actions.review
    return ProgramActions(
        birthday=None
        if birthday is None
        else BirthdayEarning(points=Points(birthday.points), lead_days=birthday.lead_days, hold_days=birthday.hold_days),
        review=None
        if review is None
        else ReviewEarning(
            points=Points(review.points), hold_days=review.hold_days, per_day=review.per_day, per_life=review.per_life
        ),
        follows=[
            SocialFollowEarning(network=one.network, points=Points(one.points), url=one.url, hold_days=one.hold_days)
            for one in actions.follows
        ],
        events=[
            EventEarning(
                name=one.name, points=Points(one.points), hold_days=one.hold_days, per_day=one.per_day, per_life=one.per_life
            )
            for one in actions.events
        ],
        goals=[
            SpendGoal(
                id=one.id,
                points=Points(one.points),
                spend=Money(one.spend),
                currency=CurrencyCode(one.currency),
                times=one.times,
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                hold_days=one.hold_days,
            )
            for one in actions.goals
        ],
    )


def actions_of(input: ProgramActionsInput) -> Actions:
    """The rules of actions as the domain keeps them: the inputs have the rules' own fields."""
    return Actions(
        birthday=None if input.birthday is None else BirthdayRule(**vars(input.birthday)),
        review=None if input.review is None else ReviewRule(**vars(input.review)),
        follows=tuple(FollowRule(**vars(one)) for one in input.follows),
        events=tuple(EventRule(**vars(one)) for one in input.events),
        goals=tuple(Goal(**vars(one)) for one in input.goals),
    )
