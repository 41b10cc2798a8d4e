"""A plan for a terminal: what an operator wants to know, and no more.

Lines are spans with a style's name, so that the shell adds colour and this module stays pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.core import rails
from reconciler.core.fleet import summary
from reconciler.core.render import words
from reconciler.core.status import moment, shown_rail
from reconciler.model import NO_ORIGINS, Action, Change, Commit, Item, Origins, Plan, RailState

Style = Literal["", "bold", "added", "removed", "changed", "danger", "dim"]
SHORT_ID = words.SHORT_ID
_LONGEST_PART = 500  # characters
_RAIL, _STATE = max(map(len, rails.NAMES)), max(len(state.value) for state in RailState)

_STYLES: dict[str, Style] = {"+": "added", "-": "removed", "~": "changed", "·": "dim"}
_PART_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": "~"}
_HEADER_STYLES: dict[Action, Style] = {Action.INVALID: "danger", Action.BLOCKED: "changed", Action.NOOP: "dim"}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line."""

    text: str
    style: Style = ""


Line = tuple[Span, ...]


def lines(plan: Plan, root: str, *, full: bool = False, origins: Origins = NO_ORIGINS) -> Iterator[Line]:
    """The report, line by line.

    Args:
        plan: the plan.
        root: path of the desired state, put in front of file names.
        full: show also what stays as it is.
        origins: whose commits it comes from.
    """
    for item in plan.items:
        if full or matters(item):
            yield from item_lines(item, root, origins)
            yield ()
    for remark in words.remarks(plan, origins):
        yield (Span(f"! {words.safe(remark)}", "danger"),)
    yield from _rails(plan, full=full)
    yield (Span(_summary(plan), "bold"),)


def _rails(plan: Plan, *, full: bool) -> Iterator[Line]:
    """How the rails stand: in one line, and one by one if that is wished."""
    if not plan.rails:
        return
    yield (Span(words.safe(rails.line(plan.rails)), "changed" if rails.is_unusual(plan.rails) else "dim"),)
    for rail in plan.rails if full else ():
        held = f"{rail.tasks:,}" if rail.tasks else ""
        told = f"    {rail.name:{_RAIL}}  {rail.state.value:{_STATE}}  {held:>5}  {words.safe(rail.text)}"
        yield (Span(told.rstrip(), "dim"),)


def plain(plan: Plan, root: str, *, full: bool = False, origins: Origins = NO_ORIGINS) -> str:
    """The report without colour, with a line feed at the end."""
    return "".join(f"{joined(line)}\n" for line in lines(plan, root, full=full, origins=origins))


def joined(line: Line) -> str:
    """A line without colour."""
    return "".join(span.text for span in line)


def matters(item: Item) -> bool:
    """Whether there is more to say about a task than that it stays as it is."""
    if item.action is Action.SUSPENDED and item.intended is Action.NOOP:
        return bool(item.changes)
    return (
        item.action is not Action.NOOP or bool(item.remarks or item.changes or item.rail) or "takes over" in item.reason
    )


def headline(item: Item) -> str:
    """The action, and what it would be were it not held."""
    if item.rail == "failed" and item.action is Action.NOOP:
        return "failed"
    would = f" (would {item.intended.value})" if item.action is not item.intended and item.intended.sends else ""
    return f"{item.action.value}{would}"


def item_lines(item: Item, root: str, origins: Origins) -> Iterator[Line]:
    """What is to be said of one task: first its name, its action and its cost."""
    style = _HEADER_STYLES.get(item.action, "bold")
    cost = f": {'; '.join(item.cost)}" if item.cost else ""
    yield (
        Span(words.safe(item.task), "bold"),
        Span("  "),
        Span(headline(item), style),
        Span(words.safe(cost)),
    )
    if item.action is Action.INVALID:
        for violation in item.violations:
            yield (Span(f"    {words.violation(violation, root)}"),)
    else:
        yield (Span(f"    {why(item)}", "dim"),)
    for commit in commits(item, origins):
        yield (Span(f"    {words.commit(commit)}", "dim"),)
    for change in item.changes:
        yield from _change(change, _other_commit(item, change, origins))
    if item.changes and item.unchanged:
        yield (Span(f"    {item.unchanged} unchanged", "dim"),)
    for remark in item.remarks:
        yield (Span(f"  ! {words.safe(remark)}", "danger"),)
    for rail in item.forced:
        yield (Span(f"  ! forced: {rail}", "danger"),)
    if item.approval:
        yield (Span(f"    {words.approval(item)}", "dim"),)


def why(item: Item) -> str:
    """The reason of an item, with the rail that holds it and until when."""
    until = f" (until {moment(item.until)})" if item.until else ""
    return words.safe(f"{shown_rail(item)}{item.reason}{until}")


def commits(item: Item, origins: Origins) -> tuple[Commit, ...]:
    """The task's last commit first, then the others that its changed keys come from."""
    last = origins.tasks.get(item.task)
    found = [last, *(origins.keys.get((item.task, change.path)) for change in item.changes)]
    return tuple(dict.fromkeys(commit for commit in found if commit is not None))


def _other_commit(item: Item, change: Change, origins: Origins) -> str:
    """The commit that last touched the key, where it is not the task's last one, which the report names anyway."""
    found, last = origins.keys.get((item.task, change.path)), origins.tasks.get(item.task)
    return "" if found is None or found == last else f"   [{found.id[: words.SHORT_COMMIT]}]"


def _change(change: Change, commit: str) -> Iterator[Line]:
    sign = words.sign(change)
    meaning = words.meaning(change)
    aside = Span((f"   {words.safe(meaning)}" if meaning else "") + commit, "dim")
    place = words.safe(f"{change.section}{change.pointer}")
    yield (Span(f"  {sign} {place}", _STYLES[sign]), Span(_values(change)), aside)
    for part in change.parts:
        mark = _PART_SIGNS[part.kind]
        text = f"  {words.short(part.text, _LONGEST_PART)}" if part.text else ""
        yield (Span(f"      {mark} {words.short(part.subject, _LONGEST_PART)}", _STYLES[mark]), Span(text))


def _values(change: Change) -> str:
    old, new = words.old_and_new(change)
    if change.left_in_place:
        return f"  {words.value(old)} stays on the component (allowDelete is false)"
    if change.parts:
        return ""
    if new is None or old is None:
        return f"  {words.value(old if new is None else new)}"
    return f"  {words.change_of(old, new)}"


def _summary(plan: Plan) -> str:
    counts = summary(plan)
    restarts, resets = counts["restarts"], counts["reset"]
    calls = [f"restarts {restarts} component{'' if restarts == 1 else 's'}"] if restarts else []
    calls += [f"resets {resets} link{'' if resets == 1 else 's'}"] if resets else []
    return f"Plan {plan.id[:SHORT_ID]}: {tally(plan)}; {', '.join(calls) or 'no call'}."


def untouched(plan: Plan) -> frozenset[str]:
    """Tasks that have nothing to do, each once: one with a reset that waits is none of them."""
    others = {item.task for item in plan.items if item.action is not Action.NOOP or item.rail == "failed"}
    return frozenset(item.task for item in plan.items) - others


def tally(plan: Plan) -> str:
    """How many items there are of each kind, and tasks of which none is: "1 to update, 998 unchanged"."""
    counts = {**summary(plan), "noop": len(untouched(plan))}
    named = {
        "noop": "unchanged",
        "failed": "failed",
        "blocked": "blocked",
        "invalid": "invalid",
        "orphaned": "orphaned",
        "suspended": "suspended",
    }
    actions = [
        f"{counts[a.value]} to {a.value}"
        for a in (Action.UPDATE, Action.UPDATE_DELETE, Action.RESET, Action.ADOPT)
        if counts[a.value]
    ]
    states = [f"{counts[key]} {word}" for key, word in named.items() if counts[key]]
    return ", ".join(actions + states) or "no tasks"
