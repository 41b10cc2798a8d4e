"""What travels through a run: a job, what it needs from the world, and what becomes of it."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from reconciler.core.names import project_of
from reconciler.errors import TargetError
from reconciler.model import Accepted, Action, Dimension, Item, ObservedComponent
from reconciler.ports import Clock, StateStore, Target
from reconciler.reconcile import Work


class Status(Enum):
    """How an item ended in this run."""

    APPLIED = "applied"  # accepted, and seen healthy
    CONFIRMED = "confirmed"  # accepted by an earlier run, and seen healthy now
    NOT_VERIFIED = "not-verified"  # accepted, and there is nothing to read its health from
    UNCONFIRMED = "unconfirmed"  # accepted, not seen healthy in time
    ADOPTED = "adopted"
    FAILED = "failed"
    UNKNOWN = "unknown"
    PENDING = "pending"  # certainly without effect; the next run tries again
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


@dataclass(frozen=True, slots=True)
class Again:
    """Try the item again, not before `wait_s` seconds have passed."""

    wait_s: float
    result: Result  # what to report when there is no time left


@dataclass(frozen=True, slots=True)
class Tools:
    """What carrying out needs from the world."""

    store: StateStore
    open_target: Callable[[str, Iterable[str]], Target]
    clock: Clock
    random: Callable[[], float]  # 0 <= x < 1
    verify_s: float  # how long to wait for a component to be seen healthy
    max_concurrent: Mapping[str, int]  # {target: components from call to verified}
    report: Callable[[str, str], None]  # (task, what happens now)
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Job:
    """One item on its way through a run."""

    item: Item
    work: Work
    reason: str = ""  # of --force or --resend, for the journal
    retry_until: float | None = None  # monotonic time at which its retries end; None before the first
    attempts: int = 0
    capped: int = 0  # those that failed in a way that is repeated a few times only
    sent: int = 0  # attempts that reached the journal: each advanced the serial
    unknown: bool = False  # an attempt of this run has no clear outcome
    told: str = ""  # why it was put off last, so that the same is not said again
    before: ObservedComponent | None = None  # as it was before the first attempt

    @property
    def project(self) -> str | None:
        """Project of the component, as far as the address tells."""
        address = self.work.desired.task.address
        if address.role is not None:
            return address.role.project
        key = address.key or ""
        if address.dimension is Dimension.TASK_NAME and key.startswith("np_"):  # an id, or a part of a component's name
            return key.partition("-")[0]
        return project_of(key)

    def unsent(self, status: Status, message: str, error: TargetError | None = None) -> Result:
        """A result of a job that goes no further; unknown, whatever *status* says, when an earlier attempt is so."""
        if self.unknown:
            return self.ended(Status.UNKNOWN, f"sent before and not clearly answered; {message}", error)
        return self.ended(status, message, error)

    def ended(self, status: Status, message: str, accepted: Accepted | TargetError | None = None) -> Result:
        """A result of this job."""
        ticket = accepted.ticket if isinstance(accepted, Accepted) else None
        request_id = accepted.request_id if accepted is not None else None
        return Result(self.item.task, self.item.action, status, message, ticket, request_id)
