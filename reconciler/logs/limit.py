"""Keeps a log readable when everything goes wrong at once: repeats and bursts are counted instead of written.

A repeat is the same text about the same task, target or topic: it is written once, and after `REPEAT_S` once more with
how often it was said meanwhile. When something else was written about it in between (it goes back and forth), it is
written up to `FLAPS` times, so that the last line is true. A burst is many lines of one group, such as every task of a
target becoming blocked: `BURST_LINES` of them are written within `BURST_S`, the others are summed up in one line.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from reconciler.logs.lines import Line

REPEAT_S = 600.0
FLAPS = 3
BURST_S = 10.0
BURST_LINES = 20
EXAMPLES = 3  # subjects named by the line that sums a burst up
MOST_KEPT = 4_096  # texts and subjects remembered; bursts keep it below that in practice


@dataclass(slots=True)
class _Said:
    """A text that was written."""

    since: float  # start of its interval
    times: int = 1  # written in it
    left_out: int = 0
    line: Line | None = None  # the latest that was left out


@dataclass(slots=True)
class _Burst:
    """Lines of one group in one window."""

    since: float
    written: int = 0
    left_out: int = 0
    first: Line | None = None  # of those left out
    examples: list[str] = field(default_factory=list)
    was_summed_early: bool = False


class Limiter:
    """Decides which lines are written.

    Args:
        write: takes a line that is to be written.
        monotonic: seconds since some moment, never going back.
    """

    def __init__(self, write: Callable[[Line], None], monotonic: Callable[[], float]) -> None:
        self._write = write
        self._monotonic = monotonic
        self._lock = threading.RLock()  # a signal handler may come in between
        self._said: OrderedDict[Hashable, _Said] = OrderedDict()  # the oldest interval first
        self._last: OrderedDict[Hashable, Hashable] = OrderedDict()  # {subject: text written last}
        self._bursts: dict[str, _Burst] = {}

    def say(self, line: Line) -> None:
        """Write a line, or count it."""
        with self._lock:
            now = self._monotonic()
            self._write_due(now)
            if line.always:
                self._write(line)
            elif not self._is_repeat(line) and self._has_room(line, now):
                self._remember(line, now)
                self._write(line)

    def flush(self) -> None:
        """Write what is due: for times in which nothing is said."""
        with self._lock:
            self._write_due(self._monotonic())

    def sum_up(self) -> None:
        """Sum up the present bursts before their windows end, once in each window."""
        with self._lock:
            for group, burst in list(self._bursts.items()):
                if not burst.was_summed_early:
                    burst.was_summed_early = burst.left_out > 0
                    self._sum_up(group, burst)

    def _is_repeat(self, line: Line) -> bool:
        said = self._said.get(_text(line))
        if said is None or (said.times < FLAPS and self._last.get(_subject(line)) != _text(line)):
            return False
        said.left_out += 1
        said.line = line
        return True

    def _has_room(self, line: Line, now: float) -> bool:
        """Whether the burst of its group still takes a line; counts it."""
        burst = self._bursts.setdefault(line.group, _Burst(now))
        if burst.written < BURST_LINES:
            burst.written += 1
            return True
        burst.left_out += 1
        burst.first = burst.first or line
        if len(burst.examples) < EXAMPLES and line.subject not in burst.examples:
            burst.examples.append(line.subject)
        return False

    def _remember(self, line: Line, now: float) -> None:
        text, subject = _text(line), _subject(line)
        if text in self._said:
            self._said[text].times += 1
        else:
            self._said[text] = _Said(now)
        self._last[subject] = text
        self._last.move_to_end(subject)
        if len(self._last) > MOST_KEPT:
            self._last.popitem(last=False)
        if len(self._said) > MOST_KEPT:
            self._write_repeats(*self._said.popitem(last=False), now)

    def _write_due(self, now: float) -> None:
        for group in [group for group, burst in self._bursts.items() if now - burst.since >= BURST_S]:
            self._sum_up(group, self._bursts.pop(group))
        while self._said and now - next(iter(self._said.values())).since >= REPEAT_S:
            self._write_repeats(*self._said.popitem(last=False), now)

    def _write_repeats(self, text: Hashable, said: _Said, now: float) -> None:
        """Say once more what was left out, and start its next interval."""
        if said.line is None:
            return
        minutes = max(1, round((now - said.since) / 60))
        again = replace(
            said.line,
            event=f"{said.line.event} (said {said.left_out:,} times more within {minutes} min)",
            facts={**said.line.facts, "repeats": said.left_out},
        )
        if self._has_room(said.line, now):
            self._write(again)
            self._last[_subject(again)] = text
            self._said[text] = _Said(now)

    def _sum_up(self, group: str, burst: _Burst) -> None:
        if burst.first is None:
            return
        self._write(
            Line(
                level=burst.first.level,
                event=f'{burst.left_out:,} more lines of "{group}" were left out',
                kind="left-out",
                group=group,
                reason=f"more than {BURST_LINES} in {BURST_S:.0f} s; among them {', '.join(burst.examples)}",
                next="reconciler status shows every task",
                facts={"left_out": burst.left_out},
            )
        )
        burst.left_out, burst.first, burst.examples = 0, None, []


def _text(line: Line) -> Hashable:
    return line.kind, line.subject, line.level, line.event, line.reason, line.mark


def _subject(line: Line) -> Hashable:
    return line.kind, line.subject
