"""What the daemon reads where commits are followed: a real repository, and a clock of the test's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.core import canonical, heads
from reconciler.core.heads import HEAD
from reconciler.errors import ConfigError, DesiredStateError, StateStoreError
from reconciler.events import HeadChanged, SourceVitals
from reconciler.following import Commits, Opened
from reconciler.following.commits import BACKSTOP_S, RETRY_S
from reconciler.git.follow import GitSource
from reconciler.git.repository import Repository
from reconciler.git.settings import GitSettings
from reconciler.state.sqlite import SqliteStore
from tests.repositories import Repo, isolate, task_files

AT = datetime(2026, 11, 21, 21, 2, 11, tzinfo=UTC)


class Store(SqliteStore):
    """A store that can be out of order."""

    is_broken = False

    def set_head(self, ref, commit, reason=""):
        if self.is_broken:
            raise StateStoreError("disk full")
        super().set_head(ref, commit, reason)


class Watched:
    """In the place of what watches refs: notes what it is told."""

    def __init__(self):
        self.told = []

    def start(self):
        self.told.append("start")

    def stop(self):
        self.told.append("stop")

    def check(self):
        self.told.append("check")


class Bench:
    """A bare repository that a working one pushes to, and what follows it."""

    def __init__(self, folder: Path):
        self.seconds = 100.0
        self.bare = Repo.make(folder / "config.git", bare=True)
        self.work = Repo.make(folder / "work")
        self.work.git("remote", "add", "origin", str(self.bare.path))
        self.store = Store.open(folder / "state" / "db", self.now, digest_version=canonical.VERSION)
        self.settings = GitSettings("main")
        self.renew()

    def renew(self):
        """A daemon's new start."""
        self.events, self.watch, self.wakes = [], Watched(), 0
        root = str(self.bare.path / "desired_state")
        self.commits = Commits(self.open, root, None, self.store, self, self.events.append, self.wake)

    def open(self, moved):
        self.moved = moved
        repository = Repository.discover(self.bare.path / "desired_state")
        source = GitSource(repository, self.settings, self.store.head, monotonic=self.monotonic)
        source.advance()
        return Opened(source, self.watch)

    def wake(self):
        self.wakes += 1

    def now(self):
        return AT + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def publish(self, *tasks, **changes):
        """Commit these tasks and push them; the commit's id."""
        files = {}
        for task in tasks:
            files |= task_files(f"desired_state/{task}", **changes)
        made = self.work.commit(f"Change {', '.join(tasks)}", files)
        self.push()
        return made

    def push(self):
        self.work.git("push", "--quiet", "--force", "origin", "HEAD:main")

    def take(self):
        """A turn of the loop a second later."""
        self.seconds += BACKSTOP_S
        return self.commits.take()

    def started(self):
        self.commits.start()
        assert self.commits.take() is None
        return self

    @property
    def said(self):
        return heads.from_text(self.store.notified(HEAD[0])[HEAD[1]])


@pytest.fixture
def bench(tmp_path, monkeypatch):
    isolate(monkeypatch, tmp_path)
    made = Bench(tmp_path)
    yield made
    made.store.close()


# --- what changes ----------------------------------------------------------------------------------------------------


def test_the_first_commit_may_change_everything_and_is_recorded(bench):
    first = bench.publish("shop", "mail")
    bench.started()
    assert (bench.store.head("main"), bench.commits.revision, bench.commits.vitals().commit) == (first, first, first)
    assert list(bench.commits.names()) == ["mail", "shop"]
    assert [entry.name for entry in bench.commits.entries()] == ["mail", "shop"]
    assert [task.name for task in bench.commits.tasks()] == ["mail", "shop"]
    assert bench.commits.entry("shop").read().name == "shop"
    ((event,), head) = bench.events, bench.commits.vitals()
    assert (event.head.commit.id, event.tasks, head.problem) == (first, None, "")


def test_a_commit_changes_the_tasks_whose_files_it_changes(bench):
    bench.publish("shop", "mail")
    bench.started()
    assert bench.take() == frozenset()
    second = bench.publish("pay")
    assert bench.take() == {"pay"}
    assert bench.take() == frozenset()
    assert bench.events[-1] == HeadChanged(bench.events[-1].head, 1)
    assert bench.said.head.commit.id == second


def test_a_commit_that_takes_tasks_away_has_everything_looked_at_in_one_go(bench):
    """In parts, the first ones would be sent before enough of it had vanished for the whole to be frozen."""
    bench.publish("mail", "pay", "shop")
    bench.started()
    bench.work.git("rm", "-rq", "desired_state/pay")
    bench.publish("shop", coordinator={"throttleRps": "4000"})
    assert bench.take() is None
    assert (bench.events[-1].tasks, bench.take()) == (2, frozenset())


def test_the_ref_is_looked_at_when_it_is_told_to_have_moved_and_else_once_a_second(bench):
    bench.publish("shop")
    bench.started()
    bench.publish("mail")
    assert bench.commits.take() == frozenset()  # within the second
    bench.moved()
    assert (bench.wakes, bench.commits.covers(bench.seconds)) == (1, False)
    assert bench.commits.take() == {"mail"}
    assert bench.commits.covers(bench.seconds)
    assert bench.commits.next_s() == bench.seconds + BACKSTOP_S


@pytest.mark.parametrize(("task", "everything"), [("*", True), ("mail", False)])
def test_who_asks_or_pushes_has_the_ref_looked_at(bench, task, everything):
    bench.publish("shop")
    bench.started()
    bench.publish("mail")
    assert bench.commits.asked(task) is everything
    assert bench.commits.take() == {"mail"}
    bench.publish("pay")
    bench.commits.pushed()
    assert bench.commits.take() == {"pay"}


def test_a_commit_that_cannot_be_recorded_is_told_when_it_can(bench):
    bench.publish("shop")
    bench.started()
    second = bench.publish("mail")
    bench.store.is_broken = True
    for _ in range(2):
        with pytest.raises(StateStoreError):
            bench.take()
    bench.store.is_broken = False
    assert bench.take() == {"mail"}
    assert bench.store.head("main") == second
    assert [event.head.commit.id for event in bench.events][1:] == [second]


def test_a_commit_is_whole_so_no_task_is_restless(bench):
    assert not bench.commits.is_restless("shop")


# --- what cannot be followed -----------------------------------------------------------------------------------------


def test_a_rewritten_history_is_told_once_and_kept_for_others_until_it_is_over(bench):
    bench.publish("shop")
    first = bench.publish("mail")
    bench.started()
    bench.work.git("commit", "--quiet", "--amend", "-m", "Amended")
    bench.push()
    assert bench.take() == frozenset()
    bench.take()
    newest = bench.work.head()
    assert [(event.head.kind, event.head.newest) for event in bench.events] == [("", ""), ("rewritten", newest)]
    assert bench.commits.vitals() == SourceVitals(first, "rewritten", None)
    said, since = bench.said, bench.now() - timedelta(seconds=BACKSTOP_S)
    assert (said.head.kind, said.head.newest, said.since) == ("rewritten", newest, since)
    assert f"reconciler accept {newest[:7]}" in " ".join(heads.remarks(said))
    bench.store.set_head("main", newest, "meant")
    assert bench.take() == frozenset()
    assert (bench.commits.vitals().problem, bench.said.head.kind) == ("", "")


def test_since_when_it_stands_where_it_stands_outlives_a_restart(bench):
    bench.publish("shop")
    bench.started()
    since = bench.said.since
    bench.seconds += 1000
    bench.renew()
    bench.started()
    assert bench.said.since == since


def test_no_repository_is_said_by_every_look_and_tried_again(bench):
    bench.publish("shop")
    away = bench.bare.path.with_name("away.git")
    bench.bare.path.rename(away)
    bench.started()
    for look in (bench.commits.names, lambda: list(bench.commits.entries()), lambda: bench.commits.entry("shop")):
        with pytest.raises(DesiredStateError, match="no such directory"):
            look()
    assert bench.take() == frozenset()  # said before
    assert bench.commits.vitals() == SourceVitals()
    away.rename(bench.bare.path)
    bench.seconds += RETRY_S
    assert bench.commits.take() is None
    assert list(bench.commits.names()) == ["shop"]


def test_before_the_first_turn_nothing_can_be_read(bench):
    with pytest.raises(DesiredStateError, match="was not opened yet"):
        bench.commits.names()


def test_a_ref_that_cannot_be_fetched_is_said_by_every_look(bench):
    bench.publish("shop")
    bench.settings = GitSettings("main~2", "origin")
    bench.started()
    with pytest.raises(ConfigError, match=r"desired_state.ref: expected a branch"):
        bench.commits.names()


# --- its watch ---------------------------------------------------------------------------------------------------------


def test_the_refs_are_watched_from_the_opening_to_the_end(bench):
    bench.publish("shop")
    bench.commits.check()
    bench.started()
    bench.commits.check()
    bench.commits.stop()
    bench.commits.stop()
    assert bench.watch.told == ["start", "check", "stop"]
