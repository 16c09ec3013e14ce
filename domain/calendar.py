"""Days and months as a merchant's customers live them: pure functions from instants to local days and back.

A local day is the half-open interval from its first instant to the first instant of the next day. So every instant lies in
exactly one day, whatever the clocks do: where they skip midnight the day begins when they have skipped it, where midnight
comes twice it begins with the first, and a day that a zone has left out (30 December 2011 in Samoa) is empty. Instants that
are returned are in UTC. Outside the years 1 to 9999 every function raises OverflowError.
"""

from bisect import bisect_left
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from domain.errors import Code, DomainError

SECOND = timedelta(seconds=1)
LEAP_YEAR = 2000
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Between them lies whatever a shop can tell us: so far from both ends of the calendar that every time zone has a day for it, and
every hold and every expiry an end."""
MONTHS_A_YEAR = 12


class UnknownTimeZone(DomainError):
    """The time zone database has no zone of this name."""

    code = Code.TIME_ZONE_UNKNOWN


def time_zone(name: str, *, field: tuple[str, ...] = ()) -> ZoneInfo:
    """The zone with this IANA name, such as "Europe/Berlin". Letter case counts. Raises UnknownTimeZone.

    It comes from the locked package `tzdata` and not from the machine, so that every process counts the same days.
    """
    if name not in zone_names():
        raise UnknownTimeZone('A time zone is its IANA name, such as "Europe/Berlin".', field=field)
    return _zone(name)


@cache
def zone_names() -> frozenset[str]:
    """Every name that the locked time zone database has."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split())


@cache
def _zone(name: str) -> ZoneInfo:
    with files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def is_usable(told: datetime) -> bool:
    """Whether an instant that somebody tells can be counted with: it has a time zone, and is of this millennium or the last years
    of the one before."""
    return told.tzinfo is not None and EARLIEST <= told < LATEST


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The local day that an instant lies in. Precondition: the instant has a time zone.

    It is what a calendar on the wall shows, except where clocks are put back over midnight: the evening that comes again
    belongs to the day that had begun.
    """
    assert at.tzinfo is not None, "an instant without a time zone is not an instant"
    day = _wall(at, zone).date()
    while at >= day_start(day + timedelta(days=1), zone):
        day += timedelta(days=1)
    return day


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day."""
    midnight = datetime.combine(day, time.min)
    start = midnight.replace(tzinfo=zone).astimezone(UTC)
    if _wall(start, zone) == midnight:
        return start
    # The clocks skip this midnight. Read by the offset after the change it lies before the change, read by the offset before
    # it lies at or after it; between the two the change itself is looked for. Changes happen at whole seconds.
    before = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC)
    seconds = range(int((start - before).total_seconds()) + 1)
    return before + SECOND * bisect_left(seconds, midnight, key=lambda passed: _wall(before + SECOND * passed, zone))


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """(first instant, first instant of the next day) of a local day: 24 hours, or what the clocks make of them."""
    return day_start(day, zone), day_start(day + timedelta(days=1), zone)


def days_after(at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The start of the local day that is `days` days after the one an instant lies in; before it when negative."""
    return day_start(local_day(at, zone) + timedelta(days=days), zone)


def months_after(at: datetime, months: int, zone: ZoneInfo) -> datetime:
    """The start of the local day that is `months` months after the one an instant lies in; before it when negative.

    Where the month is shorter it is the month's last day: a month after 31 January is 28 or 29 February.
    """
    return day_start(add_months(local_day(at, zone), months), zone)


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month - 1 + months, MONTHS_A_YEAR)
    if not MINYEAR <= year <= MAXYEAR:
        raise OverflowError("date value out of range")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def next_month_day(since: date, month: int, day: int) -> date:
    """The first date on or after `since` with this month and day, such as a birthday.

    29 February is 28 February in years without it. Raises ValueError for a month and day that no year has, such as 30 February.
    """
    wanted = date(LEAP_YEAR, month, day)
    this_year = add_months(wanted, (since.year - LEAP_YEAR) * MONTHS_A_YEAR)
    return this_year if this_year >= since else add_months(wanted, (since.year + 1 - LEAP_YEAR) * MONTHS_A_YEAR)


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of a zone show at an instant."""
    # By way of UTC: Python would leave an instant of this very zone as it is, be it one that the clocks skip.
    return at.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
