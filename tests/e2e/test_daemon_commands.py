"""Commands beside a running daemon, and a second daemon on the same state."""

import shutil
import socket
import time

import pytest

SEEN_S = 2.0
"""A command is seen within a second; the rest is for a busy machine."""


# --- two on one state ----------------------------------------------------------------------------------------------------


def test_whoever_else_wants_to_call_ends_with_3_and_names_the_holder(site):
    first = site.started_with("shop")
    second = site.launch()
    applied = site.run("apply", "--yes", "--resend", "shop", "--reason", "to see who is there")
    assert (second.wait(), applied.code) == (3, 3)
    holder = f"run (process {first.pid} on {socket.gethostname()}, since"
    assert holder in second.text
    assert holder in applied.err
    assert "Traceback" not in second.text + applied.err
    assert (first.trouble(), site.sent) == ("", [])


def test_after_kill_9_the_next_daemon_can_start_at_once(site):
    site.started_with("shop").kill()
    began = time.monotonic()
    site.start()
    assert time.monotonic() - began < 5
    assert str(site.store.holder()).startswith(f"run (process {site.daemons[-1].pid} ")


def test_a_second_daemon_takes_over_when_the_first_ends_while_it_waits(site):
    first = site.started_with("shop")
    second = site.launch()
    assert first.stop() == 0
    second.ready()
    assert str(second.pid) in str(site.store.holder())


# --- commands that change something ----------------------------------------------------------------------------------------


@pytest.fixture
def timed(site):
    """Run a command, and see to it that the daemon acts on it soon."""

    def run(*command, until):
        ended = site.run(*command)
        assert ended.code == 0, ended.err
        site.daemons[-1].until(until, " ".join(command), SEEN_S)

    return run


def test_suspend_and_resume_are_seen_within_a_second(site, timed):
    site.started_with("shop", "mail")
    timed("suspend", "shop", "--reason", "migration", until=lambda: site.state() == "suspended")
    site.throttle("shop", "mail", to=4000)
    site.calls(1)
    assert site.state("mail") != "suspended"
    timed("resume", "shop", until=lambda: len(site.sent) == 2)
    site.settles()


def test_all_tasks_can_be_suspended_at_once(site, timed):
    daemon = site.started_with("shop", "mail")
    timed("suspend", "--all", "--reason", "freeze", until=lambda: set(site.states.values()) == {"suspended"})
    site.throttle("shop", "mail", to=4000)
    daemon.look_again()
    assert site.sent == []
    timed("resume", "--all", until=lambda: len(site.sent) == 2)


def test_tasks_with_a_label_can_be_suspended_at_once(site, timed):
    daemon = site.started_with("shop", "mail", "stock")
    for task in ("shop", "mail"):
        site.edit("task", task, labels={"team": "shop"})
    label = ("--label", "team=shop")
    timed("suspend", *label, "--reason", "freeze", until=lambda: [*site.states.values()].count("suspended") == 2)
    site.throttle("shop", "mail", "stock", to=4000)
    site.calls(1)
    daemon.look_again()
    assert (len(site.sent), site.state("stock") != "suspended") == (1, True)
    timed("resume", *label, until=lambda: len(site.sent) == 3)


def test_a_suspension_that_expires_needs_no_command(site):
    site.started_with("shop")
    end = time.time() + 2
    site.suspend("shop", until=end)
    site.comes_to("suspended")
    site.throttle("shop", to=4000)
    site.calls(1)
    assert time.time() >= end


def test_retry_is_seen_within_a_second(site, timed):
    site.started_with("shop")
    site.fault("param_error")
    site.throttle("shop", to=4000)
    site.comes_to("failed")
    timed("retry", "shop", until=lambda: len(site.sent) == 2)
    site.settles()


def test_a_held_task_that_is_adopted_is_synced_within_a_second(site, timed):
    site.configure(policy={"new_tasks": "hold"})
    site.started_with("shop")
    assert site.state() == "blocked"
    timed("adopt", "shop", until=lambda: site.state() == "synced")
    assert site.sent == []


def test_a_forgotten_task_is_gone_within_a_second(site, timed):
    daemon = site.started_with("shop", "mail")
    shutil.rmtree(site.desired / "shop")
    site.comes_to("orphaned")
    timed("forget", "shop", until=lambda: site.states == {"mail": "synced"})
    daemon.says("shop is no longer known")


# --- commands that only look -------------------------------------------------------------------------------------------------


def test_plan_status_and_history_show_the_call_that_is_under_way(site):
    site.started_with("shop", "mail")
    site.fault("slow", seconds=30)
    site.throttle("shop", to=4000)
    site.comes_to("applying")
    status = site.run("status", "--format", "json").json
    assert {row["task"]: row["state"] for row in status["tasks"]} == {"shop": "applying", "mail": "synced"}
    assert str(site.daemons[-1].pid) in status["lock"]
    newest = site.run("history", "shop", "--format", "json").json["entries"][0]
    assert (newest["kind"], newest["task"]) == ("intent", "shop")
    assert site.run("plan", "mail").code == 0
    assert "a call is under way" in site.run("explain", "shop").out
    site.daemons[-1].kill()  # it would wait for the call


def test_history_tells_every_call_and_its_chain_is_whole(site):
    site.started_with("shop")
    site.throttle("shop", to=4000)
    site.calls(1)
    site.settles()
    history = site.run("history", "shop", "--verify", "--format", "json")
    assert [entry["kind"] for entry in history.json["entries"]] == ["health", "outcome", "intent", "adopt"]
    (call,) = site.oms.calls_of("UpdateIncrSync")
    outcome = history.json["entries"][1]
    assert (outcome["ticket"], outcome["request_id"]) == (call.ticket, call.request_id)
    assert "journal intact: 5 rows" in history.err  # the first of them: how the rails are set
