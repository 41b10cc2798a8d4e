"""What state a task is in, since when, and what comes next: the plan's item beside the record, in words."""

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from reconciler.core import position
from reconciler.model import Action, Condition, Item, Record, Stage, TaskState


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


FOLLOWED = ("", "followed")
"""Channel and subject under which the store keeps how far the daemon followed the journal and looked at what it asks
for, as a sequence number: no channel of notifications has an empty name."""

UNDER_WAY = (State.OUT_OF_SYNC, State.APPLYING, State.VERIFYING)
"""States that pass by themselves where a daemon runs."""

URGENCY = (
    State.FAILED,
    State.INVALID,
    State.UNCONFIRMED,
    State.BLOCKED,
    *UNDER_WAY,
    State.ORPHANED,
    State.SUSPENDED,
    State.SYNCED,
)
"""All states, those first that a person has to do something about."""


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One row of `status`."""

    task: str
    state: State
    since: datetime | None  # of the last word about the address; None when it was never heard of
    reason: str
    next_step: str
    until: datetime | None  # of a hold: its end; of a difference: the next try
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


def status_of(
    item: Item, record: Record | None, *, calling: bool, trouble: str = "", daemon: bool = False, met: str = ""
) -> TaskStatus:
    """State of one task.

    Args:
        item: its line of a fresh plan.
        record: what the store knows of its address.
        calling: whether somebody holds the writer lock now.
        trouble: what keeps its target from being used; "" when nothing does.
        daemon: whether the next step is for people beside a running daemon, which sends by itself, and beside which
            nobody can `apply`.
        met: what the rail that is asked just before a call said when just this was tried last; "" when it said nothing.
    """
    state = _state(item, record, calling=calling)
    steps = _BESIDE_A_DAEMON if daemon else _BY_HAND
    if met and state is State.OUT_OF_SYNC and not trouble:
        state, item = State.BLOCKED, replace(item, action=Action.BLOCKED, rail=position.RAIL)
    return TaskStatus(
        task=item.task,
        state=state,
        since=record.since if record and state in _OF_THE_RECORD else None,
        reason=f"{met}{_let_go(item)}" if item.rail == position.RAIL else _reason(item, record, state),
        next_step=_next_step(steps, item, state, in_trouble=bool(trouble)),
        until=item.until,
        revision=record.revision if record else "",
        ticket=record.ticket if record and _is_about_the_ticket(record, state) else None,
        request_id=record.request_id if record and _is_about_the_ticket(record, state) else None,
    )


def said(state: TaskState) -> TaskStatus:
    """The status that the daemon remembered."""
    return TaskStatus(
        task=state.task,
        state=State(state.state),
        since=state.since,
        reason=state.reason,
        next_step=state.next_step,
        until=state.until,
        revision=state.revision,
        ticket=state.ticket,
        request_id=state.request_id,
    )


_TOGETHER = (
    State.FAILED,
    State.INVALID,
    State.UNCONFIRMED,
    *UNDER_WAY,  # passes by itself, and what waits beside it is seen then
    State.BLOCKED,
    State.ORPHANED,
    State.SUSPENDED,
    State.SYNCED,
)


_NOTHING = "no difference"
"""What a plan says of a task with nothing to do."""


def together(main: TaskStatus, item: Item, status: TaskStatus) -> TaskStatus:
    """One row for a task that has several items: the reasons of both, and of a reset its state if that is more urgent.

    Args:
        main: what was said of the others.
        item: one more: a reset, or an address that the task left.
        status: of that item.
    """
    if item.intended is Action.NOOP and item.outlook is not None:  # a reset that was carried out
        return replace(main, reason="; ".join((main.reason, *item.remarks)))
    if (status.state, status.reason) == (main.state, main.reason):  # one suspension holds both
        return main
    mine = _beside(main, item)
    is_first = _TOGETHER.index(status.state) <= _TOGETHER.index(main.state)
    if item.intended is Action.RESET and is_first:
        reason, step = "; ".join(filter(None, (status.reason, mine))), status.next_step
        return replace(main, state=status.state, since=None, reason=reason, next_step=step, until=status.until)
    reason = "; ".join(filter(None, (mine, status.reason)))
    return replace(main, reason=reason, next_step=main.next_step or status.next_step)


def _beside(main: TaskStatus, item: Item) -> str:
    """What is to be said of a task beside another item of it: nothing of what goes without saying."""
    if main.state is State.SYNCED and main.reason == _NOTHING:
        return ""
    key = item.outlook.key if item.outlook is not None else None
    waits = (
        key is not None and main.reason.startswith("reset: ") and f"reset {key.request} of {key.project}" in main.reason
    )
    return "its edit waits for that" if waits else main.reason


TROUBLED = ("", "troubled")
"""Where the store keeps what keeps the daemon from looking, or from sending anything at all; "" when nothing does."""

_OF_THE_TICKET = (State.SYNCED, State.UNCONFIRMED, State.VERIFYING)
_OF_THE_RECORD = (*_OF_THE_TICKET, State.APPLYING, State.FAILED)
"""States that tell of the last call; the others follow from the files, and are as old as those."""


def _is_about_the_ticket(record: Record, state: State) -> bool:
    """Whether a state tells of the last accepted call; a failure may be one of a later call that was refused."""
    return state in _OF_THE_TICKET or (state is State.FAILED and f"ticket {record.ticket}" in record.reason)


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
    if state is State.INVALID and item.violations:
        return _first_problem(item)
    rail = "" if item.rail == state.value else shown_rail(item)
    if state is State.OUT_OF_SYNC and record is not None and record.condition is Condition.RETRYING and record.reason:
        return f"{item.reason}{_let_go(item)}; the last attempt had no effect: {record.reason}"
    if state in (State.UNCONFIRMED, State.VERIFYING) and record is not None:
        return record.reason or "accepted; waiting until the component is seen healthy"
    if state is State.SYNCED and record is not None and record.condition is Condition.NOT_VERIFIED:
        return "not verified: its health cannot be read"
    return f"{rail}{item.reason}{_let_go(item)}"


def shown_rail(item: Item) -> str:
    """The rail that holds an item, in front of its reason; "" where the reason begins with its name."""
    said = item.rail == "window" and item.reason.startswith("window ")
    return f"{item.rail}: " if item.rail and not said else ""


def _let_go(item: Item) -> str:
    """Who approved an item, and which rails were lifted for it."""
    found = item.approval
    by = f"; {found.text} (until {moment(found.until)})" if found else ""
    return f"{by}; lifted: {', '.join(item.forced)}" if item.forced else by


def _first_problem(item: Item) -> str:
    first, *others = item.violations
    place = f":{first.place.line}:{first.place.column}" if first.place else ""
    more = f" (and {len(others)} more problem{'s' if len(others) > 1 else ''})" if others else ""
    pointer = first.pointer or "the file"
    return f"{first.file}{place}: {pointer}: expected {first.expected}, found {first.found}{more}"


@dataclass(frozen=True, slots=True)
class _Steps:
    """What to do next, by state, and for what is held by its rail."""

    states: dict[State, str]
    rails: dict[str, str]
    target: str  # when the target cannot be used


_BY_HAND = _Steps(
    states={
        State.OUT_OF_SYNC: "reconciler apply {task}",
        State.APPLYING: "wait",
        State.VERIFYING: "wait, or look at the ticket in the console",
        State.UNCONFIRMED: "look at the ticket in the console; the next reconciler apply looks again",
        State.FAILED: "look at the component in the console; change the files, or reconciler retry {task}"
        " and then apply, or apply --resend {task} --reason TEXT",
        State.INVALID: "reconciler validate",
        State.ORPHANED: "restore the directory, or reconciler forget {task}",
    },
    rails={
        "suspend": "reconciler resume {task}",
        "suspend --label": "reconciler resume --label {label}",
        "suspend --all": "reconciler resume --all",
        "suspend in task.json": "take suspend out of task.json",
        "new_tasks": "reconciler adopt {task}, or apply --force new_tasks --reason TEXT",
        "first_run": "reconciler adopt --all, or apply --force first_run --reason TEXT",
        "vanished": "restore the directories, or reconciler forget --vanished",
        "incomplete": "complete the files, or apply --force incomplete --reason TEXT",
        "removed_keys": "take keys back, or reconciler apply --force removed_keys --reason TEXT",
        "changed_keys": "take changes back, or reconciler apply --force changed_keys --reason TEXT",
        "tasks": "take changes back, or reconciler apply --force tasks --reason TEXT",
        "lost_secret": "declare them, or delete them with allowDelete",
        "danger": "add the pointer to allow in task.json, or take the change back",
        "protect": "take the change back, or change protect in task.json",
        "mode": "set policy.mode to auto",
        "unknown": "look at the component in the console, then reconciler retry {task}",
        "secret": "make the reference resolvable where reconciler runs",
        "target": "correct the target in the configuration, or target in task.json",
        "stop_after_failures": "look at the components in the console, then reconciler resume --target {target}",
        "window": "wait until then, or apply --force window --reason TEXT",
        "checkpoint": "wait until the component has caught up and apply again, or apply --force checkpoint"
        " --reason TEXT",
        "min_update_interval_s": "wait: the daemon sends it then",
        "capability": "upgrade the server, then reconciler retry {task}",
        "reset": "wait for it: reconciler reset list shows how far it is",
        "reset unknown": "look at the link's position in the console, then reconciler reset resolve {task} --sent or"
        " --not-sent, --reason TEXT",
        "reset invalid": "give the request in reset.json another name, or take reset.json out",
        "reset failed": "reconciler reset resolve {task} --not-sent --reason TEXT and approve it again, or take"
        " reset.json out",
        "reset target": "correct allow_reset, edition and version of target {target} in the configuration, or take"
        " reset.json out",
        "perhaps_sent": "reconciler reset resolve {task} --not-sent --reason TEXT, or --sent",
        "expired": "take reset.json out, or give it a later expires",
        "future": "write a moment that is over into reset.json, or wait until it is",
        "retention": "write a later moment into reset.json, or correct log_retention_h of target {target}",
        "approval": "reconciler approvals, which names the plan, then"
        " reconciler approve PLAN --task {task} --reason TEXT, then apply; or take the change back",
    },
    target="correct the target in the configuration, then reconciler apply",
)
_BESIDE_A_DAEMON = _Steps(
    states=_BY_HAND.states
    | {
        State.OUT_OF_SYNC: "wait: it is sent by itself",
        State.UNCONFIRMED: "look at the ticket in the console; the component is looked at again by itself",
        State.FAILED: "look at the component in the console; change the files, or reconciler retry {task}",
    },
    rails=_BY_HAND.rails
    | {
        "window": "wait: it is sent by itself then; or"
        " reconciler approve PLAN --task {task} --force window --reason TEXT (reconciler plan names PLAN)",
        "checkpoint": "wait until the component has caught up: it is sent by itself then; or"
        " reconciler approve PLAN --task {task} --force checkpoint --reason TEXT (reconciler plan names PLAN)",
        "new_tasks": "reconciler adopt {task}; to send it:"
        " reconciler approve PLAN --task {task} --force new_tasks --reason TEXT",
        "first_run": "reconciler adopt --all; to send them: stop the daemon, apply --force first_run --reason TEXT",
        "incomplete": "complete the files; or reconciler approve PLAN --task {task} --force incomplete --reason TEXT",
        "removed_keys": "take keys back, or reconciler approve PLAN --force removed_keys --reason TEXT"
        " (reconciler plan names PLAN)",
        "changed_keys": "take changes back, or reconciler approve PLAN --force changed_keys --reason TEXT"
        " (reconciler plan names PLAN)",
        "tasks": "take changes back, or reconciler approve PLAN --force tasks --reason TEXT"
        " (reconciler plan names PLAN)",
        "approval": "reconciler approvals, which names the plan, then"
        " reconciler approve PLAN --task {task} --reason TEXT: it is sent by itself then; or take the change back",
        "mode": "set policy.mode to auto and reload the daemon",
        "reset target": "correct allow_reset, edition and version of target {target} in the configuration and reload"
        " the daemon, or take reset.json out",
        "target": "correct the target in the configuration and reload the daemon, or target in task.json",
    },
    target="mend the server, or correct its entry in the configuration; it is asked again by itself",
)


def _rail_of(item: Item) -> str:
    """The rail of an item; that of a reset by itself where something else is to be done about it."""
    if item.outlook is None:
        return item.rail
    if item.outlook.stage is Stage.UNKNOWN:
        return "reset unknown"
    if item.action is Action.INVALID:
        return "reset invalid"
    return f"reset {item.rail}" if item.rail in ("failed", "target") else item.rail


def _next_step(steps: _Steps, item: Item, state: State, *, in_trouble: bool) -> str:
    if in_trouble and state is State.OUT_OF_SYNC:
        return steps.target
    found = _rail_of(item)
    held = state in (State.BLOCKED, State.SUSPENDED) or found in ("reset failed", "reset invalid")
    if held:
        told = (_step_of(steps, rail) for rail in (found, *item.also))
        step = ", and ".join(dict.fromkeys(filter(None, told)))
    else:
        step = steps.states.get(state, "")
    return step.replace("{task}", item.task).replace("{target}", item.target)


def _step_of(steps: _Steps, rail: str) -> str:
    name, space, label = rail.partition(" --label ")
    return steps.rails.get(f"{name}{space}".rstrip(), "").replace("{label}", shlex.quote(label))


# --- in words ------------------------------------------------------------------------------------------------------


def explain(status: TaskStatus, now: datetime) -> str:
    """One or two sentences: what is, why, until when, what to do.

    Args:
        status: of the task.
        now: aware; times are told as so long ago, or so far ahead, as well.
    """
    since = f" since {moment(status.since)} ({_distance(status.since, now)})" if status.since else ""
    ticket = f" (ticket {status.ticket})" if status.ticket is not None else ""
    reason = status.reason.rstrip(".")
    told = "" if ticket.strip(" ()") in reason else ticket
    first = f"{status.task} is {status.state.value}{since}{_end(status, now)}: {reason}{told}."
    return f"{first} Next: {status.next_step}." if status.next_step else first


def counted(statuses: Iterable[TaskStatus]) -> str:
    """How many tasks are in which state: "3 tasks: 1 failed, 2 synced"."""
    numbers = Counter(status.state for status in statuses)
    total = numbers.total()
    parts = ", ".join(f"{numbers[state]:,} {state.value}" for state in URGENCY if numbers[state])
    return f"{total:,} task{'' if total == 1 else 's'}{': ' if parts else ''}{parts}"


def moment(at: datetime) -> str:
    """A time for people: "2026-11-21 21:02:11Z"."""
    return at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")


def _end(status: TaskStatus, now: datetime) -> str:
    until = status.until
    if until is None:
        return ""
    at = moment(until)
    if until.date() == now.date():
        at = at.partition(" ")[2]
    word = "next try at" if status.state in UNDER_WAY else "until"
    return f", {word} {at} ({_distance(until, now)})"


_UNITS = (("d", 2 * 86_400, 86_400), ("h", 2 * 3600, 3600), ("min", 2 * 60, 60), ("s", 1, 1))
"""(unit, from how many seconds on, its length in seconds): two days are told in days, one in hours."""


def _distance(at: datetime, now: datetime) -> str:
    """How far away a time is: "in 12 min", "3 h ago"."""
    apart = abs(at - now) // timedelta(seconds=1)
    for unit, least, length in _UNITS:
        if apart >= least:
            amount = f"{apart // length} {unit}"
            return f"in {amount}" if at > now else f"{amount} ago"
    return "now"
