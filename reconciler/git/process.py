"""Runs a program that nobody sits in front of: without a terminal, bounded in time and in what it may print.

It gets a session of its own. So it finds no terminal to ask a question on, and it can be ended together with
everything it started: git alone starts ssh, a credential helper or gpg, which outlive it if only git is killed.
"""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_OUTPUT = 1 << 20
LONGEST_COMPLAINT = 1 << 14
GRACE_S = 2.0

_TURN_S = 0.2
_MOMENT_S = 0.01
_PIECE = 1 << 16
_PIECES_OF_A_PIPE = 16  # the most that a pipe of an ordinary user holds is 1 MiB


class TooLongError(Exception):
    """A program did not end in time, and was ended."""


class StoppedError(Exception):
    """A program was ended because nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What is left of a program that ended."""

    code: int  # as the shell counts; negative: the signal that ended it
    output: bytes  # the beginning of it, LONGEST_OUTPUT bytes
    complaint: bytes  # the end of what went to standard error, LONGEST_COMPLAINT bytes
    is_cut: bool  # there was more output


@dataclass(slots=True)
class _Kept:
    """A part of what comes out of a pipe: the rest is read and dropped, so that nobody waits at a full one."""

    limit: int
    is_end: bool  # which part
    data: bytearray = field(default_factory=bytearray)
    is_cut: bool = False

    def take(self, handle: int) -> bool:
        """Read what is there now; False when there will be no more."""
        piece = os.read(handle, _PIECE)
        self.data += piece
        excess = len(self.data) - self.limit
        if excess > 0:
            self.is_cut = True
            del self.data[slice(None, excess) if self.is_end else slice(self.limit, None)]
        return bool(piece)

    def take_rest(self, handle: int) -> None:
        """Read what a program that ended left in the pipe: no more than one holds, somebody else may go on writing."""
        os.set_blocking(handle, False)
        with suppress(BlockingIOError):
            for _ in range(_PIECES_OF_A_PIPE):
                if not self.take(handle):
                    return


class Programs:
    """Runs programs, one or more at a time, from any thread.

    Args:
        grace_s: how long one that is ended has to take its lock files away before it is killed, seconds.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._over = threading.Event()

    def stop(self) -> None:
        """End what is running, within a fraction of a second and the grace, and run nothing more."""
        self._over.set()

    def run(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout_s: float
    ) -> Finished:
        """Run a program to its end; it reads nothing.

        Args:
            command: its name, looked up on the environment's PATH, and its arguments.
            folder: where it runs.
            environment: all of it.
            timeout_s: after so long it is ended, seconds.

        Raises:
            OSError: it cannot be started; `filename` is the program or the folder that is not there.
            TooLongError: it did not end in time. Everything it started has ended too.
            StoppedError: `stop` was called.
        """
        if self._over.is_set():
            raise StoppedError
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            try:
                output, complaint = self._listen(process, time.monotonic() + timeout_s)
            except BaseException:
                _end_all(process, self._grace_s)
                raise
        return Finished(process.returncode, bytes(output.data), bytes(complaint.data), output.is_cut)

    def _listen(self, process: subprocess.Popen[bytes], until_s: float) -> tuple[_Kept, _Kept]:
        """Take what it prints until it ends; what outlives it and keeps a pipe open is not waited for."""
        kept = (_Kept(LONGEST_OUTPUT, is_end=False), _Kept(LONGEST_COMPLAINT, is_end=True))
        pipes = {pipe.fileno(): part for pipe, part in zip((process.stdout, process.stderr), kept, strict=True) if pipe}
        with selectors.DefaultSelector() as selector:
            for handle in pipes:
                selector.register(handle, selectors.EVENT_READ)
            while selector.get_map() and not _has_ended(process):
                for key, _ in selector.select(self._turn_s(until_s)):
                    if not pipes[key.fd].take(key.fd):
                        selector.unregister(key.fd)
        while not _has_ended(process):
            time.sleep(min(self._turn_s(until_s), _MOMENT_S))
        for handle, part in pipes.items():
            part.take_rest(handle)
        return kept

    def _turn_s(self, until_s: float) -> float:
        """How long to wait before looking round again."""
        left_s = until_s - time.monotonic()
        if self._over.is_set():
            raise StoppedError
        if left_s <= 0:
            raise TooLongError
        return min(left_s, _TURN_S)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has, without reaping it: until then its number belongs to nobody else."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_all(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End a program and what it started, first in a way that lets it clear up."""
    os.killpg(process.pid, signal.SIGTERM)
    until_s = time.monotonic() + grace_s
    while not _has_ended(process) and time.monotonic() < until_s:
        time.sleep(_MOMENT_S)
    os.killpg(process.pid, signal.SIGKILL)
