"""Tells that the refs of a repository may have moved: a commit, merge, reset, checkout, push or fetch.

Whoever is told resolves the ref and compares ids, which costs some microseconds, so being told once too often does no
harm. The kernel tells within milliseconds; `check` sees to it that the right folders are watched. It is no substitute
for looking: on file systems whose kernel tells nothing only whoever resolves the ref again now and then notices.

Watched are HEAD of the working tree, `packed-refs` and every folder below `refs` (and `reftable`) of the repository
that a linked working tree shares. git replaces these files by a rename, and makes and removes folders of refs whenever
it likes. watchdog's descriptor is used directly, as by `reconciler.watch`, and for the reasons given there.
"""

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from reconciler.git.repository import Repository

RETRY_S = 60.0  # how often to try again what the kernel refused

_EVENTS = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
)
_FOLDERS = ("refs", "reftable")
_FILES = frozenset((b"HEAD", b"packed-refs"))
_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR))
_ADVICE = {
    errno.ENOSPC: "this user may watch no more folders: raise sysctl fs.inotify.max_user_watches",
    errno.EMFILE: "no more inotify instances or open files: raise sysctl fs.inotify.max_user_instances, or LimitNOFILE",
}


@dataclass(eq=False, slots=True)
class _Folder:
    """A watched folder; what watchdog calls back."""

    watch: "RefWatch"
    descriptor: InotifyFD
    path: str
    names: frozenset[bytes]  # of the files that count; empty: all

    def on_event(self, event: InotifyEvent) -> None:
        self.watch.happened(self, event)

    def on_watch_deleted(self, _wd: WatchDescriptor) -> None:
        """A folder of refs went: the one above tells of it."""

    def on_queue_overflow(self) -> None:
        self.watch.lose()


class RefWatch:
    """Watches the refs of one repository. `start`, `check` and `stop` belong to one thread.

    Args:
        repository: the repository.
        moved: called from any thread when refs may have moved, often and without a reason at times; it must not wait
            long.
        trouble: called by `start` and `check` with a sentence for people, when watching fails and when it works again.
        monotonic: the time, seconds; it decides when to try again.
    """

    def __init__(
        self,
        repository: Repository,
        moved: Callable[[], None],
        trouble: Callable[[str], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._git_dir = os.path.realpath(repository.git_dir)
        self._common = _common_dir(Path(self._git_dir))
        self._shown = repository.shown
        self._moved = moved
        self._trouble = trouble
        self._monotonic = monotonic
        self._descriptor: InotifyFD | None = None
        self._state: tuple[tuple[int, int], ...] = ()  # which folders are watched
        self._failed = False  # and it was said
        self._retry_at = 0.0
        self._lost = False

    def start(self) -> None:
        """Begin to watch. What happened before this returned may be untold: resolve the ref after it."""
        self._watch_anew()

    def stop(self) -> None:
        """End the thread; nothing is told once this has returned."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            descriptor.stop()
            descriptor.join()

    def check(self) -> None:
        """Watch anew what was replaced, or was not watched well; to be called about once a second."""
        if self._state == self._identity() and not self._is_lost():
            return
        self._watch_anew()
        self._moved()

    def _is_lost(self) -> bool:
        if self._descriptor is None:
            return self._monotonic() >= self._retry_at
        return self._lost or not self._descriptor.is_alive()

    # --- called by watchdog's thread ----------------------------------------------------------------------------------

    def happened(self, folder: _Folder, event: InotifyEvent) -> None:
        """Take note of one event."""
        if folder.names and event.name not in folder.names:
            return
        if event.is_directory and (event.is_create or event.is_moved_to):
            self._follow(folder.descriptor, f"{folder.path}/{os.fsdecode(event.name)}")
        if event.name and not event.name.endswith(b".lock"):
            self._moved()

    def lose(self) -> None:
        """Something was not told, or is not watched; the next `check` sees to it."""
        self._lost = True

    def _follow(self, descriptor: InotifyFD, path: str) -> None:
        try:
            self._grow(descriptor, path)
        except OSError:  # also when it was stopped meanwhile
            self.lose()

    # --- the folders --------------------------------------------------------------------------------------------------

    def _watch_anew(self) -> None:
        self.stop()
        self._lost = False
        self._state = self._identity()
        try:
            descriptor = self._descriptor = InotifyFD()
            descriptor.name = "refs"
            descriptor.start()
            for path in {self._git_dir, self._common}:
                self._add(descriptor, path, _FILES)
            for name in _FOLDERS:
                self._grow(descriptor, f"{self._common}/{name}")
        except OSError as error:
            self.stop()
            self._fail(error)
        else:
            self._recover()

    def _grow(self, descriptor: InotifyFD, top: str) -> None:
        """Watch a folder and all below it; one that went meanwhile is passed over."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            try:
                self._add(descriptor, path, frozenset())
                with os.scandir(path) as entries:
                    waiting.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise

    def _add(self, descriptor: InotifyFD, path: str, names: frozenset[bytes]) -> None:
        folder = _Folder(self, descriptor, path, names)
        wd = descriptor.add_callback(os.fsencode(path), _EVENTS, folder, CallbackId(id(folder)))
        if wd == -1:  # watchdog's way to pass over what may not be read; it keeps a callback for it
            descriptor.remove_callbacks([(wd, CallbackId(id(folder)))])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def _identity(self) -> tuple[tuple[int, int], ...]:
        """Device and inode of the folders that everything lies in; (0, 0) for one that is not there."""
        return tuple(map(_identity, (self._git_dir, self._common, *(f"{self._common}/{name}" for name in _FOLDERS))))

    # --- what is said -------------------------------------------------------------------------------------------------

    def _fail(self, error: OSError) -> None:
        self._retry_at = self._monotonic() + RETRY_S
        if not self._failed:
            self._failed = True
            advice = _ADVICE.get(error.errno or 0, error.strerror)
            self._trouble(
                f"{self._shown}: new commits cannot be noticed at once: {advice};"
                " until then they are looked for about once a second"
            )

    def _recover(self) -> None:
        if self._failed:
            self._failed = False
            self._trouble(f"{self._shown}: new commits are noticed at once again")


def _common_dir(git_dir: Path) -> str:
    """What a linked working tree shares with the others: gitrepository-layout(5), "commondir"."""
    try:
        written = (git_dir / "commondir").read_text().strip()
    except OSError:
        return str(git_dir)
    return os.path.realpath(git_dir / written)


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - called once a second, for ever
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
