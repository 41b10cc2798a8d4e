"""Follows symbolic links within the tree of a commit, as a file system would follow them in a working tree.

Where a link goes that leaves the repository is not known from the commit: nobody looks at the disk for it.
"""

import errno
import os
from dataclasses import dataclass

import pygit2

from reconciler.git.listing import Items, Kind, Parts, items_of
from reconciler.git.refusal import FAILURES
from reconciler.git.repository import Repository

_MAX_LINKS = 40  # on one way, and
_MAX_BYTES = 4095  # in one link: the limits of Linux


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a way ends."""

    kind: Kind
    id: pygit2.Oid
    real: Parts


class LeavesError(Exception):
    """A link leads out of the repository."""


class Links:
    """The ways through one commit's tree.

    Args:
        repository: holds the objects.
        tree: id of the commit's tree.
    """

    def __init__(self, repository: Repository, tree: pygit2.Oid) -> None:
        self._repository = repository
        self._top = (Kind.FOLDER, tree)
        self._listed: dict[pygit2.Oid, Items] = {}

    def items(self, tree: pygit2.Oid) -> Items:
        """What a tree holds, listed once.

        Raises:
            DesiredStateError: it cannot be read.
        """
        if tree not in self._listed:
            self._listed[tree] = items_of(self._repository, tree)
        return self._listed[tree]

    def follow(self, path: Parts) -> Spot:
        """Where a path from the root of the tree leads.

        Raises:
            LeavesError: a link on the way leads out of the repository.
            FileNotFoundError: it leads nowhere.
            OSError: likewise for another reason; `strerror` says which, in the words of a file system.
            DesiredStateError: a tree on the way cannot be read.
        """
        waiting = list(reversed(path))
        names: list[str] = []
        found = [self._top]
        links = 0
        while waiting:
            part = waiting.pop()
            kind, here = found[-1]
            _check_folder(kind)
            if part == "..":
                if not names:
                    raise LeavesError
                names.pop()
                found.pop()
            elif part not in ("", "."):
                kind, item = self._step(here, part)
                if kind is Kind.LINK:
                    links += 1
                    waiting.extend(reversed(self._target(item, links)))
                else:
                    names.append(part)
                    found.append((kind, item))
        return Spot(*found[-1], tuple(names))

    def _step(self, tree: pygit2.Oid, part: str) -> tuple[Kind, pygit2.Oid]:
        items = self.items(tree)
        if part not in items:
            raise _os_error(errno.ENOENT)
        return items[part]

    def _target(self, link: pygit2.Oid, links: int) -> list[str]:
        """Parts of the path that a link holds; it is number *links* on the way."""
        if links > _MAX_LINKS:
            raise _os_error(errno.ELOOP)
        try:
            data = self._repository.opened[link].peel(pygit2.Blob).data
        except FAILURES as error:
            raise OSError(errno.EIO, f"object {link} cannot be read") from error
        if len(data) > _MAX_BYTES:
            raise _os_error(errno.ENAMETOOLONG)
        if data.startswith(b"/"):
            raise LeavesError
        return data.decode("utf-8", "surrogateescape").split("/")


def _check_folder(kind: Kind) -> None:
    if kind is Kind.MODULE:
        raise OSError(errno.ENOTDIR, "it leads into a submodule")
    if kind is not Kind.FOLDER:
        raise _os_error(errno.ENOTDIR)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
