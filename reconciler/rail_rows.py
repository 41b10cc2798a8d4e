"""What the journal and `status` know of the rails: how they are set and how they stand, with rows on edges only.

Both are kept as texts that only whoever may call OMS replaces, so that a restart writes nothing twice.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.core import rails
from reconciler.core.policy import Policy
from reconciler.model import Rail, RailState
from reconciler.ports import StateStore

SET = ("", "policy")
"""Channel and subject under which the store keeps how the rails were set last."""

STAND = ("", "rails")
"""Likewise, how they stood last."""

_UNUSUAL = (RailState.TRIPPED, RailState.OVERRIDDEN)


def said(store: StateStore) -> tuple[Rail, ...]:
    """How the rails stood when that was written down last; () when it never was."""
    channel, subject = STAND
    text = store.notified(channel).get(subject, "")
    return tuple(Rail(name, RailState(state), told, tasks) for name, state, told, tasks in json.loads(text or "[]"))


class RailRows:
    """Writes down what becomes of the rails; for whoever may call OMS.

    Args:
        store: takes the rows.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._set: dict[str, str] | None = None  # how they are set, as the store knows it
        self._said: tuple[Rail, ...] | None = None  # likewise, how they stand

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

    def write(self, now: Iterable[Rail], *, whole: bool) -> None:
        """A row of kind "rail" for each one that trips, is overridden, or no longer is.

        Args:
            now: every rail.
            whole: whether all tasks were looked at; else none is told to be released.

        Raises:
            StateStoreError: it cannot be written.
        """
        if self._said is None:
            self._said = said(self._store)
        before = {rail.name: rail for rail in self._said}
        found = tuple(rail if whole or rail.state in _UNUSUAL else before.get(rail.name, rail) for rail in now)
        listed = {rail.name for rail in found}
        left = tuple(rail for rail in self._said if rail.name not in listed)  # listed only while it holds something
        found = found if whole else (*found, *left)
        if found == self._said:
            return
        for rail in left if whole else ():
            self._note(replace(rail, state=RailState.ON), "released")
        for rail in found:
            self._tell(rail, before.get(rail.name))
        self._store.set_notified(*STAND, json.dumps([[r.name, r.state.value, r.text, r.tasks] for r in found]))
        self._said = found

    def _tell(self, rail: Rail, before: Rail | None) -> None:
        was = before.state if before else RailState.ON
        if rail.name in rails.PACING or rail.state is was:
            return
        if rail.state in _UNUSUAL:
            self._note(rail, rail.state.value)
        elif was in _UNUSUAL:
            self._note(rail, "released")

    def _note(self, rail: Rail, word: str) -> None:
        told = f": {rail.tasks:,} task{'' if rail.tasks == 1 else 's'}" if rail.state in _UNUSUAL else ""
        setting = f" ({rail.text})" if rail.text else ""
        message = f"{rail.name} {word}{told}{setting}"
        self._store.note("rail", "", {"rail": rail.name, "state": word, "tasks": rail.tasks, "message": message})


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What is set in another way, in words."""
    if not before:
        return "how the rails are set was written down for the first time"
    return "; ".join(f"{name}: {before.get(name)} -> {text}" for name, text in now.items() if before.get(name) != text)
