"""Times as people write them on a command line, read as UTC where no zone is given: all output is UTC as well."""

import re
from datetime import UTC, date, datetime, time, timedelta

import click

_AGO = re.compile(r"([0-9]+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def beginning(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Callback of an option: an aware UTC time, of a date the first moment.

    Raises:
        click.BadParameter: the text is no time.
    """
    return None if value is None else _time(value, days=0)


def end(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Callback of an option: an aware UTC time, of a date the first moment of the next one.

    Raises:
        click.BadParameter: the text is no time.
    """
    return None if value is None else _time(value, days=1)


def _time(value: str, *, days: int) -> datetime:
    try:
        return _read(value.strip(), days)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            "expected a date or a time such as 2026-11-20 or 2026-11-20T21:00, in UTC unless it ends with a zone such"
            f' as +01:00, or how long ago, such as 90m, 2h, 7d; found "{value}"'
        ) from None


def _read(text: str, days: int) -> datetime:
    """The time that a text means, of a date its beginning so many days later."""
    ago = _AGO.fullmatch(text)
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        day = date.fromisoformat(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return datetime.combine(day + timedelta(days=days), time(), UTC)
