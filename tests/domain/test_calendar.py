"""Local days: every instant lies in exactly one, whatever the clocks of any zone have done."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.calendar import (
    UnknownTimeZone,
    add_months,
    day_bounds,
    day_start,
    days_after,
    local_day,
    months_after,
    next_month_day,
    time_zone,
    zone_names,
)
from domain.errors import Code

ZONES = st.sampled_from(sorted(zone_names())).map(time_zone)
INSTANTS = st.datetimes(datetime(1850, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- UTC is the strategy's
DAYS = st.dates(date(1850, 1, 1), date(2300, 1, 1))
HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("name", "day", "start", "hours"),
    [
        ("UTC", "2026-03-29", "2026-03-29T00:00", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", 24.5),
        ("Asia/Kathmandu", "2026-01-01", "2025-12-31T18:15", 24),
        # Midnight is skipped: clocks go from 00:00 to 01:00.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00", 23),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", 23),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00", 23),
        # Midnight is skipped amid the gap: clocks went from 23:30 to 00:30.
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30", 23.5),
        # Midnight comes twice: at 01:00 clocks go back to 00:00.
        ("America/Havana", "2024-11-03", "2024-11-03T04:00", 25),
        # Clocks went back from 00:01 to 23:01: the day has begun, and stays.
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30", 25),
        # Samoa crossed the date line and left a day out.
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00", 24),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00", 0),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00", 24),
    ],
)
def test_the_bounds_of_known_days(name: str, day: str, start: str, hours: float) -> None:
    begin, end = day_bounds(date.fromisoformat(day), time_zone(name))
    assert (begin, end - begin) == (utc(start), HOUR * hours)


@given(ZONES, INSTANTS)
@example(time_zone("America/St_Johns"), utc("2010-11-07T03:00"))
@example(time_zone("Pacific/Apia"), utc("2011-12-30T09:59:59"))
@example(time_zone("Pacific/Apia"), utc("2011-12-30T10:00"))
def test_every_instant_lies_in_its_day_and_in_no_other(zone: ZoneInfo, at: datetime) -> None:
    day = local_day(at, zone)
    start, end = day_bounds(day, zone)
    assert start <= at < end
    assert day_bounds(day - timedelta(days=1), zone)[1] == start
    assert day_bounds(day + timedelta(days=1), zone)[0] == end
    assert local_day(start, zone) == day
    assert local_day(end - timedelta(microseconds=1), zone) == day
    assert local_day(end, zone) > day
    # The clocks on the wall agree, or have been put back over midnight.
    assert wall(at, zone).date() <= day


@given(ZONES, DAYS, st.timedeltas(timedelta(microseconds=1), timedelta(hours=60)))
@example(time_zone("America/Toronto"), date(1919, 3, 31), timedelta(seconds=1))
@example(time_zone("America/Sao_Paulo"), date(2018, 11, 4), timedelta(seconds=1))
def test_a_day_starts_when_its_date_is_first_on_the_wall(zone: ZoneInfo, day: date, before: timedelta) -> None:
    start = day_start(day, zone)
    assert start.tzinfo is UTC
    assert wall(start, zone).date() >= day
    assert wall(start - timedelta(microseconds=1), zone).date() < day
    assert wall(start - before, zone).date() < day


@given(ZONES, INSTANTS, INSTANTS)
def test_time_never_runs_backwards(zone: ZoneInfo, one: datetime, two: datetime) -> None:
    early, late = sorted((one, two))
    assert local_day(early, zone) <= local_day(late, zone)


@given(ZONES, INSTANTS, st.integers(-4000, 4000))
def test_days_after_is_the_start_of_that_day(zone: ZoneInfo, at: datetime, days: int) -> None:
    assert days_after(at, days, zone) == day_start(local_day(at, zone) + timedelta(days=days), zone)
    assert days_after(at, 0, zone) <= at < days_after(at, 1, zone)


@given(ZONES, ZONES, INSTANTS)
def test_the_zone_in_which_an_instant_is_written_changes_nothing(zone: ZoneInfo, other: ZoneInfo, at: datetime) -> None:
    assert local_day(at.astimezone(other), zone) == local_day(at, zone)
    assert local_day(at.astimezone(zone), zone) == local_day(at, zone)


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2026-01-31", 3, "2026-04-30"),
        ("2026-03-31", -1, "2026-02-28"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-01-15", -1, "2025-12-15"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2028-02-29", 48, "2032-02-29"),
        ("2026-05-05", 0, "2026-05-05"),
    ],
)
def test_months_clamp_to_their_last_day(day: str, months: int, then: str) -> None:
    zone = time_zone("America/New_York")
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(then)
    noon = day_start(date.fromisoformat(day), zone) + 12 * HOUR
    assert months_after(noon, months, zone) == day_start(date.fromisoformat(then), zone)


@given(DAYS, st.integers(-2000, 2000))
def test_a_month_later_is_the_next_month_and_no_later_day(day: date, months: int) -> None:
    then = add_months(day, months)
    assert (then.year - day.year) * 12 + then.month - day.month == months
    assert then.day == day.day or (then.day < day.day and (then + timedelta(days=1)).day == 1)


@pytest.mark.parametrize(
    ("since", "month", "day", "then"),
    [
        ("2026-05-05", 5, 5, "2026-05-05"),
        ("2026-05-06", 5, 5, "2027-05-05"),
        ("2026-12-31", 1, 1, "2027-01-01"),
        ("2026-02-01", 2, 29, "2026-02-28"),
        ("2026-02-28", 2, 29, "2026-02-28"),
        ("2026-03-01", 2, 29, "2027-02-28"),
        ("2027-03-01", 2, 29, "2028-02-29"),
        ("2028-02-28", 2, 29, "2028-02-29"),
        ("2028-02-29", 2, 29, "2028-02-29"),
        ("2028-03-01", 2, 29, "2029-02-28"),
        # 2100 is no leap year.
        ("2099-03-01", 2, 29, "2100-02-28"),
    ],
)
def test_the_next_birthday(since: str, month: int, day: int, then: str) -> None:
    assert next_month_day(date.fromisoformat(since), month, day) == date.fromisoformat(then)


@given(DAYS, st.dates(date(2000, 1, 1), date(2000, 12, 31)))
def test_a_birthday_comes_once_a_year(since: date, born: date) -> None:
    first = next_month_day(since, born.month, born.day)
    second = next_month_day(first + timedelta(days=1), born.month, born.day)
    assert since <= first <= since + timedelta(days=366)
    assert second.year == first.year + 1
    assert {(one.month, one.day) for one in (first, second)} <= {(born.month, born.day), (2, 28)}


@pytest.mark.parametrize(("month", "day"), [(2, 30), (4, 31), (13, 1), (0, 1), (1, 0)])
def test_a_day_that_no_year_has_is_refused(month: int, day: int) -> None:
    with pytest.raises(ValueError, match=r"month|day"):
        next_month_day(date(2026, 1, 1), month, day)


@pytest.mark.parametrize(
    "name", ["", "Berlin", "europe/berlin", "CET ", "../../etc/passwd", "/etc/passwd", "Europe", "\0", "localtime", "+02:00"]
)
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UnknownTimeZone) as refused:
        time_zone(name, field=("timeZone",))
    assert (refused.value.code, refused.value.field) == (Code.TIME_ZONE_UNKNOWN, ("timeZone",))


def test_every_zone_can_be_read() -> None:
    assert len(zone_names()) > 400
    assert all(time_zone(name).key == name for name in zone_names())


def test_beyond_the_calendar_is_an_overflow() -> None:
    berlin = time_zone("Europe/Berlin")
    for act in (
        lambda: day_start(date.min, berlin),
        lambda: day_bounds(date.max, berlin),
        lambda: add_months(date.max, 1),
        lambda: add_months(date.min, -1),
        lambda: days_after(utc("2026-01-01"), 10**7, berlin),
        lambda: next_month_day(date.max, 12, 30),
    ):
        with pytest.raises(OverflowError):
            act()
