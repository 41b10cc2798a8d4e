"""When calls are allowed: windows as cron + duration + time zone, asked about one moment. `openings` knows the times.

A denying window wins over an allowing one; where allowing windows are for a task, one of them has to be open.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from reconciler.core.openings import DAY, ones, open_minutes
from reconciler.core.validation.findings import shown
from reconciler.core.validation.suggest import nearest
from reconciler.model import Window

_UNITS = {"d": 86_400, "h": 3600, "m": 60}
_LONGEST_D = 366
"""A window that is open for longer is no window."""

_FIELDS = 5
_WEEK, _YEAR = 8, 367
"""Days that are looked at: most windows open within a week, and what does not within a year is not waited for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CACHED = 1024


class WindowError(ValueError):
    """A window that cannot be: `cron: expected ..., found ...`.

    Args:
        member: that is wrong.
        expected: what it should be.
        found: what it is.
        hint: what may have been meant, a sentence; "" when nobody knows.
    """

    def __init__(self, member: str, expected: str, found: str, hint: str = "") -> None:
        super().__init__(f"{member}: expected {expected}, found {found}{hint and f'. {hint}'}")
        self.member = member
        self.expected = expected
        self.found = found
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing may be called now."""

    window: str  # its name; of several that would allow it, the one that opens first
    reason: str  # one sentence
    until: datetime | None  # when it may be, all windows taken together, aware UTC; None: not within a year


# --- reading -------------------------------------------------------------------------------------------------------


def read(content: Mapping[str, Any], name: str) -> Window:
    """A window of the configuration, or of `task.json`, that fits its schema.

    Raises:
        WindowError: no such time zone, no such cron expression, too long.
    """
    for fault in faults(content):
        raise fault
    return Window(
        name=name,
        allows=content["kind"] == "allow",
        cron=content["cron"],
        duration_s=_seconds(content["duration"]),
        zone=content.get("timezone", "UTC"),
        labels=tuple(sorted(content.get("labels", {}).items())),
    )


def faults(content: Mapping[str, Any]) -> Iterator[WindowError]:
    """What a schema cannot say about a window: all of it. What does not fit the schema is passed over."""
    for member, check in (("cron", _check_cron), ("duration", _check_duration), ("timezone", _check_zone)):
        try:
            if isinstance(content.get(member), str):
                check(content[member])
        except WindowError as error:
            yield error


def _check_cron(text: str) -> None:
    try:
        if len(text.split()) == _FIELDS:
            CronSim(text, _EPOCH)
            return
        problem = "not five fields"
    except CronSimError as error:
        problem = str(error).lower()
    except ValueError:  # a number of thousands of digits
        problem = "no number of this calendar"
    raise WindowError("cron", 'five fields as in crontab(5), such as "0 22 * * 1-5"', f"{shown(text)} ({problem})")


def _check_duration(text: str) -> None:
    try:
        is_too_long = _seconds(text) > _LONGEST_D * _UNITS["d"]
    except (ValueError, KeyError, IndexError):  # that, the schema says
        return
    if is_too_long:
        raise WindowError("duration", f"at most {_LONGEST_D}d", shown(text))


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; no name at all; a folder of zones
        near = nearest(name, _zones())
        hint = f'Did you mean "{near}"?' if near else ""
        expected = 'an IANA time zone such as "Europe/Berlin"'
        raise WindowError("timezone", expected, shown(name), hint) from None


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    return tuple(available_timezones())


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * _UNITS[duration[-1]]


# --- asking --------------------------------------------------------------------------------------------------------


def closed(windows: Iterable[Window], labels: Iterable[tuple[str, str]], now: datetime) -> Closed | None:
    """Why nothing may be called for a task now; None when it may.

    Args:
        windows: those of the configuration and of the task.
        labels: of the task.
        now: aware.
    """
    worn = frozenset(labels)
    meant = tuple(window for window in windows if worn.issuperset(window.labels))
    return _closed(meant, (now - _EPOCH) // timedelta(minutes=1)) if meant else None


@lru_cache(maxsize=_CACHED)  # thousands of tasks ask the same in one pass
def _closed(windows: tuple[Window, ...], minute: int) -> Closed | None:
    """The same for a whole minute: windows open and close at full ones."""
    wait = _wait(windows, minute)
    if wait == 0:
        return None
    until = _EPOCH + timedelta(minutes=minute + wait) if wait is not None else None
    holding = _holding(windows, minute, minute if wait is None else minute + wait)
    return Closed(holding.name, _reason(holding, until), until)


def _wait(windows: tuple[Window, ...], minute: int) -> int | None:
    """Minutes until a call may be made; None: longer than a year."""
    day, passed = divmod(minute, DAY)
    for days in (_WEEK, _YEAR):
        free = _free(windows, day, days) >> passed
        if free:
            return (free & -free).bit_length() - 1
    return None


def _free(windows: tuple[Window, ...], day: int, days: int) -> int:
    """Minutes in which a call may be made, from a day on; see `openings.open_minutes`."""
    allowed, denied = 0 if any(window.allows for window in windows) else ones(days * DAY), 0
    for window in windows:
        if window.allows:
            allowed |= _open(window, day, days)
        else:
            denied |= _open(window, day, days)
    return allowed & ~denied


def _open(window: Window, day: int, days: int) -> int:
    return open_minutes(window.cron, window.zone, window.duration_s // 60, day + _EPOCH.toordinal(), days)


def _is_open(window: Window, minute: int) -> bool:
    day, passed = divmod(minute, DAY)
    return bool(_open(window, day, 1) >> passed & 1)


def _holding(windows: tuple[Window, ...], minute: int, end: int) -> Window:
    """The window to be named: the one that denies it; else, of those that allow, the one that lets it go then."""
    denying = [window for window in windows if not window.allows and _is_open(window, minute)]
    allowing = [window for window in windows if window.allows]
    return next(iter(denying), None) or next((each for each in allowing if _is_open(each, end)), allowing[0])


# --- in words ------------------------------------------------------------------------------------------------------


def described(window: Window) -> str:
    """What a window is: `allow 8h from "0 22 * * 1-5" Europe/Berlin`."""
    verb = "allow" if window.allows else "deny"
    return f'{verb} {_duration(window.duration_s)} from "{window.cron}" {window.zone}'


def _reason(window: Window, until: datetime | None) -> str:
    verb = "allows calls only" if window.allows else "denies calls"
    first = f'window {window.name} {verb} for {_duration(window.duration_s)} from "{window.cron}"'
    if until is None:
        return f"{first} {window.zone}: no call is possible within a year"
    then = "opens" if window.allows else "calls may be made again"
    return f"{first}: {then} {_moment(until, window.zone)}"


def _duration(seconds: int) -> str:
    unit = next(unit for unit, length in _UNITS.items() if seconds % length == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _moment(at: datetime, zone: str) -> str:
    """A time by the clock of a zone and in UTC: "2026-11-22 22:00 Europe/Berlin (21:00Z)"."""
    utc, local = f"{at:%Y-%m-%d %H:%M}Z", at.astimezone(ZoneInfo(zone))
    if zone == "UTC":
        return utc
    is_same_day = local.date() == at.date()
    return f"{local:%Y-%m-%d %H:%M} {zone} ({utc.partition(' ')[2] if is_same_day else utc})"
