"""What concerns the fleet as a whole: limits of a run hold what they count, and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.fleet import exit_code, limit
from reconciler.core.limits import REMOVED, TASKS, Standing, Weight
from reconciler.model import Action, Item
from tests.core.builders import NOW, plan_of

REASONS = {REMOVED: "too many keys", TASKS: "too many tasks"}
BOTH = Standing(REASONS, frozenset(), REASONS)
SENT = Weight(10, 0, 0, 1)
LIFTED = replace(SENT, lifted=frozenset((TASKS,)))
UPDATE = Item("id", "t", Action.UPDATE, "1 key set", Action.UPDATE)
FIRST = "too many keys; then held by: tasks"
HELD = (Action.BLOCKED, TASKS, "too many tasks")
GOES = (Action.UPDATE, "", "1 key set")


def limited(item=UPDATE, weight=SENT, standing=BOTH):
    (found,) = limit([item], {"t": weight} if weight else {}, standing)
    return found


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        pytest.param(SENT, HELD, id="counts"),
        pytest.param(Weight(10, 2, 0, 1), (Action.BLOCKED, REMOVED, FIRST), id="the first in order is told"),
        pytest.param(LIFTED, GOES, id="lifted"),
        pytest.param(replace(LIFTED, removed=2), (Action.BLOCKED, REMOVED, "too many keys"), id="another one lifted"),
        pytest.param(Weight(10), GOES, id="counts towards nothing"),
        pytest.param(None, GOES, id="nothing is known of it"),
    ],
)
def test_limit_holds_what_it_counts(weight, expected):
    found = limited(weight=weight)
    assert (found.action, found.rail, found.reason) == expected


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(replace(UPDATE, action=Action.RESET, intended=Action.RESET), id="reset"),
        pytest.param(replace(UPDATE, action=Action.ORPHANED, intended=Action.NOOP), id="orphan of the same name"),
    ],
)
def test_limit_leaves_others_alone(item):
    assert limited(item) == item


def test_what_is_frozen_stays_so_and_tells_what_holds_it_then():
    frozen = replace(UPDATE, action=Action.BLOCKED, rail="vanished", reason="6 of 12 are gone")
    found = limited(frozen)
    assert (found.rail, found.reason, found.behind) == ("vanished", "6 of 12 are gone; then held by: tasks", (TASKS,))


def test_rails_behind_the_first_are_kept_by_name():
    waiting = replace(UPDATE, action=Action.BLOCKED, rail="window", behind=("min_update_interval_s",))
    assert limited(waiting, Weight(10, 2, 0, 1)).behind == (TASKS, "window", "min_update_interval_s")


@pytest.mark.parametrize(
    "standing", [pytest.param(BOTH, id="tripped"), pytest.param(Standing(foreseen=REASONS), id="foreseen")]
)
def test_what_waits_for_a_word_is_told_what_holds_it_then_and_is_not_held_by_it(standing):
    waiting = replace(UPDATE, action=Action.BLOCKED, rail="approval", reason="needs one")
    found = limited(waiting, replace(SENT, awaits="approval"), standing)
    assert (found.rail, found.behind) == ("approval", ())
    assert found.reason == "needs one; then, together with the others, held by: tasks"
    assert plan_of(found).id == plan_of(waiting).id


def test_limit_lifted_for_what_another_one_holds_is_recorded():
    weight = Weight(10, 2, 0, 1, frozenset((REMOVED,)))
    found = limited(UPDATE, weight, Standing({TASKS: "x"}, frozenset((REMOVED,)), REASONS))
    assert (found.rail, found.forced) == (TASKS, (REMOVED,))


def test_what_waits_for_a_window_says_that_it_is_too_much():
    waiting = replace(UPDATE, action=Action.BLOCKED, rail="window", until=NOW + timedelta(hours=1))
    found = limited(waiting)
    assert (found.rail, found.reason, found.until) == (TASKS, "too many tasks; then held by: window", None)


@pytest.mark.parametrize(
    ("weight", "overridden", "forced"),
    [
        pytest.param(LIFTED, {TASKS}, ("incomplete", TASKS), id="it would hold"),
        pytest.param(LIFTED, set(), ("incomplete",), id="it would hold nothing"),
        pytest.param(LIFTED, {REMOVED}, ("incomplete",), id="another one would"),
        pytest.param(SENT, {TASKS}, ("incomplete",), id="not lifted here"),
    ],
)
def test_limit_that_somebody_lifted_is_recorded_where_it_would_hold(weight, overridden, forced):
    item = replace(UPDATE, forced=("incomplete",))
    assert limited(item, weight, Standing(overridden=frozenset(overridden))).forced == forced


def test_rail_that_is_lifted_for_the_task_and_for_the_run_is_recorded_once():
    weight = Weight(10, 2, 0, 1, frozenset((REMOVED,)))
    item = replace(UPDATE, forced=(REMOVED,))
    assert limited(item, weight, Standing(overridden=frozenset((REMOVED,)))).forced == (REMOVED,)


def test_plan_with_a_tripped_limit_is_blocked():
    assert (exit_code(plan_of(UPDATE)), exit_code(plan_of(limited()))) == (2, 3)


def test_limit_changes_no_id():
    assert plan_of(UPDATE).id == plan_of(limited()).id
