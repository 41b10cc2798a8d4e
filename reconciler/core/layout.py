"""What a folder of the desired state means: what makes it a task, what is ignored, what looks like a slip of the pen.

The rules are the same for a directory and for the tree of a commit; those differ only in how they list a folder and
read a file. Whatever cannot be read is a violation of its task and never an absence.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.core.decode import MAX_BYTES
from reconciler.model import TASK_FILES, RawTask, Severity, Violation

LEAVES = "a link that leaves the desired-state directory"
LOST = "a link that leaves it, or leads nowhere"
NO_FILE = "a folder, pipe or device"

_SIX = frozenset(TASK_FILES)
_LEFTOVERS = ("~", ".tmp", ".swp")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class UnreadableError(Exception):
    """A task's file cannot be read.

    Args:
        expected: as in a violation.
        found: likewise.
        suggestion: likewise.
    """

    def __init__(self, expected: str, found: str, suggestion: str = "") -> None:
        super().__init__(found)
        self.expected = expected
        self.found = found
        self.suggestion = suggestion


@dataclass(slots=True)
class Folder:
    """One folder of the tree."""

    task: str  # "" for the desired-state directory itself
    problem: str = ""  # what keeps it from being listed
    files: tuple[str, ...] = ()  # which of the six it holds
    others: tuple[str, ...] = ()  # other files, sorted, that may be a slip of the pen

    @property
    def name(self) -> str:
        """Of the task; "." for the desired-state directory itself."""
        return self.task or "."

    @property
    def is_task(self) -> bool:
        """Whether it is one, or may be one that cannot be listed."""
        return bool(self.problem or self.files)


def is_task_file(name: str) -> bool:
    """Whether it is one of the six names that make a folder a task, whatever has that name."""
    return name in _SIX


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of our business."""
    return name.startswith(".")


def is_leftover(name: str) -> bool:
    """Whether it is what an editor or a copy that was interrupted leaves behind."""
    return name.endswith(_LEFTOVERS)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """The task files among the names of a folder, in the order in which they are read."""
    held = _SIX.intersection(names)
    return tuple(file for file in TASK_FILES if file in held)


def joined(task: str, name: str) -> str:
    """Name of a folder in the folder of a task; "" is the desired-state directory itself."""
    return f"{task}/{name}" if task else name


def refuse_size(size_bytes: int) -> None:
    """Refuse a file that is too large to be read.

    Raises:
        UnreadableError: it is.
    """
    if size_bytes > MAX_BYTES:
        raise UnreadableError(f"at most {MAX_BYTES} bytes", f"{size_bytes} bytes")


def raw_task(folder: Folder, content: Callable[[str], bytes]) -> RawTask:
    """Read a task.

    Args:
        folder: its folder.
        content: gives the bytes of one of the folder's files, or raises UnreadableError.

    Returns:
        The task; it lacks the files that could not be read, each of which is a violation.
    """
    violations = list(_oddities(folder))
    files: dict[str, bytes] = {}
    for file in folder.files:
        try:
            files[file] = _checked(content(file))
        except UnreadableError as error:
            found = _violation(folder.name, file, "unreadable", error.expected, error.found)
            violations.append(replace(found, suggestion=error.suggestion))
    return RawTask(folder.name, files, tuple(violations))


def _checked(data: bytes) -> bytes:
    if data.startswith(_LFS_POINTER):
        advice = "Keep the files of tasks out of Git LFS (git lfs untrack), or fetch what it holds (git lfs pull)."
        raise UnreadableError("JSON", "a Git LFS pointer", advice)
    return data


def _oddities(folder: Folder) -> Iterator[Violation]:
    """Trouble with the folder itself, and names that look like a slip of the pen."""
    name = folder.name
    if folder.problem:
        yield _violation(name, "", "unreadable", "a readable folder inside the desired-state directory", folder.problem)
    if not folder.task and folder.is_task:
        yield _violation(name, "", "root-task", "one folder a task", "task files in the desired-state directory itself")
    if not _is_text(folder.task):
        yield _violation(name, "", "folder-name", "a folder name in UTF-8", ascii(folder.task))
    for entry in folder.others:
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
