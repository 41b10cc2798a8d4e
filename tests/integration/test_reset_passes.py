"""Resets as the daemon carries them out: beside updates, once, and with a state that somebody sees."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.events import Notice, StateChanged
from reconciler.model import Stage, Window
from tests.integration.bench import SECOND
from tests.integration.engine import Engine, FaultyStore
from tests.integration.resets import PROJECT, RESET, RESUME, RULES, STOP, Resets

WHOLE = [STOP, RESET, RESUME]


@pytest.fixture
def resets(bench):
    return Resets(bench)


@pytest.fixture
def engines(bench, resets):
    """Makes engines that are ended, in the order in which they were made."""
    made: list[Engine] = []

    def make(**rules) -> Engine:
        made.append(Engine(bench, **RULES, **rules))
        return made[-1]

    yield make
    for engine in made:
        engine.end()


@pytest.fixture
def engine(engines: Callable[..., Engine]) -> Engine:
    return engines()


def workers(bench):
    return [body["config"]["sink"]["workerNum"] for body in bench.sent]


def ended(engine, resets):
    """Turn until the reset is over and the task is well."""
    engine.everything()
    engine.until(lambda: resets.stage == "done")
    return engine.settled()


# --- once ----------------------------------------------------------------------------------------------------------


def test_approved_reset_is_carried_out_once(engine, resets):
    ended(engine, resets).pass_time(600.0)
    engine.everything()
    engine.pass_time(60.0)
    assert resets.executed == WHOLE


def test_nothing_more_happens_after_a_restart(engines, engine, resets, bench):
    ended(engine, resets)
    engine.end()
    bench.reopen()
    again = engines()
    again.everything()
    again.settled().pass_time(60.0)
    assert resets.executed == WHOLE


def test_reset_waits_for_its_approval_and_goes_with_it(engine, resets, bench):
    content = resets.item().content_id
    assert bench.store.disapprove(content, "not yet")
    engine.everything()
    engine.settled(state="blocked")
    assert "a reset needs an approval in every mode" in engine.said()["shop"].reason
    resets.approve()
    engine.some("shop")
    engine.until(lambda: resets.stage == "done")
    assert resets.executed == WHOLE


def test_while_it_is_under_way_the_state_says_so(engine, resets, bench):
    said = []
    bench.oms.watch = lambda request: said.append(request.action == RESUME and engine.said()["shop"].reason)
    ended(engine, resets)
    assert "applying" in engine.told()
    assert any(isinstance(text, str) and "reset r1 of the forward link of np_0 is under way" in text for text in said)


def test_reset_goes_before_the_update_of_its_task(engine, resets, bench):
    order = []
    bench.oms.watch = lambda request: order.append(request.action)
    bench.edit("sink", workerNum="17")
    ended(engine, resets)
    assert [action for action in order if action in (*WHOLE, "UpdateIncrSync")] == [*WHOLE, "UpdateIncrSync"]
    assert workers(bench) == ["17"]


def test_edit_made_while_the_project_is_stopped_waits(engine, resets, bench):
    engine.everything()
    engine.until(lambda: STOP in resets.calls)
    bench.edit("sink", workerNum="17")
    engine.some("shop")
    assert workers(bench) == []
    engine.until(lambda: workers(bench))
    assert resets.stage == "done"


def test_what_waited_for_it_is_looked_at_when_it_is_over(engine, resets, bench):
    bench.applied("second", 0, task={"key": SECOND})
    engine.everything()
    engine.until(lambda: STOP in resets.calls)
    bench.edit("sink", "second", workerNum="17")
    engine.some("second")
    assert engine.said()["second"].reason == "reset: waits for reset r1 of np_0, which is under way"
    engine.settled("shop", "second")
    assert (resets.stage, workers(bench)) == ("done", ["17"])


# --- what holds it, for a while --------------------------------------------------------------------------------------


def test_window_that_opens_lets_it_go(engines, resets, bench):
    opens = bench.clock.now() + timedelta(hours=2)
    window = Window("nights", True, f"{opens.minute} {opens.hour} * * *", 3600, "UTC")
    engine = engines(windows=(window,))
    engine.everything()
    engine.settled(state="blocked")
    assert resets.calls == []
    engine.pass_time(2 * 3600.0)
    engine.until(lambda: resets.stage == "done")


def test_reset_expires_without_a_look_that_somebody_asks_for(engines, resets, bench):
    expires = (bench.clock.now() + timedelta(hours=1)).replace(microsecond=0)
    resets.declare(expires=expires.isoformat().replace("+00:00", "Z"))
    assert bench.store.disapprove(resets.item().content_id, "no")
    engine = engines()
    engine.everything()
    engine.settled(state="blocked")
    engine.pass_time(3700.0)
    assert engine.said()["shop"].reason.startswith("expired: expired at ")


def test_approval_that_ends_is_noticed(engines, resets, bench):
    engine = engines(windows=(Window("never", False, "* * * * *", 60, "UTC"),))
    engine.everything()
    engine.settled(state="blocked")
    assert engine.said()["shop"].reason.startswith("window ")
    engine.pass_time(25 * 3600.0)
    assert engine.said()["shop"].reason.startswith("approval: ")


def test_reset_that_cannot_be_begun_yet_holds_no_update(engine, resets, bench):
    bench.oms.set_project(PROJECT, status="FAILED")
    bench.edit("sink", workerNum="17")
    engine.everything()
    engine.until(lambda: workers(bench))
    assert (resets.stage, workers(bench)) == ("pending", ["17"])


def test_retry_lets_a_reset_try_again_at_once(engine, resets, bench):
    bench.oms.set_project(PROJECT, status="FAILED")
    engine.everything()
    engine.until(lambda: engine.ended)
    assert engine.some("shop").problem == ""
    assert "np_0 is FAILED" in engine.said()["shop"].reason
    bench.oms.set_project(PROJECT, status="RUNNING")
    engine.passes.try_again("shop")
    engine.some("shop")
    assert engine.targets.job("shop").work.reset is not None
    engine.until(lambda: resets.stage == "done")


# --- how it ends otherwise -------------------------------------------------------------------------------------------


def test_unknown_outcome_is_told_although_the_files_are_the_same(engine, resets, bench):
    bench.fault("close", action=RESET, effect="after")
    engine.everything()
    engine.until(lambda: resets.stage == "unknown")
    engine.settled(state="blocked").pass_time(3600.0)
    state = engine.said()["shop"]
    contents = {event.content for event in engine.of(StateChanged, "shop") if event.status.state.value == "blocked"}
    assert resets.executed == [STOP, RESET]
    assert "the project is left stopped" in state.reason
    assert state.next_step.endswith("reconciler reset resolve shop --sent or --not-sent, --reason TEXT")
    assert len(contents) == 1
    assert contents.pop().endswith("+unknown")


def test_word_of_a_person_ends_an_unknown_outcome(engine, resets, bench):
    bench.fault("close", action=RESET, effect="after")
    engine.everything()
    engine.until(lambda: resets.stage == "unknown")
    row = resets.entry
    assert bench.store.move_reset(replace(row, stage=Stage.ACCEPTED), Stage.UNKNOWN)
    engine.some("shop")
    engine.until(lambda: resets.stage == "done")
    engine.settled()
    assert resets.executed == WHOLE


def test_refused_reset_is_a_failed_task(engine, resets, bench):
    bench.fault("param_error", action=RESET)
    engine.everything()
    engine.settled(state="failed").pass_time(3600.0)
    state = engine.said()["shop"]
    assert (resets.stage, resets.project, resets.calls.count(RESET)) == ("refused", "RUNNING", 1)
    assert (
        state.next_step
        == "reconciler reset resolve shop --not-sent --reason TEXT and approve it again, or take reset.json out"
    )
    assert engine.of(StateChanged, "shop")[-1].content.endswith("+refused")


def test_reset_that_is_taken_back_while_the_project_stops_brings_it_back(engine, resets, bench):
    bench.oms.set_timing(suspend_s=20.0)
    engine.everything()
    engine.until(lambda: STOP in resets.calls)
    resets.take_away()
    engine.some("shop")
    engine.until(lambda: resets.stage == "refused")
    engine.settled()
    assert (resets.executed, resets.project) == ([STOP, RESUME], "RUNNING")


def test_project_that_a_killed_daemon_stopped_goes_on_though_its_task_is_gone(engines, resets, bench):
    bench.applied("other", 1)
    resets.found(Stage.STOPPING, stopped=True)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    (bench.desired / "shop").rename(bench.desired.parent / "away")
    engine = engines()
    engine.everything()
    engine.until(lambda: resets.stage == "refused")
    engine.until(lambda: "reset" not in engine.said()["shop"].reason)
    assert (resets.executed, engine.state()) == ([RESUME], "orphaned")


def test_project_that_a_killed_daemon_stopped_goes_on_though_all_tasks_are_gone(engines, resets, bench):
    resets.found(Stage.STOPPING, stopped=True)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    (bench.desired / "shop").rename(bench.desired.parent / "away")
    engine = engines()
    engine.everything()
    assert engine.passes.frozen
    engine.until(lambda: resets.stage == "refused")
    assert (resets.executed, resets.project) == ([RESUME], "RUNNING")


def unreadable(bench):
    bench.desired.rename(bench.desired.with_name("away"))


@pytest.mark.parametrize(("stage", "end"), [(Stage.STOPPING, "refused"), (Stage.ACCEPTED, "unconfirmed")])
def test_project_that_a_killed_daemon_stopped_goes_on_though_no_file_can_be_read(engines, resets, bench, stage, end):
    resets.found(stage, stopped=True, ticket=7)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    unreadable(bench)
    engine = engines()
    assert "cannot be read" in engine.everything().problem
    assert [entry.stage for entry in engine.passes.resets] == [stage]
    assert engine.said()["shop"].state == "applying"
    engine.until(lambda: resets.stage == end)
    assert (resets.executed, resets.project) == ([RESUME], "RUNNING")


def test_project_goes_on_though_neither_files_nor_a_record_tell_of_its_task(engines, resets, bench):
    resets.found(Stage.STOPPING, stopped=True)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    bench.store.forget(bench.record().address)
    unreadable(bench)
    engine = engines()
    engine.everything()
    engine.until(lambda: resets.stage == "refused")
    assert (resets.executed, resets.project) == ([RESUME], "RUNNING")


def test_reset_that_is_under_way_while_the_files_become_unreadable_is_not_sent(engine, resets, bench):
    bench.oms.set_timing(suspend_s=20.0)
    engine.everything()
    engine.until(lambda: STOP in resets.calls)
    unreadable(bench)
    engine.everything()
    engine.until(lambda: resets.stage == "refused")
    assert (resets.executed, resets.project) == ([STOP, RESUME], "RUNNING")


def test_project_goes_on_though_another_reset_of_the_same_task_waits_for_a_word(engines, resets, bench):
    resets.found(Stage.STOPPING, stopped=True)
    row = resets.entry
    key, address = replace(row.key, project="np_1", request="r0"), row.address.replace("np_0", "np_1")
    assert bench.store.move_reset(replace(row, key=key, address=address, stage=Stage.UNKNOWN, stopped=False), None)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    unreadable(bench)
    engine = engines()
    for _ in range(4):
        engine.everything()
        engine.pass_time(5.0)
    assert resets.executed == [RESUME]
    assert engine.told() == ["applying", "blocked"]


def test_defect_while_resets_are_brought_back_does_not_end_the_daemon(engine, bench, monkeypatch):
    engine.everything()
    unreadable(bench)
    monkeypatch.setattr(engine.reconciler, "begun", lambda _rules: {}["nothing"])
    assert "cannot be read" in engine.everything().problem
    assert "a defect of reconciler" in engine.of(Notice)[-1].text


def test_while_neither_files_nor_state_can_be_read_nothing_is_done(engines, resets, bench):
    resets.found(Stage.STOPPING, stopped=True)
    unreadable(bench)
    bench.store = FaultyStore(bench.store)
    engine = engines()
    bench.store.failing.add("target_trouble")
    assert engine.everything().problem
    engine.pass_time(30.0)
    assert resets.calls == []


def test_files_that_are_being_written_hold_no_reset_that_was_begun(engine, resets):
    resets.found(Stage.ACCEPTED, stopped=True)
    engine.restless.add("shop")
    engine.everything()
    engine.until(lambda: resets.stage == "unconfirmed")


def test_files_that_are_being_written_hold_one_that_was_not(engine, resets):
    engine.restless.add("shop")
    engine.everything()
    engine.pass_time(30.0)
    assert resets.calls == []


def test_ledger_is_known_to_whoever_counts(engine, resets):
    ended(engine, resets)
    engine.some("shop")
    assert [entry.stage for entry in engine.passes.resets] == [Stage.DONE]
