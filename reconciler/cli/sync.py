"""`reconciler sync`: asks the running daemon to look now, and waits for what comes of it."""

import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from reconciler import wiring
from reconciler.cli.common import Session, pass_session, say, tasks_argument, warn
from reconciler.cli.live import Changes
from reconciler.cli.view import check_names, daemon_of, followed_by_daemon
from reconciler.core import heads
from reconciler.core.policy import ALL_TASKS
from reconciler.core.status import FOLLOWED, TROUBLED, UNDER_WAY, State, TaskStatus, counted, moment, said
from reconciler.errors import ReconcilerError
from reconciler.reconcile import is_chosen

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.state.sqlite import SqliteStore

POLL_S = 0.25
MOST_NAMED = 20
"""More tasks are not asked for one by one: one look at everything is cheaper than so many rows in the journal."""

_SHOWN = 5
_HELD = 3  # exit code
_WRONG = (State.FAILED, State.INVALID)


@click.command()
@tasks_argument()
@click.option("--wait", is_flag=True, help="Return when each of the tasks has come to rest.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait at most.",
)
@pass_session
def sync(session: Session, task: tuple[str, ...], wait: bool, timeout_s: float) -> int:
    """Ask the running daemon to look now.

    At these tasks, or at all: at once, not when the directory is quiet or at the next resync; where commits are
    followed, it fetches first. The daemon sends what is to be sent. A task has come to rest when nothing is about to be
    sent and no call is under way.

    Exit code: 1 no daemon runs; with --wait also when a task is failed or invalid, or the time was up; 3 a task is
    blocked, or the newest commit is not followed or could not be fetched; 0 else.
    """
    settings = session.settings()
    names = _names(settings, task)
    with closing(wiring.open_store(settings, read_only=False)) as store:
        for name in names:
            store.note("sync", name, {"reason": "asked for by command"})
        sequence = store.last_sequence()
        fetch = "fetch and " if settings.git and settings.git.remote else ""
        warn(f"asked the daemon to {fetch}look at {_shown(task)} now")
        if not wait:
            return 0
        code = _Wait(store, task, sequence, timeout_s).run()
        followed = followed_by_daemon(settings, store)
    edits = wiring.edits(settings, followed.head.commit.id) if followed.head else ()
    for remark in (*heads.remarks(followed), *edits):
        warn(remark)
    return code or (_HELD if heads.is_behind(followed) else 0)


def _names(settings: "Settings", task: tuple[str, ...]) -> tuple[str, ...]:
    """What to ask for: each task by its name, or "*" for all, which a folder with its new tasks needs as well.

    Raises:
        ReconcilerError: no daemon runs.
        click.UsageError: nobody knows a name.
    """
    with closing(wiring.open_store(settings, read_only=True)) as store:
        if daemon_of(store) is None:
            holder = store.holder()
            beside = f" ({holder} may call OMS now)" if holder else ""
            raise ReconcilerError(
                f"no daemon runs{beside}, so nobody can be asked: start it (reconciler run), or do it by hand:"
                " reconciler apply"
            )
        check_names(settings, store, task)
        known, each = set(store.states()), dict.fromkeys(task)
        if not known >= each.keys():
            known |= set(wiring.source(settings, store).names())  # new ones
    return tuple(each) if each and len(each) <= MOST_NAMED and known >= each.keys() else (ALL_TASKS,)


def _shown(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}" if names else "all tasks"


class _Wait:
    """Waits until the daemon has looked, and the tasks have come to rest.

    Args:
        store: where the daemon says what it sees.
        tasks: names of tasks or folders; all when empty.
        sequence: of the journal row that asked, or of a later one.
        timeout_s: how long at most, seconds.
    """

    def __init__(self, store: "SqliteStore", tasks: tuple[str, ...], sequence: int, timeout_s: float) -> None:
        self._store = store
        self._tasks = tasks
        self._sequence = sequence
        self._timeout_s = timeout_s
        self._began = time.monotonic()
        self._changes = Changes()
        self._told: dict[str, str] = {}
        self._trouble = ""

    def run(self) -> int:
        """Wait; returns the exit code.

        Raises:
            ReconcilerError: the daemon ended.
        """
        while True:
            has_looked = self._has_looked()  # asked first: what is read then is at least as new
            began, statuses = time.monotonic(), self._statuses()
            self._tell_changes(statuses)
            under_way = tuple(one.task for one in statuses if _is_under_way(one))
            self._tell_trouble()
            if has_looked and not under_way:
                return self._concluded(statuses)
            if self._waited_s() >= self._timeout_s:
                what = f"still under way: {_shown(under_way)}" if under_way else "the daemon has not looked yet"
                warn(f"not at rest within {self._timeout_s:g} s, the daemon goes on; {what}")
                return 1
            if daemon_of(self._store) is None:
                raise ReconcilerError("the daemon ended; reconciler status shows where things stand")
            time.sleep(max(POLL_S, time.monotonic() - began))

    def _waited_s(self) -> float:
        return time.monotonic() - self._began

    def _has_looked(self) -> bool:
        channel, subject = FOLLOWED
        followed = self._store.notified(channel).get(subject)
        return followed is not None and int(followed) >= self._sequence

    def _statuses(self) -> list[TaskStatus]:
        return [said(state) for name, state in self._store.states().items() if is_chosen(name, self._tasks)]

    def _tell_trouble(self) -> None:
        channel, subject = TROUBLED
        self._trouble = self._store.notified(channel).get(subject, "")
        if self._trouble:
            self._tell("nothing is sent at all", self._trouble)

    def _tell_changes(self, statuses: list[TaskStatus]) -> None:
        for change in self._changes.since(statuses):
            self._tell(change.task, _words(change.now) if change.now else "gone")

    def _tell(self, task: str, text: str) -> None:
        if self._told.get(task) != text:
            self._told[task] = text
            warn(f"{task}: {text}")

    def _concluded(self, statuses: list[TaskStatus]) -> int:
        """Say how it ended; returns the exit code, which is that of `apply`."""
        for one in statuses:
            if one.state in _WRONG or one.state is State.BLOCKED:
                self._tell(one.task, _words(one))
        say(counted(statuses))
        states = {one.state for one in statuses}
        if states & set(_WRONG):
            return 1
        return _HELD if State.BLOCKED in states or self._trouble else 0


def _is_under_way(status: TaskStatus) -> bool:
    """Whether waiting helps: what holds a task for a time passes by itself."""
    return status.state in UNDER_WAY or (status.state is State.BLOCKED and status.until is not None)


def _words(status: TaskStatus) -> str:
    until = f", until {moment(status.until)}" if status.until else ""
    return f"{status.state.value}{until}: {status.reason}"
