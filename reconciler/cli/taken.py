"""What an import must keep away from: names, components and references that are some other task's."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from reconciler.core import decode
from reconciler.core.importing import AWAITED
from reconciler.core.validation import taskfile
from reconciler.errors import DesiredStateError
from reconciler.source import DirectorySource

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.model import JsonObject, RawTask
    from reconciler.state.sqlite import SqliteStore

_REFERENCE = re.compile(rb"\$\{(?:env|file):([^}]+)\}")


def check_free(settings: "Settings", store: "SqliteStore", name: str, task: "JsonObject") -> frozenset[str]:
    """Refuse a component that belongs to a task already.

    Args:
        settings: say where the other tasks are.
        store: knows those that are gone.
        name: of the new task.
        task: members of its `task.json`.

    Returns:
        Environment variables and files that other tasks refer to.

    Raises:
        click.UsageError: names the other task.
        DesiredStateError: the directory cannot be read.
    """
    address = taskfile.address_of(task).id
    taken: set[str] = set()
    for raw in _others(settings, store):
        if raw.name == name:
            raise click.UsageError(
                f"--task: the commit that is followed has a task {name} already: choose another name"
            )
        if address == _declared(raw):
            raise click.UsageError(f"the component belongs to task {raw.name} already, whose task.json names it")
        taken |= {found.decode(errors="replace") for data in raw.files.values() for found in _REFERENCE.findall(data)}
    record = store.record(address)
    if record is not None and store.notified(AWAITED).get(address) != name:
        raise click.UsageError(
            f"the component is known already, as task {record.task}; if the directory of that task is gone for good:"
            f" reconciler forget {record.task}, then import"
        )
    return frozenset(taken)


def _others(settings: "Settings", store: "SqliteStore") -> "Iterator[RawTask]":
    """Every other task: in the directory, and where commits are followed in the one that is."""
    from reconciler import wiring

    yield from DirectorySource(settings.desired_state).tasks()
    if settings.git is not None:
        try:
            commit = wiring.commits(settings, store)
        except DesiredStateError:  # a repository without a commit yet: `plan` says what else is wrong with it
            return
        yield from commit.tasks()


def _declared(raw: "RawTask") -> str:
    """The Address.id that a `task.json` declares, right or wrong; "" for none."""
    try:
        return taskfile.address_of(decode.decode(raw.files["task.json"]).value or {}).id
    except (LookupError, ValueError, TypeError, AttributeError):
        return ""
