"""What the daemon's loop drives, joined as it joins it: without processes, signals and file events, in time of its own."""

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from reconciler.agenda import Agenda
from reconciler.core.policy import NewTasks, Policy
from reconciler.errors import StateStoreError
from reconciler.events import CallEnded, CallStarted, Event, PassEnded, StateChanged, TargetChanged
from reconciler.jobs import Job, Result
from reconciler.model import TaskState
from reconciler.passes import MOST_WORK, Passes
from reconciler.reconcile import Reconciler
from reconciler.states import States
from reconciler.targets import Targets
from tests.integration.bench import Bench
from tests.integration.clocks import FakeClock

KNOWN = frozenset(("default", "other"))
TURN_S = 1.0
MOST_TURNS = 3000


class FakeSchedule:
    """`ports.Schedule` by the clock of the tests: whoever turns the engine runs what is due."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._wanted: dict[str, tuple[float, Callable[[], None]]] = {}

    def at(self, name: str, seconds_from_now: float, action: Callable[[], None]) -> None:
        with self._guard:
            self._wanted[name] = self._clock.monotonic() + seconds_from_now, action

    @property
    def names(self) -> set[str]:
        """What is still to be done."""
        with self._guard:
            return set(self._wanted)

    def run_due(self, *, all_of_it: bool = False) -> None:
        now = self._clock.monotonic()
        with self._guard:
            due = [name for name, (at, _) in self._wanted.items() if all_of_it or at <= now]
            actions = [self._wanted.pop(name)[1] for name in due]
        for action in actions:
            action()


class Standstill:
    """No time passes until it is over: somebody is heard of all the while.

    Args:
        clock: stands still from here on.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock, self._patience_s = clock, clock.patience_s
        self._over = threading.Event()
        clock.patience_s = 0.3  # also for threads that wait already, from their next look on
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()

    def _tick(self) -> None:
        while not self._over.wait(0.001):
            self._clock.monotonic()

    def end(self) -> None:
        """Let time pass again."""
        self._clock.patience_s = self._patience_s
        self._over.set()
        self._thread.join()


class FaultyStore:
    """A store of which some methods fail for a while."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.failing: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name in self.failing:
            return self._fail
        return getattr(self._store, name)

    def _fail(self, *_arguments: object, **_more: object) -> None:
        raise StateStoreError("the disk is full")


class Engine:
    """Passes, targets, states and an agenda on a bench.

    Args:
        bench: files, store and server.
        stop_after: failures that stop a target.
        verify_s: how long a component is looked at.
        reconciler: looks; by default the bench's own.
        rules: members of the policy; new tasks are sent.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        stop_after: int = 0,
        verify_s: float = 30.0,
        reconciler: Reconciler | None = None,
        **rules: Any,
    ) -> None:
        self.bench = bench
        self.restless: set[str] = set()  # tasks whose files are still being written
        self.heard: list[Event] = []
        self.ended: list[tuple[float, Job, Result | Exception]] = []  # (when, job, what became of it)
        self.schedule = FakeSchedule(bench.clock)
        self.rules = Policy(**{"new_tasks": NewTasks.APPLY, "paced": True, **rules})
        stops = dict.fromkeys(bench.concurrent, stop_after)
        self.tools = replace(bench.tools(verify_s), tell=self._hear, stop_after=stops, windows=self.rules.windows)
        self.reconciler = reconciler or bench.reconciler()
        self.agenda = Agenda(bench.clock)
        self.states = States(bench.store, bench.clock, self._hear)
        self.targets = Targets(self.tools, KNOWN, self.schedule, self._done, self._released)
        self.passes = self._passes()

    def _passes(self) -> Passes:
        return Passes(
            self.reconciler,
            self.rules,
            self.targets,
            self.states,
            self.agenda,
            self.tools,
            repr,
            self.restless.__contains__,
        )

    def _done(self, job: Job, result: Result | Exception) -> None:
        self.ended.append((self.bench.clock.monotonic(), job, result))
        self.passes.done(job, result)

    def _released(self, tasks: frozenset[str]) -> None:
        self.agenda.add(tasks, counted=True)

    def _hear(self, event: Event) -> None:
        """As the daemon does."""
        self.heard.append(event)
        if isinstance(event, (CallStarted, CallEnded)):
            self.agenda.add((event.task,))
        elif isinstance(event, TargetChanged):
            self.targets.listen(event)

    # --- turning ---------------------------------------------------------------------------------------------------

    def everything(self) -> PassEnded:
        return self.passes.everything("start")

    def some(self, *names: str) -> PassEnded:
        return self.passes.some(names, "event")

    def turn(self, longest_s: float = TURN_S) -> None:
        """Once round the daemon's loop."""
        self.schedule.run_due()
        names = self.agenda.take(MOST_WORK)
        if names:
            self.passes.some(names, "event")
        else:
            self.agenda.wait(longest_s)

    def until(self, condition: Callable[[], Any], longest_s: float = TURN_S) -> Any:
        """Turn until something is true."""
        for _ in range(MOST_TURNS):
            if found := condition():
                return found
            self.turn(longest_s)
        raise AssertionError(f"it did not come true: {self.said()}")

    def pass_time(self, seconds: float) -> None:
        """Turn until so much time has passed."""
        end = self.bench.clock.monotonic() + seconds
        self.until(lambda: self.bench.clock.monotonic() >= end, max(TURN_S, seconds / 20))

    def settled(self, *tasks: str, state: str = "synced") -> "Engine":
        """Turn until these tasks, or all, are in a state."""
        self.until(lambda: all(self.state(task) == state for task in tasks or self.states.names()))
        return self

    # --- what was said ---------------------------------------------------------------------------------------------

    def said(self) -> dict[str, TaskState]:
        return dict(self.bench.store.states())

    def state(self, task: str = "shop") -> str:
        found = self.bench.store.states().get(task)
        return found.state if found else ""

    def of(self, kind: type, task: str | None = None) -> list[Any]:
        """Events of one kind."""
        return [e for e in self.heard if isinstance(e, kind) and (task is None or self._task(e) == task)]

    def told(self, task: str = "shop") -> list[str]:
        """States that a task was said to be in, one after another."""
        return [event.status.state.value for event in self.of(StateChanged, task)]

    def _task(self, event: Any) -> str:
        return event.status.task if isinstance(event, StateChanged) else event.task

    # --- life ------------------------------------------------------------------------------------------------------

    def renew(self, known: Collection[str], **changes: Any) -> None:
        """Another configuration."""
        self.tools = replace(self.tools, **changes)
        self.targets.renew(self.tools, frozenset(known))
        self.reconciler = self.bench.reconciler()
        self.passes.renew(self.reconciler, self.rules, self.tools)

    def end(self) -> None:
        join(self.targets.end())


def join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        thread.join(20.0)
        assert not thread.is_alive(), f"{thread.name} does not end"
