"""The daemon against servers that are away, refuse, answer late or not at all, and components that do not come back."""

import threading
import time

import pytest

from reconciler.simulator.components import ComponentStatus
from reconciler.simulator.faults import Rule
from tests.e2e.daemons import name_of
from tests.hurry import FACTOR

POISON = Rule("poison", parameters={"section": "coordinator", "key": "throttleRps", "value": "4000"})
"""A component with this value does not start."""

FIVE = ("a", "b", "c", "d", "e")
AT_ONCE_S = 2.0
"""What happens without waiting for anything takes a tenth of this on a machine that does nothing else."""


@pytest.fixture
def two_targets(site):
    """Five tasks of one target, one of another, recorded as applied once a daemon starts."""
    for number, task in enumerate(FIVE):
        site.put(task, number)
    site.put("steady", 5, task={"target": "other"})
    site.serve_other()
    site.configure(**{"policy.limits": {"tasks": 1}})  # all are edited at once
    return site


# --- a target that cannot be used ----------------------------------------------------------------------------------------


def test_after_an_outage_each_edited_task_gets_exactly_one_call(two_targets):
    site, daemon = two_targets, two_targets.start()
    site.go_down()
    site.throttle(*FIVE, "steady", to=4000)
    daemon.says("target default cannot be used", trouble="unreachable")
    assert site.calls(1)[0]["key"] == name_of(5)  # the other target goes on
    site.serve()
    daemon.says("target default can be used again")
    site.settles()
    daemon.look_again()
    assert sorted(site.keys) == sorted(map(name_of, range(6)))


def test_with_wrong_credentials_that_a_reload_corrects_each_task_gets_exactly_one_call(two_targets):
    site = two_targets
    site.configure(targets_default={"username": "nobody"})
    daemon = site.start()
    site.throttle(*FIVE, "steady", to=4000)
    daemon.says("target default cannot be used", trouble="misconfigured")
    assert site.calls(1)[0]["key"] == name_of(5)
    assert "misconfigured" in site.run("status").err
    site.configure(targets_default={"username": "admin"})
    daemon.reload()
    daemon.says("target default can be used again")
    site.settles()
    daemon.look_again()
    assert sorted(site.keys) == sorted(map(name_of, range(6)))


def test_credentials_that_the_server_accepts_again_need_no_reload(site):
    password = site.root / "password"
    password.write_text("mistyped")
    site.configure(targets_default={"password": f"${{file:{password}}}"})
    daemon = site.started_with("shop")
    site.throttle("shop", to=4000)
    daemon.says("target default cannot be used", trouble="misconfigured")
    password.write_text("simulator")
    daemon.says("target default can be used again")
    site.settles()
    assert site.throttles == [4000]


def test_an_unreachable_target_is_told_by_page_metric_and_state(site):
    daemon = site.started_with(*FIVE)
    site.go_down()
    site.throttle(*FIVE, to=4000)
    daemon.says("target default cannot be used")
    daemon.until(lambda: daemon.metric("target_usable", target="default") == 0)
    assert daemon.metric("target_trouble", target="default", kind="unreachable") == 1
    assert daemon.trouble() == ""  # it is ready all the same
    daemon.until(lambda: all("expected a connection" in site.store.states()[task].reason for task in FIVE))


# --- calls that end otherwise ----------------------------------------------------------------------------------------------


def test_a_killed_daemon_s_call_is_found_looked_into_and_sent_at_most_once_more(site):
    daemon = site.started_with("shop")
    site.fault("slow", seconds=30)
    site.throttle("shop", to=4000)
    site.calls(1)
    daemon.kill()
    assert site.record().open_intents == 1
    before = len(site.oms.calls)
    site.start()
    site.settles()
    site.daemons[-1].look_again()
    assert site.throttles in ([4000], [4000, 4000])
    actions = [call.action for call in site.oms.calls[before:]]
    assert actions.index("DescribeProjectComponents") < (*actions, "UpdateIncrSync").index("UpdateIncrSync")
    assert (site.record().open_intents, site.outcomes()[-1:]) == (0, ["verifying"])


def test_a_component_that_a_lost_call_broke_is_not_sent_to_again(site):
    daemon = site.started_with("shop")
    site.oms.watch = lambda request: daemon.kill() if request.action == "UpdateIncrSync" else None
    site.oms.add_fault(POISON)
    site.throttle("shop", to=4000)
    daemon.process.wait()
    site.oms.watch = None
    site.oms.wait_until(lambda oms: oms.component(name_of(0)).status is ComponentStatus.EXCEPTION)
    site.start()
    site.comes_to("failed")
    assert site.throttles == [4000]


@pytest.mark.parametrize("ends", ["failed", "synced"])
def test_a_look_that_began_before_a_call_ended_does_not_send_it_again(site, blocker, ends):
    daemon = site.started_with("shop", **blocker.environment())
    if ends == "failed":
        site.fault("param_error")
    released = threading.Event()
    site.answer_only_when(released)
    site.throttle("shop", to=4000)
    daemon.until(lambda: site.record().condition.value == "applying")
    blocker.hang_at("shop/sink.json")
    site.throttle("shop", to=4000)
    daemon.until(lambda: blocker.hangs)
    released.set()
    daemon.until(lambda: site.record().condition.value == ends)
    blocker.release()
    site.comes_to(ends)
    daemon.look_again()
    assert site.throttles == [4000]


def test_newer_content_does_not_wait_for_the_retry_of_older_one(site):
    daemon = site.started_with("shop")
    site.fault("http", status=503, retry_after=60)
    site.throttle("shop", to=4000)
    daemon.until(lambda: site.store.states()["shop"].until)
    began = time.monotonic()
    site.throttle("shop", to=5000)
    site.calls(2)
    assert time.monotonic() - began < AT_ONCE_S
    site.settles()
    daemon.look_again()
    assert site.throttles == [4000, 5000]


def test_newer_content_does_not_wait_for_the_retry_of_an_unknown_outcome(site):
    daemon = site.started_with("shop")
    site.fault("close")
    site.throttle("shop", to=4000)
    daemon.until(lambda: site.outcomes() == ["unknown"])
    began = time.monotonic()
    site.throttle("shop", to=5000)
    site.calls(2)
    assert time.monotonic() - began < AT_ONCE_S  # the same content would have been sent in seconds
    site.settles()
    daemon.look_again()
    assert site.throttles == [4000, 5000]
    assert site.record().open_intents == 0


# --- newer content and verification --------------------------------------------------------------------------------------


def test_newer_content_waits_for_a_running_verification(site):
    site.oms.set_timing(stop_s=100)  # a second
    site.started_with("shop")
    site.throttle("shop", to=4000)
    site.calls(1)
    site.throttle("shop", to=5000)
    site.daemons[-1].until(lambda: "newer content waits" in site.store.states()["shop"].reason)
    assert site.state() == "verifying"
    seen = []
    site.oms.watch = lambda request: seen.append((request.action, site.oms.component(name_of(0)).status))
    site.calls(2)
    assert dict(seen)["UpdateIncrSync"] is ComponentStatus.RUNNING
    site.settles()


@pytest.mark.parametrize("before", ["RUNNING", "EXCEPTION"])
def test_newer_content_does_not_wait_for_a_component_in_exception(site, before):
    site.configure(policy={"verify_s": 60})
    site.oms.set_component(name_of(0), status=before)
    site.started_with("shop")
    site.oms.add_fault(POISON)
    site.throttle("shop", to=4000)
    site.calls(1)
    site.oms.wait_until(lambda oms: not any(ticket.finished is None for ticket in oms.tickets))
    assert site.oms.component(name_of(0)).status is ComponentStatus.EXCEPTION
    began = time.monotonic()
    site.throttle("shop", to=5000)
    site.calls(2)
    assert time.monotonic() - began < 2 * AT_ONCE_S  # a look at the component may have to end first
    site.settles()


def test_a_verification_that_the_end_interrupted_goes_on_after_the_next_start(site):
    site.oms.set_timing(stop_s=10_000)
    daemon = site.started_with("shop")
    site.throttle("shop", to=4000)
    site.comes_to("verifying")
    assert daemon.stop() == 0
    looks = len(site.oms.calls_of("DescribeProjectComponents"))
    daemon = site.start()
    daemon.until(lambda: len(site.oms.calls_of("DescribeProjectComponents")) > looks + 1)
    site.oms.finish()
    site.settles()
    assert site.throttles == [4000]


# --- rationing ---------------------------------------------------------------------------------------------------------------


def test_edits_within_the_interval_collapse_into_one_later_call(site):
    site.configure(targets_default={"min_update_interval_s": 3})
    daemon = site.started_with("shop")
    site.throttle("shop", to=4000)
    site.calls(1)
    site.settles()
    for value in (5000, 6000, 7000):
        site.throttle("shop", to=value)
        daemon.until(lambda: site.state() == "blocked")
    site.calls(2)
    site.settles()
    first, second = (call.at for call in site.oms.calls_of("UpdateIncrSync"))
    assert (second - first) / FACTOR >= 2.9  # the answer to the first came a moment after its call
    assert site.throttles == [4000, 7000]


def test_a_held_back_update_says_why_and_until_when(site):
    site.configure(targets_default={"min_update_interval_s": 3600})
    site.started_with("shop")
    site.throttle("shop", to=4000)
    site.calls(1)
    site.settles()
    site.throttle("shop", to=5000)
    site.comes_to("blocked")
    said = site.store.states()["shop"]
    assert (said.until - site.record().applied_at).total_seconds() == pytest.approx(3600)
    assert "min_update_interval_s" in said.reason
    status, explain = site.run("status", "--format", "json"), site.run("explain", "shop")
    (row,) = status.json["tasks"]
    assert (row["state"], row["until"]) == ("blocked", said.until.isoformat())
    assert "min_update_interval_s" in explain.out
    assert f"{said.until:%H:%M:%S}" in explain.out
    assert f"not before {said.until:%Y-%m-%d %H:%M:%S}" in site.run("plan", "--format", "markdown").out


def test_components_that_do_not_come_back_stop_their_target(site):
    daemon = site.started_with(*FIVE)
    site.oms.add_fault(POISON)
    site.throttle("a", "b", "c", to=4000)
    for task in ("a", "b", "c"):
        site.comes_to("failed", task)
    daemon.says("target default cannot be used", trouble="stopped")
    site.throttle("d", to=5000)
    site.comes_to("blocked", "d")
    assert "resume --target default" in site.store.states()["d"].next_step
    assert len(site.sent) == 3
    assert daemon.metric("target_trouble", target="default", kind="stopped") == 1
    assert site.run("resume", "--target", "default").code == 0
    assert site.calls(4)[3]["key"] == name_of(3)
    site.settles("d")
    daemon.look_again()
    assert len(site.sent) == 4


def test_a_stopped_target_stays_stopped_over_a_restart(site):
    site.configure(targets_default={"stop_after_failures": 1})
    daemon = site.started_with("shop", "mail")
    site.oms.add_fault(POISON)
    site.throttle("shop", to=4000)
    site.comes_to("failed")
    daemon.says("target default cannot be used", trouble="stopped")
    assert daemon.stop() == 0
    site.throttle("mail", to=5000)
    site.start()
    site.comes_to("blocked", "mail")
    assert len(site.sent) == 1


# --- a component that moves ----------------------------------------------------------------------------------------------------


def test_a_component_that_moved_is_followed_and_the_move_alone_sends_nothing(site):
    site.put_role("shop", 0)
    daemon = site.start()
    site.throttle("shop", to=4000)
    site.calls(1)
    site.settles()
    moved = site.oms.move(name_of(0), ip="10.0.0.9")
    daemon.look_again()
    assert site.keys == [name_of(0)]
    site.throttle("shop", to=5000)
    site.calls(2)
    daemon.says("moved to another host", component=moved)
    site.settles()
    assert site.keys == [name_of(0), moved]
    assert daemon.metric("moved_components_total") == 1
