"""Programs that a shop may have, and how it publishes them."""

from hypothesis import strategies as st

from domain.programs import Actions, Clawback, Definition, EventRule, Goal, Period, Unit
from tests.model.hands import EVENT
from tests.model.shop import ModelProgram, money
from tests.shop import rate

PROGRAMS = st.builds(
    ModelProgram,
    rate=st.integers(1, 13),
    hold_days=st.sampled_from([0, 0, 7]),
    policy=st.sampled_from(list(Clawback)),
    grace_days=st.sampled_from([0, 5]),
    expire_after=st.sampled_from([(2, "days"), (6, "days"), (20, "days"), (1, "months"), None]),
    inactivity_days=st.sampled_from([None, None, 10]),
    zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Auckland"]),
    signup=st.sampled_from([0, 75]),
    event_points=st.just(30),
    goal_cents=st.sampled_from([5_000, 15_000]),
    goal_points=st.sampled_from([0, 200, 200]),
    goal_times=st.sampled_from([1, 1, 5]),
)
OLD = st.lists(st.tuples(st.integers(0, 8), st.integers(500, 9_000)), min_size=2, max_size=2)


def definition(program: ModelProgram) -> Definition:
    """The program as the shop publishes it."""
    goal = Goal("much", program.goal_points, money(program.goal_cents), "USD", program.goal_times, hold_days=program.hold_days)
    return rate(
        program.rate,
        signup_points=program.signup,
        hold_days=program.hold_days,
        time_zone=program.zone,
        points_expire_after=program.expire_after and Period(program.expire_after[0], Unit(program.expire_after[1])),
        inactivity_expires_after=program.inactivity_days and Period(program.inactivity_days, Unit.DAYS),
        clawback=program.policy,
        restore_grace_days=program.grace_days,
        actions=Actions(
            events=(EventRule(EVENT, program.event_points, program.hold_days),), goals=(goal,) if program.goal_points else ()
        ),
    )
