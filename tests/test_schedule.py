import logging
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers import base
from apscheduler.schedulers.background import BackgroundScheduler

from reconciler.schedule import Schedule

SOON_S = 0.02
DAY_S = 86400.0
PATIENCE_S = 5.0


class Clocks:
    """A wall clock and a steady one, both moved by hand."""

    def __init__(self):
        self.wall_now = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.steady_now = 1000.0

    def wall(self):
        return self.wall_now

    def steady(self):
        return self.steady_now

    def move(self, *, wall=0.0, steady=0.0):
        self.wall_now += timedelta(seconds=wall)
        self.steady_now += steady


class Runs:
    """An action that counts."""

    def __init__(self):
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self):
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def reach(self, count):
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, PATIENCE_S)


@pytest.fixture
def make():
    """Schedules that are stopped in the end."""
    made = []

    def schedule(*, trouble=None, wall=lambda: datetime.now(UTC), steady=time.monotonic, random=lambda: 0.5):
        made.append(Schedule(trouble or pytest.fail, wall=wall, monotonic=steady, random=random))
        return made[-1]

    yield schedule
    for schedule in made:
        assert schedule.stop()


@pytest.fixture
def schedule(make):
    started = make()
    started.start()
    return started


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def by_hand(make, clocks):
    """A schedule whose steady clock is moved by hand."""
    started = make(wall=clocks.wall, steady=clocks.steady)
    started.start()
    return started


def look(schedule):
    """Return when the schedule has looked at its jobs and has started those that are due."""
    seen = Runs()
    schedule.at("zzz: the last of those that are due", 0, seen)
    assert seen.reach(1)


# --- what runs


def test_a_repeated_job_runs_again_and_again(schedule):
    runs = Runs()
    schedule.every("resync", SOON_S, runs)
    assert runs.reach(3)


def test_a_repeated_job_runs_first_when_its_interval_has_passed(by_hand, clocks):
    runs = Runs()
    by_hand.every("resync", 600, runs)
    clocks.move(steady=599.9)
    look(by_hand)
    assert runs.count == 0
    clocks.move(steady=0.1)
    look(by_hand)
    assert runs.reach(1)


@pytest.mark.parametrize(("random", "interval"), [(0.0, 540), (0.5, 600), (1.0, 660)])
def test_an_interval_varies_by_its_spread(make, clocks, random, interval):
    schedule, runs = make(wall=clocks.wall, steady=clocks.steady, random=lambda: random), Runs()
    schedule.start()
    schedule.every("resync", 600, runs, spread=0.1)
    for turn in (1, 2):
        clocks.move(steady=interval - 0.01)
        look(schedule)
        assert runs.count == turn - 1
        clocks.move(steady=0.02)
        look(schedule)
        assert runs.reach(turn)


@pytest.mark.parametrize(("seconds", "spread"), [(0, 0), (-1, 0), (float("nan"), 0), (1, -0.1), (1, 1)])
def test_an_interval_or_a_spread_out_of_bounds_is_refused(schedule, seconds, spread):
    with pytest.raises(ValueError, match=r"job resync: expected seconds > 0 and spread 0\.\.1, found"):
        schedule.every("resync", seconds, Runs(), spread=spread)


def test_a_single_job_runs_once(by_hand, clocks):
    runs = Runs()
    by_hand.at("retry", 10, runs)
    look(by_hand)
    assert runs.count == 0
    for _ in range(3):
        clocks.move(steady=10)
        look(by_hand)
    assert runs.reach(1)
    assert runs.count == 1


@pytest.mark.parametrize("seconds", [0, -5])
def test_a_single_job_in_the_past_runs_at_once(schedule, seconds):
    runs = Runs()
    schedule.at("retry", seconds, runs)
    assert runs.reach(1)


@pytest.mark.parametrize("seconds", [1e12, float("inf")])
def test_a_single_job_may_be_as_far_as_it_likes(by_hand, seconds):
    runs = Runs()
    by_hand.at("never", seconds, runs)
    look(by_hand)
    assert runs.count == 0


@pytest.mark.parametrize(("first", "second"), [(1000, 10), (10, 1000)])
def test_a_job_replaces_the_one_of_its_name(by_hand, clocks, first, second):
    old, new = Runs(), Runs()
    by_hand.at("retry", first, old)
    by_hand.at("retry", second, new)
    clocks.move(steady=10)
    look(by_hand)
    clocks.move(steady=990)
    look(by_hand)
    assert new.reach(1)
    assert (old.count, new.count) == (0, 1)


def test_a_cancelled_job_does_not_run(by_hand, clocks):
    runs = Runs()
    by_hand.every("resync", 10, runs)
    by_hand.cancel("resync")
    by_hand.cancel("a name that nobody knows")
    clocks.move(steady=100)
    look(by_hand)
    assert runs.count == 0


def test_jobs_may_be_set_and_replaced_and_cancelled_before_the_start(make):
    schedule, old, new, gone = make(), Runs(), Runs(), Runs()
    schedule.at("retry", 0, old)
    schedule.at("retry", 0, new)
    for _ in range(2):
        schedule.at("gone", 0, gone)
    schedule.cancel("gone")
    schedule.start()
    assert new.reach(1)
    look(schedule)
    assert (old.count, new.count, gone.count) == (0, 1, 0)


def test_an_action_may_set_the_next_of_its_own_name(schedule):
    runs = Runs()

    def action():
        runs()
        schedule.at("retry", 0, action)

    schedule.at("retry", 0, action)
    assert runs.reach(3)


# --- what runs late, long or badly


def test_a_job_that_missed_many_turns_runs_once(by_hand, clocks):
    runs = Runs()
    by_hand.every("resync", 1, runs)
    clocks.move(steady=10_000)
    look(by_hand)
    look(by_hand)
    assert runs.reach(1)
    assert runs.count == 1


def test_a_job_whose_last_run_is_not_over_is_not_started_again(by_hand, clocks):
    runs, release = Runs(), threading.Event()

    def action():
        runs()
        assert release.wait(PATIENCE_S)

    by_hand.every("resync", 1, action)
    for _ in range(3):
        clocks.move(steady=2)
        look(by_hand)
    assert runs.count == 1
    release.set()


def test_slow_actions_do_not_hold_the_others_up(schedule):
    release, runs = threading.Event(), Runs()
    for number in range(3):
        schedule.at(f"slow {number}", 0, lambda: release.wait(PATIENCE_S))
    schedule.every("resync", SOON_S, runs)
    assert runs.reach(3)
    release.set()


def test_a_single_job_waits_for_the_end_of_the_last_run_of_its_name(schedule):
    started, release, runs = threading.Event(), threading.Event(), Runs()

    def action():
        started.set()
        assert release.wait(PATIENCE_S)

    schedule.at("retry", 0, action)
    assert started.wait(PATIENCE_S)
    schedule.at("retry", 0, runs)
    look(schedule)
    assert runs.count == 0
    release.set()
    assert runs.reach(1)


def test_an_action_that_raises_is_told_of_and_goes_on(make):
    told, runs = [], Runs()
    schedule = make(trouble=lambda name, error: told.append((name, str(error))))

    def action():
        runs()
        raise OSError("the disk is gone")

    schedule.start()
    schedule.every("resync", SOON_S, action)
    assert runs.reach(3)
    assert set(told) == {("resync", "the disk is gone")}


def test_nothing_stops_when_even_telling_fails(make):
    runs = Runs()

    def trouble(_name, _error):
        raise BrokenPipeError

    def action():
        runs()
        raise ValueError

    schedule = make(trouble=trouble)
    schedule.start()
    schedule.every("resync", SOON_S, action)
    assert runs.reach(5)


def test_nothing_is_logged(schedule, caplog):
    caplog.set_level(logging.DEBUG)
    runs = Runs()
    schedule.every("resync", SOON_S, runs)
    assert runs.reach(2)
    schedule.cancel("resync")
    assert caplog.records == []


# --- clocks that jump


class SetClock(datetime):
    """The wall clock of APScheduler itself, as somebody sets it."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.ahead


@pytest.fixture
def set_clock(monkeypatch):
    monkeypatch.setattr(base, "datetime", SetClock)
    monkeypatch.setattr(SetClock, "ahead", timedelta(0))
    return lambda seconds: setattr(SetClock, "ahead", timedelta(seconds=seconds))


def test_apscheduler_alone_falls_silent_when_the_clock_is_set_back(set_clock):
    """Why there is more to `Schedule` than its jobs."""
    scheduler, runs = BackgroundScheduler(timezone=UTC), Runs()
    scheduler.start()
    scheduler.add_job(runs, "interval", seconds=SOON_S)
    assert runs.reach(2)
    set_clock(-DAY_S)
    before = runs.count
    time.sleep(15 * SOON_S)
    scheduler.shutdown()
    assert runs.count <= before + 2  # what had begun; not 15


@pytest.mark.parametrize("jump", [-DAY_S, -3600.0, DAY_S, 3650 * DAY_S])
def test_a_repeated_job_goes_on_when_the_clock_is_set(make, set_clock, jump):
    schedule, runs = make(wall=lambda: SetClock.now(UTC)), Runs()
    schedule.start()
    schedule.every("resync", SOON_S, runs)
    assert runs.reach(2)
    set_clock(jump)
    assert schedule.check() == pytest.approx(jump, abs=1)
    assert runs.reach(runs.count + 5)


@pytest.mark.parametrize("jump", [-DAY_S, DAY_S])
def test_a_job_keeps_its_distance_when_the_clock_is_set(by_hand, clocks, set_clock, jump):
    runs = Runs()
    by_hand.at("retry", 100, runs)
    look(by_hand)
    set_clock(jump)
    by_hand.check()
    look(by_hand)
    assert runs.count == 0
    clocks.move(steady=100)
    look(by_hand)
    assert runs.reach(1)


@pytest.mark.parametrize("jump", [-DAY_S, DAY_S])
def test_a_job_that_is_set_between_jump_and_check_has_its_own_distance(make, set_clock, jump):
    schedule, runs = make(wall=lambda: SetClock.now(UTC)), Runs()
    schedule.start()
    set_clock(jump)
    schedule.every("resync", SOON_S, runs)
    schedule.check()
    assert runs.reach(3)


def test_a_check_wakes_a_schedule_that_sleeps_until_tomorrow(make, clocks):
    """A jump between the look at the jobs and the sleep leaves a sleep of the wrong length."""
    schedule, runs = make(wall=clocks.wall, steady=clocks.steady), Runs()
    schedule.start()
    schedule.at("retry", DAY_S, runs)
    look(schedule)
    clocks.move(steady=DAY_S)
    assert schedule.check() == -DAY_S
    assert runs.reach(1)


@pytest.mark.parametrize(
    ("wall", "steady", "jump"),
    [
        pytest.param(1, 1, 0.0, id="nothing happened"),
        pytest.param(30, 30, 0.0, id="nobody asked for a while"),
        pytest.param(2.9, 1, 0.0, id="corrected in passing"),
        pytest.param(-0.9, 1, 0.0, id="corrected backwards in passing"),
        pytest.param(3601, 1, 3600.0, id="set forward"),
        pytest.param(-DAY_S + 1, 1, -DAY_S, id="set back"),
        pytest.param(28800, 0, 28800.0, id="suspended"),
    ],
)
def test_a_jump_is_told_once(by_hand, clocks, wall, steady, jump):
    clocks.move(wall=wall, steady=steady)
    assert by_hand.check() == pytest.approx(jump)
    assert by_hand.check() == 0.0


def test_a_check_before_the_start_and_after_the_stop_is_harmless(make, clocks):
    schedule = make(wall=clocks.wall, steady=clocks.steady)
    clocks.move(wall=DAY_S)
    assert schedule.check() == DAY_S
    schedule.start()
    schedule.stop()
    clocks.move(wall=DAY_S)
    assert schedule.check() == DAY_S


# --- the end


def test_stop_waits_for_the_action_that_runs(schedule):
    started, done = threading.Event(), []

    def action():
        started.set()
        time.sleep(SOON_S)
        done.append(True)

    schedule.at("retry", 0, action)
    assert started.wait(PATIENCE_S)
    assert schedule.stop()
    assert done == [True]


def test_stop_does_not_wait_forever(make):
    schedule, started, release = make(), threading.Event(), threading.Event()

    def action():
        started.set()
        release.wait(PATIENCE_S)

    schedule.start()
    schedule.at("retry", 0, action)
    assert started.wait(PATIENCE_S)
    assert not schedule.stop(timeout_s=SOON_S)
    release.set()


def test_nothing_starts_after_the_stop(make):
    schedule, release, started = make(), threading.Event(), Runs()

    def action():
        started()
        release.wait(PATIENCE_S)

    schedule.start()
    for number in range(10):  # more than there are threads
        schedule.at(f"job {number}", 0, action)
    assert started.reach(4)
    schedule.stop(timeout_s=0)
    release.set()
    assert schedule.stop()
    assert started.count == 4


def test_an_action_may_use_the_schedule_while_it_is_stopped(schedule):
    started, stopping = threading.Event(), threading.Event()

    def action():
        started.set()
        assert stopping.wait(PATIENCE_S)
        schedule.at("retry", 1, action)
        schedule.cancel("retry")

    schedule.at("retry", 0, action)
    assert started.wait(PATIENCE_S)
    threading.Timer(SOON_S, stopping.set).start()
    assert schedule.stop()


def test_an_action_may_stop_the_schedule(make):
    schedule, stopped = make(), []
    ended = threading.Event()

    def action():
        stopped.append(schedule.stop())
        ended.set()

    schedule.start()
    schedule.at("end", 0, action)
    assert ended.wait(PATIENCE_S)
    assert stopped == [True]


def test_a_schedule_that_was_never_started_can_be_stopped(make):
    assert make().stop()


HANGING = """
import threading, time
from datetime import UTC, datetime
from reconciler.schedule import Schedule
schedule = Schedule(print, wall=lambda: datetime.now(UTC), monotonic=time.monotonic, random=lambda: 0.5)
started = threading.Event()
schedule.start()
schedule.at("hangs", 0, lambda: (started.set(), threading.Event().wait()))
assert started.wait(5)
assert not schedule.stop(timeout_s=0.01)
"""


def test_an_action_that_hangs_does_not_keep_the_process_from_ending():
    subprocess.run([sys.executable, "-W", "error", "-c", HANGING], check=True, timeout=20)
