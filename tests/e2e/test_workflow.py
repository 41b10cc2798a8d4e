"""The program as people and shells meet it."""

import json
import os
import pty
import signal
import subprocess
import sys

import httpx
import pytest

from reconciler.simulator.faults import Rule
from tests.projects import ACCOUNT, KAFKA, MYSQL, ORACLE, SECRETS, command, environment


def shell(project, line, **environ):
    """A line of bash in which `reconciler` is the program."""
    function = f'reconciler() {{ {sys.executable} -m reconciler "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", function + line],
        cwd=project.root,
        env=environment(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_from_the_first_look_to_the_second_change(project):
    run = project.reconciler
    assert run("validate").code == 0
    assert run("plan").code == 3  # new tasks are held
    assert run("adopt", "--all").code == 0
    assert run("plan").code == 0
    project.edit(MYSQL, "sink", "printSql", workerNum="17")
    assert run("plan", "--out", "plan.json").code == 2
    assert run("apply", "--yes", "--plan", "plan.json").code == 0
    assert run("apply", "--yes", "--plan", "plan.json").code == 3  # a plan runs once
    assert run("plan").code == 0
    assert [(call.body["allowDelete"], call.body["config"]["sink"]["workerNum"]) for call in project.updates] == [
        (True, "17")
    ]
    assert run("history", "--verify").err == "journal intact: 7 rows\n"
    project.break_(ORACLE)
    assert run("apply", "--yes").code == 1
    assert len(project.updates) == 1


SENTINELS = tuple(value.encode() for value in (*SECRETS.values(), "sentinel-of-another-day"))


def test_no_secret_is_in_any_output_or_file(project):
    project.configure(new_tasks="apply")
    project.simulator.add_fault(Rule("echo", action="UpdateIncrSync", component="*np_4x9j00000001*", times=2))
    project.simulator.add_fault(
        Rule("not_json", action="UpdateIncrSync", parameters={"body": " ".join(SECRETS.values())})
    )
    lines = [
        ["validate"],
        *(["plan", "--full", "--format", name] for name in ("text", "json", "markdown")),
        ["plan", "--out", "plan.json"],
        ["apply", "--yes", "--format", "json"],
        ["retry", MYSQL],
        ["apply", "--yes"],
        *(
            [name, *more, "--format", format_]
            for format_ in ("text", "json")
            for name, *more in (["status"], ["explain", MYSQL], ["history"])
        ),
        ["history", "--verify"],
    ]
    outputs = [project.reconciler(*line) for line in lines]
    outputs.append(project.reconciler("plan", SHOP_SINK_PASSWORD="sentinel-of-another-day"))
    outputs.append(project.reconciler("apply", "--yes", SHOP_SINK_PASSWORD="sentinel-of-another-day"))
    outputs.append(project.reconciler("plan", RECONCILER_TARGETS__DEFAULT__URL=f"http://{ACCOUNT}@127.0.0.1"))
    outputs.append(project.reconciler("plan", RECONCILER_TARGETS__DEFAULT__PASSWORD="${sentinel-of-oms}"))
    assert any(value in call.raw for call in project.updates for value in SENTINELS)  # they were sent
    said = [ended.out + ended.err for ended in outputs]
    assert [value for value in SENTINELS for text in said if value.decode() in text] == []
    files = [path for path in project.root.rglob("*") if path.is_file()]
    assert {"reconciler.db", "fingerprint.key", "plan.json"} <= {path.name for path in files}
    assert [(value, path) for path in files for value in SENTINELS if value in path.read_bytes()] == []


# --- pipes and signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["plan --full", "plan --format json", "status", "history", "validate --format json", "schema sink", "--help"],
)
def test_a_reader_that_has_seen_enough_causes_no_traceback(project, line):
    done = shell(project, f"reconciler {line} | head -1")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_what_a_call_had_to_say_to_nobody_does_not_leave_it_without_an_outcome(project):
    assert project.reconciler("adopt", "--all").code == 0
    project.edit(KAFKA, "sink", workerNum="13")
    shell(project, "reconciler apply --yes 2>&1 >/dev/null | true")
    assert len(project.updates) == 1
    assert project.reconciler("plan").code == 0  # accepted, and written down


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_without_standard_streams_the_exit_code_is_the_same(project, closed):
    assert shell(project, f"reconciler plan {closed}").returncode == 3
    assert shell(project, f"reconciler status {closed}").returncode == 0
    assert shell(project, f"reconciler apply <&- {closed}").returncode == 64


def test_data_that_cannot_be_written_is_no_success(project):
    assert shell(project, "reconciler plan --format json > /dev/full").returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_during_apply_is_130_and_the_state_is_told_afterwards(project, start, number):
    assert project.reconciler("adopt", "--all").code == 0
    project.configure(verify_s=60)
    project.edit(KAFKA, "sink", workerNum="13")
    project.simulator.add_fault(Rule("ticket_stuck", action="UpdateIncrSync"))
    process = start("apply", "--yes", "--format", "json", cwd=project.root)
    assert project.simulator.wait_until(lambda simulator: simulator.calls_of("UpdateIncrSync"))
    while "accepted" not in process.stderr.readline():
        pass
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "no further call is made; reconciler status shows where things stand" in err
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert json.loads(out)["error"]["message"] == "interrupted"
    assert f"ticket {project.updates[0].ticket}" in project.reconciler("explain", KAFKA).out


# --- terminals and encodings -----------------------------------------------------------------------------------------


def on_terminal(project, *arguments, **environ):
    """What a command writes on a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command(*arguments),
        cwd=project.root,
        env=environment(TERM="xterm", **environ),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    pieces = []
    try:
        while piece := os.read(leader, 65536):
            pieces.append(piece)
    except OSError:  # EIO: the program has closed its end
        pass
    os.close(leader)
    assert process.wait(timeout=10) in (0, 2, 3)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("name", ["plan", "status"])
def test_a_terminal_gets_colour_unless_it_is_not_wanted(project, name):
    assert "\x1b[" in on_terminal(project, name)
    assert "\x1b[" not in on_terminal(project, name, NO_COLOR="1")
    assert "\x1b[" not in on_terminal(project, "--color", "never", name)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("line", [["plan", "--full"], ["status"], ["validate"], ["adopt", "--all"]])
def test_names_that_the_encoding_lacks_are_no_crash(project, encoding, line):
    (project.desired / KAFKA).rename(project.desired / "日本-caf\udce9")
    (project.desired / MYSQL).rename(project.desired / "日本")
    ended = project.reconciler(*line, PYTHONIOENCODING=encoding)
    assert "Traceback" not in ended.err
    assert "defect" not in ended.err
    assert r"caf\udce9" in ended.out


# --- completion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete --no-files")])
def test_each_shell_gets_its_completion(project, name, word):
    done = subprocess.run(
        [sys.executable, "-m", "reconciler"],
        env=environment(_RECONCILER_COMPLETE=f"{name}_source"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert word in done.stdout
    assert "_RECONCILER_COMPLETE" in done.stdout


# --- the simulator ---------------------------------------------------------------------------------------------------


def test_simulate_serves_the_components_of_the_desired_state_until_it_is_stopped(project, start):
    (project.root / "faults.json").write_text('{"kind": "inner_error", "action": "DescribeRegions"}')
    process = start(
        *("simulate", "--port", "0", "--desired-state", "desired_state", "--faults", "faults.json"),
        *("--switch", "merge=deep", "--switch", "healthy=false", "--speed", "50", "--credentials", ACCOUNT),
        cwd=project.root,
    )
    line = process.stderr.readline()
    url = line.split(" on ")[1].split()[0]
    assert line.endswith("with 3 components; it is no OMS\n")
    state = httpx.get(f"{url}/simulator/state", timeout=5).json()
    assert (state["switches"]["merge"], state["switches"]["healthy"], len(state["faults"])) == ("deep", False, 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0


def test_simulate_begins_with_a_fleet_of_a_file(project, start):
    fleet = [{"id": "np_1", "components": [{"name": "c-1"}, {"name": "c-2"}]}]
    (project.root / "fleet.json").write_text(json.dumps({"projects": fleet}))
    process = start("simulate", "--port", "0", "--fleet", "fleet.json", "--verbose", cwd=project.root)
    assert "with 2 components" in process.stderr.readline()
