"""The daemon: when to look at which task. `passes` looks, `targets` carries out.

Level-based: whatever happens (a file event, a resync, a command, an answer of a target) puts names on the agenda, and
one loop takes them from there. The loop never waits for a call, so its progress is that of the daemon, and the
watchdog is fed by it alone.
"""

import queue
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from reconciler.agenda import Agenda
from reconciler.config import Settings
from reconciler.core.heads import short
from reconciler.core.ledger import is_open
from reconciler.core.policy import ALL_TASKS, Policy
from reconciler.core.status import FOLLOWED, TROUBLED, moment
from reconciler.dispatch import PROBED
from reconciler.errors import ReconcilerError
from reconciler.events import CallEnded, CallStarted, Event, Listener, Notice, PassEnded, TargetChanged, Vitals
from reconciler.jobs import Job, Result, Tools
from reconciler.model import Action, JournalEntry
from reconciler.passes import MOST_WORK, PROBLEM_S, Passes
from reconciler.ports import Feed, StateStore
from reconciler.rail_rows import RailRows
from reconciler.reconcile import Reconciler
from reconciler.schedule import Schedule
from reconciler.states import States
from reconciler.systemd import Manager
from reconciler.targets import Targets

TURN_S = 0.25
"""The loop goes round at least so often: commands and signals are seen within that."""

BATCH = MOST_WORK
"""Names looked at together; more where it is not known yet what they would send, which a limit has to count as one."""

HOUSEKEEPING_S = 1.0
WRITABLE_S = 5.0
"""How often to try whether the store could be written: without it nothing is sent, and /readyz says so."""

DRAIN_S = 30.0
START_S = 60.0
"""How long the first look may make no progress before systemd gives up."""

HOUR_S = 3600.0
STUCK_S = 15.0
"""Without progress for so long the loop counts as hung."""

_COMMANDS = frozenset(("adopt", "forget", "retry", "suspend", "resume", "release", "sync", "approve", "reset"))
"""Kinds of journal rows that a command beside the daemon leaves."""


class Wish(Enum):
    """What a signal asks for."""

    STOP = "stop"
    RELOAD = "reload"
    RESYNC = "resync"
    FETCH = "fetch"  # a code host says that there are new commits


@dataclass(frozen=True, slots=True)
class Setup:
    """What a configuration amounts to."""

    settings: Settings
    rules: Policy
    reconciler: Reconciler
    tools: Tools
    feed: Feed


@dataclass(frozen=True, slots=True)
class Ears:
    """What a setup is made with: whom it tells."""

    tell: Listener
    tick: Callable[[], None]  # a step of a long look is done
    wake: Callable[[], None]  # there is something to take; by any thread


Make = Callable[[Ears], Setup]
"""Reads the configuration and makes everything anew. Raises ReconcilerError when that cannot be."""


class Daemon:
    """Runs until it is told to stop.

    Args:
        make: makes what depends on the configuration: at the start, and at each reload.
        store: the state store; the caller holds the writer lock.
        schedule: what time causes.
        manager: systemd, if it is there.
        tell: hears of every event.
        describe: an exception in words that hold no secret.
    """

    def __init__(
        self,
        make: Make,
        store: StateStore,
        schedule: Schedule,
        manager: Manager,
        tell: Listener,
        describe: Callable[[BaseException], str],
    ) -> None:
        self._make = make
        self._store = store
        self._schedule = schedule
        self._manager = manager
        self._outside = tell
        self._ears = Ears(self._hear, self._tick, self._wake)
        self._setup = make(self._ears)
        clock = self._setup.tools.clock
        self._clock = clock
        self._agenda = Agenda(clock)
        self._states = States(store, clock, self._hear)
        known = frozenset(self._setup.settings.targets)
        self._targets = Targets(self._setup.tools, known, schedule, self._job_done, self._released)
        self._passes = Passes(
            self._setup.reconciler,
            self._setup.rules,
            self._targets,
            self._states,
            self._agenda,
            self._setup.tools,
            describe,
            self._is_restless,
        )
        self._describe = describe
        self._wishes: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        self._changed: queue.SimpleQueue[str] = queue.SimpleQueue()  # targets of which that was told
        self._everything: tuple[str, float] | None = ("start", 0.0)  # (why to look at all tasks, when)
        self._sequence = store.last_sequence()  # of the journal, as far as it was followed
        self._noted: deque[tuple[int, float]] = deque()  # (row, when it was followed): what it asks for may be fetched
        self._asked: deque[tuple[int, float]] = deque()  # (row, when that was taken in): to be answered
        self._troubles = dict(store.target_trouble())
        self._progress = clock.monotonic()
        self._fed = self._housekept = self._extended = self._tried_writing = clock.monotonic() - START_S
        self._begun = False  # every task was looked at once
        self._stopping = False
        self._cause = "event"  # why the next tasks are looked at
        self._problem = ""
        self._frozen = ""
        self._troubled: str | None = None  # as the store knows it
        self._rail_rows = RailRows(store)
        self._restarts = 0
        self._last_pass: datetime | None = None
        self._last_call: datetime | None = None
        self._said = ""  # to the manager

    # --- from outside, by any thread or signal handler -------------------------------------------------------------

    def wish(self, wish: Wish) -> None:
        """Ask for something; it is done within TURN_S."""
        self._wishes.put(wish)

    def push(self) -> None:
        """Somebody who may do so says that there are new commits; not for signal handlers."""
        self.wish(Wish.FETCH)
        self._wake()

    def _wake(self) -> None:
        self._agenda.wake()

    def vitals(self) -> Vitals:
        """How the daemon is."""
        stuck_s = self._clock.monotonic() - self._progress
        source = self._setup.feed.vitals()
        due, oldest_s = self._agenda.waiting()
        queued, under_way = self._targets.counts()
        return Vitals(
            alive=f"the loop made no progress for {stuck_s:.0f} s" if stuck_s > STUCK_S else "",
            ready=self._not_ready(),
            states=self._states.counts(),
            invalid_files=self._passes.invalid_files,
            waiting=due + queued,
            oldest_s=oldest_s,
            in_flight=under_way,
            restarts=self._restarts,
            last_pass=self._last_pass,
            last_call=self._last_call,
            targets={name: self._trouble_of(name) for name in self._setup.settings.targets},
            revision=source.commit or self._passes.revision,
            source=source,
            resets=Counter(entry.stage for entry in self._passes.resets),
            stopped=sum(entry.stopped and is_open(entry) for entry in self._passes.resets),
        )

    def _not_ready(self) -> str:
        if self._stopping:
            return "stopping"
        if not self._begun:
            return self._problem or "not every task was looked at yet"
        return self._problem

    def _trouble_of(self, name: str) -> str:
        return self._targets.troubles().get(name) or self._troubles.get(name, ("", ""))[0]

    # --- the loop --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Look at everything once, say that we are ready, go on until somebody wishes that we stop."""
        self._setup.feed.start()  # before the first look, so that nothing is missed
        self._targets.suspect(self._troubles)
        self._schedule_all()
        self._schedule.start()
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._drain()

    def _turn(self) -> None:
        """Once round."""
        self._tick()
        self._obey()
        if self._stopping:
            return
        self._follow_journal()
        self._follow_files()
        self._follow_targets()
        self._housekeep()
        if self._everything is not None and self._everything[1] <= self._clock.monotonic():
            self._look_at_everything(self._everything[0])
        names = self._agenda.take(BATCH) if self._everything is None else []
        if names:
            self._conclude(self._passes.some(names, self._cause))
            self._cause = "retry"
        self._answer()
        if not names:
            self._agenda.wait(self._longest_s(), until_due=self._everything is None)

    def _answer(self) -> None:
        """Say how far the journal was followed and what it asks for was looked at: `sync --wait` waits for that."""
        if not self._asked or self._everything is not None or self._problem:
            return
        waits_since = self._clock.monotonic() - self._agenda.waiting()[1]
        answered = [sequence for sequence, at in self._asked if at < waits_since]
        try:
            if answered:
                self._store.set_notified(*FOLLOWED, str(answered[-1]))
        except ReconcilerError as error:
            self._in_trouble(error)
            return
        for _ in answered:
            self._asked.popleft()

    def _in_trouble(self, error: ReconcilerError) -> None:
        """Say so on /readyz until a look at everything shows that it works again."""
        self._problem = str(error)
        if self._everything is None:
            self._everything = ("retry", self._clock.monotonic() + PROBLEM_S)

    def _longest_s(self) -> float:
        next_s = self._setup.feed.next_s()
        return TURN_S if next_s is None else max(0.0, min(TURN_S, next_s - self._clock.monotonic()))

    def _tick(self) -> None:
        """Progress was made."""
        self._progress = now = self._clock.monotonic()
        interval_s = self._manager.watchdog_interval_s  # half of what systemd allows
        if interval_s is not None and now - self._fed >= interval_s:
            self._fed = now
            self._told(self._manager.watchdog())
        if not self._begun and now - self._extended >= START_S / 4:
            self._extended = now
            self._told(self._manager.extend_timeout(START_S))

    def _look_at_everything(self, cause: str) -> None:
        self._everything = None
        self._write_down_rails(looked=False)
        ended = self._passes.everything(cause)
        if ended.problem:
            self._everything = (cause, self._clock.monotonic() + PROBLEM_S)
        self._conclude(ended)
        if not ended.problem and not self._begun:
            self._begun = True
            (self._noted or self._asked).append((self._sequence, 0.0))  # never ahead of an earlier row
            self._told(self._manager.ready(self._summary()))

    def _conclude(self, ended: PassEnded) -> None:
        if ended.frozen != self._frozen:
            self._frozen = ended.frozen
            self._want_everything("event")  # what is held or released concerns all
        self._problem = ended.problem
        self._remember_trouble(ended.problem or ended.frozen)
        if not ended.problem:
            self._last_pass = self._clock.now()
            self._write_down_rails(looked=True)
        self._hear(ended)

    def _remember_trouble(self, text: str) -> None:
        """For `status` and `sync`, which read the store only."""
        if text == self._troubled:
            return
        since = f" (since {moment(self._clock.now())})" if text else ""
        try:
            self._store.set_notified(*TROUBLED, f"{text}{since}")
            self._troubled = text
        except ReconcilerError as error:
            self._in_trouble(error)

    def _write_down_rails(self, *, looked: bool) -> None:
        """For the journal and `status`: how the rails are set, and once every task was looked at, how they stand."""
        try:
            if not looked:
                self._rail_rows.write_settings(self._setup.rules)
            elif self._everything is None:
                self._rail_rows.write(self._passes.rails, self._passes.held, whole=True)
        except ReconcilerError as error:
            self._in_trouble(error)

    def _want_everything_now(self, cause: str) -> None:
        """The same, unless that is wanted now for another cause."""
        if self._everything is None or self._everything[1] > self._clock.monotonic():
            self._want_everything(cause)

    def _want_everything(self, cause: str) -> None:
        self._everything = (cause, self._clock.monotonic())
        self._agenda.wake()

    # --- what makes it look ----------------------------------------------------------------------------------------

    def _follow_files(self) -> None:
        """Put tasks on the agenda whose files are others than before."""
        feed = self._setup.feed
        try:
            names = feed.take()
        except ReconcilerError as error:
            self._in_trouble(error)
            return
        except Exception as error:  # noqa: BLE001 - the border: what a repository holds must not end the daemon
            text = f"a defect of reconciler kept it from following the files, please report it: {self._describe(error)}"
            self._hear(Notice("error", "defect", text))
            self._in_trouble(ReconcilerError(text))
            return
        if names is None:
            self._want_everything_now(feed.cause)
        elif names:
            self._cause = feed.cause
            self._agenda.add(names)
        while self._noted and feed.covers(self._noted[0][1]):
            sequence, _ = self._noted.popleft()
            self._asked.append((sequence, self._clock.monotonic()))

    def _is_restless(self, task: str) -> bool:
        return self._setup.feed.is_restless(task)

    def _follow_journal(self) -> None:
        """Commands beside the daemon leave rows; what they changed is looked at again."""
        try:
            if self._store.last_sequence() != self._sequence:
                for entry in self._store.rows_after(self._sequence):
                    self._sequence = entry.sequence
                    self._follow(entry)
            troubles = dict(self._store.target_trouble())
        except ReconcilerError as error:
            self._in_trouble(error)
            return
        if troubles != self._troubles:
            for name in self._troubles.keys() - troubles.keys():
                self._targets.reopen(name)
                if self._troubles[name][0] not in PROBED:  # else whoever asked it tells
                    self._hear(TargetChanged(name, "", "was released by a command"))
            self._troubles = troubles
            self._want_everything("event")

    def _follow(self, entry: JournalEntry) -> None:
        if entry.kind == "head":
            self._setup.feed.look()
        if entry.kind not in _COMMANDS:
            return
        self._cause = "command"
        if entry.kind in ("retry", "release"):
            self._passes.try_again(entry.task)
            self._targets.ask_all()
        if entry.kind == "sync" and self._setup.feed.asked(entry.task):
            self._want_everything("command")
        if not entry.task or entry.task.startswith(ALL_TASKS):  # those with a label, too
            self._want_everything("command")
        else:
            self._agenda.add((entry.task,))
        self._noted.append((entry.sequence, self._clock.monotonic()))

    def _follow_targets(self) -> None:
        """Tasks of a target that can be used again, or no longer, are in another state."""
        if not self._changed.empty():
            while not self._changed.empty():
                self._changed.get()
            self._want_everything("event")

    def _hear(self, event: Event) -> None:
        """Of anything that happens, in any thread."""
        if isinstance(event, CallStarted):
            self._agenda.add((event.task,))
        elif isinstance(event, CallEnded):
            self._agenda.add((event.task,))
            if event.outcome == "accepted":
                self._restarts += event.action != Action.RESET.value
                self._last_call = self._clock.now()
        elif isinstance(event, TargetChanged):
            self._targets.listen(event)
            self._changed.put(event.target)
            self._agenda.wake()
        self._outside(event)

    def _job_done(self, job: Job, result: Result | Exception) -> None:
        self._passes.done(job, result)

    def _released(self, tasks: frozenset[str]) -> None:
        """Their target has room, or can be used again; what they would send was counted when they were looked at."""
        self._agenda.add(tasks, counted=True)

    # --- time ------------------------------------------------------------------------------------------------------

    def _schedule_all(self) -> None:
        daemon = self._setup.settings.daemon
        self._schedule.every("resync", daemon.resync_s, self._resync, spread=0.1)
        self._schedule.every("retention", HOUR_S, self._prune, spread=0.1)

    def _resync(self) -> None:
        self._want_everything("resync")

    def _prune(self) -> None:
        days = self._setup.settings.daemon.history_days
        if days:
            gone = self._store.prune(self._clock.now() - timedelta(days=days))
            if gone:
                text = f"{gone} journal rows older than {days:g} days were dropped (daemon.history_days)"
                self._hear(Notice("info", "store", text))

    def _housekeep(self) -> None:
        now = self._clock.monotonic()
        if now - self._housekept < HOUSEKEEPING_S:
            return
        self._housekept = now
        if self._begun and now - self._tried_writing >= WRITABLE_S:
            self._tried_writing = now
            self._try_writing()
        self._check_feed()
        jump_s = self._schedule.check()
        if jump_s:
            self._hear(
                Notice("warning", "clock", f"the clock jumped by {jump_s:+.0f} s; everything is looked at again")
            )
            self._want_everything("resync")
        summary = self._summary()
        if self._begun and summary != self._said:
            self._said = summary
            self._told(self._manager.status(summary))

    def _try_writing(self) -> None:
        try:
            self._store.ensure_writable()
        except ReconcilerError as error:
            self._in_trouble(error)

    def _check_feed(self) -> None:
        try:
            self._setup.feed.check()
        except Exception as error:  # noqa: BLE001 - the border: what a file system does must not end the daemon
            text = f"watching the files failed, the resync finds what was missed: {self._describe(error)}"
            self._hear(Notice("error", "watch", text))

    def _told(self, problem: str) -> None:
        """Say when systemd could not be told."""
        if problem:
            self._hear(Notice("warning", "lifecycle", problem))

    def _summary(self) -> str:
        counts = self._states.counts()
        parts = [f"{number} {state.value}" for state, number in counts.items() if number]
        tasks = ", ".join(parts) or "no tasks"
        source = self._setup.feed.vitals()
        behind = f"STAYS AT {short(source.commit)} (the newest commit is {source.problem}), " if source.problem else ""
        limits = "".join(f"LIMIT {rail}, " for rail in sorted(self._passes.limits))
        return f"{self._frozen and 'FROZEN, '}{self._problem and 'IN TROUBLE, '}{limits}{behind}{tasks}"

    # --- signals ---------------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        while not self._wishes.empty():
            wish = self._wishes.get()
            if wish is Wish.STOP:
                self._stopping = True
            elif wish is Wish.RESYNC:
                self._hear(Notice("info", "signal", "a resync was asked for: everything is looked at"))
                self._want_everything("command")
            elif wish is Wish.FETCH:
                self._setup.feed.pushed()
            else:
                self._reload()

    def _reload(self) -> None:
        """Go on with the configuration as it is now; a bad one changes nothing."""
        self._told(self._manager.reloading())
        try:
            setup = self._make(self._ears)
        except ReconcilerError as error:
            text = f"the new configuration is refused, the old one stays in force: {error}"
            self._hear(Notice("error", "config", text))
        else:
            self._renew(setup)
            self._hear(Notice("info", "config", "the configuration was read anew"))
        self._told(self._manager.ready(self._summary()))

    def _renew(self, setup: Setup) -> None:
        old, self._setup = self._setup, setup
        self._targets.renew(setup.tools, frozenset(setup.settings.targets))
        self._passes.renew(setup.reconciler, setup.rules, setup.tools)
        old.feed.stop()
        setup.feed.start()
        self._schedule_all()
        self._states.tell_anew()
        self._want_everything("start")

    def _drain(self) -> None:
        """Begin nothing, let calls in flight end and be written down, for at most DRAIN_S."""
        self._stopping = True
        self._told(self._manager.stopping("calls under way are ended"))
        self._setup.feed.stop()
        self._schedule.stop(2.0)  # what asks a target may hang
        threads = self._targets.end()
        until = self._clock.monotonic() + DRAIN_S
        while any(thread.is_alive() for thread in threads) and self._clock.monotonic() < until:
            self._told(self._manager.extend_timeout(DRAIN_S))
            self._tick()
            for thread in threads:
                thread.join(1.0)
        if any(thread.is_alive() for thread in threads):
            text = "a call did not end in time: its outcome is unknown, the next start looks at the component"
            self._hear(Notice("warning", "lifecycle", text))
