"""One commit's folders and files, and what a value of a file was in it; as far as its objects are here.

A history may end early: a shallow clone has no older commits, a partial one no older files, a damaged one has holes.
Whoever asks for what is not here gets a `MissingError`, which never leaves this package.
"""

import sys
from enum import Enum
from typing import Any

import pygit2
from pygit2.enums import FileMode

from reconciler import resources
from reconciler.core import canonical
from reconciler.core.decode import decode
from reconciler.core.pointer import Tokens
from reconciler.git.refusal import FAILURES
from reconciler.model import SECTIONS, Json, JsonObject

_END_OF_HEADER = b"\n\n"
_NOTHING: dict[str, JsonObject] = {section: {} for section in SECTIONS}


class MissingError(Exception):
    """An object is not in this repository, or is damaged."""


class State(Enum):
    """What stands in the place of a value, or of a file's content, where there is none."""

    ABSENT = "absent"
    BROKEN = "broken"  # the file is not one JSON object: what it would say is not known
    MISSING = "missing"  # the file is not in this repository


class Version:
    """The files of one commit; each of its folders is read at most once.

    A commit that cannot be read is a version as well: whatever it is asked raises `MissingError`.

    Args:
        opened: the repository.
        commit_id: of the commit.
    """

    def __init__(self, opened: pygit2.Repository, commit_id: str) -> None:
        self.id = commit_id
        self.time = 0  # when it was committed, unix seconds
        self.parents: tuple[str, ...] = ()
        self.is_cut = False  # it has parents, and the repository is shallow: they are hidden
        self._opened = opened
        self._top: pygit2.Tree | None = None
        self._trees: dict[str, pygit2.Tree | None] = {}
        try:
            commit = opened[commit_id].peel(pygit2.Commit)
            self._top = commit.tree
        except FAILURES:
            return
        self.time = commit.commit_time
        self.parents = tuple(map(str, commit.parent_ids))
        self.is_cut = not self.parents and b"\nparent " in commit.read_raw().partition(_END_OF_HEADER)[0]

    @property
    def is_readable(self) -> bool:
        """Whether the commit and its top folder are here."""
        return self._top is not None

    @property
    def top(self) -> pygit2.Tree:
        """The folder that holds all the others.

        Raises:
            MissingError: the commit cannot be read.
        """
        if self._top is None:
            raise MissingError(self.id)
        return self._top

    def tree(self, path: str) -> pygit2.Tree | None:
        """A folder, "" for the top one; None when there is none of that name.

        Raises:
            MissingError: that cannot be told.
        """
        if path not in self._trees:
            self._trees[path] = self._read_tree(path) if path else self.top
        return self._trees[path]

    def _read_tree(self, path: str) -> pygit2.Tree | None:
        entry = self.entry(path)
        if not isinstance(entry, pygit2.Tree):
            return None
        found = self._read(entry.id)
        return found if isinstance(found, pygit2.Tree) else None

    def _read(self, object_id: pygit2.Oid) -> pygit2.Object:
        try:
            return self._opened[object_id]
        except FAILURES as error:
            raise MissingError(str(object_id)) from error

    def entry(self, path: str) -> pygit2.Object | None:
        """What a folder's entry is, not yet read: a file, a folder, a submodule; None when there is none.

        Raises:
            MissingError: that cannot be told.
        """
        folder, _, name = path.rpartition("/")
        return entry_of(self.tree(folder), name)

    def id_of(self, path: str) -> pygit2.Oid | None:
        """Id of a file or folder, equal for equal content; None when there is none.

        Raises:
            MissingError: that cannot be told.
        """
        entry = self.entry(path) if path else self.top
        return entry.id if entry is not None else None

    def files_of(self, path: str) -> tuple[Any, ...]:
        """What lies directly in a folder, comparable; () for what is not there. What is no folder is its only file.

        Raises:
            MissingError: that cannot be told.
        """
        entry = self.entry(path)
        if entry is None:
            return ()
        tree = self.tree(path)
        if tree is None:
            return ((entry.id, entry.filemode),)
        return tuple((file.name, file.id, file.filemode) for file in tree if file.filemode != FileMode.TREE)

    def content(self, path: str) -> JsonObject | State:
        """The object that a file holds."""
        try:
            entry = self.entry(path)
            found = self._read(entry.id) if isinstance(entry, pygit2.Blob) else entry
        except MissingError:
            return State.MISSING
        if found is None:
            return State.ABSENT
        value = decode(found.data).value if isinstance(found, pygit2.Blob) else None
        return State.BROKEN if value is None else value


def entry_of(tree: pygit2.Tree | None, name: str) -> pygit2.Object | None:
    """An entry of a tree; None when there is none, or no tree.

    pygit2 (1.21) never lets go of the text that it was asked for. An interned one is the same object every time, so
    what stays is one text for each name, and not one for each question.
    """
    known = sys.intern(name)
    return tree[known] if tree is not None and known in tree else None


def value(content: JsonObject | State, place: Tokens) -> Json | State:
    """What a file says of one key, in the form in which equal values are equal.

    Args:
        content: of the file of a section.
        place: the section, the key, and names of members on the way to what is meant.
    """
    if isinstance(content, State):
        return content
    section, key, *members = place
    if key not in content:
        return State.ABSENT
    written = {**_NOTHING, section: {key: content[key]}}
    found: Json = canonical.canonical(written, resources.catalogue())[section][key]
    for member in members:
        if not isinstance(found, dict) or member not in found:
            return State.ABSENT
        found = found[member]
    return found
