"""A plan as a review comment: the most dangerous first, and never more than a code host takes.

Whatever comes from outside (names, values, commits) stands in code: there a mention notifies nobody, "fixes #12"
closes nothing and no markup acts. No line begins with a slash, which GitLab takes for a command.
"""

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.core import rails
from reconciler.core.plural import counted
from reconciler.core.render import danger, text, words
from reconciler.model import NO_ORIGINS, Item, Origins, Plan

MARKER = "<!-- reconciler plan -->"
"""The first line: by it a pipeline finds its comment again."""

LIMIT_BYTES = 60_000
"""The longest report, as UTF-8.

GitHub takes 65,536 characters, GitLab 1,000,000. Bytes are never fewer than characters, however they are counted; the
margin is for what a pipeline puts around the report.

Source:
    https://github.com/orgs/community/discussions/27190
    https://docs.gitlab.com/administration/instance_limits/
"""

EVERYTHING = "reconciler plan --format html"
"""The command whose report leaves nothing out; with the same arguments."""

_LONGEST_BLOCK = 12_000  # bytes of one task's lines
_LONGEST_LINE = 1_000  # characters
_LONGEST_NAME = 200
_REMARKS_BYTES = 6_000
_RESERVE = 2_000  # bytes for what is said of what was left out
_SHORTEST_FENCE = 4
_SIGNS = {"added": "+", "removed": "-", "danger": "!"}


def report(plan: Plan, root: str, origins: Origins = NO_ORIGINS, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """The plan in Markdown: the summary first, then one collapsible block a task that matters.

    Args:
        plan: the plan.
        root: path of the desired state, put in front of file names.
        origins: whose commits it comes from.
        limit_bytes: the longest report; from 12,000 on. Less than `LIMIT_BYTES` where reports share a comment.

    Returns:
        At most so many bytes: what does not fit is told in one line a task, and then in numbers.
    """
    items = [item for item in danger.by_danger(plan.items) if text.matters(item)]
    head = "".join(f"{line}\n" for line in _head(plan, origins))
    body = _fitted(items, root, origins, limit_bytes - _RESERVE - _size(head))
    return "".join((head, _notice(body), *body.blocks, "\n" * bool(body.lines), *body.lines, _rest(body.left)))


def _head(plan: Plan, origins: Origins) -> Iterator[str]:
    yield MARKER
    yield f"### Plan {code(plan.id[: text.SHORT_ID])}"
    yield ""
    yield f"**{'. '.join(danger.alarms(plan))}.**"
    yield ""
    yield f"Tasks: {text.tally(plan)}. Revision: {code(words.short(plan.revision))}"
    remarks = [f"\n> {code(words.short(remark, _LONGEST_LINE))}" for remark in words.remarks(plan, origins)]
    shown = _first(remarks, _REMARKS_BYTES)
    yield from shown
    if len(shown) < len(remarks):
        yield f"\n> and {len(remarks) - len(shown):,} more remarks: `{EVERYTHING}`"
    if plan.rails:
        yield f"\n{code(words.short(rails.line(plan.rails), _LONGEST_LINE))}"


# --- what fits -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Body:
    """How each task is told, in the order of danger."""

    blocks: Sequence[str]  # in full
    lines: Sequence[str]  # in one line each
    left: Sequence[Item]  # as a number


def _fitted(items: Sequence[Item], root: str, origins: Origins, room: int) -> _Body:
    """As many whole blocks as fit beside a line for each other task; lines keep out blocks from half of the room."""
    lines = [_line(item) for item in items]
    ahead = sum(map(_size, lines))  # what the lines of all tasks without a block would take
    kept = room // 2
    blocks: list[str] = []
    for item, line in zip(items, lines, strict=True):
        block = _block(item, root, origins)
        ahead -= _size(line)
        if _size(block) + min(ahead, kept) > room:
            break
        room -= _size(block)
        blocks.append(block)
    shown = _first(lines[len(blocks) :], room)
    return _Body(blocks, shown, items[len(blocks) + len(shown) :])


def _first(pieces: Iterable[str], room: int) -> list[str]:
    """The first pieces that take at most *room* bytes together."""
    fitting = []
    for piece in pieces:
        room -= _size(piece)
        if room < 0:
            break
        fitting.append(piece)
    return fitting


def _size(piece: str) -> int:
    return len(piece.encode())


def _notice(body: _Body) -> str:
    """What was left out, before anybody misses it."""
    if not (body.lines or body.left):
        return ""
    whole, short, left = len(body.blocks), len(body.lines), len(body.left)
    return (
        f"\n**Too much for one comment.** Of {whole + short + left:,} tasks, the most dangerous first, {whole:,} stand"
        f" here in full, {short:,} in one line and {left:,} as a number. `{EVERYTHING}`, with the same arguments, shows"
        " everything.\n"
    )


def _rest(left: Sequence[Item]) -> str:
    counts = Counter(text.headline(item) for item in left)
    told = ", ".join(f"{number:,} {headline}" for headline, number in counts.items())
    return f"\nNot listed: {told}.\n" if told else ""


# --- one task ------------------------------------------------------------------------------------------------------


def _line(item: Item) -> str:
    name = code(words.short(item.task, _LONGEST_NAME))
    return f"- **{text.headline(item)}** {name}{_aside(item)}\n"


def _block(item: Item, root: str, origins: Origins) -> str:
    # Code, because a mention in it notifies nobody.
    name = f"<code>{html.escape(words.short(item.task, _LONGEST_NAME), quote=False)}</code>"
    lines = _cut([_shown(line) for line in _lines(item, root, origins)])
    fence = "~" * max(_SHORTEST_FENCE, 1 + _longest_run("~", "\n".join(lines)))
    return "\n".join(
        (
            f"\n<details><summary><b>{text.headline(item)}</b> {name}{_aside(item)}</summary>",
            "",
            f"{fence}diff",
            *lines,
            fence,
            "",
            "</details>\n",
        )
    )


def _aside(item: Item) -> str:
    """How much it is and what to fear, in our own words only."""
    level = danger.worst(item)
    told = (
        _many(len(item.violations), "violation"),
        _many(len(item.changes), "key"),
        level.value if level else "",
        "perhaps more than one component" if item.intended.sends and danger.is_inexact(item) else "",
    )
    aside = ", ".join(filter(None, told))
    return f": {aside}" if aside else ""


def _many(number: int, noun: str) -> str:
    return counted(number, noun) if number else ""


def _lines(item: Item, root: str, origins: Origins) -> Iterator[text.Line]:
    """What the text report says, its first line without what the summary has said."""
    _, *lines = text.item_lines(item, root, origins)
    if item.cost:
        yield (text.Span(f"    {words.safe('; '.join(item.cost))}"),)
    yield from lines


def _shown(line: text.Line) -> str:
    """A line of a diff: signs in the first column, where its colours look for them, and nothing else there."""
    told = words.short(text.joined(line), _LONGEST_LINE)
    sign = _SIGNS.get(line[0].style)
    if sign is None:
        return f" {told}"
    stripped = told.lstrip()
    return f"{sign}{' ' * (len(told) - len(stripped))}{stripped[1:]}"


def _cut(lines: Sequence[str]) -> Sequence[str]:
    shown = _first(lines, _LONGEST_BLOCK)
    return lines if len(shown) == len(lines) else [*shown, f" … {len(lines) - len(shown):,} more lines: {EVERYTHING}"]


def code(value: str) -> str:
    """*value* as a code span that nothing inside of it can end.

    Source:
        CommonMark 0.31, section 6.1: a run of backticks of another length does not end it, one space at each end is
        taken off
    """
    shown = words.safe(value) or " "
    ticks = "`" * (1 + _longest_run("`", shown))
    edge = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{edge}{shown}{edge}{ticks}"


def _longest_run(character: str, value: str) -> int:
    return max(map(len, re.findall(f"{character}+", value)), default=0)
