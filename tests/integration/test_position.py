"""`${oms:checkpoint}`: read just before a deletion, sent less the margin, refused when it is no good start."""

from datetime import timedelta

import pytest

from reconciler.core import position
from reconciler.jobs import Status
from reconciler.model import Action, Approval, RailState
from tests.integration.bench import SECOND, name_of
from tests.integration.engine import Engine

HOUR = 3600
STATUS, HEALTH = "DescribeProjectProgress", "DescribeProjectComponents"
FAR = timedelta(seconds=15)
FORCED = {"forced": frozenset({"checkpoint"}), "reason": "the window is short"}


@pytest.fixture
def deletion(bench):
    """A task of which a key was removed, so that its whole content is to be sent."""
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleIOPS=None)
    return bench


@pytest.fixture
def engine(deletion):
    made = Engine(deletion)
    yield made
    made.end()


def stand(bench, age_s):
    """Stop the component at a position of this age."""
    bench.oms.set_component(name_of(0), status="STOPPED", checkpoint=bench.clock.time() - age_s)


@pytest.mark.parametrize("age_s", [HOUR - 5, -50], ids=["below the limit", "a little ahead of our clock"])
def test_a_fresh_position_is_sent_less_the_margin(deletion, age_s):
    stand(deletion, age_s)
    at = int(deletion.clock.time() - age_s)
    assert deletion.apply()["shop"].status is Status.APPLIED
    (body,) = deletion.sent
    assert set(body["config"]["source"]["checkpoint"].values()) == {str(at - position.MARGIN_S)}


@pytest.mark.parametrize(
    ("age_s", "words"),
    [pytest.param(3 * HOUR, "is 3 h old", id="too old"), pytest.param(-HOUR, "min in the future", id="in the future")],
)
def test_a_position_of_a_bad_age_is_refused_unless_forced(deletion, age_s, words):
    stand(deletion, age_s)
    result = deletion.apply()["shop"]
    assert (result.status, words in result.message, deletion.sent) == (Status.BLOCKED, True, [])
    assert deletion.apply(**FORCED)["shop"].status is Status.APPLIED


def test_a_lifted_age_is_on_record(deletion):
    stand(deletion, 3 * HOUR)
    assert deletion.item(forced=FORCED["forced"]).forced == ("checkpoint",)
    deletion.apply(**FORCED)
    intent = next(entry for entry in deletion.store.history(None, 10) if entry.kind == "intent")
    assert (intent.detail["forced"], intent.detail["reason"]) == (["checkpoint"], "the window is short")


def test_what_fills_in_no_position_is_not_recorded_as_forced(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleRps="1000")
    assert bench.item(forced=FORCED["forced"]).forced == ()


def test_a_position_that_is_no_time_is_refused_whatever_is_forced(deletion):
    deletion.oms.set_project("np_0", checkpoint_text="12,3400")
    result = deletion.apply(**FORCED)["shop"]
    assert (result.status, '"12,3400", which is no time' in result.message) == (Status.BLOCKED, True)
    assert deletion.sent == []


def test_position_is_read_just_before_the_call_though_the_project_was_read_a_moment_ago(bench):
    bench.put("a")
    bench.put("b", task={"key": SECOND, "allowDelete": True})
    bench.apply()
    bench.edit("coordinator", "a", throttleRps="1000")
    bench.edit("coordinator", "b", throttleIOPS=None)
    bench.apply()
    asked = [call.action for call in bench.oms.calls]
    last = len(asked) - asked[::-1].index("UpdateIncrSync")
    assert bench.keys[-1] == SECOND
    assert asked[last - 4 : last] == [STATUS, HEALTH, STATUS, "UpdateIncrSync"]


def test_a_deletion_waits_by_itself_until_its_component_has_caught_up(deletion):
    stand(deletion, 3 * HOUR)
    assert deletion.apply()["shop"].status is Status.BLOCKED
    stand(deletion, 10)
    result = deletion.apply()["shop"]
    assert (result.action, result.status) == (Action.UPDATE_DELETE, Status.APPLIED)


@pytest.mark.parametrize(
    ("rails", "hours", "status"),
    [
        pytest.param(("checkpoint",), 24, Status.APPLIED, id="with the rail"),
        pytest.param((), 24, Status.BLOCKED, id="without it"),
        pytest.param(("checkpoint",), -1, Status.BLOCKED, id="expired"),
    ],
)
def test_an_approval_may_lift_it_so_that_a_daemon_can_be_told(deletion, rails, hours, status):
    stand(deletion, 3 * HOUR)
    item, now = deletion.item(), deletion.clock.now()
    made, until = now - timedelta(hours=2), now + timedelta(hours=hours)
    approval = Approval(
        item.content_id, "shop", item.address, "plan", item.intended.value, rails, "why", "ann", made, until
    )
    deletion.store.approve(approval)
    assert deletion.apply()["shop"].status is status


# --- what is known of it afterwards ----------------------------------------------------------------------------------


def marks(bench):
    return bench.store.notified(position.HELD)


def test_what_it_held_is_known_until_the_call_is_made(deletion):
    stand(deletion, 3 * HOUR)
    result = deletion.apply()["shop"]
    assert (result.rail, result.message.partition(" the newest")[0]) == ("checkpoint", "checkpoint:")
    assert position.held(marks(deletion), deletion.item()) == result.message
    assert position.held(marks(deletion), deletion.item(forced=FORCED["forced"])) == ""
    (row,) = (entry for entry in deletion.store.history("shop", 10) if entry.kind == "blocked")
    assert row.detail == {"message": result.message, "rail": "checkpoint"}
    deletion.apply(**FORCED)
    assert marks(deletion) == {}


def test_what_it_held_is_about_that_content_only(deletion):
    stand(deletion, 3 * HOUR)
    deletion.apply()
    deletion.edit("sink", workerNum="9")
    assert position.held(marks(deletion), deletion.item()) == ""


def test_what_it_held_is_forgotten_when_nothing_is_to_be_deleted_any_more(bench):
    bench.applied(task={"allowDelete": True})
    before = bench.read("coordinator")
    bench.edit("coordinator", throttleIOPS=None)
    stand(bench, 3 * HOUR)
    bench.apply()
    assert marks(bench)
    bench.write("coordinator", "shop", before)
    bench.apply()
    assert marks(bench) == {}


def test_a_position_that_nothing_can_start_from_is_no_rail(deletion):
    deletion.oms.set_project("np_0", checkpoint_text="12,3400")
    assert deletion.apply()["shop"].rail == ""
    assert marks(deletion) == {}


def test_what_it_held_is_forgotten_when_something_else_holds_the_next_try(deletion):
    stand(deletion, 3 * HOUR)
    deletion.apply()
    assert marks(deletion)
    deletion.oms.set_project("np_0", checkpoint_text="12,3400")
    assert "which is no time" in deletion.apply()["shop"].message
    assert marks(deletion) == {}


def test_a_daemon_says_what_the_last_try_met_and_not_what_an_earlier_one_did(deletion, engine):
    stand(deletion, 3 * HOUR)
    engine.everything()
    engine.settled("shop", state="blocked")
    deletion.oms.set_project("np_0", checkpoint_text="12,3400")
    engine.until(lambda: "which is no time" in engine.said()["shop"].reason)
    said = engine.said()["shop"]
    assert (said.state, "--force" in said.next_step) == ("blocked", False)
    assert not any(rail.state is RailState.TRIPPED for rail in engine.passes.rails)


def test_a_daemon_says_what_the_last_try_met_where_that_says_nothing_of_the_rail(deletion, engine):
    stand(deletion, 3 * HOUR)
    engine.everything()
    engine.settled("shop", state="blocked")
    deletion.fault("cm_unavailable", action=STATUS, times=9)
    engine.until(lambda: engine.ended[-1][2].status is Status.PENDING)
    engine.some("shop")
    assert engine.state() == "out-of-sync"
    assert "the last attempt had no effect" in engine.said()["shop"].reason
    assert marks(deletion)


def test_a_daemon_says_that_it_is_blocked_and_by_which_rail(deletion, engine):
    stand(deletion, 3 * HOUR)
    engine.everything()
    engine.settled("shop", state="blocked")
    said = engine.said()["shop"]
    assert said.reason.startswith("checkpoint: the newest checkpoint that OMS reports is 3 h old")
    assert said.next_step.startswith("wait until the component has caught up: it is sent by itself then; or")
    assert "approve PLAN --task shop --force checkpoint --reason TEXT" in said.next_step
    assert said.until > deletion.clock.now()
    tripped = {rail.name: rail.tasks for rail in engine.passes.rails if rail.state is RailState.TRIPPED}
    assert (tripped, engine.passes.held) == ({"checkpoint": 1}, {"checkpoint": ("shop",)})
    stand(deletion, 10)
    engine.settled()
    assert not any(rail.state is RailState.TRIPPED for rail in engine.passes.rails)
    assert engine.passes.held == {}


def test_an_approval_that_lifts_it_waits_for_no_next_try(deletion, engine):
    stand(deletion, 3 * HOUR)
    engine.everything()
    engine.settled("shop", state="blocked")
    engine.until(lambda: (engine.said()["shop"].until or deletion.clock.now()) > deletion.clock.now() + FAR)
    due = engine.said()["shop"].until
    item, now = deletion.item(), deletion.clock.now()
    until, forced = now + timedelta(hours=9), ("checkpoint",)
    deletion.store.approve(
        Approval(item.content_id, "shop", item.address, "plan", item.intended.value, forced, "why", "ann", now, until)
    )
    engine.some("shop")
    engine.until(lambda: deletion.sent)
    assert deletion.clock.now() < due
