"""One item, tried once: look, journal, call, journal, verify. Each step may be the last before `kill -9`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

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
from reconciler.jobs import Again, Job, Result, Status, Tools
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
    Plan,
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call goes, and what was seen there just before."""

    dimension: Dimension
    key: str
    region: str
    component: ObservedComponent | None  # None when its health cannot be read


class _HeldError(Exception):
    """Nothing is sent, for a reason seen only now."""


class Attempt:
    """One try at one job.

    Args:
        job: what to do.
        plan: what it belongs to, for the journal.
        target: the server; used by this thread only.
        tools: the world.
        taken: component names that other tasks declare: a role must not resolve to one of them.
    """

    def __init__(self, job: Job, plan: Plan, target: Target, tools: Tools, taken: frozenset[str]) -> None:
        self._job = job
        self._plan = plan
        self._target = target
        self._tools = tools
        self._store = tools.store
        self._taken = taken

    def run(self) -> Result | Again:
        """Try once.

        Returns:
            A result, or the wish to try again.

        Raises:
            TargetMisconfiguredError, CapabilityMissingError: concern every item of the target.
            StateStoreError: nothing was sent, or its intent stays open.
        """
        job = self._job
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
            job.before = place.component
        elif job.unknown and _broke(job.before, place.component):
            return self._broken(place)
        return self._send(place, request)

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

    def _look(self) -> _Place:
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
            if component.name in self._taken:
                raise _HeldError(f"resolves to {component.name}, which another task declares by name")
            return _Place(Dimension.NAME, component.name, component.region, component)
        key, dimension = address.key or "", address.dimension or Dimension.NAME
        found = health.by_name(components, key)
        if components and found is None and address.exact:
            raise _HeldError(
                f"project {project} has no component {key}: it may have moved to another host;"
                f" the server lists {_names(components)}; correct key, or address it by component"
            )
        return _Place(dimension, key, task.cm_region or "", found)

    def _check_same(
        self, components: Sequence[ObservedComponent], found: ObservedComponent | None, role: ComponentRole
    ) -> None:
        """A role counts what is listed, so a component that is missing must not make it mean its neighbour."""
        parts = [lasting_part(component.name) for component in health.of_link(components, role.link)]
        if len(set(parts)) != len(parts):
            raise _HeldError(f"two {role.link.value} components have one place in the project: {_names(components)}")
        record = self._store.record(self._job.item.address)
        before = record.component if record else ""
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
        try:
            return self._target.components(project)
        except (PermanentTargetError, CapabilityMissingError) as error:
            if self._job.work.desired.task.address.role is not None:
                raise _HeldError(f"the present name of the component cannot be found: {error}") from None
            return ()

    def _request(self, place: _Place) -> UpdateRequest:
        desired = self._job.work.desired
        config = payload(desired, self._job.work.base, self._job.item.action)
        allow_delete = self._job.item.action is Action.UPDATE_DELETE
        if allow_delete and desired.task.sections["source"].get("checkpoint") == CHECKPOINT_REFERENCE:
            config = _with_checkpoint(config, place.component)
        return UpdateRequest(place.dimension.value, place.key, place.region, config, allow_delete)

    # --- the call ---------------------------------------------------------------------------------------------------

    def _send(self, place: _Place, request: UpdateRequest) -> Result | Again:
        job = self._job
        self._tools.report(job.item.task, f"{job.item.action.value} of {place.key}, attempt {job.attempts}")
        number = self._store.begin(self._intent(request, place))
        job.sent += 1
        try:  # nothing between the intent and its call may fail: it would count as sent
            accepted = self._target.update_incr_sync(request)
        except TargetError as error:
            return self._not_accepted(number, error)
        verifiable = place.component is not None
        condition = Condition.VERIFYING if verifiable else Condition.NOT_VERIFIED
        self._store.conclude(number, Outcome(condition, "", accepted.ticket, accepted.request_id))
        if not verifiable:
            return job.ended(Status.NOT_VERIFIED, "accepted; its health cannot be read", accepted)
        self._tools.report(job.item.task, f"accepted, ticket {accepted.ticket}; waiting until it runs again")
        return self._verify(place, accepted)

    def _intent(self, request: UpdateRequest, place: _Place) -> Intent:
        job, desired = self._job, self._job.work.desired
        return Intent(
            address=job.item.address,
            task=job.item.task,
            action=job.item.action.value,
            plan=self._plan.id,
            item=job.item.id,
            revision=self._plan.revision,
            request_digest=desired.request_digest(allow_delete=request.allow_delete),
            attempt=job.attempts,
            after=after(desired, job.work.base, job.item.action),
            forced=job.item.forced,
            reason=job.reason,
            component=lasting_part(place.key),
            status_before=job.before.status if job.before else "",
        )

    def _not_accepted(self, number: int, error: TargetError) -> Result | Again:
        job = self._job
        kinds = {UnknownOutcomeError: Condition.UNKNOWN, PermanentTargetError: Condition.FAILED}
        condition = kinds.get(type(error), Condition.RETRYING)
        self._store.conclude(number, Outcome(condition, str(error), None, error.request_id))
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
        return result if enough else Again(max(wished, delay_s(job.attempts, self._tools.random())), result)

    def _broken(self, place: _Place) -> Result:
        """An attempt with an unknown outcome left the component in EXCEPTION: sending again would not help."""
        reason = f"the outcome of the last attempt is unknown, and {place.key} is {health.describe(place.component)}"
        self._store.set_condition(self._job.item.address, Condition.FAILED, reason)
        return self._job.ended(Status.FAILED, reason)

    # --- after the call ---------------------------------------------------------------------------------------------

    def _look_again(self) -> Result:
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
        return self._verify(place, accepted, since_s)

    def _verify(self, place: _Place, accepted: Accepted, since_s: float = 0.0) -> Result:
        """Poll the component until it is well, in EXCEPTION, or the time is up.

        Args:
            place: where the call went.
            accepted: what the server said.
            since_s: how long ago it said so, seconds, when that was in an earlier run.
        """
        clock, job = self._tools.clock, self._job
        longest_s = min(self._tools.verify_s, LOOK_AGAIN_S) if since_s else self._tools.verify_s
        began = clock.monotonic()
        samples: list[Sample] = []
        polls = 0  # more than samples when the server was away
        while clock.monotonic() - began < longest_s and not self._tools.stopping.is_set():
            clock.sleep(_POLLS_S[min(polls, len(_POLLS_S) - 1)])
            polls += 1
            try:
                seen = self._target.components(job.project or "")
            except TemporaryTargetError:
                continue
            except TargetError as error:
                return self._settle(Condition.NOT_VERIFIED, f"accepted; its health cannot be read: {error}", accepted)
            component = self._present(seen, place)
            samples.append(Sample(since_s + clock.monotonic() - began, component))
            verdict = health.judge(job.before, samples)
            if verdict is Verdict.HEALTHY:
                return self._settle(Condition.SYNCED, health.describe(component), accepted)
            if verdict is Verdict.FAILED:
                reason = f"{place.key} is {health.describe(component)} after ticket {accepted.ticket}"
                return self._settle(Condition.FAILED, reason, accepted)
        last = health.describe(samples[-1].component) if samples else "never seen"
        stopped = self._tools.stopping.is_set()
        until = "before the run was stopped" if stopped else f"within {longest_s:g} s"
        reason = f"not seen healthy {until} ({last}); look at ticket {accepted.ticket}"
        return self._settle(Condition.UNCONFIRMED, reason, accepted)

    def _present(self, seen: tuple[ObservedComponent, ...], place: _Place) -> ObservedComponent | None:
        """The component that was sent to, wherever it runs by now."""
        part = lasting_part(place.key)
        return next((component for component in seen if lasting_part(component.name) == part), None)

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
