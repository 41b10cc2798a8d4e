"""In which minutes a window is open: cron and a time zone -> one number with a bit for every minute.

A day has 1,440 bits, a year 66 KB, and a union or an intersection of whole years takes microseconds. So the first
minute that fits every window is found exactly and in bounded time, however dense or contrary they are. cronsim reads
the expressions and knows the calendar; from local to real time goes `_starts`, because cronsim walks from start to
start, which has no end when nothing ever fits, and leaves out minutes where clocks change by half an hour.

Time zones are those of the machine, or of the package tzdata where it has none: they are read from disk once.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim

DAY = 1440
"""Minutes of a day, and bits of one."""

_ANY = datetime(2000, 1, 1)  # noqa: DTZ001 - cronsim wants a moment to begin at, and is not asked to walk
_MINUTE = timedelta(minutes=1)
_CACHED = 128
"""Results that are kept; one of a year has 66 KB, one of a week 2 KB."""


def ones(number: int) -> int:
    """So many minutes, all of them."""
    return (1 << number) - 1


@lru_cache(maxsize=_CACHED)
def open_minutes(cron: str, zone: str, minutes: int, first: int, days: int) -> int:
    """When a window is open.

    Args:
        cron: five fields; when it opens.
        zone: IANA name of the clock that the fields are of.
        minutes: how long it stays open, in elapsed time; each opening lasts so long, and they may overlap.
        first: `date.toordinal()` of a day in UTC.
        days: from this one on.

    Returns:
        Bit n is set when it is open in the minute that begins n minutes after 00:00 UTC of the first day.
    """
    back = minutes // DAY + 2  # whatever begins on the first of these days is over when it matters
    starts = _starts(cron, zone, first - back, back + days)
    return _lasting(starts, minutes) >> (back * DAY) & ones(days * DAY)


def _lasting(starts: int, minutes: int) -> int:
    """Every start and the minutes after it."""
    covered = 1
    while covered < minutes:
        step = min(covered, minutes - covered)
        starts |= starts << step
        covered += step
    return starts


def _starts(cron: str, zone: str, first: int, days: int) -> int:
    """When a window opens, in real time.

    An expression for certain times of the day opens as Debian's cron would start a job: a time that the clock leaves
    out is moved behind the gap, one that it shows twice counts once. One with a star in minutes or hours is about
    whatever the clock shows: nothing is moved, and what is shown twice counts twice.

    Source:
        https://manpages.debian.org/bookworm/cron/cron.8.en.html, "Notes"
    """
    follows_clock = any(field.startswith("*") for field in cron.split()[:2])
    local = _local_starts(cron, first - 1, days + 2)
    found, before = 0, None
    for begin, end, offset in _spans(zone, first, days):
        at = begin + offset + DAY  # bit of *local* at which the span begins
        part = local >> at & ones(end - begin)
        moved = 0 if before is None or follows_clock else offset - before
        if moved > 0 and local >> (at - moved) & ones(moved):
            part |= 1
        if moved < 0:
            part = part >> -moved << -moved
        found |= part << begin
        before = offset
    return found


def _local_starts(cron: str, first: int, days: int) -> int:
    """When a window opens by a clock that never changes: bits from 00:00 of the first day on."""
    expression = CronSim(cron, _ANY)
    pattern = sum(1 << (60 * hour + minute) for hour in expression.hours for minute in expression.minutes)
    busy, idle = pattern.to_bytes(DAY // 8, "little"), bytes(DAY // 8)
    dates = map(date.fromordinal, range(first, first + days))
    fits = (each.month in expression.months and expression.match_day(each) for each in dates)
    return int.from_bytes(b"".join(busy if fit else idle for fit in fits), "little")


def _spans(zone: str, first: int, days: int) -> Iterator[tuple[int, int, int]]:
    """Between two changes of the clock: (first minute, minute after the last, minutes ahead of UTC)."""
    clock = ZoneInfo(zone)
    midnight = datetime.fromordinal(first).replace(tzinfo=UTC)

    def offset(minute: int) -> int:
        return ((midnight + minute * _MINUTE).astimezone(clock).utcoffset() or timedelta()) // _MINUTE

    begin = 0
    for day in range(0, days * DAY, DAY):
        if offset(day + DAY) != offset(begin):
            change = _change(offset, day, day + DAY)
            yield begin, change, offset(begin)
            begin = change
    yield begin, days * DAY, offset(begin)


def _change(offset: Callable[[int], int], before: int, after: int) -> int:
    """The minute in which a clock shows the other time: no zone changes twice on one day."""
    minutes, was = range(before, after + 1), offset(before)
    return minutes[bisect_left(minutes, True, key=lambda minute: offset(minute) != was)]
