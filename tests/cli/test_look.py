import io
import json
import re
import shutil
import sys
from datetime import timedelta

import pytest

from reconciler.cli.main import run
from reconciler.simulator.faults import Rule
from tests.cli.said import AT, daemon_that_said, word
from tests.projects import KAFKA, MYSQL, ORACLE

STATUS_KEYS = {"task", "state", "since", "reason", "next", "until", "revision", "ticket", "request_id"}


def states(project):
    return {row["task"]: row["state"] for row in project.reconciler("status", "--format", "json").json["tasks"]}


def apply_change(project, **changes):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    return project.reconciler("apply", "--yes", *(word for pair in changes.items() for word in pair))


# --- status ----------------------------------------------------------------------------------------------------------


def test_before_the_first_run_there_is_no_store_and_status_makes_none(project):
    ended = project.reconciler("status")
    said, rails, counts = ended.err.splitlines()
    assert (ended.code, said, counts) == (0, "no daemon runs: from the files and records", "3 tasks: 3 blocked")
    assert rails.startswith("Rails: tripped: new_tasks (3 tasks); off: mode (auto), ")
    assert not project.database.exists()


def test_the_table_has_a_line_for_each_task(project):
    project.adopted().break_(ORACLE)
    lines = project.reconciler("status").out.splitlines()
    assert lines[0].split() == ["task", "state", "since", "until", "why", "next"]
    assert [line.split()[:2] for line in lines[1:]] == [[MYSQL, "synced"], [KAFKA, "synced"], [ORACLE, "invalid"]]


def test_long_reasons_are_not_broken_where_there_is_no_terminal(project):
    assert all("reconciler adopt" in line for line in project.reconciler("status").out.splitlines()[1:])


def test_a_row_says_everything(project):
    assert apply_change(project).code == 0
    (row,) = project.reconciler("status", KAFKA, "--format", "json").json["tasks"]
    assert set(row) == STATUS_KEYS
    assert (row["state"], row["ticket"]) == ("synced", project.updates[-1].ticket)
    assert row["request_id"] == project.updates[-1].request_id
    assert row["revision"].startswith("sha256:")


def test_only_named_tasks_are_shown(project):
    found = project.reconciler("status", KAFKA, "--format", "json").json
    assert [row["task"] for row in found["tasks"]] == [KAFKA]


def test_the_holder_of_the_lock_is_named(project):
    from reconciler import wiring
    from reconciler.config import load

    project.adopted()
    store = wiring.open_store(load(project.root / "reconciler.toml"), read_only=False)
    with store.writer_lock(1, "apply"):
        ended, found = project.reconciler("status"), project.reconciler("status", "--format", "json").json
    store.close()
    assert "writer lock: held by apply (process " in ended.err
    assert found["lock"].startswith("apply (process ")
    assert project.reconciler("status", "--format", "json").json["lock"] is None


def test_a_target_in_trouble_is_named(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    project.simulator.set_switches(unsupported=("UpdateIncrSync",))
    assert project.reconciler("apply", "--yes").code in (1, 3)
    ended = project.reconciler("status")
    (target,) = project.reconciler("status", "--format", "json").json["targets"]
    assert (target["target"], target["kind"]) == ("default", "capability-missing")
    since = target["since"][:19].replace("T", " ")
    assert f"target default: capability-missing since {since}Z: " in ended.err


def test_a_frozen_fleet_is_told_on_standard_error(project):
    project.adopted()
    shutil.rmtree(project.desired)
    project.desired.mkdir()
    assert project.reconciler("status").err.startswith("frozen: 3 of 3 known tasks are gone")


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [(["synced"], [MYSQL, KAFKA]), (["invalid"], [ORACLE]), (["invalid", "synced"], [MYSQL, KAFKA, ORACLE])],
)
def test_tasks_in_some_states_can_be_asked_for_and_all_are_counted(project, wanted, shown):
    project.adopted().break_(ORACLE)
    ended = project.reconciler("status", *(word for state in wanted for word in ("--state", state)))
    assert [line.split()[0] for line in ended.out.splitlines()[1:]] == shown
    assert ended.err.splitlines()[-1] == "3 tasks: 1 invalid, 2 synced"


def test_a_secret_that_cannot_be_read_here_blocks_no_known_task(project, monkeypatch):
    project.adopted()
    monkeypatch.delenv("OMS_STORE_PASSWORD")
    monkeypatch.delenv("SHOP_SINK_PASSWORD")
    ended = project.reconciler("status")
    assert ended.err.splitlines()[-1] == "3 tasks: 3 synced"
    assert "secrets cannot be read here and are taken as unchanged (" in ended.err


def test_a_task_has_one_row_also_when_a_reset_waits(project):
    reset = {"request": "r-1", "id": "np_4x9j00000002", "startTimestamp": "2026-11-20T00:00:00Z", "reason": "x"}
    project.adopted()
    (project.desired / KAFKA / "reset.json").write_text(json.dumps(reset))
    (row,) = project.reconciler("status", KAFKA, "--format", "json").json["tasks"]
    assert (row["state"], row["next"].partition(" ")[0]) == ("blocked", "correct")
    assert row["reason"].startswith("target: target default: allow_reset is false")
    assert "no difference" not in row["reason"]


def test_reading_commands_are_0_whatever_they_find(project):
    project.adopted().break_(ORACLE)
    for arguments in (["status"], ["explain", ORACLE], ["history", ORACLE]):
        assert project.reconciler(*arguments).code == 0


# --- every state, and what explain says of it ------------------------------------------------------------------------


def synced(project):
    apply_change(project)


def adopted(project):
    project.adopted()


def out_of_sync(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")


def new(_project):
    pass


def suspended(project):
    project.reconciler("suspend", KAFKA, "--reason", "index rebuild", "--until", "2h")


def invalid(project):
    project.break_(KAFKA)


def orphaned(project):
    project.adopted()
    shutil.rmtree(project.desired / KAFKA)


def failed(project):
    project.simulator.add_fault(Rule("param_error", action="UpdateIncrSync"))
    assert apply_change(project).code == 1


def broke(project):
    project.simulator.add_fault(Rule("exception", action="UpdateIncrSync"))
    assert apply_change(project).code == 1


def unconfirmed(project):
    project.configure(verify_s=0.3)
    project.simulator.add_fault(Rule("ticket_stuck", action="UpdateIncrSync"))
    assert apply_change(project).code == 0


def unresolved(project):
    project.edit(KAFKA, "sink", password="${env:NOWHERE}")


EXPLAINED = [
    (synced, "synced", "no difference (ticket ", None),
    (adopted, "synced", "no difference.", None),
    (out_of_sync, "out-of-sync", "1 key set", f"reconciler apply {KAFKA}"),
    (
        new,
        "blocked",
        "new_tasks: first sight of this task",
        f"reconciler adopt {KAFKA}, or apply --force new_tasks --reason TEXT",
    ),
    (
        suspended,
        "suspended",
        "suspend: index rebuild",
        f"reconciler resume {KAFKA}",
    ),
    (invalid, "invalid", "sink.json:1:2: ", "reconciler validate"),
    (orphaned, "orphaned", "its directory is gone", f"restore the directory, or reconciler forget {KAFKA}"),
    (failed, "failed", "the last attempt failed: ", f"reconciler retry {KAFKA}"),
    (broke, "failed", "EXCEPTION", f"reconciler retry {KAFKA}"),
    (unconfirmed, "unconfirmed", "not seen healthy within 0.3 s", "look at the ticket in the console"),
    (
        unresolved,
        "blocked",
        "secret: ${env:NOWHERE}: the environment has no variable NOWHERE",
        "make the reference resolvable",
    ),
]


@pytest.mark.parametrize(("make", "state", "why", "step"), EXPLAINED, ids=[row[0].__name__ for row in EXPLAINED])
def test_explain_says_state_reason_and_next_step(project, make, state, why, step):
    make(project)
    ended = project.reconciler("explain", KAFKA)
    assert ended.code == 0
    assert ended.out.startswith(f"{KAFKA} is {state}")
    assert ended.err.endswith("no daemon runs: from the files and records\n")
    assert why in ended.out
    assert ("Next: " in ended.out) == (step is not None)
    assert (step or "") in ended.out
    assert states(project)[KAFKA] == state


def test_explain_says_until_when(project):
    suspended(project)
    (row,) = project.reconciler("explain", KAFKA, "--format", "json").json["tasks"]
    assert set(row) == STATUS_KEYS | {"text"}
    assert f"{row['until'][11:19]}Z (in " in row["text"]
    assert ", until " in row["text"]


def test_explain_of_a_folder_explains_the_tasks_in_it(project):
    (project.desired / "shop").mkdir()
    for task in (KAFKA, MYSQL):
        (project.desired / task).rename(project.desired / "shop" / task)
    lines = project.reconciler("explain", "shop").out.splitlines()
    assert [line.split(" is ")[0] for line in lines] == [f"shop/{MYSQL}", f"shop/{KAFKA}"]


# --- beside a daemon -------------------------------------------------------------------------------------------------


def test_beside_a_daemon_it_is_told_what_the_daemon_said(project):
    until = AT + timedelta(hours=1)
    blocked = word(KAFKA, "blocked", reason="danger: x", next_step="take it back", until=until)
    with daemon_that_said(project, blocked, word(MYSQL)):
        ended, found = project.reconciler("status"), project.reconciler("status", "--format", "json")
    assert "blocked  2026-11-21 21:02:11Z  2026-11-21 22:02:11Z  danger: x      take it back" in ended.out
    source, counts = ended.err.splitlines()
    assert re.fullmatch(r"as the daemon sees it \(process \d+ on \S+, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\)", source)
    assert counts == "2 tasks: 1 blocked, 1 synced"
    assert (found.json["source"], found.err) == ("daemon", "")
    assert [(row["task"], row["state"]) for row in found.json["tasks"]] == [(MYSQL, "synced"), (KAFKA, "blocked")]


def test_beside_a_daemon_neither_files_nor_secrets_are_needed(project, monkeypatch):
    shutil.rmtree(project.desired)
    monkeypatch.delenv("OMS_STORE_PASSWORD")
    with daemon_that_said(project, word(KAFKA)):
        assert states(project) == {KAFKA: "synced"}
        assert project.reconciler("explain", KAFKA).out.startswith(f"{KAFKA} is synced since 2026-11-21 21:02:11Z")


def test_a_daemon_that_said_nothing_yet_is_told_so(project):
    with daemon_that_said(project):
        assert "the daemon has said nothing of any task yet" in project.reconciler("status").err
        ended = project.reconciler("explain", KAFKA)
    assert (ended.code, ended.out) == (0, "")
    assert "reconciler sync asks it to look" in ended.err


def test_another_process_that_calls_is_no_daemon(project):
    with daemon_that_said(project, word(KAFKA), purpose="apply"):
        ended = project.reconciler("status")
    assert "no daemon runs" in ended.err
    assert ended.out.count("blocked") == 3


@pytest.mark.parametrize("command", ["status", "explain"])
@pytest.mark.parametrize(
    ("name", "problem"),
    [("shop/orde", 'did you mean "shop/orders"?'), (f"{KAFKA}x", f'did you mean "{KAFKA}"?'), ("zzz", 'named "zzz"')],
    ids=["said of", "in the files", "nothing like it"],
)
def test_a_name_that_nobody_knows_is_wrong_usage(project, command, name, problem):
    with daemon_that_said(project, word("shop/orders")):
        ended = project.reconciler(command, name)
    assert (ended.code, ended.out) == (64, "")
    assert problem in ended.err


def test_a_folder_is_a_name_as_well(project):
    with daemon_that_said(project, word("shop/a"), word("shop/b"), word("shopping")):
        out = project.reconciler("explain", "shop/").out
    assert [line.split(" is ")[0] for line in out.splitlines()] == ["shop/a", "shop/b"]


# --- tables ------------------------------------------------------------------------------------------------------------


def test_a_table_wider_than_the_terminal_becomes_blocks(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = on_a_terminal(project, monkeypatch, "status")
    assert f"{KAFKA}  blocked" in out
    assert f"    next: reconciler adopt {KAFKA}, or apply --force new_tasks --reason TEXT" in out


def test_a_table_that_fits_the_terminal_stays_one(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    heads, *rows = on_a_terminal(project, monkeypatch, "status").splitlines()
    assert (heads.split()[0], len(rows)) == ("task", 3)
    assert all(line == line.rstrip() for line in rows)


def on_a_terminal(project, monkeypatch, *arguments):
    """What a command prints where standard output says that it is a terminal."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    with monkeypatch.context() as here:
        here.setattr(sys, "stdout", screen)
        assert run(["--color", "never", *arguments]) == 0
    return screen.getvalue()
