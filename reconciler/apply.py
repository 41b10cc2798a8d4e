"""Carries a plan out, once, and decides nothing about it: what `reconciler apply` does.

The daemon carries out the same jobs with the same dispatchers, but plans again instead of trying again.
"""

import threading
from collections.abc import Mapping

from reconciler.core import position
from reconciler.core.importing import AWAITED
from reconciler.dispatch import Dispatcher
from reconciler.jobs import Job, Result, Status, Tools
from reconciler.model import Action, Condition, Item
from reconciler.reconcile import Survey

RETRY_BUDGET_S = 30.0
"""How long one run may spend on retries of one item; what is left over is for the next."""


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
    results = {item.id: adopt(item, survey, tools, reason) for item in survey.plan.items if item.action is Action.ADOPT}
    results |= _Run(survey, tools, reason).finish()
    return tuple(results[item.id] for item in survey.plan.items if item.id in results)


def jobs_of(survey: Survey, reason: str = "") -> list[Job]:
    """What a survey asks to be sent, or to be looked at again, in the order of its plan."""
    declared: dict[str, set[str]] = {}
    for address in survey.tasks.values():
        if address.key:
            declared.setdefault(address.target, set()).add(address.key)
    taken = {target: frozenset(names) for target, names in declared.items()}
    return [
        Job(
            item=item,
            work=work,
            plan=survey.plan.id,
            revision=survey.plan.revision,
            taken=taken.get(item.target, frozenset()),
            reason=reason,
        )
        for item in survey.plan.items
        if (work := survey.unconfirmed.get(item.id) or (survey.work.get(item.id) if item.action.sends else None))
    ]


class _Run:
    """All jobs of one plan, a dispatcher for each target."""

    def __init__(self, survey: Survey, tools: Tools, reason: str) -> None:
        self._tools = tools
        self._jobs = jobs_of(survey, reason)
        self._results: dict[str, Result] = {}
        self._error: Exception | None = None
        self._guard = threading.Lock()
        names = sorted({job.item.target for job in self._jobs})
        self._dispatchers = {name: Dispatcher(name, tools, self._done, RETRY_BUDGET_S) for name in names}

    def finish(self) -> Mapping[str, Result]:
        """Carry out every job; returns {item id: Result}.

        Raises:
            StateStoreError: and whatever else a step raised.
        """
        for job in self._jobs:
            self._dispatchers[job.item.target].submit(job)
        try:
            for dispatcher in self._dispatchers.values():
                dispatcher.wait()
        except BaseException:
            self._tools.report(
                "stopping", "calls under way are ended and written down, which may take a minute; none is begun"
            )
            raise
        finally:
            for dispatcher in self._dispatchers.values():
                dispatcher.end(settle=self._error is None)
        if self._error is not None:
            raise self._error
        for job in self._jobs:
            self._remember(job, self._results[job.item.id])
        return self._results

    def _done(self, job: Job, result: Result | Exception) -> None:
        with self._guard:
            if isinstance(result, Result):
                self._results[job.item.id] = result
                return
            self._error = self._error or result
        for dispatcher in self._dispatchers.values():
            dispatcher.refuse("the run was stopped by an error")

    def _remember(self, job: Job, result: Result) -> None:
        """Leave a trace of what never got as far as an intent: who looks at the state later asks why."""
        if result.status in (Status.PENDING, Status.BLOCKED) and not job.sent:
            rail = {"rail": result.rail} if result.rail else {}
            self._tools.store.note(result.status.value, job.item.task, {"message": result.message, **rail})
            if job.work.reset is not None:
                return  # the ledger has its own word for it, and the files are as they were
            record = self._tools.store.record(job.item.address)
            told = (Condition.SYNCED, Condition.NOT_VERIFIED, Condition.RETRYING)
            if record is not None and record.serial == job.item.serial and record.condition in told:
                self._tools.store.set_condition(job.item.address, Condition.RETRYING, result.message)


def keep_records(survey: Survey, tools: Tools) -> None:
    """What a pass records without any call: renamed folders, imported ones that came, fingerprints of another key.

    What a rail held at the last call is forgotten where something else is to be sent by now. And before something is
    recorded for a new address, that a reset which lies there may have been sent already.
    """
    for entry in survey.doubted:
        tools.store.move_reset(entry, None)
    for address, task in survey.taken_over.items():
        tools.store.take_over(address, task)
    for address in survey.arrived:
        tools.store.set_notified(AWAITED, address, "")
    for address, snapshot in survey.refreshed.items():
        tools.store.refingerprint(address, snapshot)
    for address in position.outdated(tools.store.notified(position.HELD), survey.plan.items):
        tools.store.set_notified(position.HELD, address, "")


def adopt(item: Item, survey: Survey, tools: Tools, reason: str = "") -> Result:
    """Record the files of a new task as applied, because the policy says so."""
    snapshot = survey.work[item.id].desired.snapshot
    why = "; ".join((item.reason, *(f"forced: {rail}" for rail in item.forced), *([reason] if reason else [])))
    tools.store.adopt(item.address, item.task, snapshot, survey.plan.revision, why)
    return Result(item.task, item.action, Status.ADOPTED, "recorded as applied, nothing was called")
