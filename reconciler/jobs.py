"""What travels through a run: a job, what it needs from the world, and what becomes of it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import astuple, dataclass, field
from enum import Enum
from math import inf

from reconciler.core import canonical, ledger
from reconciler.core.health import EXCEPTION, Sample
from reconciler.errors import TargetError
from reconciler.events import CallEnded, Event, Listener
from reconciler.model import (
    Accepted,
    Action,
    Commit,
    Condition,
    Dimension,
    Item,
    ObservedComponent,
    Outcome,
    ResetEntry,
    Stage,
    Window,
)
from reconciler.ports import Clock, StateStore, Target
from reconciler.reconcile import Work

_MOST_SIGHTINGS = 1000
FRESH_S = 5.0
"""How long a reading of a project's components may serve to find the present name of another one."""


class Status(Enum):
    """How an item ended in this run."""

    APPLIED = "applied"  # accepted, and seen healthy
    CONFIRMED = "confirmed"  # accepted by an earlier run, and seen healthy now
    NOT_VERIFIED = "not-verified"  # accepted, and there is nothing to read its health from
    UNCONFIRMED = "unconfirmed"  # accepted, not seen healthy in time
    ADOPTED = "adopted"
    FAILED = "failed"
    UNKNOWN = "unknown"
    PENDING = "pending"  # certainly without effect, or a reset that is not over; the next run goes on
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item."""

    task: str
    action: Action
    status: Status
    message: str
    ticket: int | None = None
    request_id: str | None = None
    retry_in_s: float | None = None  # for PENDING and UNKNOWN: when trying again makes sense; None: not by itself
    rail: str = ""  # for BLOCKED: which rail held it just before the call; "" when that was none


@dataclass(frozen=True, slots=True)
class Again:
    """Come back to the item, not before `wait_s` seconds have passed."""

    wait_s: float
    result: Result  # what to report when there is no time left
    watching: bool = False  # nothing is to be sent: the component is being looked at
    error: Exception | None = None  # what to raise instead of the result when there is no time left


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call goes, and what was seen there just before."""

    dimension: Dimension
    key: str
    region: str
    component: ObservedComponent | None  # None when its health cannot be read


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """An accepted call that is not written down yet."""

    number: int  # of the intent
    outcome: Outcome
    event: CallEnded  # to be told afterwards


@dataclass(frozen=True, slots=True)
class Unwritten:
    """How a reset was answered, which the ledger does not have yet."""

    entry: ResetEntry
    event: CallEnded  # to be told afterwards
    wait_s: float  # until the next step


@dataclass(slots=True)
class Course:
    """How far one reset is in this run."""

    entry: ResetEntry  # as the ledger has it, or as it is to be begun
    known: Stage | None  # stage that the ledger has; None: no row yet
    began: float | None = None  # monotonic: since when what the stage waits for is looked at
    told: bool = False  # whether the project was told to stop or to go on since the stage was reached
    may_tell_at: float = -inf  # monotonic: when it may be told again
    refusal: str = ""  # why the server would not have that
    polls: int = 0  # looks since the stage was reached
    tries: int = 0  # calls that certainly had no effect
    runs_since: float | None = None  # monotonic: since when the project is seen to run
    seen: int | None = None  # the last position that was seen, unix seconds; the first that shows that it has arrived
    arrived: bool = False  # whether the link was seen where the reset puts it
    unwritten: Unwritten | None = None

    @property
    def under_way(self) -> bool:
        """Whether it was begun: its project may be stopped because of it."""
        return self.unwritten is not None or (self.known is not None and self.known.is_under_way)


@dataclass(slots=True)
class Watch:
    """A component that is looked at after its update, until it is well or the time is up."""

    place: Place
    accepted: Accepted
    began: float  # monotonic
    since_s: float  # how long before that the update was accepted: > 0 when an earlier run sent it
    longest_s: float
    samples: list[Sample] = field(default_factory=list)
    polls: int = 0  # more than samples when the server was away
    newer_waits: bool = False  # for content that is to be sent to the same component

    @property
    def is_broken(self) -> bool:
        """Whether the component was in EXCEPTION when it was looked at last."""
        seen = self.samples[-1].component if self.samples else None
        return seen is not None and seen.status == EXCEPTION


class Sightings:
    """What was read of a project's components for a plan, so that its jobs ask once; for all threads.

    Another plan reads anew: what moved since is not to be looked for where it was.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[str, float, tuple[ObservedComponent, ...]]] = {}

    def put(self, job: "Job", project: str, at: float, components: tuple[ObservedComponent, ...]) -> None:
        """Remember a reading."""
        if len(self._seen) >= _MOST_SIGHTINGS:
            self._seen = {key: seen for key, seen in self._seen.items() if at - seen[1] < FRESH_S}
        self._seen[job.target, project] = job.plan, at, components

    def recent(self, job: "Job", project: str, now: float) -> tuple[ObservedComponent, ...] | None:
        """The last reading for the same plan, unless it is older than FRESH_S."""
        plan, at, components = self._seen.get((job.target, project), ("", -FRESH_S, ()))
        return components if plan == job.plan and now - at < FRESH_S else None


def _nobody(_event: Event) -> None:
    """Listens to nothing."""


def no_history(_revision: str, _task: str) -> Commit | None:
    """Where the desired state is a plain directory, nobody can tell who touched it."""
    return None


@dataclass(frozen=True, slots=True)
class Tools:
    """What carrying out needs from the world."""

    store: StateStore
    open_target: Callable[[str, Collection[str]], Target]
    clock: Clock
    random: Callable[[], float]  # 0 <= x < 1
    verify_s: float  # how long to wait for a component to be seen healthy
    max_concurrent: Mapping[str, int]  # {target: components from call to verified}
    report: Callable[[str, str], None]  # (task, what happens now)
    tell: Listener = _nobody
    stop_after: Mapping[str, int] = field(default_factory=dict)  # {target: components not healthy; 0: never}
    sightings: Sightings = field(default_factory=Sightings)
    origin: Callable[[str, str], Commit | None] = no_history  # (revision, task) -> last commit that touched the task
    windows: tuple[Window, ...] = ()  # the configuration's: one may close while a job waits for its turn
    checkpoint_max_age_s: float = 3600.0  # how old a position may be that is filled in for ${oms:checkpoint}


@dataclass(slots=True)
class Job:
    """One item on its way through a run."""

    item: Item
    work: Work
    plan: str  # id of the plan it belongs to
    revision: str
    taken: frozenset[str] = frozenset()  # component names that other tasks declare: a role must not mean one of them
    reason: str = ""  # of --force or --resend, for the journal
    retry_until: float | None = None  # monotonic time at which its retries end; None before the first
    attempts: int = 0
    capped: int = 0  # those that failed in a way that is repeated a few times only
    sent: int = 0  # attempts that reached the journal: each advanced the serial
    unknown: bool = False  # an attempt of this run has no clear outcome
    doubted: float | None = None  # monotonic time since which the component is looked at because of that
    unrecorded: Unrecorded | None = None  # how its call ended, which the store could not take yet
    withdrawn: str = ""  # why it must not be sent any more, although a worker has it in hand
    waited: bool = False  # an earlier update of its component was seen to its end
    told: str = ""  # why it was put off last, so that the same is not said again
    before: ObservedComponent | None = None  # as it was before the first attempt
    commit: Commit | None = None  # the last one that touched the task's directory, as soon as it is known
    watch: Watch | None = None
    course: Course | None = None  # of a reset, from its first step on

    @property
    def target(self) -> str:
        """Name of the target."""
        return self.work.desired.task.address.target

    @property
    def reason_of_call(self) -> str:
        """Why it may go, for the journal: that of --force or --resend, and who approved it."""
        approval = self.item.approval
        return "; ".join(filter(None, (self.reason, approval.text if approval else "")))

    @property
    def wish(self) -> tuple[Action, str]:
        """What it is for: two jobs of a task with the same wish send the same, and stop for the same."""
        order, suspended = self.work.reset, self.work.desired.task.suspend
        if order is not None:  # one that was begun is offered whatever its files say by then
            return self.item.action, f"{self.content} {order.declared} {order.expires} {suspended}"
        deletes = self.item.action is Action.UPDATE_DELETE
        return self.item.action, self.work.desired.request_digest(allow_delete=deletes)

    @property
    def content(self) -> str:
        """What the files and their secrets ask for: another try at the same content may have to wait."""
        order = self.work.reset
        if order is not None:
            return canonical.digest([*astuple(order.entry.key), order.entry.digest])
        return self.work.desired.request_digest(allow_delete=False)

    @property
    def under_way(self) -> bool:
        """Whether its component may be restarting: then it keeps its lane and its place while it waits."""
        return (
            self.resets_now
            or self.unknown
            or self.unrecorded is not None
            or (self.watch is not None and not self.only_looks)
        )

    @property
    def resets_now(self) -> bool:
        """Whether it is a reset that was begun: it goes on, whatever else is not begun any more."""
        return self.course is not None and self.course.under_way

    @property
    def goes_on(self) -> bool:
        """Whether it is a reset that was begun before this job."""
        known = self.work.reset.known if self.work.reset else None
        return known is not None and known.is_under_way

    @property
    def keeps_stopped(self) -> bool:
        """Whether a project was stopped for it, and waits for it to go on."""
        return self.course is not None and self.resets_now and self.course.entry.stopped

    @property
    def only_looks(self) -> bool:
        """Whether it looks at a component past its deadline: that restarts nothing and holds nothing up."""
        record = self.work.base.record
        return self.item.action is Action.NOOP and record is not None and record.condition is not Condition.VERIFYING

    @property
    def project(self) -> str | None:
        """Project of the component, as far as the address tells; of a reset, the one it is for."""
        if self.work.reset is not None:
            return self.work.reset.entry.key.project
        return ledger.project_of(self.work.desired.task.address)

    def unsent(self, status: Status, message: str, error: TargetError | None = None) -> Result:
        """A result of a job that goes no further; unknown, whatever *status* says, when an earlier attempt is so."""
        if self.course is not None and self.course.under_way:
            return self._interrupted(self.course, message, error)
        if self.unknown:
            return self.ended(Status.UNKNOWN, f"sent before and not clearly answered; {message}", error)
        return self.ended(status, message, error)

    def _interrupted(self, course: Course, message: str, error: TargetError | None) -> Result:
        """A result of a reset that was begun and is not over: the ledger says where to go on."""
        entry = course.unwritten.entry if course.unwritten else course.entry
        stays = f", project {entry.key.project} was stopped for it" if entry.stopped else ""
        why = message.removeprefix("not sent: ")
        text = f"reset {entry.key.request} is at stage {entry.stage.value}{stays}; it is gone on with later: {why}"
        accepted = Accepted(entry.ticket, entry.request_id) if entry.ticket is not None else None
        return self.ended(Status.UNKNOWN if course.unwritten else Status.PENDING, text, accepted or error)

    def ended(self, status: Status, message: str, accepted: Accepted | TargetError | None = None) -> Result:
        """A result of this job."""
        ticket = accepted.ticket if isinstance(accepted, Accepted) else None
        request_id = accepted.request_id if accepted is not None else None
        return Result(self.item.task, self.item.action, status, message, ticket, request_id)
