"""One target's jobs and workers: which job may go now, and what becomes of it.

A job is anything between the wish to send and the verified component. What waits, for a retry or for a component to
come back, holds no worker; what may be restarting keeps its lane and its place. One target's trouble never touches
another's: each has a dispatcher of its own.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import timedelta

from reconciler.attempt import Attempt
from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    ReconcilerError,
    StateStoreError,
    TargetMisconfiguredError,
    TemporaryTargetError,
)
from reconciler.events import ItemEnded, Notice, TargetChanged
from reconciler.jobs import Again, Job, Result, Status, Tools
from reconciler.ports import Target
from reconciler.resetting import Resetting
from reconciler.verify import UNSEEN
from reconciler.waiting import Waiting

MISCONFIGURED = "misconfigured"
CAPABILITY_MISSING = "capability-missing"
STOPPED = "stopped"
UNREACHABLE = "unreachable"
PROBED = (MISCONFIGURED, UNREACHABLE)
"""Troubles that end when the target answers a harmless question; the others end by a word of a person."""
FAILURES_WITHIN = timedelta(hours=1)
"""`stop_after_failures` counts components that did not come back healthy within this time."""

MOST_WORKERS = 16
"""Threads of one target; one is busy only while a request is on its way."""

UNKNOWN_BUDGET_S = 120.0
"""How long a job whose outcome is unknown stays here when nothing else does: its component is kept from others."""

MOST_HIDDEN = 4096
"""Secrets of jobs that are over which are still hidden; many tasks share theirs."""

Done = Callable[[Job, Result | Exception], None]
"""Told of every job that is over; with an exception when a step raised what it should not."""


class Hidden(Collection[str]):
    """Secrets to be hidden in whatever a server says, whichever job it is about; read anew at each use.

    Those of jobs that are over stay for a while: a server may quote them later. The oldest go when there are too many.
    """

    def __init__(self) -> None:
        self._live: dict[int, frozenset[str]] = {}  # {id of a job: its secrets}
        self._over: dict[str, None] = {}  # oldest first
        self._guard = threading.Lock()

    def add(self, job: Job) -> None:
        """A job's secrets may be quoted from now on."""
        with self._guard:
            self._live[id(job)] = job.work.desired.secret_values

    def end(self, job: Job) -> None:
        """A job is over."""
        with self._guard:
            for value in self._live.pop(id(job), ()):
                self._over.pop(value, None)
                self._over[value] = None
            while len(self._over) > MOST_HIDDEN:
                del self._over[next(iter(self._over))]

    def _values(self) -> set[str]:
        with self._guard:
            return set(self._over).union(*self._live.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __contains__(self, value: object) -> bool:
        return value in self._values()


class Dispatcher:
    """The jobs of one target.

    Args:
        name: of the target.
        tools: the world.
        done: told of every job that is over, by any thread; it must not raise.
        budget_s: how long a job is tried again here when it had no effect; 0: that is left to whoever submits it.
    """

    def __init__(self, name: str, tools: Tools, done: Done, budget_s: float) -> None:
        self._name = name
        self._tools = tools
        self._done = done
        self._budget_s = budget_s
        self._waiting = Waiting(tools.max_concurrent.get(name, 1))
        self._in_hand: dict[int, Job] = {}  # {id: a job that a worker has}
        self._hidden = Hidden()
        self._changed = threading.Condition()
        self._refusal = ""  # why no further job is begun
        self._kind = ""  # of the target's trouble, when it was found here
        self._looks = False  # whether those that only look are begun all the same
        self._ending = False
        self._unfinished = 0  # jobs that nobody was told the end of
        self._generation = 0  # of the target's configuration
        self._idle = 0
        self._workers: list[threading.Thread] = []

    # --- from outside ----------------------------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Queue a job."""
        with self._changed:
            self._unfinished += 1
            self._hidden.add(job)
            refusal = self._refusal
            begins = not refusal or self._may_look(job)
            if begins:
                self._begin(job)
        if not begins:
            self._finish(job, job.unsent(Status.PENDING, f"not sent: {refusal}"))

    def _begin(self, job: Job) -> None:
        self._waiting.push(0.0, job)
        if self._idle < len(self._waiting) and len(self._workers) < min(self._waiting.places + 1, MOST_WORKERS):
            worker = threading.Thread(target=self._work, name=f"{self._name}-{len(self._workers)}", daemon=True)
            self._workers.append(worker)
            worker.start()
        self._changed.notify()

    def withdraw(self, task: str, *, newer: bool = False) -> bool:
        """Take back what is not begun for a task; False when something of it is under way and has to end first.

        A retry that waits is taken back too: newer content need not wait for it.

        Args:
            task: its name.
            newer: whether newer content is to be sent: it does not wait for a component that is in EXCEPTION.
        """
        with self._changed:
            for job in self._take_out(lambda job: job.item.task == task and _may_go(job)):
                self._hidden.end(job)
                self._unfinished -= 1
            mine = [job for job in (*self._waiting.jobs(), *self._in_hand.values()) if job.item.task == task]
            for job in mine:
                job.withdrawn = job.withdrawn or "something else is to be done meanwhile"
                if job.watch is not None and newer:
                    job.watch.newer_waits = True
            return not mine

    def refuse(self, why: str, *, looks: bool = False) -> None:
        """Begin nothing further: what is not begun ends now, what is under way goes on.

        Args:
            why: is told to everything that ends.
            looks: whether components may still be looked at.
        """
        with self._changed:
            ended = self._stop_beginning(why, looks=looks)
        self._finish_unsent(ended, why)

    def _stop_beginning(self, why: str, *, looks: bool) -> list[Job]:
        """Begin nothing further from this moment on; the jobs that end by it. The lock is held."""
        self._refusal, self._looks = self._refusal or why, looks
        ended = self._take_out(lambda job: _may_go(job) and not self._may_look(job))
        for job in self._in_hand.values():
            if not job.resets_now:
                job.withdrawn = job.withdrawn or why
        self._changed.notify_all()
        return ended

    def _finish_unsent(self, jobs: list[Job], why: str) -> None:
        for job in jobs:
            self._finish(job, job.unsent(Status.PENDING, f"not sent: {why}"))

    def _may_look(self, job: Job) -> bool:
        """Whether a job is begun although nothing is to be sent: it looks, or its project may be stopped."""
        if job.goes_on:
            return self._looks or self._kind == CAPABILITY_MISSING
        return self._looks and job.only_looks

    def accept(self) -> None:
        """Begin jobs again."""
        with self._changed:
            self._refusal = self._kind = ""

    def renew(self, tools: Tools) -> None:
        """The target is configured anew: each worker opens it again before its next job."""
        with self._changed:
            self._tools = tools
            self._waiting.places = tools.max_concurrent.get(self._name, 1)
            self._generation += 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Until every job is over."""
        with self._changed:
            while self._unfinished:
                self._tools.clock.wait(self._changed, None)

    def end(self, *, settle: bool) -> None:
        """Let calls in flight end, and the workers with them.

        Args:
            settle: whether components that are still looked at count as not confirmed; else their records stay as they
                are, for the next start to go on.
        """
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()
        left = self._take_out(lambda _job: True)
        watched = [job for job in left if job.watch is not None]
        if watched and settle:
            with closing(self._tools.open_target(self._name, self._hidden)) as target:
                for job in watched:
                    self._over(job, self._stopped(job, target, "before the run was stopped"))
        for job in left:
            if job.watch is None:
                result = job.unsent(Status.PENDING, f"not sent: {self._refusal or 'the run was stopped'}")
                if job.keeps_stopped:
                    text = f"{result.task}: {result.message}"
                    self._tools.tell(Notice("error", "reset", text, {"task": result.task}))
                self._finish(job, result)

    @property
    def is_full(self) -> bool:
        """Whether every place is taken."""
        with self._changed:
            return len(self._waiting.busy) >= self._waiting.places

    def counts(self) -> tuple[int, int]:
        """Jobs that wait to be begun, and components under way."""
        with self._changed:
            return sum(not job.under_way for job in self._waiting.jobs()), len(self._waiting.busy)

    # --- workers ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        target: Target | None = None
        generation = 0
        while (job := self._next()) is not None:
            if target is not None and generation != self._generation:
                target.close()
                target = None
            generation = self._generation
            try:
                target = target or self._open()
                answer = _step(job, target, self._tools)
            except (TargetMisconfiguredError, CapabilityMissingError) as error:
                self._trouble(_kind(error), error)
                self._over(job, self._unverified(job, target) or job.unsent(Status.PENDING, str(error), error))
            except Exception as error:  # noqa: BLE001 - the border: whoever submitted the job reports it
                self._over(job, error)
            else:
                self._came_back(job, answer)
        if target is not None:
            target.close()

    def _unverified(self, job: Job, target: Target | None) -> Result | Exception | None:
        """What becomes of a component that cannot be looked at because its target cannot be used; None: nothing."""
        if job.watch is None or target is None:
            return None
        return self._stopped(job, target, "because its target cannot be used")

    def _stopped(self, job: Job, target: Target, when: str) -> Result | Exception:
        try:
            answer = Attempt(job, target, self._tools).stop(when)
        except ReconcilerError as error:
            return error
        return answer.result if isinstance(answer, Again) else answer

    def _open(self) -> Target:
        """Open the target; one that was misconfigured is asked something harmless before it is used again.

        Raises:
            TargetMisconfiguredError: it cannot be used.
        """
        kind, _ = self._tools.store.target_trouble().get(self._name, ("", ""))
        with ExitStack() as stack:
            target = stack.enter_context(closing(self._tools.open_target(self._name, self._hidden)))
            if kind in PROBED:
                with suppress(TemporaryTargetError, PermanentTargetError, CapabilityMissingError):
                    target.probe()  # out of reach proves neither: then the call will tell
                    self._tools.store.set_target_trouble(self._name, "", "")
                    self._tools.tell(TargetChanged(self._name, "", "answers again"))
            stack.pop_all()
        return target

    def _next(self) -> Job | None:
        """The next job that may go; None when this worker is no longer needed."""
        with self._changed:
            while not self._ending:
                now = self._tools.clock.monotonic()
                job = self._waiting.pop(now)
                if job is not None:
                    self._in_hand[id(job)] = job
                    return job
                self._idle += 1
                try:
                    self._tools.clock.wait(self._changed, self._waiting.due(now))
                finally:
                    self._idle -= 1
            return None

    def _came_back(self, job: Job, answer: Result | Again) -> None:
        result = self._requeued(job, answer) if isinstance(answer, Again) else answer
        if result is not None:
            self._over(job, result)

    def _requeued(self, job: Job, again: Again) -> Result | Exception | None:
        """Queue a job for later; how it ended instead when the budget does not reach so far, or nothing is begun."""
        now = self._tools.clock.monotonic()
        with self._changed:
            if not again.watching:
                if job.retry_until is None:
                    budget_s = self._budget_s or (UNKNOWN_BUDGET_S if job.under_way else 0.0)
                    job.retry_until = now + budget_s
                is_over = now + again.wait_s > job.retry_until
                if is_over or (self._refusal and _may_go(job)):
                    return again.error or again.result
            if not job.under_way:
                self._waiting.free(job)
            del self._in_hand[id(job)]
            self._waiting.push(now + again.wait_s, job)
            self._changed.notify_all()
        if not again.watching:
            news = f": {again.result.message}" if again.result.message != job.told else ""
            job.told = again.result.message
            self._tools.report(job.item.task, f"again in {again.wait_s:.1f} s{news}")
        return None

    def _over(self, job: Job, result: Result | Exception) -> None:
        """A job is over; whether that stops the target is found out before the next one gets its lane."""
        result = self._announced(job, result)
        with self._changed:
            self._waiting.free(job)
            self._in_hand.pop(id(job), None)
            self._changed.notify_all()
        self._give_back(job, result)

    def _finish(self, job: Job, result: Result) -> None:
        """A job that no worker has in hand is over."""
        self._give_back(job, self._announced(job, result))

    def _give_back(self, job: Job, result: Result | Exception) -> None:
        self._hidden.end(job)
        self._done(job, result)
        with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()

    def _announced(self, job: Job, result: Result | Exception) -> Result | Exception:
        """Tell everybody; whoever listens must not cost us the job."""
        try:
            self._announce(job, result)
        except Exception as error:  # noqa: BLE001 - the border
            return error
        return result

    def _announce(self, job: Job, result: Result | Exception) -> None:
        if isinstance(result, Result):
            self._tools.report(job.item.task, f"{result.status.value}: {result.message}")
            self._tools.tell(_ended(self._name, result))
            if result.status in (Status.FAILED, Status.UNCONFIRMED):
                self._count_failures()

    def _take_out(self, wanted: Callable[[Job], bool]) -> list[Job]:
        taken = self._waiting.take_out(wanted)
        for job in taken:
            self._waiting.free(job)
        return taken

    # --- trouble of the target as a whole --------------------------------------------------------------------------

    def _count_failures(self) -> None:
        """Stop when too many components did not come back healthy: what they have in common goes on otherwise."""
        most = self._tools.stop_after.get(self._name, 0)
        since = self._tools.clock.now() - FAILURES_WITHIN
        try:
            seen = self._tools.store.unhealthy(self._name, since) if most and self._kind != STOPPED else {}
            unhealthy = [task for task, what in seen.items() if not what.startswith(UNSEEN)]
            if most and len(unhealthy) >= most:
                tasks = ", ".join(sorted(unhealthy)[:5])
                why = (
                    f"{len(unhealthy)} components did not come back healthy within an hour ({tasks}):"
                    f" nothing more is sent to target {self._name} until reconciler resume --target {self._name}"
                )
                self._trouble(STOPPED, ReconcilerError(why))
        except StateStoreError:
            return  # nothing can be sent without the store; it is counted again at the next failure

    def _trouble(self, kind: str, error: ReconcilerError) -> None:
        """Remember what concerns the whole target, and begin nothing further there."""
        with self._changed:
            if self._kind in (kind, STOPPED):
                return  # another worker was quicker; a stop ends by a word of a person only
            self._kind = kind
            self._generation += 1  # no worker goes on with the password that was refused
            ended = self._stop_beginning(str(error), looks=kind == STOPPED)
        try:
            with suppress(StateStoreError):  # then it is found out anew after a restart
                before, _ = self._tools.store.target_trouble().get(self._name, ("", ""))
                if before != STOPPED:
                    self._tools.store.set_target_trouble(self._name, kind, str(error))
                self._tools.store.note("target", "", {"target": self._name, "kind": kind, "message": str(error)})
            self._tools.tell(TargetChanged(self._name, kind, str(error)))
        finally:
            self._finish_unsent(ended, str(error))


def _step(job: Job, target: Target, tools: Tools) -> Result | Again:
    """Go one step with a job."""
    return (Attempt if job.work.reset is None else Resetting)(job, target, tools).run()


def _may_go(job: Job) -> bool:
    """Whether nothing of a job that waits is under way, so that it can be given up; a retry can."""
    return job.watch is None and job.unrecorded is None and not job.resets_now


def _ended(target: str, result: Result) -> ItemEnded:
    return ItemEnded(
        task=result.task,
        target=target,
        action=result.action.value,
        status=result.status.value,
        message=result.message,
        ticket=result.ticket,
        request_id=result.request_id,
        retry_in_s=result.retry_in_s,
    )


def _kind(error: ReconcilerError) -> str:
    return CAPABILITY_MISSING if isinstance(error, CapabilityMissingError) else MISCONFIGURED
