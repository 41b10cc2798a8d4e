"""Names of tasks to look at again, each once, and by when. An event only says "look at task T again"."""

import heapq
import sys
import threading
from collections.abc import Iterable

from reconciler.ports import Clock

_SLACK = 256


class _Queue:
    """Names by due time, each once: the earlier wish wins."""

    def __init__(self) -> None:
        self.due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []  # entries that no longer agree with due are passed over
        self._order = 0

    def put(self, name: str, due: float) -> None:
        if due < self.due.get(name, float("inf")):
            self.due[name] = due
            self._order += 1
            heapq.heappush(self._heap, (due, self._order, name))
        if len(self._heap) > _SLACK + 2 * len(self.due):
            self._tidy()

    def _tidy(self) -> None:
        """Drop the entries that are passed over anyway."""
        self._heap = [entry for entry in self._heap if self.due.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)

    def pop(self, now: float, most: int) -> list[str]:
        """Names that are due, those first that waited longest."""
        taken: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(taken) < most:
            due, _, name = heapq.heappop(self._heap)
            if self.due.get(name) == due:
                del self.due[name]
                taken.append(name)
        return taken

    def first(self) -> float:
        """When the first name is due; infinity when there is none."""
        while self._heap and self.due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")


class Agenda:
    """A queue of names by due time; any thread may use it.

    Newer content never waits for the retry of older one. Names of which it is known what they would send
    (`core.limits.Tally` counted them) may be taken in portions; the others are taken together, or the first of them
    would be sent before the last of them was counted.

    Args:
        clock: the time; due times are monotonic, so that a clock that is set moves none of them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._new, self._counted = _Queue(), _Queue()
        self._changed = threading.Condition()
        self._woken = False

    def add(self, names: Iterable[str], after_s: float = 0.0, *, counted: bool = False) -> None:
        """Look at these tasks, not before so many seconds have passed.

        Args:
            names: of tasks.
            after_s: 0: at once.
            counted: whether a look counted what they would send, and that is not known to be another by then.
        """
        with self._changed:
            due = self._clock.monotonic() + after_s
            wished = self._counted if counted else self._new
            for name in names:
                wished.put(name, due)
            if after_s <= 0:
                self._wake()
            self._changed.notify_all()  # it may be due before the present wait is over

    def take(self, most: int) -> list[str]:
        """Names that are due; they are in it no more.

        Args:
            most: how many; more only where more were not counted yet.
        """
        now = self._clock.monotonic()
        with self._changed:
            new = self._new.pop(now, sys.maxsize)
            for name in new:
                self._counted.due.pop(name, None)
            counted = self._counted.pop(now, most - len(new))
            for name in counted:
                self._new.due.pop(name, None)
        return new + counted

    def wait(self, longest_s: float, *, until_due: bool = True) -> None:
        """Until a name is due (if wished), somebody calls `wake`, or the time is up."""
        with self._changed:
            first = min(self._new.first(), self._counted.first()) if until_due else float("inf")
            due_s = min(longest_s, first - self._clock.monotonic())
            if not self._woken and due_s > 0:
                self._clock.wait(self._changed, due_s)
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
            new, counted = (
                {n: at for n, at in wished.due.items() if at <= now} for wished in (self._new, self._counted)
            )
        return len(new.keys() | counted.keys()), now - min((*new.values(), *counted.values()), default=now)
