"""`reconciler status --watch`: a screen that stays up to date; without a terminal, a line for each change."""

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import click

from reconciler.cli.common import printable_json, say, warn
from reconciler.cli.table import STYLES
from reconciler.cli.view import View
from reconciler.core import rails
from reconciler.core.render.words import safe
from reconciler.core.status import URGENCY, State, TaskStatus, counted, moment
from reconciler.errors import ReconcilerError
from reconciler.model import Json

LOOK_S = 1.0
_GLANCE_S = 0.1
_ENDS = (signal.SIGINT, signal.SIGTERM)
_SHARE = 10
"""A look that takes long is made less often: it may take a tenth of the time."""

_RANKS = {state: rank for rank, state in enumerate(URGENCY)}
_ALTERNATE = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # another screen, no cursor, lines are cut rather than broken
_BACK = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_NARROW = 80
_STATE_WIDTH = max(len(state.value) for state in State)
_SHORTEST_NAME = 12


# --- what changed --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """A task is in another state, or in the same for another reason; None: it was, or is, not known."""

    task: str
    before: TaskStatus | None
    now: TaskStatus | None


class Changes:
    """What is new since the last time."""

    def __init__(self) -> None:
        self._before: dict[str, TaskStatus] | None = None

    def since(self, tasks: Sequence[TaskStatus]) -> list[Change]:
        """What is new; nothing at the first time."""
        now = {one.task: one for one in tasks}
        before, self._before = self._before, now
        if before is None:
            return []
        new = [Change(name, before.get(name), one) for name, one in now.items() if _is_news(before.get(name), one)]
        return new + [Change(name, one, None) for name, one in before.items() if name not in now]


def _is_news(before: TaskStatus | None, now: TaskStatus) -> bool:
    return before is None or (before.state, before.reason) != (now.state, now.reason)


# --- again and again -----------------------------------------------------------------------------------------------


def watch(look: Callable[[], View], show: Callable[[View], None]) -> None:
    """Look about once a second until somebody interrupts it, by Ctrl-C or SIGTERM.

    Args:
        look: how everything is now. What it raises at the first time ends it; later it is shown, and it goes on.
        show: shows that; called at each look.

    Raises:
        ReconcilerError: not even one look can be made.
    """
    view = look()
    with _signals() as came:
        show(view)
        while not came:
            began = time.monotonic()
            try:
                view = look()
            except ReconcilerError as error:
                view = replace(view, remarks=(f"cannot be read now, this is how it was: {error}",))
            show(view)
            _pause(max(LOOK_S, _SHARE * (time.monotonic() - began)), came)


def _pause(seconds: float, came: Sequence[int]) -> None:
    until = time.monotonic() + seconds
    while not came and time.monotonic() < until:
        time.sleep(_GLANCE_S)


@contextmanager
def _signals() -> Iterator[Sequence[int]]:
    """Signals that came and mean the end. They only leave a trace: raised anywhere, they might leave a lock taken."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in _ENDS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Lines:
    """Prints a line for each change.

    Args:
        row: a status as JSON; None: lines are for people.
    """

    def __init__(self, row: Callable[[TaskStatus], dict[str, Json]] | None) -> None:
        self._row = row
        self._changes = Changes()
        self._told: tuple[str, ...] = ()

    def show(self, view: View) -> None:
        """Print what is new."""
        told = (view.source, *view.remarks)
        if told != self._told:
            self._told = told
            for text in told:
                warn(text)
        now = datetime.now(UTC)
        for change in self._changes.since(view.tasks):
            self._print(change, now)

    def _print(self, change: Change, now: datetime) -> None:
        before = change.before.state.value if change.before else None
        if self._row is None:
            state, reason = (change.now.state.value, change.now.reason) if change.now else ("gone", "")
            say(f"{moment(now)}  {change.task}  {before or 'new'} -> {state}  {reason}".rstrip())
            return
        row = self._row(change.now) if change.now else {"task": change.task, "state": None}
        told = {"at": now.isoformat(), "before": before, **row}
        click.echo(printable_json(json.dumps(told, ensure_ascii=False)))


# --- a screen ------------------------------------------------------------------------------------------------------


class Screen:
    """Keeps a terminal up to date; what was on it comes back at the end.

    Args:
        colored: whether states have colours.
    """

    def __init__(self, *, colored: bool) -> None:
        self._colored = colored
        self._shown: tuple[object, ...] = ()

    @contextmanager
    def open(self) -> Iterator["Screen"]:
        """Take the terminal, and give it back whatever happens."""
        self._write(_ALTERNATE)
        try:
            yield self
        finally:
            self._write(_BACK)

    def show(self, view: View) -> None:
        """Draw, if anything is new."""
        size = shutil.get_terminal_size()
        lines = frame(view, *size, colored=self._colored)
        if (size, lines) != self._shown:
            self._shown = size, lines
            self._write(_HOME + "\n".join(line + _REST_OF_LINE for line in lines) + _BELOW)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def frame(view: View, width: int, height: int, *, colored: bool) -> list[str]:
    """The lines of a screen: those tasks first that somebody has to look at, as many as there is room for.

    Args:
        view: what to show.
        width: columns.
        height: lines; at most so many are returned.
        colored: whether states have colours.
    """
    heads = [view.source, counted(view.tasks), *([rails.line(view.rails)] if view.rails else []), *view.remarks]
    heads += [f"target {one.target}: {one.kind}: {one.message}" for one in view.troubles]
    heads = [_cut(text, width) for text in heads][: max(1, height - 2)]
    room = max(0, height - len(heads) - 1)
    tasks = sorted(view.tasks, key=lambda one: (_RANKS[one.state], one.task))
    shown = tasks if len(tasks) <= room else tasks[: max(0, room - 1)]
    name_width = _name_width(shown, width)
    lines = [*heads, "", *(_line(one, name_width, width, colored=colored) for one in shown)]
    if len(shown) < len(tasks):
        lines.append(_cut(_more(tasks[len(shown) :]), width))
    return lines[:height]


def _name_width(shown: Sequence[TaskStatus], width: int) -> int:
    longest = max((len(safe(one.task)) for one in shown), default=0)
    return min(longest, max(_SHORTEST_NAME, width // 3))


def _line(one: TaskStatus, name_width: int, width: int, *, colored: bool) -> str:
    """One task: its name (the end of a long one tells more), state, since when if there is room, and why."""
    name = safe(one.task)
    if len(name) > name_width:
        name = "…" + name[len(name) - name_width + 1 :]
    state = one.state.value.ljust(_STATE_WIDTH)
    since = f"{moment(one.since) if one.since else '':20}  " if width >= _NARROW else ""
    until = f" (until {moment(one.until)})" if one.until else ""
    step = f". Next: {one.next_step}" if one.next_step else ""
    text = _cut(safe(f"{one.reason}{until}{step}"), width - name_width - _STATE_WIDTH - len(since) - 4)
    styled = click.style(state, fg=STYLES.get(one.state.value)) if colored else state
    return f"{name.ljust(name_width)}  {styled}  {since}{text}".rstrip()


def _more(rest: Sequence[TaskStatus]) -> str:
    states = {one.state for one in rest}
    if len(states) == 1:
        return f"and {len(rest):,} more {rest[0].state.value}"
    return f"and {len(rest):,} more: {counted(rest).partition(': ')[2]}"


def _cut(text: str, width: int) -> str:
    shown = safe(text)
    if len(shown) <= width:
        return shown
    return shown[: max(0, width - 1)] + "…" if width > 0 else ""
