"""Limits as somebody at a terminal meets them: what `plan`, `apply` and `status` say, and how to go on."""

import pytest

from tests.projects import KAFKA, MYSQL, ORACLE


@pytest.fixture
def strict(project):
    """Three known tasks, of which one may be sent at once, and a third of whose keys may change."""
    path = project.adopted().root / "reconciler.toml"
    path.write_text(f"{path.read_text()}\n[policy.limits]\ntasks_floor = 1\nkeys_floor = 1\n")
    return project


@pytest.fixture
def edited(strict):
    """Two of three tasks are edited."""
    strict.edit(KAFKA, "sink", workerNum="13")
    strict.edit(MYSQL, "sink", workerNum="17")
    return strict


def test_too_many_tasks_at_once_are_held_with_the_numbers(edited):
    ended = edited.reconciler("apply", "--yes")
    assert (ended.code, len(edited.updates)) == (3, 0)
    assert "limit tasks: 2 of 3 tasks would be restarted at once (66.7 %), more than 30 % and more than 1" in ended.out
    assert "Done: 2 blocked, 1 unchanged." in ended.out


def test_force_needs_a_reason_and_sends(edited):
    assert edited.reconciler("apply", "--yes", "--force", "tasks").code == 64
    ended = edited.reconciler("apply", "--yes", "--force", "tasks", "--reason", "agreed")
    assert (ended.code, len(edited.updates)) == (0, 2)


def test_one_of_them_by_name_is_not_too_many(edited):
    ended = edited.reconciler("apply", KAFKA, "--yes")
    assert (ended.code, len(edited.updates)) == (0, 1)


def test_plan_exits_with_3_and_status_names_the_next_step(edited):
    planned = edited.reconciler("plan", "--format", "json")
    assert planned.code == 3
    assert {item["rail"] for item in planned.json["items"] if item["action"] == "blocked"} == {"tasks"}
    rows = {row["task"]: row for row in edited.reconciler("status", "--format", "json").json["tasks"]}
    assert rows[KAFKA]["next"] == "take changes back, or reconciler apply --force tasks --reason TEXT"


def test_named_tasks_are_shown_as_they_are_among_all_and_that_one_alone_would_go_is_said_where_it_is_true(edited):
    whole = {row["task"]: row for row in edited.reconciler("status", "--format", "json").json["tasks"]}
    (row,) = edited.reconciler("status", KAFKA, "--format", "json").json["tasks"]
    assert (row["state"], row["reason"]) == (whole[KAFKA]["state"], whole[KAFKA]["reason"])
    way = f"; it is held together with 1 other: reconciler apply {KAFKA} would send it alone"
    assert row["next"] == whole[KAFKA]["next"] + way
    assert edited.reconciler("apply", KAFKA, "--yes").code == 0
    (row,) = edited.reconciler("status", MYSQL, "--format", "json").json["tasks"]
    assert row["state"] == "out-of-sync"


def test_where_not_even_one_may_go_nothing_else_is_said(edited):
    path = edited.root / "reconciler.toml"
    path.write_text(path.read_text().replace("tasks_floor = 1", "tasks_floor = 0"))
    (row,) = edited.reconciler("status", KAFKA, "--format", "json").json["tasks"]
    assert row["next"] == "take changes back, or reconciler apply --force tasks --reason TEXT"
    assert edited.reconciler("apply", KAFKA, "--yes").code == 3


def test_one_alone_is_not_said_to_go_where_something_else_holds_it(edited):
    path = edited.root / "reconciler.toml"
    path.write_text(f'{path.read_text()}\n[[policy.windows]]\nname = "no"\nkind = "deny"\ncron = "* * * * *"\n')
    path.write_text(f'{path.read_text()}duration = "1h"\n')
    (row,) = edited.reconciler("status", KAFKA, "--format", "json").json["tasks"]
    assert "would send it alone" not in row["next"]


def test_explain_gives_the_numbers(edited):
    told = edited.reconciler("explain", KAFKA)
    assert "tasks: 2 of 3 tasks would be restarted at once (66.7 %), more than 30 % and more than 1, so n" in told.out
    assert "Rails: tripped: tasks (2 tasks)" in edited.reconciler("status", KAFKA).err


@pytest.fixture
def asking(edited):
    """Every call needs an approval."""
    path = edited.root / "reconciler.toml"
    path.write_text(path.read_text().replace('mode = "auto"', 'mode = "approve"'))
    return edited


WOULD = "limit tasks would hold this once it is approved: 2 of 3 tasks would be restarted at once (66.7 %)"


def test_who_approves_reads_before_and_after_what_then_holds_it(asking):
    planned = asking.reconciler("plan")
    assert f"! {WOULD}" in planned.out
    assert planned.out.count("; then, together with the others, held by: tasks\n") == 2
    assert "Rails: tripped: approval (2 tasks);" in planned.out
    number = asking.reconciler("plan", "--format", "json").json["id"]
    approved = asking.reconciler("approve", number, "--reason", "agreed")
    assert "limit tasks: 2 of 3 tasks would be restarted at once" in approved.err
    assert f"to send it all the same: reconciler approve {number[:16]} --force tasks --reason TEXT" in approved.err
    assert asking.reconciler("apply", "--yes").code == 3
    assert asking.reconciler("approve", number, "--force", "tasks", "--reason", "agreed").err == ""
    assert asking.reconciler("apply", "--yes").code == 0
    assert len(asking.updates) == 2


def test_command_that_sends_it_all_the_same_means_what_was_approved_and_no_more(asking):
    asking.edit(ORACLE, "sink", workerNum="21")
    number = asking.reconciler("plan", "--format", "json").json["id"]
    asked = ("--task", KAFKA, "--task", MYSQL, "--force", "window")
    approved = asking.reconciler("approve", number, *asked, "--reason", "agreed")
    again = f"--task {KAFKA} --task {MYSQL} --force window --force tasks --reason TEXT"
    assert f"to send it all the same: reconciler approve {number[:16]} {again}" in approved.err


def test_command_that_sends_it_all_the_same_takes_a_saved_plan_again(asking):
    assert asking.reconciler("plan", KAFKA, MYSQL, "--out", "saved plan.json").code in {0, 2, 3}
    approved = asking.reconciler("approve", "saved plan.json", "--reason", "agreed")
    assert "reconciler approve 'saved plan.json' --force tasks --reason TEXT" in approved.err
    assert asking.reconciler("approve", "saved plan.json", "--force", "tasks", "--reason", "agreed").code == 0
    assert asking.reconciler("apply", "--yes").code == 0
    assert len(asking.updates) == 2


def test_what_is_approved_one_by_one_goes_and_nothing_is_said_of_limits(asking):
    for task in (KAFKA, MYSQL):
        number = asking.reconciler("plan", "--format", "json").json["id"]
        assert "limit" not in asking.reconciler("approve", number, "--task", task, "--reason", "agreed").err
        assert asking.reconciler("apply", "--yes").code in (0, 3)
    assert len(asking.updates) == 2


def test_observe_says_what_auto_would_hold(edited):
    path = edited.root / "reconciler.toml"
    path.write_text(path.read_text().replace('mode = "auto"', 'mode = "observe"'))
    assert '! limit tasks would hold this if policy.mode were "auto": 2 of 3 tasks' in edited.reconciler("plan").out


def test_of_two_limits_both_have_tripped_and_one_that_is_lifted_is_overridden(strict):
    for task in (KAFKA, MYSQL):
        strict.edit(task, "sink", **{f"unknownKey{number}": "1" for number in range(20)})
        strict.edit(task, "task", limits={"changedKeys": 1})
    assert "Rails: tripped: changed_keys (2 tasks), tasks (2 tasks);" in strict.reconciler("plan").out
    ended = strict.reconciler("apply", "--yes", "--force", "changed_keys", "--reason", "agreed")
    assert ended.code == 3
    assert "Rails: tripped: tasks (2 tasks); overridden: changed_keys (2 tasks);" in ended.out
    entries = reversed(strict.reconciler("history", "--format", "json").json["entries"])
    rows = [row["detail"]["message"] for row in entries if row["kind"] == "rail"]
    assert rows[0].startswith("changed_keys overridden")
    assert rows[1].startswith("tasks tripped: 2 of 3 tasks would be restarted at once (66.7 %)")


def test_many_keys_of_one_task_are_held_by_its_own_limits(strict):
    strict.edit(ORACLE, "coordinator", **{f"unknownKey{number}": "1" for number in range(40)})
    ended = strict.reconciler("apply", "--yes")
    assert (ended.code, len(strict.updates)) == (3, 0)
    assert "keys would be changed" in ended.out
    assert "set limits in task.json" in ended.out
    strict.edit(ORACLE, "task", limits={"changedKeys": 1})
    assert strict.reconciler("apply", "--yes").code == 0
    assert len(strict.updates) == 1


def test_journal_says_what_was_forced_and_why(edited):
    edited.reconciler("apply", "--yes", "--force", "tasks", "--reason", "agreed")
    history = edited.reconciler("history", KAFKA).out
    assert "tasks" in history
    assert "agreed" in history
