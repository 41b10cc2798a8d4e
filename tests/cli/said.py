"""A daemon's place beside the command line: its lock is held, and what it said stands in the store."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from reconciler import wiring
from reconciler.config import load
from reconciler.model import TaskState
from reconciler.state.sqlite import SqliteStore
from tests.projects import Project

AT = datetime(2026, 11, 21, 21, 2, 11, tzinfo=UTC)


def opened(project: Project) -> SqliteStore:
    return wiring.open_store(load(project.root / "reconciler.toml"), read_only=False)


def word(task: str, state: str = "synced", **more: object) -> TaskState:
    """What a daemon may have said of a task."""
    plain = TaskState(task, state, AT, "no difference", "", None, "sha256:0123456789ab", None, None, "digest")
    return replace(plain, **more)


@contextmanager
def daemon_that_said(project: Project, *words: TaskState, purpose: str = "run") -> Iterator[SqliteStore]:
    """The writer lock is held as by a daemon while the body runs."""
    with closing(opened(project)) as store:
        store.put_states(words)
        with store.writer_lock(1, purpose):
            yield store
