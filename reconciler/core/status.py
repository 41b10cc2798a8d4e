"""What state a task is in, since when, and what comes next: the plan's item beside the record, in words."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from reconciler.model import Action, Condition, Item, Record


class State(Enum):
    """A task's state, as `status` shows it."""

    SYNCED = "synced"
    OUT_OF_SYNC = "out-of-sync"
    APPLYING = "applying"
    VERIFYING = "verifying"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    INVALID = "invalid"
    ORPHANED = "orphaned"


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One row of `status`."""

    task: str
    state: State
    since: datetime | None  # of the last word about the address; None when it was never heard of
    reason: str
    next_step: str
    until: datetime | None
    revision: str  # last applied
    ticket: int | None
    request_id: str | None


_BY_ACTION = {
    Action.INVALID: State.INVALID,
    Action.ORPHANED: State.ORPHANED,
    Action.SUSPENDED: State.SUSPENDED,
    Action.BLOCKED: State.BLOCKED,
}
_BY_CONDITION = {
    Condition.VERIFYING: State.VERIFYING,
    Condition.UNCONFIRMED: State.UNCONFIRMED,
    Condition.RETRYING: State.UNCONFIRMED,  # at other content; what is applied was not looked at since
    Condition.FAILED: State.UNCONFIRMED,
}


def status_of(item: Item, record: Record | None, *, calling: bool, trouble: str = "") -> TaskStatus:
    """State of one task.

    Args:
        item: its line of a fresh plan.
        record: what the store knows of its address.
        calling: whether somebody holds the writer lock now.
        trouble: what keeps its target from being used; "" when nothing does.
    """
    state = _state(item, record, calling=calling)
    return TaskStatus(
        task=item.task,
        state=state,
        since=record.since if record and state in _OF_THE_RECORD else None,
        reason=_reason(item, record, state),
        next_step=_TARGET_STEP if trouble and state is State.OUT_OF_SYNC else _next_step(item, state),
        until=item.until,
        revision=record.revision if record else "",
        ticket=record.ticket if record and state in _OF_THE_TICKET else None,
        request_id=record.request_id if record and state in _OF_THE_TICKET else None,
    )


_OF_THE_TICKET = (State.SYNCED, State.UNCONFIRMED, State.VERIFYING)
_OF_THE_RECORD = (*_OF_THE_TICKET, State.APPLYING, State.FAILED)
"""States that tell of the last call; the others follow from the files, and are as old as those."""


def _state(item: Item, record: Record | None, *, calling: bool) -> State:
    if item.rail == "failed":
        return State.FAILED
    if item.action in _BY_ACTION:
        return _BY_ACTION[item.action]
    if record is not None and record.condition is Condition.APPLYING and calling:
        return State.APPLYING
    if item.action is not Action.NOOP:
        return State.OUT_OF_SYNC
    return _BY_CONDITION.get(record.condition, State.SYNCED) if record else State.SYNCED


def _reason(item: Item, record: Record | None, state: State) -> str:
    if state is State.APPLYING:
        return "a call is under way"
    rail = f"{item.rail}: " if item.rail and item.rail != state.value else ""
    if state is State.OUT_OF_SYNC and record is not None and record.condition is Condition.RETRYING and record.reason:
        return f"{item.reason}; the last attempt had no effect: {record.reason}"
    if state in (State.UNCONFIRMED, State.VERIFYING) and record is not None:
        return record.reason or "accepted; waiting until the component is seen healthy"
    if state is State.SYNCED and record is not None and record.condition is Condition.NOT_VERIFIED:
        return "not verified: its health cannot be read"
    return f"{rail}{item.reason}"


_RAIL_STEPS = {
    "suspend": "reconciler resume {task}",
    "suspend --all": "reconciler resume --all",
    "suspend in task.json": "take suspend out of task.json",
    "new_tasks": "reconciler adopt {task}, or apply --force new_tasks --reason TEXT",
    "first_run": "reconciler adopt --all, or apply --force first_run --reason TEXT",
    "vanished": "restore the directories, or reconciler forget --vanished",
    "incomplete": "complete the files, or apply --force incomplete --reason TEXT",
    "lost_secret": "declare them, or delete them with allowDelete",
    "danger": "add the pointer to allow in task.json, or take the change back",
    "protect": "take the change back, or change protect in task.json",
    "mode": "set policy.mode to auto",
    "unknown": "look at the component in the console, then reconciler retry {task}",
    "secret": "make the reference resolvable where reconciler runs",
    "target": "correct the target in the configuration, or target in task.json",
    "stop_after_failures": "look at the components in the console, then reconciler resume --target {target}",
    "min_update_interval_s": "wait: the daemon sends it then",
    "capability": "upgrade the server, then reconciler retry {task}",
    "approval": "take reset.json out: this release carries out no reset",
}
_TARGET_STEP = "correct the target in the configuration, then reconciler apply"
_STATE_STEPS = {
    State.SYNCED: "",
    State.OUT_OF_SYNC: "reconciler apply {task}",
    State.APPLYING: "wait",
    State.VERIFYING: "wait, or look at the ticket in the console",
    State.UNCONFIRMED: "look at the ticket in the console; the next reconciler apply looks again",
    State.FAILED: "look at the component in the console; change the files, or reconciler retry {task}"
    " and then apply, or apply --resend {task} --reason TEXT",
    State.BLOCKED: "",
    State.SUSPENDED: "",
    State.INVALID: "reconciler validate",
    State.ORPHANED: "restore the directory, or reconciler forget {task}",
}


def _next_step(item: Item, state: State) -> str:
    step = _RAIL_STEPS.get(item.rail, "") if state in (State.BLOCKED, State.SUSPENDED) else _STATE_STEPS[state]
    return step.replace("{task}", item.task).replace("{target}", item.target)


def explain(status: TaskStatus) -> str:
    """One or two sentences: what is, why, until when, what to do."""
    since = f" since {_text(status.since)}" if status.since else ""
    until = f", until {_text(status.until)}" if status.until else ""
    ticket = f" (ticket {status.ticket})" if status.ticket is not None else ""
    reason = status.reason.rstrip(".")
    said = "" if ticket.strip(" ()") in reason else ticket
    first = f"{status.task} is {status.state.value}{since}{until}: {reason}{said}."
    return f"{first} Next: {status.next_step}." if status.next_step else first


def _text(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
