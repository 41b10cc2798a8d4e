from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core import plan, policy
from reconciler.core.fleet import exit_code, freeze, has_vanished, summary
from reconciler.core.plan import Base, after, compare, is_unchanged, payload
from reconciler.core.policy import Mode, NewTasks, Policy, Surroundings
from reconciler.core.secrets import MARK
from reconciler.model import (
    Action,
    Address,
    ChangeKind,
    ComponentRole,
    Condition,
    Dimension,
    Item,
    Link,
    Place,
    Severity,
    Suspension,
    Violation,
)
from tests.core.builders import (
    APPLY,
    CATALOGUE,
    CLIENT,
    KEY,
    NOW,
    OTHER_KEY,
    SECRETS,
    applied,
    around,
    few,
    plan_of,
    planned,
    ready,
    record_of,
    task,
    whole,
)

FASTER = whole(sink={"workerNum": "32"})
FEWER = whole(sink={"workerNum": ...})
DELETING = {"allow_delete": True}


def told(item):
    return [(change.kind.value, change.path, change.old, change.new) for change in item.changes]


def item(action=Action.NOOP, name="shop", **more):
    cost = ("restarts the component",) if action.sends else ()
    known = {"intended": action, "cost": cost, **more}
    return Item(id=f"{name}-{action.value}", task=name, action=action, reason="r", **known)


def uncertain(given, *candidates, **members):
    """An address with an applied content (or none) and attempts of unknown outcome."""
    base = Base() if given is None else applied(given)
    open_ones = tuple(ready(one).snapshot for one in candidates)
    known = base.record or record_of(ready(candidates[0]), digest=None)
    return Base(replace(known, **{"open_intents": len(open_ones), **members}), base.applied, open_ones)


def failed(given, **more):
    """Members of a record whose last attempt, at this content, failed."""
    digest = ready(given).request_digest(allow_delete=False)
    return {"condition": Condition.FAILED, "attempted": digest, "reason": "refused", **more}


# --- actions -------------------------------------------------------------------------------------------------------


def test_equal_content_is_a_noop():
    found = planned(None, applied())
    assert (found.action, found.reason, found.changes, found.rail) == (Action.NOOP, "no difference", (), "")
    assert found.unchanged == 17


def test_difference_is_an_update():
    found = planned(FASTER, applied())
    assert (found.action, found.reason) == (Action.UPDATE, "1 key set")
    assert told(found) == [("set", "/sink/workerNum", "16", "32")]
    assert found.unchanged == 16


def test_removed_key_without_allow_delete_stays():
    found = planned(FEWER, applied())
    assert (found.action, found.reason) == (Action.NOOP, "nothing to send: removed keys stay on the component")
    assert [(change.path, change.left_in_place, change.danger) for change in found.changes] == [
        ("/sink/workerNum", True, None)
    ]


def test_removed_key_beside_a_change_stays_in_place():
    found = planned(whole(sink={"workerNum": ..., "serverParallel": "4"}), applied())
    assert (found.action, found.reason) == (Action.UPDATE, "1 key set")
    assert [change.left_in_place for change in found.changes] == [False, True]


def test_removed_rules_without_allow_delete_have_no_parts():
    found = planned(few(sink={"a": "1"}), applied(few(sink={"a": "1"}, condition={"whiteCondition": [{"name": "x"}]})))
    assert [(change.left_in_place, change.parts) for change in found.changes] == [(True, ())]


def test_removed_key_with_allow_delete_is_deleted():
    found = planned(task(FEWER, **DELETING), applied())
    assert (found.action, found.reason) == (Action.UPDATE_DELETE, "1 key removed")


def test_allow_delete_without_a_removed_key_is_an_update():
    assert planned(task(FASTER, **DELETING), applied()).action is Action.UPDATE


def test_incomplete_payload_blocks_the_deletion():
    found = planned(task(few(sink={"workerNum": "16"}), **DELETING), applied(few(sink={"workerNum": "16", "a": "1"})))
    assert (found.action, found.intended, found.rail) == (Action.BLOCKED, Action.UPDATE_DELETE, "incomplete")


def test_incomplete_payload_can_be_forced():
    rules = replace(APPLY, forced=frozenset(("incomplete",)))
    base = applied(few(sink={"workerNum": "16", "a": "1"}))
    found = planned(task(few(sink={"workerNum": "16"}), **DELETING), base, policy=rules)
    assert (found.action, found.forced) == (Action.UPDATE_DELETE, ("incomplete",))


@pytest.mark.parametrize("allow_delete", [False, True])
def test_first_send_is_an_update_without_deletion(allow_delete):
    found = planned(task(allow_delete=allow_delete))
    assert (found.action, found.reason) == (Action.UPDATE, "first sight: the files are sent as they are")
    assert {change.kind for change in found.changes} == {ChangeKind.SET}


def test_first_send_has_no_dangers():
    found = planned(None)
    dangers = [part.danger for change in found.changes for part in (change, *change.parts)]
    assert set(dangers) == {None}
    assert found.remarks == ()


def test_first_send_shows_no_secret():
    assert ("set", "/sink/password", None, MARK) in told(planned(None))


def test_new_task_is_held():
    found = planned(None, policy=Policy(new_tasks=NewTasks.HOLD))
    assert (found.action, found.intended, found.rail) == (Action.BLOCKED, Action.UPDATE, "new_tasks")


def test_new_task_is_adopted():
    found = planned(None, policy=Policy(new_tasks=NewTasks.ADOPT))
    assert (found.action, found.rail, found.cost) == (Action.ADOPT, "", ())
    assert found.reason == "first sight: recorded as applied, nothing is called"


def test_adopting_minds_no_rail_but_observe_and_suspension():
    adopt = Policy(new_tasks=NewTasks.ADOPT)
    trouble = {"default": ("capability-missing", "x")}
    assert planned(None, policy=adopt, troubles=trouble).action is Action.ADOPT
    assert planned(None, policy=replace(adopt, mode=Mode.OBSERVE)).action is Action.BLOCKED
    assert planned(None, policy=adopt, suspensions={"*": Suspension("x", None)}).action is Action.SUSPENDED


def test_forcing_new_tasks_sends_instead_of_adopting():
    found = planned(None, policy=Policy(new_tasks=NewTasks.ADOPT, forced=frozenset(("new_tasks",))))
    assert (found.action, found.forced) == (Action.UPDATE, ("new_tasks",))


@pytest.mark.parametrize("new_tasks", NewTasks)
def test_first_send_that_had_no_effect_goes_on_without_being_decided_again(new_tasks):
    base = Base(record_of(ready(), digest=None, serial=3))
    found = planned(None, base, policy=Policy(new_tasks=new_tasks))
    assert (found.action, found.rail, found.serial) == (Action.UPDATE, "", 3)


def test_suspended_task_shows_what_it_would_do():
    until = NOW + timedelta(hours=1)
    found = planned(FASTER, applied(), suspensions={"shop/orders": Suspension("migration", until)})
    assert (found.action, found.intended, found.rail, found.until) == (
        Action.SUSPENDED,
        Action.UPDATE,
        "suspend",
        until,
    )


def test_suspended_task_without_a_difference_shows_that_it_is_suspended():
    found = planned(task(suspend=Suspension("x", None)), applied())
    assert (found.action, found.intended, found.rail) == (Action.SUSPENDED, Action.NOOP, "suspend in task.json")


def test_dangerous_change_is_blocked_and_shown():
    found = planned(whole(sink={"jdbcUrl": "jdbc:x"}), applied())
    assert (found.action, found.rail) == (Action.BLOCKED, "danger")
    assert (found.remarks, found.reason.partition(";")[0]) == (
        (),
        "/sink/jdbcUrl would be changed: writes the changes to another database",
    )


def test_resend_sends_without_a_difference():
    found = planned(None, applied(), policy=replace(APPLY, resend=frozenset(("shop/orders",))))
    assert (found.action, found.changes) == (Action.UPDATE, ())
    assert found.reason == "sent without a difference, as asked by --resend"


def test_resend_of_another_task_sends_nothing():
    assert planned(None, applied(), policy=replace(APPLY, resend=frozenset(("other",)))).action is Action.NOOP


# --- what digests alone say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"digest": "other"}, id="digest"),
        pytest.param({"digest_version": 0}, id="version of the canonical form"),
        pytest.param({"key_id": "other"}, id="fingerprint key"),
        pytest.param({"fingerprints": {}}, id="fingerprints"),
        pytest.param({"open_intents": 1}, id="open intent"),
    ],
)
def test_record_that_differs_in_anything_has_to_be_looked_at(member):
    desired = ready()
    assert is_unchanged(desired, record_of(desired))
    assert not is_unchanged(desired, record_of(desired, **member))


def test_task_without_a_record_has_to_be_looked_at():
    assert not is_unchanged(ready(), None)


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"digest_version": 0, "digest": "old form"}, id="canonical form"),
        pytest.param({"fingerprints": {}}, id="secret rule"),
    ],
)
def test_new_release_makes_no_call(member):
    assert planned(None, applied(**member)).action is Action.NOOP


def test_new_fingerprint_key_makes_no_call_and_says_so():
    found = planned(None, applied(key=OTHER_KEY))
    assert found.action is Action.NOOP
    assert "/sink/password, /source/password" in found.remarks[0]


# --- what the component holds afterwards ---------------------------------------------------------------------------


def test_after_an_update_the_sent_keys_lie_over_the_previous_ones():
    desired = ready(FEWER)
    assert after(desired, applied(), Action.UPDATE) == ready().snapshot


def test_after_a_deletion_it_is_exactly_what_was_sent():
    desired = ready(FEWER)
    assert after(desired, applied(), Action.UPDATE_DELETE) == desired.snapshot


def test_after_a_first_send_it_is_what_was_sent():
    assert after(ready(), Base(), Action.UPDATE) == ready().snapshot


def test_after_an_update_on_an_uncertain_base_everything_possible_is_kept():
    base = uncertain(few(sink={"a": "1"}), few(sink={"b": "2"}), few(sink={"b": "3", "c": "4"}))
    content = after(ready(few(sink={"c": "5"})), base, Action.UPDATE).content
    assert content["sink"] == {"a": "1", "b": "3", "c": "5"}


# --- uncertain base ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(whole(), id="as applied"),
        pytest.param(FASTER, id="as attempted"),
        pytest.param(whole(sink={"workerNum": "64"}), id="something else"),
    ],
)
def test_while_an_outcome_is_unknown_the_files_are_sent(given):
    found = planned(given, uncertain(whole(), FASTER))
    assert (found.action, found.reason.partition(",")[0]) == (
        Action.UPDATE,
        "the outcome of the last attempt is unknown",
    )


def test_attempt_that_may_have_had_its_effect_is_no_first_sight():
    assert planned(None, uncertain(None, whole()), policy=Policy()).action is Action.UPDATE


@pytest.mark.parametrize(
    ("given", "candidate"),
    [
        pytest.param(whole(), whole(sink={"extra": "1"}), id="only in the attempt"),
        pytest.param(whole(sink={"extra": "1"}), whole(), id="only in the applied content"),
        pytest.param(whole(sink={"extra": "1"}), whole(sink={"extra": "2"}), id="in both"),
    ],
)
def test_key_counts_as_removed_when_it_is_in_either_content(given, candidate):
    found = planned(task(whole(), **DELETING), uncertain(given, candidate))
    assert found.action is Action.UPDATE_DELETE
    assert [(kind, path) for kind, path, *_ in told(found)] == [("removed", "/sink/extra")]


def test_change_against_the_applied_content_is_told_first():
    found = planned(whole(sink={"workerNum": "64"}), uncertain(whole(), FASTER))
    assert told(found) == [("set", "/sink/workerNum", "16", "64")]


def test_content_of_unknown_outcome_is_blocked_after_three_attempts():
    digest = ready(FASTER).request_digest(allow_delete=False)
    tried = {"attempted": digest, "condition": Condition.UNKNOWN}
    assert planned(FASTER, uncertain(whole(), FASTER, attempts=2, **tried)).action is Action.UPDATE
    assert planned(FASTER, uncertain(whole(), FASTER, attempts=3, **tried)).rail == "unknown"


def test_other_content_is_sent_after_three_unknown_attempts():
    digest = ready(FASTER).request_digest(allow_delete=False)
    base = uncertain(whole(), FASTER, attempts=3, attempted=digest, condition=Condition.UNKNOWN)
    assert planned(None, base).action is Action.UPDATE


# --- failed and unconfirmed ----------------------------------------------------------------------------------------


def test_failed_content_stays_blocked():
    found = planned(FASTER, applied(**failed(FASTER)))
    assert (found.action, found.rail) == (Action.BLOCKED, "failed")


def test_failed_content_goes_once_it_changes():
    assert planned(whole(sink={"workerNum": "64"}), applied(**failed(FASTER))).action is Action.UPDATE


def test_going_back_from_failed_content_is_a_noop():
    found = planned(None, applied(**failed(FASTER)))
    assert (found.action, found.rail) == (Action.NOOP, "")


def test_component_that_failed_after_an_accepted_update_is_shown_and_not_sent_again():
    found = planned(None, applied(**failed(whole())))
    assert (found.action, found.rail) == (Action.NOOP, "failed")
    assert found.reason == "applied, and failed since: refused; nothing is sent again"


def test_unconfirmed_task_says_so():
    found = planned(None, applied(condition=Condition.UNCONFIRMED, reason="not seen"))
    assert (found.action, found.remarks) == (Action.NOOP, ("accepted, and not seen healthy yet (not seen)",))


def test_renamed_directory_takes_over_without_a_call():
    found = planned(None, applied(task="old/name"))
    assert (found.action, found.reason) == (
        Action.NOOP,
        "takes over the record of old/name: same address, nothing to send",
    )


# --- comparing -----------------------------------------------------------------------------------------------------


def test_comparison_keeps_every_content_that_may_be_there():
    found = compare(ready(FASTER), uncertain(whole(), FASTER), CATALOGUE, KEY)
    assert [content["sink"]["workerNum"] for content in found.present] == ["16", "32"]


def test_unmanaged_key_of_the_component_is_no_removal():
    declared = task(whole(sink={"workerNum": ...}), unmanaged=("/sink/workerNum",))
    assert planned(declared, applied()).changes == ()


def test_changes_are_in_the_order_of_files_and_pointers():
    changed = whole(sink={"workerNum": "1", "serverParallel": "2"}, coordinator={"throttleRps": "1"})
    paths = [change.path for change in planned(changed, applied()).changes]
    assert paths == ["/coordinator/throttleRps", "/sink/serverParallel", "/sink/workerNum"]


def test_unchanged_counts_leaves_that_no_change_touches():
    base = applied(few(sink={"a": {"b": "1", "c": {}}, "d": ["1", "2"], "e": "1"}))
    found = planned(few(sink={"a": {"b": "2", "c": {}}, "d": ["1", "2"], "e": {"x": "1"}}), base)
    assert (len(found.changes), found.unchanged) == (2, 2)


# --- what it costs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "cost"),
    [
        pytest.param({}, ("restarts the component", "changes around the checkpoint are written again"), id="database"),
        pytest.param(
            {"sections": whole(coordinator={"sinkType": "kafka"})},
            ("restarts the component", "a message sink may repeat about a minute"),
            id="message sink by its type",
        ),
        pytest.param(
            {"sections": whole(sink={"jdbcUrl": ..., "boosterClass": ...})},
            ("restarts the component", "a message sink may repeat about a minute"),
            id="message sink by its keys",
        ),
        pytest.param(
            {"sections": whole(sink={"jdbcUrl": ...})},
            ("restarts the component", "changes around the checkpoint are written again"),
            id="database by its plug-in",
        ),
        pytest.param(
            {"address": Address("default", role=ComponentRole("np_a", Link.REVERSE, 0))},
            ("restarts the component", "reverse link", "changes around the checkpoint are written again"),
            id="role",
        ),
        pytest.param(
            {"address": Address("default", Dimension.IP, "10.0.0.1")},
            ("restarts every component that IP 10.0.0.1 means, perhaps more than one",),
            id="wide address",
        ),
        pytest.param(
            {"address": Address("default", None, "x")},
            ("restarts every component that  x means, perhaps more than one",),
            id="no dimension",
        ),
    ],
)
def test_cost_says_what_restarts(members, cost):
    assert planned(task(**members)).cost == cost


@pytest.mark.parametrize(
    ("targets", "remarks"),
    [
        pytest.param({"default": "EE"}, 1, id="enterprise"),
        pytest.param({"default": "CE"}, 0, id="community"),
        pytest.param(None, 0, id="not looked at"),
    ],
)
def test_update_without_a_documented_call_is_remarked(targets, remarks):
    found = planned(FEWER | {"sink": {**FEWER["sink"], "x": "1"}}, applied(), policy=replace(APPLY, targets=targets))
    assert sum("not documented" in remark for remark in found.remarks) == remarks


# --- what the daemon does otherwise --------------------------------------------------------------------------------

PACED = replace(APPLY, intervals={"default": 60.0})
FREER = whole(coordinator={"throttleRps": "30000"})
RECENT = {"component": "c", "applied_at": NOW - timedelta(seconds=20)}


def test_interval_is_remarked_where_it_does_not_hold():
    found = planned(FREER, applied(**RECENT), policy=PACED)
    assert (found.action, found.remarks) == (
        Action.UPDATE,
        ("the daemon sends it not before 2026-11-21 12:00:40Z (min_update_interval_s of target default)",),
    )


@pytest.mark.parametrize(
    ("rules", "members"),
    [
        pytest.param(PACED, RECENT | {"applied_at": NOW - timedelta(seconds=60)}, id="over"),
        pytest.param(PACED, RECENT | {"component": ""}, id="adopted"),
        pytest.param(APPLY, RECENT, id="off"),
    ],
)
def test_interval_that_keeps_nothing_back_is_not_remarked(rules, members):
    assert planned(FREER, applied(**members), policy=rules).remarks == ()


def test_interval_that_holds_is_not_remarked_beside():
    found = planned(FREER, applied(**RECENT), policy=replace(PACED, paced=True))
    assert (found.action, found.rail, found.remarks) == (Action.BLOCKED, "min_update_interval_s", ())
    assert found.until == NOW + timedelta(seconds=40)


def sending(number, target="default"):
    return [item(Action.UPDATE, f"{target}/{each}", target=target) for each in range(number)]


@pytest.mark.parametrize(
    ("items", "concurrent", "told_of"),
    [
        pytest.param(sending(3), {"default": 2}, ["default"], id="more than places"),
        pytest.param(sending(2), {"default": 2}, [], id="as many as places"),
        pytest.param(sending(3), {}, [], id="not known"),
        pytest.param([item(name=str(each)) for each in range(3)], {"default": 1}, [], id="nothing is sent"),
        pytest.param(
            [*sending(3, "b"), *sending(3, "a"), *sending(1, "c")],
            {"a": 1, "b": 2, "c": 1},
            ["a", "b"],
            id="two targets",
        ),
    ],
)
def test_those_who_have_to_wait_for_each_other_are_remarked(items, concurrent, told_of):
    remarks = plan_of(*items, policy=replace(APPLY, concurrent=concurrent)).remarks
    assert [remark.partition("of target ")[2].partition(" ")[0] for remark in remarks] == told_of
    assert all("restart at once (max_concurrent)" in remark for remark in remarks)


def test_remark_of_turns_says_how_many_of_how_many():
    (remark,) = plan_of(*sending(5), policy=replace(APPLY, concurrent={"default": 2})).remarks
    assert remark == "at most 2 of the 5 components of target default restart at once (max_concurrent)"


def test_turns_are_no_part_of_the_plan_id():
    assert plan_of(*sending(5), policy=replace(APPLY, concurrent={"default": 2})).id == plan_of(*sending(5)).id


# --- what is sent --------------------------------------------------------------------------------------------------

NESTED = few(sink={"props": {"a": "1", "b": "2"}, "other": "x"})


def test_first_send_is_the_files_with_their_secrets():
    sent = payload(ready(), Base(), Action.UPDATE)
    assert sent["sink"]["password"] == SECRETS["SINK"]
    assert "checkpoint" not in sent["source"]


def test_members_of_an_object_that_only_the_component_has_are_sent_along():
    desired = ready(few(sink={"props": {"a": "9"}}))
    assert payload(desired, applied(NESTED), Action.UPDATE)["sink"] == {"props": {"a": "9", "b": "2"}}


def test_object_that_is_written_as_text_is_filled_in_too():
    desired = ready(few(sink={"props": '{"a": "9"}'}))
    believed = payload(desired, applied(NESTED), Action.UPDATE)["sink"]["props"]
    assert believed in ({"a": "9", "b": "2"}, '{"a": "9"}')


def test_deletion_sends_the_files_and_nothing_along():
    desired = ready(few(sink={"props": {"a": "9"}}))
    assert payload(desired, applied(NESTED), Action.UPDATE_DELETE)["sink"] == {"props": {"a": "9"}}


# --- ids -----------------------------------------------------------------------------------------------------------


def test_same_changes_from_the_same_serial_have_the_same_id():
    written = whole(sink={"workerNum": 32})
    assert planned(FASTER, applied()).id == planned(written, applied()).id


@pytest.mark.parametrize(
    ("given", "base"),
    [
        pytest.param(FASTER, applied(serial=2), id="serial"),
        pytest.param(whole(sink={"workerNum": "64"}), applied(), id="value"),
        pytest.param(FASTER, applied(whole(sink={"workerNum": "8"})), id="old value"),
        pytest.param(task(FASTER, name="other"), applied(), id="task"),
        pytest.param(whole(sink={"workerNum": "32", "password": "${env:OTHER}"}), applied(), id="secret"),
    ],
)
def test_item_has_another_id_with_another(given, base):
    assert planned(given, base).id != planned(FASTER, applied()).id


def test_other_value_of_a_secret_is_another_id(monkeypatch):
    base, ids = applied(), set()
    for value in ("one", "two"):
        monkeypatch.setitem(SECRETS, "SINK", value)
        ids.add(planned(None, base).id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"suspensions": {"*": Suspension("x", None)}}, id="suspension"),
        pytest.param({"troubles": {"default": ("capability-missing", "x")}}, id="trouble"),
        pytest.param({"policy": replace(APPLY, forced=frozenset(policy.FORCIBLE))}, id="forced rails"),
    ],
)
def test_plan_id_does_not_depend_on(other):
    one = plan_of(planned(FASTER, applied()))
    assert plan_of(planned(FASTER, applied(), **other)).id == one.id


def test_plan_id_does_not_depend_on_tasks_without_a_difference():
    quiet = planned(task(name="quiet"), applied(task(name="quiet")))
    assert plan_of(planned(FASTER, applied()), quiet).id == plan_of(planned(FASTER, applied())).id


@pytest.mark.parametrize(
    "rules", [pytest.param(Policy(), id="new tasks"), pytest.param(replace(APPLY, mode=Mode.OBSERVE), id="mode")]
)
def test_plan_id_depends_on_the_policy(rules):
    found = planned(FASTER, applied())
    assert plan_of(found).id != plan_of(found, policy=rules).id


# --- tasks without a comparison ------------------------------------------------------------------------------------


def violation(**more):
    made = Violation("shop", "shop/sink.json", Place(4, 2), "/workerNum", "schema", Severity.ERROR, "an integer", '"x"')
    return replace(made, **more)


@pytest.mark.parametrize(
    ("violations", "reason"),
    [
        pytest.param((violation(),), 'shop/sink.json: /workerNum: expected an integer, found "x"', id="one"),
        pytest.param(
            (violation(pointer=""), violation()),
            'shop/sink.json: the file: expected an integer, found "x" (and 1 more problem)',
            id="two",
        ),
    ],
)
def test_invalid_task_says_what_is_wrong_first(violations, reason):
    found = plan.invalid("shop", violations)
    assert (found.action, found.reason, found.violations) == (Action.INVALID, reason, violations)


def test_invalid_task_is_part_of_the_plan_id():
    one, other = (plan.invalid("shop", (violation(found=found),)) for found in ('"x"', '"y"'))
    assert plan_of(one).id != plan_of(other).id != plan_of().id


def test_task_name_that_is_no_utf_8_is_no_crash():
    assert plan.invalid("shop\udcff", (violation(task="shop\udcff"),)).action is Action.INVALID


def test_unresolved_secret_blocks_and_is_never_a_change():
    found = plan.unresolved(task(), record_of(ready()), "${env:X} is not there", Surroundings(NOW))
    assert (found.action, found.rail, found.changes) == (Action.BLOCKED, "secret", ())
    assert found.reason == "${env:X} is not there"


def test_unresolved_secret_of_a_suspended_task_is_nobodys_trouble_yet():
    around = Surroundings(NOW, suspensions={"*": Suspension("migration", None)})
    found = plan.unresolved(task(), record_of(ready()), "${env:X} is not there", around)
    assert (found.action, found.rail) == (Action.SUSPENDED, "suspend --all")


@pytest.mark.parametrize(
    ("moved", "words"), [(False, "its directory is gone"), (True, "another address")], ids=["gone", "moved"]
)
def test_orphan_says_why_it_is_one(moved, words):
    found = plan.orphaned(record_of(ready()), moved=moved)
    assert found.action is Action.ORPHANED
    assert words in found.reason
    assert "reconciler forget shop/orders" in found.reason


# --- the whole -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "orphans", "found", "vanished"),
    [
        pytest.param(0, 0, 0, False, id="nothing known, nothing there"),
        pytest.param(1, 1, 0, True, id="the only one"),
        pytest.param(1, 1, 1, False, id="one renamed"),
        pytest.param(5, 3, 2, False, id="3 of 5"),
        pytest.param(10, 3, 7, False, id="3 of 10"),
        pytest.param(10, 4, 6, True, id="4 of 10"),
        pytest.param(5, 4, 1, True, id="4 of 5"),
        pytest.param(20, 4, 16, False, id="4 of 20"),
        pytest.param(20, 6, 14, False, id="6 of 20"),
        pytest.param(20, 7, 13, True, id="7 of 20"),
        pytest.param(10_000, 3_000, 7_000, False, id="30 percent"),
        pytest.param(10_000, 3_001, 6_999, True, id="above 30 percent"),
    ],
)
def test_fleet_has_vanished_above_share_and_floor(known, orphans, found, vanished):
    assert has_vanished(known, orphans, found) is vanished


EVERY = [item(action) for action in Action]


def test_freeze_holds_everything_that_would_be_done():
    frozen = freeze(EVERY, "gone", around())
    held = {before.action for before, now in zip(EVERY, frozen, strict=True) if now != before}
    assert held == {Action.UPDATE, Action.UPDATE_DELETE, Action.RESET, Action.ADOPT}
    assert {(now.action, now.rail) for now in frozen if now.reason == "gone"} == {(Action.BLOCKED, "vanished")}


def test_forced_freeze_holds_nothing_and_is_recorded():
    frozen = freeze(EVERY, "gone", around(replace(APPLY, forced=frozenset(("vanished",)))))
    assert [now.action for now in frozen] == [before.action for before in EVERY]
    assert {now.action for now in frozen if now.forced == ("vanished",)} == {
        Action.UPDATE,
        Action.UPDATE_DELETE,
        Action.RESET,
        Action.ADOPT,
    }


def test_freeze_does_not_change_the_plan_id():
    assert plan_of(*freeze(EVERY, "gone", around())).id == plan_of(*EVERY).id


def test_order_of_items_does_not_depend_on_their_order():
    items = [item(Action.UPDATE, name) for name in ("b", "a", "a/b")] + [item(Action.RESET, "a"), item(name="c")]
    assert plan_of(*items) == plan_of(*reversed(items))
    assert [found.id for found in plan_of(*items).items] == ["a-reset", "a-update", "a/b-update", "b-update", "c-noop"]


@pytest.mark.parametrize(
    ("items", "code"),
    [
        pytest.param([], 0, id="no tasks"),
        pytest.param([item()], 0, id="noop"),
        pytest.param([item(Action.ORPHANED)], 0, id="orphaned"),
        pytest.param([item(Action.SUSPENDED)], 0, id="suspended"),
        pytest.param([item(Action.ADOPT)], 0, id="adopt"),
        pytest.param([item(Action.UPDATE)], 2, id="update"),
        pytest.param([item(Action.UPDATE_DELETE)], 2, id="update+delete"),
        pytest.param([item(Action.RESET)], 2, id="reset"),
        pytest.param([item(Action.BLOCKED), item(Action.UPDATE, "b")], 3, id="blocked before sent"),
        pytest.param([item(Action.INVALID), item(Action.BLOCKED, "b")], 1, id="invalid before blocked"),
        pytest.param([item(Action.BLOCKED, rail="failed")], 1, id="failed"),
        pytest.param([item(rail="failed")], 1, id="failed since"),
    ],
)
def test_exit_code_is_the_first_that_holds(items, code):
    assert exit_code(plan_of(*items)) == code


def test_summary_counts_tasks_and_restarts():
    counts = summary(plan_of(*EVERY, item(Action.UPDATE, "other")))
    assert counts == {
        "tasks": 2,
        "noop": 1,
        "adopt": 1,
        "update": 2,
        "update+delete": 1,
        "reset": 1,
        "blocked": 1,
        "invalid": 1,
        "orphaned": 1,
        "suspended": 1,
        "failed": 0,
        "restarts": 3,
    }


def test_only_items_that_call_are_to_send():
    assert [found.action for found in plan_of(*EVERY).to_send] == [Action.RESET, Action.UPDATE, Action.UPDATE_DELETE]


def test_list_of_clients_is_told_by_its_parts():
    found = planned(whole(source={"clients": [CLIENT, CLIENT | {"clientId": "c2"}]}), applied())
    assert [(part.kind, part.subject) for part in found.changes[0].parts] == [("added", "/1")]


def test_frozen_plan_without_anything_to_do_is_3_too():
    assert exit_code(plan_of(frozen="3 of 3 known tasks are gone")) == 3


def test_forced_freeze_is_none():
    forced = replace(APPLY, forced=frozenset({"vanished"}))
    found = plan_of(frozen="3 of 3 known tasks are gone: nothing is called until that is meant", policy=forced)
    assert (found.frozen, exit_code(found)) == (False, 0)
    assert found.remarks == ("3 of 3 known tasks are gone; vanished was lifted for this run",)
