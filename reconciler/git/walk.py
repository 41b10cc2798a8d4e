"""Walks a history from newest to oldest for many values at once, each along the one line of commits that explains it.

As `git blame` does with lines: at a commit, what is the same in a parent is that parent's to explain (the first such
one), and what is the same in none was made by this commit. A value is at one commit at any time, so the order in which
commits are looked at matters for speed only, never for the answer: clocks that went wrong do no harm.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pygit2
from pygit2.enums import FileMode

from reconciler.core import pointer
from reconciler.core.layout import joined
from reconciler.errors import DesiredStateError
from reconciler.git.frontier import Folder, Frontier, Group, Key, KeyName
from reconciler.git.history import MissingError, State, Version, entry_of, value
from reconciler.git.links import LeavesError, Links
from reconciler.git.renames import Renames
from reconciler.git.repository import Repository
from reconciler.model import SECTIONS, Json, JsonObject

_SHORTEST = 2  # a section and a key


@dataclass(slots=True)
class _Step:
    """One commit, and those before it."""

    here: Version
    parents: tuple[Version, ...]
    renames: tuple[Renames, ...] = ()  # as seen from each parent; empty as long as nobody asked

    def sources(self, path: str) -> list[str]:
        """Where a file that is in no parent lay in each."""
        if not self.renames:
            self.renames = tuple(Renames(parent, self.here) for parent in self.parents)
        return [renames.source(path) or path for renames in self.renames]


class Walk:
    """A search that begins at one commit, and may be interrupted and gone on with.

    Links are followed as the first commit has them.

    Args:
        repository: used by one thread at a time.
        commit_id: where to begin.

    Attributes:
        tasks: `{task: id of the last commit that touched its directory}`, as far as found.
        keys: `{(task, Change.path): id of the last commit that touched the value}`, as far as found.
        steps: how many commits were looked at.
        has_lost: whether something was followed to where the history is missing.
    """

    def __init__(self, repository: Repository, commit_id: str) -> None:
        self.tasks: dict[str, str] = {}
        self.keys: dict[KeyName, str] = {}
        self.steps = 0
        self.has_lost = False
        self.head = Version(repository.opened, commit_id)
        self._repository = repository
        self._links: Links | None = None
        self._frontier = Frontier()

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to look for."""
        return not self._frontier

    # --- what is sought ---------------------------------------------------------------------------------------------

    def seek(self, path: str, task: str, places: Iterable[str] = ()) -> None:
        """Look for the last commits of a task and of some of its values.

        Args:
            path: of the task's directory, from the top of the repository.
            task: its name.
            places: `Change.path` of each value; one that is in none of the four files is passed over.
        """
        real = self.real(path)
        try:
            self._frontier.put(self.head, real, Folder(self.head.id_of(real), (task,)))
            for place in places:
                self._seek_key(real, (task, place))
        except MissingError:
            self.has_lost = True

    def _seek_key(self, path: str, name: KeyName) -> None:
        tokens = pointer.tokens(name[1])
        if len(tokens) < _SHORTEST or tokens[0] not in SECTIONS:
            return
        real = self.real(f"{path}/{tokens[0]}.json")
        folder, _, file = real.rpartition("/")
        now = value(self.head.content(real), tokens)
        if now is State.MISSING:
            self.has_lost = True
        elif now is not State.BROKEN:
            keys = {file: [Key(name, tokens, now)]}
            self._frontier.put(self.head, folder, Folder(self.head.id_of(folder), files=keys))

    def real(self, path: str) -> str:
        """Where a file or folder is in the commit that the walk begins at: links are followed, as far as they lead."""
        try:
            entry = self.head.entry(path)
            if entry is not None and entry.filemode != FileMode.LINK:
                return path
            self._links = self._links or Links(self._repository, self.head.top.id)
            return "/".join(self._links.follow(tuple(path.split("/"))).real)
        except (MissingError, LeavesError, OSError, DesiredStateError):
            return path

    # --- one commit after another -----------------------------------------------------------------------------------

    def run(self, most: int) -> None:
        """Go on until there is nothing left to look for, or *most* commits were looked at."""
        while not self.is_done and self.steps < most:
            self.step()

    def step(self) -> None:
        """Look at one more commit, of those that something is sought at the newest."""
        here, sought = self._frontier.take()
        self.steps += 1
        parents = (
            self._frontier.version(parent) or Version(self._repository.opened, parent) for parent in here.parents
        )
        step = _Step(here, tuple(parents))
        for container, group in sought.items():
            left = group
            for parent in step.parents:
                left = self._pass_on(here, parent, container, left)
            for name, folder in left.items():
                self._open(step, joined(container, name), folder)

    def _pass_on(self, here: Version, parent: Version, container: str, group: Group) -> Group:
        """Hand folders that are the same in a parent to it; returns the others."""
        left: Group = {}
        if not group:
            return left
        try:
            if here.id_of(container) != parent.id_of(container):
                inside = parent.tree(container)
                left = {name: folder for name, folder in group.items() if folder.id != _id_in(inside, name)}
        except MissingError:
            return group
        for name in left:
            del group[name]
        if group:
            self._frontier.put_all(parent, container, group)
        return left

    # --- a folder that is the same in no parent ---------------------------------------------------------------------

    def _open(self, step: _Step, path: str, folder: Folder) -> None:
        try:
            if folder.tasks and self._pass_on_other_tasks(step, path, folder):
                return
            self._settle(step, folder)
        except MissingError:
            self.has_lost = True
        for name, keys in folder.files.items():
            self._open_file(step, joined(path, name), keys)

    def _pass_on_other_tasks(self, step: _Step, path: str, folder: Folder) -> bool:
        """Hand on a folder in which nothing but other folders differ: those are other tasks."""
        mine = step.here.files_of(path)
        for parent in step.parents:
            if parent.files_of(path) == mine:
                folder.id = parent.id_of(path)
                self._frontier.put(parent, path, folder)
                return True
        return False

    def _settle(self, step: _Step, folder: Folder) -> None:
        """Write down who touched a folder last; one that was never there was touched by nobody."""
        if step.here.is_cut:
            self.has_lost = self.has_lost or bool(folder.tasks)
        elif step.parents or folder.id is not None:
            self.tasks.update(dict.fromkeys(folder.tasks, step.here.id))

    def _open_file(self, step: _Step, path: str, keys: Sequence[Key]) -> None:
        try:
            befores = self._before(step, path)
        except MissingError:
            self.has_lost = True
            return
        for key in keys:
            before = self._origin(step, key, [value(content, key.place) for _, _, content in befores])
            if before is not None:
                parent, place, _ = befores[before]
                folder, _, name = place.rpartition("/")
                self._frontier.put(parent, folder, Folder(parent.id_of(folder), files={name: [key]}))

    def _before(self, step: _Step, path: str) -> list[tuple[Version, str, JsonObject | State]]:
        """A file in each parent: `(parent, path there, content)`; where no parent has it, it may have been moved."""
        found = [(parent, path, parent.content(path)) for parent in step.parents]
        if any(content is not State.ABSENT for _, _, content in found) or step.here.entry(path) is None:
            return found
        sources = zip(step.parents, step.sources(path), strict=True)
        return [(parent, source, parent.content(source)) for parent, source in sources]

    def _origin(self, step: _Step, key: Key, before: Sequence[Json | State]) -> int | None:
        """Which parent has to explain a value; None: none has, and where there is an answer, it is written down.

        A file that is broken says nothing: what was in it before may be the same. A value that is absent and was so
        from the beginning was made by nobody.
        """
        if key.value in before:
            key.readable = ""
            return before.index(key.value)
        if State.MISSING in before or step.here.is_cut:
            self.has_lost = True
            return None
        if State.BROKEN in before:
            key.readable = key.readable or step.here.id
            return before.index(State.BROKEN)
        if step.parents or key.value is not State.ABSENT:
            self.keys[key.name] = key.readable or step.here.id
        return None


def _id_in(tree: pygit2.Tree | None, name: str) -> pygit2.Oid | None:
    entry = entry_of(tree, name)
    return entry.id if entry is not None else None
