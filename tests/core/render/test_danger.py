import json
from dataclasses import replace
from itertools import permutations

import pytest

from reconciler.core.render.danger import Rank, alarms, by_danger, levels, rank, worst
from reconciler.model import Action, DangerLevel, Outlook, ResetKey, Stage
from tests.core.builders import plan_of, sample_items
from tests.core.render.samples import CONFIRM, FORBID, WARN, an_item, changed

EXACT = json.dumps(["default", "NAME", "10.0.0.1-9000:x"])
ROLE = json.dumps(["default", "component", "np_a", "forward", 0])
BY_HOST = json.dumps(["default", "IP", "10.0.0.1"])
BY_TASK = json.dumps(["default", "TASK_NAME", "x"])

ORDER = [
    (Rank.INVALID, an_item(Action.INVALID)),
    (Rank.FAILED, an_item(Action.BLOCKED, "a", intended=Action.UPDATE_DELETE, rail="failed")),
    (Rank.FAILED, an_item(Action.NOOP, "b", rail="failed")),
    (Rank.DELETES, an_item(Action.UPDATE_DELETE)),
    (Rank.DELETES, an_item(Action.BLOCKED, intended=Action.UPDATE_DELETE)),
    (Rank.FORBID, an_item(Action.UPDATE, changes=(changed(danger=WARN), changed(danger=FORBID)))),
    (Rank.FORBID, an_item(Action.BLOCKED, intended=Action.UPDATE, changes=(changed(danger=FORBID),))),
    (Rank.CONFIRM, an_item(Action.UPDATE, changes=(changed(danger=CONFIRM), changed(danger=WARN)))),
    (Rank.CONFIRM, an_item(Action.SUSPENDED, intended=Action.UPDATE, changes=(changed(danger=CONFIRM),))),
    (Rank.INEXACT, an_item(Action.UPDATE, "by host", address=BY_HOST)),
    (Rank.INEXACT, an_item(Action.UPDATE, "by task", address=BY_TASK)),
    (Rank.RESET, an_item(Action.RESET)),
    (Rank.RESET, an_item(Action.BLOCKED, intended=Action.RESET)),
    (Rank.BLOCKED, an_item(Action.BLOCKED, intended=Action.UPDATE, address=EXACT)),
    (Rank.UPDATE, an_item(Action.UPDATE, "exact", address=EXACT)),
    (Rank.UPDATE, an_item(Action.UPDATE, "role", address=ROLE)),
    (Rank.UPDATE, an_item(Action.UPDATE, "warned", changes=(changed(danger=WARN),))),
    (Rank.ADOPT, an_item(Action.ADOPT)),
    (Rank.ORPHANED, an_item(Action.ORPHANED)),
    (Rank.SUSPENDED, an_item(Action.SUSPENDED, intended=Action.UPDATE)),
    (Rank.QUIET, an_item(Action.NOOP, address=BY_HOST)),
]


@pytest.mark.parametrize(("expected", "item"), ORDER, ids=[f"{r.name} {i.action.value}" for r, i in ORDER])
def test_an_item_ranks_by_the_worst_about_it(expected, item):
    assert rank(item) is expected


def test_items_are_ordered_by_rank_and_what_is_sent_comes_before_what_is_held():
    items = [item for _, item in ORDER]
    assert by_danger(reversed(items)) == tuple(items)


def test_items_of_one_rank_are_ordered_by_name_whatever_order_they_came_in():
    items = [an_item(Action.UPDATE, name) for name in "abc"]
    assert {by_danger(order) for order in permutations(items)} == {tuple(items)}


def test_the_worst_level_counts():
    assert worst(an_item(Action.UPDATE, changes=(changed(), changed(danger=WARN)))) is DangerLevel.WARN
    assert worst(an_item(Action.UPDATE, changes=(changed(),))) is None


def held(intended, name="shop", action=Action.BLOCKED, **more):
    return an_item(action, name, intended=intended, cost=(), **more)


def test_alarms_of_several_tasks():
    plan = plan_of(*sample_items(), an_item(Action.NOOP, "k", rail="failed"), an_item(Action.UPDATE, address=BY_HOST))
    assert list(alarms(plan)) == [
        "3 components restart",
        "1 task is invalid",
        "1 task failed",
        "1 task deletes keys",
        "1 held reset would move a link",
        "1 address may mean more than one component",
        "Dangerous changes: 1 forbid, 1 confirm, 4 warn",
    ]


@pytest.mark.parametrize(
    ("items", "told"),
    [
        pytest.param([], ["Nothing is sent"], id="no tasks"),
        pytest.param([an_item(Action.ADOPT)], ["Nothing is sent"], id="adopt"),
        pytest.param(
            [an_item(Action.RESET)], ["No component restarts", "1 link is reset to another position"], id="reset"
        ),
        pytest.param([an_item(Action.UPDATE)], ["1 component restarts"], id="one"),
        pytest.param([held(Action.RESET)], ["Nothing is sent", "1 held reset would move a link"], id="held reset"),
        pytest.param(
            [held(Action.UPDATE_DELETE, n) for n in "ab"],
            ["Nothing is sent", "2 held tasks would delete keys"],
            id="held deletions",
        ),
        pytest.param(
            [an_item(Action.UPDATE_DELETE), held(Action.UPDATE_DELETE, "b", Action.SUSPENDED)],
            ["1 component restarts", "1 task deletes keys", "1 held task would delete keys"],
            id="deletions",
        ),
        pytest.param(
            [held(Action.RESET, outlook=Outlook(ResetKey("t", "p", False, "r"), 1, Stage.UNKNOWN, messages=False))],
            ["Nothing is sent", "1 reset was perhaps carried out"],
            id="unknown reset",
        ),
        pytest.param(
            [held(Action.RESET, action=Action.INVALID)], ["Nothing is sent", "1 task is invalid"], id="invalid reset"
        ),
        pytest.param([an_item(Action.INVALID, n) for n in "ab"], ["Nothing is sent", "2 tasks are invalid"], id="two"),
    ],
)
def test_alarms_say_first_what_restarts(items, told):
    assert list(alarms(plan_of(*items))) == told


def test_a_frozen_plan_says_so_before_all_else():
    plan = plan_of(an_item(Action.BLOCKED, intended=Action.UPDATE), frozen="40 of 50 tasks are gone")
    assert next(alarms(plan)) == "The plan is frozen: nothing is begun"


def test_levels_are_counted_by_key():
    plan = replace(plan_of(), items=(an_item(Action.UPDATE, changes=(changed(danger=WARN), changed(danger=FORBID))),))
    assert list(levels(plan).items()) == [(DangerLevel.FORBID, 1), (DangerLevel.WARN, 1)]
