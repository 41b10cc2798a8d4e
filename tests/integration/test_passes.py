"""Looks of the daemon: what is sent and when, what is tried again and when, and what is said of each task."""

import json
import random
import shutil
import threading
import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from reconciler.apply import carry_out
from reconciler.core.policy import NewTasks
from reconciler.events import CallEnded, CallStarted, Moved, Notice, StateChanged, TargetChanged, TaskGone
from reconciler.jobs import Status
from reconciler.model import Action, Condition, Link, Suspension
from reconciler.passes import LOOK_AGAIN_CAP_S, LOOK_AGAIN_S, PROBLEM_S
from reconciler.reconcile import Reconciler
from reconciler.secret_files import resolver
from reconciler.simulator.fleet import ComponentSpec, ProjectSpec, written_by_oms
from reconciler.source import DirectorySource
from tests.integration.bench import CATALOGUE, REVERSE, SECOND, SENTINELS, VALIDATOR, documents, name_of
from tests.integration.engine import Engine, FaultyStore, Standstill, join

BROKEN = b'{"workerNum": '
HEALTH = "DescribeProjectComponents"
RESET = {"request": "r1", "id": "np_0", "startTimestamp": 1_700_000_000, "reason": "lost logs"}


class Engines:
    def __init__(self, bench):
        self._bench, self._made = bench, []

    def __call__(self, **changes):
        self._made.append(Engine(self._bench, **changes))
        return self._made[-1]

    def end(self):
        while self._made:
            self._made.pop().end()


@pytest.fixture
def engines(bench):
    """Makes engines that are ended when the test is over."""
    made = Engines(bench)
    yield made
    made.end()


@pytest.fixture
def engine(engines):
    return engines()


@pytest.fixture
def restarted(engines):
    """What the next process does; those before are at their end."""

    def again(**changes):
        engines.end()
        return engines(**changes)

    return again


@pytest.fixture
def still(bench):
    standing = Standstill(bench.clock)
    yield standing
    standing.end()


def fill(bench, number):
    """Tasks of a project each; their names."""
    names = [f"t{each:02}" for each in range(number)]
    for each, name in enumerate(names):
        bench.put(name, each)
    return names


def adopted(bench, number):
    names = fill(bench, number)
    bench.reconciler().adopt((), reason="as it is", only_new=True)
    return names


def applied(engine, **changes):
    """A task whose component has what its files say."""
    engine.bench.put(**changes)
    engine.everything()
    engine.settled()
    engine.bench.look_away()
    engine.heard.clear()


def changed(engine, value="128"):
    engine.bench.edit("sink", workerNum=value)


def calls(engine):
    """Outcomes of the calls, in their order."""
    return [event.outcome for event in engine.of(CallEnded)]


def accepted(engine):
    engine.until(lambda: "accepted" in calls(engine))


# --- the usual -----------------------------------------------------------------------------------------------------


def test_fleet_becomes_what_its_files_say(bench, engine):
    names = fill(bench, 6)
    engine.everything()
    engine.settled(*names)
    assert sorted(bench.keys) == sorted(name_of(number) for number in range(6))


def test_task_is_told_on_its_way_from_difference_to_health(bench, engine):
    bench.put()
    engine.everything()
    engine.settled("shop")
    states = engine.told()
    assert list(dict.fromkeys(states)) in (
        ["out-of-sync", "verifying", "synced"],
        ["out-of-sync", "applying", "verifying", "synced"],
    )


def test_nothing_is_sent_once_everything_is_well(bench, engine):
    applied(engine)
    for _ in range(3):
        engine.everything()
        engine.some("shop")
    engine.pass_time(600.0)
    assert (bench.sent, engine.of(StateChanged)) == ([], [])


def test_edits_that_gather_while_one_is_verified_are_one_call(bench, engine):
    bench.put()
    engine.everything()
    accepted(engine)
    for number in range(5):
        changed(engine, str(20 + number))
        engine.some("shop")
    engine.settled("shop")
    engine.until(lambda: len(bench.sent) == 2)
    engine.settled("shop")
    assert [body["config"]["sink"]["workerNum"] for body in bench.sent] == ["16", "24"]


def test_rows_of_states_equal_what_was_told_last(bench, engine):
    fill(bench, 4)
    bench.put("wrong", 9, sink=BROKEN)
    bench.fault("param_error", component=name_of(1))
    bench.fault("exception", component=name_of(2))
    engine.everything()
    engine.until(lambda: {row.state for row in engine.said().values()} == {"synced", "failed", "invalid"})
    engine.everything()
    told = {event.status.task: event for event in engine.of(StateChanged)}
    for task, row in engine.said().items():
        event = told[task]
        assert (row.state, row.reason, row.content) == (event.status.state.value, event.status.reason, event.content)


def test_wrong_files_are_counted(bench, engine):
    bench.put("a", 0, sink=BROKEN, source=BROKEN)
    bench.put("b", 1, sink=BROKEN)
    engine.everything()
    assert engine.passes.invalid_files == 3
    bench.put("a", 0)
    shutil.rmtree(bench.desired / "b")
    engine.some("a", "b")
    assert engine.passes.invalid_files == 0


def test_labels_are_told_also_of_wrong_files(bench, engine):
    bench.put(task={"labels": {"team": "shop"}})
    engine.everything()
    engine.settled("shop")
    bench.put("shop", 0, task={"labels": {"team": "shop"}}, sink=BROKEN)
    engine.some("shop")
    event = engine.of(StateChanged)[-1]
    assert (event.status.state.value, dict(event.labels)) == ("invalid", {"team": "shop"})


# --- tries ---------------------------------------------------------------------------------------------------------


def test_unclear_answer_is_tried_again_by_time_and_not_by_events(bench, engine, still):
    bench.put()
    bench.fault("close", effect="after")
    engine.everything()
    engine.until(lambda: calls(engine) == ["unknown"])
    for _ in range(5):
        engine.everything()
        engine.some("shop")
    assert len(bench.sent) == 1
    still.end()
    engine.settled("shop")
    assert calls(engine) == ["unknown", "accepted"]


def test_outcome_that_stays_unclear_is_left_to_a_person(bench, engine):
    bench.put()
    bench.fault("close", effect="after", times=None)
    engine.everything()
    engine.settled("shop", state="blocked")
    engine.pass_time(3600.0)
    engine.everything()
    assert (calls(engine), engine.said()["shop"].next_step) == (
        ["unknown"] * 3,
        "look at the component in the console, then reconciler retry shop",
    )


def test_refused_call_is_tried_again_when_the_server_says_and_not_by_events(bench, engine, still):
    bench.put()
    bench.fault("http", status=429, retry_after=40)
    engine.everything()
    engine.until(lambda: engine.ended)
    began = bench.clock.monotonic()
    for _ in range(5):
        engine.everything()
        engine.some("shop")
    still.end()
    engine.settled("shop")
    started = engine.ended[-1][1].watch.began
    assert (len(bench.sent), 40.0 <= started - began < 50.0) == (2, True)


def test_task_that_waits_for_its_next_try_says_until_when(bench, engine, still):
    bench.put()
    bench.fault("http", status=429, retry_after=40)
    engine.everything()
    engine.until(lambda: engine.said()["shop"].until)
    row = engine.said()["shop"]
    assert (row.state, "429" in row.reason) == ("out-of-sync", True)
    assert timedelta(seconds=38) <= row.until - bench.clock.now() <= timedelta(seconds=40)


@pytest.mark.parametrize("fault", ["http", "close"], ids=["certainly without effect", "unclear"])
def test_newer_content_waits_for_no_retry(bench, engine, still, fault):
    bench.put()
    bench.fault(fault, **({"status": 429, "retry_after": 40} if fault == "http" else {"effect": "before"}))
    engine.everything()
    engine.until(lambda: calls(engine))
    changed(engine)
    engine.some("shop")
    engine.until(lambda: len(bench.sent) == 2)
    assert bench.sent[-1]["config"]["sink"]["workerNum"] == "128"


def test_consecutive_tries_are_ever_further_apart(bench, engine):
    bench.put()
    bench.fault("http", status=429, times=7)
    engine.everything()
    engine.settled("shop")
    at = [when for when, _, result in engine.ended if result.status is Status.PENDING]
    waits = [later - sooner for sooner, later in pairwise(at)]
    assert waits[-1] > 4 * waits[0]


def test_person_who_asks_for_it_does_not_wait(bench, engine, still):
    bench.put()
    bench.fault("http", status=429, retry_after=40)
    engine.everything()
    engine.until(lambda: calls(engine) == ["retrying"])
    engine.until(lambda: engine.said()["shop"].until)
    engine.passes.try_again("shop")
    engine.some("shop")
    engine.until(lambda: len(bench.sent) == 2)


def test_failed_content_is_sent_again_by_nothing_but_other_content(bench, engine):
    bench.put()
    bench.fault("param_error")
    engine.everything()
    engine.settled("shop", state="failed")
    engine.everything()
    engine.pass_time(3600.0)
    assert len(bench.sent) == 1
    changed(engine)
    engine.some("shop")
    engine.settled("shop")
    assert len(bench.sent) == 2


class SlowReconciler:
    """Looks, and is slow to tell what it saw."""

    def __init__(self, bench):
        self._reconciler = bench.reconciler()
        self.seen, self.may_tell = threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self._reconciler, name)

    def look(self, *arguments, **more):
        survey = self._reconciler.look(*arguments, **more)
        self.seen.set()
        assert self.may_tell.wait(10.0)
        return survey


@pytest.mark.parametrize("how", ["refused", "accepted, and its health cannot be read"])
def test_look_that_was_begun_before_an_answer_came_sends_nothing_again(bench, engines, how):
    slow = SlowReconciler(bench)
    engine = engines(reconciler=slow)
    bench.put()
    if how == "refused":
        bench.fault("param_error")
    else:
        bench.fault("no_such_project", action=HEALTH, times=None)
    bench.oms.watch = lambda request: request.action == "UpdateIncrSync" and slow.seen.wait(10.0)
    engine.everything()
    eventually(lambda: engine.of(CallStarted))
    looking = threading.Thread(target=engine.some, args=("shop",))
    looking.start()
    eventually(lambda: engine.ended and engine.targets.job("shop") is None)
    slow.may_tell.set()
    join([looking])
    engine.pass_time(120.0)
    assert len(bench.sent) == 1


def eventually(question):
    deadline = time.monotonic() + 10.0
    while not question():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


def test_busy_project_is_looked_at_again_and_sent_to_when_it_is_free(bench, engine):
    bench.put()
    bench.oms.set_project("np_0", status="RUNNING_MODIFYING")
    engine.everything()
    engine.settled("shop", state="blocked")
    row = engine.said()["shop"]
    assert (bench.sent, "RUNNING_MODIFYING" in row.reason) == ([], True)
    bench.oms.set_project("np_0", status="RUNNING")
    engine.settled("shop")
    assert len(bench.sent) == 1


# --- components that do not come back ------------------------------------------------------------------------------


def looks(engine):
    """When components were looked at again, and in vain."""
    return [when for when, job, result in engine.ended if result.status is Status.UNCONFIRMED]


def test_component_that_does_not_come_back_is_looked_at_again_ever_less_often(bench, engine):
    bench.put()
    bench.fault("ticket_stuck")
    engine.everything()
    engine.until(lambda: len(looks(engine)) == 7, longest_s=20.0)
    at = looks(engine)
    waits = [later - sooner for sooner, later in pairwise(at)]
    expected = [min(LOOK_AGAIN_S * 2**number, LOOK_AGAIN_CAP_S) for number in range(6)]
    # The clock goes on while a busy machine lets a worker wait: no look comes too early, and none not at all.
    assert [near for near, wait in zip(expected, waits, strict=True) if not near <= wait <= 2 * near + 200.0] == []
    assert (len(bench.sent), engine.state()) == (1, "unconfirmed")


def test_component_of_the_other_link_with_the_same_number_is_not_taken_for_a_moved_one(bench, engine):
    config = written_by_oms("np_99")
    twin, own = ComponentSpec(name_of(99, "10.0.0.8"), config=config), ComponentSpec(name_of(99), Link.REVERSE, config)
    bench.oms.add_fleet((ProjectSpec("np_99", components=(twin, own)),))
    bench.put("shop", 99)
    bench.fault("exception")
    engine.everything()
    engine.settled("shop", state="failed")
    assert (engine.of(Moved), bench.keys) == ([], [name_of(99)])


def test_component_in_exception_is_failed_again_after_a_retry_and_left_alone(bench, engine):
    bench.put()
    bench.fault("exception")
    engine.everything()
    engine.settled("shop", state="failed")
    bench.store.retry(bench.record().address)
    engine.some("shop")
    engine.settled("shop", state="failed")
    seen = len(bench.oms.calls)
    engine.pass_time(20.0)
    assert (engine.state(), len(bench.oms.calls), len(bench.sent)) == ("failed", seen, 1)


def test_renamed_folder_of_a_suspended_task_stays_suspended(bench, engine):
    bench.put()
    engine.everything()
    engine.settled("shop")
    bench.store.suspend("shop", Suspension("maintenance", None))
    bench.edit("sink", "shop", workerNum="128")
    (bench.desired / "shop").rename(bench.desired / "renamed")
    engine.everything()
    engine.pass_time(5.0)
    assert (engine.state("renamed"), len(bench.sent)) == ("suspended", 1)


def test_events_do_not_make_it_look_more_often(bench, engine):
    bench.put()
    bench.fault("ticket_stuck")
    engine.everything()
    engine.until(lambda: looks(engine))
    for _ in range(10):
        engine.everything()
        engine.some("shop")
    assert len(looks(engine)) == 1


def test_component_that_comes_back_late_is_synced_by_itself(bench, engine):
    bench.put()
    bench.fault("ticket_stuck")
    engine.everything()
    engine.settled("shop", state="unconfirmed")
    bench.oms.set_component(name_of(0), status="RUNNING")
    engine.settled("shop")
    assert len(bench.sent) == 1


@pytest.mark.parametrize("when", ["while it is verified", "after that"])
def test_fix_never_waits_behind_what_it_fixes(bench, engine, when):
    bench.put()
    bench.fault("ticket_stuck")
    engine.everything()
    accepted(engine)
    if when == "after that":
        engine.settled("shop", state="unconfirmed")
    changed(engine)
    engine.some("shop")
    engine.until(lambda: looks(engine))
    began = looks(engine)[0]
    engine.until(lambda: len(bench.sent) == 2)
    assert bench.clock.monotonic() - began < 10.0


def test_rotated_secret_is_a_fix_too(bench, engine):
    bench.put()
    bench.fault("ticket_stuck")
    engine.everything()
    engine.settled("shop", state="unconfirmed")
    began = bench.clock.monotonic()
    bench.environment["SINK"] = "the right one"
    engine.everything()
    engine.until(lambda: len(bench.sent) == 2)
    assert bench.clock.monotonic() - began < 10.0


def test_component_in_exception_is_failed_and_a_fix_goes_at_once(bench, engine):
    bench.put()
    bench.fault("exception")
    engine.everything()
    engine.settled("shop", state="failed")
    changed(engine)
    engine.some("shop")
    engine.settled("shop")
    assert len(bench.sent) == 2


# --- adopting, suspending, freezing, resets ------------------------------------------------------------------------


def test_new_task_is_adopted_without_a_call(bench, engines):
    engine = engines(new_tasks=NewTasks.ADOPT)
    bench.put()
    engine.everything()
    engine.settled("shop")
    assert (bench.oms.calls, bench.record().condition) == ((), Condition.SYNCED)


def test_adopted_task_is_never_said_to_wait_for_a_call(bench, engines):
    engine = engines(new_tasks=NewTasks.ADOPT)
    bench.put()
    engine.everything()
    engine.settled("shop")
    assert not [e.status.reason for e in engine.of(StateChanged) if "turn" in e.status.reason]
    assert "send" not in " ".join(e.status.next_step for e in engine.of(StateChanged))


def test_large_fleet_is_adopted_in_several_looks(bench, engines, monkeypatch):
    monkeypatch.setattr("reconciler.passes.MOST_WORK", 3)
    engine = engines(new_tasks=NewTasks.ADOPT)
    names = fill(bench, 10)
    engine.everything()
    engine.settled(*names)
    engine.pass_time(5.0)
    assert (bench.oms.calls, engine.agenda.waiting()[0]) == ((), 0)


def test_held_task_is_not_sent_until_somebody_decides(bench, engines):
    engine = engines(new_tasks=NewTasks.HOLD)
    bench.put()
    engine.everything()
    assert (engine.state(), engine.pass_time(600.0), bench.oms.calls) == ("blocked", None, ())
    bench.reconciler().adopt((), reason="as it is", only_new=True)
    engine.some("shop")
    assert engine.state() == "synced"


def test_suspension_takes_back_what_is_not_begun(bench, engine, still):
    bench.concurrent["default"] = 1
    bench.put("first", 0)
    bench.put("shop", 0, task={"key": SECOND})
    engine.everything()
    accepted(engine)
    bench.store.suspend("shop", Suspension("maintenance", None))
    engine.some("shop")
    assert engine.state() == "suspended"
    still.end()
    engine.settled("first")
    assert bench.keys == [name_of(0)]


def test_suspension_that_ends_lets_the_task_go_by_itself(bench, engine):
    applied(engine)
    bench.store.suspend("shop", Suspension("maintenance", bench.clock.now() + timedelta(seconds=90)))
    changed(engine)
    engine.some("shop")
    began = bench.clock.monotonic()
    assert engine.state() == "suspended"
    engine.settled("shop")
    assert (len(bench.sent), bench.clock.monotonic() - began >= 90.0) == (1, True)


def test_min_update_interval_gathers_edits_and_then_sends_by_itself(bench, engines):
    engine = engines(intervals={"default": 60.0})
    bench.put()
    engine.everything()
    engine.settled("shop")
    at = bench.record().applied_at
    for value in ("20", "21", "22"):
        changed(engine, value)
        engine.some("shop")
    assert (engine.state(), engine.said()["shop"].until) == ("blocked", at + timedelta(seconds=60))
    engine.settled("shop")
    assert [body["config"]["sink"]["workerNum"] for body in bench.sent] == ["16", "22"]
    assert bench.record().applied_at - at >= timedelta(seconds=60)


def test_frozen_fleet_sends_and_adopts_nothing(bench, engine):
    names = adopted(bench, 10)
    engine.everything()
    for name in names[:6]:
        shutil.rmtree(bench.desired / name)
    bench.edit("sink", names[9], workerNum="128")
    ended = engine.everything()
    assert "6 of 10" in ended.frozen
    engine.pass_time(60.0)
    assert (bench.oms.calls, engine.state(names[9]), engine.state(names[0])) == ((), "blocked", "orphaned")


def test_fleet_that_comes_back_is_frozen_no_more(bench, engine):
    names = adopted(bench, 10)
    engine.everything()
    (bench.desired).rename(bench.desired.with_name("away"))
    bench.desired.mkdir()
    assert engine.everything().frozen
    bench.desired.rmdir()
    bench.desired.with_name("away").rename(bench.desired)
    assert not engine.everything().frozen
    assert {engine.state(name) for name in names} == {"synced"}


def test_reset_that_waits_holds_no_update_up(bench, engine):
    applied(engine)
    (bench.desired / "shop" / "reset.json").write_text(json.dumps(RESET))
    changed(engine)
    engine.some("shop")
    engine.until(lambda: bench.sent)
    engine.settled("shop", state="blocked")
    assert len(bench.sent) == 1
    assert engine.said()["shop"].reason.endswith("the configuration does not allow resets of it")


# --- tasks that come and go ----------------------------------------------------------------------------------------


def test_task_that_was_never_applied_and_goes_is_gone(bench, engines):
    engine = engines(new_tasks=NewTasks.HOLD)
    bench.put()
    engine.everything()
    shutil.rmtree(bench.desired / "shop")
    engine.some("shop")
    assert ([event.task for event in engine.of(TaskGone)], engine.said()) == (["shop"], {})


def test_task_that_goes_before_its_turn_is_not_sent(bench, engine, still):
    bench.put("first", 0)
    bench.put("shop", 0, task={"key": SECOND})
    engine.everything()
    accepted(engine)
    shutil.rmtree(bench.desired / "shop")
    engine.some("shop")
    still.end()
    engine.settled("first")
    assert bench.keys == [name_of(0)]


def test_task_that_goes_while_its_call_is_under_way_ends_as_an_orphan(bench, engine):
    bench.put("shop", 0)
    bench.put("other", 1)
    engine.everything()
    accepted(engine)
    shutil.rmtree(bench.desired / "shop")
    engine.some("shop")
    engine.settled("shop", state="orphaned")
    engine.until(lambda: bench.record().condition is Condition.SYNCED)
    assert len(bench.sent) <= 2


def test_orphan_that_was_forgotten_is_gone(bench, engine):
    bench.put("other", 1)
    applied(engine)
    shutil.rmtree(bench.desired / "shop")
    engine.some("shop")
    assert engine.state() == "orphaned"
    bench.store.forget(bench.record().address)
    engine.some("shop")
    assert [event.task for event in engine.of(TaskGone)] == ["shop"]


def test_orphan_is_gone_when_another_folder_takes_its_record_over(bench, engine):
    bench.put("other", 1)
    applied(engine)
    shutil.rmtree(bench.desired / "shop")
    engine.some("shop")
    bench.put("moved", 0)
    engine.some("moved")
    engine.pass_time(5.0)
    assert (bench.sent, sorted(engine.said())) == ([], ["moved", "other"])


def test_record_that_was_taken_over_is_said_once(bench, engine):
    applied(engine)
    (bench.desired / "shop").rename(bench.desired / "moved")
    engine.some("shop", "moved")
    engine.pass_time(5.0)
    assert (bench.sent, engine.said()["moved"].reason) == ([], "no difference")


def test_clash_is_told_of_both_and_ends_for_both(bench, engine):
    applied(engine)
    bench.put("twin", 0)
    engine.some("twin")
    assert (engine.state("shop"), engine.state("twin")) == ("invalid", "invalid")
    shutil.rmtree(bench.desired / "twin")
    engine.some("twin")
    assert (engine.state("shop"), engine.state("twin"), bench.sent) == ("synced", "", [])


def test_job_that_waits_is_taken_back_when_its_address_is_claimed_by_another_task(bench, engine, still):
    bench.put("first", 0)
    bench.put("shop", 0, task={"key": SECOND})
    engine.everything()
    accepted(engine)
    bench.put("twin", 0, task={"key": SECOND})
    engine.some("twin")
    still.end()
    engine.settled("first")
    assert bench.keys == [name_of(0)]


# --- what goes wrong -----------------------------------------------------------------------------------------------


class Defective:
    """A validator with a defect that some tasks meet."""

    def __init__(self, *names):
        self.names = names

    def examine(self, raw, **more):
        if raw.name in self.names:
            raise RuntimeError("an index out of range")
        return VALIDATOR.examine(raw, **more)


def defective(bench, *names):
    lookup = resolver(bench.environment)
    source = DirectorySource(bench.desired)
    return Reconciler(source, Defective(*names), CATALOGUE, bench.store, lookup, bench.clock)


def test_defect_in_one_task_keeps_no_other_from_being_looked_at(bench, engines):
    names = fill(bench, 5)
    engine = engines(reconciler=defective(bench, "t02"))
    engine.everything()
    others = [name for name in names if name != "t02"]
    engine.settled(*others)
    notices = [notice for notice in engine.of(Notice) if notice.facts["task"] == "t02"]
    assert ({notice.topic for notice in notices}, len(bench.sent)) == ({"defect"}, 4)


def test_task_with_a_defect_is_looked_at_again(bench, engines):
    fill(bench, 2)
    reconciler = defective(bench, "t00")
    engine = engines(reconciler=reconciler)
    engine.everything()
    engine.settled("t01")
    reconciler._validator.names = reconciler._inventory._validator.names = ()  # noqa: SLF001 - the defect is mended
    engine.until(lambda: engine.state("t00") == "synced", 10.0)


def test_defect_in_one_task_does_not_make_the_others_look_vanished(bench, engines):
    adopted(bench, 10)
    bench.edit("sink", "t00", workerNum="128")
    engine = engines(reconciler=defective(bench, "t01"))
    engine.everything()
    assert engine.told("t00")[0] == "out-of-sync"
    engine.settled("t00")


def test_defect_in_one_task_lets_no_clash_be_sent(bench, engines):
    bench.put("a", 0)
    bench.put("m", 1)
    bench.put("z", 0)
    engine = engines(reconciler=defective(bench, "m"))
    engine.everything()
    engine.pass_time(5.0)
    assert (bench.sent, engine.state("a"), engine.state("z")) == ([], "invalid", "invalid")


def test_directory_that_goes_while_a_defect_is_found_is_a_problem_and_no_crash(bench, engines):
    fill(bench, 2)

    class Vanishing(Defective):
        def examine(self, raw, **more):
            shutil.rmtree(bench.desired, ignore_errors=True)
            return super().examine(raw, **more)

    source = DirectorySource(bench.desired)
    lookup = resolver(bench.environment)
    reconciler = Reconciler(source, Vanishing("t00"), CATALOGUE, bench.store, lookup, bench.clock)
    engine = engines(reconciler=reconciler)
    problems = [engine.everything().problem, engine.everything().problem]
    assert ("cannot be read" in problems[-1], bench.oms.calls) == (True, ())


def faulty(bench):
    bench.store = FaultyStore(bench.store)
    return bench.store


@pytest.mark.parametrize("method", ["records", "put_states", "suspensions", "fingerprint_key"])
def test_store_that_fails_is_a_problem_and_the_tasks_are_looked_at_again(bench, engines, method):
    store = faulty(bench)
    engine = engines()
    applied(engine)
    changed(engine)
    store.failing.add(method)
    assert "disk is full" in engine.some("shop").problem
    store.failing.clear()
    began = bench.clock.monotonic()
    engine.until(lambda: len(bench.sent) == 1)
    engine.settled("shop")
    assert bench.clock.monotonic() - began < 60.0


def test_look_that_failed_is_repeated_after_a_while_and_not_at_once(bench, engines, still):
    store = faulty(bench)
    engine = engines()
    bench.put()
    store.failing.add("records")
    engine.some("shop")
    store.failing.clear()
    assert engine.agenda.take(9) == []
    bench.clock.advance_to(bench.clock.monotonic() + PROBLEM_S)
    assert engine.agenda.take(9) == ["shop"]


@pytest.mark.parametrize("method", ["put_states", "records"])
def test_other_task_of_a_clash_is_looked_at_when_the_store_answers_again(bench, engines, method):
    store = faulty(bench)
    engine = engines()
    applied(engine)
    bench.put("twin", 0)
    engine.some("twin")
    shutil.rmtree(bench.desired / "twin")
    store.failing.add(method)
    engine.some("twin")
    store.failing.clear()
    engine.pass_time(60.0)
    assert engine.state("shop") == "synced"


def test_intent_that_cannot_be_written_is_not_sent_and_tried_again(bench, engines):
    store = faulty(bench)
    engine = engines()
    bench.put()
    store.failing.add("begin")
    engine.everything()
    engine.until(lambda: engine.ended)
    store.failing.clear()
    assert bench.sent == []
    engine.settled("shop")
    assert len(bench.sent) == 1


def test_directory_that_cannot_be_read_is_a_problem_and_changes_nothing(bench, engine):
    applied(engine)
    bench.desired.rename(bench.desired.with_name("away"))
    assert "cannot be read" in engine.everything().problem
    assert "cannot be read" in engine.some("shop").problem
    assert (engine.state(), engine.of(StateChanged)) == ("synced", [])
    bench.desired.with_name("away").rename(bench.desired)
    assert engine.everything().problem == ""


def test_misconfigured_target_is_told_and_everything_goes_on_when_it_is_mended(bench, engine):
    names = fill(bench, 5)
    bench.set_target(password="wrong")
    engine.everything()
    engine.until(engine.targets.troubles)
    engine.everything()
    engine.until(lambda: all("401" in row.reason for row in engine.said().values()))
    assert {engine.state(name) for name in names} == {"out-of-sync"}
    bench.set_target(password="simulator")
    engine.settled(*names)
    assert sorted(bench.keys) == sorted(name_of(number) for number in range(5))


def test_server_that_is_away_is_asked_and_everything_goes_on_when_it_is_back(bench, engine):
    names = fill(bench, 8)
    bench.fault("http", action=None, status=503, times=12)
    engine.everything()
    engine.settled(*names)
    kinds = [event.kind for event in engine.of(TargetChanged)]
    assert (kinds, len(bench.keys)) == (["unreachable", ""], 8)


# --- restart -------------------------------------------------------------------------------------------------------


def test_restart_sends_nothing_and_tells_each_task_once(bench, engine, restarted):
    names = fill(bench, 4)
    engine.everything()
    engine.settled(*names)
    bench.look_away()
    again = restarted()
    for _ in range(3):
        again.everything()
    assert {name: again.told(name) for name in names} == {name: ["synced"] for name in names}
    assert {event.before.value for event in again.of(StateChanged)} == {"synced"}
    assert bench.sent == []


def test_component_that_was_verified_is_verified_on_after_a_restart(bench, engine, still, restarted):
    bench.put()
    engine.everything()
    accepted(engine)
    again = restarted()
    still.end()
    again.everything()
    again.settled("shop")
    assert (len(bench.sent), again.told()[0], again.told()[-1]) == (1, "verifying", "synced")


def test_component_whose_server_is_away_after_a_restart_is_verified_when_it_is_back(bench, engine, still, restarted):
    """Within its time it is not told to be unconfirmed: nobody looked."""
    bench.put()
    engine.everything()
    accepted(engine)
    again = restarted()
    bench.fault("http", action=HEALTH, status=503, times=2)
    still.end()
    again.everything()
    again.settled("shop")
    assert "unconfirmed" not in again.told()


def test_retry_of_an_unclear_answer_goes_on_after_a_restart(bench, engine, still, restarted):
    bench.put()
    bench.fault("close", effect="after")
    engine.everything()
    engine.until(lambda: calls(engine) == ["unknown"])
    again = restarted()
    still.end()
    again.everything()
    again.settled("shop")
    assert len(bench.sent) == 2


def test_new_configuration_waits_for_no_try(bench, engine, still):
    bench.put()
    bench.fault("http", status=429, retry_after=40)
    engine.everything()
    engine.until(lambda: engine.said()["shop"].until)
    engine.renew(("default", "other"))
    engine.everything()
    engine.until(lambda: len(bench.sent) == 2)


# --- stop_after_failures -------------------------------------------------------------------------------------------


@pytest.fixture
def sick(bench, engines):
    """A target with four tasks, of which the first three end in EXCEPTION one after another."""
    bench.concurrent["default"] = 1
    names = fill(bench, 4)
    for number in range(3):
        bench.fault("exception", component=name_of(number))
    engine = engines(stop_after=3)
    engine.everything()
    engine.until(lambda: [engine.state(name) for name in names[:3]] == ["failed"] * 3)
    return engine


def test_three_components_that_do_not_come_back_stop_the_target(bench, sick):
    sick.everything()
    sick.pass_time(600.0)
    assert bench.keys == [name_of(number) for number in range(3)]
    row = sick.said()["t03"]
    assert (row.state, "t00, t01, t02" in row.reason) == ("blocked", True)
    assert row.next_step.endswith("reconciler resume --target default")
    assert [event.kind for event in sick.of(TargetChanged)] == ["stopped"]


def released(engine):
    """As the daemon does when somebody resumes the target."""
    engine.bench.store.release_target("default", "mended")
    engine.passes.try_again("")
    engine.targets.reopen("default")
    engine.everything()


def test_released_target_goes_on(bench, sick):
    released(sick)
    sick.settled("t03")
    assert bench.keys[-1] == name_of(3)


def test_failures_are_counted_anew_after_a_release(bench, sick):
    for number in range(4, 8):
        bench.put(f"t{number:02}", number)
        bench.fault("exception", component=name_of(number))
    released(sick)
    sick.until(lambda: len(sick.of(TargetChanged)) == 2)
    sick.everything()
    sick.pass_time(60.0)
    assert bench.keys == [name_of(number) for number in range(7)]


def test_stop_outlives_a_restart(bench, sick, restarted):
    again = restarted(stop_after=3)
    again.everything()
    again.pass_time(60.0)
    assert (len(bench.sent), again.state("t03")) == (3, "blocked")


def test_other_targets_go_on(bench, sick):
    bench.put("elsewhere", 9, task={"target": "other"})
    sick.some("elsewhere")
    sick.settled("elsewhere")


def test_components_that_stay_unconfirmed_do_not_stop_a_released_target_again(bench, engines):
    bench.concurrent["default"] = 1
    fill(bench, 3)
    bench.fault("ticket_stuck", times=2)
    engine = engines(stop_after=2)
    engine.everything()
    engine.settled("t02", state="blocked")
    released(engine)
    engine.settled("t02")
    engine.pass_time(1800.0)
    assert [event.kind for event in engine.of(TargetChanged)] == ["stopped"]


def test_zero_stops_nothing(bench, engines):
    names = fill(bench, 5)
    bench.fault("exception", times=None)
    engine = engines(stop_after=0)
    engine.everything()
    engine.settled(*names, state="failed")
    assert (len(bench.sent), bench.store.target_trouble()) == (5, {})


def test_apply_stops_too(bench, engine):
    bench.concurrent["default"] = 1
    fill(bench, 5)
    bench.fault("exception", times=None)
    tools = replace(engine.tools, stop_after={"default": 3})
    results = {result.task: result.status for result in carry_out(bench.survey(), tools)}
    assert sorted(status.value for status in results.values()) == ["failed"] * 3 + ["pending"] * 2
    assert {item.rail for item in bench.survey().plan.items} == {"failed", "stop_after_failures"}
    assert carry_out(bench.survey(), tools) == ()


# --- what is read of a project -------------------------------------------------------------------------------------


def healths(bench):
    return len(bench.oms.calls_of(HEALTH))


def three_of_one_project(bench):
    for name, key in (("a", name_of(0)), ("b", SECOND), ("c", REVERSE)):
        bench.put(name, 0, task={"key": key})


def test_components_of_a_project_are_read_once_for_all_of_its_tasks(bench, engine, still):
    three_of_one_project(bench)
    bench.fault("param_error", times=3)
    engine.everything()
    engine.settled("a", "b", "c", state="failed")
    assert (len(bench.sent), healths(bench)) == (3, 1)


def test_components_are_read_anew_where_an_answer_was_unclear(bench, engine):
    bench.put()
    bench.fault("close", effect="before")
    bench.fault("param_error")
    engine.everything()
    engine.settled("shop", state="failed")
    assert (len(bench.sent), healths(bench) >= 2) == (2, True)


def test_components_are_read_anew_after_a_while(bench, engine):
    three_of_one_project(bench)
    bench.fault("param_error", times=3)
    engine.some("a")
    engine.settled("a", state="failed")
    engine.pass_time(10.0)
    before = healths(bench)
    engine.some("b")
    engine.settled("b", state="failed")
    assert healths(bench) > before


def in_role(bench):
    role = {"project": "np_1", "link": "forward", "index": 0}
    task = json.dumps({"component": role, "manage": ["/coordinator/taskIdentity"]}).encode()
    bench.put("shop", 1, task=task)


def test_component_that_moved_is_told_once_and_found_under_its_new_name(bench, engine):
    in_role(bench)
    engine.everything()
    engine.settled("shop")
    moved = bench.oms.move(name_of(1), ip="10.0.0.7")
    for value in ("20", "21"):
        engine.pass_time(10.0)
        changed(engine, value)
        engine.some("shop")
        engine.until(lambda value=value: bench.sent[-1]["config"]["sink"]["workerNum"] == value)
        engine.settled("shop")
    assert [(event.before, event.now) for event in engine.of(Moved)] == [(name_of(1), moved)]
    assert (bench.record().component, bench.keys[1:]) == (moved, [moved, moved])


def test_component_that_moved_a_moment_ago_is_found_all_the_same(bench, engine):
    in_role(bench)
    engine.everything()
    engine.settled("shop")
    bench.oms.move(name_of(1), ip="10.0.0.7")
    changed(engine)
    engine.some("shop")
    engine.until(lambda: len(bench.sent) > 1 and engine.state() in ("synced", "failed"))
    assert engine.state() == "synced"
    assert bench.oms.component(bench.keys[-1]).config["sink"]["workerNum"] == "128"


# --- any order of anything -----------------------------------------------------------------------------------------

FAULTS = [
    ("http", {"status": 429}),
    ("http", {"status": 503, "retry_after": 2}),
    ("http", {"status": 500, "effect": "after"}),
    ("http", {"status": 403}),
    ("close", {"effect": "after"}),
    ("truncated", {}),
    ("param_error", {}),
    ("exception", {}),
    ("ticket_stuck", {}),
]


class Story:
    """A fleet of a few tasks to which things happen while the engine turns."""

    def __init__(self, engine, seed):
        self.engine, self.bench, self.chance = engine, engine.bench, random.Random(seed)  # noqa: S311 - repeatable
        self.names = fill(self.bench, 4)
        engine.everything()

    def happen(self):
        act = self.chance.choice(
            (self._edit, self._edit, self._break, self._fault, self._suspend, self._rotate, self._away)
        )
        name = self.chance.choice(self.names)
        act(name)
        self.engine.some(name)
        for _ in range(self.chance.randint(0, 12)):
            self.engine.turn()

    def _edit(self, name):
        self.bench.put(name, self.names.index(name), sink={"workerNum": str(self.chance.randint(1, 64))})

    def _break(self, name):
        (self.bench.desired / name).mkdir(exist_ok=True)
        (self.bench.desired / name / "sink.json").write_bytes(BROKEN)

    def _away(self, name):
        shutil.rmtree(self.bench.desired / name, ignore_errors=True)

    def _fault(self, _name):
        kind, parameters = self.chance.choice(FAULTS)
        self.bench.fault(kind, times=self.chance.randint(1, 3), **parameters)

    def _suspend(self, name):
        until = self.bench.clock.now() + timedelta(seconds=self.chance.randint(1, 90))
        self.bench.store.suspend(name, Suspension("why", until))

    def _rotate(self, _name):
        self.bench.environment["SINK"] = f"{SENTINELS['SINK']}-{self.chance.randint(0, 2)}"

    def end(self):
        """Edits and faults stop; what a person has to decide is decided."""
        self.bench.oms.clear_faults()
        for name in self.names:
            self._edit(name)
        for component in self.bench.oms.components:
            self.bench.oms.set_component(component.name, status="RUNNING")
        self.engine.everything()
        self.engine.pass_time(300.0)
        for record in self.bench.store.records().values():
            if record.condition in (Condition.FAILED, Condition.UNKNOWN):
                self.bench.store.retry(record.address)
        self.engine.passes.try_again("")
        self.engine.everything()


@pytest.mark.parametrize("seed", range(4))
def test_fleet_converges_once_edits_and_faults_stop_and_then_nothing_is_sent(bench, engine, seed):
    story = Story(engine, seed)
    for _ in range(10):
        story.happen()
    story.end()
    engine.settled(*story.names)
    sent = len(bench.sent)
    engine.everything()
    engine.pass_time(1200.0)
    assert len(bench.sent) == sent
    assert {item.action for item in bench.survey().plan.items} == {Action.NOOP}
    assert [notice for notice in engine.of(Notice) if notice.topic == "defect"] == []
    starts, ends = len(engine.of(CallStarted)), len(engine.of(CallEnded))
    assert starts == ends
    for number, name in enumerate(story.names):
        assert bench.config(number)["sink"]["workerNum"] == bench.read("sink", name)["workerNum"]
        assert bench.config(number)["coordinator"]["throttleRps"] == documents()["coordinator"]["throttleRps"]
