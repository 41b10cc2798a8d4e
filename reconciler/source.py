"""Reads the desired state from a directory: one task for every folder that holds one of the six files.

Files arrive as bytes; what is in them is `core.validation`'s to judge. A file that cannot be read is a violation of its
task and never an absence.

A task's stamp says whether it is worth reading: equal stamps, equal content. It is a digest of what `stat` says of the
files, taken before they are read, so that what changes in between is seen the next time. A file written within one
tick of its file system's clock keeps its times, so there is no stamp for what changed in the last two seconds (git
calls that "racily clean"), nor for a time in the future, which is what a file server with a fast clock writes.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from reconciler.core.decode import MAX_BYTES
from reconciler.core.layout import (
    LEAVES,
    LOST,
    NO_FILE,
    Folder,
    UnreadableError,
    is_hidden,
    is_leftover,
    is_task_file,
    joined,
    ordered,
    raw_task,
    refuse_size,
)
from reconciler.errors import DesiredStateError
from reconciler.model import RawTask

_RACY_NS = 2_000_000_000  # the coarsest clock of a file system in use: FAT's
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe or device must not hold the program up


@dataclass(slots=True)
class _Folder(Folder):
    """One folder on the disk."""

    path: str = ""
    above: frozenset[tuple[int, int]] = frozenset()  # (device, inode) of the folders it lies in
    stamp: bytes | None = None


@dataclass(slots=True)
class FolderEntry:
    """A task's folder as it was listed; implements `ports.Entry`."""

    name: str
    stamp: bytes | None
    _folder: _Folder
    _root: str  # real path of the desired-state directory

    def read(self) -> RawTask:
        """Read the files.

        A file that cannot be read takes the stamp away: nobody can tell from outside when it can be read again.
        """
        raw = raw_task(self._folder, lambda file: _content(f"{self._folder.path}/{file}", self._root))
        if len(raw.files) < len(self._folder.files):
            self.stamp = None
        return raw


class DirectorySource:
    """The working tree as it is; implements `ports.Source`.

    Args:
        path: the desired-state directory; it may itself be a link.
        now_ns: the wall clock that the times of files are held against, nanoseconds since 1970.
    """

    def __init__(self, path: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.root = str(path)
        self.revision = ""
        self.remarks: tuple[str, ...] = ()
        self._now_ns = now_ns

    def entries(self, below: str = "") -> Iterator[FolderEntry]:
        """List tasks without reading them, sorted by name. The whole tree is listed before the first is handed out.

        Args:
            below: name of a folder; only it and what lies in it is listed. All when empty.

        Raises:
            DesiredStateError: the directory cannot be read.
        """
        tree = self._tree(self._now_ns())
        return (FolderEntry(folder.name, folder.stamp, folder, tree.root) for folder in tree.tasks(below))

    def entry(self, name: str) -> FolderEntry | None:
        """Look for one task without listing any other folder; None when there is no such task now.

        Args:
            name: as `names` gives it; any other text names no task.

        Raises:
            DesiredStateError: the directory cannot be read.
        """
        tree = self._tree(self._now_ns())
        folder = tree.find(name) if name else None
        if folder is None:
            return None
        tree.look(folder)
        return FolderEntry(folder.name, folder.stamp, folder, tree.root) if folder.is_task else None

    def names(self) -> Sequence[str]:
        """Names of all tasks, sorted.

        Raises:
            DesiredStateError: the directory cannot be read.
        """
        return [folder.name for folder in self._tree(None).tasks()]

    def tasks(self) -> Iterator[RawTask]:
        """Read tasks one by one, sorted by name.

        Raises:
            DesiredStateError: the directory cannot be read.
        """
        tree = self._tree(None)
        return (FolderEntry(folder.name, None, folder, tree.root).read() for folder in tree.tasks())

    def _tree(self, now_ns: int | None) -> "_Tree":
        try:
            return _Tree(os.path.realpath(self.root, strict=True), self.root, now_ns)
        except OSError as error:
            raise _unreadable(self.root, error) from error


@dataclass(frozen=True, slots=True)
class _Tree:
    """One look at the directory."""

    root: str  # real path
    shown: str  # the same as the user wrote it
    now_ns: int | None  # when the look began; None: no stamps are wanted

    def tasks(self, below: str = "") -> list[_Folder]:
        """Folders that are tasks, sorted by name."""
        start = self.find(below)
        waiting = [] if start is None else [start]
        found = []
        while waiting:
            folder = waiting.pop()
            waiting.extend(self.look(folder))
            if folder.is_task:
                found.append(folder)
        return sorted(found, key=lambda folder: folder.name)

    def find(self, name: str) -> _Folder | None:
        """The folder of that name if a walk comes to it, not yet listed; "" and "." are the root."""
        folder: _Folder | None = _Folder("", path=self.root)
        for part in () if name in ("", ".") else name.split("/"):
            folder = self._step(folder, part) if folder else None
        return folder

    def look(self, folder: _Folder) -> list[_Folder]:
        """Fill in what lies in a folder; returns the folders below it.

        Raises:
            DesiredStateError: it is the root and cannot be listed.
        """
        below: list[_Folder] = []
        held: dict[str, os.DirEntry[str]] = {}
        try:
            if not folder.problem:
                held, below = self._scan(folder)
        except OSError as error:
            if not folder.task:
                raise _unreadable(self.shown, error) from error
            folder.problem = f"a folder that cannot be read: {error.strerror}"
        folder.files = ordered(held)
        if folder.is_task and self.now_ns is not None:
            folder.stamp = self._stamp(folder, held, self.now_ns)
        return below

    def _scan(self, folder: _Folder) -> tuple[dict[str, os.DirEntry[str]], list[_Folder]]:
        """Task files and folders in a folder; its other files are noted in it."""
        held: dict[str, os.DirEntry[str]] = {}
        below: list[_Folder] = []
        others: list[str] = []
        above = _down_to(folder)
        if above is None:
            return held, below
        with os.scandir(folder.path) as entries:
            for entry in entries:
                name = entry.name
                if is_task_file(name):
                    held[name] = entry
                elif is_hidden(name):
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    below.append(_Folder(joined(folder.task, name), path=entry.path, above=above))
                elif entry.is_symlink() and (linked := self._linked(folder, name, above)):
                    below.append(linked)
                elif not is_leftover(name):
                    others.append(name)
        folder.others = tuple(sorted(others))
        return held, below

    def _linked(self, folder: _Folder, name: str, above: frozenset[tuple[int, int]]) -> _Folder | None:
        """What a link leads to when that is a folder, or when it cannot be told: then it has a problem."""
        path, problem = f"{folder.path}/{name}", ""
        try:
            if not stat.S_ISDIR(_followed(path).st_mode):
                return None
            if not _is_inside(path, self.root):
                problem = LEAVES
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = f"a link that cannot be followed: {error.strerror}"
        return _Folder(joined(folder.task, name), problem, path=path, above=above)

    def _step(self, folder: _Folder, part: str) -> _Folder | None:
        """The folder *part* of a folder, if a walk would come to it; by the rules of `_scan`."""
        above = self._passable(folder)
        if above is None or not part or is_hidden(part) or is_task_file(part):
            return None
        path, task = f"{folder.path}/{part}", joined(folder.task, part)
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, ValueError):  # ValueError: a name that no file can have
            return None
        except OSError:  # a folder that may be listed and not entered, for instance: its listing knows
            return next((inner for inner in self.look(folder) if inner.task == task), None)
        if stat.S_ISLNK(mode):
            return self._linked(folder, part, above)
        return _Folder(task, path=path, above=above) if stat.S_ISDIR(mode) else None

    def _passable(self, folder: _Folder) -> frozenset[tuple[int, int]] | None:
        """What lies above the folders in this one; None when a walk comes no further."""
        if folder.problem:
            return None
        try:
            os.scandir(folder.path).close()
            return _down_to(folder)
        except OSError as error:
            if not folder.task:
                raise _unreadable(self.shown, error) from error
            return None

    def _stamp(self, folder: _Folder, held: Mapping[str, os.DirEntry[str]], now_ns: int) -> bytes | None:
        told: list[object] = [folder.problem, folder.others]
        try:
            for file in folder.files:
                link = held[file].stat(follow_symlinks=False)
                status = link
                if stat.S_ISLNK(link.st_mode):
                    path = held[file].path
                    status = _followed(path)
                    told += [_identity(link), _is_inside(path, self.root)]
                if max(link.st_mtime_ns, link.st_ctime_ns, status.st_mtime_ns, status.st_ctime_ns) >= now_ns - _RACY_NS:
                    return None
                told += [file, _identity(status)]
        except OSError:
            return None
        return blake2b(repr(told).encode(), digest_size=16).digest()


def _unreadable(root: str, error: OSError) -> DesiredStateError:
    return DesiredStateError(
        f"{root}: the desired state cannot be read: {error.strerror}; expected a directory with one folder a task"
    )


def _down_to(folder: _Folder) -> frozenset[tuple[int, int]] | None:
    """Folders above those in this one; None when it is one of those above itself: a link led back up the tree."""
    status = _followed(folder.path)
    here = (status.st_dev, status.st_ino)
    return None if here in folder.above else folder.above | {here}


def _followed(path: str) -> os.stat_result:
    return os.stat(path)  # noqa: PTH116 - a Path object for each folder and file makes the whole walk slower by half


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _content(path: str, root: str) -> bytes:
    """Bytes of one file."""
    try:
        handle = _opened(path, root)
        try:
            return _regular_content(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise UnreadableError(
            "a readable file", f"{error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"
        ) from error


def _opened(path: str, root: str) -> int:
    try:
        return os.open(path, _FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:  # which says that it is a link
            raise
    if not _is_inside(path, root):
        raise UnreadableError("a file inside the desired-state directory", LOST)
    return os.open(path, _FLAGS)


def _regular_content(handle: int) -> bytes:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("a regular file", NO_FILE)
    data = b""
    while len(data) <= MAX_BYTES and (piece := os.read(handle, min(status.st_size, MAX_BYTES) + 1)):
        data += piece
    if len(data) > MAX_BYTES:
        refuse_size(max(status.st_size, len(data)))
    return data


def _is_inside(path: str, root: str) -> bool:
    try:
        real = os.path.realpath(path, strict=True)
    except OSError:
        return False
    return real == root or real.startswith(f"{root.rstrip('/')}/")
