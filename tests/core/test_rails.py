from dataclasses import replace

import pytest

from reconciler.core import rails
from reconciler.core.policy import FORCIBLE, Mode, NewTasks, Policy
from reconciler.core.rails import Counts, Grip
from reconciler.model import Action, Approval, Item, Limits, RailState, Window
from tests.core.builders import APPLY, NOW, around

OFF, ON, TRIPPED, OVERRIDDEN = RailState
WORD = Approval("c", "t", "a", "p", "update", (), "agreed", "ann", NOW, NOW)
NIGHTS = Window("nights", True, "0 22 * * *", 3600, "UTC")
YEAR_END = Window("year-end", False, "0 0 20 12 *", 3600, "UTC")
TWO = {"a": 60.0, "b": 0.0, "c": 60.0}


def item(name="t", rail="", action=Action.BLOCKED, **more):
    return Item("i", name, action, "why", intended=Action.UPDATE, rail=rail, **more)


GONE = "6 of 12 known tasks are gone: nothing is called"


def found(name, *items, rules=APPLY, frozen="", **surroundings):
    """One rail of a plan."""
    (rail,) = (one for one in rails.of_plan(items, around(rules, **surroundings), frozen=frozen) if one.name == name)
    return rail


# --- which there are -----------------------------------------------------------------------------------------------


def test_every_rail_is_listed_in_the_order_in_which_they_are_asked():
    assert tuple(rail.name for rail in rails.states(Policy())) == rails.NAMES
    assert " ".join(rails.NAMES) == (
        "mode new_tasks first_run vanished suspend protect danger incomplete removed_keys changed_keys tasks approval"
        " window checkpoint min_update_interval_s max_concurrent stop_after_failures reset retention"
    )


def test_every_rail_that_can_be_forced_is_listed():
    assert set(FORCIBLE) <= set(rails.NAMES)


def test_what_else_holds_a_task_is_listed_after_them():
    last = rails.of_plan([item(rail="lost_secret"), item("u", "future")], around())[-2:]
    assert [(rail.name, rail.state, rail.tasks) for rail in last] == [
        ("future", TRIPPED, 1),
        ("lost_secret", TRIPPED, 1),
    ]


@pytest.mark.parametrize("rail", ["", "failed", "unknown", "secret", "target", "capability"])
def test_what_a_task_or_its_target_is_in_is_no_rail(rail):
    assert rails.of_plan([item(rail=rail)], around()) == rails.states(APPLY)


# --- how they are set ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rules", "state", "text"),
    [
        ("mode", Policy(), OFF, "auto"),
        ("mode", Policy(mode=Mode.APPROVE), ON, "approve: every call needs an approval"),
        ("mode", Policy(mode=Mode.OBSERVE), ON, "observe: nothing is called"),
        ("new_tasks", Policy(), ON, "hold"),
        ("new_tasks", Policy(new_tasks=NewTasks.ADOPT), ON, "adopt: recorded as applied, nothing is sent"),
        ("new_tasks", Policy(new_tasks=NewTasks.APPLY), OFF, "apply: sent as they are"),
        ("first_run", Policy(), ON, "more than 50 tasks and an empty store"),
        ("vanished", Policy(), ON, "more than 30 % of known tasks gone, and more than 3"),
        ("removed_keys", Policy(), ON, "more than 10 % of the keys, and more than 5"),
        ("removed_keys", Policy(limits=Limits(removed_keys=1)), OFF, "no limit"),
        ("changed_keys", Policy(limits=Limits(changed_keys=0.125, keys_floor=2)), ON, "more than 12.5 % of the keys, and more than 2"),
        ("tasks", Policy(limits=Limits(tasks_floor=9)), ON, "more than 30 % of the tasks, and more than 9"),
        ("tasks", Policy(limits=Limits(tasks=1)), OFF, "no limit"),
        ("approval", Policy(), OFF, "no call needs one"),
        ("approval", Policy(resets={"a": "no"}), OFF, "no call needs one"),
        ("approval", Policy(resets={"a": "no", "b": ""}), ON, "resets need one"),
        ("approval", Policy(approve_deletions=True), ON, "deletions need one"),
        ("approval", Policy(approve_deletions=True, resets={"b": ""}), ON, "deletions and resets need one"),
        ("approval", Policy(mode=Mode.APPROVE), ON, "every call needs one"),
        ("window", Policy(), OFF, "none in the configuration"),
        ("window", Policy(windows=(NIGHTS, YEAR_END)), ON, "allow nights, deny year-end"),
        ("checkpoint", Policy(checkpoint_max_age_s=90.0), ON, "positions older than 90 s"),
        ("min_update_interval_s", Policy(), OFF, "no target"),
        ("min_update_interval_s", Policy(intervals={"a": 0.0}), OFF, "0 s"),
        ("min_update_interval_s", Policy(intervals=TWO), ON, "60 s (a, c), 0 s (b)"),
        ("max_concurrent", Policy(concurrent={"a": 2}), ON, "2 at once"),
        ("stop_after_failures", Policy(stop_after={"a": 3}), ON, "3 within 1 h"),
        ("stop_after_failures", Policy(stop_after={"a": 0}), OFF, "0 within 1 h"),
        ("reset", Policy(), ON, "no target allows resets; edits wait for one under way"),
        ("reset", Policy(resets={"b": "", "a": "", "c": "no"}), ON, "resets may be sent to a, b; edits wait for one under way"),
        ("retention", Policy(retention_s={"a": 86_400.0}), ON, "24 h of logs"),
    ],
)  # fmt: skip
def test_how_a_rail_is_set(name, rules, state, text):
    rail = found(name, rules=rules)
    assert (rail.state, rail.text, rail.tasks) == (state, text, 0)


# --- what they hold ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rail", ["suspend", "suspend --all", "suspend --label team=shop", "suspend in task.json"])
def test_every_kind_of_suspension_counts_as_one_rail(rail):
    assert found("suspend", item(rail=rail, action=Action.SUSPENDED)).state is TRIPPED


def test_a_task_counts_once_for_a_rail():
    held = found("approval", item(rail="approval"), item(rail="approval"), item("u", "approval"))
    assert (held.state, held.tasks) == (TRIPPED, 2)


def test_what_was_lifted_is_overridden():
    lifted = found("tasks", item(action=Action.UPDATE, forced=("tasks",)))
    assert (lifted.state, lifted.tasks) == (OVERRIDDEN, 1)


def test_what_holds_one_and_was_lifted_for_another_has_tripped():
    rail = found("incomplete", item(rail="incomplete"), item("u", action=Action.UPDATE_DELETE, forced=("incomplete",)))
    assert (rail.state, rail.tasks, rail.text) == (
        TRIPPED,
        1,
        "deletions that lack something to keep; lifted for 1 task",
    )


def test_approvals_in_force_are_counted_and_override_nothing():
    rules = replace(APPLY, mode=Mode.APPROVE)
    approved = [item(name, action=Action.UPDATE, approval=WORD) for name in "ab"]
    assert found("approval", *approved, rules=rules).text == "every call needs one; 2 tasks approved"
    assert found("approval", *approved, rules=rules).state is ON


def test_a_frozen_plan_trips_though_it_holds_no_task():
    rail = found("vanished", frozen=GONE)
    assert (rail.state, rail.tasks, rail.found) == (TRIPPED, 0, "6 of 12 known tasks are gone")
    assert rails.line([rail]) == "Rails: tripped: vanished (6 of 12 known tasks are gone)."


def test_a_rail_behind_another_one_has_tripped_as_well():
    held = [item(rail="removed_keys", behind=("tasks", "window")), item("u", "window")]
    assert [(rail.tasks, rail.state) for rail in (found(name, *held) for name in ("removed_keys", "tasks"))] == [
        (1, TRIPPED),
        (1, TRIPPED),
    ]
    assert found("window", *held).tasks == 2


def test_a_limit_of_the_run_that_tripped_has_its_numbers_whatever_it_holds():
    stand = {rail.name: rail for rail in rails.of_plan([], around(), limits={"tasks": "8 of 20 tasks"})}
    assert (stand["tasks"].state, stand["tasks"].tasks, stand["tasks"].found) == (TRIPPED, 0, "8 of 20 tasks")


def test_what_was_lifted_behind_a_rail_that_holds_is_overridden():
    held = item(rail="tasks", forced=("removed_keys",))
    assert (found("tasks", held).state, found("removed_keys", held).state) == (TRIPPED, OVERRIDDEN)


def test_a_freeze_that_was_forced_is_overridden():
    assert found("vanished", rules=replace(APPLY, forced=frozenset({"vanished"})), frozen=GONE).state is OVERRIDDEN


@pytest.mark.parametrize(("kind", "state"), [("stopped", TRIPPED), ("misconfigured", ON)])
def test_a_stopped_target_trips_though_it_holds_no_task(kind, state):
    rules = replace(APPLY, stop_after={"default": 3})
    assert found("stop_after_failures", rules=rules, troubles={"default": (kind, "x")}).state is state


def test_tasks_that_no_rail_has_to_do_with_do_not_matter():
    assert not rails.grip([item(action=Action.UPDATE)]).matters
    assert rails.grip([item(rail="window"), item(forced=("tasks",), approval=WORD)]) == Grip(
        frozenset({"window"}), frozenset({"tasks"}), True
    )


# --- in words ------------------------------------------------------------------------------------------------------


def test_the_line_names_what_trips_first_then_what_is_lifted_then_what_is_off():
    counts = Counts(held={"window": 1, "approval": 2}, lifted={"tasks": 1200})
    line = rails.line(rails.states(Policy(windows=(NIGHTS,), intervals={"a": 0.0}), counts))
    assert line == (
        "Rails: tripped: approval (2 tasks), window (1 task); overridden: tasks (1,200 tasks); off: mode (auto),"
        " min_update_interval_s (0 s), stop_after_failures (no target)."
    )


def test_the_line_says_when_all_are_on():
    assert rails.line([rail for rail in rails.states(Policy()) if rail.state is ON]) == "Rails: all on."


@pytest.mark.parametrize(
    ("counts", "unusual"),
    [(Counts(), False), (Counts(held={"tasks": 1}), True), (Counts(lifted={"tasks": 1}), True)],
)
def test_only_what_trips_or_is_lifted_is_unusual(counts, unusual):
    assert rails.is_unusual(rails.states(Policy(), counts)) is unusual
