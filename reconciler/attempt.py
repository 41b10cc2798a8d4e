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
    TargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.events import CallEnded, CallStarted, Moved
from reconciler.jobs import Again, Job, Place, Result, Status, Tools, Watch
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


class _HeldError(Exception):
    """Nothing is sent, for a reason seen only now."""


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
        if job.watch is not None:
            return self._poll(job.watch)
        if job.item.action is Action.NOOP:
            return self._look_again()
        job.attempts += 1
        try:
            self._check_still_meant()
            place = self._look()
            request = self._request(place)
        except _HeldError as held:
            return job.unsent(Status.BLOCKED, str(held))
        except TemporaryTargetError as error:
            return self._again(error)
        if job.before is None:
            job.before = self._before(place)
        if self._is_in_doubt() and _broke(job.before, place.component):
            return self._broken(place)
        return self._send(place, request)

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
        if held is not None:
            raise _HeldError(f"suspended meanwhile: {held.reason}")
        record = self._store.record(item.address)
        serial = record.serial if record else 0
        if serial != item.serial + self._job.sent:
            raise _HeldError("its record was changed meanwhile by another command; plan again")

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
        seen = self._tools.sightings.recent(self._job.target, project, self._tools.clock.monotonic())
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
        self._tools.sightings.put(self._job.target, project, self._tools.clock.monotonic(), components)
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
        self._store.conclude(number, Outcome(condition, "", accepted.ticket, accepted.request_id))
        job.unknown = False
        self._tools.tell(self._ended(place, "accepted", began, accepted))
        if not verifiable:
            return job.ended(Status.NOT_VERIFIED, "accepted; its health cannot be read", accepted)
        self._tools.report(job.item.task, f"accepted, ticket {accepted.ticket}; waiting until it runs again")
        return self._watch(place, accepted, 0.0, self._tools.verify_s)

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
        self._store.conclude(number, Outcome(condition, str(error), None, error.request_id))
        self._tools.tell(self._ended(place, condition.value, began, error))
        if isinstance(error, (TargetMisconfiguredError, CapabilityMissingError)):
            raise error
        if isinstance(error, UnknownOutcomeError):
            job.unknown = True
            return self._again(error)
        if isinstance(error, TemporaryTargetError):
            return self._again(error)
        return job.ended(Status.FAILED, str(error), error)

    def _again(self, error: UnknownOutcomeError | TemporaryTargetError) -> Result | Again:
        job, wished = self._job, 0.0
        if isinstance(error, UnknownOutcomeError):
            result = job.ended(Status.UNKNOWN, str(error), error)
            record = self._store.record(job.item.address)
            enough = record is not None and record.attempts >= UNKNOWN_ATTEMPTS
        else:
            result = job.unsent(Status.PENDING, str(error), error)
            job.capped += error.capped
            enough = error.capped and job.capped >= CAPPED_ATTEMPTS
            wished = error.retry_after_s or 0.0
        if enough:
            return result
        wait_s = max(wished, delay_s(job.attempts, self._tools.random()))
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
            return self._settle(Condition.UNCONFIRMED, f"not looked at: {error}", accepted)
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

    def stop(self, when: str) -> Result:
        """End looking at a component that was not seen healthy: "within 30 s", "before the run was stopped"."""
        watch = self._job.watch
        samples = watch.samples if watch else []
        accepted = watch.accepted if watch else Accepted(None, None)
        last = health.describe(samples[-1].component) if samples else "never seen"
        reason = f"not seen healthy {when} ({last}); look at ticket {accepted.ticket}"
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

    def _settle(self, condition: Condition, reason: str, accepted: Accepted) -> Result:
        self._store.set_condition(self._job.item.address, condition, "" if condition is Condition.SYNCED else reason)
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
