"""How much may change at once: below, at and above a share and a floor; of one task, and of all together."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import limits
from reconciler.core.limits import CHANGED, RAILS, REMOVED, TASKS, Tally, Weight, exceeded, weigh
from reconciler.model import Action, Approval, Change, ChangeKind, Item, Limits
from tests.core.builders import APPLY, NOW, applied, few, planned, task

HOUR = timedelta(hours=1)
ON = Limits()
OFF = Limits(removed_keys=1, changed_keys=1, tasks=1)


def gone(old="1", *, stays=False):
    return Change("sink", "/a", ChangeKind.REMOVED, old, None, left_in_place=stays)


def put(new="2", old="1"):
    return Change("sink", "/a", ChangeKind.SET, old, new)


def keys(number):
    return few(sink={f"k{each}": "1" for each in range(number)})


def edited(*, removed=0, changed=0, of=40, own=(), rules=ON, forced=(), **more):
    """The item of a task of which so many keys were removed, and so many changed."""
    values = {f"k{each}": "1" for each in range(removed, of)} | {f"k{of - each}": "2" for each in range(1, changed + 1)}
    made = task(few(sink=values), allow_delete=True, limits=own)
    policy = replace(APPLY, limits=rules, forced=frozenset(("incomplete", *forced)))
    return planned(made, applied(task(keys(of)), **more), policy=policy)


# --- what counts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [
        pytest.param("1", 1, id="scalar"),
        pytest.param(["a", "b", {"c": "d"}], 1, id="list"),
        pytest.param([], 1, id="empty list"),
        pytest.param({"a": "1", "b": {"c": "2", "d": ["x", "y"]}}, 3, id="object"),
        pytest.param({"a": {}, "b": "1"}, 1, id="empty object inside"),
        pytest.param({}, 0, id="nothing"),
    ],
)
def test_leaves_are_counted_and_a_list_is_one(value, number):
    assert limits.leaves(value) == number


@pytest.mark.parametrize(
    ("changes", "removed", "changed"),
    [
        pytest.param((), 0, 0, id="none"),
        pytest.param((gone(),), 1, 0, id="removed"),
        pytest.param((gone({"a": "1", "b": {"c": "2"}}),), 2, 0, id="removed object"),
        pytest.param((gone({}),), 1, 0, id="removed empty object"),
        pytest.param((gone(["a", "b"]),), 1, 0, id="removed list"),
        pytest.param((gone(stays=True),), 0, 0, id="left in place"),
        pytest.param((put(),), 0, 1, id="changed"),
        pytest.param((put(old=None),), 0, 1, id="new"),
        pytest.param((put({"a": "1", "b": "2"}, old=None),), 0, 2, id="new object"),
        pytest.param((put("1", old={"a": "1", "b": "2", "c": "3"}),), 0, 3, id="object becomes a value"),
        pytest.param((put({}, old=None),), 0, 1, id="new empty object"),
        pytest.param((put(), gone(), gone(stays=True), put()), 1, 2, id="several"),
    ],
)
def test_removed_and_changed_keys_are_counted(changes, removed, changed):
    assert (limits.removed(changes), limits.changed(changes)) == (removed, changed)


# --- when it is too much -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "of", "share", "floor", "is_too_much"),
    [
        pytest.param(3, 40, 0.1, 5, False, id="below both"),
        pytest.param(5, 20, 0.1, 5, False, id="above the share, at the floor"),
        pytest.param(6, 20, 0.1, 5, True, id="above both"),
        pytest.param(10, 100, 0.1, 5, False, id="at the share"),
        pytest.param(11, 100, 0.1, 5, True, id="just above the share"),
        pytest.param(6, 100, 0.1, 5, False, id="above the floor, below the share"),
        pytest.param(29, 100, 0.29, 5, False, id="at a share that floats do not hit"),
        pytest.param(7, 100, 0.07, 5, False, id="at another one"),
        pytest.param(8, 100, 0.07, 5, True, id="just above it"),
        pytest.param(100, 100, 1, 0, False, id="share 1 is off"),
        pytest.param(100, 100, 0.999, 0, True, id="all of it"),
        pytest.param(0, 100, 0, 0, False, id="nothing, share 0 and floor 0"),
        pytest.param(1, 100, 0, 0, True, id="one, share 0 and floor 0"),
        pytest.param(5, 100, 0, 5, False, id="share 0, at the floor"),
        pytest.param(6, 100, 0, 5, True, id="share 0, above the floor"),
        pytest.param(6, 0, 0.3, 5, True, id="of nothing"),
    ],
)
def test_limit_trips_above_its_share_and_above_its_floor(number, of, share, floor, is_too_much):
    assert exceeded(number, of, share, floor) is is_too_much


HALF = (("removed_keys", 0.5),)
NONE = (("keys_floor", 0), ("removed_keys", 0))


@pytest.mark.parametrize(
    ("edit", "rail"),
    [
        pytest.param({"removed": 5}, "", id="removed, at the floor"),
        pytest.param({"removed": 6}, REMOVED, id="removed, above"),
        pytest.param({"removed": 6, "of": 60}, "", id="removed, at the share"),
        pytest.param({"removed": 7, "of": 60}, REMOVED, id="removed, above the share"),
        pytest.param({"removed": 40}, REMOVED, id="everything removed"),
        pytest.param({"changed": 12}, "", id="changed, at the share"),
        pytest.param({"changed": 13}, CHANGED, id="changed, above"),
        pytest.param({"changed": 5, "of": 5}, "", id="changed, at the floor"),
        pytest.param({"changed": 13, "removed": 7}, REMOVED, id="both: the first is told"),
        pytest.param({"removed": 39, "own": (("removed_keys", 1.0),)}, "", id="off for the task"),
        pytest.param({"removed": 20, "own": HALF}, "", id="wider for the task, at"),
        pytest.param({"removed": 21, "own": HALF}, REMOVED, id="wider for the task, above"),
        pytest.param({"removed": 1, "own": NONE}, REMOVED, id="none may go"),
        pytest.param({"changed": 9, "own": (("changed_keys", 0.1), ("keys_floor", 8))}, CHANGED, id="narrower"),
        pytest.param({"removed": 40, "rules": OFF}, "", id="off"),
        pytest.param({"removed": 40, "rules": OFF, "own": HALF}, REMOVED, id="on for the task alone"),
        pytest.param({"removed": 7, "forced": (REMOVED,)}, "", id="removed, forced"),
        pytest.param({"changed": 13, "forced": (CHANGED,)}, "", id="changed, forced"),
        pytest.param({"changed": 13, "forced": (REMOVED,)}, CHANGED, id="another one forced"),
        pytest.param({"changed": 13, "removed": 7, "forced": (REMOVED,)}, CHANGED, id="one of two forced"),
        pytest.param({"removed": 39, "digest": None}, "", id="first send"),
    ],
)
def test_one_task_is_held_by_its_limits(edit, rail):
    item = edited(**edit)
    assert (item.rail, item.action is Action.BLOCKED) == (rail, bool(rail))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        pytest.param({"removed": 20, "own": HALF}, [REMOVED], id="wider"),
        pytest.param(
            {"removed": 13, "changed": 13, "own": (*HALF, ("changed_keys", 1.0))}, [REMOVED, CHANGED], id="two"
        ),
        pytest.param({"removed": 21, "own": HALF}, [], id="held all the same"),
        pytest.param({"removed": 5, "own": HALF}, [], id="nothing that the policy would hold"),
        pytest.param({"removed": 20, "own": HALF, "rules": OFF}, [], id="no limit of the policy"),
        pytest.param({"removed": 20, "own": HALF, "digest": None}, [], id="first send"),
    ],
)
def test_wider_limits_of_a_task_are_told_where_they_matter(edit, told):
    remarks = [remark for remark in edited(**edit).remarks if remark.endswith("; limits in task.json let it go")]
    assert [remark.partition(": ")[0] for remark in remarks] == told


def test_what_a_tasks_own_limits_let_go_is_said_with_numbers():
    assert (
        "removed_keys: 20 of 40 keys would be removed (50 %), more than 10 % and more than 5; limits in task.json let"
        " it go"
    ) in edited(removed=20, own=HALF).remarks


def test_keys_that_are_left_in_place_count_towards_nothing():
    item = planned(few(sink={"k0": "2"}), applied(task(keys(40))))
    assert (item.action, item.rail) == (Action.UPDATE, "")


def test_first_send_has_no_limit():
    assert planned(keys(40)).action is Action.UPDATE


def test_forced_limit_is_recorded():
    assert edited(removed=7, forced=(REMOVED, CHANGED)).forced == ("incomplete", REMOVED)


def test_approval_lifts_the_rails_that_it_names():
    held = edited(changed=13)
    given_ = Approval(
        held.content_id, held.task, held.address, "p", "update", (CHANGED,), "why", "ann", NOW, NOW + HOUR
    )
    made = task(few(sink=keys(27)["sink"] | {f"k{each}": "2" for each in range(27, 40)}), allow_delete=True)
    item = planned(made, applied(task(keys(40))), approvals={held.content_id: given_})
    assert (item.action, item.forced) == (Action.UPDATE, (CHANGED,))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        pytest.param(
            {"removed": 7},
            "7 of 40 keys would be removed (17.5 %), more than 10 % and more than 5: take some of that back,"
            " --force removed_keys, or set limits in task.json",
            id="removed",
        ),
        pytest.param(
            {"changed": 1001, "of": 3333},
            "1,001 of 3,333 keys would be changed (30.1 %), more than 30 % and more than 5: take some of that back,"
            " --force changed_keys, or set limits in task.json",
            id="changed, a little",
        ),
        pytest.param(
            {"removed": 1, "own": (("keys_floor", 0), ("removed_keys", 0.005))},
            "1 of 40 keys would be removed (2.5 %), more than 0.5 % and more than 0: take some of that back,"
            " --force removed_keys, or set limits in task.json",
            id="own limits",
        ),
    ],
)
def test_reason_says_how_much_and_what_to_do(edit, reason):
    assert edited(**edit).reason == reason


# --- what a task weighs ---------------------------------------------------------------------------------------------


def weight_of(item, *forced, counts=True):
    return weigh(item, frozenset(forced), counts=counts)


def item(**members):
    """An update that sets one of three keys and removes two."""
    changes = (put(), gone({"a": "1", "b": "2"}), gone(stays=True))
    made = Item("id", "t", Action.UPDATE, "why", Action.UPDATE, changes=changes, unchanged=7)
    return replace(made, **members)


NOTHING = Weight(10)
SOMETHING = Weight(10, 2, 1, 1)


@pytest.mark.parametrize(
    ("members", "weight"),
    [
        pytest.param({}, SOMETHING, id="sends"),
        pytest.param({"action": Action.UPDATE_DELETE, "intended": Action.UPDATE_DELETE}, SOMETHING, id="deletes"),
        pytest.param({"action": Action.BLOCKED, "rail": "window"}, SOMETHING, id="waits for a window"),
        pytest.param(
            {"action": Action.BLOCKED, "rail": "min_update_interval_s"}, SOMETHING, id="waits for its interval"
        ),
        pytest.param(
            {"action": Action.BLOCKED, "rail": "approval"},
            replace(SOMETHING, awaits="approval"),
            id="waits for approval",
        ),
        pytest.param(
            {"action": Action.BLOCKED, "rail": "mode", "behind": ("approval", "window")},
            replace(SOMETHING, awaits="mode"),
            id="only observed",
        ),
        pytest.param(
            {"action": Action.BLOCKED, "rail": "mode", "behind": ("protect",)}, NOTHING, id="observed, and held"
        ),
        pytest.param({"action": Action.BLOCKED, "rail": "protect"}, NOTHING, id="held"),
        pytest.param({"action": Action.BLOCKED, "rail": REMOVED}, NOTHING, id="held by its own limit"),
        pytest.param({"action": Action.SUSPENDED, "rail": "suspend"}, NOTHING, id="suspended"),
        pytest.param({"action": Action.NOOP, "intended": Action.NOOP}, NOTHING, id="nothing to send"),
        pytest.param({"action": Action.ADOPT, "intended": Action.ADOPT}, NOTHING, id="adopted"),
    ],
)
def test_what_would_be_sent_weighs_something(members, weight):
    assert weight_of(item(**members)) == weight


def test_first_send_and_what_was_begun_weigh_nothing():
    assert weight_of(item(), counts=False) == NOTHING


def test_rails_are_lifted_for_the_run_or_with_an_approval():
    allowed = Approval("c", "t", "a", "p", "update", (TASKS,), "why", "ann", NOW, NOW + HOUR)
    lifted = weight_of(item(approval=allowed), REMOVED).lifted
    assert lifted == {TASKS, REMOVED}


# --- all tasks together ---------------------------------------------------------------------------------------------


def tally(*weights):
    made = Tally()
    for number, weight in enumerate(weights):
        made.put(f"t{number}", weight)
    return made


def tripped(*weights, tasks=None, rules=ON):
    return set(tally(*weights).standing(rules, len(weights) if tasks is None else tasks).tripped)


def many(number, *, of, weight=SOMETHING):
    return [weight] * number + [NOTHING] * (of - number)


SENT = Weight(10, 0, 0, 1)


@pytest.mark.parametrize(
    ("weights", "rails"),
    [
        pytest.param([], set(), id="no tasks"),
        pytest.param(many(5, of=5, weight=SENT), set(), id="tasks, at the floor"),
        pytest.param(many(6, of=6, weight=SENT), {TASKS}, id="tasks, above"),
        pytest.param(many(30, of=100, weight=SENT), set(), id="tasks, at the share"),
        pytest.param(many(31, of=100, weight=SENT), {TASKS}, id="tasks, above the share"),
        pytest.param(many(2, of=5, weight=Weight(10, 2, 0, 1)), set(), id="removed, below the floor"),
        pytest.param(many(2, of=6, weight=Weight(10, 3, 0, 1)), set(), id="removed, at the share"),
        pytest.param(many(2, of=5, weight=Weight(10, 3, 0, 1)), {REMOVED}, id="removed, above"),
        pytest.param(many(3, of=10, weight=Weight(10, 0, 10, 1)), set(), id="changed, at the share"),
        pytest.param(many(4, of=10, weight=Weight(10, 0, 10, 1)), {CHANGED}, id="changed, above"),
        pytest.param(many(6, of=6, weight=Weight(10, 6, 4, 1)), set(RAILS), id="everything"),
        pytest.param(many(1, of=2, weight=Weight(10, 9, 0, 1)), set(), id="one task alone has limits of its own"),
        pytest.param(many(40, of=100, weight=replace(SENT, lifted=frozenset((TASKS,)))), set(), id="lifted"),
        pytest.param(
            many(6, of=6, weight=Weight(10, 6, 4, 1, frozenset((TASKS, CHANGED)))), {REMOVED}, id="two of three lifted"
        ),
        pytest.param(
            [*many(30, of=99, weight=SENT), replace(SENT, lifted=frozenset((TASKS,)))], set(), id="the one above lifted"
        ),
    ],
)
def test_run_is_held_by_its_limits(weights, rails):
    assert tripped(*weights) == rails


def test_limits_that_are_off_hold_nothing():
    assert tripped(*many(6, of=6, weight=Weight(10, 6, 4, 1)), rules=OFF) == set()


def test_share_is_of_all_tasks_known_though_few_were_weighed():
    selected = many(10, of=10, weight=SENT)
    assert (tripped(*selected), tripped(*selected, tasks=40)) == ({TASKS}, set())


def test_standing_says_how_much_and_items_say_nothing_that_moves():
    standing = tally(*many(40, of=100, weight=SENT)).standing(ON, 100)
    (remark,) = standing.remarks
    assert remark == (
        "limit tasks: 40 of 100 tasks would be restarted at once (40 %), more than 30 % and more than 5:"
        " nothing of that is sent; take it back, or --force tasks"
    )
    assert standing.reasons == {
        TASKS: "more than 30 % and more than 5 of all tasks would be restarted at once, so nothing of that is sent"
    }


def test_standing_tells_keys_of_all_tasks():
    standing = tally(*many(2, of=4, weight=Weight(10, 4, 10, 1))).standing(ON, 4)
    assert list(standing.tripped) == [REMOVED, CHANGED]
    assert standing.tripped[CHANGED] == "20 of 40 keys would be changed (50 %), more than 30 % and more than 5"
    assert standing.reasons[REMOVED].startswith(
        "more than 10 % and more than 5 of the keys of all tasks would be removed"
    )


@pytest.mark.parametrize(
    ("lifted", "plain", "overridden"),
    [
        pytest.param(40, 0, {TASKS}, id="all lifted"),
        pytest.param(1, 30, {TASKS}, id="one lifted, and together too many"),
        pytest.param(1, 29, set(), id="one lifted that nothing would hold"),
        pytest.param(0, 40, set(), id="none lifted"),
    ],
)
def test_what_was_lifted_is_overridden_only_where_it_would_trip(lifted, plain, overridden):
    weights = [replace(SENT, lifted=frozenset((TASKS,)))] * lifted + [SENT] * plain
    assert tally(*weights).standing(ON, 100).overridden == overridden


def test_tasks_that_count_are_named():
    made = tally(NOTHING, SENT, Weight(10, 2, 0, 1), replace(SENT, lifted=frozenset((TASKS,))))
    assert made.counting({TASKS}) == {"t1", "t2"}
    assert made.counting({REMOVED}) == {"t2"}
    assert made.counting({CHANGED}) == set()


weights = st.builds(
    Weight,
    st.integers(10, 20),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 1),
    st.frozensets(st.sampled_from(RAILS)),
    st.sampled_from(["", "approval", "mode"]),
)


@given(st.lists(st.tuples(st.integers(0, 8), st.none() | weights), max_size=40))
def test_order_of_looks_does_not_matter(looks):
    made = Tally()
    for number, weight in looks:
        made.put(f"t{number}", weight)
    last = {f"t{number}": weight for number, weight in looks}
    fresh = Tally()
    for name in sorted(last, reverse=True):
        fresh.put(name, last[name])
    rules = Limits(keys_floor=0, tasks_floor=0)
    assert made.standing(rules, 9) == fresh.standing(rules, 9)
    assert made.counting(RAILS) == fresh.counting(RAILS)
    assert made.counting((), RAILS) == fresh.counting((), RAILS)


# --- what waits for somebody's word -----------------------------------------------------------------------------------

WAITING = replace(SENT, awaits="approval")


@pytest.mark.parametrize(
    ("weights", "tripped", "foreseen"),
    [
        pytest.param(many(30, of=100, weight=WAITING), set(), set(), id="at the share"),
        pytest.param(many(31, of=100, weight=WAITING), set(), {TASKS}, id="above"),
        pytest.param([*many(30, of=99, weight=SENT), WAITING], set(), {TASKS}, id="one more than what goes"),
        pytest.param([*many(31, of=99, weight=SENT), WAITING], {TASKS}, set(), id="beside what is held already"),
        pytest.param(many(40, of=100, weight=replace(WAITING, lifted=frozenset((TASKS,)))), set(), set(), id="lifted"),
        pytest.param(many(2, of=5, weight=Weight(10, 3, 0, 1, awaits="mode")), set(), {REMOVED}, id="keys"),
        pytest.param(many(1, of=2, weight=Weight(10, 9, 0, 1, awaits="mode")), set(), set(), id="keys of one task"),
    ],
)
def test_what_waits_holds_nothing_and_is_foretold(weights, tripped, foreseen):
    standing = tally(*weights).standing(ON, len(weights))
    assert (set(standing.tripped), set(standing.foreseen)) == (tripped, foreseen)


@pytest.mark.parametrize(
    ("awaits", "remark"),
    [
        pytest.param(
            "approval",
            "limit tasks would hold this once it is approved: 40 of 100 tasks would be restarted at once (40 %), more"
            " than 30 % and more than 5; approve it with --force tasks, or fewer tasks at once",
            id="approval",
        ),
        pytest.param(
            "mode",
            'limit tasks would hold this if policy.mode were "auto": 40 of 100 tasks would be restarted at once (40 %),'
            " more than 30 % and more than 5",
            id="mode",
        ),
    ],
)
def test_what_would_be_held_is_told_with_numbers(awaits, remark):
    weights = many(40, of=100, weight=replace(SENT, awaits=awaits))
    assert tally(*weights).standing(ON, 100).remarks == (remark,)


def test_tasks_that_would_count_are_named():
    made = tally(NOTHING, SENT, WAITING, replace(WAITING, lifted=frozenset((TASKS,))))
    assert made.counting({TASKS}) == {"t1"}
    assert made.counting((), {TASKS}) == {"t2"}


def test_numbers_stand_in_for_the_settings_in_the_reason_of_what_a_limit_of_the_run_holds():
    standing = tally(*many(40, of=100, weight=SENT)).standing(ON, 100)
    reason = f"tasks: {standing.reasons[TASKS]}; then held by: window"
    assert limits.with_numbers(reason, standing.tripped) == (
        "tasks: 40 of 100 tasks would be restarted at once (40 %), more than 30 % and more than 5, so nothing of that is"
        " sent; then held by: window"
    )
    assert limits.with_numbers(reason, {}) == reason
    own = f"removed_keys: {edited(removed=7).reason}"
    assert limits.with_numbers(own, {REMOVED: "x"}) == own
    assert (limits.is_of_the_run(reason), limits.is_of_the_run(own)) == (True, False)


@pytest.mark.parametrize(
    ("rules", "goes"), [(ON, True), (Limits(tasks_floor=0), False), (Limits(tasks_floor=0, tasks=1), True)]
)
def test_one_task_alone_goes_unless_not_even_one_may(rules, goes):
    assert limits.lets_one_go(rules) is goes
