from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Suspension
from tests.cli.said import daemon_that_said, opened, word
from tests.projects import KAFKA, MYSQL


def plan(project):
    ended = project.reconciler("plan", "--format", "json")
    return {item["task"]: item for item in ended.json["items"]}


def actions(project):
    return {task: item["action"] for task, item in plan(project).items()}


# --- suspend and resume ----------------------------------------------------------------------------------------------


def test_a_suspended_task_is_not_called_until_it_is_resumed(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    assert project.reconciler("suspend", KAFKA, "--reason", "index rebuild").out == f"{KAFKA}: suspended\n"
    assert plan(project)[KAFKA]["reason"] == "index rebuild"
    assert project.reconciler("apply", "--yes").code == 0
    assert project.updates == ()
    assert project.reconciler("resume", KAFKA).out == f"{KAFKA}: resumed\n"
    assert actions(project)[KAFKA] == "update"


def test_all_tasks_can_be_suspended_at_once(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    assert project.reconciler("suspend", "--all", "--reason", "x").out == "all tasks: suspended\n"
    assert actions(project)[KAFKA] == "suspended"
    assert project.reconciler("resume", "--all").out == "all tasks: resumed\n"
    assert actions(project)[KAFKA] == "update"


def test_resuming_all_does_not_resume_single_ones(project):
    project.reconciler("suspend", "--all", "--reason", "x")
    project.reconciler("suspend", KAFKA, "--reason", "x")
    project.reconciler("resume", "--all")
    assert actions(project)[KAFKA] == "suspended"


def test_a_folder_is_suspended_and_resumed_task_by_task(project):
    (project.desired / "shop").mkdir()
    for task in (KAFKA, MYSQL):
        (project.desired / task).rename(project.desired / "shop" / task)
    assert project.reconciler("suspend", "shop", "--reason", "x").out.count(": suspended\n") == 2
    assert project.reconciler("resume", "shop/").out.count(": resumed\n") == 2


def test_resuming_what_is_not_suspended_says_so(project):
    assert project.reconciler("resume", KAFKA).out == f"{KAFKA}: was not suspended by command\n"
    assert project.reconciler("resume", "--all").out == "all tasks: was not suspended by command\n"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("2h", 7200), ("3d", 259200), ("2199-12-24T18:00:00Z", None), ("2199-12-24T18:00:00+08:00", None)],
)
def test_a_suspension_may_end_by_itself(project, text, seconds):
    ended = project.reconciler("suspend", KAFKA, "--reason", "x", "--until", text)
    until = datetime.fromisoformat(ended.out.split(" until ")[1].strip())
    if seconds:
        assert timedelta(0) <= datetime.now(UTC) + timedelta(seconds=seconds) - until < timedelta(seconds=30)
    else:
        assert until == datetime.fromisoformat(text)
    assert plan(project)[KAFKA]["until"] == until.isoformat()


def test_an_expired_suspension_holds_nothing(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    with closing(opened(project)) as store:
        store.suspend(KAFKA, Suspension("x", datetime.now(UTC) - timedelta(seconds=1)))
    assert actions(project)[KAFKA] == "update"


@pytest.mark.parametrize(
    "text",
    ["", "soon", "0m", "²h", "2w", "-2h", "99999999d", "2026-12-24", "2199-12-24T18:00:00", "2020-01-01T00:00:00Z", "2199-13-01T00:00:00Z", "9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_an_end_that_is_none_is_wrong_usage_and_suspends_nothing(project, text):
    ended = project.reconciler("suspend", KAFKA, "--reason", "x", "--until", text)
    assert (ended.code, ended.out) == (64, "")
    assert "--until: expected a time" in ended.err
    assert plan(project)[KAFKA]["action"] == "blocked"


# --- names of resume -------------------------------------------------------------------------------------------------


def test_what_is_suspended_can_be_resumed_though_nobody_else_knows_its_name(project):
    with closing(opened(project)) as store:
        store.suspend("gone/long/ago", Suspension("x", None))
    assert project.reconciler("resume", "gone").out == "gone/long/ago: resumed\n"


def test_beside_a_daemon_names_are_known_without_the_files(project):
    project.desired.rename(project.root / "away")
    with daemon_that_said(project, word(KAFKA)):
        assert project.reconciler("resume", KAFKA).out == f"{KAFKA}: was not suspended by command\n"


# --- targets ---------------------------------------------------------------------------------------------------------


def test_a_target_that_was_stopped_is_used_again(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    with closing(opened(project)) as store:
        store.set_target_trouble("default", "stopped", "3 components did not come back healthy")
    assert plan(project)[KAFKA]["rail"] == "stop_after_failures"
    ended = project.reconciler("resume", "--target", "default")
    assert (ended.code, ended.out) == (
        0,
        "target default: used again; it was stopped: 3 components did not come back healthy\n",
    )
    assert actions(project)[KAFKA] == "update"


def test_releasing_a_target_without_trouble_says_what_that_means(project):
    ended = project.reconciler("resume", "--target", "default")
    assert (ended.code, "nothing kept it from being used" in ended.out) == (0, True)
    row = project.reconciler("history", "--format", "json").json["entries"][0]
    assert (row["kind"], row["detail"]) == ("release", {"target": "default", "reason": "resumed by command"})


def test_a_task_and_a_target_can_be_resumed_at_once(project):
    project.reconciler("suspend", KAFKA, "--reason", "x")
    out = project.reconciler("resume", KAFKA, "--target", "default").out
    assert f"{KAFKA}: resumed\n" in out
    assert "target default: " in out


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["suspend", KAFKA], "Missing option '--reason'"),
        (["suspend", KAFKA, "--reason", " "], "--reason must say something"),
        (["suspend", "--reason", "x"], "name tasks, or give --all, and not both"),
        (["suspend", "nope", "--reason", "x"], 'named "nope"'),
        (["resume"], "name tasks, or give --all, and not both"),
        (["resume", KAFKA, "--all", "--target", "default"], "name tasks, or give --all, and not both"),
        (["resume", "oceanbase-to-kafk"], f'did you mean "{KAFKA}"?'),
        (["resume", "--target", "defualt"], 'the configuration has no target "defualt"; did you mean "default"?'),
        (["resume", "--target", "x"], 'the configuration has no target "x"; it has: default'),
    ],
)
def test_wrong_usage_is_64_and_says_what_is_wrong(project, arguments, problem):
    ended = project.reconciler(*arguments)
    assert (ended.code, ended.out) == (64, "")
    assert problem in ended.err
