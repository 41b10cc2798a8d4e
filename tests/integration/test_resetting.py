"""Resets carried out: each step with each answer, interrupted anywhere, raced for; at most one is ever sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from reconciler.apply import jobs_of
from reconciler.core.arrival import as_time
from reconciler.dispatch import CAPABILITY_MISSING, STOPPED, Dispatcher
from reconciler.errors import StateStoreError
from reconciler.events import CallEnded, CallStarted, Event, Notice
from reconciler.jobs import Status
from reconciler.model import Stage, Suspension, Window
from reconciler.resetting import LOOK_AGAIN_S, MOST_TRIES, SETTLE_S, TURN_S, Resetting
from tests.integration.bench import REVERSE, SECOND, name_of
from tests.integration.engine import Engine
from tests.integration.resets import HOUR_S, PROGRESS, PROJECT, RESET, RESUME, RULES, STOP, WRITES, Resets

BEGUN = ["stopping", "sending"]
WHOLE = ["pending", *BEGUN, "accepted", "resuming", "done"]
RETURNED = ["pending", "stopping", "returning", "refused"]


@pytest.fixture
def resets(bench):
    made = Resets(bench)
    bench.said.clear()
    return made


def words(bench):
    return [text for _, text in bench.said]


def heard(resets):
    """Run once with somebody who listens; the events."""
    events: list[Event] = []
    resets.run(tell=events.append)
    return events


def on(oms, action, happens):
    """Let something happen just before the first such call is answered."""
    pending = [happens]

    def watch(request):
        if request.action == action and pending:
            pending.pop()()

    oms.watch = watch


def at_look(bench, number, happens):
    """Let something happen just before the project is looked at for that time."""
    looks = count(1)

    def watch(request):
        if request.action == PROGRESS and next(looks) == number:
            happens()

    bench.oms.watch = watch


# --- the whole ------------------------------------------------------------------------------------------------------


def test_reset_goes_through_its_stages_and_is_sent_once(bench, resets):
    result = resets.run()
    assert (result.status, resets.stages) == (Status.APPLIED, WHOLE)
    assert resets.calls == [STOP, RESET, RESUME]
    assert (resets.project, result.ticket) == ("RUNNING", resets.entry.ticket)


def test_what_is_sent_is_what_was_declared(bench, resets):
    resets.run()
    (call,) = bench.oms.calls_of(RESET)
    assert call.body == {"id": PROJECT, "reverse": False, "startTimestamp": resets.wanted}


def test_position_before_is_kept_so_that_it_can_be_undone(bench, resets):
    now = bench.oms.now
    resets.run()
    assert 0 <= now + 10 - resets.entry.position_before <= 20


def test_it_says_what_happens(bench, resets):
    resets.run()
    ticket = resets.entry.ticket
    assert words(bench)[:6] == [
        "stopping project np_0",
        "project np_0 is stopped",
        f"reset to {as_time(resets.wanted)}, attempt 1",
        f"accepted, ticket {ticket}; waiting until the position is there",
        "resuming project np_0",
        "project np_0 runs",
    ]


def test_call_is_told_to_whoever_listens(bench, resets):
    events = heard(resets)
    (started,) = (event for event in events if isinstance(event, CallStarted))
    (ended,) = (event for event in events if isinstance(event, CallEnded))
    assert (started.action, started.component, started.attempt) == ("reset", PROJECT, 1)
    assert (ended.action, ended.outcome, ended.ticket) == ("reset", "accepted", resets.entry.ticket)


def test_stop_and_resume_are_told_to_whoever_listens(bench, resets):
    texts = [event.text for event in heard(resets) if isinstance(event, Notice)]
    assert texts == [
        "shop: reset r1 of np_0: stopping project np_0",
        "shop: reset r1 of np_0: resuming project np_0",
    ]


def test_a_second_run_does_nothing(resets):
    resets.run()
    assert resets.run() is None
    assert resets.calls == [STOP, RESET, RESUME]


def test_next_request_gets_a_row_of_its_own(resets):
    resets.run()
    resets.declare(request="r2", startTimestamp=resets.wanted - HOUR_S)
    resets.approve()
    assert resets.run().status is Status.APPLIED
    ledger = resets.bench.store.resets()
    assert {key.request: entry.stage.value for key, entry in ledger.items()} == {"r1": "done", "r2": "done"}


def test_reset_comes_before_the_update_of_its_task(bench, resets):
    bench.edit("coordinator", throttleRps="30000")
    resets.approve()
    resets.run()
    order = [call.action for call in bench.oms.calls if call.action in (*WRITES, "UpdateIncrSync")]
    assert order[1:] == [STOP, RESET, RESUME, "UpdateIncrSync"]


def test_reverse_link_alone_is_moved(bench):
    resets = Resets(bench, reverse=True)
    before = bench.oms.component(name_of(0)).checkpoint
    resets.run()
    assert bench.oms.component(REVERSE).checkpoint < before - HOUR_S
    assert bench.oms.component(name_of(0)).checkpoint >= before
    assert resets.stage == "done"


def test_reset_forward_is_seen_when_the_link_has_moved_on(bench):
    resets = Resets(bench, back_s=10 * 60)
    for component in (name_of(0), SECOND):
        bench.oms.set_component(component, checkpoint=bench.oms.now - 5 * HOUR_S)
    resets.run()
    assert resets.stage == "done"


def test_reported_positions_may_be_ten_seconds_old(bench, resets):
    bench.oms.set_timing(sample_s=10.0, suspend_s=20.0, reset_s=5.0, resume_s=10.0)
    assert resets.run().status is Status.APPLIED
    assert resets.stages == WHOLE


# --- with the project running, or stopped already -------------------------------------------------------------------


def test_without_stop_the_project_goes_on_running(bench):
    resets = Resets(bench, stop=False)
    assert resets.run().status is Status.APPLIED
    assert (resets.calls, resets.stages) == ([RESET], ["pending", "sending", "accepted", "done"])


def test_project_that_somebody_else_stopped_stays_stopped(bench, resets):
    bench.oms.set_project(PROJECT, status="SUSPEND")
    assert resets.run().status is Status.APPLIED
    assert (resets.calls, resets.project) == ([RESET], "SUSPEND")
    assert not resets.entry.stopped


@pytest.mark.parametrize("status", ["RUNNING_MODIFYING", "RUNNING_MERGING", "FAILED", "FINISHED", "SOMETHING_NEW"])
def test_project_in_another_state_is_left_alone(bench, resets, status):
    bench.oms.set_project(PROJECT, status=status)
    result = resets.run()
    assert result.status is Status.BLOCKED
    assert f"{PROJECT} is {status}" in result.message
    assert (resets.calls, resets.stages) == ([], ["pending"])


def test_project_that_somebody_resumes_at_the_last_moment_is_stopped_first(bench, resets):
    bench.oms.set_project(PROJECT, status="SUSPEND")
    at_look(bench, 2, lambda: bench.oms.set_project(PROJECT, status="RUNNING"))
    assert resets.run().status is Status.APPLIED
    assert resets.calls == [STOP, RESET, RESUME]


def test_target_that_cannot_be_used_before_anything_is_begun_is_told_as_such(bench, resets):
    bench.fault("http", action=PROGRESS, status=403)
    assert [event for event in heard(resets) if isinstance(event, Notice)] == []
    assert resets.stages == ["pending"]


def test_link_that_is_not_there_is_not_reset(bench):
    resets = Resets(bench, reverse=True)
    bench.oms.remove(REVERSE)
    assert "no component of its reverse link" in resets.run().message
    assert resets.calls == []


def test_project_that_cannot_be_read_is_left_alone(bench, resets):
    bench.fault("param_error", action=PROGRESS)
    assert "cannot be read" in resets.run().message
    assert resets.stages == ["pending"]


def test_read_that_fails_for_a_moment_is_repeated(bench, resets):
    bench.fault("http", action=PROGRESS, status=429)
    assert resets.run().status is Status.APPLIED
    assert resets.stages == WHOLE


def test_position_in_another_form_is_taken_from_the_components(bench, resets):
    bench.oms.set_project(PROJECT, checkpoint_text="file-7,1024")
    resets.run()
    assert (resets.stage, resets.entry.position_before is None) == ("done", False)


# --- each call with each answer -------------------------------------------------------------------------------------

MISSES = ("temporary", "unknown-before", "unknown-after", "unclear", "no-effect")
ANSWERS = {
    "temporary": ("http", {"status": 429}),
    "unknown-before": ("close", {"effect": "before"}),
    "unknown-after": ("close", {"effect": "after"}),
    "unclear": ("inner_error", {}),
    "truncated": ("truncated", {}),
    "no-effect": ("no_effect", {}),
    "permanent": ("param_error", {}),
    "unsupported": ("unsupported_action", {}),
    "misconfigured": ("http", {"status": 403}),
}


@pytest.mark.parametrize("answer", [*MISSES, "truncated"])
@pytest.mark.parametrize("action", [STOP, RESUME])
def test_stop_and_resume_are_told_again_until_the_project_looks_like_it(bench, resets, action, answer):
    kind, more = ANSWERS[answer]
    bench.fault(kind, action=action, **more)
    assert resets.run().status is Status.APPLIED
    assert (resets.stages, resets.project) == (WHOLE, "RUNNING")
    assert resets.executed.count(RESET) == 1


@pytest.mark.parametrize("answer", ["permanent", "unsupported"])
def test_project_that_refuses_to_stop_is_not_reset(bench, resets, answer):
    kind, more = ANSWERS[answer]
    bench.fault(kind, action=STOP, **more)
    result = resets.run()
    assert (result.status, resets.stages) == (Status.FAILED, RETURNED)
    assert "would not stop" in result.message
    assert (resets.calls, resets.project) == ([STOP], "RUNNING")


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        ("temporary", "done"),
        ("unknown-before", "unknown"),
        ("unknown-after", "unknown"),
        ("unclear", "unknown"),
        ("truncated", "unknown"),
        ("permanent", "refused"),
        ("unsupported", "refused"),
        ("no-effect", "unconfirmed"),
    ],
)
def test_reset_ends_as_it_was_answered(bench, resets, answer, stage):
    kind, more = ANSWERS[answer]
    bench.fault(kind, action=RESET, **more)
    resets.run()
    resets.run()
    assert resets.stage == stage
    assert resets.executed.count(RESET) <= 1
    assert resets.project == ("SUSPEND" if stage == "unknown" else "RUNNING")


@pytest.mark.parametrize("answer", ["permanent", "unsupported"])
def test_refused_reset_of_a_running_project_ends_at_once(bench, answer):
    resets = Resets(bench, stop=False)
    kind, more = ANSWERS[answer]
    bench.fault(kind, action=RESET, **more)
    assert resets.run().status is Status.FAILED
    assert (resets.calls, resets.stages) == ([RESET], ["pending", "sending", "refused"])


def test_missing_action_keeps_nothing_else_from_the_target(bench, resets):
    bench.fault("unsupported_action", action=RESET)
    resets.run()
    assert bench.store.target_trouble() == {}


@pytest.mark.parametrize("stop", [True, False])
def test_temporary_failures_are_repeated_with_one_approval(bench, stop):
    resets = Resets(bench, stop=stop)
    bench.fault("http", action=RESET, times=2, status=429)
    assert resets.run().status is Status.APPLIED
    assert (resets.calls.count(RESET), resets.executed.count(RESET)) == (3, 1)
    assert bench.store.approvals() == {}


def test_project_does_not_wait_for_ever_for_a_server_that_is_busy(bench, resets):
    bench.fault("http", action=RESET, times=None, status=429)
    result = resets.run()
    assert (result.status, resets.stage, resets.project) == (Status.FAILED, "refused", "RUNNING")
    assert resets.calls == [STOP, *([RESET] * MOST_TRIES), RESUME]


def test_project_does_not_wait_for_a_server_that_wants_to_be_left_alone(bench, resets):
    bench.fault("http", action=RESET, status=503, retry_after=600)
    resets.run()
    assert (resets.calls, resets.stage) == ([STOP, RESET, RESUME], "refused")


def test_running_project_lets_the_next_run_try_again(bench):
    resets = Resets(bench, stop=False)
    bench.fault("http", action=RESET, status=503, retry_after=600)
    result = resets.run()
    assert (result.status, result.retry_in_s, resets.stage) == (Status.PENDING, 600, "pending")
    assert resets.run().status is Status.APPLIED


def test_unknown_outcome_is_told_loudly_and_never_sent_again(bench, resets):
    bench.fault("close", action=RESET)
    events = heard(resets)
    (alarm,) = (event for event in events if isinstance(event, Notice) and event.level == "error")
    assert "project np_0 stays stopped" in alarm.text
    assert "reset resolve shop --sent or --not-sent" in alarm.text
    assert resets.run() is None
    assert resets.calls == [STOP, RESET]


def test_running_project_of_an_unknown_outcome_is_not_said_to_be_stopped(bench):
    resets = Resets(bench, stop=False)
    bench.fault("close", action=RESET)
    result = resets.run()
    assert result.status is Status.UNKNOWN
    assert "stopped" not in result.message


@pytest.mark.parametrize("action", [STOP, RESET, RESUME])
def test_misconfigured_target_leaves_the_stage_and_says_so(bench, resets, action):
    bench.fault("http", action=action, status=403)
    events = heard(resets)
    alarms = [event.text for event in events if isinstance(event, Notice) and event.level == "error"]
    assert len(alarms) == 1
    assert "cannot go on now" in alarms[0]
    assert resets.stage == {STOP: "stopping", RESET: "stopping", RESUME: "resuming"}[action]


@pytest.mark.parametrize("action", [STOP, RESET, RESUME])
def test_reset_is_gone_on_with_when_the_target_can_be_used_again(bench, resets, action):
    bench.fault("http", action=action, status=403)
    result = resets.run()
    assert result.status is Status.PENDING
    assert "project np_0 was stopped for it" in result.message
    assert resets.run().status is Status.APPLIED
    assert (resets.executed, resets.project) == ([STOP, RESET, RESUME], "RUNNING")


@pytest.mark.parametrize("times", [1, 3])
def test_look_that_fails_in_between_changes_nothing(bench, resets, times):
    bench.fault("http", action=PROGRESS, skip=3, times=times, status=500)
    bench.fault("param_error", action=PROGRESS, skip=3, times=times)
    assert resets.run().status is Status.APPLIED
    assert resets.executed == [STOP, RESET, RESUME]


def test_refusal_of_a_project_that_stopped_just_now_does_not_matter(bench, resets):
    bench.oms.set_timing(suspend_s=21.0)
    bench.fault("param_error", action=STOP, skip=1)
    assert resets.run().status is Status.APPLIED


# --- time is up -----------------------------------------------------------------------------------------------------


def test_project_that_does_not_stop_is_told_to_go_on(bench, resets):
    bench.oms.set_timing(suspend_s=TURN_S + 10)
    result = resets.run()
    assert (result.status, resets.stage) == (Status.FAILED, "refused")
    assert "did not stop within 120 s (it is RUNNING)" in result.message
    assert (RESET in resets.calls, resets.project) == (False, "RUNNING")


def test_project_that_stops_after_that_is_resumed_all_the_same(bench, resets):
    resets.found(Stage.RETURNING, stopped=True, reason="it did not stop in time")
    survey = resets.survey()
    on(bench.oms, PROGRESS, lambda: bench.oms.set_project(PROJECT, status="SUSPEND"))
    resets.run(survey)
    assert (resets.calls, resets.project) == ([RESUME], "RUNNING")


def test_project_that_a_dead_program_told_to_stop_is_resumed_though_it_takes_a_minute_to_stop(bench, resets):
    resets.found(Stage.RETURNING, stopped=True, reason="its reset.json is gone")
    bench.oms.set_timing(suspend_s=60)
    with closing(bench.tools().open_target("default", ())) as target:
        target.stop_project(PROJECT)
    resets.run()
    assert (resets.executed, resets.project) == ([STOP, RESUME], "RUNNING")


def test_project_that_never_comes_back_keeps_its_stage_and_is_told_loudly(bench, resets):
    bench.fault("no_effect", action=RESUME, times=None)
    result = resets.run()
    assert (result.status, result.retry_in_s, resets.stage) == (Status.PENDING, LOOK_AGAIN_S, "resuming")
    assert "does not run again (it is SUSPEND)" in result.message
    bench.oms.clear_faults()
    assert resets.run().status is Status.APPLIED


def test_project_that_will_not_resume_says_why(bench, resets):
    bench.fault("unsupported_action", action=RESUME, times=None)
    assert "Unsupported action" in resets.run().message


def test_position_that_moves_only_when_the_project_runs_is_waited_for(bench, resets):
    bench.oms.set_timing(reset_s=SETTLE_S + 5)
    assert resets.run().status is Status.APPLIED
    assert resets.stages == WHOLE


def test_position_that_is_never_seen_is_unconfirmed_with_the_ticket(bench, resets):
    bench.fault("ticket_stuck", action=RESET)
    result = resets.run()
    assert (result.status, resets.stage, resets.project) == (Status.UNCONFIRMED, "unconfirmed", "RUNNING")
    assert f"look at ticket {resets.entry.ticket}" in result.message


def test_position_that_is_never_seen_while_it_runs_is_unconfirmed(bench):
    resets = Resets(bench, stop=False)
    bench.fault("ticket_failed", action=RESET)
    assert resets.run().status is Status.UNCONFIRMED


def test_position_that_cannot_be_read_is_unconfirmed(bench, resets):
    bench.oms.set_project(PROJECT, checkpoint_text="file-7,1024")
    bench.fault("param_error", action="DescribeProjectComponents", skip=1, times=None)
    result = resets.run()
    assert result.status is Status.UNCONFIRMED
    assert "seen at an unknown position" in result.message


@pytest.mark.parametrize("stage", [Stage.RETURNING, Stage.RESUMING])
def test_project_that_is_released_meanwhile_is_not_waited_for(bench, resets, stage):
    resets.found(stage, stopped=True, ticket=7)
    bench.oms.set_project(PROJECT, status="RELEASED")
    resets.run()
    assert resets.calls == []
    assert resets.stage == {Stage.RETURNING: "refused", Stage.RESUMING: "unconfirmed"}[stage]


# --- what may change until it is sent -------------------------------------------------------------------------------


def suspend(resets):
    resets.bench.store.suspend("shop", Suspension("not now", None))


def disapprove(resets):
    assert resets.bench.store.disapprove(resets.item().content_id, "no")


def other_reset(resets):
    entry = resets.entry
    key = replace(entry.key, request="r0", reverse=True)
    other = replace(entry, key=key, digest="d", content_id="c", stage=Stage.UNKNOWN)
    assert resets.bench.store.move_reset(other, None)


def expire(resets):
    resets.bench.clock.sleep(25 * HOUR_S)


CHANGES: dict[str, tuple[Callable[[Resets], None], str]] = {
    "suspended": (suspend, "not now"),
    "disapproved": (disapprove, "approval"),
    "approval expired": (expire, "approval"),
    "another reset": (other_reset, "reset r0 of the same project is unknown"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_reset_that_is_not_meant_any_more_is_not_begun(resets, change):
    survey = resets.survey()
    happens, reason = CHANGES[change]
    happens(resets)
    result = resets.run(survey)
    assert result.status is Status.BLOCKED
    assert reason in result.message
    assert resets.calls == []


@pytest.mark.parametrize("change", CHANGES)
def test_project_of_a_reset_that_is_not_meant_any_more_goes_on(bench, resets, change):
    happens, reason = CHANGES[change]
    on(bench.oms, STOP, lambda: happens(resets))
    result = resets.run()
    assert (result.status, resets.calls) == (Status.FAILED, [STOP, RESUME])
    assert reason in result.message
    assert resets.project == "RUNNING"


def test_last_look_is_just_before_the_call(bench, resets):
    bench.oms.set_timing(suspend_s=0.0)
    at_look(bench, 3, lambda: suspend(resets))
    resets.run()
    assert resets.calls == [STOP, RESUME]


def test_last_look_is_just_before_the_call_of_a_project_that_was_stopped_before(bench, resets):
    bench.oms.set_project(PROJECT, status="SUSPEND")
    at_look(bench, 2, lambda: suspend(resets))
    assert resets.run().status is Status.BLOCKED
    assert (resets.calls, resets.stages) == ([], ["pending"])


def test_last_look_comes_after_whatever_is_read_for_the_record(bench, resets):
    bench.oms.set_timing(suspend_s=0.0)
    bench.oms.set_project(PROJECT, checkpoint_text="file-7,1024")

    def watch(request):
        if request.action == "DescribeProjectComponents" and resets.stages[-1] == "stopping":
            suspend(resets)

    bench.oms.watch = watch
    resets.run()
    assert resets.calls == [STOP, RESUME]


def test_approval_that_is_taken_back_while_the_call_is_on_its_way_lets_nothing_be_repeated(bench, resets):
    bench.fault("http", action=RESET, status=429)
    on(bench.oms, RESET, lambda: bench.store.disapprove(resets.entry.content_id, "no"))
    resets.run()
    assert (resets.calls, resets.stage) == ([STOP, RESET, RESUME], "refused")


def test_approval_is_worth_one_stop_of_the_project(bench, resets):
    bench.fault("param_error", action=STOP)
    resets.run()
    assert (resets.stage, dict(bench.store.approvals())) == ("refused", {})


def test_reset_whose_time_ran_out_is_not_sent(bench):
    end = bench.clock.now() + timedelta(hours=1)
    resets = Resets(bench, expires=end.isoformat(timespec="seconds"))
    survey = resets.survey()
    bench.clock.sleep(HOUR_S)
    assert "it has expired" in resets.run(survey).message
    assert resets.calls == []


def test_moment_that_is_too_old_by_now_is_not_sent(bench):
    resets = Resets(bench, back_s=168 * HOUR_S - 60)
    survey = resets.survey()
    bench.clock.sleep(120)
    assert "too old" in resets.run(survey).message
    assert resets.calls == []


NEVER = (Window("never", allows=False, cron="* * * * *", duration_s=3600, zone="UTC"),)


def test_window_that_closed_meanwhile_holds_it(bench, resets):
    assert resets.run(windows=NEVER).status is Status.BLOCKED
    assert resets.calls == []


def test_window_that_closes_while_the_project_stops_holds_nothing(bench, resets):
    resets.found(Stage.STOPPING, stopped=True)
    assert resets.run(windows=NEVER).status is Status.APPLIED


def test_forced_window_holds_nothing(bench, resets):
    survey = resets.survey()
    plan = replace(survey.plan, items=tuple(replace(item, forced=("window",)) for item in survey.plan.items))
    assert resets.run(replace(survey, plan=plan), windows=NEVER).status is Status.APPLIED


def test_declaration_that_is_taken_away_while_it_stops_brings_the_project_back(bench, resets):
    resets.found(Stage.STOPPING, stopped=True)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    resets.take_away()
    assert "it is not asked for any more: its reset.json is gone" in resets.run().message
    assert (resets.calls, resets.project, resets.stage) == ([RESUME], "RUNNING", "refused")


def test_update_planned_before_waits_for_a_reset_under_way(bench, resets):
    bench.edit("coordinator", throttleRps="30000")
    survey = resets.survey()
    (update,) = (job for job in jobs_of(survey) if job.work.reset is None)
    resets.found(Stage.UNKNOWN, stopped=True)
    work = {update.item.id: update.work}
    bench.look_away()
    result = resets.run(replace(survey, work=work))
    assert (result.status, bench.sent) == (Status.BLOCKED, [])
    assert "reset resolve shop" in result.message


# --- found after the program died -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["RUNNING", "SUSPEND"])
def test_stop_that_was_begun_is_gone_on_with(bench, resets, status):
    resets.found(Stage.STOPPING, stopped=True)
    bench.oms.set_project(PROJECT, status=status)
    assert resets.run().status is Status.APPLIED
    assert resets.calls == [*([STOP] if status == "RUNNING" else []), RESET, RESUME]


@pytest.mark.parametrize("status", ["RUNNING", "SUSPEND"])
def test_stop_that_was_begun_is_taken_back_when_the_approval_is_used_up(bench, resets, status):
    resets.found(Stage.STOPPING, stopped=True)
    disapprove(resets)
    bench.oms.set_project(PROJECT, status=status)
    assert resets.run().status is Status.FAILED
    assert (resets.calls, resets.stage) == ([RESUME] if status == "SUSPEND" else [], "refused")
    assert resets.project == "RUNNING"


@pytest.mark.parametrize("stopped", [True, False])
def test_reset_found_on_its_way_is_unknown_and_not_sent(bench, resets, stopped):
    resets.found(Stage.SENDING, stopped=stopped)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    assert resets.run().status is Status.UNKNOWN
    assert resets.run() is None
    assert (resets.calls, resets.stage, resets.project) == ([], "unknown", "SUSPEND")


@pytest.mark.parametrize("moved", [True, False])
def test_accepted_reset_is_brought_to_its_end(bench, resets, moved):
    bench.oms.set_project(PROJECT, status="SUSPEND")
    before = int(bench.oms.now)
    resets.found(Stage.ACCEPTED, stopped=True, ticket=7, position_before=before)
    for name in (name_of(0), SECOND) if moved else ():
        bench.oms.set_component(name, status="STOPPED", checkpoint=resets.wanted)
    result = resets.run()
    assert result.status is (Status.APPLIED if moved else Status.UNCONFIRMED)
    assert (result.ticket, resets.calls, resets.project) == (7, [RESUME], "RUNNING")


def test_accepted_reset_of_a_project_that_others_stopped_resumes_nothing(bench, resets):
    bench.oms.set_project(PROJECT, status="SUSPEND")
    resets.found(Stage.ACCEPTED, stopped=False, ticket=7)
    assert resets.run().status is Status.UNCONFIRMED
    assert resets.calls == []


@pytest.mark.parametrize("status", ["RUNNING", "SUSPEND"])
def test_resuming_is_gone_on_with(bench, resets, status):
    resets.found(Stage.RESUMING, stopped=True, ticket=7, reason="seen at 2027-01-15 06:00:05Z")
    bench.oms.set_project(PROJECT, status=status)
    assert resets.run().status is Status.APPLIED
    assert resets.calls == ([RESUME] if status == "SUSPEND" else [])
    assert resets.entry.reason == "seen at 2027-01-15 06:00:05Z"


@pytest.mark.parametrize("status", ["RUNNING", "SUSPEND"])
def test_returning_is_gone_on_with(bench, resets, status):
    resets.found(Stage.RETURNING, stopped=True, reason="refused by the server")
    bench.oms.set_project(PROJECT, status=status)
    assert "refused by the server" in resets.run().message
    assert (resets.calls, resets.stage) == ([RESUME] if status == "SUSPEND" else [], "refused")


# --- the store ------------------------------------------------------------------------------------------------------


class Refusing:
    """A store that does not take the move to some stages for a while."""

    def __init__(self, store, stage, times):
        self._store, self._stage, self.left = store, stage, times

    def __getattr__(self, name):
        return getattr(self._store, name)

    def move_reset(self, entry, expected):
        if entry.stage is self._stage and self.left:
            self.left -= 1
            raise StateStoreError("the disk is full")
        return self._store.move_reset(entry, expected)


@pytest.mark.parametrize("stage", [Stage.STOPPING, Stage.SENDING])
def test_nothing_is_called_when_it_cannot_be_written_down_before(bench, resets, stage):
    with pytest.raises(StateStoreError):
        resets.run(store=Refusing(bench.store, stage, 1))
    assert resets.calls == ([STOP] if stage is Stage.SENDING else [])


def test_project_that_stays_stopped_because_of_the_store_is_named(bench, resets):
    with pytest.raises(StateStoreError):
        resets.run(store=Refusing(bench.store, Stage.SENDING, 1))
    assert words(bench)[-1] == (
        "reset r1 is at stage stopping, project np_0 was stopped for it; it is gone on with later: the disk is full"
    )


def test_answer_that_cannot_be_written_down_at_once_is_written_later(bench, resets):
    assert resets.run(store=Refusing(bench.store, Stage.ACCEPTED, 3)).status is Status.APPLIED
    assert resets.calls == [STOP, RESET, RESUME]


def test_answer_that_can_never_be_written_down_is_unknown_to_the_next_run(bench, resets):
    with pytest.raises(StateStoreError):
        resets.run(store=Refusing(bench.store, Stage.ACCEPTED, 10_000))
    assert resets.stage == "sending"
    assert resets.run().status is Status.UNKNOWN
    assert resets.calls == [STOP, RESET]


@pytest.mark.parametrize("stage", ["stopping", "sending", "accepted", "resuming", "done"])
def test_whoever_finds_another_stage_than_it_wrote_calls_nothing_further(bench, resets, stage):
    """Somebody else moves the row away just before each move."""
    store = bench.store

    class Overtaken(Refusing):
        def move_reset(self, entry, expected):
            if entry.stage.value == stage:
                row = store.reset(entry.key)
                store.move_reset(replace(row, stage=Stage.UNKNOWN), row.stage)
            return store.move_reset(entry, expected)

    before = {"stopping": 0, "sending": 1, "accepted": 2, "resuming": 2, "done": 3}[stage]
    result = resets.run(store=Overtaken(store, None, 0))
    assert "somebody else goes on with reset r1" in result.message
    assert (len(resets.calls), resets.stage) == (before, "unknown")


def test_plan_made_before_somebody_else_began_does_nothing(bench, resets):
    survey = resets.survey()
    resets.run()
    result = resets.run(survey)
    assert (result.status, resets.executed.count(RESET)) == (Status.PENDING, 1)
    assert "changed meanwhile" in result.message


# --- two at once ----------------------------------------------------------------------------------------------------


def test_two_that_race_for_one_reset_send_one(bench, resets):
    survey = resets.survey()
    stores = [bench.open_store() for _ in range(2)]
    tools = [replace(bench.tools(), store=store) for store in stores]
    ends: list[object] = []

    def race(mine):
        dispatcher = Dispatcher("default", mine, lambda _job, result: ends.append(result), 30.0)
        for job in jobs_of(survey):
            dispatcher.submit(job)
        dispatcher.wait()
        dispatcher.end(settle=True)

    threads = [threading.Thread(target=race, args=(mine,)) for mine in tools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for store in stores:
        store.close()
    assert (len(ends), resets.calls.count(RESET)) == (2, 1)


def test_request_that_two_tasks_declare_is_carried_out_once(bench, resets):
    bench.applied("copy", 0, task={"key": SECOND})
    resets.declare("copy")
    resets.approve("copy")
    survey = resets.survey()
    results = bench.carry_out(survey)
    assert sorted(result.status.value for result in results.values()) == ["applied", "pending"]
    assert resets.executed.count(RESET) == 1


def test_other_work_of_the_project_waits_until_it_is_over(bench, resets):
    bench.applied("copy", 0, task={"key": SECOND})
    bench.edit("coordinator", "copy", throttleRps="30000")
    bench.concurrent["default"] = 8
    bench.carry_out(resets.survey())
    order = [call.action for call in bench.oms.calls if call.action in (*WRITES, "UpdateIncrSync")]
    assert sorted(order[2:]) == sorted([STOP, RESET, RESUME, "UpdateIncrSync"])
    assert order[2:] in ([STOP, RESET, RESUME, "UpdateIncrSync"], ["UpdateIncrSync", STOP, RESET, RESUME])


# --- interrupted runs -----------------------------------------------------------------------------------------------


@pytest.fixture
def dispatcher(bench) -> Iterator[tuple[Dispatcher, list[object]]]:
    ends: list[object] = []
    made = Dispatcher("default", bench.tools(), lambda _job, result: ends.append(result), 0.0)
    yield made, ends
    made.end(settle=False)


def begun(bench, resets, dispatcher, *, at):
    """The job of a reset, a thread of which waits at a call."""
    reached, go_on = threading.Event(), threading.Event()

    def stand_still():
        reached.set()
        assert go_on.wait(20)

    on(bench.oms, at, stand_still)
    (job,) = jobs_of(resets.survey())
    dispatcher[0].submit(job)
    assert reached.wait(20)
    return job, go_on


def test_reset_that_is_withdrawn_before_it_is_sent_keeps_its_stage(bench, resets, dispatcher):
    _, go_on = begun(bench, resets, dispatcher, at=STOP)
    assert not dispatcher[0].withdraw("shop")
    go_on.set()
    dispatcher[0].wait()
    (result,) = dispatcher[1]
    assert (result.status, resets.stage, resets.calls) == (Status.PENDING, "stopping", [STOP])
    assert "at stage stopping, project np_0 was stopped for it" in result.message


def test_reset_that_was_sent_goes_on_when_it_is_withdrawn(bench, resets, dispatcher):
    _, go_on = begun(bench, resets, dispatcher, at=RESET)
    dispatcher[0].withdraw("shop")
    go_on.set()
    dispatcher[0].wait()
    assert (dispatcher[1][0].status, resets.stage) == (Status.APPLIED, "done")


def test_reset_that_was_begun_goes_on_although_nothing_else_is(bench, resets, dispatcher):
    _, go_on = begun(bench, resets, dispatcher, at=STOP)
    dispatcher[0].refuse("too many components did not come back")
    go_on.set()
    dispatcher[0].wait()
    assert (dispatcher[1][0].status, resets.stage) == (Status.APPLIED, "done")


def test_reset_that_was_not_begun_does_not_begin_any_more(bench, resets, dispatcher):
    dispatcher[0].refuse("the daemon stops")
    (job,) = jobs_of(resets.survey())
    dispatcher[0].submit(job)
    assert (dispatcher[1][0].status, resets.calls) == (Status.PENDING, [])


def test_reset_withdrawn_in_hand_before_its_first_call_does_not_begin(bench, resets, dispatcher):
    _, go_on = begun(bench, resets, dispatcher, at=PROGRESS)
    dispatcher[0].withdraw("shop")
    go_on.set()
    dispatcher[0].wait()
    assert (dispatcher[1][0].status, resets.calls, resets.stages) == (Status.PENDING, [], ["pending"])


@pytest.mark.parametrize(("at", "stage"), [(STOP, "stopping"), (RESET, "accepted")])
def test_run_that_ends_leaves_the_stage_to_the_next(bench, resets, dispatcher, at, stage):
    _, go_on = begun(bench, resets, dispatcher, at=at)
    ending = threading.Thread(target=dispatcher[0].end, kwargs={"settle": True})
    ending.start()
    go_on.set()
    ending.join(20)
    (result,) = dispatcher[1]
    assert (result.status, resets.stage) == (Status.PENDING, stage)
    assert f"at stage {stage}" in result.message
    assert resets.run().status is Status.APPLIED
    assert resets.executed.count(RESET) == 1


def test_component_under_way_keeps_its_lane_while_it_waits(bench, resets, dispatcher):
    job, go_on = begun(bench, resets, dispatcher, at=STOP)
    assert job.under_way
    assert dispatcher[0].counts()[1] == 1
    go_on.set()


# --- in the daemon --------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(bench, resets):
    made = Engine(bench, **RULES)
    yield made
    made.end()


def test_daemon_carries_a_reset_out(engine, resets):
    engine.everything()
    engine.until(lambda: resets.stage == "done")
    engine.settled("shop")
    assert resets.calls == [STOP, RESET, RESUME]


def test_edit_that_comes_meanwhile_waits_for_the_reset(bench, engine, resets):
    on(bench.oms, STOP, lambda: bench.edit("coordinator", throttleRps="30000"))
    engine.everything()
    engine.until(lambda: resets.stage == "accepted")
    engine.some("shop")
    assert bench.sent == []
    engine.until(lambda: bench.sent)
    assert (resets.stage, resets.calls) == ("done", [STOP, RESET, RESUME])


@pytest.mark.parametrize("stage", ["stopping", "accepted", "resuming"])
def test_other_configuration_does_not_lose_a_reset_under_way(bench, engine, resets, stage):
    bench.oms.set_timing(suspend_s=5.0, reset_s=5.0, resume_s=5.0)
    engine.everything()
    engine.until(lambda: resets.stage == stage, 0.2)
    engine.renew({"default"})
    engine.everything()
    engine.until(lambda: resets.stage == "done")
    assert (resets.calls.count(RESET), resets.project) == (1, "RUNNING")


@pytest.mark.parametrize("action", [STOP, RESET, RESUME])
def test_daemon_goes_on_by_itself_when_the_target_can_be_used_again(bench, engine, resets, action):
    bench.fault("http", action=action, status=403)
    engine.everything()
    engine.until(lambda: resets.stage == "done")
    assert resets.executed == [STOP, RESET, RESUME]


def test_daemon_tries_again_what_did_not_come_back(bench, engine, resets):
    bench.fault("no_effect", action=RESUME, times=3)
    engine.everything()
    engine.until(lambda: resets.stage == "done")
    assert len(engine.of(Notice)) >= 1
    assert resets.project == "RUNNING"


def test_reset_json_that_is_deleted_while_the_project_stops_brings_it_back(bench, engine, resets):
    bench.oms.set_timing(suspend_s=20.0)
    engine.everything()
    engine.until(lambda: resets.stage == "stopping", 0.2)
    resets.take_away()
    engine.some("shop")
    engine.until(lambda: resets.stage == "refused")
    assert (RESET in resets.calls, resets.project) == (False, "RUNNING")


@pytest.mark.parametrize("stop", [True, False])
def test_daemon_that_ends_says_loudly_which_project_it_leaves_stopped(bench, stop):
    bench.oms.set_timing(suspend_s=20.0, reset_s=20.0)
    resets = Resets(bench, stop=stop)
    engine = Engine(bench, **RULES)
    engine.everything()
    engine.until(lambda: resets.entry.stage.is_under_way, 0.2)
    engine.end()
    text = "shop: reset r1 is at stage stopping, project np_0 was stopped for it; it is gone on with later: the daemon stops"
    assert [notice.text for notice in engine.of(Notice) if notice.level == "error"] == [text] * stop


@pytest.mark.parametrize("kind", [STOPPED, CAPABILITY_MISSING])
@pytest.mark.parametrize(
    ("stage", "end"), [("stopping", "refused"), ("returning", "refused"), ("accepted", "unconfirmed")]
)
def test_project_is_brought_back_though_nothing_more_is_sent_to_its_target(bench, resets, stage, end, kind):
    resets.found(Stage(stage), stopped=True)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    bench.store.set_target_trouble("default", kind, "3 components did not come back")
    engine = Engine(bench, **RULES)
    engine.targets.suspect(bench.store.target_trouble())
    engine.everything()
    engine.until(lambda: resets.stage == end)
    engine.end()
    assert (resets.calls, resets.project) == ([RESUME], "RUNNING")


def test_capability_that_turns_out_to_be_missing_leaves_no_project_stopped(bench, resets, dispatcher):
    resets.found(Stage.RETURNING, stopped=True)
    bench.oms.set_project(PROJECT, status="SUSPEND")
    bench.put("late", 1)
    bench.fault("unsupported_action")
    reset, update = sorted(jobs_of(resets.survey()), key=lambda job: job.work.reset is None)
    for job in (update, reset):
        dispatcher[0].submit(job)
        dispatcher[0].wait()
    assert bench.store.target_trouble()["default"][0] == CAPABILITY_MISSING
    assert (resets.calls, resets.stage) == ([RESUME], "refused")


def expire_by_edit(bench, resets):
    past = bench.clock.now() - timedelta(hours=1)
    resets.declare(expires=past.isoformat(timespec="seconds"))


def suspend_by_edit(bench, _resets):
    bench.edit("task", suspend={"reason": "an incident"})


@pytest.mark.parametrize(
    ("edit", "why"),
    [(expire_by_edit, "it has expired"), (suspend_by_edit, "an incident")],
    ids=["expired", "suspended"],
)
def test_edit_that_takes_it_back_while_the_project_stops_brings_it_back(bench, engine, resets, edit, why):
    bench.oms.set_timing(suspend_s=20.0)
    engine.everything()
    engine.until(lambda: resets.stage == "stopping", 0.2)
    edit(bench, resets)
    engine.some("shop")
    engine.until(lambda: resets.stage in ("refused", "done"))
    assert (RESET in resets.calls, resets.project) == (False, "RUNNING")
    assert why in resets.entry.reason


@pytest.mark.parametrize("stage", [stage.value for stage in Stage if stage.is_under_way and stage is not Stage.SENDING])
def test_next_daemon_goes_on_where_the_last_one_ended(bench, resets, stage):
    bench.oms.set_timing(suspend_s=5.0, reset_s=5.0, resume_s=5.0)
    if stage == "returning":
        bench.fault("param_error", action=RESET)
    for _ in range(2):
        engine = Engine(bench, **RULES)
        engine.everything()
        engine.until(lambda: resets.stage in (stage, "done", "refused"), 0.2)
        engine.end()
    engine = Engine(bench, **RULES)
    engine.everything()
    engine.until(lambda: resets.stage in ("done", "refused"))
    engine.end()
    assert resets.executed.count(RESET) == (stage != "returning")
    assert resets.project == "RUNNING"


def test_job_without_an_order_is_none_of_a_reset(bench, resets):
    (job,) = jobs_of(resets.survey())
    with pytest.raises(ValueError, match="expected a job with a reset"):
        Resetting(replace(job, work=replace(job.work, reset=None)), None, bench.tools())
