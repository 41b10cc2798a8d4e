"""The writer lock: an operating system's lock on a file, free as soon as its holder is dead.

The file says who holds it, for people. It is never removed: a lock on a removed file keeps nobody out.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.errors import StoreLockedError
from reconciler.state.sqlite_errors import mapped_errors

_POLL_S = 0.05
_GLANCE_S = 0.1  # a reader of the holder has the lock for a moment: nobody gives up earlier than this

_held: set[int] = set()  # descriptors; a forked child shares them, and would keep the lock when we are dead


def _drop_in_child() -> None:
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in _held:
        os.dup2(nothing, descriptor, inheritable=False)  # still open, for whoever closes it on the child's way out
    os.close(nothing)


os.register_at_fork(after_in_child=_drop_in_child)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the writer lock."""

    pid: int
    host: str
    purpose: str  # "apply", "run"
    since: datetime  # aware UTC

    def __str__(self) -> str:
        return f"{self.purpose} (process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} UTC)"


@contextmanager
def hold(path: Path, wait_s: float, purpose: str, clock: Callable[[], datetime]) -> Iterator[None]:
    """Hold the lock while the body runs.

    Args:
        path: the lock file; made with mode 0600 if there is none.
        wait_s: how long to wait for another holder, seconds.
        purpose: what it is held for, shown to others.
        clock: gives the time it is held since, aware UTC.

    Raises:
        StoreLockedError: not free in time; names the holder.
        StateStoreError: the file cannot be written.
    """
    with mapped_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _held.add(descriptor)
    try:
        with mapped_errors(path):
            _acquire(descriptor, path, wait_s)
            _sign(descriptor, Holder(os.getpid(), socket.gethostname(), purpose, clock()))
        try:
            yield
        finally:
            with suppress(OSError):  # the signature of a free lock misleads nobody who asks `read_holder`
                os.ftruncate(descriptor, 0)
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def read_holder(path: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does.

    Args:
        path: the lock file.

    Raises:
        StateStoreError: the file cannot be read.
    """
    with mapped_errors(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return None if _try(descriptor, fcntl.LOCK_SH) else _read(descriptor)
        finally:
            os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_s: float) -> None:
    give_up_at = time.monotonic() + max(wait_s, _GLANCE_S)
    while not _try(descriptor, fcntl.LOCK_EX):
        if time.monotonic() >= give_up_at:
            holder = _read(descriptor) or "a process that did not sign it yet"
            raise StoreLockedError(
                f"{path}: held by {holder}; waited {wait_s:g} s: only one process may call OMS, "
                "so let it finish or stop it"
            )
        time.sleep(_POLL_S)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, holder: Holder) -> None:
    text = json.dumps(
        {"pid": holder.pid, "host": holder.host, "purpose": holder.purpose, "since": holder.since.isoformat()}
    )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode() + b"\n", 0)


def _read(descriptor: int) -> Holder | None:
    """The signature in the file; None when there is none, or only half of one."""
    with suppress(ValueError, KeyError, TypeError):
        value = json.loads(os.pread(descriptor, 65536, 0))
        return Holder(value["pid"], value["host"], value["purpose"], datetime.fromisoformat(value["since"]))
    return None
