"""What the daemon tells whoever listens: logs, metrics, notifications. Values only; who listens decides nothing.

A listener is called by any thread, must return soon and must not raise; what one does never reaches the others or the
daemon. Nothing in an event is a secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from reconciler.core.status import State, TaskStatus
from reconciler.model import Head, Stage


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A task is in another state, or in the same one for another content or another reason."""

    status: TaskStatus
    before: State | None  # None: first seen
    labels: Mapping[str, str]
    content: str  # digest of what the files ask for, or of what is wrong with them: the same content, the same text


@dataclass(frozen=True, slots=True)
class TaskGone:
    """A task is no longer known: it was forgotten, or its directory went before it was ever applied."""

    task: str
    before: State


@dataclass(frozen=True, slots=True)
class CallStarted:
    """An intent is on disk and its call is about to be sent."""

    task: str
    target: str
    action: str  # Action.value
    component: str  # name that is sent to
    attempt: int
    revision: str
    plan: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call was answered, or not."""

    task: str
    target: str
    action: str  # Action.value
    outcome: str  # "accepted", or Condition.value of RETRYING, UNKNOWN, FAILED
    seconds: float
    component: str
    revision: str
    plan: str
    ticket: int | None = None
    request_id: str | None = None
    message: str = ""  # "" when accepted


@dataclass(frozen=True, slots=True)
class ItemEnded:
    """A task's work is done for now: verified, failed, put off."""

    task: str
    target: str
    action: str
    status: str  # jobs.Status.value
    message: str
    ticket: int | None = None
    request_id: str | None = None
    retry_in_s: float | None = None  # when it is tried again, seconds; None: not by itself, or at the next resync


@dataclass(frozen=True, slots=True)
class PassEnded:
    """A look at some tasks is complete; calls are not waited for."""

    cause: str  # "start", "event", "commit", "resync", "retry", "command"
    tasks: int  # how many were looked at
    seconds: float
    frozen: str = ""  # why nothing is sent at all; "" when that is not so
    problem: str = ""  # why the pass could not be made: the directory or the store; "" when it could


@dataclass(frozen=True, slots=True)
class TargetChanged:
    """A target can no longer be used, or can be used again."""

    target: str
    kind: str  # "misconfigured", "unreachable", "capability-missing", "stopped"; "" when it can be used
    message: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A component has another name because it moved to another host; nothing is sent for that reason."""

    task: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class HeadChanged:
    """Another commit is read, or a newer one is there and not read, or is not any more."""

    head: Head
    tasks: int | None  # how many tasks have other files than before; None: it may be any


@dataclass(frozen=True, slots=True)
class FetchEnded:
    """Somebody was asked for new commits."""

    seconds: float
    problem: str = ""  # why it failed; "" when it did not


@dataclass(frozen=True, slots=True)
class HookAnswered:
    """A code host, or somebody who is none, said that there are new commits."""

    outcome: str  # "accepted", "ping", "refused", "too-large", "limited", "incomplete"


TOPICS = ("watch", "config", "store", "signal", "lifecycle", "clock", "defect", "notify", "source", "reset", "limit")
"""What a notice may be about."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Anything else that a person may want to know, or has to act on."""

    level: str  # "info", "warning", "error"
    topic: str  # one of TOPICS, to count and rate-limit by
    text: str  # what happened and what to do
    facts: Mapping[str, str] = field(default_factory=dict)


Event: TypeAlias = (
    StateChanged
    | TaskGone
    | CallStarted
    | CallEnded
    | ItemEnded
    | PassEnded
    | TargetChanged
    | Moved
    | HeadChanged
    | FetchEnded
    | HookAnswered
    | Notice
)
Listener: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class SourceVitals:
    """How the place is where the desired state comes from."""

    commit: str = ""  # id of the one that is read; "" where files are read as they are
    problem: str = ""  # Head.kind: why that is not the newest; "" when it is
    last_fetch: datetime | None = None  # end of the last one that went well, aware UTC


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the daemon is, at one moment; asked for by pages and metrics."""

    alive: str  # "" when the loop makes progress; else what is wrong
    ready: str  # "" when configuration and store are open, every task was planned once and the store can be written
    states: Mapping[State, int]
    invalid_files: int
    waiting: int  # tasks in the queue that could be looked at or sent now
    oldest_s: float  # how long the oldest of them has waited, seconds; 0 when there is none
    in_flight: int  # components from call to verified
    restarts: int  # caused since the start
    last_pass: datetime | None  # end of the last complete look, aware UTC
    last_call: datetime | None  # of the last accepted call
    targets: Mapping[str, str]  # {target: kind of trouble}; "" when there is none
    revision: str
    source: SourceVitals = SourceVitals()
    resets: Mapping[Stage, int] = field(default_factory=dict)  # rows of the ledger
    stopped: int = 0  # projects that were stopped for a reset and were not yet told to go on
