"""Approvals beside a running daemon, and what it says of its rails."""

import json

import pytest

SEEN_S = 2.0
"""A command is seen within a second; the rest is for a busy machine."""


@pytest.fixture
def asking(site):
    """A daemon whose every call needs an approval, and an edit that waits for one."""
    site.configure(policy={"mode": "approve"})
    site.started_with("shop", "mail")
    site.throttle("shop", "mail", to=4000)
    site.comes_to("blocked")
    site.comes_to("blocked", "mail")
    return site


def plan(site, *tasks):
    return json.loads(site.run("plan", *tasks, "--format", "json").out)["id"]


def rows(site, kind):
    """Messages of journal rows of a kind, oldest first."""
    return [row.detail["message"] for row in reversed(site.store.history("", 1000)) if row.kind == kind]


def test_what_is_approved_is_sent_within_a_second_and_the_rest_waits(asking):
    assert "reconciler approvals, which names the plan" in asking.run("explain", "shop").out
    ended = asking.run("approve", plan(asking), "--task", "shop", "--reason", "agreed")
    assert ended.code == 0, ended.err
    asking.daemons[-1].until(lambda: asking.sent, "a call", SEEN_S)
    asking.settles("shop")
    assert (len(asking.sent), asking.state("mail")) == (1, "blocked")
    intent = next(row for row in asking.store.history("shop", 100) if row.kind == "intent")
    assert intent.detail["reason"].endswith(": agreed")


def test_a_rail_can_be_lifted_beside_the_daemon(site):
    site.configure(policy={"new_tasks": "hold"})
    site.put("shop", 0)
    site.start()
    site.comes_to("blocked")
    assert "reconciler approve PLAN --task shop --force new_tasks" in site.run("explain", "shop").out
    assert site.run("approve", plan(site), "--force", "new_tasks", "--reason", "it is new").code == 0
    site.calls(1)
    site.settles("shop")
    assert "new_tasks overridden: 1 task (hold)" in rows(site, "rail")


def test_status_and_the_journal_say_how_the_rails_are_set_and_stand(asking):
    found = {rail["name"]: rail for rail in json.loads(asking.run("status", "--format", "json").out)["rails"]}
    assert (found["approval"]["state"], found["approval"]["tasks"]) == ("tripped", 2)
    asking.configure(policy={"mode": "auto"})
    asking.daemons[-1].reload()
    asking.calls(2)
    asking.settles()
    asking.daemons[-1].until(lambda: any("approval released" in row for row in rows(asking, "rail")), "a release")
    assert [row.partition(":")[0] for row in rows(asking, "policy")] == [
        "how the rails are set was written down for the first time",
        "mode",
    ]


def test_a_restart_writes_nothing_of_the_rails_again(asking):
    before = len(rows(asking, "rail")), len(rows(asking, "policy"))
    asking.daemons[-1].stop()
    asking.start()
    asking.comes_to("blocked")
    assert (len(rows(asking, "rail")), len(rows(asking, "policy"))) == before
