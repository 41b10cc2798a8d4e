"""What a pass says to do: real files, a real store; nothing is called unless a test says so."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from reconciler.core.policy import Mode
from reconciler.core.render import data, text
from reconciler.errors import DesiredStateError
from reconciler.model import Action, Condition, Suspension
from reconciler.reconcile import Adoption, is_chosen
from tests.integration.bench import PROJECTS, SENTINELS, name_of

KEY_FILE = "fingerprint.key"


def lose_key(bench):
    """Another process, after somebody deleted the fingerprint key."""
    bench.database.with_name(KEY_FILE).unlink()
    bench.reopen()


# --- equal content -------------------------------------------------------------------------------------------------


def touch(bench):
    for path in bench.desired.rglob("*.json"):
        os.utime(path)


def reformat(bench):
    for path in bench.desired.rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_bytes()), indent=8))


def reorder(bench):
    for path in bench.desired.rglob("*.json"):
        path.write_text(json.dumps(dict(reversed(json.loads(path.read_bytes()).items()))))


def write_numbers(bench):
    bench.edit("sink", workerNum=16)


def spell_out_defaults(bench):
    (rule,) = bench.read("condition")["whiteCondition"]
    bench.edit("condition", whiteCondition=[rule | {"map": "shop", "func": "exact"}])


def rename_references(bench):
    bench.environment["STORE_2"] = bench.environment["STORE"]
    bench.edit("source", password="${env:STORE_2}")


def clone_elsewhere(bench):
    shutil.copytree(bench.desired, bench.desired.with_name("clone"))
    shutil.rmtree(bench.desired)
    bench.desired = bench.desired.with_name("clone")


def come_back(bench):
    bench.reopen()


def other_members(bench):
    bench.edit("task", labels={"team": "shop"}, protect=["/sink/workerNum"], allowDelete=True)


@pytest.mark.parametrize(
    "rewrite",
    [
        touch,
        reformat,
        reorder,
        write_numbers,
        spell_out_defaults,
        rename_references,
        clone_elsewhere,
        come_back,
        other_members,
    ],
)
def test_equal_content_makes_no_call_however_it_is_written(bench, rewrite):
    bench.applied()
    rewrite(bench)
    assert bench.actions() == {"shop": "noop"}
    assert bench.apply() == {}
    assert bench.sent == []


def test_same_files_have_the_same_revision_and_plan(bench):
    bench.put()
    first = bench.survey().plan
    touch(bench)
    assert bench.survey().plan == first


def test_revision_follows_every_file(bench):
    bench.put()
    before = bench.survey().plan.revision
    bench.edit("condition", blackCondition=[{"name": "x", "all": True}])
    assert bench.survey().plan.revision != before


# --- removed keys --------------------------------------------------------------------------------------------------


def test_removed_key_without_allow_delete_stays(bench):
    bench.applied()
    bench.edit("coordinator", throttleIOPS=None)
    item = bench.item()
    assert (item.action, item.changes[0].left_in_place) == (Action.NOOP, True)
    assert bench.apply() == {}


def test_key_that_stays_is_sent_again_when_it_gets_another_value(bench):
    bench.applied()
    bench.edit("coordinator", throttleIOPS=None)
    bench.apply()
    bench.edit("coordinator", throttleIOPS="104857601")
    assert bench.actions() == {"shop": "update"}


def test_removed_key_with_allow_delete_is_deleted(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleIOPS=None)
    assert bench.actions() == {"shop": "update+delete"}


def test_incomplete_payload_blocks_a_deletion(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleIOPS=None)
    bench.edit("source", checkpoint=None)
    item = bench.item()
    assert (item.action, item.rail) == (Action.BLOCKED, "incomplete")
    assert "/source/checkpoint" in item.reason


def test_incomplete_payload_blocks_no_plain_update(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("source", checkpoint=None)
    bench.edit("coordinator", throttleRps="30000")
    assert bench.actions() == {"shop": "update"}


# --- first sight ---------------------------------------------------------------------------------------------------


def test_new_task_is_held_by_default(bench):
    bench.put()
    item = bench.item(new="hold")
    assert (item.action, item.intended, item.rail) == (Action.BLOCKED, Action.UPDATE, "new_tasks")
    assert bench.apply(new="hold") == {}


def test_new_task_is_recorded_without_a_call_under_adopt(bench):
    bench.put()
    assert bench.apply(new="adopt")["shop"].status.value == "adopted"
    assert bench.actions() == {"shop": "noop"}
    assert bench.sent == []


def test_forced_new_task_is_sent_although_it_would_be_held(bench):
    bench.put()
    item = bench.item(new="hold", forced=frozenset({"new_tasks"}))
    assert (item.action, item.forced) == (Action.UPDATE, ("new_tasks",))


@pytest.fixture
def many(bench):
    for number in range(51):
        bench.put(f"t{number}", number)
    return bench


def test_empty_store_and_over_fifty_tasks_hold_everything(many):
    assert {item.rail for item in many.survey().plan.items} == {"first_run"}


def test_empty_store_and_over_fifty_tasks_hold_a_single_selected_one_too(many):
    assert [item.rail for item in many.survey("t1").plan.items] == ["first_run"]


def test_over_fifty_tasks_are_sent_when_that_is_forced(many):
    results = many.apply(forced=frozenset({"first_run"}))
    assert {result.status.value for result in results.values()} == {"applied"}
    assert sorted(many.keys) == sorted(name_of(number) for number in range(51))


def test_fifty_tasks_are_no_first_run(many):
    shutil.rmtree(many.desired / "t50")
    assert {item.action for item in many.survey().plan.items} == {Action.UPDATE}


def test_lost_store_calls_nothing_under_hold(bench):
    bench.applied()
    bench.store.close()
    shutil.rmtree(bench.database.parent)
    bench.store = bench.open_store()
    assert bench.apply(new="hold") == {}
    assert bench.item(new="hold").rail == "new_tasks"


# --- secrets -------------------------------------------------------------------------------------------------------


def test_rotated_secret_makes_one_update(bench):
    bench.applied()
    bench.environment["SINK"] = "rotated"
    assert bench.apply()["shop"].status.value == "applied"
    assert bench.sent[0]["config"]["sink"]["password"] == "rotated"
    assert bench.apply() == {}


def test_secret_that_cannot_be_resolved_blocks_its_task_only(bench):
    bench.put("a", 1)
    bench.put("b", 2, sink={"password": "${env:NOWHERE}"})
    item = bench.item("b")
    assert (item.action, item.rail) == (Action.BLOCKED, "secret")
    assert "NOWHERE" in item.reason
    assert set(bench.apply()) == {"a"}


def test_lost_fingerprint_key_makes_no_call_and_is_remarked(bench):
    bench.applied()
    lose_key(bench)
    item = bench.item()
    assert item.action is Action.NOOP
    assert "fingerprint key" in item.remarks[0]
    assert bench.apply() == {}


def test_value_that_an_older_rule_stored_in_clear_is_sealed_without_a_call(bench):
    bench.applied()
    old = bench.store.applied(bench.record().address)
    sink = {**old.content["sink"], "password": SENTINELS["SINK"]}
    kept = {place: value for place, value in old.fingerprints.items() if place != "/sink/password"}
    in_clear = replace(old, content={**old.content, "sink": sink}, fingerprints=kept, digest="of an older rule")
    bench.store.refingerprint(bench.record().address, in_clear)
    assert bench.apply() == {}
    assert bench.store.applied(bench.record().address) == old
    assert bench.sent == []


def test_lost_fingerprint_key_is_recorded_anew(bench):
    bench.applied()
    lose_key(bench)
    bench.apply()
    assert bench.item().remarks == ()
    bench.environment["SINK"] = "rotated"
    assert bench.actions() == {"shop": "update"}


def test_lost_fingerprint_key_keeps_what_was_left_in_place(bench):
    bench.applied()
    bench.edit("coordinator", throttleIOPS=None)
    lose_key(bench)
    bench.apply()
    bench.edit("task", allowDelete=True)
    assert bench.actions() == {"shop": "update+delete"}


def test_lost_fingerprint_key_beside_an_edit_sends_the_edit(bench):
    bench.applied()
    lose_key(bench)
    bench.edit("coordinator", throttleRps="30000")
    assert [change.path for change in bench.item().changes] == ["/coordinator/throttleRps"]
    bench.apply()
    assert bench.apply() == {}


def test_plan_holds_no_secret(bench):
    bench.applied()
    bench.environment["SINK"] = "n3w-sentinel"
    plan = bench.survey().plan
    shown = data.dumps(data.plan(plan)) + repr(plan) + "".join(s.text for line in text.lines(plan, "x") for s in line)
    assert "secret changed" in shown
    assert not [secret for secret in (*SENTINELS.values(), "n3w-sentinel") if secret in shown]


def test_survey_shows_no_secret_when_it_is_printed(bench):
    bench.put()
    shown = repr(bench.survey())
    assert not [secret for secret in SENTINELS.values() if secret in shown]


# --- directories ---------------------------------------------------------------------------------------------------


def test_removed_directory_is_an_orphan_and_calls_nothing(bench):
    bench.applied("gone")
    bench.put("kept", 1)
    shutil.rmtree(bench.desired / "gone")
    assert bench.actions() == {"gone": "orphaned", "kept": "update"}
    assert set(bench.apply()) == {"kept"}


def test_forgotten_orphan_is_not_reported_any_more(bench):
    bench.applied("gone")
    bench.put("kept", 1)
    shutil.rmtree(bench.desired / "gone")
    bench.store.forget(bench.item("gone").address)
    assert bench.actions() == {"kept": "update"}


def test_renamed_directory_takes_the_record_over_without_a_call(bench):
    bench.applied("old")
    (bench.desired / "old").rename(bench.desired / "new")
    item = bench.item("new")
    assert (item.action, "takes over the record of old" in item.reason) == (Action.NOOP, True)
    assert bench.apply() == {}
    assert bench.record("new").task == "new"
    assert bench.sent == []


def test_renamed_directory_with_an_edit_is_one_update(bench):
    bench.applied("old")
    (bench.desired / "old").rename(bench.desired / "new")
    bench.edit("coordinator", "new", throttleRps="30000")
    assert bench.apply()["new"].status.value == "applied"
    assert bench.actions() == {"new": "noop"}


def test_changed_address_is_a_new_task_and_leaves_an_orphan(bench):
    bench.applied()
    bench.edit("task", key=name_of(1))
    items = {item.action: item for item in bench.survey(new="hold").plan.items}
    assert items[Action.BLOCKED].rail == "new_tasks"
    assert "has another address" in items[Action.ORPHANED].reason


def test_other_target_is_another_address(bench):
    bench.applied()
    bench.edit("task", target="other")
    assert sorted(item.action.value for item in bench.survey().plan.items) == ["orphaned", "update"]


@pytest.fixture
def five(bench):
    for number in range(5):
        bench.put(f"t{number}", number)
    bench.reconciler().adopt((), reason="known", only_new=False)
    return bench


def vanish(bench, *tasks):
    for task in tasks:
        shutil.rmtree(bench.desired / task)


def test_everything_vanished_is_frozen(five):
    vanish(five, *(f"t{number}" for number in range(5)))
    plan = five.survey().plan
    assert {item.action for item in plan.items} == {Action.ORPHANED}
    assert plan.remarks[0].startswith("frozen: 5 of 5 known tasks are gone")


def test_many_vanished_tasks_freeze_the_others(five):
    vanish(five, "t0", "t1", "t2", "t3")
    five.edit("coordinator", "t4", throttleRps="30000")
    assert five.item("t4").rail == "vanished"
    assert five.apply() == {}


def test_many_vanished_tasks_freeze_adoption_too(five):
    vanish(five, "t0", "t1", "t2", "t3")
    five.put("new", 9)
    assert five.item("new", new="adopt").rail == "vanished"


def test_nothing_below_a_folder_that_cannot_be_read_is_orphaned(bench):
    bench.put("shop/kafka")
    bench.reconciler().adopt((), reason="known", only_new=False)
    (bench.desired / "shop").rename(bench.desired.parent / "elsewhere")
    (bench.desired / "shop").symlink_to(bench.desired.parent / "elsewhere")  # leaves the directory
    assert bench.actions() == {"shop": "invalid"}


def test_changed_addresses_are_not_vanished_tasks(five):
    for number in range(5):
        five.edit("task", f"t{number}", key=name_of(number, host="10.0.0.2"))
    assert set(five.actions(new="hold").values()) <= {"blocked", "orphaned"}
    assert {item.rail for item in five.survey(new="hold").plan.items} == {"", "new_tasks"}


def test_few_vanished_tasks_freeze_nothing(five):
    vanish(five, "t0", "t1", "t2")
    five.edit("coordinator", "t4", throttleRps="30000")
    assert set(five.apply()) == {"t4"}


def test_frozen_tasks_are_sent_when_that_is_forced(five):
    vanish(five, "t0", "t1", "t2", "t3")
    five.edit("coordinator", "t4", throttleRps="30000")
    assert five.item("t4", forced=frozenset({"vanished"})).forced == ("vanished",)
    assert set(five.apply(forced=frozenset({"vanished"}))) == {"t4"}


def test_forgetting_the_vanished_thaws_the_rest(five):
    vanish(five, "t0", "t1", "t2", "t3")
    for item in five.survey().plan.items:
        if item.action is Action.ORPHANED:
            five.store.forget(item.address)
    assert five.actions() == {"t4": "noop"}


def test_many_renamed_directories_freeze_nothing(five):
    for number in range(5):
        (five.desired / f"t{number}").rename(five.desired / f"n{number}")
    assert set(five.actions().values()) == {"noop"}


def test_missing_directory_is_an_error_as_a_whole(bench):
    bench.applied()
    shutil.rmtree(bench.desired)
    with pytest.raises(DesiredStateError):
        bench.survey()


# --- files that are wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"workerNum": null}', b'{"workerNum": "1"', b"[]"])
def test_broken_file_is_invalid_and_holds_up_no_other_task(bench, content):
    bench.put("broken", 1)
    bench.put("sound", 2)
    bench.apply()
    bench.look_away()
    (bench.desired / "broken/sink.json").write_bytes(content)
    bench.edit("coordinator", "sound", throttleRps="30000")
    assert bench.actions() == {"broken": "invalid", "sound": "update"}
    bench.apply()
    assert bench.keys == [name_of(2)]


def test_broken_files_make_no_orphans_and_freeze_nothing(five):
    for number in range(5):
        (five.desired / f"t{number}/task.json").write_bytes(b"{")
    assert set(five.actions().values()) == {"invalid"}


def test_missing_file_is_no_deletion(bench):
    bench.applied(task={"allowDelete": True})
    (bench.desired / "shop/sink.json").unlink()
    assert bench.actions() == {"shop": "invalid"}


def test_two_tasks_with_one_address_are_both_invalid_and_name_each_other(bench):
    bench.put("a")
    bench.put("b")
    survey = bench.survey()
    assert {item.task: item.action for item in survey.plan.items} == dict.fromkeys("ab", Action.INVALID)
    assert [item.violations[0].found[-1] for item in survey.plan.items] == ["b", "a"]
    assert bench.carry_out(survey) == {}


def test_clash_with_a_task_that_is_not_selected_counts(bench):
    bench.put("a")
    bench.put("b")
    assert [(item.task, item.action) for item in bench.survey("a").plan.items] == [("a", Action.INVALID)]


def test_copied_directory_makes_no_orphan_of_the_one_that_was_renamed(bench):
    bench.applied("old")
    shutil.copytree(bench.desired / "old", bench.desired / "copy")
    (bench.desired / "old").rename(bench.desired / "new")
    assert bench.actions() == {"copy": "invalid", "new": "invalid"}


def test_clash_takes_no_record_over(bench):
    bench.applied("old")
    shutil.copytree(bench.desired / "old", bench.desired / "copy")
    survey = bench.survey()
    assert (survey.taken_over, survey.work) == ({}, {})


def test_violations_come_by_file_whether_they_have_a_place_or_not(bench):
    bench.put("a", coordinator=b'{"throttleRps": "x", "sourceType": 5')
    (bench.desired / "a/sink.json").unlink()
    files = [violation.file for violation in bench.item("a").violations]
    assert files == sorted(files)


# --- rails that are asked here -------------------------------------------------------------------------------------


def test_suspended_task_is_shown_and_not_sent(bench):
    bench.put()
    bench.store.suspend("shop", Suspension("maintenance", None))
    assert bench.actions() == {"shop": "suspended"}
    assert bench.apply() == {}


def test_observe_sends_nothing(bench):
    bench.put()
    assert bench.item(mode=Mode.OBSERVE).rail == "mode"


def test_task_for_an_unknown_target_is_held_and_stops_no_other(bench):
    bench.put("a", 1, task={"target": "nowhere"})
    bench.put("b", 2)
    known = {"default": "CE"}
    assert (bench.item("a", targets=known).rail, set(bench.apply(targets=known))) == ("target", {"b"})


def test_resend_sends_without_a_difference(bench):
    bench.applied()
    assert bench.apply(resend=frozenset({"shop"}))["shop"].status.value == "applied"
    assert len(bench.sent) == 1


def test_declared_reset_that_is_held_holds_no_update(bench):
    bench.put()
    reset = {"request": "r1", "id": "np_0", "startTimestamp": 1_700_000_000, "reason": "lost logs"}
    (bench.desired / "shop/reset.json").write_text(json.dumps(reset))
    assert [(item.action.value, item.rail) for item in bench.survey().plan.items] == [
        ("blocked", "target"),
        ("update", ""),
    ]
    assert [result.action for result in bench.apply().values()] == [Action.UPDATE]


@pytest.mark.parametrize(
    ("name", "chosen", "expected"),
    [
        ("shop/orders", (), True),
        ("shop/orders", ("shop/orders",), True),
        ("shop/orders", ("shop",), True),
        ("shop/orders", ("shop/",), True),
        ("shop/orders", ("sho",), False),
        ("shop", ("shop/orders",), False),
    ],
)
def test_task_is_chosen_by_its_name_or_a_folder(name, chosen, expected):
    assert is_chosen(name, chosen) is expected


def test_selection_limits_items_and_not_what_is_known(bench):
    bench.put("shop/a", 1)
    bench.put("shop/b", 2)
    bench.put("mail", 3)
    survey = bench.survey("shop")
    assert [item.task for item in survey.plan.items] == ["shop/a", "shop/b"]
    assert set(survey.tasks) == {"shop/a", "shop/b", "mail"}


def test_selection_hides_orphans_and_broken_files_of_others(bench):
    bench.applied("gone")
    shutil.rmtree(bench.desired / "gone")
    bench.put("mail", 3)
    bench.put("broken", 4, sink=b"{")
    assert [item.task for item in bench.survey("mail").plan.items] == ["mail"]


# --- adopt ---------------------------------------------------------------------------------------------------------


def adopt(bench, *selection, only_new=False):
    return bench.reconciler().adopt(selection, reason="said so", only_new=only_new)


def test_adopted_task_is_recorded_without_a_call(bench):
    bench.put()
    assert adopt(bench) == {"shop": Adoption()}
    assert bench.actions(new="hold") == {"shop": "noop"}
    assert bench.oms.calls == ()


def test_adopt_records_a_known_task_anew(bench):
    bench.applied()
    bench.edit("coordinator", throttleRps="30000")
    adopt(bench)
    assert bench.actions() == {"shop": "noop"}


def test_adopt_of_new_tasks_leaves_known_ones_alone(bench):
    bench.applied()
    bench.edit("coordinator", throttleRps="30000")
    bench.put("new", 1)
    assert adopt(bench, only_new=True) == {"new": Adoption()}
    assert bench.actions() == {"new": "noop", "shop": "update"}


def test_adopt_says_why_a_task_cannot_be(bench):
    bench.put("a", 1, sink={"password": "${env:NOWHERE}"})
    bench.put("b", 2, sink=b"{")
    bench.put("c", 3)
    outcome = adopt(bench, "a", "b")
    assert (set(outcome), "NOWHERE" in outcome["a"].problem, "sink.json" in outcome["b"].problem) == (
        {"a", "b"},
        True,
        True,
    )


def test_adopt_of_clashing_tasks_records_nothing(bench):
    bench.put("a")
    bench.put("b")
    assert all(adopt(bench).values())
    assert bench.store.records() == {}


def test_adopt_clears_a_failure(bench):
    bench.put()
    bench.fault("param_error")
    bench.apply()
    assert bench.record().condition is Condition.FAILED
    adopt(bench)
    assert (bench.record().condition, bench.actions()) == (Condition.SYNCED, {"shop": "noop"})


def test_fleet_is_large_enough_for_a_first_run():
    assert PROJECTS > 50


def test_one_of_two_tasks_with_one_address_is_not_adopted(bench):
    bench.put("a")
    bench.put("b")
    outcome = bench.reconciler().adopt(("a",), reason="known", only_new=False)
    assert list(outcome) == ["a"]
    assert "b" in outcome["a"].problem
    assert bench.store.records() == {}
