"""A reset by the command line beside a running daemon: said not to be sent, approved, carried out once."""

import json

import pytest

from tests.e2e.daemons import Site, until
from tests.integration.resets import HOUR_S, PROJECT, RESET, RESUME, STOP

WHOLE = [STOP, RESET, RESUME]
KEPT_H = 8000  # the simulated clock runs ahead of ours: nothing may be too old


@pytest.fixture
def daemon(site: Site):
    """One that runs, with a known task that asks for a reset."""
    site.configure(
        policy={"new_tasks": "adopt"},
        targets_default={"edition": "EE", "version": "4.3.1", "allow_reset": True, "log_retention_h": KEPT_H},
    )
    started = site.started_with("shop")
    declare(site)
    started.until(lambda: site.state() == "blocked", "the reset seen")
    return started


def declare(site, request="r1"):
    start = int(site.clock.now().timestamp()) - 24 * HOUR_S
    content = {"request": request, "id": PROJECT, "startTimestamp": start, "reason": "orders were lost"}
    site.write("reset", "shop", content)


def ran(site, *arguments):
    ended = site.run(*arguments)
    assert ended.code == 0, ended.err
    return ended


def approve(site):
    """Read the plan and approve it."""
    ran(site, "approve", json.loads(site.run("plan", "--format", "json").out)["id"], "--reason", "agreed")


def writes(site):
    return [call.action for call in site.oms.calls if call.action in WHOLE]


def stage(site, request="r1"):
    return next((one.stage.value for key, one in site.store.resets().items() if key.request == request), "")


def test_reset_is_carried_out_once_when_it_is_approved_and_never_after_a_restart(site, daemon):
    assert "perhaps_sent" in site.store.states()["shop"].reason
    ran(site, "reset", "resolve", "shop", "--not-sent", "--reason", "looked at the console")
    daemon.until(lambda: "needs an approval" in site.store.states()["shop"].reason, "the word seen")
    approve(site)
    daemon.until(lambda: stage(site) == "done", "the reset")
    daemon.until(lambda: site.state() == "synced", "the task")
    assert daemon.metric("resets", stage="done") == 1
    assert daemon.metric("stopped_projects") == 0
    assert daemon.metric("restarts_total") == 0
    assert daemon.stop() == 0
    again = site.start()
    again.look_again()
    assert writes(site) == WHOLE


def test_unknown_outcome_is_alerted_until_somebody_decides(site, daemon):
    site.fault("close", action=RESET, effect="after")
    ran(site, "reset", "resolve", "shop", "--not-sent", "--reason", "looked at the console")
    approve(site)
    daemon.until(lambda: daemon.metric("resets", stage="unknown") == 1, "the alert")
    assert daemon.metric("stopped_projects") == 1
    ran(site, "reset", "resolve", "shop", "--sent", "--reason", "the ticket is successful")
    daemon.until(lambda: site.state() == "synced", "the task")
    until(lambda: daemon.metric("resets", stage="unknown") == daemon.metric("stopped_projects") == 0, "its end")
    assert writes(site) == WHOLE
