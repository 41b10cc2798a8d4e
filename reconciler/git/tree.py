"""One commit's tree as a source of tasks, by the rules by which a directory is one.

Everything is listed when the commit is taken up, so a damaged tree is found before anything is done. Files are read
when somebody asks for them, as they are stored: nothing filters them, no line ending is changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.git.listing import Seen
from reconciler.git.look import Look
from reconciler.git.repository import Repository
from reconciler.model import RawTask


@dataclass(slots=True)
class CommitEntry:
    """A task as a commit has it; implements `ports.Entry`."""

    name: str
    stamp: bytes | None
    _seen: Seen
    _look: Look

    def read(self) -> RawTask:
        """Read the files; one that cannot be read takes the stamp away, because a repository can be repaired.

        Raises:
            DesiredStateError: the folder cannot be listed any more.
        """
        raw = self._look.read(self.name, self._seen)
        if any(violation.rule == "unreadable" for violation in raw.violations):
            self.stamp = None
        return raw


class CommitTree:
    """What one commit says should be true; implements `ports.Source`, and never changes.

    Args:
        repository: holds the commit.
        commit_id: which one.
        shown: path shown in front of file names in messages; None: the directory as the user wrote it.
        before: a commit looked at before: what is the same in this one is not looked at again.

    Raises:
        DesiredStateError: the commit or one of its trees cannot be read, or it has no such directory.
    """

    def __init__(
        self,
        repository: Repository,
        commit_id: str,
        shown: str | None = None,
        before: "CommitTree | None" = None,
    ) -> None:
        commit = repository.lookup(commit_id)
        self.root = repository.shown if shown is None else shown
        self.revision = str(commit.id)
        self.look: Look = Look(repository, commit, before.look.node if before else None)
        self.seen, modules = self.look.tasks()  # {name: what is known of the task without reading it}, sorted
        self.remarks = tuple(
            f"{self.root}/{name} is a submodule: its files are in another repository, so no task in it is seen"
            for name in modules
        )

    def entries(self, below: str = "") -> Iterator[CommitEntry]:
        """List tasks without reading them, sorted by name.

        Args:
            below: name of a folder; only it and what lies in it is listed. All when empty.
        """
        inside = f"{below}/"
        return (
            self._entry(name, seen)
            for name, seen in self.seen.items()
            if below in ("", ".", name) or name.startswith(inside)
        )

    def entry(self, name: str) -> CommitEntry | None:
        """Look for one task; None when there is no such task in this commit."""
        seen = self.seen.get(name)
        return self._entry(name, seen) if seen else None

    def names(self) -> Sequence[str]:
        """Names of all tasks, sorted."""
        return list(self.seen)

    def tasks(self) -> Iterator[RawTask]:
        """Read tasks one by one, sorted by name.

        Raises:
            DesiredStateError: a folder cannot be listed any more.
        """
        return (entry.read() for entry in self.entries())

    def differences(self, other: "CommitTree") -> frozenset[str]:
        """Names of the tasks whose files differ from those in another commit, or that only one of the two has.

        The mode of a file is no difference, nor is another way for a link to the same file.
        """
        changed = {name for name, seen in self.seen.items() if not _is_same(seen, other.seen.get(name))}
        return frozenset(changed | (other.seen.keys() - self.seen.keys()))

    def _entry(self, name: str, seen: Seen) -> CommitEntry:
        return CommitEntry(name, seen.stamp, seen, self.look)


def _is_same(one: Seen, other: Seen | None) -> bool:
    return one is other or (other is not None and one.stamp == other.stamp)
