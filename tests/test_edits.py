"""Edits of a directory, with a clock and a watch of the test's own."""

import pytest

from reconciler.core.quiet import Quiet
from reconciler.edits import MOST_FOLDERS, Edits
from reconciler.errors import DesiredStateError
from reconciler.events import SourceVitals
from reconciler.watch import Touched

QUIET_S, MAX_WAIT_S = 1.0, 10.0


class Bench:
    """Clock, watch and directory in one."""

    def __init__(self):
        self.seconds, self.told, self.wakes = 100.0, [], 0
        self.tasks = {"shop": {"shop/a", "shop/b"}}
        self.edits = Edits(self.watch, Quiet(QUIET_S, MAX_WAIT_S), self.below, self, self.wake)

    def watch(self, tell):
        self.tell = tell
        return self

    def start(self):
        self.told.append("start")

    def stop(self):
        self.told.append("stop")

    def check(self):
        self.told.append("check")

    def below(self, folder):
        if folder not in self.tasks:
            raise DesiredStateError(f"{folder}: no such directory")
        return frozenset(self.tasks[folder])

    def wake(self):
        self.wakes += 1

    def monotonic(self):
        return self.seconds

    def touch(self, folder, *, deep=False):
        self.tell(Touched(folder, deep))

    def rest(self):
        """What is taken once it is quiet."""
        assert self.edits.take() == frozenset()
        self.seconds += QUIET_S
        return self.edits.take()


@pytest.fixture
def bench():
    return Bench()


def test_a_task_is_taken_once_when_it_is_quiet(bench):
    bench.touch("shop/a")
    assert (bench.wakes, bench.edits.is_restless("shop/a"), bench.edits.is_restless("mail")) == (1, True, False)
    assert bench.rest() == {"shop/a"}
    assert (bench.edits.take(), bench.edits.next_s()) == (frozenset(), None)


def test_the_loop_is_told_when_something_will_be_quiet(bench):
    bench.touch("mail")
    bench.edits.take()
    assert bench.edits.next_s() == bench.seconds + QUIET_S


def test_a_tree_is_all_tasks_in_it_and_itself(bench):
    bench.touch("shop", deep=True)
    assert bench.edits.is_restless("shop/a")
    assert bench.rest() == {"shop", "shop/a", "shop/b"}


def test_the_directory_itself_may_be_a_task(bench):
    bench.touch("")
    assert bench.edits.is_restless(".")
    assert bench.rest() == {"."}


@pytest.mark.parametrize(
    "folders", [[""], ["gone"], [f"f{n}" for n in range(MOST_FOLDERS + 1)]], ids=["all", "gone", "many"]
)
def test_everything_is_taken_where_that_is_cheaper_or_nobody_knows(bench, folders):
    for folder in folders:
        bench.touch(folder, deep=True)
    assert bench.rest() is None


def test_who_asks_has_ended_the_edit(bench):
    bench.touch("mail")
    bench.touch("pay")
    assert not bench.edits.asked("mail")
    assert not bench.edits.is_restless("mail")
    assert bench.rest() == {"pay"}


@pytest.mark.parametrize("task", ["*", "shop/a"])
def test_who_asks_for_all_or_for_one_of_a_tree_has_everything_looked_at(bench, task):
    bench.touch("shop", deep=True)
    bench.touch("mail")
    assert bench.edits.asked(task)
    assert bench.rest() == frozenset()


def test_its_watch_is_begun_checked_and_ended(bench):
    bench.edits.start()
    bench.edits.check()
    bench.edits.stop()
    assert bench.told == ["start", "check", "stop"]


def test_nothing_is_fetched_for_a_directory(bench):
    bench.edits.pushed()
    bench.edits.look()
    assert bench.edits.covers(bench.seconds)
    assert bench.edits.vitals() == SourceVitals()
    assert (bench.wakes, bench.edits.take()) == (0, frozenset())
