"""Approvals where calls are made: by looks of the daemon, and by one run of `apply`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core import rails
from reconciler.core.policy import Mode
from reconciler.jobs import Status
from reconciler.model import Approval, RailState, Window
from tests.integration.engine import Engine

ASK = {"mode": Mode.APPROVE}
DAY_S = 86_400.0
NEVER = Window("never", False, "* * * * *", 86_400, "UTC")


@pytest.fixture
def engine(bench):
    """A daemon's loop where every call needs an approval; the task `shop` is known."""
    bench.put()
    bench.apply()
    bench.look_away()
    made = Engine(bench, **ASK)
    yield made
    made.end()


def approve(bench, lasts_s=DAY_S, **more):
    """Say that the one item of `shop` may go."""
    item = bench.item(**ASK)
    now = bench.clock.now()
    until = now + timedelta(seconds=lasts_s)
    given = Approval(item.content_id, "shop", item.address, "p" * 64, "update", (), "agreed", "ann", now, until)
    bench.store.approve(replace(given, **more))
    return item.content_id


def reason(engine):
    return engine.said()["shop"].reason


def rail(found, name):
    return next(one for one in found if one.name == name)


def test_what_is_approved_is_sent_once(engine, bench):
    bench.edit("sink", workerNum="17")
    engine.everything()
    assert engine.state() == "blocked"
    approve(bench)
    engine.some("shop")
    engine.settled()
    assert len(bench.sent) == 1
    assert bench.store.approvals() == {}


def test_what_waits_is_blocked_again_when_its_approval_expires(engine, bench):
    engine.rules = replace(engine.rules, windows=(NEVER,))
    engine.renew({"default", "other"})
    bench.edit("sink", workerNum="17")
    approve(bench, 3600)
    engine.everything()
    assert reason(engine).startswith("window ")
    engine.pass_time(3590)
    assert reason(engine).startswith("window ")
    engine.pass_time(20)
    assert reason(engine).startswith("approval: ")
    assert "that expired at" in reason(engine)


def test_the_end_of_an_approval_is_not_the_end_of_another_hold(engine, bench):
    engine.rules = replace(engine.rules, intervals={"default": 7200.0})
    engine.renew({"default", "other"})
    bench.edit("sink", workerNum="17")
    approve(bench, 3600)
    engine.everything()
    assert reason(engine).startswith("min_update_interval_s: ")
    assert engine.said()["shop"].until > bench.clock.now() + timedelta(seconds=3601)


def test_a_daemon_says_how_the_rails_stand_over_all_tasks(engine, bench):
    bench.put("mail", 1)
    bench.edit("sink", workerNum="17")
    engine.everything()
    assert (rail(engine.passes.rails, "approval").state, rail(engine.passes.rails, "approval").tasks) == (
        RailState.TRIPPED,
        2,
    )
    approve(bench)
    engine.some("shop")
    assert rail(engine.passes.rails, "approval").text.endswith("; 1 task approved")
    assert rail(engine.passes.rails, "approval").tasks == 1
    engine.settled("shop")
    assert rail(engine.passes.rails, "approval").text == "every call needs one"


def test_a_task_that_is_gone_is_held_by_no_rail(engine, bench):
    bench.put("mail", 1)
    engine.everything()
    for path in bench.desired.joinpath("mail").iterdir():
        path.unlink()
    engine.some("mail")
    assert engine.passes.rails == rails.states(engine.rules)


def test_a_freeze_is_told_though_it_holds_nothing(engine, bench):
    for path in bench.desired.joinpath("shop").iterdir():
        path.unlink()
    engine.everything()
    assert rail(engine.passes.rails, "vanished").state is RailState.TRIPPED


# --- just before the call ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda bench, number: bench.store.disapprove(number, "not now"), id="taken back"),
        pytest.param(lambda bench, _number: bench.clock.sleep(3600), id="expired"),
    ],
)
def test_what_loses_its_approval_after_it_was_planned_is_not_sent(bench, end):
    bench.put()
    bench.apply()
    before = len(bench.sent)
    bench.edit("sink", workerNum="17")
    number = approve(bench, 3600)
    survey = bench.survey(**ASK)
    end(bench, number)
    result = bench.carry_out(survey)["shop"]
    assert (result.status, result.message) == (
        Status.BLOCKED,
        "not sent: the approval that let it go expired or was taken back",
    )
    assert len(bench.sent) == before


def test_an_approval_of_what_needs_none_is_used_up_all_the_same(bench):
    bench.put()
    bench.apply()
    bench.edit("sink", workerNum="17")
    approve(bench)
    assert bench.apply()["shop"].status is Status.APPLIED
    assert bench.store.approvals() == {}
