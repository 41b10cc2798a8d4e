"""Asks the remote for new commits: again and again, at the start, and when somebody says that there are some.

A remote that does not answer holds nothing up: the daemon goes on with what it has, and says so once.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from reconciler.core.heads import Followed
from reconciler.errors import ReconcilerError
from reconciler.events import FetchEnded, Listener, Notice
from reconciler.ports import Clock

SPREAD = 0.1
GAP_S = 5.0
"""Between two fetches that a code host asks for: what is told twice, or replayed without end, costs no more."""

_EVERY, _ASKED = "fetch", "fetch-asked"


class Remote(Protocol):
    """Where new commits come from."""

    def fetch(self) -> None:
        """Bring what is new into the repository.

        Raises:
            ReconcilerError: that was not possible; no secret in the text.
        """

    def stop(self) -> None:
        """End a fetch that is under way, from another thread; begin none any more."""


class Schedule(Protocol):
    """Runs actions in threads of its own."""

    def every(self, name: str, seconds: float, action: Callable[[], None], *, spread: float = 0.0) -> None:
        """Again and again."""

    def at(self, name: str, seconds_from_now: float, action: Callable[[], None]) -> None:
        """Once; replaces an earlier wish of that name, and waits for the end of one that runs."""

    def cancel(self, name: str) -> None:
        """Not any more."""


class Fetching:
    """Fetches, one at a time; what is asked for while one is under way is done by one more after it.

    Args:
        remote: where new commits come from.
        every_s: from one fetch to the next, seconds.
        schedule: runs it.
        clock: the time.
        tell: hears how each ended.
    """

    def __init__(self, remote: Remote, every_s: float, schedule: Schedule, clock: Clock, tell: Listener) -> None:
        self._remote = remote
        self._every_s = every_s
        self._schedule = schedule
        self._clock = clock
        self._tell = tell
        self._ended: Callable[[], None] = lambda: None
        self._running = threading.Lock()
        self._guard = threading.Lock()  # of what follows
        self._asked_s: float | None = None  # when first asked for what did not begin yet; monotonic
        self._due_s = 0.0  # when that is to begin
        self._pushed_s = clock.monotonic() - GAP_S  # when the last that a code host asked for was to begin
        self._served_s: float | None = None  # when first asked for what is under way
        self._began_s = 0.0
        self._followed = Followed()
        self._told = False  # that it does not work
        self._stopping = False
        self.last: datetime | None = None  # end of the last one that went well

    def start(self, ended: Callable[[], None], known: Followed) -> None:
        """Begin with one at once.

        Args:
            ended: called after each, by another thread.
            known: since when it does not work, as far as that was known before.
        """
        self._ended, self._followed = ended, known
        self._schedule.every(_EVERY, self._every_s, self._run_unless_running, spread=SPREAD)
        self.ask()

    def stop(self) -> None:
        """Begin no more, and end the one that is under way."""
        self._stopping = True
        self._schedule.cancel(_EVERY)
        self._schedule.cancel(_ASKED)
        self._remote.stop()

    def ask(self) -> None:
        """Fetch now."""
        with self._guard:
            self._plan(self._clock.monotonic())

    def push(self) -> None:
        """Fetch now, or when GAP_S have passed since the last push that was told."""
        with self._guard:
            due_s = max(self._clock.monotonic(), self._pushed_s + GAP_S)
            if self._plan(due_s):
                self._pushed_s = due_s

    def _plan(self, due_s: float) -> bool:
        """Begin then, unless one begins earlier."""
        now_s = self._clock.monotonic()
        is_new = self._asked_s is None or due_s < self._due_s
        if is_new:
            self._due_s = due_s
            self._schedule.at(_ASKED, due_s - now_s, self._run)
        self._asked_s = now_s if self._asked_s is None else self._asked_s
        return is_new

    def covers(self, at_s: float) -> bool:
        """Whether what was asked for until then is done, well or not."""
        with self._guard:
            waiting = [asked_s for asked_s in (self._asked_s, self._served_s) if asked_s is not None]
        return not any(asked_s <= at_s for asked_s in waiting)

    def trouble(self) -> tuple[str, datetime | None]:
        """Why the remote cannot be reached, and since when; "" when it can."""
        with self._guard:
            return self._followed.unreached, self._followed.unreached_since

    def _run_unless_running(self) -> None:
        if self._running.acquire(blocking=False):
            try:
                self._fetch()
            finally:
                self._running.release()

    def _run(self) -> None:
        with self._running:
            self._fetch()

    def _fetch(self) -> None:
        if self._stopping:
            return
        with self._guard:
            self._served_s, self._asked_s = self._asked_s, None
            self._began_s = self._clock.monotonic()
        try:
            problem = self._problem()
            if not self._stopping:
                self._conclude(problem)
        finally:
            with self._guard:  # both at once: what was asked for is done when the commit was looked at as well
                self._served_s = None
                self._ended()

    def _problem(self) -> str:
        try:
            self._remote.fetch()
        except ReconcilerError as error:
            return str(error)
        return ""

    def _conclude(self, problem: str) -> None:
        now = self._clock.now()
        with self._guard:
            before, self._followed = self._followed, self._followed.fetched(problem, now)
            self.last = self.last if problem else now
        self._tell(FetchEnded(self._clock.monotonic() - self._began_s, problem))
        if problem and not self._told:
            text = f"nothing can be fetched, the last commit stays in force until that works again: {problem}"
            self._tell(Notice("warning", "source", text))
        elif before.unreached and not problem:
            self._tell(Notice("info", "source", "the remote can be fetched from again"))
        self._told = bool(problem)
