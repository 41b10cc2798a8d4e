"""Keeps the desired-state directory watched, whatever becomes of it.

The directory may be a link that is switched, be replaced by a rename, vanish and come back; the kernel may refuse to
watch or lose count. `check` finds all of that out, and there is one remedy: watch anew, then have everything looked at.
"""

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from reconciler.watch.inotify import FolderTree
from reconciler.watch.polling import Poll
from reconciler.watch.rules import EVERYTHING, Touched

RETRY_S = 60.0  # how often to try again what the kernel refused
_PAUSE = 10  # times as long as watching anew took, before it is done again: a flood must not keep the program busy

_ENDED = "the thread that watches it ended unexpectedly"
_ADVICE = {
    errno.ENOSPC: "this user may watch no more folders: raise sysctl fs.inotify.max_user_watches",
    errno.EMFILE: "no more inotify instances or open files: raise sysctl fs.inotify.max_user_instances, or LimitNOFILE",
}


class _Watcher(Protocol):
    """What learns of changes."""

    lost: str
    limit: OSError | None

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def is_alive(self) -> bool: ...
    def look(self) -> None: ...


class Watch:
    """Tells which folders to look at again.

    `start`, `check` and `stop` belong to one thread. What happened before `start` returned may be untold: read the
    directory after it.

    Args:
        path: the desired-state directory; it or a part of its path may be a link.
        tell: called from any thread, often, and with the same value again and again; it must not wait long.
        trouble: called by `start` and `check` with a sentence for people, when watching fails and when it works again.
        poll_s: 0 to be told by the kernel; else how often to list the directory, seconds (network file systems).
        monotonic: the time, seconds; it decides when to try again.
    """

    def __init__(
        self,
        path: Path,
        tell: Callable[[Touched], None],
        trouble: Callable[[str], None],
        *,
        poll_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._tell = tell
        self._trouble = trouble
        self._poll_s = poll_s
        self._monotonic = monotonic
        self._running = False
        self._root: tuple[int, int] | None = None  # device and inode; None: there is no such directory
        self._watcher: _Watcher | None = None
        self._failed: OSError | None = None  # why there is no watcher
        self._limited = False  # it was said that not everything is watched
        self._retry_at = 0.0
        self._soonest_at = 0.0

    def start(self) -> None:
        """Begin to watch; a directory that does not exist is waited for."""
        self._running = True
        try:
            self._root = _identity(self._path)
        except OSError as error:
            self._say_gone(error)
        else:
            self._watch_anew()

    def stop(self) -> None:
        """End every thread; nothing is told once this has returned."""
        self._running = False
        self._end()

    def check(self) -> None:
        """Find out whether the right directory is watched, and watched well; to be called about once a second.

        Costs one look at the directory (and one at each link in it) as long as all is well, about a second for 10,000
        folders when they must be watched anew.
        """
        if not self._running:
            return
        was = self._root
        try:
            self._root = _identity(self._path)
        except OSError as error:
            if was is not None:
                self._gone(error)
            return
        if self._root != was:
            if was is None:
                self._say("is back; every task is looked at again")
            self._watch_anew()
            self._tell(EVERYTHING)
        else:
            self._care(self._monotonic())

    def _gone(self, error: OSError) -> None:
        self._root = None
        self._end()
        self._say_gone(error)
        self._tell(EVERYTHING)

    def _care(self, now_s: float) -> None:
        """The directory is the same: is everything in it watched?"""
        if (lost := self._lost()) and now_s >= self._soonest_at:
            self._say(f"{lost}; every task is looked at again")
        elif self._limit() is None or now_s < self._retry_at:
            self._mind_limit()
            if self._watcher is not None:
                self._watcher.look()
            return
        self._watch_anew()
        self._tell(EVERYTHING)

    def _lost(self) -> str:
        if self._watcher is None:
            return ""
        return self._watcher.lost or ("" if self._watcher.is_alive() else _ENDED)

    def _limit(self) -> OSError | None:
        return self._watcher.limit if self._watcher is not None else self._failed

    # --- the watcher --------------------------------------------------------------------------------------------------

    def _watch_anew(self) -> None:
        self._end()
        began_s = self._monotonic()
        try:
            self._watcher = self._make()
            self._watcher.start()
        except OSError as error:
            self._end()
            self._failed = error
        ended_s = self._monotonic()
        self._soonest_at = ended_s + _PAUSE * (ended_s - began_s)
        self._retry_at = ended_s + RETRY_S
        self._mind_limit()

    def _make(self) -> _Watcher:
        root = os.path.realpath(self._path)
        return Poll(root, self._tell, self._poll_s) if self._poll_s else FolderTree(root, self._tell)

    def _end(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
        self._watcher = self._failed = None

    # --- what is said -------------------------------------------------------------------------------------------------

    def _mind_limit(self) -> None:
        """Say it once when not everything can be watched, and once when everything is."""
        limit = self._limit()
        if limit is None and self._limited:
            self._say("every folder is watched again")
        elif limit is not None and not self._limited:
            self._retry_at = self._monotonic() + RETRY_S
            advice = _ADVICE.get(limit.errno or 0, limit.strerror)
            self._say(
                f"not every folder can be watched: {advice}, or set [daemon] poll_s;"
                f" until then all tasks are looked at every {RETRY_S:.0f} s"
            )
        self._limited = limit is not None

    def _say_gone(self, error: OSError) -> None:
        self._say(f"{error.strerror}; waiting until it is a directory that can be read")

    def _say(self, what: str) -> None:
        self._trouble(f"{self._path}: {what}")


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode of a directory, links followed.

    Raises:
        OSError: it is none, or may not be read.
    """
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(path, os.R_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return status.st_dev, status.st_ino
