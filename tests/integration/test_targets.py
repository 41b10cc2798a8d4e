"""Targets apart from each other: what may go, what waits for a target that cannot be used, and when it goes on."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from reconciler import wiring
from reconciler.apply import jobs_of
from reconciler.config import load
from reconciler.core.breaker import SUSPICIOUS
from reconciler.dispatch import MISCONFIGURED, STOPPED
from reconciler.events import CallEnded, TargetChanged
from reconciler.jobs import Result, Status
from reconciler.model import Condition
from reconciler.targets import MOST_QUEUED, UNREACHABLE, Offer, Targets
from tests.integration.bench import SECOND, name_of
from tests.integration.engine import KNOWN, FakeSchedule, FaultyStore, Standstill, join

PROBE = "probe default"


class Desk:
    """The targets of a bench, as the daemon has them."""

    def __init__(self, bench, *, stop_after=0):
        self.bench = bench
        self.schedule = FakeSchedule(bench.clock)
        self.heard, self.done, self.released = [], [], []
        self.tools = replace(bench.tools(), tell=self._hear, stop_after=dict.fromkeys(bench.concurrent, stop_after))
        self.targets = Targets(
            self.tools, KNOWN, self.schedule, lambda *pair: self.done.append(pair), self.released.append
        )

    def _hear(self, event):
        self.heard.append(event)
        if isinstance(event, TargetChanged):
            self.targets.listen(event)

    def jobs(self, *tasks):
        jobs = {job.item.task: job for job in jobs_of(self.bench.survey(*tasks))}
        return [jobs[task] for task in tasks or sorted(jobs)]

    def job(self, task="shop"):
        (job,) = self.jobs(task)
        return job

    def offer(self, *tasks):
        return [self.targets.offer(job) for job in self.jobs(*tasks)]

    def wait(self, number=1):
        """Until so many jobs are over."""
        eventually(lambda: len(self.done) >= number)
        return self.ended

    @property
    def ended(self):
        return {job.item.task: result.status.value for job, result in self.done if isinstance(result, Result)}

    @property
    def told(self):
        return [(event.target, event.kind) for event in self.heard if isinstance(event, TargetChanged)]

    def fail(self, *tasks):
        """Let these tasks be answered with a failure that is surely without effect."""
        for task in tasks:
            self.bench.fault("http", status=429)
            before = len(self.done)
            self.offer(task)
            self.wait(before + 1)

    def ask(self):
        """Let the schedule do all it has to."""
        self.schedule.run_due(all_of_it=True)


def eventually(question):
    deadline = time.monotonic() + 5.0
    while not question():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


@pytest.fixture
def desk(bench) -> Iterator[Desk]:
    made = Desk(bench)
    yield made
    join(made.targets.end())


@pytest.fixture
def still(bench) -> Iterator[Standstill]:
    """No time passes: what was sent to is verified, and a retry waits, until it does."""
    standing = Standstill(bench.clock)
    yield standing
    standing.end()


def fill(bench, number, **changes):
    names = [f"t{each:02}" for each in range(number)]
    for each, name in enumerate(names):
        bench.put(name, each, **changes)
    return names


def accepted(desk, number=1):
    """Until so many calls were accepted; what was sent to is verified then."""
    eventually(lambda: sum(isinstance(e, CallEnded) and e.outcome == "accepted" for e in desk.heard) >= number)


# --- offers --------------------------------------------------------------------------------------------------------


def test_job_is_taken_and_carried_out(bench, desk):
    bench.put()
    assert (desk.offer("shop"), desk.wait()) == ([Offer.TAKEN], {"shop": "applied"})
    assert desk.targets.job("shop") is None


def test_same_wish_is_there_already(bench, desk, still):
    bench.put()
    first = desk.job()
    assert desk.targets.offer(first) is Offer.TAKEN
    accepted(desk)
    again = replace(first, watch=None)
    assert (desk.targets.offer(again), desk.targets.job("shop")) == (Offer.ALREADY, first)


def test_newer_content_waits_for_what_is_under_way(bench, desk, still):
    bench.put()
    newer = replace_content(bench, desk)
    desk.offer("shop")
    accepted(desk)
    assert desk.targets.offer(newer) is Offer.BUSY


def replace_content(bench, desk, **members):
    """A job for another content; the files stay as they were."""
    bench.edit("sink", workerNum="128")
    made = desk.job()
    bench.edit("sink", workerNum="16")
    return made


def test_newer_content_takes_the_place_of_what_is_not_begun(bench, desk, still):
    bench.put("first", 0)
    bench.put("shop", 0, task={"key": SECOND})
    desk.offer("first")
    accepted(desk)
    older = desk.job()
    newer = replace_content(bench, desk)
    assert [desk.targets.offer(older), desk.targets.offer(newer)] == [Offer.TAKEN, Offer.TAKEN]
    assert (desk.targets.job("shop"), desk.targets.counts()) == (newer, (1, 1))


def test_newer_region_takes_the_place_of_what_is_not_begun(bench, desk, still):
    bench.put("first", 0)
    bench.put("shop", 0, task={"key": SECOND, "cmRegion": "wrong"})
    desk.offer("first", "shop")
    bench.edit("task", cmRegion="default")
    desk.offer("shop")
    still.end()
    desk.wait(2)
    assert [body["cmRegion"] for body in bench.sent if body["key"] == SECOND] == ["default"]


def test_retry_of_an_unclear_answer_gives_way_to_newer_content(bench, desk, still):
    bench.put()
    newer = replace_content(bench, desk)
    bench.fault("close", effect="after")
    desk.offer("shop")
    eventually(lambda: any(isinstance(e, CallEnded) for e in desk.heard))
    eventually(lambda: desk.targets.offer(newer) is Offer.TAKEN)


def test_retry_of_an_unclear_answer_is_not_begun_anew_by_the_same_content(bench, desk, still):
    bench.put()
    bench.fault("close", effect="after")
    desk.offer("shop")
    eventually(lambda: any(isinstance(e, CallEnded) for e in desk.heard))
    assert desk.offer("shop") == [Offer.ALREADY]
    assert len(bench.sent) == 1


def test_only_so_many_jobs_are_queued_and_the_others_are_released_when_there_is_room(bench, desk, still):
    """The jobs of one lane, so that all but one wait."""
    bench.put()
    job = desk.job()
    offers = [desk.targets.offer(renamed(job, f"t{number:03}")) for number in range(MOST_QUEUED + 3)]
    accepted(desk)
    assert offers.count(Offer.TAKEN) == offers.index(Offer.FULL) >= MOST_QUEUED
    assert (desk.targets.counts()[0] + desk.targets.counts()[1], desk.released) == (MOST_QUEUED + 3, [])
    waiting = [name for name in (f"t{number:03}" for number in range(MOST_QUEUED)) if desk.targets.withdraw(name)]
    assert len(waiting) == MOST_QUEUED - 1
    still.end()
    desk.wait()
    eventually(lambda: desk.released)
    names = {f"t{number:03}" for number in range(MOST_QUEUED + 3)}
    assert frozenset().union(*desk.released) == {
        name for name, offer in zip(sorted(names), offers, strict=True) if offer is Offer.FULL
    }


def renamed(job, task):
    return replace(job, item=replace(job.item, task=task))


def test_targets_do_not_wait_for_each_other(bench, desk):
    bench.put("here", 0)
    bench.put("there", 1, task={"target": "other"})
    bench.set_target("other", password="wrong")
    desk.offer("here", "there")
    assert desk.wait(2) == {"here": "applied", "there": "pending"}
    assert desk.targets.troubles() == {"other": MISCONFIGURED}


# --- taking back ---------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_a_job_that_was_taken_back(bench, desk, still):
    bench.put("first", 0)
    bench.put("shop", 0, task={"key": SECOND})
    desk.offer("first", "shop")
    accepted(desk)
    assert (desk.targets.withdraw("shop"), desk.targets.withdraw("first")) == (True, False)
    assert (desk.targets.job("shop"), desk.targets.counts()) == (None, (0, 1))


def test_taking_back_what_nobody_has_is_no_trouble(desk):
    assert desk.targets.withdraw("nobody") is True


# --- a breaker opens -----------------------------------------------------------------------------------------------


def test_misconfigured_target_is_closed_at_once_and_asked_later(bench, desk):
    fill(bench, 4)
    bench.set_target(password="wrong")
    desk.offer("t00")
    desk.wait()
    assert desk.targets.troubles() == {"default": MISCONFIGURED}
    assert desk.schedule.names == {PROBE}
    assert (desk.offer("t01", "t02"), desk.targets.counts()) == ([Offer.CLOSED] * 2, (2, 0))


def test_closed_target_says_why(bench, desk):
    bench.put()
    bench.set_target(password="wrong")
    assert desk.targets.trouble("default") == ""
    desk.offer("shop")
    desk.wait()
    assert "401" in desk.targets.trouble("default")


def test_several_tasks_without_effect_let_the_target_be_asked_and_closed(bench, desk):
    names = fill(bench, SUSPICIOUS)
    desk.fail(*names)
    assert (desk.targets.troubles(), desk.schedule.names) == ({}, {PROBE})
    bench.fault("http", action="DescribeRegions", status=503)
    desk.ask()
    assert desk.targets.troubles() == {"default": UNREACHABLE}
    assert desk.told == [("default", UNREACHABLE)]
    assert desk.offer("t00") == [Offer.CLOSED]


def test_target_that_answers_when_it_is_asked_stays_in_use(bench, desk):
    desk.fail(*fill(bench, SUSPICIOUS))
    desk.ask()
    assert (desk.targets.troubles(), desk.told, desk.offer("t00")) == ({}, [], [Offer.TAKEN])
    desk.wait(SUSPICIOUS + 1)


def test_one_task_that_fails_again_and_again_makes_its_target_be_asked(bench, desk):
    bench.put()
    desk.fail(*["shop"] * SUSPICIOUS)
    assert (desk.targets.troubles(), desk.schedule.names) == ({}, {PROBE})


def test_jobs_that_were_refused_do_not_count_as_failures_of_the_target(bench, desk, still):
    desk.offer(*fill(bench, SUSPICIOUS + 3))
    accepted(desk, 2)
    join(desk.targets.end())
    assert (len(desk.ended), desk.schedule.names) == (SUSPICIOUS + 1, set())


def test_trouble_that_goes_on_is_told_once_and_asked_ever_less_often(bench, desk):
    desk.fail(*fill(bench, SUSPICIOUS))
    bench.fault("http", action="DescribeRegions", status=503, times=4)
    waits = []
    for _ in range(4):
        desk.ask()
        waits.append(next(iter(desk.schedule._wanted.values()))[0] - bench.clock.monotonic())  # noqa: SLF001
    assert desk.told == [("default", UNREACHABLE)]
    assert waits == sorted(waits)
    assert waits[0] >= 1.0


def test_target_that_is_away_and_then_misconfigured_is_told_as_both(bench, desk):
    desk.fail(*fill(bench, SUSPICIOUS))
    bench.fault("http", action="DescribeRegions", status=503)
    bench.fault("http", action="DescribeRegions", status=403)
    desk.ask()
    desk.ask()
    assert desk.told == [("default", UNREACHABLE), ("default", MISCONFIGURED)]
    assert bench.store.target_trouble()["default"][0] == MISCONFIGURED


# --- a breaker closes ----------------------------------------------------------------------------------------------


@pytest.fixture
def closed(bench, desk):
    """A target that cannot be used, for which a task waits."""
    fill(bench, SUSPICIOUS + 1)
    bench.set_target(password="wrong")
    desk.offer("t00")
    desk.wait()
    desk.offer("t01", "t02")
    bench.set_target(password="simulator")
    return desk


def test_good_answer_closes_the_breaker_and_releases_what_waits(closed):
    closed.ask()
    assert (closed.targets.troubles(), closed.told[-1]) == ({}, ("default", ""))
    assert frozenset().union(*closed.released) == {"t01", "t02"}
    assert (closed.offer("t01"), closed.bench.store.target_trouble()) == ([Offer.TAKEN], {})
    closed.wait(2)


def test_target_that_still_cannot_be_used_stays_closed(bench, closed):
    bench.set_target(password="wrong again")
    closed.ask()
    assert (closed.targets.troubles(), closed.schedule.names) == ({"default": MISCONFIGURED}, {PROBE})
    assert closed.released == []


def test_somebody_says_that_it_can_be_used_and_it_is_asked_at_once(closed):
    closed.targets.ask_all()
    closed.schedule.run_due()
    assert closed.targets.troubles() == {}


def test_word_of_a_person_does_not_replace_the_answer_of_the_target(closed):
    closed.targets.reopen("default")
    assert closed.offer("t01") == [Offer.CLOSED]


def test_breaker_works_though_the_store_cannot_be_written(bench):
    bench.store = FaultyStore(bench.store)
    desk = Desk(bench)
    desk.fail(*fill(bench, SUSPICIOUS))
    bench.fault("http", action="DescribeRegions", status=503)
    bench.store.failing = {"set_target_trouble", "note", "target_trouble"}
    desk.ask()
    assert desk.targets.troubles() == {"default": UNREACHABLE}
    desk.ask()
    assert desk.targets.troubles() == {}
    bench.store.failing = set()
    join(desk.targets.end())


# --- a stop --------------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(bench):
    """A target that was stopped because components did not come back, and what was planned before that."""
    fill(bench, 8)
    bench.fault("exception", times=2)
    desk = Desk(bench, stop_after=2)
    desk.planned = {job.item.task: job for job in desk.jobs()}
    for number, task in enumerate(("t00", "t01"), 1):
        desk.targets.offer(desk.planned[task])
        desk.wait(number)
    assert bench.store.target_trouble()["default"][0] == STOPPED
    yield desk
    join(desk.targets.end())


def test_what_was_planned_before_the_stop_is_not_sent(bench, stopped):
    stopped.targets.offer(stopped.planned["t02"])
    assert (stopped.wait(3)["t02"], bench.keys) == ("pending", [name_of(0), name_of(1)])


def test_good_answer_of_the_target_does_not_lift_a_stop(bench, stopped):
    for number, task in enumerate(("t02", "t03", "t04"), 3):
        stopped.targets.offer(stopped.planned[task])
        stopped.wait(number)
    stopped.targets.ask_all()
    stopped.ask()
    stopped.targets.offer(stopped.planned["t05"])
    assert (stopped.wait(6)["t05"], len(bench.sent)) == ("pending", 2)


def test_target_that_was_away_while_it_is_stopped_is_still_stopped_when_it_answers(bench, stopped):
    stopped.targets.listen(TargetChanged("default", MISCONFIGURED, "401"))
    stopped.ask()
    assert stopped.targets.troubles() == {}
    stopped.targets.offer(stopped.planned["t05"])
    assert (stopped.wait(3)["t05"], len(bench.sent)) == ("pending", 2)


def test_new_configuration_does_not_lift_a_stop(bench, stopped):
    stopped.targets.renew(stopped.tools, frozenset(("default", "other")))
    stopped.targets.offer(stopped.planned["t05"])
    assert (stopped.wait(3)["t05"], len(bench.sent)) == ("pending", 2)


def test_word_of_a_person_lifts_a_stop(bench, stopped):
    bench.store.release_target("default", "mended")
    stopped.targets.reopen("default")
    stopped.targets.offer(stopped.planned["t05"])
    assert stopped.wait(3)["t05"] == "applied"


def test_failures_that_were_seen_while_the_breaker_was_open_stop_the_target_all_the_same(bench, still):
    fill(bench, 3)
    bench.fault("exception", times=2)
    desk = Desk(bench, stop_after=2)
    desk.offer("t00", "t01")
    accepted(desk, 2)
    desk.targets.listen(TargetChanged("default", MISCONFIGURED, "401"))
    bench.fault("http", action="DescribeRegions", status=503)
    desk.ask()
    assert desk.targets.troubles() == {"default": UNREACHABLE}
    still.end()
    bench.clock.advance_to(bench.clock.monotonic() + 20.0)
    desk.wait(2)
    assert desk.ended == {"t00": "failed", "t01": "failed"}
    desk.ask()
    assert bench.store.target_trouble()["default"][0] == STOPPED
    assert (bench.item("t02").rail, len(bench.sent)) == ("stop_after_failures", 2)
    join(desk.targets.end())


# --- another configuration -----------------------------------------------------------------------------------------


def test_new_configuration_lets_a_closed_target_be_asked_again(closed):
    closed.targets.renew(closed.tools, frozenset(("default", "other")))
    closed.schedule.run_due()
    assert (closed.targets.troubles(), closed.offer("t01")) == ({}, [Offer.TAKEN])
    closed.wait(2)


def test_target_that_is_configured_no_more_takes_no_job(bench, desk):
    names = fill(bench, 2)
    desk.offer(names[0])
    desk.wait()
    desk.targets.renew(desk.tools, frozenset(("other",)))
    desk.offer(names[1])
    assert desk.wait(2)[names[1]] == "pending"


def test_target_that_is_configured_again_takes_jobs(bench, desk):
    names = fill(bench, 2)
    desk.offer(names[0])
    desk.wait()
    desk.targets.renew(desk.tools, frozenset(("other",)))
    desk.targets.renew(desk.tools, frozenset(("default", "other")))
    desk.offer(names[1])
    assert desk.wait(2)[names[1]] == "applied"


def configured(bench, tmp_path, *names):
    """Tools of a configuration with these targets, as the program makes them."""
    path = tmp_path / "reconciler.toml"
    url = bench.targets["default"].url
    path.write_text(
        "\n".join(f'[targets.{n}]\nurl = "{url}"\nusername = "admin"\npassword = "simulator"' for n in names)
    )
    settings = load(path, {})
    return wiring.target_factory(settings)


def test_closed_target_that_is_configured_no_more_is_not_asked_again(bench, closed, tmp_path):
    opens = configured(bench, tmp_path, "other")
    closed.targets.renew(replace(closed.tools, open_target=opens), frozenset(("other",)))
    closed.ask()
    assert PROBE not in closed.schedule.names


def test_component_under_way_is_no_defect_when_its_target_is_configured_no_more(bench, desk, still, tmp_path):
    bench.put()
    desk.offer("shop")
    accepted(desk)
    opens = configured(bench, tmp_path, "other")
    desk.targets.renew(replace(desk.tools, open_target=opens), frozenset(("other",)))
    still.end()
    desk.wait()
    assert [type(result) for _, result in desk.done] == [Result]


def test_more_components_go_at_once_when_the_configuration_says_so(bench, desk, still):
    bench.concurrent["default"] = 1
    names = fill(bench, 4)
    desk = Desk(bench)
    desk.offer(*names)
    accepted(desk)
    desk.targets.renew(replace(desk.tools, max_concurrent={"default": 4, "other": 1}), frozenset(("default", "other")))
    accepted(desk, 4)
    assert desk.targets.counts() == (0, 4)
    join(desk.targets.end())


# --- the end -------------------------------------------------------------------------------------------------------


def test_end_lets_calls_in_flight_end_and_leaves_what_is_verified(bench, desk, still):
    names = fill(bench, 5)
    desk.offer(*names)
    accepted(desk, 2)
    join(desk.targets.end())
    conditions = [record.condition for record in bench.store.records().values()]
    assert conditions == [Condition.VERIFYING] * 2
    assert desk.ended == dict.fromkeys(names[2:], "pending")


def test_job_that_comes_after_the_end_is_over_at_once(bench, desk):
    bench.put()
    desk.offer("shop")
    desk.wait()
    bench.edit("sink", workerNum="128")
    join(desk.targets.end())
    desk.offer("shop")
    assert desk.wait(2) == {"shop": "pending"}


# --- threads -------------------------------------------------------------------------------------------------------


def test_nothing_locks_up_while_many_threads_do_everything(bench):
    names = fill(bench, 16)
    bench.fault("http", status=429, times=25)
    bench.fault("http", action="DescribeRegions", status=503, times=3)
    desk = Desk(bench, stop_after=50)
    jobs = desk.jobs()

    def hammer(seed):
        chance = random.Random(seed)  # noqa: S311 - repeatable
        targets = desk.targets
        acts = (
            lambda: targets.offer(chance.choice(jobs)),
            lambda: targets.offer(replace(chance.choice(jobs), attempts=0)),
            lambda: targets.withdraw(chance.choice(names)),
            lambda: targets.listen(TargetChanged("default", MISCONFIGURED, "401")),
            lambda: targets.reopen("default"),
            lambda: targets.renew(desk.tools, frozenset(("default",))),
            desk.ask,
            targets.counts,
            targets.troubles,
        )
        for _ in range(60):
            chance.choices(acts, weights=(8, 4, 4, 1, 1, 1, 2, 2, 1))[0]()

    threads = [threading.Thread(target=hammer, args=(seed,), daemon=True) for seed in range(6)]
    for thread in threads:
        thread.start()
    join(threads)
    join(desk.targets.end())
    assert all(isinstance(result, Result) for _, result in desk.done)
    assert {result.status for _, result in desk.done} <= {
        Status.APPLIED,
        Status.PENDING,
        Status.BLOCKED,
        Status.CONFIRMED,
    }
