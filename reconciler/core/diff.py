"""Two contents of a component -> typed changes.

Inputs are canonical (`core.canonical`) and aligned (`core.secrets.align`). A change inside a list is a new value of
the list; what differs inside it is told as parts, for reports.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from reconciler.core import canonical, pointer, ruleset
from reconciler.core.catalogue import RULE_LISTS, Catalogue
from reconciler.core.secrets import holds_secret, shown, shown_text
from reconciler.model import (
    SECTIONS,
    Change,
    ChangeKind,
    Danger,
    DangerLevel,
    Json,
    JsonObject,
    Parameter,
    Part,
    Sections,
)

Path = tuple[str | int, ...]

Find = Callable[[tuple[str, ...]], Parameter | None]
"""What the catalogue knows of a path in one section."""

_WORST = (DangerLevel.FORBID, DangerLevel.CONFIRM, DangerLevel.WARN)

_ABSENT = object()
_LIST_GONE = Danger(
    DangerLevel.CONFIRM, "the whole list of rules goes: what is synchronised is no longer limited by it"
)


def diff(old: Sections, new: Sections, catalogue: Catalogue, plugins: Mapping[str, str | None]) -> tuple[Change, ...]:
    """Changes that turn *old* into *new*, in the order of the files and then of the keys.

    Args:
        old: aligned content of the component; an empty section for what was never applied.
        new: aligned desired content.
        catalogue: what is known of parameters.
        plugins: `{"source": "StoreSource", "sink": None}`, the task's plug-ins.

    Returns:
        Changes; put on *old* they give *new*. Values are as people may see them.
    """
    return tuple(
        change
        for section in SECTIONS
        for change in _section(section, old[section], new[section], catalogue, plugins.get(section))
    )


def _section(
    section: str, old: JsonObject, new: JsonObject, catalogue: Catalogue, plugin: str | None
) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if before == after:
            continue
        for path, was, now in _leaves(before, after):
            place = (key, *path)
            yield _change(section, place, was, now, partial(catalogue.find, section, plugin=plugin))


def _leaves(before: Json, after: Json) -> Iterator[tuple[Path, Json, Json]]:
    """Paths through objects at which two different values differ: (path, value before, value after)."""
    if before is _ABSENT or after is _ABSENT or not isinstance(before, dict) or not isinstance(after, dict):
        yield (), before, after
        return
    found: dict[Path, tuple[Json, Json]] = {}
    for path, _, _ in _differences(before, after):
        place = _through_objects(path)
        found[place] = (_at(before, place), _at(after, place))
    for place in sorted(found):
        yield place, *found[place]


def _differences(before: Json, after: Json) -> Iterator[tuple[Path, Json, Json]]:
    """Everything that DeepDiff finds different: (path, value before, value after).

    Its defaults fit objects of a program, not documents: without the two settings it skips keys that begin with two
    underscores, and reports two objects with few keys in common as one changed value.
    """
    from deepdiff import DeepDiff
    from deepdiff.helper import notpresent

    found: Any = DeepDiff(before, after, view="tree", ignore_private_variables=False, threshold_to_diff_deeper=0)
    for levels in found.values():
        for level in levels:
            was, now = (_ABSENT if side is notpresent else side for side in (level.t1, level.t2))
            yield tuple(level.path(output_format="list")), was, now


def _through_objects(path: Path) -> Path:
    """The path as far as it leads through objects: what lies inside a list belongs to the list."""
    inside_list = next((index for index, part in enumerate(path) if isinstance(part, int)), len(path))
    return path[:inside_list]


def _at(value: Json, path: Path) -> Json:
    for part in path:
        if part not in value:
            return _ABSENT
        value = value[part]
    return value


def _change(section: str, place: Path, was: Json, now: Json, find: Find) -> Change:
    old, new = (None if value is _ABSENT else value for value in (was, now))
    secret = holds_secret([old, new])
    change = Change(
        section=section,
        pointer=pointer.text(place),
        kind=ChangeKind.REMOVED if now is _ABSENT else ChangeKind.SET,
        old=shown(old),
        new=shown(new),
        secret=secret,
        fingerprint=canonical.digest(new) if secret else "",
        parts=_parts(section, place, old, new),
        parameter=find(tuple(map(str, place))),
    )
    return replace(change, danger=_danger(change, find))


def _parts(section: str, place: Path, old: Json, new: Json) -> tuple[Part, ...]:
    if section == "condition" and place[0] in RULE_LISTS and len(place) == 1:
        parts = ruleset.diff(str(place[0]), old or [], new or [])
        return tuple(replace(part, subject=shown_text(part.subject), text=shown_text(part.text)) for part in parts)
    if not (isinstance(old, list) and isinstance(new, list)):
        return ()
    return tuple(_part(*found) for found in sorted(_differences(old, new), key=_by_place))


def _by_place(found: tuple[Path, Json, Json]) -> tuple[tuple[tuple[bool, Any], ...], bool]:
    """Numbers of a path as numbers; what goes before what comes."""
    path, was, _ = found
    return tuple((isinstance(part, str), part) for part in path), was is _ABSENT


def _part(path: Path, was: Json, now: Json) -> Part:
    subject = pointer.text(path)
    if was is _ABSENT:
        return Part("added", subject, quoted(shown(now)))
    if now is _ABSENT:
        return Part("removed", subject, quoted(shown(was)))
    text = "«secret changed»" if holds_secret([was, now]) else f"{quoted(was)} -> {quoted(now)}"
    return Part("changed", subject, text)


def quoted(value: Json) -> str:
    """A canonical value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False)


def _danger(change: Change, find: Find) -> Danger | None:
    if change.section == "condition":
        if change.kind is ChangeKind.REMOVED and change.pointer[1:] in RULE_LISTS:
            return _LIST_GONE
        return ruleset.joined(part.danger for part in change.parts if part.danger)
    # Of a list only what changed in it counts: another password of a client is no other stream.
    inside = dict.fromkeys(change.pointer + part.subject for part in change.parts) or (change.pointer,)
    known = (_nearest(pointer.tokens(place), find) for place in inside)
    found = [danger for danger in known if danger and (not danger.lowered_only or _lowered(change))]
    return min(found, key=lambda danger: _WORST.index(danger.level), default=None)


def _nearest(path: tuple[str, ...], find: Find) -> Danger | None:
    """The danger of the innermost value at or above *path* that the catalogue knows."""
    above = (find(path[:length]) for length in range(len(path), 0, -1))
    parameter = next((parameter for parameter in above if parameter is not None), None)
    return parameter.danger if parameter else None


def _lowered(change: Change) -> bool:
    """Whether a limit goes down; absent is its default or else no limit, a text that is no number counts as lower."""
    default = change.parameter.default if change.parameter else None
    old, new = (default if side is None else side for side in (change.old, change.new))
    if new is None:
        return False
    try:
        return old is None or int(new) < int(old)
    except (TypeError, ValueError):
        return True
