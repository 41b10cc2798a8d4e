"""How far a walk through history has come, and what it still looks for at which commit."""

from dataclasses import dataclass, field
from heapq import heappop, heappush

import pygit2

from reconciler.core.pointer import Tokens
from reconciler.git.history import State, Version
from reconciler.model import Json

KeyName = tuple[str, str]  # (task, Change.path)


@dataclass(slots=True)
class Key:
    """A value whose commit is sought; it is the same in every commit that it comes to."""

    name: KeyName
    place: Tokens  # the section, the key, names of members
    value: Json | State
    readable: str = ""  # while it passes commits in which the file is broken: the last one in which it was not


@dataclass(slots=True)
class Folder:
    """What is sought of one folder, at the commit it has come to."""

    id: pygit2.Oid | None  # there; None when there is no such folder
    tasks: tuple[str, ...] = ()  # whose last commits are sought: several when links lead to it
    files: dict[str, list[Key]] = field(default_factory=dict)

    def join(self, other: "Folder") -> None:
        """Take over what came another way to the same folder of the same commit."""
        self.tasks += other.tasks
        for name, keys in other.files.items():
            self.files.setdefault(name, []).extend(keys)


Group = dict[str, Folder]  # {name of a folder: what is sought there}, for folders that lie in one


class Frontier:
    """Commits that have to be looked at, with what is sought there; the newest is taken first."""

    def __init__(self) -> None:
        self._newest: list[tuple[int, str]] = []  # (seconds before 1970, commit), a heap
        self._waiting: dict[
            str, tuple[Version, dict[str, Group]]
        ] = {}  # {commit: (it, {path of a folder: what in it})}

    def __bool__(self) -> bool:
        return bool(self._newest)

    def version(self, commit_id: str) -> Version | None:
        """The version of a commit that waits, with the folders that it has read."""
        return self._waiting[commit_id][0] if commit_id in self._waiting else None

    def take(self) -> tuple[Version, dict[str, Group]]:
        """The newest commit, and what is sought there: `{path of a folder: {name of one in it: what is sought}}`."""
        return self._waiting.pop(heappop(self._newest)[1])

    def put(self, version: Version, path: str, folder: Folder) -> None:
        """Seek something in a folder of a commit."""
        container, _, name = path.rpartition("/")
        self.put_all(version, container, {name: folder})

    def put_all(self, version: Version, container: str, group: Group) -> None:
        """Seek something in folders of a commit that lie in one; the group is the frontier's from now on."""
        if version.id not in self._waiting:
            self._waiting[version.id] = version, {}
            heappush(self._newest, (-version.time, version.id))
        there = self._waiting[version.id][1].setdefault(container, group)
        if there is not group:
            for name, folder in group.items():
                if name in there:
                    there[name].join(folder)
                else:
                    there[name] = folder
