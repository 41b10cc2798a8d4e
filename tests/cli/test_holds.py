import re
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.cli import held
from reconciler.cli.common import account
from reconciler.model import Condition, Suspension
from tests.cli.said import AT, daemon_that_said, opened, word
from tests.projects import KAFKA, MYSQL, ORACLE

ONE_OF_THREE = "name tasks, or give --label, or --all: one of the three"
SHOP = "suspend --label team=shop"


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


@pytest.mark.parametrize("what", [(KAFKA,), ("--all",), ("--label", "team=shop")], ids=["one", "all", "a label"])
def test_who_suspends_and_resumes_is_on_record(project, what):
    project.reconciler("suspend", *what, "--reason", "x")
    project.reconciler("resume", *what)
    entries = project.reconciler("history", "--limit", "2", "--format", "json").json["entries"]
    assert [(row["kind"], row["detail"]["by"]) for row in entries] == [("resume", account()), ("suspend", account())]


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


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def labelled(project):
    """Known tasks, each with something to send; two of them belong to a team."""
    project.adopted()
    for task in (KAFKA, MYSQL, ORACLE):
        project.edit(task, "sink", workerNum="13")
    project.edit(KAFKA, "task", labels={"team": "shop", "tier": "1"})
    project.edit(MYSQL, "task", labels={"team": "shop"})
    return project


def rails(project):
    return {task: item["rail"] for task, item in plan(project).items()}


def test_tasks_with_a_label_are_suspended_and_resumed(labelled):
    ended = labelled.reconciler("suspend", "--label", "team=shop", "--reason", "index rebuild")
    assert ended.out == "tasks with team=shop: suspended\n"
    assert rails(labelled) == {KAFKA: SHOP, MYSQL: SHOP, ORACLE: None}
    assert labelled.reconciler("resume", "--label", "team=shop").out == "tasks with team=shop: resumed\n"
    assert set(rails(labelled).values()) == {None}


def test_each_label_that_is_given_holds_by_itself(labelled):
    labelled.edit(ORACLE, "task", labels={"team": "sales"})
    labelled.reconciler("suspend", "--label", "tier=1", "--label", "team=sales", "--reason", "x")
    assert rails(labelled) == {KAFKA: "suspend --label tier=1", MYSQL: None, ORACLE: "suspend --label team=sales"}
    labelled.reconciler("resume", "--label", "tier=1")
    assert rails(labelled) == {KAFKA: None, MYSQL: None, ORACLE: "suspend --label team=sales"}


def test_task_that_gets_the_label_later_is_held_as_well(labelled):
    labelled.reconciler("suspend", "--label", "team=shop", "--reason", "x")
    labelled.edit(ORACLE, "task", labels={"team": "shop"})
    assert set(rails(labelled).values()) == {SHOP}


def test_why_and_how_to_go_on_is_told_of_a_label(labelled):
    labelled.reconciler("suspend", "--label", "team=shop", "--reason", "index rebuild")
    text = labelled.reconciler("explain", KAFKA).out
    assert (
        f"{KAFKA} is suspended: suspend --label team=shop: index rebuild. Next: reconciler resume --label team=shop."
        in text
    )


def test_resuming_a_label_that_is_not_suspended_says_so(labelled):
    labelled.reconciler("suspend", "--all", "--reason", "x")
    assert labelled.reconciler("resume", "--label", "a=b").out == "tasks with a=b: was not suspended by command\n"


# --- what a suspension holds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        pytest.param([KAFKA], "holds 1 task; no call is under way", id="one"),
        pytest.param([KAFKA, MYSQL], "holds 2 tasks; no call is under way", id="two"),
        pytest.param(["--label", "team=shop"], "holds 2 tasks; no call is under way", id="label"),
        pytest.param(["--all"], "holds 3 tasks; no call is under way", id="all"),
        pytest.param(
            ["--label", "team=shpo"], 'no task has the label "team=shpo" now; did you mean "team=shop"?', id="slip"
        ),
        pytest.param(["--label", "a=b"], 'no task has the label "a=b" now\nholds 0 tasks', id="nobody's label"),
    ],
)
def test_it_says_how_many_tasks_are_held(labelled, chosen, told):
    assert told in labelled.reconciler("suspend", *chosen, "--reason", "x").err


def test_calls_under_way_are_named_and_not_stopped(labelled):
    with closing(opened(labelled)) as store:
        (record,) = (record for record in store.records().values() if record.task == KAFKA)
        store.set_condition(record.address, Condition.VERIFYING, "")
    ended = labelled.reconciler("suspend", "--all", "--reason", "x")
    assert ended.err == f"holds 3 tasks; not stopped, because it is under way: {KAFKA}\n"


def test_many_calls_under_way_are_not_all_named():
    assert held._few([*"abcdefg"]) == "a, b, c, d, e and 2 more"  # noqa: SLF001 - more tasks than there are samples


def test_it_is_suspended_also_when_nobody_can_say_what_that_holds(project):
    project.desired.rename(project.root / "away")
    ended = project.reconciler("suspend", "--all", "--reason", "x")
    assert (ended.code, ended.out) == (0, "all tasks: suspended\n")
    assert ended.err.startswith("how many tasks that holds cannot be told: ")


# --- what stays suspended --------------------------------------------------------------------------------------------


def test_what_task_json_suspends_is_taken_back_there(labelled):
    labelled.edit(KAFKA, "task", suspend={"reason": "migration"})
    ended = labelled.reconciler("resume", KAFKA)
    assert ended.out == f"{KAFKA}: was not suspended by command\n"
    assert ended.err == f"still suspended, by task.json, where it has to be taken out: {KAFKA}\n"


@pytest.mark.parametrize(
    ("also", "step"),
    [(["--all"], "--all"), (["--label", "team=shop"], "--label team=shop"), ([KAFKA], KAFKA)],
)
def test_resuming_says_what_else_suspends_the_tasks(labelled, also, step):
    labelled.reconciler("suspend", *also, "--reason", "x")
    labelled.reconciler("suspend", "--label", "tier=1", "--reason", "x")
    ended = labelled.reconciler("resume", "--label", "tier=1")
    assert (ended.out, ended.err) == (
        "tasks with tier=1: resumed\n",
        f"still suspended, reconciler resume {step} takes that back: {KAFKA}\n",
    )


def test_each_suspension_that_stays_is_told(labelled):
    for which in ([KAFKA], ["--all"], ["--label", "tier=1"]):
        labelled.reconciler("suspend", *which, "--reason", "x")
    told = labelled.reconciler("resume", "--label", "tier=1").err
    assert f"still suspended, reconciler resume {KAFKA} takes that back: {KAFKA}\n" in told
    assert f"still suspended, reconciler resume --all takes that back: {KAFKA}\n" in told


def test_of_two_suspensions_the_later_end_and_both_commands_are_told(labelled):
    labelled.reconciler("suspend", KAFKA, "--reason", "lunch", "--until", "5m")
    said = labelled.reconciler("suspend", "--all", "--reason", "incident", "--until", "2h").out
    assert re.fullmatch(r"all tasks: suspended until \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\n", said)
    text = labelled.reconciler("explain", KAFKA).out
    assert re.search(r"until .* \(in (2 h|119 min)\): suspend --all: incident; suspend too until .*Z: lunch\.", text)
    assert f"Next: reconciler resume --all, and reconciler resume {KAFKA}." in text
    (item,) = labelled.reconciler("plan", KAFKA, "--format", "json").json["items"]
    end = datetime.fromisoformat(item["until"])
    assert end - datetime.now(UTC) > timedelta(hours=1)


def test_nothing_is_said_of_what_stays_where_nothing_does(labelled):
    labelled.reconciler("suspend", "--all", "--reason", "x")
    assert labelled.reconciler("resume", "--all").err == ""


# --- status ----------------------------------------------------------------------------------------------------------


def test_suspensions_in_force_are_listed_and_expired_ones_are_not(labelled):
    with closing(opened(labelled)) as store:
        store.suspend("*team=shop", Suspension("index rebuild", AT.replace(year=2199)))
        store.suspend("*", Suspension("old", datetime.now(UTC) - timedelta(seconds=1)))
        store.suspend(ORACLE, Suspension("its host", None))
    ended = labelled.reconciler("status")
    told = (
        "tasks with team=shop: suspended until 2199-11-21 21:02:11Z: index rebuild; reconciler resume --label team=shop"
    )
    assert (told in ended.err, "old" in ended.err) == (True, False)
    assert labelled.reconciler("status", "--format", "json").json["suspensions"] == [
        {"task": None, "label": "team=shop", "reason": "index rebuild", "until": "2199-11-21T21:02:11+00:00"},
        {"task": ORACLE, "label": None, "reason": "its host", "until": None},
    ]


def test_suspension_of_all_is_told_beside_a_daemon_too(project):
    project.reconciler("suspend", "--all", "--reason", "x")
    with daemon_that_said(project, word(KAFKA)):
        assert "all tasks: suspended: x; reconciler resume --all takes it back\n" in project.reconciler("status").err


# --- what would run --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "sent", "left_out"),
    [
        pytest.param([KAFKA], [KAFKA], [MYSQL, ORACLE], id="task"),
        pytest.param(["--label", "team=shop"], [KAFKA, MYSQL], [ORACLE], id="label"),
        pytest.param(["--all"], [KAFKA, MYSQL, ORACLE], [], id="all"),
    ],
)
def test_dry_run_shows_what_would_be_sent_and_changes_nothing(labelled, chosen, sent, left_out):
    labelled.reconciler("suspend", *chosen, "--reason", "x")
    before = rails(labelled)
    ended = labelled.reconciler("resume", *chosen, "--dry-run")
    assert (ended.code, ended.err) == (0, "nothing was changed: this is what would be done without it\n")
    assert [task for task in (KAFKA, MYSQL, ORACLE) if f"{task}  update" in ended.out] == sent
    assert not any(task in ended.out for task in left_out)
    assert (rails(labelled), labelled.updates) == (before, ())


def test_dry_run_shows_what_holds_a_task_all_the_same(labelled):
    for chosen in (["--label", "team=shop"], [KAFKA]):
        labelled.reconciler("suspend", *chosen, "--reason", "x")
    labelled.edit(MYSQL, "task", suspend={"reason": "migration"})
    ended = labelled.reconciler("resume", "--label", "team=shop", "--dry-run")
    assert f"still suspended, reconciler resume {KAFKA} takes that back: {KAFKA}\n" in ended.err
    assert f"still suspended, by task.json, where it has to be taken out: {MYSQL}\n" in ended.err


@pytest.mark.parametrize("chosen", [[KAFKA], ["--label", "a=b"], ["--all"]])
def test_dry_run_of_what_is_not_suspended_says_so(labelled, chosen):
    ended = labelled.reconciler("resume", *chosen, "--dry-run")
    assert (ended.code, "was not suspended by command\n" in ended.err) == (0, True)


def test_dry_run_works_beside_a_daemon(labelled):
    labelled.reconciler("suspend", KAFKA, "--reason", "x")
    with daemon_that_said(labelled, word(KAFKA)):
        ended = labelled.reconciler("resume", KAFKA, "--dry-run")
    assert (ended.code, f"{KAFKA}  update" in ended.out) == (0, True)


def test_dry_run_says_which_secrets_this_shell_lacks(labelled, monkeypatch):
    labelled.reconciler("suspend", MYSQL, "--reason", "x")
    monkeypatch.delenv("SHOP_SINK_PASSWORD")
    ended = labelled.reconciler("resume", MYSQL, "--dry-run")
    assert (ended.code, "secret: " in ended.out) == (0, True)


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["suspend", KAFKA], "Missing option '--reason'"),
        (["suspend", KAFKA, "--reason", " "], "--reason must say something"),
        (["suspend", "--reason", "x"], ONE_OF_THREE),
        (["suspend", "nope", "--reason", "x"], 'named "nope"'),
        (["resume"], ONE_OF_THREE),
        (["resume", KAFKA, "--all", "--target", "default"], ONE_OF_THREE),
        (["suspend", KAFKA, "--label", "a=b", "--reason", "x"], ONE_OF_THREE),
        (["resume", "--label", "a=b", "--all"], ONE_OF_THREE),
        (
            ["suspend", "--label", "team", "--reason", "x"],
            '--label: expected NAME=TEXT as in task.json, such as team=shop, found "team"',
        ),
        (["resume", "--label", "=shop"], "--label: expected NAME=TEXT"),
        (["resume", "--target", "default", "--dry-run"], "--dry-run is for suspensions"),
        (["resume", "--dry-run"], ONE_OF_THREE),
        (["resume", "oceanbase-to-kafk"], f'did you mean "{KAFKA}"?'),
        (["resume", "--target", "defualt"], 'the configuration has no target "defualt"; did you mean "default"?'),
        (["resume", "--target", "x"], 'the configuration has no target "x"; it has: default'),
    ],
)
def test_wrong_usage_is_64_and_says_what_is_wrong(project, arguments, problem):
    ended = project.reconciler(*arguments)
    assert (ended.code, ended.out) == (64, "")
    assert problem in ended.err
