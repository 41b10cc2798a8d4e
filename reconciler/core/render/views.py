"""What the HTML report says of one task: values that are safe to be seen, which a template only has to arrange."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.core.plural import counted
from reconciler.core.render import danger, text, words
from reconciler.model import Action, Change, Commit, Danger, Item, Json, Origins, Part, Violation

_LONGEST = 2_000  # characters of a value, a name, a subject
_LONG = 24  # shorter values are seen to differ without a mark

_TONES = {
    "invalid": "red",
    "failed": "red",
    "update+delete": "red",
    "blocked": "amber",
    "reset": "violet",
    "update": "blue",
    "adopt": "green",
}


def group_of(item: Item) -> str:
    """What a task is counted and filtered as, as in `fleet.summary`."""
    return "failed" if item.rail == "failed" else item.action.value


@dataclass(frozen=True, slots=True)
class View:
    """What the page says of one task; every text is safe to be seen."""

    folder: str  # "shop/"
    name: str  # "orders"
    group: str
    tone: str
    would: str  # what would be done were it not held
    facts: str
    level: str
    inexact: bool
    cost: str
    why: str
    place: str
    violations: Sequence["Found"]
    remarks: Sequence[str]
    forced: Sequence[str]
    approved: str  # by whom, until when and why; "" when it needs no approval, or has none
    rows: Sequence["Row"]
    unchanged: int
    commits: Sequence["Who"]


@dataclass(frozen=True, slots=True)
class Row:
    """One changed key."""

    sign: str
    kind: str  # "added" | "removed" | "changed" | "stays"
    section: str
    pointer: str
    before: Sequence[str]  # what is alike, what differs, what is alike again; empty when absent
    after: Sequence[str]
    parts: Sequence["Piece"]
    meaning: str
    danger: Danger | None
    commit: str  # short id


@dataclass(frozen=True, slots=True)
class Piece:
    """One difference inside a list."""

    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """One violation."""

    severity: str
    place: str
    pointer: str
    expected: str
    found: str
    suggestion: str
    rule: str


@dataclass(frozen=True, slots=True)
class Who:
    """Who and why."""

    short: str
    rest: str  # of its id
    author: str
    day: str
    subject: str


def view(item: Item, root: str, origins: Origins) -> View:
    """All that is to be said of one task; *root* stands in front of file names."""
    folder, slash, name = words.short(item.task, _LONGEST).rpartition("/")
    level = danger.worst(item)
    group = group_of(item)
    return View(
        folder=folder + slash,
        name=name,
        group=group,
        tone=_TONES.get(group, "grey"),
        would=item.intended.value if item.action is not item.intended and item.intended.sends else "",
        facts=_facts(item),
        level=level.value if level else "",
        inexact=item.intended.sends and danger.is_inexact(item),
        cost=words.short("; ".join(item.cost), _LONGEST),
        why="" if item.action is Action.INVALID else words.short(text.why(item), _LONGEST),
        place=_place(item),
        violations=[_found(violation, root) for violation in item.violations],
        remarks=[words.short(remark, _LONGEST) for remark in _remarks(item)],
        forced=item.forced,
        approved=words.short(words.approval(item), _LONGEST),
        rows=[_row(item, change, origins) for change in item.changes],
        unchanged=item.unchanged,
        commits=[_commit(found) for found in text.commits(item, origins)],
    )


def _facts(item: Item) -> str:
    number, noun = (len(item.violations), "violation") if item.violations else (len(item.changes), "key")
    return counted(number, noun) if number else ""


def _place(item: Item) -> str:
    """The address in words."""
    if not item.address:
        return ""
    target, kind, *rest = json.loads(item.address)
    if kind == "component":
        project, link, index = rest
        return words.short(f"target {target}, component {index} of the {link} link of {project}", _LONGEST)
    return words.short(f"target {target}, {kind} {' '.join(map(str, rest))}", _LONGEST)


def _remarks(item: Item) -> Iterator[str]:
    """Remarks, without those that stand beside the change they are about."""
    beside = {f"{c.path}: {c.danger.reason} ({c.danger.level.value})" for c in item.changes if c.danger is not None}
    return (remark for remark in item.remarks if remark not in beside)


def _row(item: Item, change: Change, origins: Origins) -> Row:
    sign = words.sign(change)
    before, after = _sides(*words.old_and_new(change))
    commit = origins.keys.get((item.task, change.path))
    return Row(
        sign=sign,
        kind={"+": "added", "-": "removed", "~": "changed"}.get(sign, "stays"),
        section=change.section,
        pointer=words.short(change.pointer, _LONGEST),
        before=before,
        after=after,
        parts=[_part(part) for part in change.parts],
        meaning=words.safe(words.meaning(change)),
        danger=change.danger,
        commit=commit.id[: words.SHORT_COMMIT] if commit else "",
    )


def _part(part: Part) -> Piece:
    return Piece(part.kind, words.short(part.subject, _LONGEST), words.short(part.text, _LONGEST))


def _sides(old: Json, new: Json) -> tuple[Sequence[str], Sequence[str]]:
    """Both values; of long ones the pieces that are alike apart from the piece that differs."""
    if old is None or new is None:
        alone = ("", words.value(new if old is None else old, _LONGEST), "")
        return ((), alone) if old is None else (alone, ())
    before, after = words.sides(old, new, _LONGEST)
    head = words.common_start(before, after)
    tail = words.common_start(before[head:][::-1], after[head:][::-1])
    if head + tail < max(_LONG, len(before), len(after)) // 2:  # hardly anything is alike
        return ("", before, ""), ("", after, "")
    return _pieces(before, head, tail), _pieces(after, head, tail)


def _pieces(value: str, head: int, tail: int) -> Sequence[str]:
    return value[:head], value[head : len(value) - tail], value[len(value) - tail :]


def _found(violation: Violation, root: str) -> Found:
    line = f":{violation.place.line}:{violation.place.column}" if violation.place else ""
    path = f"{root}/{violation.file}" if violation.file else root
    return Found(
        severity=violation.severity.value,
        place=words.short(path + line, _LONGEST),
        pointer=words.short(violation.pointer, _LONGEST),
        expected=words.short(violation.expected, _LONGEST),
        found=words.short(violation.found, _LONGEST),
        suggestion=words.short(violation.suggestion, _LONGEST),
        rule=violation.rule,
    )


def _commit(found: Commit) -> Who:
    return Who(
        short=found.id[: words.SHORT_COMMIT],
        rest=found.id[words.SHORT_COMMIT :],
        author=words.short(found.author),
        day=f"{found.at:%Y-%m-%d}",
        subject=words.short(found.subject, _LONGEST),
    )
