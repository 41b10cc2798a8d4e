"""Takes the daemon's events and says what is worth a line."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import structlog

from reconciler.core.status import State
from reconciler.events import Event, PassEnded, StateChanged
from reconciler.logs.limit import Limiter
from reconciler.logs.lines import Line, line_of


def write(line: Line) -> None:
    """Hand a line to structlog, as it is configured now."""
    structlog.get_logger().log(_number(line), line.event, **line.fields())


def _number(line: Line) -> int:
    return logging.getLevelNamesMapping()[line.level.upper()]


class LogListener:
    """Writes a line for each event, without repeats and bursts.

    Args:
        monotonic: seconds since some moment, never going back; measures how long ago something was said.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limiter = Limiter(write, monotonic)
        self._lock = threading.RLock()
        self._first_seen: Counter[State] = Counter()  # since the last pass ended
        self._is_stuck = False  # the last pass was frozen, or could not be made
        self._has_looked = False  # a pass found tasks since the start

    def __call__(self, event: Event) -> None:
        """Say what happened."""
        if isinstance(event, PassEnded):
            self._pass_ended(event)
            return
        if isinstance(event, StateChanged) and event.before is None:
            with self._lock:
                self._first_seen[event.status.state] += 1
        self._say(line_of(event))

    def flush(self) -> None:
        """Write what was left out and is due; to be called every few seconds, because a silent daemon has no events."""
        self._limiter.flush()

    def _say(self, line: Line) -> None:
        if structlog.get_logger().is_enabled_for(_number(line)):  # a line that nobody sees is no part of a burst
            self._limiter.say(line)

    def _pass_ended(self, event: PassEnded) -> None:
        line, is_stuck = line_of(event), bool(event.problem or event.frozen)
        with self._lock:
            seen, self._first_seen = self._first_seen, Counter()
            was_stuck, self._is_stuck = self._is_stuck, is_stuck
            is_start, self._has_looked = not self._has_looked, self._has_looked or bool(seen)
        if seen:
            counts = ", ".join(f"{seen[state]:,} {state.value}" for state in State if seen[state])
            number = f"{seen.total():,} task{'' if seen.total() == 1 else 's'}"
            first = f"looked at {number} after the start" if is_start else f"saw {number} for the first time"
            self._say(replace(line, level="info", event=first, subject="first", reason=counts))
        if was_stuck and not is_stuck:
            self._say(replace(line, level="info", event="the tasks are looked at and sent again"))
        else:
            self._say(line)
        self._limiter.sum_up()
