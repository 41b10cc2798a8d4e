"""What the daemon costs while it runs: sampled, and judged for growth."""

import statistics
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rig import Rig, Vital

from soaking.trouble import Spell

EVERY_S = 5.0
GROWTH = 1.10
GROWTH_KIB = 8 * 1024
"""RSS may grow by the larger of the two between the second and the last fifth."""

FDS = 3
FEW = 4  # tasks in the queue that are soon sent
THREADS = 60


class Sampler:
    """Samples in a thread of its own."""

    def __init__(self, rig: Rig, every_s: float = EVERY_S) -> None:
        self._rig, self._every_s = rig, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.vitals: list[Vital] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            vital = self._rig.vital()
            if vital is not None:
                self.vitals.append(vital)


@dataclass(frozen=True, slots=True)
class Growth:
    """RSS of the last process, fifth by fifth: least, median, most, KiB."""

    fifths: tuple[tuple[int, int, int], ...]
    idle_fds: tuple[int, int]  # early and late
    threads: int  # most

    def problems(self) -> Iterator[str]:
        """What grew."""
        early, late = self.fifths[1][1], self.fifths[-1][1]
        if late > max(early * GROWTH, early + GROWTH_KIB):
            yield f"memory grew: median RSS {early} KiB in the second fifth, {late} KiB in the last"
        if abs(self.idle_fds[1] - self.idle_fds[0]) > FDS:
            yield f"file descriptors when idle: {self.idle_fds[0]} early, {self.idle_fds[1]} late"
        if self.threads > THREADS:
            yield f"{self.threads} threads, expected at most {THREADS}"


def backlogs(vitals: list[Vital]) -> list[Spell]:
    """Times in which more waited than can be sent at once: there an edit waits for its turn."""
    return [
        Spell("backlog", before.at, vital.at)
        for before, vital in pairwise(vitals)
        if max(each.metric("reconciler_queue_depth") for each in (before, vital)) > FEW
    ]


def growth(vitals: list[Vital], idle_early: Vital, idle_late: Vital) -> Growth:
    """Judge the last process: those before were killed."""
    mine = [vital for vital in vitals if vital.pid == vitals[-1].pid]
    size = max(1, len(mine) // 5)
    parts = [mine[i * size : (i + 1) * size] for i in range(4)] + [mine[4 * size :] or mine[-1:]]
    fifths = tuple(_spread([vital.rss_kib for vital in part]) for part in parts if part)
    return Growth(fifths, (idle_early.fds, idle_late.fds), max(vital.threads for vital in mine))


def _spread(values: list[int]) -> tuple[int, int, int]:
    return min(values), round(statistics.median(values)), max(values)
