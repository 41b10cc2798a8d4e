import io
import json
import shutil
import socket
import subprocess
import sys
import time

import pytest

from reconciler.simulator.faults import Rule
from tests.projects import KAFKA, MYSQL, ORACLE, SECRETS, environment

HOLD = """
import sys
from pathlib import Path
from reconciler import wiring
from reconciler.config import load
store = wiring.open_store(load(Path("reconciler.toml")), read_only=False)
with store.writer_lock(1, "apply"):
    print("held", flush=True)
    sys.stdin.read()
store.close()
"""


@pytest.fixture
def known(project):
    """All tasks known, and one edited."""
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    return project


def plan_id(project, *tasks):
    return project.reconciler("plan", *tasks, "--format", "json").json["id"]


# --- what is done ----------------------------------------------------------------------------------------------------


def test_a_difference_is_sent_once_and_then_there_is_none(known):
    ended = known.reconciler("apply", "--yes")
    assert (ended.code, len(known.updates)) == (0, 1)
    assert ended.out.endswith("Done: 1 applied.\n") or "1 applied, 2 unchanged" in ended.out
    assert known.updates[0].body["config"]["sink"]["workerNum"] == "13"
    again = known.reconciler("apply", "--yes")
    assert (again.code, len(known.updates)) == (0, 1)
    assert again.out.endswith("Done: 3 unchanged.\n")


def test_the_plan_is_shown_and_progress_goes_to_standard_error(known):
    ended = known.reconciler("apply", "--yes")
    assert ended.out.startswith(f"{KAFKA}  update: restarts the component")
    steps = [line.removeprefix(f"{KAFKA}: ") for line in ended.err.splitlines()]
    assert [step.split(",")[0].split(" of ")[0] for step in steps] == ["update", "accepted", "applied: RUNNING"]
    assert f"ticket {known.updates[0].ticket}" in steps[1]


def test_json_says_what_became_of_each_item(known):
    ended = known.reconciler("apply", "--yes", "--format", "json")
    (row,) = ended.json["results"]
    call = known.updates[0]
    assert (row["task"], row["action"], row["status"]) == (KAFKA, "update", "applied")
    assert (row["ticket"], row["request_id"]) == (call.ticket, call.request_id)
    assert (ended.json["summary"]["applied"], ended.json["summary"]["unchanged"]) == (1, 2)


def test_a_removed_key_is_deleted_where_that_is_allowed(project):
    project.adopted().edit(MYSQL, "sink", "printSql")
    assert project.reconciler("apply", "--yes").code == 0
    assert project.updates[0].body["allowDelete"] is True


def test_only_named_tasks_are_sent(known):
    known.edit(ORACLE, "sink", workerNum="17")
    assert known.reconciler("apply", "--yes", ORACLE).code == 0
    assert [call.body["config"]["sink"]["workerNum"] for call in known.updates] == ["17"]


def test_a_folder_means_the_tasks_in_it(known):
    (known.desired / "shop").mkdir()
    (known.desired / KAFKA).rename(known.desired / "shop" / KAFKA)
    known.edit(ORACLE, "sink", workerNum="17")
    assert known.reconciler("apply", "--yes", "shop").code == 0
    assert [call.body["config"]["sink"]["workerNum"] for call in known.updates] == ["13"]


def test_a_renamed_folder_is_taken_over_without_a_call_and_without_a_question(project, terminal):
    project.adopted()
    (project.desired / KAFKA).rename(project.desired / "billing")
    terminal("")
    ended = project.reconciler("apply")
    assert (ended.code, project.simulator.calls) == (0, ())
    assert f"takes over the record of {KAFKA}" in ended.out
    assert [row["kind"] for row in project.reconciler("history", "billing", "--format", "json").json["entries"]] == [
        "takeover"
    ]


def test_new_tasks_may_be_adopted_by_policy(project):
    project.configure(new_tasks="adopt")
    ended = project.reconciler("apply", "--yes")
    assert (ended.code, project.simulator.calls) == (0, ())
    assert ended.out.endswith("Done: 3 adopted.\n")


# --- exit codes: 1 before 3 before 0 ---------------------------------------------------------------------------------


def invalid(project):
    project.break_(ORACLE)


def held(project):
    project.edit(MYSQL, "coordinator", taskSubId="2")


def refused(project):
    project.simulator.add_fault(Rule("param_error", action="UpdateIncrSync"))


def vanished(project):
    project.simulator.remove(next(c.name for c in project.simulator.components if "np_4x9j00000002" in c.name))


def breaks(project):
    project.simulator.add_fault(Rule("exception", action="UpdateIncrSync"))


def stuck(project):
    project.configure(verify_s=0.3)
    project.simulator.add_fault(Rule("ticket_stuck", action="UpdateIncrSync"))


def unauthorized(project):
    project.simulator.add_fault(Rule("http", parameters={"status": 401}, times=None))


def unverifiable(project):
    project.simulator.add_fault(Rule("param_error", action="DescribeProjectComponents", skip=1, times=None))


def orphan(project):
    shutil.rmtree(project.desired / ORACLE)


def suspension(project):
    project.reconciler("suspend", KAFKA, "--reason", "x")


@pytest.mark.parametrize(
    ("states", "code", "word"),
    [
        ([], 0, "applied"),
        ([orphan], 0, "applied"),
        ([suspension], 0, "suspended"),
        ([stuck], 0, "unconfirmed"),
        ([unverifiable], 0, "not-verified"),
        ([held], 3, "applied"),
        ([vanished], 3, "blocked"),
        ([invalid], 1, "applied"),
        ([refused], 1, "failed"),
        ([breaks], 1, "failed"),
        ([unauthorized], 1, "pending"),
        ([held, refused], 1, "failed"),
        ([invalid, held], 1, "applied"),
    ],
    ids=lambda value: "+".join(each.__name__ for each in value) or "nothing" if isinstance(value, list) else None,
)
def test_the_exit_code_is_the_first_that_holds(known, states, code, word):
    for make in states:
        make(known)
    ended = known.reconciler("apply", "--yes")
    assert ended.code == code
    assert f"1 {word}" in ended.out.splitlines()[-1]


def test_with_json_the_exit_code_is_the_same_and_the_summary_counts(known):
    invalid(known)
    ended = known.reconciler("apply", "--yes", "--format", "json")
    counts = {word: number for word, number in ended.json["summary"].items() if number}
    assert (ended.code, counts) == (1, {"applied": 1, "unchanged": 1, "invalid": 1})


def test_a_failed_task_stays_1_and_is_not_sent_again(known):
    refused(known)
    for _ in range(2):
        assert known.reconciler("apply", "--yes").code == 1
    assert len(known.updates) == 1


def test_in_observe_mode_it_is_3_and_nothing_is_called(known):
    known.configure(mode="observe")
    ended = known.reconciler("apply", "--yes", "--format", "json")
    assert (ended.code, known.simulator.calls) == (3, ())
    assert ended.json["refused"] == 'policy.mode is "observe": nothing is called'
    assert ended.json["refused"] in ended.err


def test_in_observe_mode_an_invalid_task_is_still_1(known):
    known.configure(mode="observe")
    invalid(known)
    assert known.reconciler("apply", "--yes").code == 1


def test_a_missing_password_of_a_target_is_1_and_spoils_no_other_target(known):
    known.edit(ORACLE, "task", target="other", protect=[])
    (known.root / "reconciler.toml").write_text(
        (known.root / "reconciler.toml").read_text()
        + f'[targets.other]\nurl = "{known.url}"\nusername = "admin"\npassword = "${{env:NOWHERE}}"\n'
    )
    known.reconciler("adopt", ORACLE)
    known.edit(ORACLE, "sink", workerNum="17")
    ended = known.reconciler("apply", "--yes")
    assert (ended.code, ended.out.splitlines()[-1]) == (1, "Done: 1 applied, 1 pending, 1 unchanged, 1 orphaned.")
    assert ended.err.count(f"{ORACLE}: pending: ") == 1
    assert "targets.other.password: ${env:NOWHERE}: the environment has no variable NOWHERE" in ended.err


def test_when_a_target_refuses_its_account_each_task_says_once_that_it_was_not_sent(known):
    known.edit(ORACLE, "sink", workerNum="17")
    unauthorized(known)
    ended = known.reconciler("apply", "--yes")
    lines = [line for line in ended.err.splitlines() if ": pending: " in line]
    assert (ended.code, sorted(line.split(":")[0] for line in lines)) == (1, [KAFKA, ORACLE])


# --- asking ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch):
    """Somebody at a terminal who types an answer."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    return lambda answer: monkeypatch.setattr(sys, "stdin", Terminal(answer))


def test_without_a_terminal_and_without_yes_it_is_64(known):
    ended = known.reconciler("apply")
    assert (ended.code, ended.out) == (64, "")
    assert "without a terminal nobody can be asked: add --yes" in ended.err


@pytest.mark.parametrize(("answer", "code", "sent"), [("y\n", 0, 1), ("n\n", 3, 0), ("\n", 3, 0)])
def test_at_a_terminal_it_asks_before_it_sends(known, terminal, answer, code, sent):
    terminal(answer)
    ended = known.reconciler("apply")
    assert (ended.code, len(known.updates)) == (code, sent)
    assert "Send 1 update? It restarts the component. [y/N]" in ended.out + ended.err
    assert ("nothing was done" in ended.err) == (not sent)


def test_the_end_of_input_is_no_answer(known, terminal):
    terminal("")
    ended = known.reconciler("apply")
    assert (ended.code, len(known.updates)) == (130, 0)


def test_when_nothing_would_be_done_nobody_is_asked(project, terminal):
    terminal("")
    assert project.adopted().reconciler("apply").code == 0


def test_when_everything_is_held_nobody_is_asked(project, terminal):
    terminal("")
    assert project.reconciler("apply").code == 3


def test_when_everything_is_frozen_nobody_is_asked(project, terminal):
    for number in range(5):
        shutil.copytree(project.desired / KAFKA, project.desired / f"copy-{number}")
        project.edit(f"copy-{number}", "task", component={"project": f"np_{number}", "link": "forward"})
    project.adopted()
    for number in range(5):
        shutil.rmtree(project.desired / f"copy-{number}")
    project.edit(KAFKA, "sink", workerNum="13")
    terminal("")
    ended = project.reconciler("apply")
    assert (ended.code, len(project.updates)) == (3, 0)
    assert "vanished: 5 of 8 known tasks are gone" in ended.out


def test_adopting_by_policy_asks_another_question(project, terminal):
    project.configure(new_tasks="adopt")
    terminal("y\n")
    ended = project.reconciler("apply")
    assert "Record these tasks as applied? [y/N]" in ended.out + ended.err
    assert ended.code == 0


def test_yes_lifts_no_rail(project):
    assert project.reconciler("apply", "--yes").code == 3
    assert project.updates == ()


# --- wrong usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nope"], 'no task or folder of tasks is named "nope"'),
        (["oceanbase-to-kafk"], 'did you mean "oceanbase-to-kafka"?'),
        (["--force", "new_tasks"], "--force and --resend need --reason TEXT"),
        (["--force", "new_tasks", "--reason", " "], "--force and --resend need --reason TEXT"),
        (["--force", "protect", "--reason", "x"], '"protect" is no rail that can be forced; these can: new_tasks'),
        (["--resend", KAFKA], "--force and --resend need --reason TEXT"),
        (["--resend", "--reason", "x"], "--resend needs the names of tasks"),
        (["--plan", "nowhere.json"], "--plan nowhere.json: neither a file nor a plan's id"),
        (["--plan", "abc"], "--plan abc: neither a file nor a plan's id (8 to 64 hexadecimal digits)"),
        (["--plan", "reconciler.toml"], "--plan reconciler.toml: not JSON"),
        (["--plan", "desired_state/oceanbase-to-kafka/sink.json"], "not a plan of version 1"),
        (["--lock-timeout", "-1"], "Invalid value for '--lock-timeout'"),
    ],
)
def test_wrong_usage_is_64_and_nothing_is_done(known, arguments, problem):
    ended = known.reconciler("apply", "--yes", *arguments, "--format", "json")
    assert (ended.code, known.simulator.calls) == (64, ())
    assert problem in ended.err
    assert problem in ended.json["error"]["message"]


# --- rails -----------------------------------------------------------------------------------------------------------


def test_a_forced_rail_is_shown_and_written_down_with_its_reason(project):
    project.keep(KAFKA)
    ended = project.reconciler("apply", "--yes", "--force", "new_tasks", "--reason", "first roll-out")
    assert (ended.code, len(project.updates)) == (0, 1)
    assert "! forced: new_tasks" in ended.out
    rows = project.reconciler("history", KAFKA, "--format", "json").json["entries"]
    (intent,) = [row for row in rows if row["kind"] == "intent"]
    assert "new_tasks" in json.dumps(intent["detail"])
    assert "first roll-out" in json.dumps(intent["detail"])


def test_resend_where_every_call_needs_an_approval_says_that_none_can_be_given(project):
    project.adopted().configure(mode="approve")
    ended = project.reconciler("apply", "--yes", "--resend", KAFKA, "--reason", "x")
    assert (ended.code, project.updates) == (64, ())
    assert '--resend under policy.mode "approve"' in ended.err
    assert 'set policy.mode = "auto"' in ended.err
    assert "reconciler approve PLAN" not in ended.err


# --- a position that is too old, which only the call meets ------------------------------------------------------------


@pytest.fixture
def behind(project):
    """A deletion whose component is 79 minutes behind."""
    project.adopted().edit(MYSQL, "coordinator", "throttleIOPS")
    (key,) = {json.loads((project.desired / MYSQL / "task.json").read_text())["key"]}
    project.simulator.set_component(key, status="STOPPED", checkpoint=time.time() - 79 * 60)
    return project


def rails_of(project):
    """(state, names, task) of rows of the rail, oldest first."""
    entries = reversed(project.reconciler("history", MYSQL, "--format", "json").json["entries"])
    found = [entry["detail"] for entry in entries if entry["kind"] == "rail"]
    return [(row["state"], row["names"]) for row in found if row["rail"] == "checkpoint"]


def test_what_was_held_just_before_the_call_is_blocked_by_a_rail(behind):
    ended = behind.reconciler("apply", "--yes", "--format", "json")
    row = next(row for row in ended.json["results"] if row["task"] == MYSQL)
    assert (ended.code, row["status"], behind.updates) == (3, "blocked", ())
    assert row["message"].startswith("checkpoint: the newest checkpoint that OMS reports is 79 min old")
    behind.reconciler("apply", "--yes")
    assert rails_of(behind) == [("tripped", [MYSQL])]
    assert "was held when it was tried last: checkpoint: the newest" in behind.reconciler("plan").out


def test_status_and_explain_say_what_the_call_met(behind):
    behind.reconciler("apply", "--yes")
    said = behind.reconciler("status", "--format", "json").json
    row = next(row for row in said["tasks"] if row["task"] == MYSQL)
    assert (row["state"], row["reason"].partition(" the newest")[0]) == ("blocked", "checkpoint:")
    assert row["next"] == (
        "wait until the component has caught up and apply again, or apply --force checkpoint --reason TEXT"
    )
    (rail,) = (rail for rail in said["rails"] if rail["name"] == "checkpoint")
    assert (rail["state"], rail["tasks"]) == ("tripped", 1)
    assert f"{MYSQL} is blocked: checkpoint: the newest" in behind.reconciler("explain", MYSQL).out


@pytest.mark.parametrize(
    ("caught_up", "more", "states"),
    [
        pytest.param(True, (), ["tripped", "released"], id="caught up"),
        pytest.param(
            False,
            ("--force", "checkpoint", "--reason", "x"),
            ["tripped", "overridden", "released"],
            id="lifted",
        ),
    ],
)
def test_the_rail_is_released_when_the_call_was_made(behind, caught_up, more, states):
    behind.reconciler("apply", "--yes")
    if caught_up:
        (key,) = {json.loads((behind.desired / MYSQL / "task.json").read_text())["key"]}
        behind.simulator.set_component(key, checkpoint=time.time())
    behind.reconciler("apply", "--yes", *more)
    assert len(behind.updates) == 1
    behind.reconciler("apply", "--yes")
    assert rails_of(behind) == [(state, [MYSQL]) for state in states]
    assert "checkpoint" not in behind.reconciler("status").err.partition("Rails:")[2]


def test_resend_sends_the_whole_content_without_a_difference(project):
    project.adopted()
    ended = project.reconciler("apply", "--yes", "--resend", KAFKA, "--reason", "edited in the console")
    assert (ended.code, len(project.updates)) == (0, 1)
    assert project.updates[0].body["config"]["sink"] == {"workerNum": "12"}
    assert "sent without a difference, as asked by --resend" in ended.out
    assert project.reconciler("apply", "--yes").out.endswith("Done: 3 unchanged.\n")


# --- a plan that was read before -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [8, 16, 64])
def test_a_plan_is_carried_out_by_its_id_or_the_beginning_of_it(known, length):
    assert known.reconciler("apply", "--yes", "--plan", plan_id(known)[:length]).code == 0
    assert len(known.updates) == 1


def test_the_id_that_plan_prints_is_long_enough(known):
    printed = known.reconciler("plan").out.splitlines()[-1].split()[1].rstrip(":")
    assert known.reconciler("apply", "--yes", "--plan", printed).code == 0


def test_a_saved_plan_is_carried_out(known):
    known.reconciler("plan", "--out", "plan.json")
    assert known.reconciler("apply", "--yes", "--plan", "plan.json").code == 0
    assert len(known.updates) == 1


def test_a_saved_plan_of_some_tasks_is_one_of_those_tasks(known):
    known.edit(ORACLE, "sink", workerNum="17")
    known.reconciler("plan", KAFKA, "--out", "plan.json")
    assert known.reconciler("apply", "--yes", "--plan", "plan.json").code == 0
    assert [call.body["config"]["sink"]["workerNum"] for call in known.updates] == ["13"]


def edited(project):
    project.edit(KAFKA, "sink", workerNum="14")


def carried_out(project):
    project.reconciler("apply", "--yes")


def adopted(project):
    project.reconciler("adopt", KAFKA)


def removed(project):
    shutil.rmtree(project.desired / KAFKA)


def broken(project):
    project.break_(KAFKA)


@pytest.mark.parametrize("change", [edited, carried_out, adopted, removed])
@pytest.mark.parametrize("saved", [True, False], ids=["file", "id"])
def test_a_plan_goes_stale_when_anything_it_stands_on_changes(known, change, saved):
    known.reconciler("plan", "--out", "plan.json")
    wanted = "plan.json" if saved else plan_id(known)
    change(known)
    calls = len(known.simulator.calls)
    ended = known.reconciler("apply", "--yes", "--plan", wanted, "--format", "json")
    assert (ended.code, len(known.simulator.calls)) == (3, calls)
    saved_id = plan_id_of(known, "plan.json")[:16]
    why = (
        f"plan {saved_id} was carried out before"
        if change is carried_out
        else f"the plan is not {saved_id} any more but "
    )
    assert ended.json["refused"].startswith(why)
    assert {row["status"] for row in ended.json["results"]} <= {"orphaned"}  # nothing was tried


def plan_id_of(project, file):
    return json.loads((project.root / file).read_text())["id"]


def test_a_stale_plan_with_an_invalid_task_is_1(known):
    known.reconciler("plan", "--out", "plan.json")
    broken(known)
    assert known.reconciler("apply", "--yes", "--plan", "plan.json").code == 1


def test_a_plan_of_other_tasks_is_another_plan(known):
    ended = known.reconciler("apply", "--yes", KAFKA, "--plan", plan_id(known, ORACLE))
    assert (ended.code, len(known.updates)) == (3, 0)
    assert "other tasks were named" in ended.err


def test_other_policy_makes_another_plan(known):
    wanted = plan_id(known)
    known.configure(new_tasks="apply")
    assert known.reconciler("apply", "--yes", "--plan", wanted).code == 3


def test_what_changes_between_question_and_answer_is_not_done(known, monkeypatch):
    class Slow(io.StringIO):
        def isatty(self):
            return True

        def readline(self, *_size):
            known.edit(KAFKA, "sink", workerNum="15")
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Slow())
    ended = known.reconciler("apply")
    assert (ended.code, len(known.updates)) == (3, 0)
    assert "changed since the plan was shown; nothing was done, run apply again" in ended.err


# --- the lock --------------------------------------------------------------------------------------------------------


@pytest.fixture
def other_process(known):
    """Another process that holds the right to call."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, cwd=known.root, env=environment(), stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("format_", ["text", "json"])
def test_while_another_process_calls_it_is_3_and_names_the_holder(known, other_process, format_):
    ended = known.reconciler("apply", "--yes", "--lock-timeout", "0.2", "--format", format_)
    assert (ended.code, known.simulator.calls) == (3, ())
    assert f"held by apply (process {other_process.pid} on {socket.gethostname()}, since " in ended.err
    assert "waited 0.2 s" in ended.err
    if format_ == "json":
        assert ended.json["error"]["kind"] == "StoreLockedError"


def test_the_lock_is_not_needed_when_nothing_is_to_do(known, other_process):
    known.edit(KAFKA, "sink", workerNum="12")
    assert known.reconciler("apply", "--yes", "--lock-timeout", "0").code == 0


def test_the_other_commands_do_not_wait_for_the_lock(known, other_process):
    for arguments in (["plan"], ["status"], ["history"], ["suspend", KAFKA, "--reason", "x"], ["resume", KAFKA]):
        assert known.reconciler(*arguments).code in (0, 2)


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_a_server_that_echoes_the_request_gives_no_secret_away(project):
    project.configure(new_tasks="apply")
    project.keep(MYSQL)
    project.simulator.add_fault(Rule("echo", action="UpdateIncrSync"))
    outputs = [project.reconciler("apply", "--yes", "--format", format_) for format_ in ("json", "text")]
    outputs += [project.reconciler(*arguments) for arguments in (["status"], ["history"], ["explain", MYSQL])]
    assert outputs[0].code == 1
    assert SECRETS["SHOP_SINK_PASSWORD"] in project.updates[0].raw.decode()  # the server did know it
    assert [value for value in SECRETS.values() for ended in outputs if value in ended.out + ended.err] == []


def test_an_empty_secret_blocks_its_task(known, monkeypatch):
    monkeypatch.setenv("SHOP_SINK_PASSWORD", "")
    ended = known.reconciler("apply", "--yes")
    assert (ended.code, len(known.updates)) == (3, 1)
    assert "secret: ${env:SHOP_SINK_PASSWORD}: is empty" in ended.out


def test_failed_and_blocked_tasks_are_named_in_json(project):
    project.edit(KAFKA, "sink", workerNum="abc")
    project.reconciler("suspend", MYSQL, "--reason", "x")
    rows = {row["task"]: row for row in project.reconciler("apply", "--yes", "--format", "json").json["results"]}
    assert (rows[KAFKA]["status"], rows[MYSQL]["status"]) == ("invalid", "suspended")
    assert "workerNum" in rows[KAFKA]["message"]


def test_the_question_tells_deletions_and_restarts(known, terminal):
    known.edit(MYSQL, "sink", "printSql")
    terminal("n\n")
    ended = known.reconciler("apply")
    assert "Send 2 updates, 1 of them with deletion? They restart 2 components. [y/N]" in ended.out + ended.err


def test_a_task_that_failed_is_failed_in_the_next_run_too(known):
    known.simulator.add_fault(Rule("param_error", "UpdateIncrSync"))
    known.reconciler("apply", "--yes")
    report = known.reconciler("apply", "--yes", "--format", "json").json
    (row,) = (row for row in report["results"] if row["task"] == KAFKA)
    assert (row["status"], report["summary"]["failed"], len(known.updates)) == ("failed", 1, 1)
