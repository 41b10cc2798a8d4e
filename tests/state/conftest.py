"""Real SQLite files, real processes; only the clock is handed in."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.model import Intent, Snapshot
from reconciler.state.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]
NOBODY = 65534


class TickingClock:
    """A second later every time it is asked."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 12, 0, 0, 250, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "reconciler.db"


@pytest.fixture
def open_store(path: Path, clock: TickingClock) -> Iterator[Callable[..., SqliteStore]]:
    """Open stores that are closed when the test is over."""
    with ExitStack() as stack:

        def opened(at: Path = path, *, read_only: bool = False, digest_version: int = 1) -> SqliteStore:
            store = SqliteStore.open(at, clock, digest_version=digest_version, read_only=read_only)
            return stack.enter_context(closing(store))

        yield opened


@pytest.fixture
def store(open_store: Callable[..., SqliteStore]) -> SqliteStore:
    return open_store()


@pytest.fixture(scope="session")
def snapshot() -> Callable[..., Snapshot]:
    def make(name: str, key_id: str = "k1") -> Snapshot:
        content = {"coordinator": {}, "condition": {}, "source": {}, "sink": {"name": name}}
        return Snapshot(content, {"/sink/password": f"print of {name}"}, key_id, f"digest of {name}")

    return make


@pytest.fixture(scope="session")
def intent(snapshot: Callable[..., Snapshot]) -> Callable[..., Intent]:
    def make(name: str = "A", *, address: str = "a1", task: str = "shop") -> Intent:
        return Intent(
            address=address,
            task=task,
            action="update",
            plan="plan-1",
            item="item-1",
            revision=f"revision of {name}",
            request_digest=f"request of {name}",
            attempt=1,
            after=snapshot(name),
        )

    return make


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start Python processes on a piece of code; those still alive are killed when the test is over."""
    with ExitStack() as stack:

        def started(code: str, *arguments: object) -> "subprocess.Popen[str]":
            command = [sys.executable, "-c", PRELUDE + code, *map(str, arguments)]
            # Not measured: what a killed process leaves of its figures cannot be read.
            environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=-1, stdout=-1, stderr=-1, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield started


PRELUDE = """
import sys, os, signal
from datetime import UTC, datetime
from pathlib import Path
from reconciler.model import Condition, Intent, Outcome, Snapshot
from reconciler.state.sqlite import SqliteStore

def open_store():
    return SqliteStore.open(Path(sys.argv[1]), lambda: datetime.now(UTC), digest_version=1)

def intent():
    after = Snapshot({"coordinator": {}, "condition": {}, "source": {}, "sink": {"name": "A"}}, {}, "k1", "digest of A")
    return Intent("a1", "shop", "update", "plan-1", "item-1", "revision", "request-1", 1, after)

def say(word):
    print(word, flush=True)
"""


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[Path]:
    """Without root's right to write everywhere; yields a directory of that user, outside pytest's private one (which is made before)."""
    directory = Path(tempfile.mkdtemp(prefix="reconciler-"))
    was_root = os.geteuid() == 0
    if was_root:
        os.chown(directory, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield directory
    finally:
        if was_root:
            os.seteuid(0)
        directory.chmod(0o700)
        shutil.rmtree(directory)
