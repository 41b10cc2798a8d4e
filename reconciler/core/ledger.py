"""What identifies a reset in the ledger, and which of them are open: facts that need no policy."""

import json
from collections.abc import Iterable

from reconciler.core import canonical, names
from reconciler.model import (
    SECTIONS,
    Address,
    ComponentRole,
    Dimension,
    Link,
    ResetEntry,
    ResetKey,
    ResetRequest,
    Stage,
    Task,
)


def wanted(task: Task) -> ResetRequest:
    """The reset that a task declares.

    Raises:
        ValueError: it declares none.
    """
    if task.reset is None:
        raise ValueError(f"{task.name} declares no reset")
    return task.reset


def key_of(task: Task) -> ResetKey:
    """What the reset that a task declares is carried out once for.

    Raises:
        ValueError: it declares none.
    """
    asked = wanted(task)
    return ResetKey(task.address.target, asked.project, asked.reverse, asked.request)


def title(key: ResetKey) -> str:
    """A reset in words: "reset r1 of the forward link of np_4x9jabcd"."""
    link = Link.REVERSE if key.reverse else Link.FORWARD
    return f"reset {key.request} of the {link.value} link of {key.project}"


def digest_of(task: Task) -> str:
    """SHA-256 of what a task's reset asks for; its reason and its expiry may be edited, the rest may not.

    Raises:
        ValueError: it declares none.
    """
    asked = wanted(task)
    material = [task.address.target, asked.project, asked.reverse, asked.request, asked.start_timestamp, asked.stop]
    return canonical.digest(material)


def project_of(address: Address) -> str | None:
    """Project that an address is part of; None when the address does not tell."""
    if address.role is not None:
        return address.role.project
    key = address.key or ""
    if address.dimension is Dimension.TASK_NAME and key.startswith("np_"):  # an id, or a part of a component's name
        return key.partition("-")[0]
    return names.project_of(key)


def task_of(entry: ResetEntry) -> Task:
    """A task that stands for one whose files are gone: its name and its address, as they were."""
    target, kind, *rest = json.loads(entry.address)
    if kind == "component":
        project, link, index = rest
        address = Address(target, role=ComponentRole(project, Link(link), index))
    else:
        address = Address(target, Dimension(kind), rest[0])
    return Task(entry.task, address, None, allow_delete=False, sections={section: {} for section in SECTIONS})


def is_open(entry: ResetEntry) -> bool:
    """Whether a reset is under way, or nobody knows whether it was sent: edits of its project's tasks wait."""
    return entry.stage.is_under_way or entry.stage is Stage.UNKNOWN


def under_way(entries: Iterable[ResetEntry], target: str, project: str | None) -> ResetEntry | None:
    """The open reset that calls for a project have to wait for; that of any project where the project is not known."""
    return _first(e for e in entries if e.key.target == target and project in (e.key.project, None))


def at_address(entries: Iterable[ResetEntry], address: str) -> ResetEntry | None:
    """The open reset that was begun for an Address.id, whatever its files say by now."""
    return _first(entry for entry in entries if entry.address == address)


def _first(entries: Iterable[ResetEntry]) -> ResetEntry | None:
    """The open one that somebody works on; one that waits for a word of an operator comes last."""
    found = filter(is_open, entries)
    return min(found, key=lambda entry: (entry.stage is Stage.UNKNOWN, entry.since, entry.key.request), default=None)
