"""Each test is a sequence that once went wrong: a call to the wrong place, a lost key, a state that was too kind."""

import json
import shutil
from dataclasses import replace

import pytest

from reconciler.apply import jobs_of
from reconciler.jobs import Status
from reconciler.model import Action, Condition, Suspension
from reconciler.waiting import lane
from tests.integration.bench import REGION, SECOND, SENTINELS, name_of

HEALTH = "DescribeProjectComponents"
MANAGE = ["/coordinator/taskIdentity"]


def role(project="np_0", **more):
    """`task.json` of the first component of a project, by its place."""
    return json.dumps(
        {"component": {"project": project, "link": "forward", "index": 0}, "manage": MANAGE, **more}
    ).encode()


def wide(dimension, key):
    """The files of a task that may mean several components."""
    task = json.dumps({"dimension": dimension, "key": key, "cmRegion": REGION}).encode()
    return {"task": task, "coordinator": b"{}", "condition": b"{}", "source": b"{}", "sink": b'{"workerNum": "4"}'}


# --- a role means one component ------------------------------------------------------------------------------------


def test_role_never_means_its_neighbour_when_its_own_component_is_missing(bench):
    bench.applied(task=role(allowDelete=True))
    bench.oms.remove(name_of(0))
    bench.edit("coordinator", throttleRps=None)
    result = bench.apply()["shop"]
    assert (result.status, bench.sent) == (Status.BLOCKED, [])
    assert SECOND in result.message


def test_role_that_two_components_have_is_held(bench):
    bench.applied("shop", 55, task=role("np_55"))
    bench.oms.add_component("np_55", name_of(55, host="10.0.0.9"))
    bench.edit("coordinator", throttleRps="5")
    assert (bench.apply()["shop"].status, bench.sent) == (Status.BLOCKED, [])


def test_health_is_not_read_from_the_neighbour(bench):
    bench.put(task=role())
    bench.fault("vanish", effect="after")
    assert bench.apply()["shop"].status is Status.UNCONFIRMED


@pytest.mark.parametrize("known", ["adopted", "first sent"])
def test_role_with_a_gap_before_it_is_held_where_nothing_was_sent_yet(bench, known):
    bench.put(task=role(allowDelete=True))
    if known == "adopted":
        bench.reconciler().adopt((), reason="as it is", only_new=True)
        bench.edit("coordinator", throttleRps=None)
    bench.oms.remove(name_of(0))
    result = bench.apply()["shop"]
    assert (result.status, "while some are missing" in result.message, bench.sent) == (Status.BLOCKED, True, [])


def test_adopting_lets_a_role_mean_another_component(bench):
    bench.applied(task=role())
    bench.oms.remove(name_of(0))
    bench.oms.remove(SECOND)
    other = bench.oms.add_component("np_0", "10.0.0.1-9000:connector_v2:np_0-incr_trans-9-0:0000000999").name
    bench.edit("coordinator", throttleRps="5")
    assert bench.apply()["shop"].status is Status.BLOCKED
    bench.reconciler().adopt(("shop",), reason="made anew by OMS", only_new=False)
    bench.edit("coordinator", throttleRps="6")
    bench.apply()
    bench.oms.remove(other)
    assert bench.keys[-1] == other


# --- members of nested objects -------------------------------------------------------------------------------------


@pytest.fixture(params=["top-level", "deep"])
def nested(bench, request):
    """A component with a nested object, under both readings of how deep OMS merges."""
    bench.oms.set_switches(merge=request.param)
    sink = bench.put() / "sink.json"
    sink.write_text(json.dumps(bench.read("sink") | {"props": {"a": "1", "b": "2"}}))
    bench.apply()
    bench.look_away()
    return bench


def test_member_that_leaves_the_files_stays_on_the_component(nested):
    nested.edit("sink", props={"a": "9"})
    nested.apply()
    assert nested.config()["sink"]["props"] == {"a": "9", "b": "2"}
    assert nested.actions() == {"shop": "noop"}


def test_member_that_comes_back_unchanged_needs_no_call(nested):
    nested.edit("sink", props={"a": "9"})
    nested.apply()
    nested.look_away()
    nested.edit("sink", props={"a": "9", "b": "2"})
    assert (nested.apply(), nested.sent) == ({}, [])


def test_secret_member_that_only_the_component_has_is_not_lost(bench):
    sink = bench.put() / "sink.json"
    sink.write_text(json.dumps(bench.read("sink") | {"props": {"a": "1", "token": "${env:SINK}"}}))
    bench.apply()
    bench.look_away()
    bench.edit("sink", props={"a": "9"})
    item = bench.item()
    assert (item.action, item.rail, "/sink/props/token" in item.reason) == (Action.BLOCKED, "lost_secret", True)
    assert (bench.apply(), bench.sent) == ({}, [])


def test_secret_deep_in_an_object_that_left_is_not_lost_either(bench):
    sink = bench.put() / "sink.json"
    sink.write_text(json.dumps(bench.read("sink") | {"props": {"a": "1", "b": {"token": "${env:SINK}"}}}))
    bench.apply()
    bench.edit("sink", props={"a": "9"})
    assert bench.item().rail == "lost_secret"


def test_object_in_json_text_is_filled_too(bench):
    bench.applied(source={"ncharCharsetMap": {"a": "1", "b": "2"}})
    bench.edit("source", ncharCharsetMap='{"a": "3"}')
    bench.apply()
    assert bench.config()["source"]["ncharCharsetMap"] == {"a": "3", "b": "2"}


# --- one task's trouble --------------------------------------------------------------------------------------------


def test_secret_with_a_huge_number_in_json_text_spoils_no_pass(bench):
    bench.environment["BIG"] = "1" * 400
    bench.put("a", 0, sink={"hotKeyTable": "[${env:BIG}]"})
    bench.put("b", 1)
    assert bench.apply()["b"].status is Status.APPLIED


def test_unconfirmed_task_of_a_target_that_is_gone_hinders_nobody(bench):
    bench.put("a", 0, task={"target": "other"})
    bench.apply(verify_s=0.1)
    bench.put("b", 1)
    del bench.targets["other"]
    assert bench.apply(targets={"default": "CE"})["b"].status is Status.APPLIED


def test_early_retry_of_one_task_leaves_the_others_theirs(bench):
    bench.concurrent["default"] = 1
    for number, task in enumerate("abc"):
        bench.put(task, number)
    bench.fault("http", component=name_of(0), status=429)
    bench.fault("ticket_stuck", component=name_of(1))
    bench.fault("http", component=name_of(2), status=429)
    results = bench.apply()
    assert {task: r.status.value for task, r in results.items()} == {"a": "applied", "b": "unconfirmed", "c": "applied"}


# --- too kind a state ----------------------------------------------------------------------------------------------


@pytest.fixture
def broken(bench):
    """A component that went into EXCEPTION after an update."""
    bench.applied()
    bench.fault("poison", section="sink", key="workerNum", value="13")
    bench.edit("sink", workerNum="13")
    assert bench.apply()["shop"].status is Status.FAILED
    bench.look_away()
    return bench


def test_retry_does_not_make_a_broken_component_synced(broken):
    broken.store.retry(broken.record().address)
    assert broken.record().condition is Condition.UNCONFIRMED
    assert (broken.apply()["shop"].status, broken.sent) == (Status.FAILED, [])


def test_refused_edit_that_is_taken_back_does_not_make_a_broken_component_synced(broken):
    broken.edit("sink", workerNum="14")
    broken.fault("param_error")
    broken.apply()
    broken.edit("sink", workerNum="13")
    broken.look_away()
    assert (broken.apply()["shop"].status, broken.sent) == (Status.FAILED, [])


def test_component_that_was_stopped_before_is_confirmed_stopped(bench):
    bench.put()
    bench.oms.set_component(name_of(0), status="STOPPED")
    bench.apply()
    assert bench.record().status_before == "STOPPED"
    bench.store.set_condition(bench.record().address, Condition.UNCONFIRMED, "the program died")
    assert bench.apply()["shop"].status is Status.CONFIRMED


def test_confirmation_by_a_later_run_needs_time_or_a_sign_too(bench):
    bench.applied()
    bench.fault("no_effect")
    bench.edit("coordinator", throttleRps="5")
    assert bench.apply(verify_s=0.3)["shop"].status is Status.UNCONFIRMED
    assert bench.apply(verify_s=5)["shop"].status is Status.UNCONFIRMED  # the old process may still run
    bench.clock.sleep(10)
    assert bench.apply()["shop"].status is Status.CONFIRMED


def test_look_again_where_health_cannot_be_read_is_the_last(bench):
    bench.put()
    bench.apply(verify_s=0.1)
    bench.fault("param_error", action=HEALTH, times=None)
    assert bench.apply()["shop"].status is Status.NOT_VERIFIED
    assert bench.apply() == {}


# --- a new release -------------------------------------------------------------------------------------------------


def test_content_stored_in_an_older_form_makes_no_call_and_is_renewed(bench):
    bench.applied()
    address = bench.record().address
    now = bench.store.applied(address)
    rule = {
        "name": "shop",
        "map": "shop",
        "all": "false",
        "sub": [{"name": "orders", "func": "exact"}, {"name": "customer"}],
    }
    older = replace(now, content={**now.content, "condition": {"whiteCondition": [rule]}}, digest="of an older form")
    bench.store.refingerprint(address, older)
    assert (bench.apply(), bench.sent) == ({}, [])
    assert bench.actions() == {"shop": "noop"}


def test_value_that_was_stored_in_clear_is_not_shown_when_it_leaves(bench):
    bench.applied()
    address = bench.record().address
    now = bench.store.applied(address)
    sink = {**now.content["sink"], "apiToken": SENTINELS["SINK"]}
    bench.store.refingerprint(address, replace(now, content={**now.content, "sink": sink}, digest="of an older rule"))
    assert SENTINELS["SINK"] not in str(bench.survey().plan)
    bench.apply()
    assert SENTINELS["SINK"] not in str(bench.store.applied(address).content)


def test_mended_content_is_sent_after_the_key_was_lost(bench):
    bench.applied()
    bench.database.with_name("fingerprint.key").unlink()
    bench.reopen()
    bench.edit("sink", workerNum="17")
    bench.fault("param_error")
    bench.apply()
    bench.edit("sink", workerNum="18")
    assert bench.item().action is Action.UPDATE


# --- what a plan id stands for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda bench: bench.edit("task", cmRegion="elsewhere"), id="region"),
        pytest.param(lambda bench: bench.edit("task", unmanaged=["/sink/username"]), id="unmanaged"),
    ],
)
def test_plan_id_changes_with_what_is_sent(bench, edit):
    bench.applied()
    bench.edit("sink", workerNum="12")
    before = bench.survey().plan.id
    edit(bench)
    assert bench.survey().plan.id != before


# --- one write in flight per project -------------------------------------------------------------------------------


def test_task_name_shares_the_lane_of_its_project(bench):
    bench.put("a", 0)
    bench.put("w", 0, **wide("TASK_NAME", "np_0"))
    survey = bench.survey()
    assert {lane(job) for job in jobs_of(survey)} == {"np_0"}


def test_task_name_leaves_a_project_alone_that_is_being_modified(bench):
    bench.put("w", 0, **wide("TASK_NAME", "np_0"))
    bench.oms.set_project("np_0", status="RUNNING_MODIFYING")
    assert (bench.apply()["w"].status, bench.sent) == (Status.BLOCKED, [])


def test_component_whose_outcome_is_unknown_takes_a_place_among_those_under_way(bench):
    bench.concurrent["default"] = 1
    bench.put("a", 0)
    bench.put("b", 1)
    bench.fault("inner_error", component=name_of(0))
    bench.apply()
    assert bench.keys == [name_of(0), name_of(0), name_of(1)]


def test_project_is_left_alone_while_an_outcome_in_it_is_unknown(bench):
    bench.put("a", 0)
    bench.put("b", 0, task={"key": SECOND})
    bench.fault("inner_error", component=name_of(0))
    bench.apply()
    assert bench.keys == [name_of(0), name_of(0), SECOND]


# --- traces --------------------------------------------------------------------------------------------------------


def test_suspended_task_follows_its_renamed_folder(bench):
    bench.applied()
    bench.store.suspend("*", Suspension("pause", None))
    (bench.desired / "shop").rename(bench.desired / "new")
    bench.apply()
    assert bench.record("new").serial == 1


def test_adoption_made_meanwhile_is_not_spoilt(bench):
    bench.applied()
    bench.edit("sink", workerNum="12")
    survey = bench.survey()
    bench.reconciler().adopt(("shop",), reason="by hand", only_new=False)
    assert bench.carry_out(survey)["shop"].status is Status.BLOCKED
    assert bench.record().condition is Condition.SYNCED


def test_adopt_all_names_two_tasks_with_one_address_though_it_is_known(bench):
    bench.applied("a")
    bench.put("b")
    outcome = bench.reconciler().adopt((), reason="all", only_new=True)
    assert {name: bool(adoption.problem) for name, adoption in outcome.items()} == {"a": True, "b": True}


def test_two_secrets_in_one_rule_stay_two(bench):
    rule = {"name": "${env:STORE}", "map": "${env:SINK}", "all": False, "sub": [{"name": "orders"}]}
    bench.applied(condition={"whiteCondition": [rule]})
    bench.edit("coordinator", throttleRps="5")
    assert [change.path for change in bench.item().changes] == ["/coordinator/throttleRps"]


def test_trouble_of_a_target_is_in_the_journal(bench):
    bench.put()
    bench.fault("http", action=None, status=401, times=None)
    bench.apply()
    (entry,) = [entry for entry in bench.store.history(None, 9) if entry.kind == "target"]
    assert (entry.detail["target"], entry.detail["kind"]) == ("default", "misconfigured")


def test_forced_adoption_is_in_the_journal_with_its_reason(bench):
    for number in range(5):
        bench.put(f"t{number}", number)
    bench.apply()
    for number in range(1, 5):
        shutil.rmtree(bench.desired / f"t{number}")
    bench.put("new", 9)
    bench.apply(new="adopt", forced=frozenset({"vanished"}), reason="moved to another OMS")
    reason = bench.store.history("new", 1)[0].detail["reason"]
    assert "forced: vanished" in reason
    assert "moved to another OMS" in reason


def test_frozen_pass_records_nothing(bench):
    for number in range(5):
        bench.put(f"t{number}", number)
    bench.apply()
    for number in range(1, 5):
        shutil.rmtree(bench.desired / f"t{number}")
    (bench.desired / "t0").rename(bench.desired / "renamed")
    rows = len(bench.kinds())
    assert (bench.apply(), len(bench.kinds())) == ({}, rows)


def test_release_that_is_too_old_is_a_rail_and_no_failure(bench):
    bench.put()
    item = bench.item(refused={"default": "expected OMS CE 4.1.1 or newer, found 4.1.0"})
    assert (item.action, item.rail, "4.1.1" in item.reason) == (Action.BLOCKED, "target", True)


def test_reference_is_refused_where_several_components_may_be_meant(bench):
    files = wide("TASK_NAME", "np_0") | {"coordinator": b'{"connectorJvmParam": "-Xmx8g -Dx=${env:STORE}"}'}
    bench.put("w", 0, **files)
    assert bench.actions() == {"w": "invalid"}


def test_what_holds_just_before_the_call_is_in_the_journal(bench):
    bench.applied()
    bench.edit("sink", workerNum="12")
    bench.oms.set_project("np_0", status="RUNNING_MODIFYING")
    result = bench.apply()["shop"]
    entry = bench.store.history("shop", 1)[0]
    assert (result.status, bench.record().condition) == (Status.BLOCKED, Condition.RETRYING)
    assert "RUNNING_MODIFYING" in bench.record().reason
    assert entry.outcome == Condition.RETRYING.value


def test_reason_of_a_delay_is_the_latest_one(bench):
    bench.applied()
    bench.edit("sink", workerNum="12")
    bench.oms.set_project("np_0", status="RUNNING_MODIFYING")
    bench.apply()
    bench.oms.set_project("np_0", status="RUNNING")
    bench.set_target(url="http://127.0.0.1:1")
    assert bench.record().reason != bench.apply()["shop"].message
    assert "127.0.0.1:1" in bench.record().reason
