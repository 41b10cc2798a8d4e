"""What the journal and `status` know of the rails: how they are set and how they stand, with rows on edges only.

Both are kept as texts that only whoever may call OMS replaces, so that a restart writes nothing twice.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from heapq import nsmallest

from reconciler.core import position, rails
from reconciler.core.plural import counted
from reconciler.core.policy import Policy
from reconciler.core.rails import Grip
from reconciler.model import Item, Plan, Rail, RailState
from reconciler.ports import StateStore

SET = ("", "policy")
"""Channel and subject under which the store keeps how the rails were set last."""

STAND = ("", "rails")
"""Likewise, how they stood last."""

NAMED = 20
"""Tasks that a row names, where there may be thousands."""

_UNUSUAL = (RailState.TRIPPED, RailState.OVERRIDDEN)

Names = Mapping[str, tuple[str, ...]]
"""`{rail: tasks that it holds, or was lifted for}`, sorted, at most NAMED of them."""


def said(store: StateStore) -> tuple[Rail, ...]:
    """How the rails stood when that was written down last; () when it never was."""
    return _stood(store)[0]


def _stood(store: StateStore) -> tuple[tuple[Rail, ...], dict[str, tuple[str, ...]]]:
    channel, subject = STAND
    rows = json.loads(store.notified(channel).get(subject, "") or "[]")
    found = tuple(Rail(name, RailState(state), told, tasks, *more[1:]) for name, state, told, tasks, *more in rows)
    return found, {row[0]: tuple(row[4]) for row in rows if row[4:] and row[4]}


# --- what they hold ------------------------------------------------------------------------------------------------


def grip(items: Iterable[Item], marks: Mapping[str, str]) -> Grip:
    """What rails have to do with the items of one task, the one included that only a call meets.

    Args:
        items: of the task.
        marks: what that one held, as the store keeps it under `position.HELD`.
    """
    items = tuple(items)
    found = rails.grip(items)
    if marks and any(position.held(marks, item) for item in items):
        return replace(found, held=found.held | {position.RAIL})
    return found


def grips(items: Iterable[Item], marks: Mapping[str, str]) -> dict[str, Grip]:
    """The same for every task that they have to do with."""
    by_task: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_task[item.task].append(item)
    found = {task: grip(mine, marks) for task, mine in by_task.items()}
    return {task: one for task, one in found.items() if one.matters}


def names(found: Mapping[str, Grip]) -> Names:
    """The tasks of every rail that holds some or, where it holds none, was lifted for some.

    Args:
        found: {task: what rails have to do with it}.
    """
    held: dict[str, list[str]] = defaultdict(list)
    lifted: dict[str, list[str]] = defaultdict(list)
    for task, one in found.items():
        for rail in one.held:
            held[rail].append(task)
        for rail in one.lifted:
            lifted[rail].append(task)
    return {rail: tuple(nsmallest(NAMED, tasks)) for rail, tasks in {**lifted, **held}.items()}


def of_plan(plan: Plan, marks: Mapping[str, str]) -> tuple[Rail, ...]:
    """The rails of a plan, with what the one held at the last call that only a call meets.

    Args:
        plan: it calls nothing, so that this one holds nothing in it.
        marks: what it held, as the store keeps it under `position.HELD`.
    """
    held = len({item.task for item in plan.items if position.held(marks, item)}) if marks else 0
    if not held:
        return plan.rails
    return tuple(_tripped(rail, held) if rail.name == position.RAIL else rail for rail in plan.rails)


def _tripped(rail: Rail, held: int) -> Rail:
    also = f"; lifted for {counted(rail.tasks)}" if rail.state is RailState.OVERRIDDEN else ""
    return Rail(rail.name, RailState.TRIPPED, f"{rail.text}{also}", held)


# --- rows ----------------------------------------------------------------------------------------------------------


class RailRows:
    """Writes down what becomes of the rails; for whoever may call OMS.

    Args:
        store: takes the rows.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._set: dict[str, str] | None = None  # how they are set, as the store knows it
        self._said: tuple[Rail, ...] | None = None  # likewise, how they stand
        self._names: Names = {}  # of those that hold something, or are lifted: tasks since they first did

    def write_settings(self, rules: Policy) -> None:
        """A row of kind "policy", when the rails are set in another way than when that was written last.

        Raises:
            StateStoreError: it cannot be written.
        """
        settings = {rail.name: rail.text for rail in rails.states(rules)}
        channel, subject = SET
        if self._set is None:
            self._set = json.loads(self._store.notified(channel).get(subject, "") or "{}")
        if settings != self._set:
            self._store.note("policy", "", {"message": _changes(self._set, settings), "settings": settings})
            self._store.set_notified(*SET, json.dumps(settings))
            self._set = settings

    def write(self, now: Iterable[Rail], tasks: Names, *, whole: bool) -> None:
        """A row of kind "rail" for each one that trips, is overridden, or no longer is.

        It names tasks: the row of a rail that is released those that it held at any time since it tripped.

        Args:
            now: every rail.
            tasks: those that they hold, or were lifted for.
            whole: whether all tasks were looked at; else none is told to be released.

        Raises:
            StateStoreError: it cannot be written.
        """
        if self._said is None:
            self._said, self._names = _stood(self._store)
        before = {rail.name: rail for rail in self._said}
        found = tuple(rail if whole or rail.state in _UNUSUAL else before.get(rail.name, rail) for rail in now)
        listed = {rail.name for rail in found}
        left = tuple(rail for rail in self._said if rail.name not in listed)  # listed only while it holds something
        found = found if whole else (*found, *left)
        named = {rail.name: self._gathered(rail, before.get(rail.name), tasks) for rail in found if _names_tasks(rail)}
        if found == self._said and named == self._names:
            return
        for rail in left if whole else ():
            self._note(replace(rail, state=RailState.ON), "released", self._names.get(rail.name, ()))
        for rail in found:
            self._tell(rail, before.get(rail.name), named)
        rows = [[r.name, r.state.value, r.text, r.tasks, list(named.get(r.name, ())), r.found] for r in found]
        self._store.set_notified(*STAND, json.dumps(rows))
        self._said, self._names = found, named

    def _gathered(self, rail: Rail, before: Rail | None, tasks: Names) -> tuple[str, ...]:
        """The tasks that a rail was told to hold since it is in its state, then those that it holds besides."""
        known = self._names.get(rail.name, ()) if before is not None and before.state is rail.state else ()
        return tuple(dict.fromkeys((*known, *tasks.get(rail.name, ()))))[:NAMED]

    def _tell(self, rail: Rail, before: Rail | None, named: Names) -> None:
        was = before.state if before else RailState.ON
        if rail.name in rails.PACING or rail.state is was:
            return
        if rail.state in _UNUSUAL:
            self._note(rail, rail.state.value, named.get(rail.name, ()))
        elif was in _UNUSUAL:
            self._note(rail, "released", self._names.get(rail.name, ()))

    def _note(self, rail: Rail, word: str, named: tuple[str, ...]) -> None:
        told = f": {rail.found or counted(rail.tasks)}" if rail.state in _UNUSUAL else ""
        setting = f" ({rail.text})" if rail.text and not rail.found else ""
        message = f"{rail.name} {word}{told}{setting}"
        detail = {"rail": rail.name, "state": word, "tasks": rail.tasks, "names": list(named), "message": message}
        self._store.note("rail", "", detail)


def _names_tasks(rail: Rail) -> bool:
    return rail.state in _UNUSUAL and rail.name not in rails.PACING


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What is set in another way, in words."""
    if not before:
        return "how the rails are set was written down for the first time"
    return "; ".join(f"{name}: {before.get(name)} -> {text}" for name, text in now.items() if before.get(name) != text)
