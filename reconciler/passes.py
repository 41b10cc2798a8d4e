"""One look of the daemon at some tasks, or at all: plan, offer what is to be sent, say how each task is now.

Nothing waits here. A task that may not go now is put on the agenda for when it may; one whose job is under way is
looked at again when that is over.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler import rail_rows
from reconciler.agenda import Agenda
from reconciler.apply import adopt, jobs_of, keep_records
from reconciler.attempt import CAPPED_ATTEMPTS
from reconciler.core import position, rails
from reconciler.core.backoff import delay_s
from reconciler.core.limits import PATIENT
from reconciler.core.policy import Policy
from reconciler.core.rails import Grip
from reconciler.core.status import State, TaskStatus, status_of, together
from reconciler.errors import DesiredStateError, ReconcilerError
from reconciler.events import Notice, PassEnded
from reconciler.inventory import Known
from reconciler.jobs import Job, Result, Status, Tools
from reconciler.model import Action, Condition, Item, Rail, RailState, Record, ResetEntry, Stage
from reconciler.reconcile import Reconciler, Survey
from reconciler.states import Finding, States
from reconciler.targets import Targets

MOST_WORK = 64
"""Tasks with something to send whose documents one pass keeps; the others are looked at again."""

LOOK_AGAIN_S = 30.0
LOOK_AGAIN_CAP_S = 600.0
"""A component that did not come back healthy is looked at again, ever less often."""

PROBLEM_S = 5.0
DEFECT_S = 60.0
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class _Try:
    """The last try at a task that had no effect, and when the next one is due."""

    content: str  # Job.content: newer one does not wait
    result: Result
    due: float  # monotonic
    number: int  # consecutive
    capped: int  # of them, those that may be repeated a few times only


class Passes:
    """Looks at tasks.

    Args:
        reconciler: plans.
        rules: what is allowed.
        targets: carry out.
        states: remember what is said.
        agenda: takes tasks that are to be looked at later.
        tools: the world.
        describe: an exception in words that hold no secret.
        is_restless: whether a task's files are still being written, as far as can be told.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its parts; the daemon puts them together
        self,
        reconciler: Reconciler,
        rules: Policy,
        targets: Targets,
        states: States,
        agenda: Agenda,
        tools: Tools,
        describe: Callable[[BaseException], str],
        is_restless: Callable[[str], bool],
    ) -> None:
        self._reconciler = reconciler
        self._rules = rules
        self._targets = targets
        self._states = states
        self._agenda = agenda
        self._tools = tools
        self._clock = tools.clock
        self._describe = describe
        self._is_restless = is_restless
        self._tries: dict[tuple[str, bool], _Try] = {}  # {(task, whether of its reset): it}
        self._waiting_for_reset: set[str] = set()
        self._labels: dict[str, dict[str, str]] = {}  # {task: its labels}, where it has some: those of an orphan too
        self._invalid: dict[str, int] = {}  # {task: how many of its files are wrong}
        self._grips: dict[str, Grip] = {}  # {task: what rails have to do with it}, where they have anything
        self._tripped: dict[str, str] = {}  # {rail that tripped whatever it holds: what it found, or ""}
        self._marks: Mapping[str, str] = {}  # what a rail held just before a call, see `core.position`
        self._guard = threading.Lock()
        self.frozen = ""  # why nothing is sent at all
        self.limits: frozenset[str] = frozenset()  # of the run, that hold what they count
        self.revision = ""
        self.resets: tuple[ResetEntry, ...] = ()  # the ledger, as the last look found it
        self._open_resets: tuple[ResetEntry, ...] = ()

    @property
    def invalid_files(self) -> int:
        """How many files are wrong."""
        return sum(list(self._invalid.values()))

    @property
    def rails(self) -> tuple[Rail, ...]:
        """How every rail stands, over all tasks."""
        return rails.states(self._rules, rails.count(self._grips.values(), self._tripped))

    @property
    def held(self) -> rail_rows.Names:
        """Tasks of every rail that holds some, or was lifted for some."""
        return rail_rows.names(self._grips)

    def renew(self, reconciler: Reconciler, rules: Policy, tools: Tools) -> None:
        """Look with another configuration from now on."""
        self._targets.withdraw_all()  # what was planned by other rules must not begin any more
        self._reconciler, self._rules, self._tools = reconciler, rules, tools
        with self._guard:
            self._tries.clear()

    # --- looks -----------------------------------------------------------------------------------------------------

    def everything(self, cause: str) -> PassEnded:
        """Look at every task."""
        began = self._clock.monotonic()
        try:
            survey = self._reconciler.survey(self._rules, most=MOST_WORK)
            self._take_in(survey, self._states.names())
        except ReconcilerError as error:
            self._targets.withdraw_all()  # nobody knows whether it is still meant
            self._bring_back(error)
            return self._ended(cause, 0, began, problem=str(error))
        except Exception as error:  # noqa: BLE001 - the border: what goes wrong in a look must not end the daemon
            self._targets.withdraw_all()
            return self._ended(cause, 0, began, problem=self._tell_defect("", error))
        return self._ended(cause, len(survey.known), began)

    def some(self, names: Collection[str], cause: str) -> PassEnded:
        """Look at these tasks; they are put on the agenda again when that cannot be done now."""
        began = self._clock.monotonic()
        try:
            self._take_in(self._reconciler.look(self._rules, names, most=MOST_WORK), names)
        except ReconcilerError as error:
            self._agenda.add(names, PROBLEM_S)
            self._bring_back(error)
            return self._ended(cause, len(names), began, problem=str(error))
        except Exception as error:  # noqa: BLE001 - likewise
            self._agenda.add(names, DEFECT_S)
            return self._ended(cause, len(names), began, problem=self._tell_defect("", error))
        return self._ended(cause, len(names), began)

    def _ended(self, cause: str, tasks: int, began: float, problem: str = "") -> PassEnded:
        return PassEnded(cause, tasks, self._clock.monotonic() - began, self.frozen, problem)

    def _tell_defect(self, task: str, error: BaseException) -> str:
        text = f"a defect of reconciler kept a task from being looked at, please report it: {self._describe(error)}"
        self._tools.tell(Notice("error", "defect", text, {"task": task} if task else {}))
        return text

    def below(self, folder: str) -> frozenset[str]:
        """Tasks at or below a folder, then and now.

        Raises:
            DesiredStateError: the directory cannot be read.
        """
        return self._reconciler.names_below(folder)

    # --- what a look found -----------------------------------------------------------------------------------------

    def _take_in(self, survey: Survey, names: Collection[str]) -> None:
        self._heed_limits(survey)
        self.frozen = survey.plan.remarks[0] if survey.plan.frozen else ""
        self.revision = survey.plan.revision
        tripped = (rail for rail in survey.plan.rails if rail.state is RailState.TRIPPED)
        self._tripped = {rail.name: rail.found for rail in tripped if rail.found or not rail.tasks}
        if not survey.plan.frozen:
            keep_records(survey, self._tools)
        self._marks = self._tools.store.notified(position.HELD)
        jobs = {job.item.id: job for job in jobs_of(survey) if job.item.is_begun_reset or not survey.plan.frozen}
        items = _by_task(survey.plan.items)
        under_way_first = sorted(items.values(), key=lambda pair: not _is_any_under_way(pair, survey.records))
        findings = [self._settle(item, more, jobs, survey) for item, more in under_way_first]
        self._follow_resets(survey)
        self._agenda.add(survey.left, counted=True)
        self._agenda.add(survey.taken_over.values(), counted=True)
        orphans_no_more = {survey.records[address].task for address in survey.taken_over} - survey.tasks.keys()
        for name, error in survey.defects.items():
            self._tell_defect(name, error)
        self._agenda.add(survey.defects, DEFECT_S)
        gone = [name for name in {*names, *orphans_no_more} if name not in items]
        for name in gone:
            self._drop(name)
        self._states.put((finding for finding in findings if finding is not None), gone)

    def _heed_limits(self, survey: Survey) -> None:
        """Take back what a limit of the run holds from now on, and look again at what it holds or releases."""
        for task in survey.unsettled:
            self._targets.withdraw(task)
        self._agenda.add(survey.unsettled, counted=True)
        for rail in sorted(survey.tripped.keys() - self.limits):
            text = f"limit {rail}: {survey.tripped[rail]}: none of it is sent until some is taken back, or it is forced"
            self._tools.tell(Notice("warning", "limit", text))
        for rail in sorted(self.limits - survey.tripped.keys()):
            self._tools.tell(Notice("info", "limit", f"limit {rail}: no longer too much at once, so it holds nothing"))
        self.limits = frozenset(survey.tripped)

    def _drop(self, name: str) -> None:
        self._targets.withdraw(name)
        self._invalid.pop(name, None)
        self._grips.pop(name, None)
        self._labels.pop(name, None)
        self._waiting_for_reset.discard(name)
        self.try_again(name)

    def _follow_resets(self, survey: Survey) -> None:
        """Look again at what waits for resets when another one is open, or one is no more."""
        before, self._open_resets = self._open_resets, survey.open_resets
        self.resets = tuple(survey.resets.values())
        if {entry.key for entry in before} != {entry.key for entry in survey.open_resets}:
            self._agenda.add(self._waiting_for_reset)

    def _bring_back(self, error: ReconcilerError) -> None:
        """Go on with resets that were begun though nobody knows what is wanted now: their projects may be stopped."""
        if not isinstance(error, DesiredStateError):
            return
        try:
            survey = self._reconciler.begun(self._rules)
            self._follow_resets(survey)
            jobs = {job.item.id: job for job in jobs_of(survey)}
            items = _by_task(survey.plan.items)
            findings = [self._settle(item, more, jobs, survey) for item, more in items.values()]
            self._states.put(finding for finding in findings if finding is not None)
        except ReconcilerError:
            return  # then nothing can be done before the next look
        except Exception as defect:  # noqa: BLE001 - the border: what goes wrong in a look must not end the daemon
            self._tell_defect("", defect)

    def _settle(self, item: Item, more: tuple[Item, ...], jobs: Mapping[str, Job], survey: Survey) -> Finding | None:
        """Do about one task what is to be done, and say how it is; None: the next look says it."""
        known = survey.known.get(item.task)
        self._invalid.pop(item.task, None)
        if item.action is Action.INVALID:
            self._invalid[item.task] = len({violation.file for violation in item.violations})
        self._note((item, *more), survey.expiries.get(item.task))
        sends = any(one.action.sends or one.action is Action.ADOPT for one in (item, *more))
        restless = sends and self._is_restless(item.task)
        if item.action is Action.ADOPT and not restless and item.id in survey.work and not survey.plan.frozen:
            adopt(item, survey, self._tools)
            self._agenda.add((item.task,))
            status = replace(
                status_of(item, None, calling=False), state=State.SYNCED, next_step="", revision=survey.plan.revision
            )
            return Finding(status, self._labels_of(item.task, known), known.imprint.hex() if known else item.address)
        reset_first = sorted((item, *more), key=lambda one: one.intended is not Action.RESET)
        mine = [jobs[one.id] for one in reset_first if one.id in jobs and not (restless and not one.is_begun_reset)]
        if mine:
            self._offer(mine)
        elif item.task not in survey.left:
            self._targets.withdraw(item.task)
        record = survey.records.get(item.address)
        status = self._status_of_reset(item) if item.intended is Action.RESET else self._status(item, record)
        if restless and status.state is State.OUT_OF_SYNC:
            status = replace(status, reason=f"{item.reason}; its files are still being written", next_step="wait")
        for other in more:
            status = together(status, other, self._status_of_reset(other))
        content = known.imprint.hex() if known else item.address
        return Finding(status, self._labels_of(item.task, known), content + "".join(map(_word_of, (item, *more))))

    def _note(self, items: tuple[Item, ...], expires: datetime | None) -> None:
        """Remember what rails have to do with a task, and look again when a hold, an approval or a reset of it ends."""
        task, grip = items[0].task, rail_rows.grip(items, self._marks)
        self._grips.pop(task, None)
        if grip.matters:
            self._grips[task] = grip
        (self._waiting_for_reset.add if "reset" in grip.held else self._waiting_for_reset.discard)(task)
        ends = [end for item in items for end in (item.until, item.approval and item.approval.until) if end]
        ends += [expires] if expires is not None and expires > self._clock.now() else []
        patient = {item.until for item in items if item.rail in PATIENT}  # what they hold is counted already
        for end in ends:
            wait_s = (end - self._clock.now()).total_seconds()
            self._agenda.add((task,), min(max(wait_s, 0.0) + 0.01, _LONGEST_S), counted=end in patient)

    def _labels_of(self, task: str, known: Known | None) -> Mapping[str, str]:
        if known is not None:
            self._labels.pop(task, None)
            if known.labels:
                self._labels[task] = dict(known.labels)
        return self._labels.get(task, {})

    def _offer(self, jobs: Iterable[Job]) -> None:
        """Have the first job of a task carried out that may be: the next one when that is over."""
        job = next(filter(self._may_be_tried, jobs), None)
        if job is not None:
            self._targets.offer(job)

    def _may_be_tried(self, job: Job) -> bool:
        """Whether it is time for a job: another try at the same content may have to wait."""
        slot = _slot(job)
        with self._guard:
            tried = self._tries.get(slot)
            if tried is not None and tried.content != job.content:
                del self._tries[slot]  # newer content waits for nothing
                tried = None
            if tried is not None and tried.result.rail in job.item.forced:
                del self._tries[slot]  # what held it was lifted meanwhile
                tried = None
        job.capped = tried.capped if tried else 0
        wait_s = tried.due - self._clock.monotonic() if tried else 0.0
        if wait_s > 0:
            self._agenda.add((job.item.task,), wait_s, counted=True)
        return wait_s <= 0

    # --- words -----------------------------------------------------------------------------------------------------

    def _status(self, item: Item, record: Record | None) -> TaskStatus:
        job = self._targets.job(item.task)
        trouble = self._targets.trouble(item.target)
        with self._guard:
            tried = self._tries.get((item.task, item.intended is Action.RESET))
        is_newer = tried is not None and tried.result.rail != position.RAIL  # the last try met something else
        met = "" if is_newer else position.held(self._marks, item)
        status = status_of(item, record, calling=False, trouble=trouble, daemon=True, met=met)
        if job is not None and record is not None and record.condition in _UNDER_WAY:
            return _under_way(status, item, record)
        if met and status.state is State.BLOCKED and tried is not None:
            status = replace(status, until=self._until(tried))
        if status.state is not State.OUT_OF_SYNC:
            return self._looked_again(status, tried)
        if trouble:
            return replace(status, reason=f"{item.reason}; waits until target {item.target} can be used: {trouble}")
        if tried is not None:
            return self._tried(status, item, tried)
        step = "wait: it is sent by itself"
        if not self._targets.is_full(item.target):
            return replace(status, next_step=step)
        most = self._tools.max_concurrent.get(item.target, 1)
        turn = f"waits for its turn: at most {most} of target {item.target} at once (max_concurrent)"
        return replace(status, reason=f"{item.reason}; {turn}", next_step=step)

    def _status_of_reset(self, item: Item) -> TaskStatus:
        """What is said of a reset, or of another item that the record of the task is not about."""
        job = self._targets.job(item.task)
        status = self._status(item, None)
        if item.action is Action.RESET and job is not None and job.work.reset is not None and item.is_begun_reset:
            return replace(status, state=State.APPLYING, reason=item.reason, until=None, next_step="wait")
        return status

    def _tried(self, status: TaskStatus, item: Item, tried: _Try) -> TaskStatus:
        until = self._until(tried)
        if tried.result.status is Status.BLOCKED:
            step = "wait: it is looked at again by itself"
            return replace(status, state=State.BLOCKED, reason=tried.result.message, until=until, next_step=step)
        ended = "was not clearly answered" if tried.result.status is Status.UNKNOWN else "had no effect"
        reason = f"{item.reason}; the last attempt {ended}: {tried.result.message}"
        return replace(status, reason=reason, until=until, next_step="wait: it is tried again by itself")

    def _until(self, tried: _Try) -> datetime | None:
        """When the next try is due; None when that is now."""
        wait_s = tried.due - self._clock.monotonic()
        return (self._clock.now() + timedelta(seconds=wait_s)).replace(microsecond=0) if wait_s > 0 else None

    def _looked_again(self, status: TaskStatus, tried: _Try | None) -> TaskStatus:
        if status.state is not State.UNCONFIRMED or tried is None:
            return status
        return replace(status, next_step="look at the component in the console; it is looked at again by itself")

    # --- what became of a job --------------------------------------------------------------------------------------

    def done(self, job: Job, result: Result | Exception) -> None:
        """A job is over; called by any thread."""
        task, slot = job.item.task, _slot(job)
        if isinstance(result, ReconcilerError):
            result = replace(job.unsent(Status.PENDING, str(result)), retry_in_s=PROBLEM_S)
        elif isinstance(result, Exception):
            self._tell_defect(task, result)
            result = replace(job.unsent(Status.PENDING, "a defect of reconciler; see the log"), retry_in_s=DEFECT_S)
        if result.status is Status.PENDING and job.capped >= CAPPED_ATTEMPTS and job.work.reset is None:
            result = self._given_up(job, result)
        with self._guard:
            number = self._tries[slot].number + 1 if slot in self._tries else 1
            wait_s = self._wait_s(job, result, number)
            if wait_s is None:
                self._tries.pop(slot, None)
            else:
                self._tries[slot] = _Try(job.content, result, self._clock.monotonic() + wait_s, number, job.capped)
        self._agenda.add((task,))

    def _given_up(self, job: Job, result: Result) -> Result:
        """A failure that calls itself transient and does not pass is one for people."""
        try:
            self._tools.store.set_condition(job.item.address, Condition.FAILED, result.message)
        except ReconcilerError as error:
            return replace(result, message=str(error), retry_in_s=PROBLEM_S)
        return replace(result, status=Status.FAILED, retry_in_s=None)

    def _wait_s(self, job: Job, result: Result, number: int) -> float | None:
        """How long until the next try at the same content; None when nothing is to be tried."""
        fraction = self._tools.random()
        looked = result.status is Status.FAILED and job.item.action is Action.NOOP
        if result.status is Status.UNCONFIRMED or looked:
            return min(LOOK_AGAIN_S * 2.0 ** min(number - 1, 10), LOOK_AGAIN_CAP_S)
        if result.status is Status.BLOCKED or (result.status is Status.PENDING and result.retry_in_s is None):
            return 1.0 + delay_s(number, fraction)
        if result.status in (Status.PENDING, Status.UNKNOWN) and result.retry_in_s is not None:
            return max(result.retry_in_s, delay_s(number, fraction))
        return None

    def try_again(self, task: str) -> None:
        """Somebody asked for it: this task, or every one for "", does not wait for its next try."""
        with self._guard:
            for slot in tuple(self._tries):
                if task in (slot[0], ""):
                    del self._tries[slot]


_UNDER_WAY = {Condition.APPLYING: State.APPLYING, Condition.VERIFYING: State.VERIFYING}


def _under_way(status: TaskStatus, item: Item, record: Record) -> TaskStatus:
    state = _UNDER_WAY[record.condition]
    reason = (
        "a call is under way" if state is State.APPLYING else "accepted; waiting until the component is seen healthy"
    )
    if item.action.sends and state is State.VERIFYING:
        reason += f"; newer content waits for that: {item.reason}"
    return replace(
        status,
        state=state,
        since=record.since,
        reason=reason,
        next_step="wait",
        ticket=record.ticket,
        request_id=record.request_id,
    )


def _slot(job: Job) -> tuple[str, bool]:
    """What tries are remembered by: a task's reset and its update do not wait for each other's."""
    return job.item.task, job.work.reset is not None


def _is_any_under_way(pair: tuple[Item, tuple[Item, ...]], records: Mapping[str, Record]) -> bool:
    item, more = pair
    return _is_under_way(records.get(item.address)) or any(one.is_begun_reset for one in (item, *more))


def _word_of(item: Item) -> str:
    """What makes it news that a reset failed, or that nobody knows how it ended, although its files are the same."""
    stage = item.outlook.stage if item.outlook else None
    return f"+{stage.value}" if stage in (Stage.UNKNOWN, Stage.REFUSED) else ""


def _is_under_way(record: Record | None) -> bool:
    """Whether a component may be restarting: it gets its lane and its place before others do."""
    conditions = (Condition.APPLYING, Condition.VERIFYING, Condition.UNKNOWN)
    return record is not None and record.condition in conditions


def _by_task(items: Iterable[Item]) -> dict[str, tuple[Item, tuple[Item, ...]]]:
    """`{task: (its item, its other items)}`: a reset that waits holds nothing else up."""
    found: dict[str, tuple[Item, tuple[Item, ...]]] = {}
    for item in sorted(items, key=lambda item: (item.outlook is not None, item.action is Action.ORPHANED)):
        if item.task in found:
            main, more = found[item.task]
            found[item.task] = main, (*more, item)
        else:
            found[item.task] = item, ()
    return found
