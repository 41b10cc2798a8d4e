import shutil
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.simulator.faults import Rule
from tests.projects import KAFKA, MYSQL, ORACLE


def plan(project):
    ended = project.reconciler("plan", "--format", "json")
    return {item["task"]: item for item in ended.json["items"]}


def actions(project):
    return {task: item["action"] for task, item in plan(project).items()}


def last(project, task=""):
    arguments = [task] if task else []
    return project.reconciler("history", *arguments, "--format", "json").json["entries"][0]


# --- adopt -----------------------------------------------------------------------------------------------------------


def test_adopt_records_all_new_tasks_and_calls_nothing(project):
    ended = project.reconciler("adopt", "--all")
    assert ended.code == 0
    assert ended.out.splitlines() == [f"{task}: adopted, nothing was called" for task in (MYSQL, KAFKA, ORACLE)]
    assert set(actions(project).values()) == {"noop"}
    assert project.simulator.calls == ()


def test_adopt_of_all_leaves_known_tasks_alone(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    ended = project.reconciler("adopt", "--all")
    assert (ended.code, ended.out) == (0, "nothing to adopt\n")
    assert actions(project)[KAFKA] == "update"


def test_adopt_of_a_known_task_records_its_files_anew(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    assert project.reconciler("adopt", KAFKA, "--reason", "set by hand").code == 0
    assert actions(project)[KAFKA] == "noop"
    assert last(project)["detail"]["reason"] == "set by hand; differences taken as applied: /sink/workerNum"


def test_adopt_of_one_task_leaves_the_others(project):
    assert project.reconciler("adopt", KAFKA).code == 0
    assert actions(project) == {KAFKA: "noop", MYSQL: "blocked", ORACLE: "blocked"}


def test_adopt_of_a_folder_means_the_tasks_in_it(project):
    (project.desired / "shop").mkdir()
    (project.desired / KAFKA).rename(project.desired / "shop" / KAFKA)
    assert project.reconciler("adopt", "shop").out == f"shop/{KAFKA}: adopted, nothing was called\n"


@pytest.mark.parametrize("problem", ["invalid", "unresolved"])
def test_what_cannot_be_adopted_is_1_and_the_others_are_adopted(project, problem):
    if problem == "invalid":
        project.break_(ORACLE)
    else:
        project.edit(ORACLE, "sink", password="${env:NOWHERE}")
    ended = project.reconciler("adopt", "--all")
    assert ended.code == 1
    assert f"{ORACLE}: not adopted: " in ended.out
    assert ended.out.count("adopted, nothing was called") == 2


# --- forget ----------------------------------------------------------------------------------------------------------


def test_forget_drops_an_orphan(project):
    project.adopted()
    shutil.rmtree(project.desired / KAFKA)
    assert actions(project)[KAFKA] == "orphaned"
    assert project.reconciler("forget", KAFKA).out == f"{KAFKA}: forgotten\n"
    assert KAFKA not in actions(project)
    assert project.simulator.calls == ()


def test_forget_of_all_that_vanished(project):
    project.adopted()
    shutil.rmtree(project.desired / KAFKA)
    shutil.rmtree(project.desired / MYSQL)
    assert project.reconciler("forget", "--vanished").out.splitlines() == [f"{MYSQL}: forgotten", f"{KAFKA}: forgotten"]
    assert project.reconciler("forget", "--vanished").out == "nothing to forget\n"


def test_a_task_that_is_there_cannot_be_forgotten_nor_its_companions(project):
    project.adopted()
    shutil.rmtree(project.desired / KAFKA)
    ended = project.reconciler("forget", KAFKA, MYSQL)
    assert ended.code == 64
    assert f'"{MYSQL}" is not orphaned' in ended.err
    assert actions(project)[KAFKA] == "orphaned"


def test_a_directory_that_is_not_there_at_all_forgets_nothing(project):
    project.adopted()
    project.desired.rename(project.root / "away")
    assert project.reconciler("forget", "--vanished").code == 1
    (project.root / "away").rename(project.desired)
    assert set(actions(project).values()) == {"noop"}


# --- retry -----------------------------------------------------------------------------------------------------------


def test_retry_clears_a_failure_and_sends_nothing(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    project.simulator.add_fault(Rule("param_error", action="UpdateIncrSync"))
    assert project.reconciler("apply", "--yes").code == 1
    assert plan(project)[KAFKA]["rail"] == "failed"
    calls = len(project.simulator.calls)
    ended = project.reconciler("retry", KAFKA)
    assert (ended.code, ended.out) == (
        0,
        f"{KAFKA}: cleared; the next apply sends what differs, else looks at the component\n",
    )
    assert len(project.simulator.calls) == calls
    assert project.reconciler("apply", "--yes").code == 0


def test_retry_lets_a_target_be_used_again(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    project.simulator.set_switches(unsupported=("UpdateIncrSync",))
    project.reconciler("apply", "--yes")
    project.simulator.set_switches(unsupported=())
    assert plan(project)[KAFKA]["rail"] == "capability"
    assert "target default: cleared" in project.reconciler("retry", KAFKA).out
    assert project.reconciler("apply", "--yes").code == 0


def test_retry_of_a_task_that_was_never_sent_clears_nothing(project):
    assert project.reconciler("retry", KAFKA).out == "nothing to clear\n"


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
    from reconciler import wiring
    from reconciler.config import load
    from reconciler.model import Suspension

    project.adopted().edit(KAFKA, "sink", workerNum="13")
    store = wiring.open_store(load(project.root / "reconciler.toml"), read_only=False)
    store.suspend(KAFKA, Suspension("x", datetime.now(UTC) - timedelta(seconds=1)))
    store.close()
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


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["adopt"], "name tasks, or give --all, and not both"),
        (["adopt", KAFKA, "--all"], "name tasks, or give --all, and not both"),
        (["adopt", "nope"], 'named "nope"'),
        (["forget"], "name tasks, or give --vanished, and not both"),
        (["forget", "nope"], '"nope" is not orphaned'),
        (["retry"], "Missing argument"),
        (["retry", "oceanbase-to-kafk"], 'did you mean "oceanbase-to-kafka"?'),
        (["suspend", KAFKA], "Missing option '--reason'"),
        (["suspend", KAFKA, "--reason", " "], "--reason must say something"),
        (["suspend", "--reason", "x"], "name tasks, or give --all, and not both"),
        (["suspend", "nope", "--reason", "x"], 'named "nope"'),
        (["resume"], "name tasks, or give --all, and not both"),
    ],
)
def test_wrong_usage_is_64_and_says_what_is_wrong(project, arguments, problem):
    ended = project.reconciler(*arguments)
    assert (ended.code, ended.out) == (64, "")
    assert problem in ended.err
