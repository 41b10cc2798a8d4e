"""Fetches, with a remote and a schedule of the test's own: nothing here takes time."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.heads import NOTHING, Followed
from reconciler.errors import DesiredStateError
from reconciler.events import FetchEnded, Notice
from reconciler.following import Fetching
from reconciler.following.fetching import GAP_S, SPREAD

AT = datetime(2026, 11, 21, 21, 2, 11, tzinfo=UTC)


class Bench:
    """Remote, schedule and clock in one; what is due runs when the test says so."""

    def __init__(self):
        self.seconds, self.problem, self.fetches, self.is_stopped = 100.0, "", 0, False
        self.jobs, self.repeated = {}, {}
        self.events, self.endings = [], 0
        self.meanwhile = lambda: None
        self.fetching = Fetching(self, 60, self, self, self.events.append)

    # the remote
    def fetch(self):
        self.fetches += 1
        self.meanwhile()
        if self.problem:
            raise DesiredStateError(self.problem)

    def stop(self):
        self.is_stopped = True

    # the schedule
    def every(self, name, seconds, action, *, spread=0.0):
        self.repeated[name] = (seconds, spread, action)

    def at(self, name, seconds_from_now, action):
        self.jobs[name] = (self.seconds + seconds_from_now, action)

    def cancel(self, name):
        self.jobs.pop(name, None)
        self.repeated.pop(name, None)

    # the clock
    def now(self):
        return AT + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    # what the tests do
    def start(self, known=NOTHING):
        self.fetching.start(self.ended, known)
        self.run()

    def ended(self):
        self.endings += 1

    def run(self):
        """Run what is due."""
        for name, (due, action) in list(self.jobs.items()):
            if due <= self.seconds:
                del self.jobs[name]
                action()

    def repeat(self):
        ((_, _, action),) = self.repeated.values()
        action()

    @property
    def notices(self):
        return [event for event in self.events if isinstance(event, Notice)]


@pytest.fixture
def bench():
    return Bench()


def test_it_begins_with_a_fetch_and_goes_on_in_intervals(bench):
    bench.start()
    ((seconds, spread, _),) = bench.repeated.values()
    assert (bench.fetches, seconds, spread) == (1, 60, SPREAD)
    bench.repeat()
    assert (bench.fetches, bench.endings) == (2, 2)
    assert bench.events == [FetchEnded(0.0, "")] * 2
    assert bench.fetching.last == bench.now()


def test_what_is_asked_while_it_waits_is_one_fetch(bench):
    bench.start()
    for _ in range(100):
        bench.fetching.ask()
        bench.fetching.push()
    bench.run()
    assert (bench.fetches, bench.jobs) == (2, {})


def test_what_is_asked_while_one_is_under_way_is_done_by_one_more(bench):
    bench.meanwhile = lambda: bench.fetches == 1 and [bench.fetching.ask() for _ in range(10)]
    bench.start()
    assert not bench.fetching.covers(bench.seconds)
    bench.run()
    assert bench.fetches == 2
    assert bench.fetching.covers(bench.seconds)


def test_what_was_asked_before_is_covered_while_later_wishes_wait(bench):
    bench.start()
    bench.fetching.ask()
    bench.seconds += 1
    assert bench.fetching.covers(bench.seconds - 2)
    assert not bench.fetching.covers(bench.seconds)
    bench.meanwhile = lambda: bench.fetching.covers(bench.seconds) and pytest.fail("covered too early")
    bench.run()
    assert bench.fetching.covers(bench.seconds)


def test_a_push_is_fetched_at_once_and_many_pushes_now_and_then(bench):
    bench.start()
    for _ in range(10 * int(GAP_S)):
        bench.fetching.push()
        bench.run()
        bench.seconds += 1
    assert bench.fetches == 1 + 10


def test_somebody_who_asks_does_not_wait_for_the_next_push(bench):
    bench.start()
    bench.fetching.push()
    bench.run()
    bench.fetching.push()
    bench.run()
    assert bench.fetches == 2
    bench.fetching.ask()
    bench.run()
    assert (bench.fetches, bench.jobs) == (3, {})


def test_never_two_at_once(bench):
    bench.start()
    bench.meanwhile = bench.repeat  # while one is under way
    bench.fetching.ask()
    bench.run()
    assert bench.fetches == 2
    under_way, go_on = threading.Event(), threading.Event()
    bench.meanwhile = lambda: (under_way.set(), go_on.wait(5))
    first = threading.Thread(target=bench.repeat)
    first.start()
    assert under_way.wait(5)
    bench.fetching.ask()
    second = threading.Thread(target=bench.run)
    second.start()
    assert bench.fetches == 3
    go_on.set()
    first.join()
    second.join()
    assert bench.fetches == 4


def test_a_failure_is_told_once_until_it_works_again(bench):
    bench.problem = "no route"
    bench.start()
    bench.seconds += 60
    bench.repeat()
    (notice,) = bench.notices
    assert (notice.level, notice.topic) == ("warning", "source")
    assert "the last commit stays in force until that works again: no route" in notice.text
    assert bench.fetching.trouble() == ("no route", AT + timedelta(seconds=100))
    assert bench.fetching.last is None
    bench.problem = ""
    bench.repeat()
    bench.repeat()
    assert [one.level for one in bench.notices] == ["warning", "info"]
    assert bench.fetching.trouble() == ("", None)


def test_since_when_it_fails_outlives_a_restart_and_is_told_again(bench):
    bench.problem = "no route"
    bench.start(Followed(unreached="refused", unreached_since=AT))
    assert bench.fetching.trouble() == ("no route", AT)
    assert len(bench.notices) == 1


def test_after_the_end_nothing_is_fetched_and_what_was_cut_is_no_failure(bench):
    bench.problem = "was ended"
    bench.meanwhile = bench.fetching.stop
    bench.start()
    bench.meanwhile = lambda: None
    assert bench.is_stopped
    assert (bench.jobs, bench.repeated, bench.events) == ({}, {}, [])
    bench.fetching.ask()
    bench.run()
    assert bench.fetches == 1


def test_a_defect_of_a_fetch_leaves_nobody_waiting(bench):
    bench.start()

    def broken():
        raise RuntimeError

    bench.meanwhile = broken
    bench.fetching.ask()
    with pytest.raises(RuntimeError):
        bench.run()
    assert bench.fetching.covers(bench.seconds)
    assert bench.endings == 2
