"""One step of a job: look, journal, call, journal; then what `verify` does. Each may be the last before `kill -9`."""

from dataclasses import replace

from reconciler.core import health, policy, position
from reconciler.core.backoff import delay_s
from reconciler.core.plan import after, payload
from reconciler.core.policy import UNKNOWN_ATTEMPTS, Surroundings
from reconciler.errors import (
    CapabilityMissingError,
    DesiredStateError,
    PermanentTargetError,
    StateStoreError,
    TargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.events import CallEnded, CallStarted
from reconciler.jobs import Again, Job, Place, Result, Status, Tools, Unrecorded, Watch
from reconciler.model import (
    CHECKPOINT_REFERENCE,
    Accepted,
    Action,
    Commit,
    Condition,
    Intent,
    ObservedComponent,
    Outcome,
    Sections,
    UpdateRequest,
)
from reconciler.ports import Target
from reconciler.sight import HeldError, Sight
from reconciler.verify import POLLS_S, Verification

CAPPED_ATTEMPTS = 5
"""Attempts in one run at a request that the server answers with a failure that calls itself transient."""

CALM_S = 5.0
"""How long after a call without a clear answer a component must look as before until the same is sent again."""

_RECORD_AGAIN_S = 2.0


class Attempt:
    """One try at one job.

    Args:
        job: what to do.
        target: the server; used by this thread only.
        tools: the world.
    """

    def __init__(self, job: Job, target: Target, tools: Tools) -> None:
        self._job = job
        self._target = target
        self._tools = tools
        self._store = tools.store
        self._sight = Sight(job, target, tools)
        self._verification = Verification(job, self._sight, tools)

    def stop(self, when: str) -> Result | Again:
        """End looking at a component that was not seen healthy; see `Verification.stop`."""
        return self._verification.stop(when)

    def run(self) -> Result | Again:
        """Go one step: try to send, or look once at a component that was sent to.

        Returns:
            A result, or the wish to come back.

        Raises:
            TargetMisconfiguredError, CapabilityMissingError: concern every item of the target.
            StateStoreError: nothing was sent, or its intent stays open.
        """
        job = self._job
        if job.unrecorded is not None:
            return self._recorded(job.unrecorded)
        if job.watch is not None:
            return self._verification.look(job.watch)
        if job.item.action is Action.NOOP or self._verification.is_due_first():
            return self._verification.resume()
        try:
            self._check_still_meant()
            job.commit = job.commit or self._commit()  # that may take a while, and what follows is the last moment
            place = self._sight.find(anew=self._needs_position or self._is_in_doubt())
            request = self._request(place)
        except HeldError as held:
            return self._in_doubt(None) or self._held(held)
        except TemporaryTargetError as error:
            job.attempts += 1
            return self._again(error)
        return self._in_doubt(place) or self._sent(place, request)

    def _sent(self, place: Place, request: UpdateRequest) -> Result | Again:
        """Send, unless something says at the last moment that this is not meant any more."""
        job = self._job
        self._target.take_turn()
        try:
            self._check_still_meant()
        except HeldError as held:
            return job.unsent(held.status, str(held))
        if job.before is None:
            job.before = place.component
        job.attempts += 1
        return self._send(place, request)

    def _held(self, held: HeldError) -> Result:
        """A result of a job that was held just before its call; a rail that only the call meets is remembered."""
        item = self._job.item
        if not held.rail:
            if held.status is Status.BLOCKED and self._needs_position:
                self._store.set_notified(position.HELD, item.address, "")  # it is not what holds it any more
            return self._job.unsent(held.status, str(held))
        reason = f"{held.rail}: {held}"
        self._store.set_notified(position.HELD, item.address, position.mark(item, reason))
        return replace(self._job.unsent(held.status, reason), rail=held.rail)

    def _commit(self) -> Commit | None:
        """Who touched the task's files last, for the journal: not to know it is no reason not to call."""
        try:
            return self._tools.origin(self._job.revision, self._job.item.task)
        except DesiredStateError:
            return None

    # --- an outcome that is unknown ---------------------------------------------------------------------------------

    def _in_doubt(self, place: Place | None) -> Result | Again | None:
        """What to do first when the same was sent before and not clearly answered; None: send it.

        The component may be restarting because of it. So nothing is sent until it looks as before, or the time is up.

        Args:
            place: None when the component is not listed now.
        """
        job, clock = self._job, self._tools.clock
        if not self._is_in_doubt():
            return None
        job.unknown = True
        job.doubted = clock.monotonic() if job.doubted is None else job.doubted
        job.before = job.before or (self._before(place) if place else None)
        component = place.component if place else None
        if place is not None and _broke(job.before, component):
            return self._broken(place)
        watched_s = clock.monotonic() - job.doubted
        was = job.before.status if job.before else health.RUNNING
        calm = place is not None and (component is None or component.status == was)
        record = self._store.record(job.item.address)
        result = job.ended(Status.UNKNOWN, record.reason if record else "sent and not clearly answered")
        if watched_s < (CALM_S if calm else self._tools.verify_s):
            return Again(POLLS_S[-1], result)
        job.doubted = None
        return result if record is not None and record.attempts >= UNKNOWN_ATTEMPTS and job.sent else None

    def _is_in_doubt(self) -> bool:
        """Whether the same content was sent before, by this run or one that died, and not clearly answered."""
        record = self._job.work.base.record
        sent_before = record is not None and record.attempts > 0 and self._job.work.desired.was(record.attempted)
        return self._job.unknown or sent_before

    def _before(self, place: Place) -> ObservedComponent | None:
        """The component as it was before this content was first sent to it: only its status outlives the program."""
        record = self._job.work.base.record
        if place.component is None or record is None or not record.status_before or not self._is_in_doubt():
            return place.component
        return replace(place.component, status=record.status_before)

    # --- before the call --------------------------------------------------------------------------------------------

    def _check_still_meant(self) -> None:
        """What a command may have changed since the plan was made."""
        item, task = self._job.item, self._job.work.desired.task
        suspensions, ledger = self._store.suspensions(), self._store.resets()
        now, approvals = self._tools.clock.now(), self._store.approvals()
        around = Surroundings(now, suspensions=suspensions, resets=ledger, approvals=approvals)
        held = policy.suspended(task, self._job.work.base.record, around)
        if self._job.withdrawn:
            raise HeldError(f"not sent: {self._job.withdrawn}", Status.PENDING)
        if held is not None:
            raise HeldError(f"suspended meanwhile: {held.reason}")
        if waits := policy.waits_for_reset(self._job.target, self._job.project, around):
            raise HeldError(f"not sent: {waits.reason}")
        if closed := self._closed():
            raise HeldError(f"not sent: {closed.reason}")
        if item.approval and policy.approval_of(item.content_id, around) is None:
            raise HeldError("not sent: the approval that let it go expired or was taken back")
        record, planned = self._store.record(item.address), self._job.work.base.record
        serial = record.serial if record else 0
        if serial != item.serial + self._job.sent:
            raise HeldError("its record was changed meanwhile by another command; plan again")
        untouched = not (self._job.sent or self._job.waited)
        if untouched and record and planned and (record.condition, record.since) != (planned.condition, planned.since):
            raise HeldError("not sent: the last call ended after this was planned; it is planned again", Status.PENDING)

    def _closed(self) -> policy.Hold | None:
        """The window that closed while the job waited; what was begun is finished all the same."""
        job, tools = self._job, self._tools
        desired, record = job.work.desired, job.work.base.record
        if job.unknown or "window" in job.item.forced or policy.was_begun(desired, record):
            return None
        return policy.window(desired.task, tools.windows, tools.clock.now())

    def _request(self, place: Place) -> UpdateRequest:
        desired = self._job.work.desired
        config = payload(desired, self._job.work.base, self._job.item.action)
        allow_delete = self._job.item.action is Action.UPDATE_DELETE
        if self._needs_position:
            config = self._with_position(config, place)
        return UpdateRequest(place.dimension.value, place.key, place.region, config, allow_delete)

    @property
    def _needs_position(self) -> bool:
        """Whether what is sent says where the component starts: a position moves, so it is read just before."""
        deletes = self._job.item.action is Action.UPDATE_DELETE
        return deletes and position.is_asked_for(self._job.work.desired.task.sections)

    def _with_position(self, config: Sections, place: Place) -> Sections:
        """What is sent, with the position that OMS reports.

        Raises:
            HeldError: there is none that a component may be started from.
            StateStoreError: that it is not held any more cannot be written down.
            TargetError: the server does not tell.
        """
        found, tools = self._sight.position(place), self._tools
        if (reason := position.unusable(found)) or not isinstance(found, int):
            raise HeldError(reason)
        reason = position.bad_age(found, tools.clock.now(), tools.checkpoint_max_age_s)
        if reason and position.RAIL not in self._job.item.forced:
            raise HeldError(reason, rail=position.RAIL)
        self._store.set_notified(position.HELD, self._job.item.address, "")
        if not position.has_clients(config):
            lacking = "/source/clients lacks clients or a clientId"
            raise HeldError(f"{CHECKPOINT_REFERENCE} cannot be filled in: {lacking}")
        return position.filled_in(config, found)

    # --- the call ---------------------------------------------------------------------------------------------------

    def _send(self, place: Place, request: UpdateRequest) -> Result | Again:
        job = self._job
        self._tools.report(job.item.task, f"{job.item.action.value} of {place.key}, attempt {job.attempts}")
        number = self._store.begin(self._intent(request, place))
        job.sent += 1
        began = self._tools.clock.monotonic()
        self._tools.tell(self._started(place))
        try:  # nothing between the intent and its call may fail: it would count as sent
            accepted = self._target.update_incr_sync(request)
        except TargetError as error:
            return self._not_accepted(number, error, place, began)
        verifiable = place.component is not None
        condition = Condition.VERIFYING if verifiable else Condition.NOT_VERIFIED
        job.unknown = False
        if verifiable:
            verify_s = self._tools.verify_s
            job.watch = Watch(place, accepted, self._tools.clock.monotonic(), 0.0, verify_s)
        outcome = Outcome(condition, "", accepted.ticket, accepted.request_id)
        return self._recorded(Unrecorded(number, outcome, self._ended(place, "accepted", began, accepted)))

    def _recorded(self, ended: Unrecorded) -> Result | Again:
        """Write down that a call was accepted; until that is done nothing else happens to its component."""
        job, outcome = self._job, ended.outcome
        accepted = Accepted(outcome.ticket, outcome.request_id)
        try:
            self._store.conclude(ended.number, outcome)
        except StateStoreError as error:
            job.unrecorded = ended
            text = f"accepted, ticket {outcome.ticket}, which the store could not take yet: {error}"
            return Again(_RECORD_AGAIN_S, job.ended(Status.UNKNOWN, text, accepted), error=error)
        job.unrecorded = None
        self._tools.tell(ended.event)
        if job.watch is None:
            return job.ended(Status.NOT_VERIFIED, "accepted; its health cannot be read", accepted)
        self._tools.report(job.item.task, f"accepted, ticket {accepted.ticket}; waiting until it runs again")
        return self._verification.go_on(job.watch)

    def _started(self, place: Place) -> CallStarted:
        job = self._job
        return CallStarted(
            job.item.task, job.target, job.item.action.value, place.key, job.attempts, job.revision, job.plan
        )

    def _ended(self, place: Place, outcome: str, began: float, answer: Accepted | TargetError) -> CallEnded:
        job = self._job
        return CallEnded(
            task=job.item.task,
            target=job.target,
            action=job.item.action.value,
            outcome=outcome,
            seconds=self._tools.clock.monotonic() - began,
            component=place.key,
            revision=job.revision,
            plan=job.plan,
            ticket=answer.ticket if isinstance(answer, Accepted) else None,
            request_id=answer.request_id,
            message="" if isinstance(answer, Accepted) else str(answer),
        )

    def _intent(self, request: UpdateRequest, place: Place) -> Intent:
        job, desired = self._job, self._job.work.desired
        return Intent(
            address=job.item.address,
            task=job.item.task,
            action=job.item.action.value,
            plan=job.plan,
            item=job.item.id,
            revision=job.revision,
            request_digest=desired.request_digest(allow_delete=request.allow_delete),
            attempt=job.attempts,
            after=after(desired, job.work.base, job.item.action),
            forced=job.item.forced,
            reason=job.reason_of_call,
            commit=job.commit,
            component=place.key,
            status_before=job.before.status if job.before else "",
            content_id=job.item.content_id,
        )

    def _not_accepted(self, number: int, error: TargetError, place: Place, began: float) -> Result | Again:
        job = self._job
        kinds = {UnknownOutcomeError: Condition.UNKNOWN, PermanentTargetError: Condition.FAILED}
        condition = kinds.get(type(error), Condition.RETRYING)
        if condition is Condition.FAILED and self._sight.has_moved(place):
            condition, error = Condition.RETRYING, TemporaryTargetError(f"{error}; it has moved to another host")
        self._store.conclude(number, Outcome(condition, str(error), None, error.request_id))
        self._tools.tell(self._ended(place, condition.value, began, error))
        if isinstance(error, (TargetMisconfiguredError, CapabilityMissingError)):
            raise error
        if isinstance(error, UnknownOutcomeError):
            job.unknown = True
            job.doubted = self._tools.clock.monotonic()
            return self._again(error)
        if isinstance(error, TemporaryTargetError):
            return self._again(error)
        return job.ended(Status.FAILED, str(error), error)

    def _again(self, error: UnknownOutcomeError | TemporaryTargetError) -> Result | Again:
        job = self._job
        if isinstance(error, UnknownOutcomeError):
            result = job.ended(Status.UNKNOWN, str(error), error)
            wait_s = max(POLLS_S[-1], delay_s(job.attempts, self._tools.random()))
            return Again(wait_s, replace(result, retry_in_s=wait_s))
        result = job.unsent(Status.PENDING, str(error), error)
        job.capped += error.capped
        if error.capped and job.capped >= CAPPED_ATTEMPTS:
            return result
        wait_s = max(error.retry_after_s or 0.0, delay_s(job.attempts, self._tools.random()))
        return Again(wait_s, replace(result, retry_in_s=wait_s))

    def _broken(self, place: Place) -> Result:
        """An attempt with an unknown outcome left the component in EXCEPTION: sending again would not help."""
        reason = f"the outcome of the last attempt is unknown, and {place.key} is {health.describe(place.component)}"
        self._store.set_condition(self._job.item.address, Condition.FAILED, reason)
        return self._job.ended(Status.FAILED, reason)


def _broke(before: ObservedComponent | None, now: ObservedComponent | None) -> bool:
    was_well = before is not None and before.status != health.EXCEPTION
    return was_well and now is not None and now.status == health.EXCEPTION
