"""Learns of changes from the kernel, through watchdog's inotify descriptor.

watchdog's own recursive observer is not used. Its thread dies unseen when a folder that was moved out is removed after
another of its name was (watchdog 7.1: `KeyError` in `InotifyWatchGroup`), it passes over folders it could not watch,
its handlers never learn that the kernel's queue overflowed, and it follows no links the way the source does. Its
descriptor (`InotifyFD`: reading, parsing, several callbacks for one folder) has none of these faults.

Each folder is watched before it is listed, so nothing that appears in it falls between the two. A folder that several
names lead to is watched once by the kernel and has a callback for each name.
"""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from reconciler.watch.rules import EVERYTHING, LEFTOVERS, Touched, folder_led_to, is_hidden, joined, state_of

# Opening and reading are left out: listing the tree would otherwise cause the events that make it be listed again.
_EVENTS = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
)
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES})
_LINKS_SHARE = 0.02  # of one core at most is spent on looking where links lead

OVERFLOW = (
    "more changes at once than the kernel keeps for a reader; if this happens often, raise it with"
    " sysctl fs.inotify.max_queued_events"
)
REMOVED = "the directory was removed and made again"


@dataclass(eq=False, slots=True)
class _Folder:
    """A folder under one of its names; what watchdog calls back."""

    tree: "FolderTree"
    name: str  # below the desired-state directory, as tasks are named
    path: str  # the real one
    parent: "_Folder | None"
    wd: WatchDescriptor | None = None  # None: not watched, or no longer
    below: dict[str, "_Folder"] = field(default_factory=dict)  # the watched ones
    links: dict[str, tuple[int, ...]] = field(default_factory=dict)  # and the state of what they led to

    def on_event(self, event: InotifyEvent) -> None:
        self.tree.happened(self, event)

    def on_watch_deleted(self, _wd: WatchDescriptor) -> None:
        self.tree.ended(self)

    def on_queue_overflow(self) -> None:
        self.tree.lost = OVERFLOW

    @property
    def own_name(self) -> str:
        return self.name.rpartition("/")[2]

    def up(self) -> "Iterator[_Folder]":
        folder: _Folder | None = self
        while folder is not None:
            yield folder
            folder = folder.parent


class FolderTree:
    """All folders below a directory, watched.

    Args:
        root: real path of the desired-state directory.
        tell: called from the reading thread and from `look`, and never after `stop` returned.

    Attributes:
        lost: why changes may have been missed, so that all must be watched anew; "" when none were.
        limit: why some folders are not watched; None when all are that may be read.

    Raises:
        OSError: there is no descriptor to be had.
    """

    def __init__(self, root: str, tell: Callable[[Touched], None]) -> None:
        self.lost = ""
        self.limit: OSError | None = None
        self._tell = tell
        self._lock = threading.Lock()  # guards the tree; nothing is told while it is held
        self._top = _Folder(self, "", root, None)
        self._linked: set[_Folder] = set()  # the folders that hold links
        self._next_look = 0.0
        self._descriptor = InotifyFD()
        self._descriptor.name = "watch"

    def start(self) -> None:
        """Watch every folder.

        Raises:
            OSError: the directory itself cannot be watched.
        """
        self._descriptor.start()
        with self._lock:
            self._grow(self._top)

    def stop(self) -> None:
        """Wait for the thread to end; to be called even when `start` failed."""
        self._descriptor.stop()
        self._descriptor.join()

    def is_alive(self) -> bool:
        """Whether the reading thread runs."""
        return self._descriptor.is_alive()

    def look(self) -> None:
        """Find out which links lead elsewhere now: the kernel tells nothing about what lies behind them."""
        began = time.monotonic()
        if not self._linked or began < self._next_look:
            return
        with self._lock:
            touched = [one for folder in tuple(self._linked) for one in self._led_elsewhere(folder)]
        ended = time.monotonic()
        self._next_look = ended + (ended - began) / _LINKS_SHARE
        self._tell_all(touched)

    def happened(self, folder: _Folder, event: InotifyEvent) -> None:
        """Take note of one event; watchdog's thread calls this."""
        with self._lock:
            touched = self._touched(folder, event) if folder.wd is not None else []
        self._tell_all(touched)

    def ended(self, folder: _Folder) -> None:
        """The kernel watches a folder no longer: it was removed, or its file system unmounted."""
        with self._lock:
            folder.wd = None
            if folder.parent is None:
                self.lost = REMOVED
            elif (name := folder.own_name) in folder.parent.links:
                folder.parent.links[name] = ()  # what a link led to: no event of the link's own folder tells of it

    def _tell_all(self, touched: list[Touched]) -> None:
        for one in touched:
            self._tell(one)

    # --- what an event means, the lock held ---------------------------------------------------------------------------

    def _touched(self, folder: _Folder, event: InotifyEvent) -> list[Touched]:
        name = os.fsdecode(event.name)
        if not name:  # about the folder itself, which the one above tells of; there is none above the root
            return [EVERYTHING] if folder.parent is None and event.is_attrib else []
        if is_hidden(name):
            return []
        if event.is_directory:
            return self._folder_changed(folder, name, event)
        return self._file_changed(folder, name, appeared=event.is_create or event.is_moved_to)

    def _file_changed(self, folder: _Folder, name: str, *, appeared: bool) -> list[Touched]:
        path = Path(folder.path, name)
        if name in folder.links or (appeared and path.is_symlink()):
            return self._link_changed(folder, name)
        if name.endswith(LEFTOVERS):
            return []
        if not appeared and _has_other_names(path):
            return [EVERYTHING]
        return [Touched(folder.name, deep=False)]

    def _folder_changed(self, folder: _Folder, name: str, event: InotifyEvent) -> list[Touched]:
        if not event.is_attrib:
            self._drop(folder, name)
        if name not in folder.below and not (event.is_delete or event.is_moved_from):
            self._grow(self._inner(folder, name))
        return _below_and_beside(folder, name)

    def _link_changed(self, folder: _Folder, name: str) -> list[Touched]:
        self._drop(folder, name)
        folder.links.pop(name, None)
        if Path(folder.path, name).is_symlink() and (inner := self._behind(folder, name)):
            self._grow(inner)
        return _below_and_beside(folder, name)

    def _led_elsewhere(self, folder: _Folder) -> Iterator[Touched]:
        for name, known in tuple(folder.links.items()):
            if folder.wd is not None and state_of(Path(folder.path, name)) != known:
                yield from self._link_changed(folder, name)

    # --- the tree, the lock held --------------------------------------------------------------------------------------

    def _grow(self, first: _Folder) -> None:
        """Watch a folder and all below it."""
        waiting = [first]
        while waiting:
            folder = waiting.pop()
            if self._watch(folder):
                waiting.extend(self._list(folder))

    def _watch(self, folder: _Folder) -> bool:
        try:
            folder.wd = self._subscribe(folder)
        except OSError as error:
            if folder.parent is None:
                raise
            if error.errno not in _NOT_THERE:  # those are told by the folder above when they can be watched
                self.limit = error
            return False
        if folder.parent is not None:
            folder.parent.below[folder.own_name] = folder
        return True

    def _subscribe(self, folder: _Folder) -> WatchDescriptor:
        wd = self._descriptor.add_callback(os.fsencode(folder.path), _EVENTS, folder, CallbackId(id(folder)))
        if wd == -1:  # watchdog's way to pass over a folder that may not be read; it keeps a callback for it
            self._descriptor.remove_callbacks([(wd, CallbackId(id(folder)))])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder.path)
        return wd

    def _list(self, folder: _Folder) -> list[_Folder]:
        """The folders in a folder; its links are remembered."""
        try:
            with os.scandir(folder.path) as scanned:
                entries = [entry for entry in scanned if not is_hidden(entry.name)]
        except OSError:  # gone or closed already: an event says so
            return []
        inner = (self._entered(folder, entry) for entry in entries)
        return [one for one in inner if one is not None]

    def _entered(self, folder: _Folder, entry: os.DirEntry[str]) -> _Folder | None:
        """The folder that an entry is or leads to, if that can be told."""
        try:
            if entry.is_dir(follow_symlinks=False):
                return self._inner(folder, entry.name)
            return self._behind(folder, entry.name) if entry.is_symlink() else None
        except OSError:
            return None

    def _inner(self, folder: _Folder, name: str) -> _Folder:
        return _Folder(self, joined(folder.name, name), f"{folder.path}/{name}", folder)

    def _behind(self, folder: _Folder, name: str) -> _Folder | None:
        """Remember a link; returns the folder that it is followed to."""
        link = Path(folder.path, name)
        folder.links[name] = state_of(link)
        self._linked.add(folder)
        real = folder_led_to(link, self._top.path, {one.path for one in folder.up()})
        return _Folder(self, joined(folder.name, name), real, folder) if real else None

    def _drop(self, folder: _Folder, name: str) -> None:
        """Watch a folder and all below it no longer, under this name."""
        gone = folder.below.pop(name, None)
        waiting = [gone] if gone else []
        callbacks = []
        while waiting:
            one = waiting.pop()
            waiting.extend(one.below.values())
            self._linked.discard(one)
            if one.wd is not None:
                callbacks.append((one.wd, CallbackId(id(one))))
                one.wd = None
        self._descriptor.remove_callbacks(callbacks)


def _below_and_beside(folder: _Folder, name: str) -> list[Touched]:
    """What came or went may hold tasks, or be in the place of a task's file."""
    return [Touched(joined(folder.name, name), deep=True), Touched(folder.name, deep=False)]


def _has_other_names(path: Path) -> bool:
    """Whether a file was perhaps changed under other names too: hard links, of which the kernel names only one."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 1
