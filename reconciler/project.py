"""The project of one reset: how it is now, where its link reads from; and it is told to stop and to go on."""

from collections.abc import Callable

from reconciler.core import arrival
from reconciler.core.arrival import as_time
from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    TargetError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.events import CallEnded, CallStarted, Notice
from reconciler.jobs import Course, Job, Tools
from reconciler.model import Accepted, Action, Link, ObservedProject, ResetKey
from reconciler.ports import Target

RUNNING = "RUNNING"
SUSPEND = "SUSPEND"
GONE = ("FINISHED", "RELEASING", "RELEASED", "DELETED")
"""States in which nothing of a project will ever run again."""

TELL_AGAIN_S = 10.0
"""How long a project that did not answer clearly may look as before until it is told again."""

ACCEPTED_AGAIN_S = 60.0
"""The same when it was accepted: stopping was seen to take up to 34 s."""

_NOT_TOLD = (TemporaryTargetError, PermanentTargetError, CapabilityMissingError)
_UNSEEN = ObservedProject("", None, None)


class Project:
    """What a reset sees of its project, and does to it beside the reset itself.

    Args:
        key: of the reset.
        job: it is for.
        target: the server; used by this thread only.
        tools: the world.
    """

    def __init__(self, key: ResetKey, job: Job, target: Target, tools: Tools) -> None:
        self.id = key.project
        self.name = f"reset {key.request} of {key.project}"
        self.link = Link.REVERSE if key.reverse else Link.FORWARD
        self._job = job
        self._target = target
        self._tools = tools

    # --- looks ------------------------------------------------------------------------------------------------------

    def read(self) -> ObservedProject:
        """The project now.

        Raises:
            TargetError: the server does not tell.
        """
        return self._target.progress(self.id)

    def look(self) -> ObservedProject:
        """The project now; without a status when the server does not tell.

        Raises:
            TargetMisconfiguredError: concerns the whole target.
        """
        try:
            return self.read()
        except _NOT_TOLD:
            return _UNSEEN

    def has_link(self) -> bool:
        """Whether the server lists a component of the link.

        Raises:
            TargetError: the server does not tell.
        """
        return any(component.link is self.link for component in self._target.components(self.id))

    def position(self, seen: ObservedProject) -> int | None:
        """Where the link reads from, unix seconds; None when nothing tells."""
        found = arrival.position(seen, (), self.link)
        if found is not None or not seen.status:
            return found
        try:
            return arrival.position(seen, self._target.components(self.id), self.link)
        except _NOT_TOLD:
            return None

    def has_arrived(self, seen: ObservedProject, course: Course) -> bool:
        """Whether the link was seen where the reset puts it, now or earlier in this run."""
        if not course.arrived and seen.status:
            course.seen = self.position(seen)
            entry = course.entry
            course.arrived = arrival.has_arrived(course.seen, entry.position_before, entry.start_timestamp)
        return course.arrived

    # --- told -------------------------------------------------------------------------------------------------------

    def stop(self, course: Course) -> None:
        """Tell it to stop."""
        self._tell(f"stopping project {self.id}", self._target.stop_project, course)

    def resume(self, course: Course) -> None:
        """Tell it to go on."""
        self._tell(f"resuming project {self.id}", self._target.resume_project, course)

    def may_be_told(self, course: Course) -> bool:
        """Whether it was not told yet, or so long ago that this seems to be lost."""
        return self._tools.clock.monotonic() >= course.may_tell_at

    def _tell(self, what: str, command: Callable[[str], None], course: Course) -> None:
        """How the project looks afterwards says whether it had its effect; telling it twice does no harm."""
        self._target.take_turn()
        self.report(what)
        self._notice("info", what)
        course.refusal, again_s = "", TELL_AGAIN_S
        course.told = True
        try:
            command(self.id)
            again_s = ACCEPTED_AGAIN_S
        except (PermanentTargetError, CapabilityMissingError) as error:
            course.refusal = str(error)
        except (TemporaryTargetError, UnknownOutcomeError) as error:
            self.report(f"not clearly answered, the project is looked at: {error}")
        course.may_tell_at = self._tools.clock.monotonic() + again_s

    # --- words ------------------------------------------------------------------------------------------------------

    def report(self, text: str) -> None:
        """Say what happens now."""
        self._tools.report(self._job.item.task, text)

    def alarm(self, text: str) -> None:
        """Say what a person has to see."""
        self._notice("error", text)

    def _notice(self, level: str, text: str) -> None:
        task = self._job.item.task
        self._tools.tell(Notice(level, "reset", f"{task}: {self.name}: {text}", {"task": task, "project": self.id}))

    def started(self, start_timestamp: int, attempt: int) -> None:
        """Say that its position is about to be reset."""
        job = self._job
        self.report(f"reset to {as_time(start_timestamp)}, attempt {attempt}")
        self._tools.tell(
            CallStarted(job.item.task, job.target, Action.RESET.value, self.id, attempt, job.revision, job.plan)
        )

    def ended(self, outcome: str, began: float, answer: Accepted | TargetError) -> CallEnded:
        """How that was answered; *began* is monotonic."""
        job = self._job
        return CallEnded(
            task=job.item.task,
            target=job.target,
            action=Action.RESET.value,
            outcome=outcome,
            seconds=self._tools.clock.monotonic() - began,
            component=self.id,
            revision=job.revision,
            plan=job.plan,
            ticket=answer.ticket if isinstance(answer, Accepted) else None,
            request_id=answer.request_id,
            message="" if isinstance(answer, Accepted) else str(answer),
        )


def described(seen: ObservedProject) -> str:
    """A project in a few words."""
    return f"it is {seen.status}" if seen.status else "its state cannot be read"
