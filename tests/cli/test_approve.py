"""`approve`, `approvals`, and what `apply` then does, beside a simulated OMS."""

import json
import re
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.cli.common import account
from reconciler.model import TaskState
from reconciler.simulator.faults import Rule
from tests.cli.said import AT, daemon_that_said, opened
from tests.projects import KAFKA, MYSQL

WHY = ("--reason", "agreed with shop")
PROJECT = "np_4x9j00000002"  # of the sample that goes to Kafka


@pytest.fixture
def asking(project):
    """Two tasks, adopted; every call needs an approval."""
    project.keep(KAFKA, MYSQL)
    project.configure(mode="approve")
    return project.adopted()


@pytest.fixture
def edited(asking):
    """One key of each task is another one."""
    edit(asking, KAFKA, 13)
    edit(asking, MYSQL, 14)
    return asking


@pytest.fixture
def deleting(project):
    """Only deletions need an approval, and a key is gone."""
    project.keep(MYSQL)
    path = project.root / "reconciler.toml"
    path.write_text(path.read_text().replace("[policy]\n", "[policy]\napprove_deletions = true\n"))
    project.edit(MYSQL, "task", allowDelete=True)
    project.adopted().edit(MYSQL, "sink", "workerNum")
    return project


def edit(project, task, workers):
    project.edit(task, "sink", workerNum=str(workers))


def plan(project, *tasks):
    return project.reconciler("plan", *tasks, "--format", "json").json


def items(project):
    return {item["task"]: item for item in plan(project)["items"]}


def rails(project):
    return {task: item["rail"] for task, item in items(project).items()}


def approve(project, *arguments, of=None):
    """Approve the plan as it is now."""
    return project.reconciler("approve", of or plan(project)["id"], *arguments, *WHY)


def apply(project, *arguments):
    ended = project.reconciler("apply", "--yes", "--format", "json", *arguments)
    return ended.code, {row["task"]: row["status"] for row in ended.json["results"]}


def rows(project, kind):
    """Journal rows of a kind, oldest first."""
    entries = project.reconciler("history", "--format", "json").json["entries"]
    return [entry for entry in reversed(entries) if entry["kind"] == kind]


def standing(project):
    return {rail["name"]: rail for rail in project.reconciler("status", "--format", "json").json["rails"]}


def age(project, **ages):
    """Let every approval be older."""
    with closing(opened(project)) as store:
        for one in store.approvals().values():
            store.approve(replace(one, at=one.at - timedelta(**ages), until=one.until - timedelta(**ages)))


# --- what may go -----------------------------------------------------------------------------------------------------


def test_nothing_is_sent_without_an_approval(edited):
    assert apply(edited) == (3, {KAFKA: "blocked", MYSQL: "blocked"})
    assert edited.updates == ()
    assert rails(edited) == {KAFKA: "approval", MYSQL: "approval"}


def test_only_what_is_approved_is_sent(edited):
    ended = approve(edited, "--task", KAFKA)
    assert ended.code == 0
    assert re.fullmatch(rf"{KAFKA}: update approved until [-0-9]+ [:0-9]+Z", ended.out.splitlines()[-1])
    assert apply(edited) == (3, {KAFKA: "applied", MYSQL: "blocked"})
    assert len(edited.updates) == 1


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")], ids=" ".join)
def test_the_command_that_a_report_names_approves_what_the_report_is_of(edited, command):
    report = edited.reconciler(*command, KAFKA).out
    (named,) = re.findall(r"waits for an approval: reconciler (.+) --reason TEXT", report)
    assert edited.reconciler(*named.split(), *WHY).code == 0
    assert rails(edited) == {KAFKA: None, MYSQL: "approval"}


def test_a_whole_plan_can_be_approved_and_the_beginning_of_its_id_will_do(edited):
    assert approve(edited, of=plan(edited)["id"][:8]).code == 0
    assert apply(edited) == (0, {KAFKA: "applied", MYSQL: "applied"})


def test_a_saved_plan_can_be_approved(edited):
    edited.reconciler("plan", "--out", "plan.json")
    assert approve(edited, of="plan.json").code == 0
    assert rails(edited) == {KAFKA: None, MYSQL: None}


def test_a_saved_plan_of_some_tasks_can_be_approved(edited):
    edited.reconciler("plan", KAFKA, "--out", "plan.json")
    assert approve(edited, of="plan.json").code == 0
    assert rails(edited) == {KAFKA: None, MYSQL: "approval"}


def test_a_saved_plan_that_was_edited_is_refused(edited):
    edited.reconciler("plan", "--out", "plan.json")
    path = edited.root / "plan.json"
    path.write_text(path.read_text().replace('"13"', '"12"'))
    ended = approve(edited, of="plan.json")
    assert (ended.code, "PLAN plan.json: was edited" in ended.err) == (64, True)
    assert rails(edited) == {KAFKA: "approval", MYSQL: "approval"}


def test_the_plan_of_a_task_alone_is_meant_where_that_task_is_named(edited):
    number = plan(edited, KAFKA)["id"]
    assert approve(edited, of=number).code == 3
    assert approve(edited, "--task", KAFKA, of=number).code == 0
    assert rails(edited) == {KAFKA: None, MYSQL: "approval"}


def test_what_is_approved_is_shown_before(edited):
    out = approve(edited, "--task", KAFKA).out
    assert out.startswith(f"{KAFKA}  blocked (would update): restarts the component")
    assert '  ~ sink/workerNum  "12" -> "13"' in out
    assert MYSQL not in out


def test_the_journal_says_who_approved_what_and_the_call_says_that_it_was(edited):
    number = plan(edited)["id"]
    approve(edited, "--task", KAFKA, of=number)
    apply(edited)
    (row,) = rows(edited, "approve")
    assert (row["task"], row["action"], row["plan"]) == (KAFKA, "update", number)
    assert (row["detail"]["reason"], row["detail"]["by"]) == ("agreed with shop", account())
    assert rows(edited, "intent")[0]["detail"]["reason"] == f"approved by {account()}: agreed with shop"


def test_under_sudo_both_accounts_are_named(edited, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ann")
    approve(edited, "--task", KAFKA)
    assert items(edited)[KAFKA]["approval"]["by"].startswith("ann as ")


def test_apply_with_yes_is_no_approval_and_it_cannot_be_forced(edited):
    ended = edited.reconciler("apply", "--yes", "--force", "approval", "--reason", "x")
    assert (ended.code, "an approval is given with reconciler approve" in ended.err) == (64, True)
    assert edited.updates == ()


def test_in_observe_nothing_goes_whatever_was_approved(edited):
    approve(edited)
    edited.configure(mode="observe")
    assert rails(edited) == {KAFKA: "mode", MYSQL: "mode"}
    assert apply(edited)[0] == 3
    assert approve(edited).err.startswith("nothing of that plan waits for an approval\n")
    assert edited.updates == ()


def test_in_observe_the_journal_says_what_it_holds(edited):
    edited.configure(mode="observe")
    apply(edited)
    assert [row["detail"]["message"] for row in rows(edited, "rail")] == [
        "mode tripped: 2 tasks (observe: nothing is called)"
    ]


def test_deletions_alone_may_need_an_approval(deleting):
    assert rails(deleting) == {MYSQL: "approval"}
    assert apply(deleting) == (3, {MYSQL: "blocked"})
    assert approve(deleting).out.splitlines()[-1].startswith(f"{MYSQL}: update+delete approved until ")
    assert items(deleting)[MYSQL]["action"] == "update+delete"
    deleting.edit(MYSQL, "sink", workerNum="17")
    assert items(deleting)[MYSQL]["action"] == "update"


def test_a_rail_may_be_lifted_for_a_deletion_that_needs_an_approval(deleting):
    deleting.edit(MYSQL, "task", allow=["/sink/jar"])
    deleting.edit(MYSQL, "sink", "workerNum", "jar")
    assert rails(deleting) == {MYSQL: "incomplete"}
    assert "nothing of that plan waits" in approve(deleting).err
    approve(deleting, "--force", "incomplete")
    assert (items(deleting)[MYSQL]["action"], items(deleting)[MYSQL]["forced"]) == ("update+delete", ["incomplete"])


def test_a_reset_needs_an_approval_in_every_mode(project):
    project.keep(KAFKA)
    path = project.root / "reconciler.toml"
    path.write_text(f'{path.read_text()}edition = "EE"\nversion = "4.3.0"\nallow_reset = true\n')
    declared = {"request": "r1", "id": PROJECT, "startTimestamp": int(time.time()) - 7200, "reason": "lost logs"}
    project.adopted().desired.joinpath(KAFKA, "reset.json").write_text(json.dumps(declared))
    project.reconciler("reset", "resolve", KAFKA, "--not-sent", "--reason", "new")
    (waiting,) = project.reconciler("approvals", "--format", "json").json["waiting"]
    assert (waiting["action"], waiting["what"].partition(" to ")[0]) == (
        "reset",
        f"reset r1 of the forward link of {PROJECT}",
    )
    assert f"{KAFKA}: reset approved until " in approve(project).out
    assert [item["action"] for item in plan(project)["items"]] == ["noop", "reset"]


# --- how long --------------------------------------------------------------------------------------------------------


def test_an_approval_expires(edited):
    approve(edited)
    age(edited, hours=23)
    assert rails(edited) == {KAFKA: None, MYSQL: None}
    age(edited, hours=1, seconds=1)
    assert "; it was approved by " in items(edited)[KAFKA]["reason"]
    assert apply(edited) == (3, {KAFKA: "blocked", MYSQL: "blocked"})


def test_what_expired_can_be_approved_again(edited):
    approve(edited)
    age(edited, days=2)
    approve(edited, "--task", KAFKA)
    assert rails(edited) == {KAFKA: None, MYSQL: "approval"}


def test_other_content_needs_another_approval(edited):
    approve(edited)
    edit(edited, KAFKA, 15)
    assert rails(edited) == {KAFKA: "approval", MYSQL: None}
    edit(edited, KAFKA, 13)
    assert rails(edited) == {KAFKA: None, MYSQL: None}


def test_a_try_that_had_no_effect_needs_no_second_approval(asking):
    edit(asking, KAFKA, 13)
    approve(asking)
    asking.simulator.add_fault(Rule("http", "UpdateIncrSync"))  # 503
    assert apply(asking) == (0, {KAFKA: "applied"})
    assert len(rows(asking, "intent")) == 2


def test_an_approval_is_used_up_when_its_content_is_accepted(asking):
    for workers, needs in ((13, True), (12, True), (13, True)):
        edit(asking, KAFKA, workers)
        assert rails(asking)[KAFKA] == ("approval" if needs else None)
        approve(asking)
        assert apply(asking)[0] == 0
    assert len(asking.updates) == 3


# --- another plan ------------------------------------------------------------------------------------------------------


def test_another_plan_is_refused_and_nothing_is_approved(edited):
    number = plan(edited)["id"]
    edit(edited, KAFKA, 99)
    ended = approve(edited, of=number)
    assert (ended.code, ended.out) == (3, "")
    assert f"the plan is not {number[:16]} any more but {plan(edited)['id'][:16]}" in ended.err
    assert rails(edited) == {KAFKA: "approval", MYSQL: "approval"}


def test_another_plan_is_refused_as_json_as_well(edited):
    ended = approve(edited, "--format", "json", of="0" * 8)
    assert (ended.code, ended.json["plan"], "nothing was done" in ended.json["refused"]) == (3, None, True)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        pytest.param(("suspend", KAFKA, "--reason", "index"), f"{KAFKA}: suspended (would update): suspend: index", id="held"),
        pytest.param(("approve", "PLAN", "--reason", "yes"), f"{KAFKA}: update: approved by ", id="approved"),
    ],
)  # fmt: skip
def test_where_nothing_waits_it_is_said_why(asking, held, words):
    edit(asking, KAFKA, 13)
    asking.reconciler(*(plan(asking)["id"] if word == "PLAN" else word for word in held))
    ended = approve(asking)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("nothing of that plan waits for an approval\n" + words)


# --- lifting rails -----------------------------------------------------------------------------------------------------


def test_an_approval_may_lift_rails(project):
    project.keep(KAFKA, MYSQL)
    project.configure(new_tasks="hold")
    ended = approve(project, "--force", "new_tasks", "--task", KAFKA)
    assert ended.out.endswith(", lifting new_tasks\n")
    assert (items(project)[KAFKA]["action"], items(project)[KAFKA]["forced"]) == ("update", ["new_tasks"])
    assert apply(project) == (3, {KAFKA: "applied", MYSQL: "blocked"})
    assert rows(project, "intent")[0]["detail"]["forced"] == ["new_tasks"]


def test_an_approval_that_lifts_nothing_of_it_says_so(asking):
    edit(asking, KAFKA, 13)
    approve(asking)
    assert "nothing of that plan waits for an approval or is held by what --force lifts\n" in approve(
        asking, "--force", "window"
    ).err  # fmt: skip


def test_a_rail_that_is_not_named_still_holds(project):
    project.keep(KAFKA)
    project.configure(new_tasks="hold", mode="approve")
    assert "nothing of that plan waits" in approve(project).err
    assert items(project)[KAFKA]["reason"].endswith("; then held by: approval")


# --- taking back -------------------------------------------------------------------------------------------------------


def test_an_approval_can_be_taken_back(edited):
    number = plan(edited)["id"]
    approve(edited, of=number)
    assert approve(edited, "--revoke", "--task", KAFKA, of=number).out == f"{KAFKA}: update revoked\n"
    assert rails(edited) == {KAFKA: "approval", MYSQL: None}
    told = rows(edited, "approve")[-1]["detail"]
    assert (told["revoked"], told["reason"]) == (True, "agreed with shop")
    assert "revoked; reason: agreed with shop" in edited.reconciler("history").out


def test_an_approval_can_be_taken_back_by_the_plan_as_it_is_now(edited):
    approve(edited, "--task", KAFKA)
    edit(edited, MYSQL, 99)
    assert approve(edited, "--revoke").out == f"{KAFKA}: update revoked\n"


def test_an_approval_can_be_taken_back_by_the_plan_that_was_read(edited):
    number = plan(edited)["id"]
    approve(edited, "--task", KAFKA, of=number)
    edit(edited, MYSQL, 99)
    assert approve(edited, "--revoke", of=number).code == 0
    assert rails(edited)[KAFKA] == "approval"


def test_taking_back_what_nobody_approved_says_so(edited):
    ended = approve(edited, "--revoke", "--format", "json")
    assert (ended.code, ended.json["revoked"], ended.err) == (0, [], "nothing of that plan is approved\n")
    assert approve(edited, "--revoke", of="0" * 8).code == 3


# --- what is shown -----------------------------------------------------------------------------------------------------


def test_an_approval_is_told_as_json(edited):
    number = plan(edited)["id"]
    found = approve(edited, "--task", KAFKA, "--format", "json", of=number).json
    (one,) = found["approved"]
    assert (found["plan"], one["task"], one["action"], one["plan"]) == (number, KAFKA, "update", number)
    lasts = datetime.fromisoformat(one["until"]) - datetime.fromisoformat(one["at"])
    assert (lasts, datetime.fromisoformat(one["at"]) <= datetime.now(UTC)) == (timedelta(hours=24), True)


def test_plan_status_and_explain_say_who_approved_it(edited):
    approve(edited, "--task", KAFKA)
    assert f"    approved by {account()}: agreed with shop (until " in edited.reconciler("plan").out
    assert "; approved by " in edited.reconciler("explain", KAFKA).out
    explained = edited.reconciler("explain", MYSQL).out
    assert f"reconciler approve PLAN --task {MYSQL} --reason TEXT, then apply" in explained


def test_approvals_lists_what_waits_what_is_approved_and_what_expired(edited):
    number = plan(edited)["id"]
    approve(edited, "--task", KAFKA)
    found = edited.reconciler("approvals", "--format", "json").json
    (waiting,), (approved,) = found["waiting"], found["approved"]
    assert (waiting["task"], waiting["action"], waiting["what"]) == (MYSQL, "update", "~ sink/workerNum")
    assert (waiting["plan"], waiting["since"], found["expired"]) == (number, None, [])
    assert (approved["task"], approved["reason"], approved["held"]) == (KAFKA, "agreed with shop", None)
    age(edited, hours=25)
    found = edited.reconciler("approvals", "--format", "json").json
    assert [one["task"] for one in found["expired"]] == [KAFKA]
    age(edited, hours=24)
    assert edited.reconciler("approvals", "--format", "json").json["expired"] == []


def test_approvals_is_a_table_that_ends_with_what_to_do(edited):
    approve(edited, "--task", KAFKA)
    edited.reconciler("suspend", KAFKA, "--reason", "x")
    ended = edited.reconciler("approvals")
    assert ended.code == 0
    assert [line.split()[:3] for line in ended.out.splitlines()[1:]] == [
        [MYSQL, "update", "waits"],
        [KAFKA, "update", "approved"],
    ]
    assert "~ sink/workerNum (held by suspend)" in ended.out
    number = plan(edited)["id"][:16]
    assert ended.err == (
        f"1 waiting, 1 approved, 0 expired; reconciler approve {number} --reason TEXT, with --task TASK for some of it\n"
    )


def test_what_was_approved_and_is_no_more_in_the_plan_is_told(edited):
    approve(edited)
    edit(edited, KAFKA, 12)
    edit(edited, MYSQL, 16)
    ended = edited.reconciler("approvals")
    assert ended.out.count("not in the plan any more") == 2
    assert ended.err == "0 waiting, 2 approved, 0 expired\n"


def test_since_when_it_waits_is_known_where_a_daemon_said_it(edited):
    said = TaskState(KAFKA, "blocked", AT, "approval: every call needs one", "", None, "", None, None, "d")
    with daemon_that_said(edited, said):
        found = edited.reconciler("approvals", "--format", "json").json
    assert [one["since"] for one in found["waiting"]] == [None, AT.isoformat()]
    with daemon_that_said(edited, said):
        assert "2026-11-21 21:02:11Z" in edited.reconciler("approvals").out


def test_what_cannot_be_told_without_secrets_is_said(edited, monkeypatch):
    monkeypatch.delenv("OMS_STORE_PASSWORD")
    ended = edited.reconciler("approvals")
    assert ended.err.startswith(
        "secrets cannot be read here: whether these wait for an approval is not known: 1 task\n"
    )
    assert "0 waiting" not in ended.err


def test_many_changed_keys_are_counted(asking):
    asking.edit(KAFKA, "sink", **{f"key{number}": "x" for number in range(5)})
    told = asking.reconciler("approvals").out
    assert "+ sink/key0, + sink/key1, + sink/key2, + sink/key3, and 1 more" in told


# --- the rails beside it -------------------------------------------------------------------------------------------------


def test_status_tells_every_rail(edited):
    assert (standing(edited)["approval"]["state"], standing(edited)["approval"]["tasks"]) == ("tripped", 2)
    assert "\nRails: tripped: approval (2 tasks); off: " in edited.reconciler("status").err


def test_beside_a_daemon_status_tells_the_rails_as_it_wrote_them_down(edited):
    apply(edited)
    edited.configure(mode="auto")
    with daemon_that_said(edited):
        assert standing(edited)["mode"]["text"] == "approve: every call needs an approval"
        assert standing(edited)["approval"]["tasks"] == 2
    assert standing(edited)["mode"]["state"] == "off"


def test_the_journal_says_what_held_at_an_apply_once(edited):
    apply(edited)
    apply(edited)
    approve(edited)
    assert apply(edited)[0] == 0
    assert [row["detail"]["message"] for row in rows(edited, "rail")] == [
        "approval tripped: 2 tasks (every call needs one)",
        "approval released (every call needs one; 2 tasks approved)",
    ]
    (row,) = rows(edited, "policy")
    assert row["detail"]["settings"]["mode"] == "approve: every call needs an approval"


def test_an_apply_of_some_tasks_releases_nothing(edited):
    apply(edited)
    approve(edited, "--task", KAFKA)
    assert apply(edited, KAFKA) == (0, {KAFKA: "applied"})
    assert [row["detail"]["state"] for row in rows(edited, "rail")] == ["tripped"]


def test_beside_a_daemon_apply_leaves_the_rails_to_it(edited):
    with daemon_that_said(edited):
        assert apply(edited)[0] == 3
    assert rows(edited, "rail") == []


def test_a_lifted_rail_is_in_the_journal(project):
    project.keep(KAFKA)
    project.configure(new_tasks="hold")
    apply(project, "--force", "new_tasks", "--reason", "meant")
    assert "new_tasks overridden: 1 task (hold)" in [row["detail"]["message"] for row in rows(project, "rail")]


# --- usage ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["approve"], "Missing argument 'PLAN'"),
        (["approve", "0" * 8], "Missing option '--reason'"),
        (["approve", "0" * 8, "--reason", " "], "--reason must say something"),
        (["approve", "0" * 7, *WHY], "PLAN 0000000: neither a file nor a plan's id"),
        (["approve", "rev-00000000", *WHY], "PLAN rev-00000000: a comparison of two commits"),
        (["approve", "0" * 8, *WHY, "--task", "nope"], 'named "nope"'),
        (["approve", "0" * 8, *WHY, "--force", "danger"], '"danger" is no rail that can be forced; these can: new_tasks'),
        (["approve", "0" * 8, *WHY, "--force", "vanished"], "vanished concerns the whole run, not one item"),
        (["approve", "0" * 8, *WHY, "--force", "first_run"], "reconciler apply --force first_run"),
        (["approve", "0" * 8, *WHY, "--force", "window", "--revoke"], "it goes without --force"),
        (["approve", ".", *WHY], "PLAN .: not a file"),
    ],
)  # fmt: skip
def test_wrong_usage_is_64_and_says_what_is_wrong(project, arguments, problem):
    ended = project.reconciler(*arguments)
    assert (ended.code, ended.out) == (64, "")
    assert problem in ended.err
