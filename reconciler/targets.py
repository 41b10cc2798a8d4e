"""The targets of the daemon: a dispatcher and a breaker each. What may not go now is said, and waits elsewhere."""

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from enum import Enum

from reconciler.core.breaker import Breaker
from reconciler.core.status import moment
from reconciler.dispatch import MISCONFIGURED, PROBED, STOPPED, UNREACHABLE, Dispatcher
from reconciler.errors import ReconcilerError, TargetError, TargetMisconfiguredError
from reconciler.events import Event, TargetChanged
from reconciler.jobs import Job, Result, Status, Tools
from reconciler.ports import Schedule

MOST_QUEUED = 128
"""Jobs with documents in them that one target may have waiting; further tasks wait as names."""


_UNANSWERED = (Status.PENDING, Status.BLOCKED, Status.UNKNOWN)


class Offer(Enum):
    """What became of a job that was offered."""

    TAKEN = "taken"
    ALREADY = "already"  # the same is queued or under way
    BUSY = "busy"  # something else is under way for the task, and has to end first
    CLOSED = "closed"  # the target cannot be used now
    FULL = "full"  # enough is waiting


class Targets:
    """Carries jobs out, those of each target apart.

    Args:
        tools: the world; `tell` hears of every event.
        known: names of the targets that the configuration has.
        schedule: when to ask a target again.
        done: told of every job that is over, by any thread.
        released: told the names of tasks that may be offered again, by any thread.
    """

    def __init__(
        self,
        tools: Tools,
        known: frozenset[str],
        schedule: Schedule,
        done: Callable[[Job, Result | Exception], None],
        released: Callable[[frozenset[str]], None],
    ) -> None:
        self._tools = tools
        self._known = known
        self._schedule = schedule
        self._told_done = done
        self._released = released
        self._dispatchers: dict[str, Dispatcher] = {}
        self._breakers: dict[str, Breaker] = {}
        self._jobs: dict[str, Job] = {}  # {task: what is queued or under way}
        self._parked: dict[str, set[str]] = {}  # {target: tasks that wait until it can be used, or has room}
        self._guard = threading.RLock()

    # --- jobs ------------------------------------------------------------------------------------------------------

    def offer(self, job: Job) -> Offer:
        """Queue a job, if that can be done now; it takes the place of another one of its task that is not begun."""
        task, name = job.item.task, job.item.target
        with self._guard:
            mine = self._jobs.get(task)
            if mine is not None and mine.wish == job.wish:
                return Offer.ALREADY  # also while it waits for another try: one by one they would not wait at all
            if not self.withdraw(task, newer=job.item.action.sends):
                return Offer.BUSY
            if self._breaker(name).kind:
                self._parked.setdefault(name, set()).add(task)
                return Offer.CLOSED
            dispatcher = self._dispatcher(name)
            if dispatcher.counts()[0] >= MOST_QUEUED:
                self._parked.setdefault(name, set()).add(task)
                return Offer.FULL
            self._jobs[task] = job
        dispatcher.submit(job)
        return Offer.TAKEN

    def withdraw(self, task: str, *, newer: bool = False) -> bool:
        """Take back what is not begun for a task; False when something of it is under way; see `Dispatcher`."""
        with self._guard:
            mine = self._jobs.get(task)
            if mine is None:
                return True
            if not self._dispatchers[mine.item.target].withdraw(task, newer=newer):
                return False
            self._jobs.pop(task, None)
            has_room = self._has_room(mine.item.target)
        if has_room:
            self._release(mine.item.target)
        return True

    def withdraw_all(self) -> None:
        """Take back whatever is not begun: what it was planned from is no longer so."""
        with self._guard:
            tasks = tuple(self._jobs)
        for task in tasks:
            self.withdraw(task)

    def _has_room(self, name: str) -> bool:
        return not self._breaker(name).kind and self._dispatcher(name).counts()[0] < MOST_QUEUED // 2

    def job(self, task: str) -> Job | None:
        """What is queued or under way for a task."""
        with self._guard:
            return self._jobs.get(task)

    def trouble(self, name: str) -> str:
        """Why a target cannot be used; "" when it can."""
        with self._guard:
            breaker = self._breakers.get(name)
            return f"{breaker.message} (since {moment(breaker.since)})" if breaker and breaker.since else ""

    def is_full(self, name: str) -> bool:
        """Whether as many components of a target are under way as may be."""
        with self._guard:
            return name in self._dispatchers and self._dispatchers[name].is_full

    def troubles(self) -> dict[str, str]:
        """`{target: kind of trouble}` of those whose breaker is open."""
        with self._guard:
            return {name: breaker.kind for name, breaker in self._breakers.items() if breaker.kind}

    def counts(self) -> tuple[int, int]:
        """Jobs and names that wait, and components under way."""
        with self._guard:
            pairs = [dispatcher.counts() for dispatcher in self._dispatchers.values()]
            parked = sum(map(len, self._parked.values()))
        return parked + sum(waiting for waiting, _ in pairs), sum(busy for _, busy in pairs)

    def _dispatcher(self, name: str) -> Dispatcher:
        if name not in self._dispatchers:
            self._dispatchers[name] = Dispatcher(name, self._tools, self._done, budget_s=0.0)
        return self._dispatchers[name]

    def _breaker(self, name: str) -> Breaker:
        return self._breakers.setdefault(name, Breaker())

    def _done(self, job: Job, result: Result | Exception) -> None:
        name, task = job.item.target, job.item.task
        with self._guard:
            if self._jobs.get(task) is job:
                del self._jobs[task]
            ask = False
            if isinstance(result, Result) and result.status is Status.PENDING and result.retry_in_s is not None:
                ask = self._breaker(name).failed()
            elif isinstance(result, Result) and result.status not in _UNANSWERED:
                self._breaker(name).worked()
            room = self._has_room(name)
        if ask:
            self._ask(name, 0.0)
        self._told_done(job, result)
        if room:
            self._release(name)

    def _release(self, name: str) -> None:
        with self._guard:
            names = frozenset(self._parked.pop(name, ()))
        if names:
            self._released(names)

    def suspect(self, troubles: Mapping[str, tuple[str, str]]) -> None:
        """What was found out before the start: targets that could not be used are asked before anything is sent."""
        for name, (kind, message) in troubles.items():
            if kind in PROBED and name in self._known:
                with self._guard:
                    self._breaker(name).open(kind, message, self._tools.clock.now())
                self._ask(name, 0.0)
            elif kind == STOPPED:
                self._accept(name)

    # --- breakers --------------------------------------------------------------------------------------------------

    def listen(self, event: Event) -> None:
        """Open the breaker of a target that turned out to be misconfigured."""
        if isinstance(event, TargetChanged) and event.kind == MISCONFIGURED:
            with self._guard:
                self._breaker(event.target).open(event.kind, event.message, self._tools.clock.now())
            self._ask_later(event.target)

    def reopen(self, name: str) -> None:
        """Somebody released a target that was stopped; one whose breaker is open has to answer first."""
        with self._guard:
            closed = self._breaker(name).kind
        if not closed:
            self._accept(name)

    def _accept(self, name: str) -> None:
        """Begin jobs again, unless the target was stopped: that ends by a word of a person only."""
        try:
            kind, message = self._tools.store.target_trouble().get(name, ("", ""))
        except ReconcilerError as error:
            kind, message = STOPPED, str(error)  # whether it was cannot be read: the next resync asks again
        with self._guard:
            dispatcher = self._dispatcher(name)
        if kind == STOPPED:
            dispatcher.refuse(message, looks=True)
        else:
            dispatcher.accept()
        self._release(name)

    def ask_all(self) -> None:
        """Ask every target that cannot be used, now: somebody says that it can."""
        for name in self.troubles():
            self._ask(name, 0.0)

    def _ask_later(self, name: str) -> None:
        with self._guard:
            wait_s = max(1.0, self._breaker(name).next_probe_s(self._tools.random()))
        self._ask(name, wait_s)

    def _ask(self, name: str, wait_s: float) -> None:
        self._schedule.at(f"probe {name}", wait_s, lambda: self._probe(name))

    def _probe(self, name: str) -> None:
        """Ask a target something harmless: can it be used?"""
        if name not in self._known:
            return
        try:
            with closing(self._tools.open_target(name, ())) as target:
                target.probe()
        except TargetMisconfiguredError as error:
            self._open(name, MISCONFIGURED, error)
        except TargetError as error:
            self._open(name, UNREACHABLE, error)
        else:
            self._close(name)

    def _open(self, name: str, kind: str, error: TargetError) -> None:
        with self._guard:
            is_news = self._breaker(name).open(kind, str(error), self._tools.clock.now())
            dispatcher = self._dispatcher(name)
        if is_news:
            self._tools.tell(TargetChanged(name, kind, str(error)))
            self._remember(name, kind, str(error))
            dispatcher.refuse(str(error))
        self._ask_later(name)

    def _close(self, name: str) -> None:
        with self._guard:
            was_open = self._breaker(name).close()
        if was_open:
            self._remember(name, "", "answers again")
            self._tools.tell(TargetChanged(name, "", "answers again"))
            self._accept(name)
        else:
            self._release(name)

    def _remember(self, name: str, kind: str, message: str) -> None:
        try:
            before, _ = self._tools.store.target_trouble().get(name, ("", ""))
            if kind in PROBED and (not before or before in PROBED):
                self._tools.store.set_target_trouble(name, kind, message)
            elif not kind and before in PROBED:
                self._tools.store.set_target_trouble(name, "", "")
            self._tools.store.note("target", "", {"target": name, "kind": kind, "message": message})
        except ReconcilerError:
            return  # the store's trouble is reported by whoever looks next; the breaker works without it

    # --- life ------------------------------------------------------------------------------------------------------

    def renew(self, tools: Tools, known: frozenset[str]) -> None:
        """Use the targets as they are configured now; those that could not be used are asked whether they can."""
        with self._guard:
            self._tools, self._known = tools, known
            dispatchers = dict(self._dispatchers)
            for name in self._breakers.keys() - known:
                del self._breakers[name]
        for name, dispatcher in dispatchers.items():
            dispatcher.renew(tools)
            if name in known:
                self.reopen(name)
            else:
                dispatcher.refuse("the configuration no longer has this target")
                self._release(name)
        self.ask_all()

    def end(self) -> list[threading.Thread]:
        """Begin nothing further and let calls in flight end; the threads that wait for that."""
        with self._guard:
            dispatchers = list(self._dispatchers.values())
        for dispatcher in dispatchers:
            dispatcher.refuse("the daemon stops")
        threads = [threading.Thread(target=d.end, kwargs={"settle": False}, daemon=True) for d in dispatchers]
        for thread in threads:
            thread.start()
        return threads
