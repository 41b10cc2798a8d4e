"""What a plan may do: every rail as one small question, asked in order.

A gate gets the whole case and answers with a `Hold` or None. Each hold has the name of its rail, so that the plan
shows what holds a task, and `apply --force RAIL` knows what to lift.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from reconciler.core import pointer
from reconciler.core.desired import Desired
from reconciler.model import Action, Change, Condition, DangerLevel, Record, Suspension, Task

FORCIBLE = ("new_tasks", "first_run", "vanished", "incomplete")
"""Rails that `apply --force` may lift. The others have a way of their own: `allow`, `resume`, `retry`, the mode."""

FIRST_RUN_TASKS = 50
VANISHED_SHARE = 0.30
VANISHED_FLOOR = 3
UNKNOWN_ATTEMPTS = 3
"""Sends of the same content with an unknown outcome: the first and two more."""

ALL_TASKS = "*"


class Mode(Enum):
    """How far the program goes by itself."""

    AUTO = "auto"
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


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for all tasks of one plan."""

    now: datetime
    policy: Policy = field(default_factory=Policy)
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)
    troubles: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # {target: (kind, message)}
    first_run: bool = False  # an empty store and more than FIRST_RUN_TASKS tasks


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


Gate = Callable[[Case], Hold | None]


def hold(case: Case) -> Hold | None:
    """The first rail that holds the case; None when it may go."""
    for gate in GATES:
        found = gate(case)
        if found is not None and not (found.rail in FORCIBLE and found.rail in case.around.policy.forced):
            return found
    return None


def forced(case: Case) -> tuple[str, ...]:
    """Names of rails that would hold the case and are overridden."""
    found = (gate(case) for gate in GATES)
    return tuple(h.rail for h in found if h is not None and h.rail in FORCIBLE and h.rail in case.around.policy.forced)


def suspended(task: Task, record: Record | None, around: Surroundings) -> Hold | None:
    """A suspension in `task.json` or by command that has not expired; it follows a directory that was renamed."""
    before = record.task if record is not None else task.name
    for rail, suspension in (
        ("suspend in task.json", task.suspend),
        ("suspend", around.suspensions.get(task.name)),
        ("suspend", around.suspensions.get(before)),
        ("suspend --all", around.suspensions.get(ALL_TASKS)),
    ):
        if suspension is not None and (suspension.until is None or suspension.until > around.now):
            return Hold(rail, suspension.reason, suspension.until, Action.SUSPENDED)
    return None


def _suspended(case: Case) -> Hold | None:
    return suspended(case.desired.task, case.record, case.around)


def _observe(case: Case) -> Hold | None:
    if case.around.policy.mode is Mode.OBSERVE:
        return Hold("mode", 'policy.mode is "observe": nothing is ever called')
    return None


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
    name, targets = case.desired.task.address.target, case.around.policy.targets
    if name in case.around.policy.refused:
        return Hold("target", f"target {name}: {case.around.policy.refused[name]}")
    if targets is None or name in targets:
        return None
    known = ", ".join(sorted(targets)) or "none"
    return Hold("target", f'the configuration has no target "{name}"; it has: {known}')


_RAILS_OF_TROUBLE = {"capability-missing": "capability", "stopped": "stop_after_failures"}


def _trouble(case: Case) -> Hold | None:
    kind, message = case.around.troubles.get(case.desired.task.address.target, ("", ""))
    return Hold(_RAILS_OF_TROUBLE[kind], message) if kind in _RAILS_OF_TROUBLE else None


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
    return "removed" if change.new is None else "changed"


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


GATES: tuple[Gate, ...] = (
    _suspended,
    _observe,
    _target,
    _first_run,
    _new,
    _trouble,
    _failed,
    _unknown,
    _protected,
    _dangerous,
    _incomplete,
    _lost,
    _interval,
)
