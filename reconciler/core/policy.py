"""What a plan may do: every rail as one small question, asked in order.

A gate gets the whole case and answers with a `Hold` or None. Each hold has the name of its rail, so that the plan
shows what holds a task, and `apply --force RAIL` knows what to lift.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from reconciler.core import ledger, limits, pointer, position, windows
from reconciler.core.desired import Desired
from reconciler.model import (
    Action,
    Approval,
    Change,
    Condition,
    DangerLevel,
    Limits,
    Record,
    ResetEntry,
    ResetKey,
    Stage,
    Suspension,
    Task,
    Window,
)

FORCIBLE = ("new_tasks", "first_run", "vanished", "incomplete", *limits.RAILS, "window", "checkpoint")
"""Rails that `apply --force` may lift. The others have a way of their own: `allow`, `resume`, `retry`, the mode."""

FIRST_RUN_TASKS = 50
VANISHED_SHARE = 0.30
VANISHED_FLOOR = 3
UNKNOWN_ATTEMPTS = 3
"""Sends of the same content with an unknown outcome: the first and two more."""

ALL_TASKS = "*"
"""What stands for every task where a task may be named: in suspensions, and in rows of the journal."""


def label_key(label: str) -> str:
    """Under which name the suspension of tasks with a label is kept: "team=shop" -> "*team=shop"."""
    return f"{ALL_TASKS}{label}"


def label_of(key: str) -> str:
    """The label in the name of a suspension; "" when it is the one of all tasks, or of a single one."""
    return key.removeprefix(ALL_TASKS) if key.startswith(ALL_TASKS) else ""


def shown_key(key: str) -> str:
    """Who is meant by the name of a suspension, for people: "all tasks", "tasks with team=shop", "shop/orders"."""
    label = label_of(key)
    return f"tasks with {label}" if label else "all tasks" if key == ALL_TASKS else key


class Mode(Enum):
    """How far the program goes by itself."""

    AUTO = "auto"
    APPROVE = "approve"
    OBSERVE = "observe"


class NewTasks(Enum):
    """What happens at first sight of a task."""

    HOLD = "hold"
    ADOPT = "adopt"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration and the command line allow."""

    mode: Mode = Mode.AUTO
    new_tasks: NewTasks = NewTasks.HOLD
    forced: frozenset[str] = frozenset()
    resend: frozenset[str] = frozenset()  # names of tasks to send without a difference
    targets: Mapping[str, str] | None = None  # {name: "CE" or "EE"}; None: not looked at
    refused: Mapping[str, str] = field(default_factory=dict)  # {target: why its release cannot be sent an update}
    intervals: Mapping[str, float] = field(default_factory=dict)  # {target: min_update_interval_s}
    concurrent: Mapping[str, int] = field(default_factory=dict)  # {target: max_concurrent}, to be told only
    paced: bool = False  # whether intervals hold; else they are only told: they are the daemon's
    limits: Limits = field(default_factory=Limits)
    windows: tuple[Window, ...] = ()
    approve_deletions: bool = False  # whether deletions need an approval in every mode, as resets do
    resets: Mapping[str, str] = field(default_factory=dict)  # {target: why no reset may be sent to it; "": it may}
    retention_s: Mapping[str, float] = field(default_factory=dict)  # {target: how far back its logs reach}
    stop_after: Mapping[str, int] = field(default_factory=dict)  # {target: stop_after_failures}, to be told only
    checkpoint_max_age_s: float = 3600.0  # likewise
    resumed: frozenset[str] = frozenset()  # names of suspensions that are left aside, to see what would run


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for all tasks of one plan."""

    now: datetime
    policy: Policy = field(default_factory=Policy)
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)
    troubles: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # {target: (kind, message)}
    first_run: bool = False  # an empty store and more than FIRST_RUN_TASKS tasks
    approvals: Mapping[str, Approval] = field(default_factory=dict)  # {Item.content_id: Approval}, expired ones too
    resets: Mapping[ResetKey, ResetEntry] = field(default_factory=dict)  # the ledger
    open_resets: tuple[ResetEntry, ...] = field(init=False, repr=False)  # of it: under way, or unknown; seldom any

    def __post_init__(self) -> None:
        object.__setattr__(self, "open_resets", tuple(filter(ledger.is_open, self.resets.values())))


@dataclass(frozen=True, slots=True)
class Case:
    """One task that has something to do."""

    desired: Desired
    record: Record | None
    intended: Action
    changes: tuple[Change, ...]
    lacking: tuple[str, ...]  # what keeps the payload from being complete
    around: Surroundings
    lost: tuple[str, ...] = ()  # secrets that would have to be sent along, and that nobody has any more
    unchanged: int = 0  # leaves of the task's content that stay as they are
    approval: Approval | None = None  # in force
    content_id: str = ""  # of the item: what approvals bind to

    @property
    def forced(self) -> frozenset[str]:
        """Rails that somebody lifted, for the run or with the approval."""
        return self.around.policy.forced.union(self.approval.forced if self.approval else ())

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever applied or adopted for the address, and nothing may have been."""
        return self.record is None or (self.record.digest is None and not self.record.open_intents)

    @property
    def effective(self) -> tuple[Change, ...]:
        """Changes that would reach the component."""
        return tuple(change for change in self.changes if not change.left_in_place)


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing is sent."""

    rail: str
    reason: str
    until: datetime | None = None
    action: Action = Action.BLOCKED
    also: tuple[str, ...] = ()  # rails of further suspensions, which end no later


Gate = Callable[[Case], Hold | None]


def hold(case: Case) -> Hold | None:
    """The first rail that holds the case; None when it may go."""
    return next(holds(case), None)


def holds(case: Case) -> Iterator[Hold]:
    """Every rail that holds the case, in the order in which they are asked."""
    for gate in GATES:
        found = gate(case)
        if found is not None and not (found.rail in FORCIBLE and found.rail in case.forced):
            yield found


def forced(case: Case) -> tuple[str, ...]:
    """Names of rails that would hold the case and are overridden."""
    found = (gate(case) for gate in GATES)
    lifted = tuple(h.rail for h in found if h is not None and h.rail in FORCIBLE and h.rail in case.forced)
    return (*lifted, position.RAIL) if position.RAIL in case.forced and _fills_in_position(case) else lifted


def _fills_in_position(case: Case) -> bool:
    """Whether the call says where the component starts: how old that may be is asked just before it."""
    return case.intended is Action.UPDATE_DELETE and position.is_asked_for(case.desired.task.sections)


def approval_of(content_id: str, around: Surroundings) -> Approval | None:
    """The approval of an item that has not expired; None when there is none."""
    found = around.approvals.get(content_id)
    return found if found is not None and found.at <= around.now < found.until else None


def needs_approval(intended: Action, rules: Policy) -> str:
    """Why somebody has to approve an action before it is carried out; "" when nobody has to."""
    if intended is Action.RESET:
        return "a reset needs an approval in every mode"
    if intended.sends and rules.mode is Mode.APPROVE:
        return 'every call needs an approval (policy.mode is "approve")'
    if intended is Action.UPDATE_DELETE and rules.approve_deletions:
        return "a deletion needs an approval (policy.approve_deletions)"
    return ""


def unapproved(task: str, intended: Action, content_id: str, around: Surroundings) -> Hold | None:
    """What holds an item that needs an approval and has none in force; says what to do.

    Args:
        task: its name.
        intended: what would be done.
        content_id: of the item: what an approval binds to.
        around: the policy, the approvals and the time.
    """
    why = needs_approval(intended, around.policy)
    if not why or approval_of(content_id, around) is not None:
        return None
    found = around.approvals.get(content_id)
    over = ""
    if found is not None and found.until <= around.now:
        over = f"; it was approved by {found.by}, and that expired at {_moment(found.until)}"
    return Hold("approval", f"{why}: reconciler approve PLAN --task {task} --reason TEXT{over}")


def _moment(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")


def suspended(task: Task, record: Record | None, around: Surroundings) -> Hold | None:
    """The suspension in `task.json` or by command that ends last; it follows a directory that was renamed."""
    found = tuple(_suspensions(task, record, around))
    if not found:
        return None
    last = max(found, key=lambda one: (one[1].until is None, one[1].until or around.now))  # of equals the first
    rail, suspension = last
    others = [one for one in found if one is not last]
    told = "".join(f"; {other} too{_reaching(given)}: {given.reason}" for other, given in others)
    also = tuple(other for other, _ in others)
    return Hold(rail, f"{suspension.reason}{told}", suspension.until, Action.SUSPENDED, also)


def _suspensions(task: Task, record: Record | None, around: Surroundings) -> Iterator[tuple[str, Suspension]]:
    """Those that have not expired, by their rails: the one that means the fewest tasks first."""
    before = record.task if record is not None else task.name
    labels = [f"{name}={value}" for name, value in task.labels]
    commands = {
        task.name: "suspend",
        before: "suspend",
        **{label_key(label): f"suspend --label {label}" for label in labels},
        ALL_TASKS: "suspend --all",
    }
    given = around.suspensions
    by_command = ((rail, given.get(key)) for key, rail in commands.items() if key not in around.policy.resumed)
    for rail, suspension in (("suspend in task.json", task.suspend), *by_command):
        if suspension is not None and is_in_force(suspension, around.now):
            yield rail, suspension


def _reaching(suspension: Suspension) -> str:
    return f" until {_moment(suspension.until)}" if suspension.until else ""


def is_in_force(suspension: Suspension, now: datetime) -> bool:
    """Whether it has not expired."""
    return suspension.until is None or suspension.until > now


def _suspended(case: Case) -> Hold | None:
    return suspended(case.desired.task, case.record, case.around)


def observed(around: Surroundings) -> Hold | None:
    """What holds every item where nothing is ever called."""
    if around.policy.mode is Mode.OBSERVE:
        return Hold("mode", 'policy.mode is "observe": nothing is ever called')
    return None


def _observe(case: Case) -> Hold | None:
    return observed(case.around)


def _first_run(case: Case) -> Hold | None:
    if case.record is None and case.around.first_run and case.around.policy.new_tasks is NewTasks.APPLY:
        return Hold(
            "first_run",
            f"the store is empty and there are more than {FIRST_RUN_TASKS} tasks: sending them all restarts them all;"
            " adopt them (reconciler adopt --all), or --force first_run",
        )
    return None


def _new(case: Case) -> Hold | None:
    # A record without content is of a first send that somebody decided on and that had no effect yet.
    if case.record is None and case.around.policy.new_tasks is not NewTasks.APPLY:
        return Hold(
            "new_tasks",
            "first sight of this task: nothing is known of the component's present configuration;"
            " reconciler adopt records the files as applied, --force new_tasks sends them",
        )
    return None


def _target(case: Case) -> Hold | None:
    name = case.desired.task.address.target
    if name in case.around.policy.refused:
        return Hold("target", f"target {name}: {case.around.policy.refused[name]}")
    return no_target(name, case.around)


def no_target(name: str, around: Surroundings) -> Hold | None:
    """What holds items of a target that the configuration does not have."""
    targets = around.policy.targets
    if targets is None or name in targets:
        return None
    known = ", ".join(sorted(targets)) or "none"
    return Hold("target", f'the configuration has no target "{name}"; it has: {known}')


def _approval(case: Case) -> Hold | None:
    return unapproved(case.desired.task.name, case.intended, case.content_id, case.around)


_RAILS_OF_TROUBLE = {"capability-missing": "capability", "stopped": "stop_after_failures"}


def troubled(target: str, around: Surroundings) -> Hold | None:
    """What holds items of a target that is not to be used, or cannot do what is asked of it."""
    kind, message = around.troubles.get(target, ("", ""))
    return Hold(_RAILS_OF_TROUBLE[kind], message) if kind in _RAILS_OF_TROUBLE else None


def _trouble(case: Case) -> Hold | None:
    return troubled(case.desired.task.address.target, case.around)


def waits_for_reset(target: str, project: str | None, around: Surroundings) -> Hold | None:
    """What holds calls for a project of which a reset is under way, or was sent with an unknown outcome.

    Args:
        target: name of the server.
        project: its id; None when the address does not tell: then it waits for a reset of any project.
        around: the ledger among other things.
    """
    found = ledger.under_way(around.open_resets, target, project)
    if found is None:
        return None
    reset = f"reset {found.key.request} of {found.key.project}"
    if found.stage is Stage.UNKNOWN:
        command = f"reconciler reset resolve {found.task} --sent or --not-sent, --reason TEXT"
        return Hold("reset", f"waits until somebody says how {reset} ended: {command}")
    return Hold("reset", f"waits for {reset}, which is under way")


def _reset(case: Case) -> Hold | None:
    address = case.desired.task.address
    return waits_for_reset(address.target, ledger.project_of(address), case.around)


def window(task: Task, configured: tuple[Window, ...], now: datetime) -> Hold | None:
    """The window that keeps calls for a task from being made now, of the configuration's and its own."""
    found = windows.closed((*configured, *task.windows), task.labels, now)
    return Hold("window", found.reason, found.until) if found else None


def was_begun(desired: Desired, record: Record | None) -> bool:
    """Whether just this content was sent before and not clearly answered: sending it again finishes what was begun."""
    return record is not None and record.open_intents > 0 and desired.was(record.attempted)


def _window(case: Case) -> Hold | None:
    if case.intended is Action.ADOPT or was_begun(case.desired, case.record):
        return None
    return window(case.desired.task, case.around.policy.windows, case.around.now)


def not_before(case: Case) -> datetime | None:
    """When the daemon may update a component again; None when it may now."""
    interval_s = case.around.policy.intervals.get(case.desired.task.address.target, 0.0)
    record = case.record
    if not interval_s or record is None or record.applied_at is None or not record.component:
        return None  # what was adopted was not updated
    until = record.applied_at + timedelta(seconds=interval_s)
    is_over = until <= case.around.now or record.applied_at > case.around.now  # written by a clock that was ahead
    return None if is_over else until


def _interval(case: Case) -> Hold | None:
    until = not_before(case) if case.around.policy.paced else None
    if until is None:
        return None
    target = case.desired.task.address.target
    seconds = case.around.policy.intervals[target]
    reason = f"updated less than {seconds:g} s ago (min_update_interval_s of target {target}): edits gather until then"
    return Hold("min_update_interval_s", reason, until)


def has_failed(desired: Desired, record: Record) -> bool:
    """Whether the last attempt at just this content failed."""
    return record.condition is Condition.FAILED and desired.was(record.attempted)


def is_unconfirmed(desired: Desired, record: Record) -> bool:
    """Whether the component was not seen healthy since the files were applied to it.

    Also when other content was tried since and had no effect: that says nothing about the component.
    """
    tried_since = record.condition in (Condition.FAILED, Condition.RETRYING) and not has_failed(desired, record)
    return tried_since or record.condition in (Condition.VERIFYING, Condition.UNCONFIRMED)


def _failed(case: Case) -> Hold | None:
    record = case.record
    if record is None or not has_failed(case.desired, record):
        return None
    return Hold("failed", f"the last attempt failed: {record.reason}")


def _unknown(case: Case) -> Hold | None:
    record = case.record
    if record is None or record.attempts < UNKNOWN_ATTEMPTS or not case.desired.was(record.attempted):
        return None
    return Hold(
        "unknown",
        f"sent {record.attempts} times and never clearly answered: {record.reason}",
    )


def _protected(case: Case) -> Hold | None:
    if case.is_new:
        return None
    protect = case.desired.task.protect
    found = [c for c in case.effective if any(pointer.touches(pattern, c.path) for pattern in protect)]
    changes = "; ".join(f"{c.path} is protected in task.json and would be {_verb(c)}" for c in found)
    return Hold("protect", changes) if found else None


def _dangerous(case: Case) -> Hold | None:
    if case.is_new:
        return None
    found = [change for change in case.effective if needs_allow(change, case.desired.task.allow)]
    if not found:
        return None
    changes = "; ".join(f"{c.path} would be {_verb(c)}: {c.danger.reason if c.danger else ''}" for c in found)
    names = ", ".join(f'"{change.path}"' for change in found)
    return Hold("danger", f"{changes}; if that is meant, add {names} to allow in task.json")


def needs_allow(change: Change, allow: tuple[str, ...]) -> bool:
    """Whether a change is dangerous and nobody said in `task.json` that it may be made."""
    dangerous = change.danger is not None and change.danger.level is not DangerLevel.WARN
    return dangerous and not any(pointer.covers(pattern, change.path) for pattern in allow)


def _verb(change: Change) -> str:
    return "removed" if change.new is None else "added" if change.old is None else "changed"


def _incomplete(case: Case) -> Hold | None:
    if case.intended is not Action.UPDATE_DELETE or not case.lacking:
        return None
    return Hold(
        "incomplete",
        "a deletion keeps exactly what is sent, and these are missing: " + ", ".join(case.lacking),
    )


def _lost(case: Case) -> Hold | None:
    if not case.lost:
        return None
    places = ", ".join(case.lost)
    return Hold("lost_secret", f"the component has secrets that the files no longer declare: {places}")


def _removed_keys(case: Case) -> Hold | None:
    return _too_many(limits.REMOVED, case)


def _changed_keys(case: Case) -> Hold | None:
    return _too_many(limits.CHANGED, case)


def _too_many(rail: str, case: Case) -> Hold | None:
    """One task's own limit; first sends count towards none."""
    if case.record is None or case.record.digest is None:
        return None
    rules = limits.of_task(case.around.policy.limits, case.desired.task)
    reason = limits.too_many(rail, case.changes, case.unchanged, rules)
    return Hold(rail, reason) if reason else None


GATES: tuple[Gate, ...] = (
    _suspended,
    _observe,
    _target,
    _first_run,
    _new,
    _reset,
    _trouble,
    _failed,
    _unknown,
    _protected,
    _dangerous,
    _incomplete,
    _lost,
    _removed_keys,
    _changed_keys,
    _approval,
    _window,
    _interval,
)
