"""Resets as a look at the files finds them: declared, under way, over, or of tasks that are gone."""

import shutil
from dataclasses import replace

import pytest

from reconciler.core.fleet import exit_code, summary
from reconciler.core.policy import NewTasks, Policy
from reconciler.model import Action, Stage
from reconciler.outlook import with_outlook
from tests.integration.bench import SECOND
from tests.integration.resets import HOUR_S, PROGRESS, PROJECT, RULES, Resets
from tests.integration.test_look import remembering


@pytest.fixture
def resets(bench):
    return Resets(bench)


def items(resets, **more):
    """`[(task, intended action, action, rail)]`."""
    found = resets.bench.survey(**{**RULES, **more}).plan.items
    return [(item.task, item.intended.value, item.action.value, item.rail) for item in found]


RESET_GOES = ("shop", "reset", "reset", "")
NOTHING = ("shop", "noop", "noop", "")


def under_way(resets, stage=Stage.STOPPING, **fields):
    resets.found(stage, stopped=True, **fields)
    return resets


# --- what is looked at ---------------------------------------------------------------------------------------------


def test_approved_reset_stands_beside_the_task_itself(resets):
    assert items(resets) == [NOTHING, RESET_GOES]


def test_work_of_a_reset_has_its_order(resets):
    survey = resets.survey()
    (item,) = survey.plan.to_send
    order = survey.work[item.id].reset
    assert (order.entry.key.request, order.known, order.declared) == ("r1", Stage.PENDING, True)


def test_secret_that_is_missing_holds_the_reset_too(resets):
    del resets.bench.environment["SINK"]
    assert [(action, rail) for _, _, action, rail in items(resets)] == [("blocked", "secret")] * 2


def test_secret_that_is_missing_holds_no_reset_that_was_begun(resets):
    under_way(resets)
    del resets.bench.environment["SINK"]
    survey = resets.survey()
    (item,) = survey.plan.to_send
    work = survey.work[item.id]
    assert (work.reset.declared, work.desired.secret_values, work.desired.task.address.id) == (
        True,
        frozenset(),
        item.address,
    )


def test_edits_of_the_project_wait_for_a_reset_under_way(resets):
    under_way(resets)
    resets.bench.edit("sink", workerNum="17")
    assert items(resets) == [RESET_GOES, ("shop", "update", "blocked", "reset")]


def test_edits_do_not_wait_for_a_reset_that_is_only_asked_for(resets):
    resets.bench.edit("sink", workerNum="17")
    assert items(resets) == [RESET_GOES, ("shop", "update", "update", "")]


def test_edits_of_another_task_of_the_project_wait_too(resets):
    resets.bench.applied("second", 0, task={"key": SECOND})
    under_way(resets, Stage.UNKNOWN)
    resets.bench.edit("sink", "second", workerNum="17")
    waiting = next(item for item in resets.survey().plan.items if item.task == "second")
    command = "reconciler reset resolve shop --sent or --not-sent, --reason TEXT"
    reason = f"waits until somebody says how reset r1 of np_0 ended: {command}"
    assert (waiting.rail, waiting.reason) == ("reset", reason)


def test_two_resets_of_one_project_go_one_after_another(resets):
    resets.bench.applied("second", 0, task={"key": SECOND})
    under_way(resets)
    resets.declare("second", request="r2")
    resets.decide(task="second")
    assert ("second", "reset", "blocked", "reset") in items(resets)


def test_task_that_expires_is_to_be_looked_at_then(resets):
    resets.declare(expires="2099-01-01T00:00:00Z")
    assert str(resets.survey().expiries["shop"]) == "2099-01-01 00:00:00+00:00"
    resets.run()
    assert resets.survey().expiries == {}


# --- declarations that went ----------------------------------------------------------------------------------------


def orders(resets):
    """`{task: whether it is still declared}` of the resets that would be gone on with."""
    survey = resets.survey()
    found = {item.task: survey.work[item.id].reset for item in survey.plan.items if item.action is Action.RESET}
    return {task: order.declared for task, order in found.items()}


def lose_directory(resets, task="shop"):
    shutil.rmtree(resets.bench.desired / task)


def break_file(resets):
    (resets.bench.desired / "shop" / "sink.json").write_text("{")


def share_address(resets):
    resets.bench.put("twin")


def move_address(resets):
    resets.take_away()
    resets.bench.edit("task", key=SECOND)


LOSSES = [
    pytest.param(Resets.take_away, id="reset.json gone"),
    pytest.param(lambda resets: resets.declare(stop=False), id="reset.json changed"),
    pytest.param(lambda resets: resets.declare(request="r2"), id="another request"),
    pytest.param(lose_directory, id="directory gone"),
    pytest.param(break_file, id="files wrong"),
    pytest.param(share_address, id="address shared"),
    pytest.param(move_address, id="another address"),
]


@pytest.mark.parametrize("lose", LOSSES)
def test_reset_that_was_begun_and_is_not_declared_any_more_is_ended(resets, lose):
    resets.bench.applied("other", 1)  # else nothing is found at all
    under_way(resets)
    lose(resets)
    assert orders(resets) == {"shop": False}
    resets.bench.oms.set_project(PROJECT, status="SUSPEND")
    resets.run()
    assert (resets.stage, resets.project, resets.executed) == ("refused", "RUNNING", ["ResumeProject"])


def test_reset_that_was_begun_follows_a_renamed_directory(resets):
    under_way(resets)
    (resets.bench.desired / "shop").rename(resets.bench.desired / "store")
    assert orders(resets) == {"store": True}


def test_unknown_outcome_is_shown_though_its_directory_is_gone(resets):
    under_way(resets, Stage.UNKNOWN)
    lose_directory(resets)
    assert ("shop", "reset", "blocked", "reset") in items(resets)
    assert not resets.survey().plan.to_send


def test_reset_of_a_gone_task_is_shown_only_to_who_asks_for_it(resets):
    resets.bench.applied("other", 1)
    under_way(resets)
    lose_directory(resets)
    assert not resets.bench.survey("other", **RULES).plan.to_send
    assert resets.bench.survey("shop", **RULES).plan.to_send


def lose_everything(resets):
    resets.bench.desired.rename(resets.bench.desired.with_name("away"))
    resets.bench.desired.mkdir()


def test_freeze_holds_a_reset_that_was_not_begun(resets):
    for number in range(1, 7):
        resets.bench.put(f"other{number}", number)
    resets.bench.apply()
    for number in range(1, 7):
        lose_directory(resets, f"other{number}")
    assert ("shop", "reset", "blocked", "vanished") in items(resets)


def test_freeze_sends_nothing_of_a_reset_that_is_still_declared(resets):
    for number in range(1, 7):
        resets.bench.put(f"other{number}", number)
    resets.bench.apply()
    under_way(resets)
    for number in range(1, 7):
        lose_directory(resets, f"other{number}")
    assert orders(resets) == {"shop": False}
    assert "nothing further is sent" in resets.item().reason
    resets.bench.oms.set_project(PROJECT, status="SUSPEND")
    resets.run()
    assert (resets.stage, resets.project, resets.executed) == ("refused", "RUNNING", ["ResumeProject"])


def test_freeze_leaves_no_project_stopped(resets):
    under_way(resets)
    lose_everything(resets)
    assert {item[2:] for item in items(resets)} == {("orphaned", ""), ("reset", "")}
    resets.bench.oms.set_project(PROJECT, status="SUSPEND")
    resets.run()
    assert (resets.stage, resets.project, resets.executed) == ("refused", "RUNNING", ["ResumeProject"])


# --- one that is over costs nothing --------------------------------------------------------------------------------


@pytest.fixture
def looks(resets):
    """Plans of three surveys by one reconciler, and which tasks were read for them."""

    def three():
        looker, source = remembering(resets.bench)
        plans = [looker.survey(Policy(new_tasks=NewTasks.APPLY, **RULES)).plan for _ in range(3)]
        return plans, source.read

    return three


def test_finished_reset_does_not_cost_reading_its_task_each_time(resets, looks):
    resets.run()
    (first, *others), read = looks()
    assert (others, read) == ([first, first], ["shop"])


def test_reset_that_is_not_over_is_read_each_time(looks):
    assert len(looks()[1]) >= 3


def test_finished_reset_is_no_task_of_its_own(resets):
    resets.run()
    plan = resets.survey().plan
    assert (summary(plan)["noop"], summary(plan)["tasks"], exit_code(plan)) == (1, 1, 0)
    assert [item.outlook is not None for item in plan.items if item.action is Action.NOOP] == [False, True]


def test_plan_id_is_that_of_a_plan_without_the_finished_reset(resets):
    resets.run()
    before = resets.survey().plan.id
    resets.take_away()
    assert resets.survey().plan.id == before


# --- how far ---------------------------------------------------------------------------------------------------------


def looked_up(resets, survey=None):
    plan = (survey or resets.survey()).plan
    found = with_outlook(plan.items, resets.bench.tools().open_target)
    assert [item.id for item in found] == [item.id for item in plan.items]
    return next(item for item in found if item.intended is Action.RESET)


def test_distance_is_read_from_the_server(resets):
    item = looked_up(resets)
    assert abs(item.outlook.shift_s + 2 * HOUR_S) < 60
    assert item.outlook.rows > 0
    assert item.remarks[-1].startswith("back by 1")


def test_look_that_keeps_no_work_sees_a_freeze_beside_a_reset_that_was_begun(resets):
    for number in range(1, 7):
        resets.bench.put(f"other{number}", number)
    resets.bench.apply()
    under_way(resets)
    for number in range(1, 7):
        lose_directory(resets, f"other{number}")
    survey = resets.bench.reconciler().survey(Policy(**RULES), most=0)  # as `status` and `approve` look
    assert (survey.plan.frozen, survey.work) == (True, {})
    item = next(item for item in survey.plan.items if item.intended is Action.RESET)
    assert "nothing further is sent" in item.reason


def test_position_before_is_that_of_the_ledger(resets):
    under_way(resets, Stage.UNKNOWN)
    survey = resets.survey()
    (entry,) = survey.resets.values()
    before = 1_700_000_000
    ledger = {entry.key: replace(entry, position_before=before)}
    found = with_outlook(survey.plan.items, resets.bench.tools().open_target, (), ledger)
    item = next(item for item in found if item.intended is Action.RESET)
    assert item.outlook.position_before == before
    assert "look at its ticket" in item.remarks[-1]


def test_server_is_not_asked_where_there_is_no_reset(resets):
    resets.take_away()
    resets.bench.opened.clear()
    items = resets.survey().plan.items
    assert with_outlook(items, resets.bench.tools().open_target) == items
    assert resets.bench.opened == []


def test_server_is_not_asked_about_one_under_way_or_over(resets):
    under_way(resets, Stage.ACCEPTED)
    assert looked_up(resets).outlook.position is None


def test_server_that_does_not_answer_costs_a_remark_and_one_question(resets):
    resets.bench.applied("second", 0, task={"key": SECOND})
    resets.declare("second", request="r2")
    resets.bench.set_target(url="http://127.0.0.1:9")
    found = with_outlook(resets.survey().plan.items, resets.bench.tools().open_target)
    told = [item.remarks[-1] for item in found if item.intended is Action.RESET]
    assert len(told) == 2
    assert all(text.startswith("the distance is not known: target default") for text in told)


def test_project_that_is_not_there_says_nothing_of_others(resets):
    resets.bench.applied("second", 0, task={"key": SECOND})
    resets.declare("second", request="r2")
    resets.bench.fault("no_such_project", action=PROGRESS, project=PROJECT, times=1)
    found = with_outlook(resets.survey().plan.items, resets.bench.tools().open_target)
    problems = [item.outlook.problem != "" for item in found if item.intended is Action.RESET]
    assert sorted(problems) == [False, True]


def test_wrong_request_is_not_looked_up(resets):
    resets.run()
    resets.declare(stop=False)
    item = looked_up(resets)
    assert (item.action, item.outlook.position) == (Action.INVALID, None)


def test_distance_is_in_no_id(resets):
    first = looked_up(resets)
    assert replace(first, outlook=None, remarks=()) == replace(resets.item(), outlook=None, remarks=())


def test_server_that_quotes_a_secret_is_not_quoted(resets):
    bench, survey = resets.bench, resets.survey()
    bench.fault("error", action=PROGRESS, times=1, code="X", message=f"cannot log in with {bench.environment['SINK']}")
    items = with_outlook(survey.plan.items, bench.tools().open_target, survey.hidden)
    (told,) = (item.outlook.problem for item in items if item.intended is Action.RESET)
    assert "cannot log in with" in told
    assert bench.environment["SINK"] not in told


# --- a request that another store may have sent ---------------------------------------------------------------------


def late(resets, **rules):
    """The reset of a task that came when the ledger was in use already."""
    items = resets.bench.survey(**RULES, **rules).plan.items
    return next(item for item in items if item.task == "late" and item.intended is Action.RESET)


@pytest.fixture
def newcomer(resets):
    """Resets of which one was carried out, and a new task that declares another."""
    resets.run()
    resets.bench.put("late", 1)
    resets.bench.write("reset", "late", {"request": "x", "id": "np_1", "startTimestamp": resets.wanted, "reason": "r"})
    assert late(resets, new="hold").rail == "perhaps_sent"
    return resets


RECORDED = {
    "adopted by command": lambda bench: bench.reconciler().adopt(("late",), reason="mine", only_new=True),
    "adopted by policy": lambda bench: bench.carry_out(bench.survey(new="adopt", **RULES)),
    "sent": lambda bench: bench.carry_out(bench.survey(**RULES)),
}


@pytest.mark.parametrize("record", RECORDED)
def test_reset_of_a_new_task_stays_perhaps_sent_until_somebody_says(newcomer, record):
    RECORDED[record](newcomer.bench)
    assert newcomer.bench.record("late").digest is not None
    assert late(newcomer).rail == "perhaps_sent"
    assert {key.request: entry.stage for key, entry in newcomer.bench.store.resets().items()}["x"] is Stage.PERHAPS_SENT


def test_reset_that_is_declared_later_is_no_question(newcomer):
    newcomer.bench.reconciler().adopt(("late",), reason="mine", only_new=True)
    change = {"request": "y", "id": "np_1", "startTimestamp": newcomer.wanted, "reason": "r"}
    newcomer.bench.write("reset", "late", change)
    assert late(newcomer).rail == "approval"
