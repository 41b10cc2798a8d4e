"""The commit that the daemon reads: moves to a newer one between two looks, never during one.

It is the source of all looks. When no commit can be read at all, every look says why; the repository is then opened
anew until one can. A newest commit that may not be followed leaves the last good one in force: that is told once, and
stands in the store for commands beside the daemon.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.core import heads
from reconciler.core.heads import HEAD
from reconciler.core.policy import ALL_TASKS
from reconciler.errors import ConfigError, DesiredStateError, ReconcilerError
from reconciler.events import HeadChanged, Listener, SourceVitals
from reconciler.following.fetching import Fetching
from reconciler.model import Head, RawTask
from reconciler.ports import Clock, CommitSource, Entry, StateStore, Watching

BACKSTOP_S = 1.0
"""How often to look at the ref although nobody told that it moved."""

RETRY_S = 2.0
"""How often to open a repository that cannot be read."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A repository that was opened."""

    source: CommitSource  # at the newest commit that may be followed
    watch: Watching


class Commits:
    """Follows commits. `look` may be called by any thread and `vitals` too; all else belongs to the loop's.

    Args:
        open_: opens the repository; given what to call when refs may have moved. Raises DesiredStateError, or
            ConfigError for a ref that cannot be followed.
        root: path shown in front of file names in messages.
        fetching: from a remote; None where there is none.
        store: remembers which commit is followed.
        clock: the time.
        tell: hears of another head.
        wake: ends the loop's wait.
    """

    cause = "commit"

    def __init__(  # noqa: PLR0913, PLR0917 - its parts; the service puts them together
        self,
        open_: Callable[[Callable[[], None]], Opened],
        root: str,
        fetching: Fetching | None,
        store: StateStore,
        clock: Clock,
        tell: Listener,
        wake: Callable[[], None],
    ) -> None:
        self._open = open_
        self.root = root
        self.revision = ""  # id of the commit
        self.remarks: tuple[str, ...] = ()  # what is followed is told in other ways
        self._fetching = fetching
        self._store = store
        self._clock = clock
        self._tell = tell
        self._wake = wake
        self._opened: Opened | None = None
        self._broken: ReconcilerError | None = None  # why no commit can be read
        self._moved = threading.Event()
        self._due_s = 0.0  # when to look at the ref in any case; monotonic
        self._changed: frozenset[str] | None = frozenset()  # tasks of which the loop was not told yet; None: all
        channel, subject = HEAD
        self._written = store.notified(channel).get(subject, "")
        self._followed = heads.from_text(self._written)
        self._recorded = ""  # id of the commit that the store knows to be followed
        self._told: tuple[str, str, str] | None = None  # (commit, newest, kind)

    # --- for the loop; see `ports.Feed` ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; the commit is chosen by the first `take`."""
        self._moved.set()
        if self._fetching is not None:
            self._fetching.start(self.look, self._followed)

    def stop(self) -> None:
        """Follow no more; a fetch that is under way is ended."""
        if self._fetching is not None:
            self._fetching.stop()
        self._close()

    def check(self) -> None:
        """See to it that the refs are watched."""
        if self._opened is not None:
            self._opened.watch.check()

    def take(self) -> frozenset[str] | None:
        """Move to the newest commit that may be followed, if that is due.

        Returns:
            Tasks whose files are others than before; None: it may be any, or some are gone. That is judged by all of
            the commit, in one look: a part of what vanished may be too little to freeze the rest.

        Raises:
            StateStoreError: which commit is followed cannot be read or written; nothing is lost, call it again.
        """
        if self._moved.is_set() or self._clock.monotonic() >= self._due_s:
            self._advance()
        self._remember()
        changed, self._changed = self._changed, frozenset()
        return None if changed and self._has_lost(changed) else changed

    def next_s(self) -> float | None:
        """When to look at the ref again."""
        return self._due_s

    def is_restless(self, task: str) -> bool:
        """A commit is whole."""
        del task
        return False

    def asked(self, task: str) -> bool:
        """Look for new commits now, also at the remote.

        Returns:
            Whether everything is to be looked at.
        """
        self._moved.set()
        if self._fetching is not None:
            self._fetching.ask()
        return task == ALL_TASKS

    def pushed(self) -> None:
        """A code host says that there are new commits."""
        self._moved.set()
        if self._fetching is not None:
            self._fetching.push()

    def look(self) -> None:
        """The ref may have moved."""
        self._moved.set()
        self._wake()

    def covers(self, at_s: float) -> bool:
        """Whether everything asked for until then was fetched, and is read."""
        fetched = self._fetching is None or self._fetching.covers(at_s)
        return fetched and not self._moved.is_set()

    def vitals(self) -> SourceVitals:
        """Which commit is read, and what is wrong."""
        head, fetching = self._followed.head, self._fetching
        last = fetching.last if fetching is not None else None
        return SourceVitals(head.commit.id, head.kind, last) if head is not None else SourceVitals("", "", last)

    # --- the source of all looks -----------------------------------------------------------------------------------

    def entries(self, below: str = "") -> Iterator[Entry]:
        """Every task at or below a folder; see `ports.Source`."""
        return self._readable().entries(below)

    def entry(self, name: str) -> Entry | None:
        """The task of exactly that name."""
        return self._readable().entry(name)

    def tasks(self) -> Iterator[RawTask]:
        """Every task, its files read."""
        return self._readable().tasks()

    def names(self) -> Sequence[str]:
        """Names of all tasks."""
        return self._readable().names()

    def _readable(self) -> CommitSource:
        if self._opened is None:
            raise self._broken or DesiredStateError(f"{self.root}: the repository was not opened yet")
        return self._opened.source

    # --- moving ----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        self._moved.clear()
        self._due_s = self._clock.monotonic() + BACKSTOP_S
        try:
            changed = self._moved_by()
            self.revision = self._readable().revision
        except (ConfigError, DesiredStateError) as error:
            self._break(error)
            return
        self._broken = None
        self._changed = None if changed is None or self._changed is None else self._changed | changed

    def _moved_by(self) -> frozenset[str] | None:
        """Tasks that differ between the commit of before and the one of now."""
        if self._opened is not None:
            return self._opened.source.advance()
        self._opened = self._open(self.look)
        self._opened.watch.start()
        return None

    def _has_lost(self, tasks: frozenset[str]) -> bool:
        return self._opened is not None and any(self._opened.source.entry(name) is None for name in tasks)

    def _break(self, error: ReconcilerError) -> None:
        """Nothing can be read: said by the next look, which everybody has to hear of."""
        self._close()
        self._due_s = self._clock.monotonic() + RETRY_S
        if self._broken is None or str(self._broken) != str(error):
            self._changed = None
        self._broken = error

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.watch.stop()

    # --- what is known of it ---------------------------------------------------------------------------------------

    def _remember(self) -> None:
        """Say where it stands, to the store and to whoever listens, if that is another place than before."""
        if self._opened is not None:
            self._remember_head(self._opened.source.head, self._opened.source.remarks)
        self._followed = self._followed.reached(*(self._fetching.trouble() if self._fetching else ("", None)))
        text = heads.to_text(self._followed)
        if text != self._written:
            self._store.set_notified(*HEAD, text)
            self._written = text

    def _remember_head(self, head: Head, remarks: tuple[str, ...]) -> None:
        if head.commit.id != self._recorded:
            self._store.set_head(head.ref, head.commit.id)
            self._recorded = head.commit.id
        self._followed = self._followed.moved(head, remarks, self._clock.now())
        place = (head.commit.id, head.newest, head.kind)
        if place != self._told:
            self._told = place
            self._tell(HeadChanged(head, None if self._changed is None else len(self._changed)))
