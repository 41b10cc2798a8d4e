"""Joins what the daemon reads with what tells it that there is something new: a directory, or commits."""

from collections.abc import Callable
from dataclasses import dataclass

from reconciler import wiring
from reconciler.clock import SystemClock
from reconciler.config import GitConfig, Settings
from reconciler.core.quiet import Quiet
from reconciler.daemon import Ears
from reconciler.edits import Edits
from reconciler.events import Notice
from reconciler.following import Commits, Fetching, Opened
from reconciler.ports import Feed
from reconciler.reconcile import Reconciler
from reconciler.schedule import Schedule
from reconciler.state.sqlite import SqliteStore
from reconciler.watch import Touched, Watch


@dataclass(frozen=True, slots=True)
class Fed:
    """What looks, and what tells it to."""

    reconciler: Reconciler
    feed: Feed


def of_directory(settings: Settings, store: SqliteStore, ears: Ears) -> Fed:
    """The files as they are."""
    reconciler = wiring.reconciler(settings, store, tick=ears.tick)
    daemon = settings.daemon

    def watch(tell: Callable[[Touched], None]) -> Watch:
        return Watch(settings.desired_state, tell, _trouble(ears), poll_s=daemon.poll_s)

    quiet: Quiet[Touched] = Quiet(daemon.quiet_s, daemon.max_wait_s)
    return Fed(reconciler, Edits(watch, quiet, reconciler.names_below, SystemClock(), ears.wake))


def of_commits(settings: Settings, git: GitConfig, store: SqliteStore, schedule: Schedule, ears: Ears) -> Fed:
    """The newest commit that may be followed; the repository is opened by the loop, as often as need be."""

    def open_(moved: Callable[[], None]) -> Opened:
        from reconciler.git.refs import RefWatch
        from reconciler.git.repository import Repository

        repository = Repository.discover(settings.desired_state)
        return Opened(wiring.commits(settings, store, tick=ears.tick), RefWatch(repository, moved, _trouble(ears)))

    fetching = _fetching(settings, git, schedule, ears) if git.remote else None
    commits = Commits(open_, str(settings.desired_state), fetching, store, SystemClock(), ears.tell, ears.wake)
    return Fed(wiring.reconciler(settings, store, commits, tick=ears.tick), commits)


def _fetching(settings: Settings, git: GitConfig, schedule: Schedule, ears: Ears) -> Fetching:
    from reconciler.git.remote import Remote

    remote = Remote(settings.desired_state, wiring.git_settings(git))
    return Fetching(remote, git.fetch_s, schedule, SystemClock(), ears.tell)


def _trouble(ears: Ears) -> Callable[[str], None]:
    return lambda text: ears.tell(Notice("warning", "watch", text))
