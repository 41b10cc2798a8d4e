"""A directory as the daemon's desired state: which tasks were edited, and when that has come to rest.

Several files of a task are written one after the other, so what changes is looked at when it was quiet for a while. A
look that was planned before, or that a resync brings, may meet half of an edit: `is_restless` says so, and nothing is
sent then.
"""

import queue
from collections.abc import Callable, Iterator

from reconciler.core.policy import ALL_TASKS
from reconciler.core.quiet import Quiet
from reconciler.errors import ReconcilerError
from reconciler.events import SourceVitals
from reconciler.ports import Clock, Watching
from reconciler.watch import Touched

MOST_FOLDERS = 20
"""When more trees than this changed at once, looking at everything is cheaper than looking below each."""


class Edits:
    """What happens to the files of a directory. Every method but `touch` belongs to the loop's thread.

    Args:
        watch: makes what learns of changes, given whom to tell.
        quiet: how long files must be left alone.
        below: tasks at or below a folder, then and now.
        clock: the time.
        wake: ends the loop's wait; called from any thread.
    """

    cause = "event"

    def __init__(
        self,
        watch: Callable[[Callable[[Touched], None]], Watching],
        quiet: Quiet[Touched],
        below: Callable[[str], frozenset[str]],
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._quiet = quiet
        self._below = below
        self._clock = clock
        self._wake = wake
        self._touches: queue.SimpleQueue[Touched] = queue.SimpleQueue()
        self._watch = watch(self.touch)

    def touch(self, touched: Touched) -> None:
        """Something may have changed; called from any thread."""
        self._touches.put(touched)
        self._wake()

    # --- for the loop; see `ports.Feed` ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch."""
        self._watch.start()

    def stop(self) -> None:
        """Watch no more."""
        self._watch.stop()

    def check(self) -> None:
        """See to it that the right directory is watched."""
        self._watch.check()

    def take(self) -> frozenset[str] | None:
        """Tasks whose directory changed and is quiet again; None: it may be any."""
        self._take_touches()
        ripe = self._quiet.ripe(self._clock.monotonic())
        deep = [touched.folder for touched in ripe if touched.deep]
        if len(deep) > MOST_FOLDERS or "" in deep:
            return None
        names = frozenset(touched.folder or "." for touched in ripe if not touched.deep)
        try:
            return names.union(deep, *map(self._below, deep))
        except ReconcilerError:
            return None  # a look at everything reports why the directory cannot be read

    def next_s(self) -> float | None:
        """When something becomes quiet; None when nothing will."""
        return self._quiet.next_s()

    def is_restless(self, task: str) -> bool:
        """Whether something happened to a task's files and they are not quiet yet."""
        self._take_touches()
        return any(touched in self._quiet for touched in _touches_of(task))

    def asked(self, task: str) -> bool:
        """Take a task's files as written: who asks for a look has ended the edit.

        Returns:
            Whether others that lie in the same tree have to be looked at as well.
        """
        self._take_touches()
        own, *trees = _touches_of(task)
        if task == ALL_TASKS or any(tree in self._quiet for tree in trees):
            self._quiet.clear()
            return True
        self._quiet.drop(own)
        return False

    def pushed(self) -> None:
        """Nobody pushes to a directory."""

    def look(self) -> None:
        """Files tell by themselves."""

    def covers(self, at_s: float) -> bool:
        """Everything asked for until then was done."""
        del at_s
        return True

    def vitals(self) -> SourceVitals:
        """Files are read as they are."""
        return SourceVitals()

    def _take_touches(self) -> None:
        while not self._touches.empty():
            self._quiet.touch(self._touches.get(), self._clock.monotonic())


def _touches_of(task: str) -> Iterator[Touched]:
    """Everything that may have happened to a task's files: to its own folder, or to a tree that it lies in."""
    parts = task.split("/")
    yield Touched("" if task == "." else task, deep=False)
    yield from (Touched("/".join(parts[:length]), deep=True) for length in range(len(parts) + 1))
