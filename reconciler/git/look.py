"""A look at one commit: where its tasks are, and what is in their files.

The same as a look at a working tree of that commit, with two exceptions: a submodule is never entered, and a link that
leaves the repository is a problem whatever it leads to, because the commit does not tell.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter

import pygit2
from pygit2.enums import ObjectType

from reconciler.core.layout import (
    LEAVES,
    LOST,
    NO_FILE,
    Folder,
    UnreadableError,
    is_task_file,
    joined,
    raw_task,
    refuse_size,
)
from reconciler.errors import DesiredStateError
from reconciler.git.links import LeavesError, Links, Spot
from reconciler.git.listing import Items, Kind, Node, Parts, Seen, folder_of, grow, items_of, stamp_of
from reconciler.git.refusal import FAILURES, reason
from reconciler.git.repository import Repository
from reconciler.model import RawTask

_UNFOLLOWED = "a link that cannot be followed: {}"
_REFETCH = 'Run "git fsck" to see what else is damaged, and fetch the commit again.'


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder that a walk comes to."""

    task: str  # "" for the desired-state directory itself
    node: Node
    real: Parts
    above: frozenset[Parts]  # the folders it lies in


class Look:
    """Reads folders and files of one commit.

    Args:
        repository: holds the commit.
        commit: which one.
        before: the desired-state directory in a commit looked at before.

    Raises:
        DesiredStateError: one of its trees cannot be read, or it has no such directory.
    """

    def __init__(self, repository: Repository, commit: pygit2.Commit, before: Node | None) -> None:
        self._repository = repository
        self._links = Links(repository, commit.tree_id)
        self._root = self._find_root(str(commit.id))
        self.node = grow(repository, self._root.id, before)

    def _find_root(self, commit_id: str) -> Spot:
        """Where the desired state is: the directory itself may be a link."""
        wanted = self._repository.folder
        try:
            spot = self._links.follow(tuple(wanted.split("/")))
            if spot.kind is Kind.FOLDER:
                return spot
            found = f"a {spot.kind.value} of that name"
        except LeavesError:
            found = "a link that leaves the repository"
        except FileNotFoundError:
            found = "nothing of that name"
        except OSError as error:
            found = f"a way that ends before: {error.strerror}"
        raise DesiredStateError(
            f"{self._repository.shown}: the desired state cannot be read from commit {commit_id}: "
            f'expected "{wanted}" to be a directory with one folder a task, found {found}'
        )

    def tasks(self) -> tuple[dict[str, Seen], list[str]]:
        """All tasks by name, sorted; and the submodules passed by.

        Raises:
            DesiredStateError: a tree cannot be read.
        """
        tasks: dict[str, Seen] = {}
        modules: list[str] = []
        waiting = [_Place("", self.node, self._root.real, frozenset())]
        while waiting:
            place = waiting.pop()
            if place.node.is_plain:
                tasks.update(_below(place.task, place.node))
            elif place.real not in place.above:  # else a link led back up the tree
                modules.extend(joined(place.task, name) for name in place.node.modules)
                seen = self._seen(place)
                if seen:
                    tasks[place.task or "."] = seen
                waiting.extend(self._further(place, tasks))
        return dict(sorted(tasks.items(), key=itemgetter(0))), sorted(modules)

    def _seen(self, place: _Place) -> Seen | None:
        """The task that a folder is; its links have a say in it."""
        node = place.node
        if not node.links:
            return node.seen
        items = self._links.items(node.id)
        folder = self._folder(place.task, items, place.real)
        if not folder.files:
            return None
        linked = {file: self._outcome((*place.real, file)) for file in folder.files if file in node.links}
        return Seen(stamp_of(folder, items, linked), node.id, place.real)

    def _further(self, place: _Place, tasks: dict[str, Seen]) -> Iterator[_Place]:
        """Folders in a folder; links that may lead to one and cannot be followed are tasks that cannot be read."""
        above = place.above | {place.real}
        for name, node in place.node.folders.items():
            yield _Place(joined(place.task, name), node, (*place.real, name), above)
        for name in place.node.links:
            led = None if is_task_file(name) else self._led((*place.real, name))
            task = joined(place.task, name)
            if isinstance(led, Spot):
                yield _Place(task, self._node(led), led.real, above)
            elif led:
                tasks[task] = Seen(blake2b(led.encode(), digest_size=16).digest(), None, problem=led)

    def _led(self, link: Parts) -> Spot | str | None:
        """The folder that a link leads to, what keeps one from following it, or None when it leads to no folder."""
        try:
            spot = self._links.follow(link)
        except LeavesError:
            return LEAVES
        except FileNotFoundError:
            return None
        except OSError as error:
            return _UNFOLLOWED.format(error.strerror)
        if spot.kind is Kind.MODULE:
            return _UNFOLLOWED.format("it leads to a submodule")
        if spot.kind is Kind.FOLDER:
            return spot if self._is_inside(spot) else LEAVES
        return None

    def _outcome(self, link: Parts) -> tuple[object, ...]:
        """What a link that should be a file comes down to, as far as it matters to what is read."""
        try:
            spot = self._links.follow(link)
        except (LeavesError, OSError) as error:
            return (repr(error),)
        return (spot.kind.value, spot.id.raw, self._is_inside(spot))

    def _is_inside(self, spot: Spot) -> bool:
        return spot.real[: len(self._root.real)] == self._root.real

    def _node(self, spot: Spot) -> Node:
        node: Node | None = self.node
        for part in spot.real[len(self._root.real) :]:
            node = node.folders.get(part) if node else None
        return node or grow(self._repository, spot.id)

    def _folder(self, task: str, items: Items, real: Parts) -> Folder:
        return folder_of(task, items, lambda link: self._led((*real, link)) is not None)

    def read(self, name: str, seen: Seen) -> RawTask:
        """Read one task.

        Args:
            name: of the task.
            seen: what `tasks` says of it.

        Raises:
            DesiredStateError: its tree cannot be read any more.
        """
        task = "" if name == "." else name
        items = items_of(self._repository, seen.tree) if seen.tree else {}
        folder = self._folder(task, items, seen.real) if seen.tree else Folder(task, seen.problem)
        return raw_task(folder, lambda file: self._content(items, seen.real, file))

    def _content(self, items: Items, real: Parts, file: str) -> bytes:
        kind, found = items[file]
        if kind is Kind.LINK:
            kind, found = self._linked((*real, file))
        if kind is not Kind.FILE:
            raise UnreadableError("a regular file", NO_FILE if kind is Kind.FOLDER else "a submodule")
        try:
            return _blob(self._repository.opened, found)
        except FAILURES as error:
            raise UnreadableError("a readable file", f"object {found}: {reason(error)}", _REFETCH) from error

    def _linked(self, link: Parts) -> tuple[Kind, pygit2.Oid]:
        """What a file that is a link leads to."""
        try:
            spot = self._links.follow(link)
            if self._is_inside(spot):
                return spot.kind, spot.id
        except LeavesError:
            pass
        except OSError as error:
            if error.errno == errno.EIO:
                raise UnreadableError("a readable file", str(error.strerror), _REFETCH) from error
        raise UnreadableError("a file inside the desired-state directory", LOST)


def _below(task: str, node: Node) -> Iterator[tuple[str, Seen]]:
    """The tasks at and below a folder without links; this is the way through nearly every tree."""
    waiting = [(task, node)]
    while waiting:
        task, node = waiting.pop()
        if node.seen:
            yield task or ".", node.seen
        if node.folders:
            start = f"{task}/" if task else ""
            waiting.extend((start + name, below) for name, below in node.folders.items())


def _blob(opened: pygit2.Repository, blob: pygit2.Oid) -> bytes:
    kind, size_bytes = opened.odb.read_header(blob)
    if kind != ObjectType.BLOB:
        raise ValueError("it is no file")
    refuse_size(size_bytes)
    return opened[blob].peel(pygit2.Blob).data
