"""Carries a plan out, decides nothing about it.

Each target has its own queue and workers, so that one target's trouble, and one task's, never holds up another; what
waits for a retry holds no worker.
"""

import heapq
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

from reconciler.attempt import Attempt
from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    TargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
)
from reconciler.jobs import Again, Job, Result, Status, Tools
from reconciler.model import Action, Condition, Item
from reconciler.ports import Target
from reconciler.reconcile import Survey

RETRY_BUDGET_S = 30.0
"""How long one run may spend on retries of one item; what is left over is for the next."""

MISCONFIGURED = "misconfigured"
CAPABILITY_MISSING = "capability-missing"


def carry_out(survey: Survey, tools: Tools, reason: str = "") -> tuple[Result, ...]:
    """Do what a plan says; the caller holds the writer lock.

    Args:
        survey: the plan and its work.
        tools: store, targets, time.
        reason: of `--force` or `--resend`, for the journal.

    Returns:
        One result for every item that was to adopt, to send or to be looked at again, in the order of the plan.

    Raises:
        StateStoreError: nothing more is called once the store cannot be written.
    """
    if not survey.plan.frozen:
        keep_records(survey, tools)
    results = {
        item.id: _adopt(item, survey, tools, reason) for item in survey.plan.items if item.action is Action.ADOPT
    }
    jobs: dict[str, list[Job]] = {}
    for item in survey.plan.items:
        if item.action.sends or item.id in survey.unconfirmed:
            work = survey.unconfirmed.get(item.id) or survey.work[item.id]
            jobs.setdefault(item.target, []).append(Job(item, work, reason))
    runs = [TargetRun(name, jobs[name], survey, tools) for name in sorted(jobs)]
    with ThreadPoolExecutor(max_workers=max(1, len(runs)), thread_name_prefix="target") as pool:
        waiting = [pool.submit(run.finish) for run in runs]
        try:
            for future in waiting:
                results.update(future.result())
        except BaseException:
            tools.stopping.set()
            tools.report(
                "stopping", "calls under way are ended and written down, which may take a minute; none is begun"
            )
            for run in runs:
                run.give_up("the run was stopped")
            raise
    return tuple(results[item.id] for item in survey.plan.items if item.id in results)


def keep_records(survey: Survey, tools: Tools) -> None:
    """What a pass records without any call: renamed folders, fingerprints of another key."""
    for address, task in survey.taken_over.items():
        tools.store.take_over(address, task)
    for address, snapshot in survey.refreshed.items():
        tools.store.refingerprint(address, snapshot)


def _adopt(item: Item, survey: Survey, tools: Tools, reason: str) -> Result:
    snapshot = survey.work[item.id].desired.snapshot
    why = "; ".join((item.reason, *(f"forced: {rail}" for rail in item.forced), *([reason] if reason else [])))
    tools.store.adopt(item.address, item.task, snapshot, survey.plan.revision, why)
    return Result(item.task, item.action, Status.ADOPTED, "recorded as applied, nothing was called")


def lane(job: Job) -> str:
    """What may have one write in flight: the project, or the address where no project is known."""
    return job.project or job.item.address


class TargetRun:
    """All jobs of one target: a queue by due time, and as many workers as the target allows."""

    def __init__(self, name: str, jobs: Iterable[Job], survey: Survey, tools: Tools) -> None:
        self._name = name
        self._survey = survey
        self._tools = tools
        self._jobs = tuple(jobs)
        self._queue = [(0.0, number, job) for number, job in enumerate(self._jobs)]  # (due, order, job): a heap
        self._order = len(self._queue)
        self._parked: dict[str, list[tuple[float, int, Job]]] = {}  # due, but their lane is busy
        self._busy: set[str] = set()
        self._places = tools.max_concurrent.get(name, 1)
        self._results: dict[str, Result] = {}
        self._changed = threading.Condition()
        self._given_up = ""  # why no further job is tried
        self._hide = frozenset(value for job in self._jobs for value in job.work.desired.secret_values)
        self._named = frozenset(a.key for a in survey.tasks.values() if a.target == name and a.key)

    def finish(self) -> dict[str, Result]:
        """Carry out every job; returns {item id: Result}."""
        try:
            self._probe()
        except TargetMisconfiguredError as error:
            self._trouble(MISCONFIGURED, error)
        if not self._given_up:  # else there may be nothing that could be opened
            self._work_together()
        parked = (entry for entries in self._parked.values() for entry in entries)
        for _, _, job in (*self._queue, *parked):
            self._results[job.item.id] = job.unsent(Status.PENDING, f"not sent: {self._given_up}")
        for job in self._jobs:
            self._remember(job, self._results[job.item.id])
        return self._results

    def _remember(self, job: Job, result: Result) -> None:
        """Leave a trace of what never got as far as an intent: who looks at the state later asks why."""
        if result.status in (Status.PENDING, Status.BLOCKED) and not job.sent:
            self._tools.store.note(result.status.value, job.item.task, {"message": result.message})
            record = self._tools.store.record(job.item.address)
            told = (Condition.SYNCED, Condition.NOT_VERIFIED, Condition.RETRYING)
            if record is not None and record.serial == job.item.serial and record.condition in told:
                self._tools.store.set_condition(job.item.address, Condition.RETRYING, result.message)

    def _work_together(self) -> None:
        workers = min(len(self._queue), self._places)
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix=self._name) as pool:
            for future in [pool.submit(self._work) for _ in range(workers)]:
                future.result()

    def give_up(self, why: str) -> None:
        """Let calls in flight end and start no other."""
        with self._changed:
            self._given_up = self._given_up or why
            self._changed.notify_all()

    def _probe(self) -> None:
        """Open the target once; one that was misconfigured is asked something harmless before it is used again.

        Raises:
            TargetMisconfiguredError: it cannot be used.
        """
        kind, _ = self._tools.store.target_trouble().get(self._name, ("", ""))
        with closing(self._tools.open_target(self._name, ())) as target:
            if kind != MISCONFIGURED:
                return
            with suppress(TemporaryTargetError, PermanentTargetError, CapabilityMissingError):
                target.probe()  # out of reach proves neither: then the calls will tell
                self._tools.store.set_target_trouble(self._name, "", "")

    def _work(self) -> None:
        target = self._tools.open_target(self._name, self._hide)
        try:
            while (job := self._next()) is not None:
                self._done(job, self._try(job, target))
        except BaseException:
            self.give_up("the run was stopped by an error")
            raise
        finally:
            target.close()

    def _try(self, job: Job, target: Target) -> Result | Again:
        plan = self._survey.plan
        try:
            return Attempt(job, plan, target, self._tools, self._named).run()
        except (TargetMisconfiguredError, CapabilityMissingError) as error:
            missing = isinstance(error, CapabilityMissingError)
            self._trouble(CAPABILITY_MISSING if missing else MISCONFIGURED, error)
            return job.unsent(Status.PENDING, str(error), error)

    def _trouble(self, kind: str, error: TargetError) -> None:
        """Remember what concerns the whole target, and try nothing further there."""
        self._tools.store.set_target_trouble(self._name, kind, str(error))
        self._tools.store.note("target", "", {"target": self._name, "kind": kind, "message": str(error)})
        self.give_up(str(error))

    def _next(self) -> Job | None:
        """The next job that is due and may go; None when there is nothing left for this worker."""
        with self._changed:
            while not self._given_up and (self._queue or self._busy):
                now = self._tools.clock.monotonic()
                job = self._due(now)
                if job is not None:
                    return job
                later = [due for due, _, _ in self._queue if due > now]
                if self._queue or self._busy:
                    self._tools.clock.wait(self._changed, min(later) - now if later else None)
            return None

    def _due(self, now: float) -> Job | None:
        """Take a job that is due: its lane is free, and so is a place among those under way.

        A job whose outcome is unknown keeps lane and place while it waits: its component may be restarting.
        """
        full: list[tuple[float, int, Job]] = []
        found: Job | None = None
        while found is None and self._queue and self._queue[0][0] <= now:
            entry = heapq.heappop(self._queue)
            job = entry[2]
            if job.unknown or (lane(job) not in self._busy and len(self._busy) < self._places):
                found = job
            elif lane(job) in self._busy:
                self._parked.setdefault(lane(job), []).append(entry)
            else:
                full.append(entry)
        for entry in full:
            heapq.heappush(self._queue, entry)
        if found is not None:
            self._busy.add(lane(found))
        return found

    def _done(self, job: Job, answer: Result | Again) -> None:
        with self._changed:
            result = self._requeued(job, answer) if isinstance(answer, Again) else answer
            if result is not None:
                self._end(job, result)
            elif not job.unknown:
                self._free(job)
            self._changed.notify_all()

    def _end(self, job: Job, result: Result) -> None:
        self._free(job)
        self._results[job.item.id] = result
        self._tools.report(job.item.task, f"{result.status.value}: {result.message}")

    def _free(self, job: Job) -> None:
        """Let others have the lane."""
        self._busy.discard(lane(job))
        for entry in self._parked.pop(lane(job), ()):
            heapq.heappush(self._queue, entry)

    def _requeued(self, job: Job, again: Again) -> Result | None:
        """Queue a retry; the result instead when the budget does not reach so far."""
        now = self._tools.clock.monotonic()
        if job.retry_until is None:
            job.retry_until = now + RETRY_BUDGET_S
        if now + again.wait_s > job.retry_until:
            return again.result
        news = f": {again.result.message}" if again.result.message != job.told else ""
        job.told = again.result.message
        self._tools.report(job.item.task, f"again in {again.wait_s:.1f} s{news}")
        self._order += 1
        heapq.heappush(self._queue, (now + again.wait_s, self._order, job))
        return None
