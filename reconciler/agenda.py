"""Names of tasks to look at again, each once, and by when. An event only says "look at task T again"."""

import heapq
import threading
from collections.abc import Iterable

from reconciler.ports import Clock

_SLACK = 256


class Agenda:
    """A queue of names by due time; any thread may use it.

    A name is in it once: the earlier wish wins, so that newer content never waits for the retry of older one.

    Args:
        clock: the time; due times are monotonic, so that a clock that is set moves none of them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []  # entries that no longer agree with _due are passed over
        self._order = 0
        self._changed = threading.Condition()
        self._woken = False

    def add(self, names: Iterable[str], after_s: float = 0.0) -> None:
        """Look at these tasks, not before so many seconds have passed."""
        with self._changed:
            due = self._clock.monotonic() + after_s
            for name in names:
                if due < self._due.get(name, float("inf")):
                    self._due[name] = due
                    self._order += 1
                    heapq.heappush(self._heap, (due, self._order, name))
            if len(self._heap) > _SLACK + 2 * len(self._due):
                self._tidy()
            if after_s <= 0:
                self._wake()
            self._changed.notify_all()  # it may be due before the present wait is over

    def _tidy(self) -> None:
        """Drop the entries that are passed over anyway."""
        self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)

    def take(self, most: int) -> list[str]:
        """Names that are due, those first that waited longest; they are in it no more."""
        now = self._clock.monotonic()
        taken: list[str] = []
        with self._changed:
            while self._heap and self._heap[0][0] <= now and len(taken) < most:
                due, _, name = heapq.heappop(self._heap)
                if self._due.get(name) == due:
                    del self._due[name]
                    taken.append(name)
        return taken

    def wait(self, longest_s: float, *, until_due: bool = True) -> None:
        """Until a name is due (if wished), somebody calls `wake`, or the time is up."""
        with self._changed:
            now = self._clock.monotonic()
            due_s = self._heap[0][0] - now if self._heap and until_due else longest_s
            if not self._woken and due_s > 0:
                self._clock.wait(self._changed, min(longest_s, due_s))
            self._woken = False

    def wake(self) -> None:
        """End the present or the next `wait` at once."""
        with self._changed:
            self._wake()

    def _wake(self) -> None:
        self._woken = True
        self._changed.notify_all()

    def waiting(self) -> tuple[int, float]:
        """How many names are due, and how long the oldest of them has been, seconds."""
        with self._changed:
            now = self._clock.monotonic()
            due = [at for at in self._due.values() if at <= now]
        return len(due), now - min(due, default=now)
