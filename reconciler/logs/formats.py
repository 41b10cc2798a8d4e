"""How a line looks: text for people, JSON for collectors, fields for the journal.

Whatever a value holds, one line stays one line: control characters are written out.
"""

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from reconciler.core.render.words import safe
from reconciler.logs.defects import describe_exception

Fields: TypeAlias = MutableMapping[str, Any]
LONGEST_VALUE = 4_000  # characters; longer ones are cut

_IDENTIFIER = "reconciler"
_PRIORITIES = {"critical": "2", "error": "3", "warning": "4", "info": "6", "debug": "7"}  # syslog(3)
_COLORS = {"critical": "\x1b[1;31m", "error": "\x1b[1;31m", "warning": "\x1b[33m", "debug": "\x1b[2m"}
_IN_THE_SENTENCE = frozenset({"ts", "level", "event", "reason", "next", "kind", "task", "state", "before"})
_IDS = frozenset({"plan", "revision", "newest"})
_ID_DIGITS = 12
"""How much of a long id people see; JSON and the journal have all of it."""

_HEX = re.compile(r"[0-9a-f]{40,}")
_PLAIN = re.compile(r"[^\s\"'=\[\]]+")


class Stamp:
    """Adds the time, RFC 3339 in UTC with milliseconds.

    Args:
        now: aware time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def __call__(self, _logger: object, _method: str, fields: Fields) -> Fields:
        """Stamp one line."""
        at = self._now().astimezone(UTC)
        fields["ts"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return fields


def without_words(_logger: object, _method: str, fields: Fields) -> Fields:
    """Replace an exception by the places where it passed."""
    error = fields.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        fields["exception"] = describe_exception(error)
    return fields


def printable(_logger: object, _method: str, fields: Fields) -> Fields:
    """Numbers as they are, all else as text that cannot move a cursor, and not without end."""
    return {safe(key): value if isinstance(value, (int, float)) else _cut(str(value)) for key, value in fields.items()}


def _cut(text: str) -> str:
    shown = safe(text[: LONGEST_VALUE + 1])
    return shown if len(shown) <= LONGEST_VALUE else f"{shown[: LONGEST_VALUE - 1]}…"


def as_json(_logger: object, _method: str, fields: Fields) -> str:
    """One JSON object."""
    first = {key: fields.pop(key) for key in ("ts", "level", "event")}
    return json.dumps({**first, **fields}, ensure_ascii=False)


def as_entry(_logger: object, _method: str, fields: Fields) -> tuple[tuple[dict[str, str]], dict[str, Any]]:
    """Journal fields, as the one argument of what writes them."""
    entry = {_field_name(key): str(value) for key, value in fields.items() if key not in ("ts", "level", "event")}
    entry["MESSAGE"] = _sentence(fields)
    entry["PRIORITY"] = _PRIORITIES[fields["level"]]
    entry["SYSLOG_IDENTIFIER"] = _IDENTIFIER
    return (entry,), {}


def _field_name(key: str) -> str:
    """Upper case, digits and underscores, at most 64, beginning with a letter.

    Source:
        systemd.journal-fields(7), sd_journal_send(3).
    """
    name = re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_0123456789")
    return name[:64] or "FACT"


class AsText:
    """`2026-07-02 01:04:05Z ERROR   shop/orders is failed: refused. Next: ... [ticket=7]`.

    Args:
        colored: whether the level has a colour.
    """

    def __init__(self, *, colored: bool) -> None:
        self._colored = colored

    def __call__(self, _logger: object, _method: str, fields: Fields) -> str:
        """One line of text."""
        level = f"{fields['level'].upper():<7}"
        color = _COLORS.get(fields["level"], "") if self._colored else ""
        shown = f"{color}{level}\x1b[0m" if color else level
        return f"{_seconds(fields['ts'])} {shown} {_sentence(fields)}{_rest(fields)}"


def _seconds(stamp: str) -> str:
    day, _, rest = stamp.partition("T")
    return f"{day} {rest.partition('.')[0]}Z"


def _sentence(fields: Mapping[str, Any]) -> str:
    reason = f": {fields['reason']}" if "reason" in fields else ""
    said = f"{fields['event']}{reason}"
    return f"{said.rstrip('.')}. Next: {fields['next']}" if "next" in fields else said


def _rest(fields: Mapping[str, Any]) -> str:
    """What the sentence does not say."""
    shown = {key: value for key, value in fields.items() if key not in _IN_THE_SENTENCE}
    pairs = " ".join(f"{key}={_quoted(_shortened(key, str(value)))}" for key, value in shown.items())
    return f" [{pairs}]" if pairs else ""


def _shortened(key: str, text: str) -> str:
    return text[:_ID_DIGITS] if key in _IDS and _HEX.fullmatch(text) else text


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
