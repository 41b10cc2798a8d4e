"""Where a task's directory was before one commit moved it.

A directory whose files came unchanged is found by their ids, however many were moved at once. Only when that says
nothing, files that changed on the way are compared by likeness, as `git log --follow` does: that reads them all.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

import pygit2
from pygit2.enums import DeltaStatus, DiffFind

from reconciler.core.layout import joined
from reconciler.git.history import MissingError, Version
from reconciler.git.refusal import FAILURES

_MOST_ALIKE = 1000
"""Files of one commit that are compared by likeness: the time grows with the square of it."""

_MOST_PLACES = 20
"""A file that lay in more places than that, `{}` for instance, does not tell where its neighbours were."""


class Renames:
    """What one commit moved, as seen from one of its parents.

    Args:
        parent: the version before.
        here: the version after.

    Raises:
        MissingError: what differs cannot be told.
    """

    def __init__(self, parent: Version, here: Version) -> None:
        try:
            self._diff = parent.top.diff_to_tree(here.top)
            deltas = tuple(self._diff.deltas)
        except FAILURES as error:
            raise MissingError(here.id) from error
        self._come: dict[str, list[tuple[str, pygit2.Oid]]] = defaultdict(list)  # {folder: its new files}
        self._gone: dict[tuple[str, pygit2.Oid], set[str]] = defaultdict(set)  # {file: folders it is gone from}
        for delta in deltas:
            if delta.status == DeltaStatus.ADDED:
                folder, _, name = delta.new_file.path.rpartition("/")
                self._come[folder].append((name, delta.new_file.id))
            elif delta.status == DeltaStatus.DELETED:
                folder, _, name = delta.old_file.path.rpartition("/")
                self._gone[name, delta.old_file.id].add(folder)

    def source(self, path: str) -> str | None:
        """Path that a new file had before the commit; None when it had none."""
        folder, _, name = path.rpartition("/")
        moved = self._moved(folder)
        return self._alike.get(path) if moved is None else joined(moved, name)

    def _moved(self, folder: str) -> str | None:
        """The folder in which at least half of a folder's new files lay before."""
        files = self._come.get(folder, [])
        places = [self._gone[file] for file in files if file in self._gone]
        telling = {place for some in places if len(some) <= _MOST_PLACES for place in some}
        score, found = max(((sum(place in some for some in places), place) for place in telling), default=(0, ""))
        return found if score and 2 * score >= len(files) else None

    @cached_property
    def _alike(self) -> Mapping[str, str]:
        """`{new path: old path}` of files that kept their name and about half of their lines."""
        if sum(map(len, self._come.values())) + len(self._gone) > _MOST_ALIKE:
            return {}
        try:
            self._diff.find_similar(DiffFind.FIND_RENAMES)
        except FAILURES as error:
            raise MissingError(str(error)) from error
        pairs = [(d.new_file.path, d.old_file.path) for d in self._diff.deltas if d.status == DeltaStatus.RENAMED]
        return {new: old for new, old in pairs if new.rpartition("/")[2] == old.rpartition("/")[2]}
