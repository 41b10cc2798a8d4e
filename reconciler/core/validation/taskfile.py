"""Rules about `task.json` and `reset.json`, and the values they become once nothing is wrong."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.core import names, windows
from reconciler.core.validation.findings import Finding, shown
from reconciler.model import (
    Address,
    ComponentRole,
    Dimension,
    Json,
    JsonObject,
    Link,
    ResetRequest,
    Suspension,
    Window,
)

DEFAULT_TARGET = "default"
NOT_CARRIED_OUT = ("health",)
LISTS = ("manage", "allow", "protect", "unmanaged")
_WIDE = (Dimension.TASK_NAME.value, Dimension.IP.value)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)  # as in the schemas


def is_wide(task: JsonObject) -> bool:
    """Whether the address can mean several components."""
    return task.get("dimension") in _WIDE


def pointers(task: JsonObject, name: str) -> tuple[str, ...]:
    """One of the lists of pointers; what is no pointer is left out."""
    values = task.get(name)
    texts = (value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
    return tuple(text for text in texts if text.startswith("/"))


# --- rules ---------------------------------------------------------------------------------------------------------


_WHOLE_KEY = 2  # slashes of a pointer to a key of a file


def check_task(task: JsonObject) -> Iterator[Finding]:
    """What a schema cannot say about `task.json`.

    Args:
        task: decoded; it may not fit its schema.
    """
    for name in NOT_CARRIED_OUT:
        if name in task:
            found, hint = shown(name), "Leave it out until a release carries it out."
            yield Finding("task", (name,), "not-carried-out", "a member that is carried out", found, hint, True)
    if task.get("allowDelete") is True:
        if is_wide(task):
            hint = "Use dimension NAME, one task for each component."
            found = f"true with dimension {shown(task['dimension'])}"
            yield Finding("task", ("allowDelete",), "wide-delete", "false with this dimension", found, hint)
        if pointers(task, "unmanaged"):
            hint = "Take one of the two out: with allowDelete, what is not sent is deleted."
            yield Finding("task", ("unmanaged",), "unmanaged-delete", "an empty list with allowDelete", "a list", hint)
    for index, place in enumerate(pointers(task, "unmanaged")):
        if place.count("/") > _WHOLE_KEY:
            expected, hint = "a pointer to a whole key, /sink/workerNum", "Name the key that holds it."
            yield Finding("task", ("unmanaged", str(index)), "unmanaged-part", expected, shown(place), hint)
    yield from _check_windows(task)
    suspend = task.get("suspend")
    if isinstance(suspend, dict):
        yield from _check_moment("task", ("suspend", "until"), suspend.get("until"))


def _check_windows(task: JsonObject) -> Iterator[Finding]:
    declared = task.get("windows")
    for index, content in enumerate(declared if isinstance(declared, list) else ()):
        for fault in windows.faults(content) if isinstance(content, dict) else ():
            path = ("windows", str(index), fault.member)
            yield Finding("task", path, "window", fault.expected, fault.found, fault.hint)


def check_reset(reset: JsonObject, task: JsonObject) -> Iterator[Finding]:
    """What a schema cannot say about `reset.json`.

    Args:
        reset: decoded; it may not fit its schema.
        task: the `task.json` beside it; `{}` when that could not be read.
    """
    yield from _check_moment("reset", ("expires",), reset.get("expires"))
    yield from _check_moment("reset", ("startTimestamp",), reset.get("startTimestamp"))
    project, link = _place(task)
    given = reset.get("id")
    if project is not None and isinstance(given, str) and given != project:
        expected = f"{shown(project)}, the project of task.json"
        yield Finding("reset", ("id",), "reset-project", expected, shown(given))
    reverse = reset.get("reverse", False)
    if link is not None and isinstance(reverse, bool) and reverse != (link == Link.REVERSE.value):
        expected = f"{str(not reverse).lower()}, for the {link} link of task.json"
        yield Finding("reset", ("reverse",), "reset-link", expected, shown(reverse))


def _place(task: JsonObject) -> tuple[str | None, str | None]:
    """Project and link that `task.json` names, as far as it does."""
    component, key = task.get("component"), task.get("key")
    if isinstance(component, dict):
        project, link = component.get("project"), component.get("link")
        known_link = link if link in (Link.FORWARD.value, Link.REVERSE.value) else None
        return (project if isinstance(project, str) else None), known_link
    if task.get("dimension") == Dimension.NAME.value and isinstance(key, str):
        return names.project_of(key), None
    return None, None


def _check_moment(document: str, path: tuple[str, ...], value: Json) -> Iterator[Finding]:
    """Texts that have the form of a moment, and are none; the schema speaks about the form."""
    if isinstance(value, str) and _MOMENT.fullmatch(value) and _moment(value) is None:
        yield Finding(document, path, "moment", "a moment that exists, after 1970", shown(value))


# --- values --------------------------------------------------------------------------------------------------------


def address_of(task: JsonObject) -> Address:
    """Whom a valid `task.json` is for."""
    target: str = task.get("target", DEFAULT_TARGET)
    if component := task.get("component"):
        role = ComponentRole(component["project"], Link(component["link"]), int(component.get("index", 0)))
        return Address(target, role=role)
    return Address(target, Dimension(task["dimension"]), task["key"])


def suspension_of(task: JsonObject) -> Suspension | None:
    """The suspension that a valid `task.json` declares."""
    suspend = task.get("suspend")
    return Suspension(suspend["reason"], _optional_moment(suspend)) if suspend else None


def windows_of(task: JsonObject) -> tuple[Window, ...]:
    """The windows that a valid `task.json` declares."""
    declared = task.get("windows", ())
    return tuple(windows.read(content, f"{number} of task.json") for number, content in enumerate(declared, 1))


_LIMITS = {"removedKeys": "removed_keys", "changedKeys": "changed_keys", "keysFloor": "keys_floor"}


def limits_of(task: JsonObject) -> tuple[tuple[str, float], ...]:
    """Names and values of fields of `Limits` that a valid `task.json` sets."""
    return tuple((_LIMITS[member], value) for member, value in sorted(task.get("limits", {}).items()))


def reset_of(reset: JsonObject) -> ResetRequest:
    """What a valid `reset.json` asks for."""
    return ResetRequest(
        request=reset["request"],
        project=reset["id"],
        reverse=reset.get("reverse", False),
        start_timestamp=_seconds(reset["startTimestamp"]),
        reason=reset["reason"],
        expires=_optional_moment(reset, "expires"),
        stop=reset.get("stop", True),
    )


def _seconds(value: Json) -> int:
    found = _moment(value) if isinstance(value, str) else None
    return int(found.timestamp()) if found else int(value)


def _optional_moment(content: JsonObject, name: str = "until") -> datetime | None:
    return _moment(content[name]) if name in content else None


def _moment(text: str) -> datetime | None:
    """Aware UTC; None for what is no moment after 1970."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found >= _EPOCH else None
