"""Is a component well after its update? Looked at step by step, until it is, is in EXCEPTION, or the time is up."""

from dataclasses import replace

from reconciler.core import health
from reconciler.core.health import Sample, Verdict
from reconciler.core.names import lasting_part
from reconciler.errors import TargetError, TargetMisconfiguredError, TemporaryTargetError
from reconciler.jobs import Again, Job, Result, Status, Tools, Watch
from reconciler.model import Accepted, Action, Condition, ObservedComponent
from reconciler.sight import HeldError, Sight

LOOK_AGAIN_S = 5.0
"""How long to watch a component that an earlier run did not see healthy."""

UNSEEN = "its health could not be read"
"""How the reason begins when nothing is known of a component: that says nothing against it."""

POLLS_S = (0.2, 0.4, 0.8, 1.6, 2.0)
"""How long until the next look at a component, seconds; the last one stays."""


class Verification:
    """Looks at the component of one job.

    Args:
        job: whose update was accepted, by this run or an earlier one.
        sight: finds its component.
        tools: the world.
    """

    def __init__(self, job: Job, sight: Sight, tools: Tools) -> None:
        self._job = job
        self._sight = sight
        self._tools = tools
        self._store = tools.store

    def is_due_first(self) -> bool:
        """Whether an earlier run sent something and did not see its component come back, a moment ago."""
        record = self._job.work.base.record
        if self._job.waited or record is None or record.condition is not Condition.VERIFYING:
            return False
        since_s = (self._tools.clock.now() - record.since).total_seconds()
        return 0 <= since_s < self._tools.verify_s

    def resume(self) -> Result | Again:
        """Watch a component whose update was accepted by an earlier run and not seen healthy then."""
        record = self._job.work.base.record
        accepted = Accepted(record.ticket, record.request_id) if record else Accepted(None, None)
        since_s = (self._tools.clock.now() - record.applied_at).total_seconds() if record and record.applied_at else 0.0
        try:
            place = self._sight.find(anew=False)
        except (HeldError, TemporaryTargetError) as error:
            if since_s < self._tools.verify_s:  # nobody looked yet, and there is time
                return Again(POLLS_S[-1], self._job.ended(Status.UNCONFIRMED, str(error), accepted), watching=True)
            return self._settle(Condition.UNCONFIRMED, f"{UNSEEN}: {error}", accepted)
        if place.component is None:
            return self._settle(Condition.NOT_VERIFIED, "accepted; its health cannot be read", accepted)
        if record is not None and record.status_before not in ("", health.EXCEPTION):
            self._job.before = replace(place.component, status=record.status_before, checkpoint=None)
        verify_s = self._tools.verify_s
        longest_s = max(verify_s - since_s, min(verify_s, LOOK_AGAIN_S)) if since_s > 0 else verify_s
        self._job.watch = Watch(place, accepted, self._tools.clock.monotonic(), max(since_s, 0.0), longest_s)
        return self.go_on(self._job.watch)

    def go_on(self, watch: Watch) -> Result | Again:
        """Look again soon, or say that the time is up."""
        watched_s = self._tools.clock.monotonic() - watch.began
        if watched_s >= watch.longest_s:
            return self.stop(f"within {watch.longest_s:g} s")
        if watch.newer_waits and watch.is_broken:  # a fix never waits behind what it fixes
            return self.stop("before newer content was sent")
        result = self._job.ended(Status.UNCONFIRMED, "being looked at", watch.accepted)
        return Again(POLLS_S[min(watch.polls, len(POLLS_S) - 1)], result, watching=True)

    def look(self, watch: Watch) -> Result | Again:
        """Look once: is it well, in EXCEPTION, or is the time up?"""
        job, accepted = self._job, watch.accepted
        watch.polls += 1
        try:
            seen = self._sight.components(job.project or "")
        except TemporaryTargetError:
            return self.go_on(watch)
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
        return self.go_on(watch)

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
        """The component that was sent to, wherever it runs by now: the links of a project may number theirs alike."""
        place, part = watch.place, lasting_part(watch.place.key)
        link = place.component.link if place.component else None
        exact = [component for component in seen if component.name == place.key]
        moved = [c for c in seen if lasting_part(c.name) == part and c.link is link]
        found = exact[0] if exact else moved[0] if len(moved) == 1 else None
        if found is not None and found.name != watch.place.key:
            self._sight.note_move(watch.place.key, found.name)
            watch.place = replace(watch.place, key=found.name)
        return found

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
