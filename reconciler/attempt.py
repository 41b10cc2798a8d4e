"""One item, tried once: look, journal, call, journal, verify. Each step may be the last before `kill -9`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from reconciler.core import canonical, health, policy
from reconciler.core.backoff import delay_s
from reconciler.core.health import Sample, Verdict
from reconciler.core.names import lasting_part
from reconciler.core.plan import after, payload
from reconciler.core.policy import UNKNOWN_ATTEMPTS, Surroundings
from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    StateStoreError,
    TargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.events import CallEnded, CallStarted, Moved
from reconciler.jobs import Again, Job, Place, Result, Status, Tools, Unrecorded, Watch
from reconciler.model import (
    CHECKPOINT_REFERENCE,
    Accepted,
    Action,
    ComponentRole,
    Condition,
    Dimension,
    Intent,
    JsonObject,
    ObservedComponent,
    Outcome,
    Sections,
    UpdateRequest,
)
from reconciler.ports import Target

CAPPED_ATTEMPTS = 5
"""Attempts in one run at a request that the server answers with a failure that calls itself transient."""

CHECKPOINT_MARGIN_S = 60
"""How far behind the reported checkpoint a component restarts, so that nothing is skipped."""

LOOK_AGAIN_S = 5.0
"""How long to watch a component that an earlier run did not see healthy."""

BUSY_PROJECT = ("RUNNING_MODIFYING", "RUNNING_MERGING")
_POLLS_S = (0.2, 0.4, 0.8, 1.6, 2.0)  # the last one stays


UNSEEN = "its health could not be read"
"""How the reason begins when nothing is known of a component: that says nothing against it."""

CALM_S = 5.0
"""How long after a call without a clear answer a component must look as before until the same is sent again."""

_RECORD_AGAIN_S = 2.0


class _HeldError(Exception):
    """Nothing is sent, for a reason seen only now."""

    def __init__(self, reason: str, status: Status = Status.BLOCKED) -> None:
        super().__init__(reason)
        self.status = status


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
            return self._poll(job.watch)
        if job.item.action is Action.NOOP or self._is_being_verified():
            return self._look_again()
        try:
            self._check_still_meant()
            place = self._look()
            request = self._request(place)
        except _HeldError as held:
            return self._in_doubt(None) or job.unsent(held.status, str(held))
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
        except _HeldError as held:
            return job.unsent(held.status, str(held))
        if job.before is None:
            job.before = place.component
        job.attempts += 1
        return self._send(place, request)

    def _is_being_verified(self) -> bool:
        """Whether an earlier run sent something and did not see its component come back: a fix need not wait long."""
        record = self._job.work.base.record
        if self._job.waited or record is None or record.condition is not Condition.VERIFYING:
            return False
        since_s = (self._tools.clock.now() - record.since).total_seconds()
        return 0 <= since_s < self._tools.verify_s

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
            return Again(_POLLS_S[-1], result)
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
        around = Surroundings(now=self._tools.clock.now(), suspensions=self._store.suspensions())
        held = policy.suspended(task.name, task.suspend, around)
        if self._job.withdrawn:
            raise _HeldError(f"not sent: {self._job.withdrawn}", Status.PENDING)
        if held is not None:
            raise _HeldError(f"suspended meanwhile: {held.reason}")
        record, planned = self._store.record(item.address), self._job.work.base.record
        serial = record.serial if record else 0
        if serial != item.serial + self._job.sent:
            raise _HeldError("its record was changed meanwhile by another command; plan again")
        untouched = not (self._job.sent or self._job.waited)
        if untouched and record and planned and (record.condition, record.since) != (planned.condition, planned.since):
            raise _HeldError(
                "not sent: the last call ended after this was planned; it is planned again", Status.PENDING
            )

    def _look(self) -> Place:
        """The component just before the call: its present name, region and health."""
        task, project = self._job.work.desired.task, self._job.project
        components = self._observe(project) if project else ()
        address = task.address
        if address.role is not None:
            component = health.in_role(components, address.role)
            self._check_same(components, component, address.role)
            if component is None:
                raise _HeldError(
                    f"project {project} has no {address.role.link.value} component {address.role.index};"
                    f" the server lists {_names(components)}"
                )
            if component.name in self._job.taken:
                raise _HeldError(f"resolves to {component.name}, which another task declares by name")
            self._note_move(record.component if (record := self._job.work.base.record) else "", component.name)
            return Place(Dimension.NAME, component.name, component.region, component)
        key, dimension = address.key or "", address.dimension or Dimension.NAME
        found = health.by_name(components, key)
        if components and found is None and address.exact:
            raise _HeldError(
                f"project {project} has no component {key}: it may have moved to another host;"
                f" the server lists {_names(components)}; correct key, or address it by component"
            )
        return Place(dimension, key, task.cm_region or "", found)

    def _check_same(
        self, components: Sequence[ObservedComponent], found: ObservedComponent | None, role: ComponentRole
    ) -> None:
        """A role counts what is listed, so a component that is missing must not make it mean its neighbour."""
        parts = [lasting_part(component.name) for component in health.of_link(components, role.link)]
        if len(set(parts)) != len(parts):
            raise _HeldError(f"two {role.link.value} components have one place in the project: {_names(components)}")
        record = self._store.record(self._job.item.address)
        before = lasting_part(record.component) if record else ""
        if not before and found is not None and not health.is_without_gap(components, role.link):
            raise _HeldError(
                f"which component {role.index} is cannot be told while some are missing; the server lists"
                f" {_names(components)}; wait until all are there, or address it by name"
            )
        if before and found is not None and lasting_part(found.name) != before:
            raise _HeldError(
                f"component {role.index} was {before} and is {found.name} now; the server lists {_names(components)};"
                " if that is right, reconciler adopt the task and send it anew"
            )

    def _observe(self, project: str) -> tuple[ObservedComponent, ...]:
        """Components of a project; () when the server cannot tell."""
        with suppress(PermanentTargetError, CapabilityMissingError):  # then nothing says that it is busy
            status = self._target.progress(project).status
            if status in BUSY_PROJECT:
                raise _HeldError(f"project {project} is {status}: components must not be touched now; try again later")
        seen = self._tools.sightings.recent(self._job, project, self._tools.clock.monotonic())
        if seen is not None and not self._is_in_doubt():
            return seen
        try:
            return self._components(project)
        except (PermanentTargetError, CapabilityMissingError) as error:
            if self._job.work.desired.task.address.role is not None:
                raise _HeldError(f"the present name of the component cannot be found: {error}") from None
            return ()

    def _components(self, project: str) -> tuple[ObservedComponent, ...]:
        components = self._target.components(project)
        self._tools.sightings.put(self._job, project, self._tools.clock.monotonic(), components)
        return components

    def _request(self, place: Place) -> UpdateRequest:
        desired = self._job.work.desired
        config = payload(desired, self._job.work.base, self._job.item.action)
        allow_delete = self._job.item.action is Action.UPDATE_DELETE
        if allow_delete and desired.task.sections["source"].get("checkpoint") == CHECKPOINT_REFERENCE:
            config = _with_checkpoint(config, place.component)
        return UpdateRequest(place.dimension.value, place.key, place.region, config, allow_delete)

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
        return self._later(job.watch)

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
            reason=job.reason,
            component=place.key,
            status_before=job.before.status if job.before else "",
        )

    def _not_accepted(self, number: int, error: TargetError, place: Place, began: float) -> Result | Again:
        job = self._job
        kinds = {UnknownOutcomeError: Condition.UNKNOWN, PermanentTargetError: Condition.FAILED}
        condition = kinds.get(type(error), Condition.RETRYING)
        if condition is Condition.FAILED and self._has_moved(place):
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

    def _has_moved(self, place: Place) -> bool:
        """Whether the component of a role has another name by now, so that it was the name that was refused."""
        role = self._job.work.desired.task.address.role
        if role is None:
            return False
        try:
            now = health.in_role(self._components(role.project), role)
        except TargetError:
            return False
        return now is not None and now.name != place.key

    def _again(self, error: UnknownOutcomeError | TemporaryTargetError) -> Result | Again:
        job = self._job
        if isinstance(error, UnknownOutcomeError):
            result = job.ended(Status.UNKNOWN, str(error), error)
            wait_s = max(_POLLS_S[-1], delay_s(job.attempts, self._tools.random()))
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

    # --- after the call ---------------------------------------------------------------------------------------------

    def _look_again(self) -> Result | Again:
        """Watch a component whose update was accepted by an earlier run and not seen healthy then."""
        record = self._job.work.base.record
        accepted = Accepted(record.ticket, record.request_id) if record else Accepted(None, None)
        since_s = (self._tools.clock.now() - record.applied_at).total_seconds() if record and record.applied_at else 0.0
        try:
            place = self._look()
        except (_HeldError, TemporaryTargetError) as error:
            if since_s < self._tools.verify_s:  # nobody looked yet, and there is time
                return Again(_POLLS_S[-1], self._job.ended(Status.UNCONFIRMED, str(error), accepted), watching=True)
            return self._settle(Condition.UNCONFIRMED, f"{UNSEEN}: {error}", accepted)
        if place.component is None:
            return self._settle(Condition.NOT_VERIFIED, "accepted; its health cannot be read", accepted)
        if record is not None and record.status_before not in ("", health.EXCEPTION):
            self._job.before = replace(place.component, status=record.status_before, checkpoint=None)
        verify_s = self._tools.verify_s
        longest_s = max(verify_s - since_s, min(verify_s, LOOK_AGAIN_S)) if since_s > 0 else verify_s
        return self._watch(place, accepted, max(since_s, 0.0), longest_s)

    def _watch(self, place: Place, accepted: Accepted, since_s: float, longest_s: float) -> Result | Again:
        """Begin to look at a component.

        Args:
            place: where the call went.
            accepted: what the server said.
            since_s: how long ago it said so, seconds, when that was in an earlier run.
            longest_s: how long to look.
        """
        self._job.watch = Watch(place, accepted, self._tools.clock.monotonic(), since_s, longest_s)
        return self._later(self._job.watch)

    def _later(self, watch: Watch) -> Result | Again:
        """Look again soon, or say that the time is up."""
        watched_s = self._tools.clock.monotonic() - watch.began
        if watched_s >= watch.longest_s:
            return self.stop(f"within {watch.longest_s:g} s")
        if watch.newer_waits and watch.is_broken:  # a fix never waits behind what it fixes
            return self.stop("before newer content was sent")
        result = self._job.ended(Status.UNCONFIRMED, "being looked at", watch.accepted)
        return Again(_POLLS_S[min(watch.polls, len(_POLLS_S) - 1)], result, watching=True)

    def _poll(self, watch: Watch) -> Result | Again:
        """Look once: is it well, in EXCEPTION, or is the time up?"""
        job, accepted = self._job, watch.accepted
        watch.polls += 1
        try:
            seen = self._components(job.project or "")
        except TemporaryTargetError:
            return self._later(watch)
        except TargetMisconfiguredError:
            raise  # says nothing about the component, and everything about the target
        except TargetError as error:
            return self._settle(Condition.NOT_VERIFIED, f"accepted; its health cannot be read: {error}", accepted)
        component = self._present(seen, watch)
        after_s = watch.since_s + self._tools.clock.monotonic() - watch.began
        watch.samples.append(Sample(after_s, component))
        verdict = health.judge(job.before, watch.samples)
        if verdict is Verdict.HEALTHY:
            return self._settle(Condition.SYNCED, health.describe(component), accepted)
        if verdict is Verdict.FAILED:
            reason = f"{watch.place.key} is {health.describe(component)} after ticket {accepted.ticket}"
            return self._settle(Condition.FAILED, reason, accepted)
        return self._later(watch)

    def stop(self, when: str) -> Result | Again:
        """End looking at a component that was not seen healthy: "within 30 s", "before the run was stopped"."""
        watch = self._job.watch
        samples = watch.samples if watch else []
        accepted = watch.accepted if watch else Accepted(None, None)
        reason = (
            f"not seen healthy {when} ({health.describe(samples[-1].component)})" if samples else f"{UNSEEN} {when}"
        )
        reason = f"{reason}; look at ticket {accepted.ticket}"
        return self._settle(Condition.UNCONFIRMED, reason, accepted)

    def _present(self, seen: tuple[ObservedComponent, ...], watch: Watch) -> ObservedComponent | None:
        """The component that was sent to, wherever it runs by now."""
        part = lasting_part(watch.place.key)
        found = next((component for component in seen if lasting_part(component.name) == part), None)
        if found is not None and found.name != watch.place.key:
            self._note_move(watch.place.key, found.name)
            watch.place = replace(watch.place, key=found.name)
        return found

    def _note_move(self, before: str, now: str) -> None:
        """Say that a component runs on another host than when it was last seen; nothing is sent for that reason."""
        if before not in ("", now, lasting_part(now)) and before != lasting_part(before):
            self._store.set_component(self._job.item.address, now)
            self._tools.tell(Moved(self._job.item.task, before, now))

    def _settle(self, condition: Condition, reason: str, accepted: Accepted) -> Result | Again:
        self._store.set_condition(self._job.item.address, condition, "" if condition is Condition.SYNCED else reason)
        if self._job.item.action.sends and not self._job.sent:  # that was about an earlier update: now for this one
            self._job.watch, self._job.before, self._job.waited = None, None, True
            return Again(0.0, self._job.unsent(Status.PENDING, "not sent: the run was stopped"), watching=True)
        seen = Status.CONFIRMED if self._job.item.action is Action.NOOP else Status.APPLIED
        status = {
            Condition.SYNCED: seen,
            Condition.NOT_VERIFIED: Status.NOT_VERIFIED,
            Condition.UNCONFIRMED: Status.UNCONFIRMED,
        }.get(condition, Status.FAILED)
        return self._job.ended(status, reason, accepted)


def _broke(before: ObservedComponent | None, now: ObservedComponent | None) -> bool:
    was_well = before is not None and before.status != health.EXCEPTION
    return was_well and now is not None and now.status == health.EXCEPTION


def _names(components: Sequence[ObservedComponent]) -> str:
    return ", ".join(component.name for component in components) or "none"


def _with_checkpoint(config: Sections, component: ObservedComponent | None) -> Sections:
    """Fill in the position that OMS reports, less the margin, for every client.

    Source:
        https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000000862039 (client id as key, time as value);
        seconds are INFERRED
    """
    if component is None or component.checkpoint is None:
        raise _HeldError(f"{CHECKPOINT_REFERENCE} cannot be filled in: the server reports no checkpoint")
    position = canonical.scalar_text(component.checkpoint - CHECKPOINT_MARGIN_S)
    source: JsonObject = config["source"]
    clients = source.get("clients", ())
    if not clients or not all("clientId" in client for client in clients):
        raise _HeldError(f"{CHECKPOINT_REFERENCE} cannot be filled in: /source/clients lacks clients or a clientId")
    checkpoint = {client["clientId"]: position for client in clients}
    return {**config, "source": {**source, "checkpoint": checkpoint}}
