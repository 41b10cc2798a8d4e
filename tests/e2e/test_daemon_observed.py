"""What others see of the daemon: secrets nowhere, edges told once, counters that are true, next to nothing when idle."""

import json

import pytest

from reconciler.simulator.faults import Rule
from tests.e2e.daemons import SENTINELS, fleet_of
from tests.e2e.daemons import site as a_site
from tests.notify.conftest import webhook, webhooks

__all__ = ["webhook", "webhooks"]
FLEET = 300
WATCHED_S = 3.0


# --- secrets -----------------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_log_pages_state_messages_or_output(site, webhook):
    """Also while the server quotes every request, in errors and in its answers to the probe."""
    secrets = {"OMS_PASSWORD": "s3ntinel-of-oms", **SENTINELS}
    site.configure(
        policy={"new_tasks": "apply"},
        targets_default={"password": "${env:OTHER_PASSWORD}"},
        notify={"name": "chat", "url": "${env:CHAT}"},
    )
    hook = webhook.url("/s3ntinel-of-the-chat")
    site.oms.add_fault(
        Rule("echo", action="UpdateIncrSync", times=2),
        Rule("not_json", action="UpdateIncrSync", parameters={"body": " ".join(secrets.values())}, times=1),
    )
    daemon = site.started_with("shop", "mail", "news", OTHER_PASSWORD="simulator", CHAT=hook)
    daemon.until(lambda: {"failed"} <= set(site.states.values()) and len(site.sent) >= 4)
    webhook.wait_for(1)
    assert any(value in call.raw.decode() for call in site.oms.calls for value in SENTINELS.values())  # they were sent
    said = [daemon.text, daemon.page("/metrics").text, daemon.page("/").text, json.dumps(webhook.received)]
    said += [ended.out + ended.err for ended in (site.run("status"), site.run("history"), site.run("explain", "shop"))]
    assert daemon.stop() == 0
    files = [path.read_bytes() for path in site.root.rglob("*") if path.is_file() and path.name != "fingerprint.key"]
    everything = "".join(said).encode() + b"".join(files)
    assert [name for name, value in secrets.items() if value.encode() in everything] == []
    assert b"s3ntinel-of-the-chat" not in everything


# --- messages to people ------------------------------------------------------------------------------------------------------


def test_people_are_told_once_that_a_task_failed_and_once_that_it_recovered(site, webhook):
    site.configure(notify={"name": "chat", "url": webhook.url()})
    site.fault("param_error")
    daemon = site.started_with("shop", "mail")
    site.throttle("shop", to=4000)
    webhook.wait_for(1)
    daemon.until(lambda: daemon.metric("notifications_total", channel="chat", outcome="sent") == 1)
    assert daemon.stop() == 0
    assert site.start().stop() == 0  # at the end everything is sent that waits
    assert webhook.titles == ["shop: failed"]
    daemon = site.start()
    site.throttle("shop", to=5000)
    site.calls(2)
    site.settles()
    assert daemon.stop() == 0
    assert webhook.titles == ["shop: failed", "shop: recovered"]


def test_a_channel_that_is_away_holds_nothing_up(site):
    site.configure(notify={"name": "chat", "url": "json://127.0.0.1:9/"})
    daemon = site.started_with("shop")
    site.fault("param_error")
    site.throttle("shop", to=4000)
    site.comes_to("failed")
    daemon.says("a message was not accepted", topic="notify")
    site.throttle("shop", to=5000)
    site.calls(2)
    site.settles()
    assert daemon.stop() == 0


# --- metrics -----------------------------------------------------------------------------------------------------------------


def test_the_counters_are_those_of_the_server(site):
    daemon = site.started_with("a", "b", "c", "d")
    site.oms.add_fault(
        Rule("http", "UpdateIncrSync", component="*np_0-*", parameters={"status": 429}),
        Rule("param_error", "UpdateIncrSync", component="*np_1-*"),
        Rule("close", "UpdateIncrSync", component="*np_2-*"),
    )
    site.throttle("a", "b", "c", "d", to=4000)
    site.calls(6)
    site.settles("a", "c", "d")
    site.comes_to("failed", "b")
    accepted = sum(call.ticket is not None for call in site.oms.calls_of("UpdateIncrSync"))
    assert accepted == 3
    counted = {
        outcome: daemon.metric("calls_total", target="default", outcome=outcome)
        for outcome in ("accepted", "retrying", "failed", "unknown")
    }
    assert counted == {"accepted": 3, "retrying": 1, "failed": 1, "unknown": 1}
    assert sum(counted.values()) == len(site.sent)
    assert daemon.metric("restarts_total", target="default") == accepted
    assert daemon.metric("call_duration_seconds_count", action="update") == len(site.sent)
    assert daemon.metric("tasks", state="synced") == 3
    assert daemon.metric("tasks", state="failed") == 1
    assert daemon.metric("in_flight") == 0


# --- doing nothing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def large_site(tmp_path, reaper):
    with a_site(tmp_path, fleet_of(FLEET), reaper) as made:
        yield made


def test_an_idle_daemon_calls_nothing_and_costs_next_to_nothing(large_site):
    daemon = large_site.started_with(*(f"task-{number}" for number in range(FLEET)))
    large_site.settles()
    daemon.look_again()
    calls, descriptors, began_s = len(large_site.oms.calls), daemon.descriptors, daemon.cpu_s
    daemon.stays(lambda: len(large_site.oms.calls) == calls, WATCHED_S)
    assert daemon.cpu_s - began_s < 0.1 * WATCHED_S
    assert daemon.descriptors <= descriptors
