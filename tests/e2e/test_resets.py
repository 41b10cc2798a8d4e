"""Resets by real processes: killed at every stage and gone on with; raced for by several; at most one is ever sent."""

import subprocess
import threading

import pytest

from reconciler.model import Stage
from tests.e2e.daemons import Site, until
from tests.integration.resets import HOUR_S, PROGRESS, PROJECT, RESET, RESUME, STOP, Resets
from tests.projects import command, environment

FINAL = ("done", "unconfirmed", "refused", "unknown")


@pytest.fixture
def resets(site: Site) -> Resets:
    site.configure(
        policy={"new_tasks": "hold"},
        targets_default={"edition": "EE", "version": "4.3.1", "allow_reset": True, "log_retention_h": 8000},
    )
    site.oms.set_timing(suspend_s=60.0, reset_s=60.0, resume_s=60.0)
    return Resets(site, 24 * HOUR_S)


@pytest.fixture
def applying(site):
    """Starts `apply` as a process of its own."""
    started = []

    def start():
        process = subprocess.Popen(
            command("apply", "--yes"),
            cwd=site.root,
            env=environment(**site.environment, OMS_PASSWORD="simulator"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def kill_at(resets, stage, action, kill):
    """Kill just when such a call arrives while the ledger is at a stage."""
    dead = threading.Event()

    def watch(request):
        if not dead.is_set() and request.action == action and resets.stage == stage:
            kill()
            dead.set()

    resets.bench.oms.watch = watch
    return dead


KILLS = [
    pytest.param("stopping", STOP, {}, "done", id="stop sent"),
    pytest.param("stopping", STOP, {"kind": "close"}, "done", id="stop not sent"),
    pytest.param("stopping", PROGRESS, {}, "done", id="stopping"),
    pytest.param("sending", RESET, {}, "unknown", id="reset sent"),
    pytest.param("sending", RESET, {"kind": "close"}, "unknown", id="reset not sent"),
    pytest.param("accepted", PROGRESS, {}, "done", id="accepted"),
    pytest.param("resuming", RESUME, {}, "done", id="resume sent"),
    pytest.param("resuming", RESUME, {"kind": "close"}, "done", id="resume not sent"),
    pytest.param("returning", RESUME, {"kind": "param_error", "action": RESET}, "refused", id="returning"),
]


@pytest.mark.parametrize(("stage", "action", "fault", "end"), KILLS)
def test_reset_killed_at_any_stage_ends_well_and_is_sent_once(resets, applying, stage, action, fault, end):
    site = resets.bench
    if fault:
        site.fault(fault["kind"], action=fault.get("action", action))
    process = applying()
    until(kill_at(resets, stage, action, process.kill).is_set, f"{action} at {stage}")
    process.wait()
    assert resets.stage == stage
    resets.run()
    assert resets.stage == end
    assert resets.calls.count(RESET) == 1
    until(lambda: site.oms.project(PROJECT).status == ("SUSPEND" if end == "unknown" else "RUNNING"), "the project")
    assert site.store.verify_journal() > 0


def test_daemon_goes_on_with_a_reset_that_a_killed_one_began(site, resets):
    dead = kill_at(resets, "accepted", PROGRESS, site.launch().kill)
    until(dead.is_set, "the kill")
    daemon = site.launch()
    daemon.until(lambda: resets.stage == "done", "the reset done")
    assert resets.executed == [STOP, RESET, RESUME]


def test_daemon_says_loudly_that_an_outcome_is_unknown(site, resets):
    site.fault("close", action=RESET)
    daemon = site.launch()
    line = daemon.says("it is not known whether it was carried out", level="error")
    assert "project np_0 stays stopped" in line["event"]
    assert resets.stage == "unknown"


def test_two_that_apply_at_once_beside_a_daemon_send_one_reset(site, resets, applying):
    site.launch()
    processes = [applying(), applying()]
    until(lambda: resets.stage in FINAL, "the end of the reset")
    for process in processes:
        process.wait(30)
    assert resets.stage == Stage.DONE.value
    assert resets.calls == [STOP, RESET, RESUME]
