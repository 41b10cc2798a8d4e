import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.clock import SystemClock
from reconciler.errors import PermanentTargetError
from reconciler.target import TargetSettings
from reconciler.target.http import HttpTarget
from reconciler.target.pace import Pace


class Clock(SystemClock):
    """One thread's time: sleeping moves it."""

    def __init__(self):
        self.time = 1000.0

    def monotonic(self):
        return self.time

    def sleep(self, seconds):
        assert seconds > 0
        self.time += seconds


def turns(per_s, pauses):
    """When each request had its turn, if it came that long after the one before."""
    clock, given_at = Clock(), []
    pace = Pace(per_s, clock)
    for pause in pauses:
        clock.time += pause
        pace.wait()
        given_at.append(clock.time - 1000)
    return given_at


@pytest.mark.parametrize(
    ("per_s", "expected"),
    [
        (1, [0, 1, 2, 3]),
        (2, [0, 0, 1, 1, 2, 2]),
        (2.5, [0, 0, 0.8, 0.8, 1.6, 1.6]),
        (0.5, [0, 2, 4]),
        (0.01, [0, 100, 200]),
        (10000, [0] * 10000 + [1] * 10),
    ],
)
def test_what_is_more_than_a_seconds_worth_waits(per_s, expected):
    assert turns(per_s, [0] * len(expected)) == pytest.approx(expected)


def test_after_a_pause_a_seconds_worth_goes_at_once_and_no_more():
    assert turns(2, [0, 0, 60, 0, 0]) == [0, 0, 60, 60, 61]


def test_what_is_slower_than_the_pace_never_waits():
    assert turns(2, [0.5] * 100) == pytest.approx([0.5 * number for number in range(1, 101)])


def test_no_limit_never_waits_and_remembers_nothing():
    assert turns(0, [0] * 1000) == [0] * 1000


@pytest.mark.parametrize("per_s", [-1, float("nan")])
def test_a_rate_below_nothing_is_refused(per_s):
    with pytest.raises(ValueError, match="expected requests per second >= 0, found"):
        Pace(per_s, Clock())


@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), max_size=60))
def test_no_window_holds_more_than_its_share(per_s, pauses):
    given_at, share = turns(per_s, pauses), max(int(per_s), 1)
    window_s = share / per_s - 1e-9
    assert all(sum(first <= at < first + window_s for at in given_at) <= share for first in given_at)


@given(st.floats(0.1, 50), st.integers(2, 200))
def test_those_that_wait_come_at_the_full_rate(per_s, count):
    share = max(int(per_s), 1)
    assert turns(per_s, [0] * count)[-1] == pytest.approx((count - 1) // share * share / per_s)


@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), max_size=60))
def test_turns_come_in_the_order_of_asking(per_s, pauses):
    given_at = turns(per_s, pauses)
    assert given_at == sorted(given_at)


def test_many_threads_keep_to_one_pace():
    clock = SystemClock()
    pace, start = Pace(100, clock), clock.monotonic()

    def worker(_number):
        pace.wait()
        return clock.monotonic() - start

    with ThreadPoolExecutor(8) as pool:
        given_at = sorted(pool.map(worker, range(130)))
    assert given_at[100] >= 1.0
    assert given_at[-1] < 3.0


def test_nobody_waits_for_one_that_sleeps():
    """The lock is free during the wait: a later one learns its own turn at once."""
    asleep, both = [], threading.Barrier(2, timeout=5)

    class Sleeping(SystemClock):
        def monotonic(self):
            return 0.0

        def sleep(self, seconds):
            asleep.append(seconds)
            both.wait()

    pace = Pace(1, Sleeping())
    pace.wait()
    threads = [threading.Thread(target=pace.wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asleep) == [1.0, 2.0]


# --- in use


@pytest.fixture
def paced(serve):
    """Makes targets of one server."""
    server = serve(body={"success": True})

    def make(pace):
        return closing(HttpTarget(TargetSettings("default", server.url, "admin", "secret"), pace=pace))

    make.requests = server.requests
    return make


def test_every_request_of_every_worker_waits_for_its_turn(paced, update):
    asleep = []

    class Sleeping(SystemClock):
        def monotonic(self):
            return 0.0

        def sleep(self, seconds):
            asleep.append((seconds, len(paced.requests)))

    pace = Pace(1, Sleeping())
    with paced(pace) as one, paced(pace) as other:
        for call in (one.probe, lambda: (other.take_turn(), other.update_incr_sync(update())), other.probe):
            call()
    assert asleep == [(1.0, 1), (2.0, 2)]


def test_what_is_refused_before_it_is_sent_takes_no_turn(paced, update):
    with paced(Pace(0.001, SystemClock())) as target:
        with pytest.raises(PermanentTargetError, match="Nothing was sent"):
            target.update_incr_sync(update(key=""))
        target.probe()
    assert len(paced.requests) == 1
