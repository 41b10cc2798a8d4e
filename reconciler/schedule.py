"""Runs what time causes: APScheduler with a few named jobs, never one for each task.

APScheduler 3 keeps the next time of a job as wall time and sleeps until then: a wall clock that is set back by a day
silences every job for that day. So the truth is kept here, as a moment of the clock that never jumps, and the wall time
that APScheduler wants to see is worked out anew whenever it looks at its jobs (`_SteadyStore`). What is left is
the sleep it may have begun on a wrong figure: `check` notices the jump and wakes it.

A job that is late, because the machine was suspended or the job before took long, runs once. One whose last run is not
over is not started a second time: a repeated job waits for its next turn, a single one for the end of that run.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.executors.base import BaseExecutor  # type: ignore[import-untyped]
from apscheduler.job import Job  # type: ignore[import-untyped]
from apscheduler.jobstores.base import JobLookupError  # type: ignore[import-untyped]
from apscheduler.jobstores.memory import MemoryJobStore  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

JUMP_S = 2.0  # less is what time servers correct in passing
STOP_S = 5.0

_THREADS = 4  # some actions call a server that may not answer: they must not hold the others up
_FURTHEST_S = 10 * 365 * 86400.0  # keeps the arithmetic of dates within its bounds
_BUSY_S = 0.05  # between two looks whether the last run of a single job is over
_SHORTEST_S = 0.001  # APScheduler would look for a next time without end if there were no time between

Action = Callable[[], None]


class Schedule:
    """Named jobs of one daemon. Every method but `check` may be called by any thread, also by an action.

    Args:
        trouble: told `(name, error)` when an action raises; the job goes on.
        wall: the clock that people set, aware.
        monotonic: the clock that never jumps, seconds.
        random: 0.0..1.0, for the spread.
    """

    def __init__(
        self,
        trouble: Callable[[str, Exception], None],
        *,
        wall: Callable[[], datetime],
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._trouble = trouble
        self._wall = wall
        self._monotonic = monotonic
        self._random = random
        self._read = wall(), monotonic()  # both clocks when they were last compared
        self._workers = _Workers()
        # Its news are of no use to anybody, and its warnings say what is meant to be so: runs left out.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            jobstores={"default": _SteadyStore()},
            executors={"default": self._workers},
            job_defaults={"coalesce": True, "max_instances": 1},
        )

    def every(self, name: str, seconds: float, action: Action, *, spread: float = 0.0) -> None:
        """Run an action again and again, the first time when the interval has passed.

        Args:
            name: replaces an earlier job of that name.
            seconds: from one start to the next, > 0.
            action: called without arguments by a thread of the schedule.
            spread: share of the interval by which it varies, 0.0..1.0 (not 1.0): 0.1 is plus or minus 10 %.

        Raises:
            ValueError: an interval or a spread out of bounds.
        """
        if not seconds > 0 or not 0 <= spread < 1:
            raise ValueError(f"job {name}: expected seconds > 0 and spread 0..1, found {seconds} and {spread}")
        self._add(name, action, _Every(self._monotonic, seconds, spread, self._random))

    def at(self, name: str, seconds_from_now: float, action: Action) -> None:
        """Run an action once.

        Args:
            name: replaces an earlier job of that name that did not start yet.
            seconds_from_now: at once when <= 0; a distance of more than ten years is cut to that.
            action: called without arguments by a thread of the schedule.
        """
        self._add(name, action, _Once(self._monotonic, seconds_from_now))

    def cancel(self, name: str) -> None:
        """Forget a job, if there is one of that name; a run that has begun goes on."""
        with suppress(JobLookupError):
            while True:  # before the start there may be more than one, of which the last would win
                self._scheduler.remove_job(name)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """Start no more actions and wait for those that run.

        Args:
            timeout_s: longest wait, seconds. What runs longer is left alone; it does not keep the process from ending.

        Returns:
            True when no action runs any more.
        """
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)  # its own wait has no bound and holds a lock that actions need
        return self._workers.join(timeout_s)

    def check(self) -> float:
        """Compare the clocks; to be called about once a second.

        Returns:
            Seconds by which the wall clock jumped since the last call, below 0 when it was set back; 0.0 when it did
            not. A suspended machine counts as a jump forward: its steady clock stood still.
        """
        wall, steady = self._read
        self._read = self._wall(), self._monotonic()
        jump_s = (self._read[0] - wall).total_seconds() - (self._read[1] - steady)
        if abs(jump_s) <= JUMP_S:
            return 0.0
        if self._scheduler.running:
            self._scheduler.wakeup()
        return jump_s

    def _add(self, name: str, action: Action, trigger: "_Trigger") -> None:
        self._scheduler.add_job(
            partial(self._run, name, action),
            trigger,
            id=name,
            name=name,
            misfire_grace_time=None,
            replace_existing=True,
        )

    def _run(self, name: str, action: Action) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the border: what an action raises is told, and the job goes on
            with suppress(Exception):  # nobody is left to tell, and the other jobs need this thread
                self._trouble(name, error)


class _Trigger(BaseTrigger):  # type: ignore[misc]
    """When a job is due, by the clock that never jumps. Used under the lock of APScheduler's job stores only."""

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._monotonic = monotonic
        self.was_taken = False  # a thread has the job, or will have it
        self._due = 0.0
        self.postpone(seconds)

    def postpone(self, seconds: float) -> None:
        """Due so many seconds from now."""
        self._due = self._monotonic() + min(max(seconds, 0.0), _FURTHEST_S)

    def wall_time(self, now: datetime) -> datetime:
        """The same as a wall time, while the wall clock says *now*."""
        return now + timedelta(seconds=self._due - self._monotonic())


class _Every(_Trigger):
    def __init__(
        self, monotonic: Callable[[], float], seconds: float, spread: float, random: Callable[[], float]
    ) -> None:
        self._seconds = seconds
        self._spread = spread
        self._random = random
        super().__init__(monotonic, self._interval())

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        if previous is not None:
            self.postpone(self._interval())  # from now: missed turns are not made up for
        return self.wall_time(now)

    def _interval(self) -> float:
        return max(self._seconds * (1 + self._spread * (2 * self._random() - 1)), _SHORTEST_S)


class _Once(_Trigger):
    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        if self.was_taken:
            return None
        if previous is not None:  # refused so far, because its last run is not over
            self.postpone(_BUSY_S)
        return self.wall_time(now)


class _SteadyStore(MemoryJobStore):  # type: ignore[misc]
    """Jobs by the clock that never jumps."""

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """Called at the beginning of each look at the jobs, under the lock of the stores."""
        for job in self.get_all_jobs():
            job.next_run_time = job.trigger.wall_time(now)
            self.update_job(job)
        return list(super().get_due_jobs(now))


class _Workers(BaseExecutor):  # type: ignore[misc]
    """A few daemon threads. Those of concurrent.futures would keep the process from ending while an action hangs."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads: Sequence[threading.Thread] = ()

    def start(self, scheduler: BackgroundScheduler, alias: str) -> None:
        super().start(scheduler, alias)
        self._threads = [
            threading.Thread(target=self._work, name=f"schedule-{number}", daemon=True) for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def submit_job(self, job: Job, run_times: Sequence[datetime]) -> None:
        super().submit_job(job, run_times)  # raises when the last run is not over
        job.trigger.was_taken = True

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 - APScheduler's signature
        del wait  # `join` waits, bounded
        self._stopping.set()
        for _ in self._threads:
            self._waiting.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads; whether all have ended. An action that stops the schedule does not wait for itself."""
        end = time.monotonic() + timeout_s
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(max(end - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in others)

    def _do_submit_job(self, job: Job, _run_times: Sequence[datetime]) -> None:
        self._waiting.put(job)

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None and not self._stopping.is_set():
            job.func()
            self._run_job_success(job.id, [])
