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
