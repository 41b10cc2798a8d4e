"""What a reviewer of one task wants to know beyond its keys: members of `task.json`, and references to secrets.

None of it causes a call by itself, so a plan against last-applied state has nothing to say of it.
"""

from collections.abc import Iterable, Iterator

from reconciler.core import pointer, secrets
from reconciler.core.diff import quoted
from reconciler.core.status import moment
from reconciler.core.validation.taskfile import LISTS
from reconciler.core.windows import described
from reconciler.model import Change, Json, ResetRequest, Sections, Suspension, Task, Window


def remarks(before: Task, after: Task, changes: Iterable[Change] = ()) -> tuple[str, ...]:
    """What changed between two versions of one task that its changes do not say.

    Args:
        before: the task as it was.
        after: the task as it is now; both have the same address.
        changes: differences of their keys.
    """
    return (
        *_members(before, after),
        *_lists(before, after),
        *_reset(before.reset, after.reset),
        *_references(before.sections, after.sections, changes),
    )


def lets_through(before: Task, after: Task) -> bool:
    """Whether `task.json` holds less back than it did: then more may be sent than what differs between the two.

    Args:
        before: the task as it was.
        after: the task as it is now; both have the same address.
    """
    return (
        (after.allow_delete and not before.allow_delete)
        or (before.suspend is not None and after.suspend is None)
        or not set(after.allow) <= set(before.allow)
        or not set(before.protect) <= set(after.protect)
    )


def _members(before: Task, after: Task) -> Iterator[str]:
    resumed = ": what was changed while it was suspended is sent" if after.suspend is None else ""
    members: tuple[tuple[str, Json, Json, str], ...] = (
        ("allowDelete", before.allow_delete, after.allow_delete, _OF_DELETION[after.allow_delete]),
        ("cmRegion", before.cm_region, after.cm_region, ""),
        ("suspend", _suspension(before.suspend), _suspension(after.suspend), resumed),
        ("labels", dict(before.labels) or None, dict(after.labels) or None, ""),
        ("windows", _windows(before.windows), _windows(after.windows), ""),
        ("limits", dict(before.limits) or None, dict(after.limits) or None, ""),
    )
    for name, was, now, meaning in members:
        if was != now:
            yield f"task.json: {name}: {_shown(was)} -> {_shown(now)}{meaning}"


_OF_DELETION = {
    True: ": a key that is removed from the files is deleted on the component, and so are those that were removed"
    " before and stayed there",
    False: ": a key that is removed from the files stays on the component",
}


def _suspension(suspend: Suspension | None) -> Json:
    if suspend is None or suspend.until is None:
        return suspend.reason if suspend else None
    return f"{suspend.reason} (until {moment(suspend.until)})"


def _windows(windows: tuple[Window, ...]) -> Json:
    return "; ".join(map(described, windows)) or None


def _shown(value: Json) -> str:
    return "none" if value is None else quoted(value)


def _lists(before: Task, after: Task) -> Iterator[str]:
    """The lists of pointers, by what came and went."""
    for name in LISTS:
        was, now = getattr(before, name), getattr(after, name)
        if set(was) != set(now):
            gone = [f"less {quoted(place)}" for place in was if place not in now]
            come = [f"plus {quoted(place)}" for place in now if place not in was]
            yield f"task.json: {name}: {', '.join((*come, *gone))}"


def _reset(before: ResetRequest | None, after: ResetRequest | None) -> Iterator[str]:
    """A reset that is asked for, or asked for otherwise, is an item of its own."""
    if before is not None and after is None:
        yield f"reset.json: is gone: request {quoted(before.request)} is not asked for any more"


def _references(before: Sections, after: Sections, changes: Iterable[Change]) -> Iterator[str]:
    """Files say where a secret is, never what it is: a reference that changed may name the same one."""
    for change in changes:
        if not change.secret or change.old is None or change.new is None:
            continue
        path = pointer.tokens(change.path)
        was, now = (_named(secrets.get(side, path)) for side in (before, after))
        if was != now:
            yield f"{change.path}: {was} -> {now}: nothing is sent for it where both have the same value"


def _named(value: Json) -> str:
    found = (str(reference) for text in _texts(value) for reference in secrets.find(text))
    return ", ".join(dict.fromkeys(found)) or "a value written out"


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _texts(member)
