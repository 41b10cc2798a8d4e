"""How every rail stands, in words: what a plan, `status` and the journal say of them. What they hold is for `policy`.

A rail is off when it holds nothing whatever comes, and on when it would hold something. It has tripped when it does,
and is overridden when somebody lifted what it would hold.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.core.plural import counted
from reconciler.core.policy import (
    FIRST_RUN_TASKS,
    VANISHED_FLOOR,
    VANISHED_SHARE,
    Mode,
    NewTasks,
    Policy,
    Surroundings,
)
from reconciler.model import Item, Rail, RailState

PACING = ("min_update_interval_s", "max_concurrent")
"""Rails that only put a call off for a moment: what they hold is no news."""

_CONDITIONS = ("", "failed", "unknown", "secret", "target", "capability")
"""What keeps a task back and is no rail that somebody set: its own condition, or its target's."""


_NONE: Mapping[str, str] = {}


# --- what they hold ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tasks there are something to say of, `{rail: number}`."""

    held: Mapping[str, int] = field(default_factory=dict)  # a rail that is in here has tripped, also with 0 tasks
    lifted: Mapping[str, int] = field(default_factory=dict)  # likewise overridden
    approved: int = 0  # tasks with an approval in force
    found: Mapping[str, str] = field(default_factory=dict)  # {rail: what it found over all tasks, with numbers}


@dataclass(frozen=True, slots=True)
class Grip:
    """What rails have to do with one task."""

    held: frozenset[str] = frozenset()
    lifted: frozenset[str] = frozenset()
    approved: bool = False

    @property
    def matters(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.held or self.lifted or self.approved)


def grip(items: Iterable[Item]) -> Grip:
    """What rails have to do with the items of one task."""
    found = tuple(items)
    return Grip(
        frozenset(name for item in found for rail in (item.rail, *item.behind) if (name := name_of(rail))),
        frozenset(name for item in found for name in item.forced),
        any(item.approval is not None for item in found),
    )


def name_of(rail: str) -> str:
    """The rail as it is listed: "suspend --all" is "suspend"; "" for what is no rail."""
    name = rail.partition(" ")[0]
    return "" if name in _CONDITIONS else name


def count(tasks: Iterable[Grip], also: Mapping[str, str] = _NONE, lifted_too: Mapping[str, str] = _NONE) -> Counts:
    """Count tasks; each counts for the rail that holds it, and for those behind it.

    Args:
        tasks: one for each of them.
        also: `{rail: what it found, or ""}` of those that have tripped though they may hold no task.
        lifted_too: likewise, of those that are overridden though no task may show it.
    """
    held, lifted = dict.fromkeys(also, 0), dict.fromkeys(lifted_too, 0)
    approved = 0
    for task in tasks:
        for name in task.held:
            held[name] = held.get(name, 0) + 1
        for name in task.lifted:
            lifted[name] = lifted.get(name, 0) + 1
        approved += task.approved
    return Counts(held, lifted, approved, {**lifted_too, **also})


def of_plan(
    items: Iterable[Item], around: Surroundings, *, frozen: str = "", limits: Mapping[str, str] = _NONE
) -> tuple[Rail, ...]:
    """Every rail of one plan.

    Args:
        items: of the plan.
        around: the policy, and what was found beside the files.
        frozen: that so many tasks are gone that nothing would be done: "6 of 12 known tasks are gone: ..."; else "".
        limits: `{limit of the run that tripped: what is too much}`.
    """
    by_task: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.rail or item.forced or item.approval:
            by_task[item.task].append(item)
    gone = {"vanished": frozen.partition(":")[0]} if frozen else {}
    is_forced = "vanished" in around.policy.forced
    stopped = any(kind == "stopped" for kind, _ in around.troubles.values())
    also = {**limits, **({} if is_forced else gone), **({"stop_after_failures": ""} if stopped else {})}
    counted = count(map(grip, by_task.values()), also, gone if is_forced else {})
    return states(around.policy, counted)


# --- how they are set ----------------------------------------------------------------------------------------------


def states(rules: Policy, counted: Counts | None = None) -> tuple[Rail, ...]:
    """Every rail there is, in the order in which they are asked, then whatever else holds a task.

    Args:
        rules: how they are set.
        counted: what they hold; None: only how they are set matters.
    """
    found = counted or Counts()
    known = [_rail(name, *setting(rules), found) for name, setting in _SETTINGS.items()]
    others = sorted(found.held.keys() - _SETTINGS.keys())
    return (*known, *(Rail(name, RailState.TRIPPED, tasks=found.held[name]) for name in others))


def _rail(name: str, is_on: bool, text: str, found: Counts) -> Rail:  # noqa: FBT001 - one caller
    if name == "approval" and found.approved:
        text = f"{text}; {counted(found.approved)} approved"
    if name in found.held:
        also = f"; lifted for {counted(found.lifted[name])}" if found.lifted.get(name) else ""
        return Rail(name, RailState.TRIPPED, f"{text}{also}", found.held[name], found.found.get(name, ""))
    if name in found.lifted:
        return Rail(name, RailState.OVERRIDDEN, text, found.lifted[name], found.found.get(name, ""))
    return Rail(name, RailState.ON if is_on else RailState.OFF, text)


_Setting = tuple[bool, str]
"""Whether a rail is on, and how it is set."""

_MODES = {
    Mode.AUTO: (False, "auto"),
    Mode.APPROVE: (True, "approve: every call needs an approval"),
    Mode.OBSERVE: (True, "observe: nothing is called"),
}
_NEW_TASKS = {
    NewTasks.HOLD: (True, "hold"),
    NewTasks.ADOPT: (True, "adopt: recorded as applied, nothing is sent"),
    NewTasks.APPLY: (False, "apply: sent as they are"),
}


def _always(text: str) -> Callable[[Policy], _Setting]:
    return lambda _rules: (True, text)


def _share(share: float, floor: int, what: str) -> _Setting:
    if share >= 1:
        return False, "no limit"
    return True, f"more than {_percent(share)} of {what}, and more than {floor}"


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _approval(rules: Policy) -> _Setting:
    if rules.mode is Mode.APPROVE:
        return True, "every call needs one"
    needing = ["deletions"] * rules.approve_deletions + ["resets"] * any(not why for why in rules.resets.values())
    return bool(needing), f"{' and '.join(needing)} need one" if needing else "no call needs one"


def _windows(rules: Policy) -> _Setting:
    told = ", ".join(f"{'allow' if window.allows else 'deny'} {window.name}" for window in rules.windows)
    return bool(told), told or "none in the configuration"


def _resets(rules: Policy) -> _Setting:
    allowing = sorted(name for name, why in rules.resets.items() if not why)
    where = f"resets may be sent to {', '.join(allowing)}" if allowing else "no target allows resets"
    return True, f"{where}; edits wait for one under way"


def _by_target(values: Mapping[str, float], unit: str = "") -> str:
    """A setting of all targets, "60 s", or where they differ, "60 s (a, b), 0 s (c)"."""
    names: dict[float, list[str]] = defaultdict(list)
    for name, value in sorted(values.items()):
        names[value].append(name)
    if len(names) == 1:
        return f"{next(iter(names)):g}{unit}"
    return ", ".join(f"{value:g}{unit} ({', '.join(targets)})" for value, targets in names.items()) or "no target"


_SETTINGS: Mapping[str, Callable[[Policy], _Setting]] = {
    "mode": lambda rules: _MODES[rules.mode],
    "new_tasks": lambda rules: _NEW_TASKS[rules.new_tasks],
    "first_run": _always(f"more than {FIRST_RUN_TASKS} tasks and an empty store"),
    "vanished": _always(f"more than {_percent(VANISHED_SHARE)} of known tasks gone, and more than {VANISHED_FLOOR}"),
    "suspend": _always("by command, or in task.json"),
    "protect": _always("what task.json protects"),
    "danger": _always("dangerous changes that task.json does not allow"),
    "incomplete": _always("deletions that lack something to keep"),
    "removed_keys": lambda rules: _share(rules.limits.removed_keys, rules.limits.keys_floor, "the keys"),
    "changed_keys": lambda rules: _share(rules.limits.changed_keys, rules.limits.keys_floor, "the keys"),
    "tasks": lambda rules: _share(rules.limits.tasks, rules.limits.tasks_floor, "the tasks"),
    "approval": _approval,
    "window": _windows,
    "checkpoint": lambda rules: (True, f"positions older than {rules.checkpoint_max_age_s:g} s"),
    "min_update_interval_s": lambda rules: (any(rules.intervals.values()), _by_target(rules.intervals, " s")),
    "max_concurrent": lambda rules: (True, _by_target(rules.concurrent, " at once")),
    "stop_after_failures": lambda rules: (any(rules.stop_after.values()), _by_target(rules.stop_after, " within 1 h")),
    "reset": _resets,
    "retention": lambda rules: (True, _by_target({t: s / 3600 for t, s in rules.retention_s.items()}, " h of logs")),
}

NAMES = tuple(_SETTINGS)
"""All rails that there are, as they are listed."""


# --- in words ------------------------------------------------------------------------------------------------------


def line(rails: Iterable[Rail]) -> str:
    """What is to be known of all rails, in one line: "Rails: tripped: approval (2 tasks); off: window (none)."."""
    found = tuple(rails)
    parts = [*_part(found, RailState.TRIPPED), *_part(found, RailState.OVERRIDDEN), *_part(found, RailState.OFF)]
    return f"Rails: {'; '.join(parts) or 'all on'}."


def _part(rails: Iterable[Rail], state: RailState) -> Iterator[str]:
    found = [rail for rail in rails if rail.state is state]
    if found:
        told = (f"{rail.name} ({rail.text if state is RailState.OFF else _amount(rail)})" for rail in found)
        yield f"{state.value}: {', '.join(told)}"


def _amount(rail: Rail) -> str:
    """How many tasks it holds; of one that concerns all of them and holds none, what it found."""
    return counted(rail.tasks) if rail.tasks or not rail.found else rail.found


def is_unusual(rails: Iterable[Rail]) -> bool:
    """Whether one has tripped or is overridden."""
    return any(rail.state in (RailState.TRIPPED, RailState.OVERRIDDEN) for rail in rails)
