"""Reads the desired state from a directory: one task for every folder that holds one of the six files.

Files arrive as bytes; what is in them is `core.validation`'s to judge. A file that cannot be read is a violation of its
task and never an absence.
"""

import difflib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.core.decode import MAX_BYTES
from reconciler.errors import DesiredStateError
from reconciler.model import TASK_FILES, RawTask, Severity, Violation

_LEFTOVERS = ("~", ".tmp", ".swp")


@dataclass(slots=True)
class _Folder:
    """One folder of the tree, its entries by name."""

    path: Path
    task: str
    above: frozenset[tuple[int, int]] = frozenset()  # (device, inode) of the folders it lies in
    entries: dict[str, os.DirEntry[str]] = field(default_factory=dict)
    problem: str = ""

    @property
    def name(self) -> str:
        """Of the task; "." for the desired-state directory itself."""
        return self.task or "."

    @property
    def is_task(self) -> bool:
        return bool(self.problem) or any(name in self.entries for name in TASK_FILES)


class DirectorySource:
    """The working tree as it is.

    Args:
        path: the desired-state directory; it may itself be a link.
    """

    def __init__(self, path: Path) -> None:
        self.root = str(path)
        self._path = path

    def names(self) -> Sequence[str]:
        """Names of all tasks, sorted.

        Raises:
            DesiredStateError: the directory cannot be read.
        """
        return sorted(folder.name for folder in self._folders())

    def tasks(self) -> Iterator[RawTask]:
        """Read tasks one by one, sorted by name.

        Raises:
            DesiredStateError: the directory cannot be read.
        """
        root = self._real_root()
        folders = sorted(self._folders(), key=lambda folder: folder.name)
        return (_read(folder, root) for folder in folders)

    def _real_root(self) -> Path:
        try:
            return self._path.resolve(strict=True)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> DesiredStateError:
        return DesiredStateError(
            f"{self.root}: the desired state cannot be read: {error.strerror};"
            " expected a directory with one folder a task"
        )

    def _folders(self) -> Iterator[_Folder]:
        root = self._real_root()
        waiting = [_Folder(root, "")]
        while waiting:
            folder = waiting.pop()
            try:
                waiting.extend(_list(folder, root))
            except OSError as error:
                if folder.path == root:
                    raise self._unreadable(error) from error
                folder.problem = f"a folder that cannot be read: {error.strerror}"
            if folder.is_task:
                yield folder


def _list(folder: _Folder, root: Path) -> list[_Folder]:
    """Fill in the entries of a folder; returns the folders below it."""
    if folder.problem:
        return []
    status = folder.path.stat()
    here = (status.st_dev, status.st_ino)
    if here in folder.above:  # a link back up the tree
        return []
    below = []
    with os.scandir(folder.path) as entries:
        for entry in entries:
            name = f"{folder.task}/{entry.name}".removeprefix("/")
            inner = _Folder(Path(entry.path), name, folder.above | {here})
            if entry.name in TASK_FILES or not _is_folder(entry, inner):
                folder.entries[entry.name] = entry
            elif not entry.name.startswith("."):
                if entry.is_symlink() and not inner.problem and not _is_inside(inner.path, root):
                    inner.problem = "a link that leaves the desired-state directory"
                below.append(inner)
    return below


def _is_folder(entry: os.DirEntry[str], inner: _Folder) -> bool:
    """Whether an entry is a folder, or a link of which that cannot be told: then it has a problem."""
    try:
        return entry.is_dir()
    except OSError as error:
        inner.problem = f"a link that cannot be followed: {error.strerror}"
        return True


def _read(folder: _Folder, root: Path) -> RawTask:
    name = folder.name
    violations = list(_oddities(folder, name))
    files: dict[str, bytes] = {}
    for file in TASK_FILES:
        entry = folder.entries.get(file)
        if entry is None:
            continue
        try:
            files[file] = _content(Path(entry.path), root)
        except _UnreadableError as error:
            violations.append(_violation(name, file, "unreadable", error.expected, error.found))
    return RawTask(name, files, tuple(violations))


class _UnreadableError(Exception):
    def __init__(self, expected: str, found: str) -> None:
        super().__init__(found)
        self.expected = expected
        self.found = found


def _content(path: Path, root: Path) -> bytes:
    """Bytes of one file; opened so that a pipe or device cannot hold the program up."""
    try:
        if path.is_symlink() and not _is_inside(path, root):
            found = "a link that leaves it, or leads nowhere"
            raise _UnreadableError("a file inside the desired-state directory", found)
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _regular_content(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise _UnreadableError(
            "a readable file", f"{error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"
        ) from error


def _regular_content(handle: int) -> bytes:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise _UnreadableError("a regular file", "a folder, pipe or device")
    with os.fdopen(handle, "rb", closefd=False) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _UnreadableError(f"at most {MAX_BYTES} bytes", f"{max(status.st_size, len(data))} bytes")
    return data


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        return False


def _oddities(folder: _Folder, name: str) -> Iterator[Violation]:
    """Trouble with the folder itself, and names that look like a slip of the pen."""
    if folder.problem:
        yield _violation(name, "", "unreadable", "a readable folder inside the desired-state directory", folder.problem)
    if not folder.task and folder.is_task:
        yield _violation(name, "", "root-task", "one folder a task", "task files in the desired-state directory itself")
    if not _is_text(folder.task):
        yield _violation(name, "", "folder-name", "a folder name in UTF-8", ascii(folder.task))
    for entry in sorted(folder.entries):
        if entry not in TASK_FILES and not entry.startswith(".") and not entry.endswith(_LEFTOVERS):
            meant = _meant(entry)
            if meant:
                slip = _violation(name, entry, "file-name", meant, f'a file "{entry}", which is ignored')
                yield replace(slip, severity=Severity.WARNING, suggestion="Rename it if it is meant.")


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _meant(entry: str) -> str:
    close = difflib.get_close_matches(entry.lower(), TASK_FILES, n=1, cutoff=0.8)
    return close[0] if close else ""


def _violation(task: str, file: str, rule: str, expected: str, found: str) -> Violation:
    path = f"{task}/{file}".rstrip("/")
    return Violation(task, path, None, "", rule, Severity.ERROR, expected, found)
