"""The desired state as people change it, and a diary of what they did: the verdict is given against it."""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fleet
from fleet import Documents, Place


@dataclass(slots=True)
class Tended:
    """One task, and what was done to it."""

    number: int
    folder: Path
    place: Place
    names: list[str]  # of its component, the present one last
    deletes: bool
    once: dict[str, set[str]] = field(default_factory=dict)  # {section: keys that its files ever had}
    changed: list[float] = field(default_factory=list)  # when its content became another one, unix seconds
    removed: list[tuple[float, str]] = field(default_factory=list)  # (when, key of coordinator) of what was removed
    contents: list[str] = field(default_factory=list)  # digest of each content, in their order
    is_away: bool = False  # broken, moved away, suspended or held: nobody else touches it
    is_stale: bool = False  # its component moved, and its key does not say so

    @property
    def name(self) -> str:
        """Of the task."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def component(self) -> str:
        """Present name of its component."""
        return self.names[-1]


@dataclass(frozen=True, slots=True)
class Single:
    """One edit of one task, to measure the time to its call."""

    number: int
    at: float


class Files:
    """All tasks' files.

    Args:
        root: the desired state.
        tasks: how many.
        chance: where chance comes from.
    """

    def __init__(self, root: Path, tasks: int, chance: random.Random) -> None:
        self.root = root
        self._chance = chance
        self.tended = [self._tended(number) for number in range(tasks)]
        self.singles: list[Single] = []
        self.counts: dict[str, int] = {}  # {kind of edit: how often}
        self._serial = 0

    def _tended(self, number: int) -> Tended:
        place = fleet.place_of(number)
        one = Tended(number, self.root / fleet.name_of(number), place, [place.name], fleet.may_delete(number))
        self._note(one, fleet.read(one.folder), first=True)
        return one

    # --- choosing ----------------------------------------------------------------------------------------------------

    def any(self, fits: Callable[[Tended], bool] = lambda _: True, *, everywhere: bool = False) -> Tended | None:
        """A task that nobody else is busy with.

        Args:
            fits: what it has to be like.
            everywhere: whether it may be one of those whose content never changes.
        """
        chosen = self.tended if everywhere else self.tended[: -self.untouched]
        for _ in range(50):
            one = self._chance.choice(chosen)
            if not one.is_away and not one.is_stale and fits(one):
                return one
        return None

    @property
    def untouched(self) -> int:
        """How many tasks, the last ones, never have another content."""
        return max(1, len(self.tended) // 10)

    def count(self, kind: str) -> None:
        """One more of a kind of edit."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    # --- editing -----------------------------------------------------------------------------------------------------

    def edit(self, one: Tended, kind: str = "value") -> None:
        """Change a task's content in some way, and write it in some way."""
        found = fleet.read(one.folder)
        before = set(found["coordinator"])
        touched = self._change(found, kind)
        one.removed += [(time.time(), key) for key in before - found["coordinator"].keys()]
        self._write(one, {name: found[name] for name in touched})
        self._note(one, found)
        self.count(kind)

    def edit_single(self, one: Tended) -> None:
        """Change one value; the time to its call counts."""
        self.edit(one)
        self.singles.append(Single(one.number, one.changed[-1]))

    def edit_many(self, ones: Iterable[Tended]) -> None:
        """Change tasks all at once, as when a branch is checked out: each file is removed and made anew."""
        plans = []
        for one in ones:
            found = fleet.read(one.folder)
            plans.append((one, found, self._change(found, "value")))
        for one, found, touched in plans:
            for name in touched:
                path = one.folder / f"{name}.json"
                path.unlink()
                path.write_text(fleet.as_text(found[name]))
        for one, found, _ in plans:
            self._note(one, found)
        self.count("batch")

    def _change(self, found: Documents, kind: str) -> list[str]:
        """Change documents in place; names of those that did change."""
        self._serial += 1
        removable = [key for key in found["coordinator"] if key.startswith(("tuning", "extra"))]
        if kind == "add":
            found["coordinator"][f"extra{self._serial}"] = str(self._serial)
            return ["coordinator"]
        if kind == "remove" and removable:
            del found["coordinator"][self._chance.choice(removable)]
            return ["coordinator"]
        if kind == "several":
            found["coordinator"]["throttleRps"] = str(10_000 + self._serial)
            found["sink"]["workerNum"] = str(1 + self._serial % 1000)
            rules = found["condition"]["whiteCondition"][0]["sub"]
            rules.append({"name": f"table_new_{self._serial}", "map": "collected"})
            del rules[:-30]
            return ["coordinator", "sink", "condition"]
        found["coordinator"]["throttleRps"] = str(10_000 + self._serial)
        return ["coordinator"]

    def can_lose_a_key(self, one: Tended) -> bool:
        """Whether a key can be removed so that it is deleted."""
        return one.deletes and any(key.startswith(("tuning", "extra")) for key in fleet.read(one.folder)["coordinator"])

    def _write(self, one: Tended, documents: Documents) -> None:
        """In place, in two halves, or as editors do: a copy that takes the file's name."""
        manner = self._chance.choice(("plain", "halves", "editor", "atomic"))
        for name, document in documents.items():
            path, text = one.folder / f"{name}.json", fleet.as_text(document)
            if manner == "plain":
                path.write_text(text)
            elif manner == "halves":
                with path.open("w") as stream:
                    stream.write(text[: len(text) // 2])
                    stream.flush()
                    time.sleep(0.02)
                    stream.write(text[len(text) // 2 :])
            else:
                self._replace(path, text, backup=manner == "editor")

    @staticmethod
    def _replace(path: Path, text: str, *, backup: bool) -> None:
        swap = path.with_name(f".{path.name}.swp")
        swap.write_text(text)
        if backup:
            path.with_name(f"{path.name}~").write_bytes(path.read_bytes())
        swap.rename(path)

    def set_key(self, one: Tended) -> None:
        """Say in a task's file where its component is now."""
        found = fleet.read(one.folder)
        found["task"]["key"] = one.component
        (one.folder / "task.json").write_text(fleet.as_text(found["task"]))
        one.is_stale = False
        one.changed.append(time.time())
        self.count("key corrected")

    def _note(self, one: Tended, found: Documents, *, first: bool = False) -> None:
        wanted = fleet.wanted(found)
        for section, members in wanted.items():
            one.once.setdefault(section, set()).update(members)
        one.contents.append(digest(wanted))
        if not first:
            one.changed.append(time.time())

    # --- what is no change -------------------------------------------------------------------------------------------

    def touch(self, one: Tended) -> None:
        """Write the same bytes, or only the times."""
        path = one.folder / "sink.json"
        if self._chance.random() < 0.5:  # noqa: PLR2004 - one of two
            os.utime(path)
        else:
            path.write_bytes(path.read_bytes())
        self.count("touch")

    def break_(self, one: Tended, *, is_edit: bool) -> Callable[[], None]:
        """Make a file wrong; returns what mends it, with another value or with the one it had."""
        path = one.folder / "coordinator.json"
        before = path.read_bytes()
        one.is_away = True
        path.write_bytes(self._chance.choice((before[: len(before) // 2], b"", b'{"a": 1,}', b"\xff\xfe")))
        self.count("broken")

        def mend() -> None:
            path.write_bytes(before)
            one.is_away = False
            if is_edit:
                self.edit(one)

        return mend

    def move_away(self, one: Tended) -> Callable[[], None]:
        """Take a directory out of the desired state; returns what puts it back."""
        limbo = self.root.parent / f"limbo-{one.number}"
        one.is_away = True
        one.folder.rename(limbo)
        self.count("moved away")

        def put_back() -> None:
            limbo.rename(one.folder)
            one.is_away = False

        return put_back

    def rename(self, one: Tended) -> None:
        """Give a task's directory another name; its component must not notice."""
        new = one.folder.with_name(f"task-{one.number:05}-{self._chance.randrange(10**6):06}")
        one.folder.rename(new)
        one.folder = new
        self.count("renamed")


def digest(value: Any) -> str:
    """Name of a content."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
