"""One step of a reset: stop the project, wait, move its position, let it go on. Each may be the last before `kill -9`.

Every call but the reads is written down in the ledger before it is made. So whoever finds a stage there knows what may
have happened, and goes on: a project is told again to stop or to go on when it does not look like it, the reset itself
is never sent again without a person. What is written down after the call is how it ended.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf

from reconciler.core import ledger, policy, reset_gates
from reconciler.core.arrival import as_time
from reconciler.core.backoff import delay_s
from reconciler.core.policy import Surroundings
from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    StateStoreError,
    TargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.jobs import Again, Course, Job, Result, Status, Tools, Unwritten
from reconciler.model import Accepted, ObservedProject, ResetEntry, ResetOrder, Stage
from reconciler.ports import Target
from reconciler.project import GONE, RUNNING, SUSPEND, Project, described
from reconciler.sight import BUSY_PROJECT, HeldError
from reconciler.verify import POLLS_S

TURN_S = 120.0
"""How long a project may take to stop, or to run again; stopping was seen to take 15 to 34 s, starting 10 s."""

SETTLE_S = 30.0
"""How long the new position is waited for before the project runs again: it may be moved only then."""

MOST_TRIES = 5
"""Calls without effect until a project that was stopped for the reset is told to go on without it."""

LONGEST_WAIT_S = 60.0
"""A project does not stay stopped for a server that wants to be left alone for longer than that."""

LOOK_AGAIN_S = 30.0
"""How soon a project that did not come back is looked at again."""

_RECORD_AGAIN_S = 2.0


class Resetting:
    """One step with one reset.

    Args:
        job: what to do; its work has the order.
        target: the server; used by this thread only.
        tools: the world.

    Raises:
        ValueError: the job is none of a reset.
    """

    def __init__(self, job: Job, target: Target, tools: Tools) -> None:
        if job.work.reset is None:
            raise ValueError(f"{job.item.task}: expected a job with a reset, found one without")
        self._order: ResetOrder = job.work.reset
        self._job = job
        self._target = target
        self._tools = tools
        self._store = tools.store
        self._project = Project(self._order.entry.key, job, target, tools)

    def run(self) -> Result | Again:
        """Go one step.

        Returns:
            A result, or the wish to come back.

        Raises:
            TargetMisconfiguredError: concerns every item of the target.
            StateStoreError: nothing was sent, or the ledger says that it may have been.
        """
        try:
            course = self._course()
            if course.unwritten is not None:
                return self._write_down(course.unwritten)
            return self._steps[course.entry.stage]()
        except HeldError as held:
            return self._job.unsent(held.status, str(held))
        except TargetMisconfiguredError as error:
            if self._job.resets_now:
                self._project.alarm(f"cannot go on now, at stage {self._entry.stage.value}: {error}")
            raise
        except StateStoreError as error:
            if self._job.resets_now:  # whoever ends by it names no task
                self._project.report(self._job.unsent(Status.PENDING, str(error)).message)
            raise

    @property
    def _steps(self) -> Mapping[Stage, Callable[[], Result | Again]]:
        return {
            Stage.PENDING: self._begin,
            Stage.STOPPING: self._wait_until_stopped,
            Stage.SENDING: self._was_cut_off,
            Stage.ACCEPTED: self._wait_until_moved,
            Stage.RESUMING: self._wait_until_resumed,
            Stage.RETURNING: self._wait_until_returned,
        }

    # --- the ledger -------------------------------------------------------------------------------------------------

    def _course(self) -> Course:
        """Where the reset is; from the ledger at the first step.

        Raises:
            HeldError: the ledger is not as it was when this was planned.
        """
        if self._job.course is None:
            row, order = self._store.reset(self._order.entry.key), self._order
            stage = row.stage if row else None
            entry = order.entry if row is None or row.stage is Stage.PENDING else row
            if stage is not order.known or entry.stage not in self._steps:
                raise HeldError(f"{self._project.name}: its row of the ledger was changed meanwhile", Status.PENDING)
            self._job.course = Course(entry, stage)
        return self._job.course

    @property
    def _entry(self) -> ResetEntry:
        return self._course().entry

    def _at(self, stage: Stage, reason: str = "") -> ResetEntry:
        return replace(self._entry, stage=stage, since=self._tools.clock.now(), reason=reason)

    def _move(self, entry: ResetEntry) -> None:
        """Write down what comes next.

        Raises:
            HeldError: somebody else was quicker; nothing may be called.
        """
        course = self._course()
        if not self._store.move_reset(entry, course.known):
            raise HeldError(f"somebody else goes on with {self._project.name}", Status.PENDING)
        course.entry, course.known = entry, entry.stage
        course.began = course.runs_since = None
        course.told, course.may_tell_at = False, -inf
        course.refusal, course.polls = "", 0

    # --- may it be sent? --------------------------------------------------------------------------------------------

    def _objection(self) -> str:
        """Why the reset must not be sent now; "" when it may."""
        entry, now = self._entry, self._tools.clock.now()
        if not self._order.declared:
            return (
                "it is not asked for any more: its reset.json is gone or another one, cannot be read, or all is frozen"
            )
        if self._order.expires is not None and self._order.expires <= now:
            return "it has expired"
        troubles = self._store.target_trouble()
        around = Surroundings(
            now, suspensions=self._store.suspensions(), troubles=troubles, approvals=self._store.approvals()
        )
        held = policy.suspended(self._job.work.desired.task, self._job.work.base.record, around)
        held = held or policy.troubled(self._job.target, around)
        held = held or reset_gates.objection(entry.start_timestamp, now, self._order.retention_s)
        if held is not None:
            return held.reason
        if policy.approval_of(entry.content_id, around) is None:
            return "its approval has expired, or was taken back"
        return self._other()

    def _other(self) -> str:
        """A reset of the same project that has to end first."""
        entries = [entry for key, entry in self._store.resets().items() if key != self._entry.key]
        other = ledger.under_way(entries, self._job.target, self._project.id)
        return f"reset {other.key.request} of the same project is {other.stage.value}" if other else ""

    def _check_not_withdrawn(self) -> None:
        if self._job.withdrawn:
            raise HeldError(f"not sent: {self._job.withdrawn}", Status.PENDING)

    def _check_still_meant(self) -> None:
        self._check_not_withdrawn()
        if why := self._objection():
            raise HeldError(f"not sent: {why}")

    def _check_window(self) -> None:
        """The window may have closed while the job waited; what was begun is finished all the same."""
        if "window" not in self._job.item.forced:
            closed = policy.window(self._job.work.desired.task, self._tools.windows, self._tools.clock.now())
            if closed is not None:
                raise HeldError(f"not sent: {closed.reason}")

    # --- stop -------------------------------------------------------------------------------------------------------

    def _begin(self) -> Result | Again:
        """Nothing was done yet: stop the project, or send at once."""
        self._check_still_meant()
        self._check_window()
        try:
            seen = self._project.read()
            self._check_link()
        except TemporaryTargetError as error:
            return self._try_again(error)
        except (PermanentTargetError, CapabilityMissingError) as error:
            raise HeldError(f"whether {self._project.id} may be reset cannot be read: {error}") from None
        self._check_status(seen.status)
        if not self._order.stop or seen.status == SUSPEND:
            return self._send()
        self._target.take_turn()
        self._check_still_meant()
        before = self._project.position(seen)
        self._move(replace(self._at(Stage.STOPPING), stopped=True, position_before=before, plan=self._job.plan))
        self._project.stop(self._course())
        return self._look_later()

    def _check_link(self) -> None:
        """What a reset of a link that is not there does is not documented."""
        if not self._project.has_link():
            link = self._project.link.value
            raise HeldError(f"project {self._project.id} lists no component of its {link} link: nothing to reset")

    def _check_status(self, status: str) -> None:
        if status in BUSY_PROJECT:
            raise HeldError(f"project {self._project.id} is {status}: it must not be touched now; try again later")
        if status not in (RUNNING, SUSPEND):
            wanted = f"expected {RUNNING} or {SUSPEND}; see to it in the console"
            raise HeldError(f"project {self._project.id} is {status}, {wanted}")

    def _try_again(self, error: TemporaryTargetError) -> Again:
        wait_s = self._wait_s(error)
        return Again(wait_s, replace(self._job.unsent(Status.PENDING, str(error), error), retry_in_s=wait_s))

    def _wait_until_stopped(self) -> Result | Again:
        course, project = self._course(), self._project
        if why := self._objection():
            return self._give_up(why)
        self._check_not_withdrawn()
        seen = project.look()
        if seen.status == SUSPEND:
            project.report(f"project {project.id} is stopped")
            return self._send()
        if course.refusal:
            return self._give_up(f"the project would not stop: {course.refusal}")
        if self._waited_s() > TURN_S:
            return self._give_up(f"the project did not stop within {TURN_S:g} s ({described(seen)})")
        if seen.status == RUNNING and project.may_be_told(course):
            project.stop(course)
        return self._look_later()

    # --- send -------------------------------------------------------------------------------------------------------

    def _send(self) -> Result | Again:
        """Move the position, unless something says at the last moment that this is not meant any more."""
        self._target.take_turn()
        seen = self._project.look()
        before = self._project.position(seen)  # that may take a while, and what follows is the last moment
        self._check_not_withdrawn()
        why = self._objection()
        if why and self._job.resets_now:
            return self._give_up(why)
        if why:
            raise HeldError(f"not sent: {why}")
        if seen.status != SUSPEND and (self._order.stop or seen.status != RUNNING):
            return self._look_later()  # it was seen otherwise a moment ago
        self._move(replace(self._at(Stage.SENDING), position_before=before, plan=self._job.plan))
        return self._call()

    def _call(self) -> Result | Again:
        entry, course, began = self._entry, self._course(), self._tools.clock.monotonic()
        self._project.started(entry.start_timestamp, course.tries + 1)
        try:  # nothing between the ledger and its call may fail: it would count as sent
            accepted = self._target.reset_incr_start_timestamp(
                entry.key.project, reverse=entry.key.reverse, start_timestamp=entry.start_timestamp
            )
        except TargetError as error:
            return self._not_accepted(error, began)
        now = replace(self._at(Stage.ACCEPTED), ticket=accepted.ticket, request_id=accepted.request_id)
        return self._answered(Unwritten(now, self._project.ended("accepted", began, accepted), 0.0))

    def _not_accepted(self, error: TargetError, began: float) -> Result | Again:
        stopped = self._entry.stopped
        if isinstance(error, UnknownOutcomeError):
            stage, outcome = Stage.UNKNOWN, "unknown"
        elif isinstance(error, (TemporaryTargetError, TargetMisconfiguredError)):
            stage, outcome = Stage.STOPPING if stopped else Stage.PENDING, "retrying"
        else:
            stage, outcome = Stage.RETURNING if stopped else Stage.REFUSED, "failed"
        now = replace(self._at(stage, str(error)), request_id=error.request_id)
        answer = self._answered(Unwritten(now, self._project.ended(outcome, began, error), self._wait_s(error)))
        if isinstance(error, TargetMisconfiguredError):
            raise error
        return answer

    def _wait_s(self, error: TargetError) -> float:
        course = self._course()
        course.tries += 1
        asked_s = error.retry_after_s if isinstance(error, TemporaryTargetError) else None
        return max(asked_s or 0.0, delay_s(course.tries, self._tools.random()))

    def _answered(self, ended: Unwritten) -> Result | Again:
        self._course().unwritten = ended
        self._job.retry_until = None
        return self._write_down(ended)

    def _write_down(self, ended: Unwritten) -> Result | Again:
        """Write down how the call was answered; until that is done nothing else happens to the project."""
        course, entry = self._course(), ended.entry
        try:
            self._move(entry)
        except StateStoreError as error:
            text = f"answered ({ended.event.outcome}), which the ledger could not take yet: {error}"
            return Again(_RECORD_AGAIN_S, self._job.unsent(Status.UNKNOWN, text), error=error)
        course.unwritten = None
        self._tools.tell(ended.event)
        if entry.stage is Stage.UNKNOWN:
            return self._in_doubt(entry.reason)
        if entry.stage is Stage.REFUSED:
            return self._refused()
        if entry.stage in (Stage.STOPPING, Stage.PENDING):
            return self._without_effect(ended)
        if entry.stage is Stage.ACCEPTED:
            self._project.report(f"accepted, ticket {entry.ticket}; waiting until the position is there")
        return self._look_later()

    def _without_effect(self, ended: Unwritten) -> Result | Again:
        """Certainly not sent: the approval still counts. It is tried again, but nobody waits stopped for ever."""
        course, why = self._course(), ended.entry.reason
        result = replace(self._job.unsent(Status.PENDING, why), retry_in_s=ended.wait_s)
        if not ended.entry.stopped:
            return Again(ended.wait_s, result)
        if course.tries >= MOST_TRIES or ended.wait_s > LONGEST_WAIT_S:
            return self._give_up(why)
        self._project.report(f"again in {ended.wait_s:.1f} s: {why}")
        return Again(ended.wait_s, result, watching=True)

    def _was_cut_off(self) -> Result:
        """Found in this stage at the start of a job: whether it was sent died with whoever wrote it down."""
        why = "the program ended while the reset was on its way"
        self._move(self._at(Stage.UNKNOWN, why))
        return self._in_doubt(why)

    def _in_doubt(self, why: str) -> Result:
        stays = f"project {self._project.id} stays stopped; " if self._entry.stopped else ""
        text = (
            f"it is not known whether it was carried out ({why}); {stays}it is never sent again by itself: look at the"
            f" position and the tickets in the console, then reconciler reset resolve {self._job.item.task}"
            " --sent or --not-sent"
        )
        self._project.alarm(text)
        return self._job.ended(Status.UNKNOWN, f"{self._project.name}: {text}")

    # --- afterwards -------------------------------------------------------------------------------------------------

    def _wait_until_moved(self) -> Result | Again:
        """Accepted: see the position where it is to be; then the project may run again."""
        course = self._course()
        arrived = self._project.has_arrived(self._project.look(), course)
        longest_s = SETTLE_S if course.entry.stopped else SETTLE_S + self._tools.verify_s
        if not arrived and self._waited_s() < longest_s:
            return self._look_later()
        if not course.entry.stopped:
            return self._over(arrived=arrived)
        self._move(self._at(Stage.RESUMING, self._where() if arrived else ""))
        return Again(0.0, self._job.unsent(Status.PENDING, "the project is to go on"), watching=True)

    def _wait_until_resumed(self) -> Result | Again:
        seen = self._project.look()
        arrived = self._project.has_arrived(seen, self._course()) or bool(self._entry.reason)
        waiting = self._bring_back(seen)
        if waiting is not None:
            return waiting
        if not arrived and seen.status not in GONE and self._runs_s() < SETTLE_S + self._tools.verify_s:
            return self._look_later()
        return self._over(arrived=arrived)

    def _wait_until_returned(self) -> Result | Again:
        """Not carried out: the project is to run as before."""
        never_told, seen = not self._course().told, self._project.look()
        waiting = self._bring_back(seen)
        if waiting is not None:
            return waiting
        if never_told and seen.status not in GONE and self._runs_s() < TURN_S:
            return self._look_later()  # it may have been told to stop a moment ago
        self._move(self._at(Stage.REFUSED, self._entry.reason))
        return self._refused()

    def _bring_back(self, seen: ObservedProject) -> Result | Again | None:
        """Tell the project to go on until it does; None when it runs, or never will again."""
        course, project = self._course(), self._project
        if seen.status == RUNNING and course.runs_since is None:
            project.report(f"project {project.id} runs")
            course.runs_since = self._tools.clock.monotonic()
        if seen.status == RUNNING or seen.status in GONE:
            return None
        course.runs_since = None
        if self._waited_s() > TURN_S:
            return self._stays_behind(seen)
        if seen.status == SUSPEND and project.may_be_told(course):
            project.resume(course)
        return self._look_later()

    def _stays_behind(self, seen: ObservedProject) -> Result:
        refusal = f"; {self._course().refusal}" if self._course().refusal else ""
        text = (
            f"project {self._project.id} was stopped for it and does not run again ({described(seen)}{refusal}):"
            " see to it in the console; meanwhile it is told again"
        )
        self._project.alarm(text)
        return replace(self._job.unsent(Status.PENDING, text), retry_in_s=LOOK_AGAIN_S)

    # --- ends -------------------------------------------------------------------------------------------------------

    def _give_up(self, why: str) -> Again:
        """Not sent: the project goes on without it."""
        self._project.report(f"not sent: {why}")
        self._move(self._at(Stage.RETURNING, why))
        return Again(0.0, self._job.unsent(Status.PENDING, why), watching=True)

    def _refused(self) -> Result:
        return self._job.ended(Status.FAILED, f"{self._project.name} was not carried out: {self._entry.reason}")

    def _over(self, *, arrived: bool) -> Result:
        entry, name = self._entry, self._project.name
        accepted = Accepted(entry.ticket, entry.request_id)
        where, before = entry.reason or self._where(), f"it was at {as_time(entry.position_before)} before"
        if arrived:
            self._move(self._at(Stage.DONE, where))
            return self._job.ended(Status.APPLIED, f"{name} is carried out, {where}; {before}", accepted)
        why = f"accepted, and not seen at {as_time(entry.start_timestamp)}: {where}; look at ticket {entry.ticket}"
        self._move(self._at(Stage.UNCONFIRMED, why))
        return self._job.ended(Status.UNCONFIRMED, f"{name}: {why}; {before}", accepted)

    def _where(self) -> str:
        return f"seen at {as_time(self._course().seen)}"

    # --- time -------------------------------------------------------------------------------------------------------

    def _waited_s(self) -> float:
        """How long this run waits for what the stage names."""
        course, now = self._course(), self._tools.clock.monotonic()
        course.began = now if course.began is None else course.began
        return now - course.began

    def _runs_s(self) -> float:
        """How long the project has been seen to run."""
        since, now = self._course().runs_since, self._tools.clock.monotonic()
        return 0.0 if since is None else now - since

    def _look_later(self) -> Again:
        course = self._course()
        wait_s = POLLS_S[min(course.polls, len(POLLS_S) - 1)]
        course.polls += 1
        return Again(wait_s, self._job.unsent(Status.PENDING, "it is being looked at"), watching=True)
