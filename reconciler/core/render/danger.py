"""Which tasks a reader must see first, and what is dangerous about a plan in a few plain sentences."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum, auto

from reconciler.core.fleet import summary
from reconciler.model import Action, DangerLevel, Dimension, Item, Plan, Stage

LEVELS = (DangerLevel.FORBID, DangerLevel.CONFIRM, DangerLevel.WARN)
"""Most dangerous first."""

_INEXACT = (Dimension.TASK_NAME.value, Dimension.IP.value)


class Rank(IntEnum):
    """Why a task stands where it stands in a report; the lowest first."""

    INVALID = auto()
    FAILED = auto()
    DELETES = auto()
    FORBID = auto()
    CONFIRM = auto()
    INEXACT = auto()  # its address may mean more than one component
    RESET = auto()
    BLOCKED = auto()
    UPDATE = auto()
    ADOPT = auto()
    ORPHANED = auto()
    SUSPENDED = auto()
    QUIET = auto()


def by_danger(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with the most dangerous first: of one rank what is sent before what is held, then by name."""
    return tuple(sorted(items, key=lambda item: (rank(item), not item.action.sends, item.task, item.address, item.id)))


def rank(item: Item) -> Rank:
    """What is worst about an item. What is only held counts as what it would be: a hold ends one day."""
    return next((found for found, holds in _QUESTIONS if holds(item)), Rank.QUIET)


def _reaches(level: DangerLevel) -> Callable[[Item], bool]:
    return lambda item: worst(item) is level


def deletes(item: Item) -> bool:
    """Whether keys of the component would go."""
    return Action.UPDATE_DELETE in (item.action, item.intended)


def is_inexact(item: Item) -> bool:
    """Whether the address may mean more than one component."""
    return bool(item.address) and json.loads(item.address)[1] in _INEXACT


_QUESTIONS: tuple[tuple[Rank, Callable[[Item], bool]], ...] = (
    (Rank.INVALID, lambda item: item.action is Action.INVALID),
    (Rank.FAILED, lambda item: item.rail == "failed"),
    (Rank.DELETES, deletes),
    (Rank.FORBID, _reaches(DangerLevel.FORBID)),
    (Rank.CONFIRM, _reaches(DangerLevel.CONFIRM)),
    (Rank.INEXACT, lambda item: item.intended.sends and is_inexact(item)),
    (Rank.RESET, lambda item: Action.RESET in (item.action, item.intended)),
    (Rank.BLOCKED, lambda item: item.action is Action.BLOCKED),
    (Rank.UPDATE, lambda item: item.action is Action.UPDATE),
    (Rank.ADOPT, lambda item: item.action is Action.ADOPT),
    (Rank.ORPHANED, lambda item: item.action is Action.ORPHANED),
    (Rank.SUSPENDED, lambda item: item.action is Action.SUSPENDED),
)


def worst(item: Item) -> DangerLevel | None:
    """The highest danger level among the changes of an item; None when there is none."""
    found = {change.danger.level for change in item.changes if change.danger is not None}
    return next((level for level in LEVELS if level in found), None)


def alarms(plan: Plan) -> Iterator[str]:
    """What to know before all else, a short sentence each; numbers and our own words only."""
    counts = summary(plan)
    if plan.frozen:
        yield "The plan is frozen: nothing is begun"
    if counts["restarts"]:
        yield _many(counts["restarts"], "component restarts", "components restart")
    else:
        yield "Nothing is sent" if not plan.to_send else "No component restarts"
    if counts["invalid"]:
        yield _many(counts["invalid"], "task is invalid", "tasks are invalid")
    if counts["failed"]:
        yield _many(counts["failed"], "task failed", "tasks failed")
    yield from _dangers(plan)


def _dangers(plan: Plan) -> Iterator[str]:
    sent = Counter(item.action for item in plan.items)
    held = Counter(item.intended for item in plan.items if _is_held(item))
    unknown = sum(map(_is_unknown, plan.items))
    told = (
        (sent[Action.UPDATE_DELETE], "task deletes keys", "tasks delete keys"),
        (held[Action.UPDATE_DELETE], "held task would delete keys", "held tasks would delete keys"),
        (sent[Action.RESET], "link is reset to another position", "links are reset to another position"),
        (held[Action.RESET] - unknown, "held reset would move a link", "held resets would move links"),
        (unknown, "reset was perhaps carried out", "resets were perhaps carried out"),
    )
    yield from (_many(number, one, more) for number, one, more in told if number)
    inexact = sum(item.intended.sends and is_inexact(item) for item in plan.items)
    if inexact:
        yield _many(inexact, "address may mean", "addresses may mean") + " more than one component"
    changes = ", ".join(f"{number:,} {level.value}" for level, number in levels(plan).items())
    if changes:
        yield f"Dangerous changes: {changes}"


def _is_held(item: Item) -> bool:
    """Whether something would be sent, were it not for a rail; what is invalid would not."""
    return item.intended.sends and not item.action.sends and item.action is not Action.INVALID


def _is_unknown(item: Item) -> bool:
    """Whether nobody knows if a reset was carried out."""
    return _is_held(item) and item.outlook is not None and item.outlook.stage is Stage.UNKNOWN


def levels(plan: Plan) -> dict[DangerLevel, int]:
    """How many changed keys have each danger level, the worst first; levels without any are left out."""
    counts = Counter(change.danger.level for item in plan.items for change in item.changes if change.danger)
    return {level: counts[level] for level in LEVELS if counts[level]}


def _many(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
