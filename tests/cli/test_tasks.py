import shutil
from contextlib import closing

import pytest

from reconciler.cli.common import account
from reconciler.simulator.faults import Rule
from tests.cli.said import daemon_that_said, opened, word
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


@pytest.mark.parametrize("reason", ["moved away", None])
def test_who_forgets_and_why_is_on_record(project, reason):
    shutil.rmtree(project.adopted().desired / KAFKA)
    given = {"reason": reason} if reason else {}
    project.reconciler("forget", KAFKA, *(["--reason", reason] if reason else []))
    (row, *_) = project.reconciler("history", KAFKA, "--format", "json").json["entries"]
    assert (row["kind"], row["detail"]) == ("forget", {"by": account(), **given})


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


def test_retry_of_one_task_leaves_the_targets_of_others(project):
    project.edit(MYSQL, "task", target="other")
    with closing(opened(project)) as store:
        store.set_target_trouble("other", "stopped", "x")
    assert project.reconciler("retry", KAFKA).out == "nothing to clear\n"
    assert project.reconciler("retry", MYSQL).out == "target other: cleared\n"


def test_a_daemon_hears_of_a_target_that_is_cleared(project):
    project.adopted()
    with daemon_that_said(project, word(KAFKA)) as store:
        store.set_target_trouble("default", "capability-missing", "x")
        project.reconciler("retry", KAFKA)
    assert last(project)["kind"] == "release"
    assert last(project)["detail"] == {"target": "default", "reason": f"retry of {KAFKA}"}


@pytest.mark.parametrize("state", ["out-of-sync", "blocked", "unconfirmed"])
def test_a_daemon_is_asked_to_try_now_what_it_would_try_later(project, state):
    with daemon_that_said(project, word(KAFKA, state), word(MYSQL, state)):
        ended = project.reconciler("retry", KAFKA)
    assert ended.out == f"{KAFKA}: the daemon tries again now\n"
    assert (last(project)["kind"], last(project)["task"]) == ("retry", KAFKA)


def test_beside_a_daemon_retry_reads_no_files(project):
    shutil.rmtree(project.desired)
    with daemon_that_said(project, word(KAFKA, "out-of-sync")):
        assert project.reconciler("retry", KAFKA).code == 0


def test_retry_of_a_task_that_was_never_sent_clears_nothing(project):
    assert project.reconciler("retry", KAFKA).out == "nothing to clear\n"


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
    ],
)
def test_wrong_usage_is_64_and_says_what_is_wrong(project, arguments, problem):
    ended = project.reconciler(*arguments)
    assert (ended.code, ended.out) == (64, "")
    assert problem in ended.err
