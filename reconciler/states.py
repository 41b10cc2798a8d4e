"""What the daemon says of each task: remembered across restarts, so that "since" is true and nobody is told twice."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.core.status import State, TaskStatus
from reconciler.events import Listener, StateChanged, TaskGone
from reconciler.model import TaskState
from reconciler.ports import Clock, StateStore


@dataclass(frozen=True, slots=True)
class Finding:
    """How one task is now."""

    status: TaskStatus
    labels: Mapping[str, str]
    content: str  # digest of what the files ask for, or of what is wrong with them


class States:
    """The states of all tasks.

    Args:
        store: where they are remembered.
        clock: the time.
        tell: is told what changed.
    """

    def __init__(self, store: StateStore, clock: Clock, tell: Listener) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell
        self._said = dict(store.states())
        self._heard: set[str] = set()  # tasks that were looked at since the start
        self._unwritten: set[str] = set()  # tasks of which the store does not know the last word
        self._guard = threading.Lock()

    def put(self, findings: Iterable[Finding], gone: Iterable[str] = ()) -> None:
        """Take note of how tasks are now, and of those that are no more.

        Raises:
            StateStoreError: it was told, but could not be written down; that is tried again with the next look.
        """
        events: list[StateChanged | TaskGone] = []
        changed: dict[str, TaskState] = {}
        for finding in findings:
            task, before = finding.status.task, self._said.get(finding.status.task)
            now = self._state(finding, before)
            if now != before:
                changed[task] = now
            if task not in self._heard or before is None or _is_news(before, now):
                self._heard.add(task)
                was = State(before.state) if before else None
                events.append(
                    StateChanged(replace(finding.status, since=now.since), was, finding.labels, finding.content)
                )
        lost = [name for name in gone if name in self._said]
        events += [TaskGone(name, State(self._said[name].state)) for name in lost]
        self._remember(changed, lost)
        for event in events:
            self._tell(event)
        self._write_down()

    def _write_down(self) -> None:
        if self._unwritten:
            changed = [self._said[task] for task in self._unwritten if task in self._said]
            self._store.put_states(changed, self._unwritten - self._said.keys())
            self._unwritten.clear()

    def _remember(self, changed: Mapping[str, TaskState], lost: Iterable[str]) -> None:
        self._unwritten.update(changed, lost)
        with self._guard:  # others only count, so that a slow disk does not keep them waiting
            self._said.update(changed)
            for name in lost:
                del self._said[name]
        self._heard.difference_update(lost)

    def _state(self, finding: Finding, before: TaskState | None) -> TaskState:
        status = finding.status
        since = status.since
        if before is not None and (since is None or since < before.since):  # a reset leaves no trace in the record
            since = before.since if before.state == status.state.value else self._clock.now()
        elif since is None:
            since = self._clock.now()
        return TaskState(
            task=status.task,
            state=status.state.value,
            since=since,
            reason=status.reason,
            next_step=status.next_step,
            until=status.until,
            revision=status.revision,
            ticket=status.ticket,
            request_id=status.request_id,
            content=finding.content,
        )

    def tell_anew(self) -> None:
        """Whoever listens is told of every task again with its next look: there may be new listeners."""
        self._heard.clear()

    def names(self) -> frozenset[str]:
        """Tasks that something was said of."""
        with self._guard:
            return frozenset(self._said)

    def counts(self) -> Mapping[State, int]:
        """Tasks by state."""
        with self._guard:
            counted = Counter(said.state for said in self._said.values())
        return {state: counted[state.value] for state in State}


def _is_news(before: TaskState, now: TaskState) -> bool:
    """Whether somebody who was told of one would want to hear of the other."""
    return (before.state, before.reason, before.content) != (now.state, now.reason, now.content)
