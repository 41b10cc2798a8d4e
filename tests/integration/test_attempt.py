"""One task's way through a run: what is looked at, sent, recorded and watched, whatever OMS answers."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler import apply
from reconciler.apply import jobs_of
from reconciler.attempt import CALM_S, CAPPED_ATTEMPTS
from reconciler.clock import SystemClock
from reconciler.core import position, secrets
from reconciler.dispatch import Dispatcher
from reconciler.errors import DesiredStateError
from reconciler.events import CallEnded
from reconciler.jobs import Status
from reconciler.model import Action, Commit, Condition, Link, Suspension
from reconciler.verify import LOOK_AGAIN_S, UNSEEN
from tests.integration.bench import REGION, REVERSE, SECOND, SENTINELS, documents, name_of

STATUS = "DescribeProjectProgress"
HEALTH = "DescribeProjectComponents"

RETRIED = [
    pytest.param("http", {"status": 429}, id="429"),
    pytest.param("http", {"status": 503, "retry_after": 2}, id="503 with Retry-After"),
]
UNCLEAR = [
    pytest.param("close", {"effect": "before"}, id="closed before the effect"),
    pytest.param("close", {"effect": "after"}, id="closed after the effect"),
    pytest.param("reset", {"effect": "after"}, id="reset after the effect"),
    pytest.param("http", {"status": 500}, id="500"),
    pytest.param("http", {"status": 502, "effect": "after"}, id="502 after the effect"),
    pytest.param("truncated", {}, id="truncated"),
    pytest.param("cut_json", {}, id="cut JSON"),
    pytest.param("inner_error", {}, id="INNER_ERROR"),
    pytest.param("success_missing", {}, id="no verdict"),
]


def role(link="forward", index=0, **more):
    task = {"component": {"project": "np_0", "link": link, "index": index}, "manage": ["/coordinator/taskIdentity"]}
    return json.dumps(task | more).encode()


def journal(bench, kind):
    return [entry for entry in bench.store.history(None, 100) if entry.kind == kind]


# --- what is sent --------------------------------------------------------------------------------------------------


def test_edit_is_one_update_with_all_four_sections_and_no_allow_delete(bench):
    bench.applied()
    bench.edit("coordinator", throttleRps="30000")
    assert bench.apply()["shop"].status is Status.APPLIED
    (body,) = bench.sent
    assert set(body) == {"dimension", "key", "cmRegion", "config"}
    assert list(body["config"]) == ["condition", "coordinator", "sink", "source"]
    assert body["config"]["coordinator"] == documents()["coordinator"] | {"throttleRps": "30000"}


def test_all_pending_edits_of_a_task_are_one_call(bench):
    bench.applied()
    bench.edit("coordinator", throttleRps="30000")
    bench.edit("sink", printSql="true")
    bench.edit("source", connectionTimeoutSec="60")
    assert bench.apply()["shop"].status is Status.APPLIED
    assert len(bench.sent) == 1


def test_second_apply_makes_no_call(bench):
    bench.put()
    bench.apply()
    seen = len(bench.oms.calls)
    assert bench.apply() == {}
    assert len(bench.oms.calls) == seen


def test_secrets_are_filled_in_and_the_checkpoint_is_not_sent(bench):
    bench.put()
    bench.apply()
    config = bench.sent[0]["config"]
    assert (config["source"]["password"], config["sink"]["password"]) == tuple(SENTINELS.values())
    assert "checkpoint" not in config["source"]


def test_numbers_are_sent_as_text_and_rules_as_they_are(bench):
    bench.put(sink={"workerNum": 8, "printSql": True})
    bench.apply()
    config = bench.sent[0]["config"]
    assert (config["sink"]["workerNum"], config["sink"]["printSql"]) == ("8", "true")
    assert config["condition"] == documents()["condition"]


def test_removed_key_with_allow_delete_sends_everything_to_be_retained(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleIOPS=None)
    before = bench.oms.component(name_of(0)).checkpoint
    assert bench.apply()["shop"].action is Action.UPDATE_DELETE
    (body,) = bench.sent
    start = str(int(before) - position.MARGIN_S)
    assert body["allowDelete"] is True
    assert body["config"]["source"].pop("checkpoint") == {"c0": start, "d0": start}
    resolved = secrets.resolve({n: c for n, c in documents().items() if n != "task"}, lambda _, name: SENTINELS[name])
    del resolved["coordinator"]["throttleIOPS"]
    assert body["config"] == resolved


def test_deleted_key_is_gone_and_the_component_runs_on_from_the_margin(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleIOPS=None)
    assert bench.apply()["shop"].status is Status.APPLIED
    assert "throttleIOPS" not in bench.config()["coordinator"]
    assert bench.apply() == {}


def test_deletion_without_a_reported_checkpoint_is_held(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleIOPS=None)
    bench.fault("empty_lists", action=HEALTH)
    result = bench.apply()["shop"]
    assert (result.status, "no checkpoint" in result.message) == (Status.BLOCKED, True)
    assert bench.sent == []


@pytest.mark.parametrize("clients", [None, [{"subtopic": "x"}]], ids=["no clients", "a client without an id"])
def test_forced_deletion_never_sends_a_checkpoint_without_its_clients(bench, clients):
    bench.applied(task={"allowDelete": True, "allow": ["/source/clients"]})
    bench.edit("source", clients=clients)
    bench.edit("coordinator", throttleIOPS=None)
    result = bench.apply(forced=frozenset({"incomplete"}), reason="meant")["shop"]
    assert (result.action, result.status, "clientId" in result.message) == (Action.UPDATE_DELETE, Status.BLOCKED, True)
    assert bench.sent == []


def test_forced_rail_and_its_reason_are_in_the_journal(bench):
    bench.applied(task={"allowDelete": True})
    bench.edit("coordinator", throttleIOPS=None)
    bench.edit("source", checkpoint=None)
    assert bench.apply(forced=frozenset({"incomplete"}), reason="meant")["shop"].status is Status.APPLIED
    detail = journal(bench, "intent")[0].detail
    assert (detail["forced"], detail["reason"]) == (["incomplete"], "meant")
    assert "checkpoint" not in bench.sent[0]["config"]["source"]


SHOPKEEPER = Commit("c0ffee" * 6 + "cafe", "Ann", datetime(2026, 11, 20, tzinfo=UTC), "More workers")


def test_the_commit_that_touched_the_task_last_is_in_the_journal(bench):
    asked = []

    def origin(*question):
        asked.append(question)
        return SHOPKEEPER

    bench.put()
    survey = bench.survey()
    apply.carry_out(survey, replace(bench.tools(), origin=origin))
    assert asked == [(survey.plan.revision, "shop")]
    assert journal(bench, "intent")[0].detail["commit"] == {
        "id": SHOPKEEPER.id,
        "author": "Ann",
        "at": "2026-11-20T00:00:00+00:00",
        "subject": "More workers",
    }


def test_a_history_that_cannot_be_read_is_no_reason_not_to_call(bench):
    def origin(*_question):
        raise DesiredStateError("no repository")

    bench.put()
    assert apply.carry_out(bench.survey(), replace(bench.tools(), origin=origin))[0].status is Status.APPLIED
    assert "commit" not in journal(bench, "intent")[0].detail


def test_another_attempt_does_not_ask_again_who_touched_the_task(bench):
    asked = []

    def origin(*question):
        asked.append(question)
        return SHOPKEEPER

    bench.put()
    bench.fault("http", status=429, times=1)
    apply.carry_out(bench.survey(), replace(bench.tools(), origin=origin))
    assert len(asked) == 1
    assert [entry.detail["commit"]["author"] for entry in journal(bench, "intent")] == ["Ann", "Ann"]


# --- where it goes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "index", "name"), [("forward", 0, name_of(0)), ("forward", 1, SECOND), ("reverse", 0, REVERSE)]
)
def test_role_is_resolved_to_the_present_component(bench, link, index, name):
    bench.put(task=role(link, index))
    assert bench.apply()["shop"].status is Status.APPLIED
    (body,) = bench.sent
    assert (body["dimension"], body["key"], body["cmRegion"]) == ("NAME", name, REGION)


def test_role_follows_a_move_to_another_host(bench):
    bench.put(task=role())
    bench.apply()
    name = bench.oms.move(name_of(0), ip="10.0.0.9")
    bench.edit("coordinator", throttleRps="30000")
    assert bench.apply()["shop"].status is Status.APPLIED
    assert bench.keys == [name_of(0), name]


def test_role_is_resolved_after_the_plan_was_made(bench):
    bench.put(task=role())
    survey = bench.survey()
    name = bench.oms.move(name_of(0), ip="10.0.0.9")
    bench.carry_out(survey)
    assert bench.keys == [name]


def test_role_that_moves_while_it_restarts_is_found_again(bench):
    bench.put(task=role())
    bench.fault("host_move", action=HEALTH, skip=1, ip="10.0.0.9")
    assert bench.apply()["shop"].status is Status.APPLIED


def test_role_that_nobody_has_is_held(bench):
    bench.put(task=role("forward", 7))
    result = bench.apply()["shop"]
    assert (result.status, SECOND in result.message) == (Status.BLOCKED, True)
    assert bench.sent == []


def test_role_must_not_mean_what_another_task_names(bench):
    bench.put("by-name")
    bench.put("by-role", task=role())
    results = bench.apply()
    assert {task: result.status for task, result in results.items()} == {
        "by-name": Status.APPLIED,
        "by-role": Status.BLOCKED,
    }
    assert "another task declares by name" in results["by-role"].message


@pytest.mark.parametrize("kind", ["param_error", "unsupported_action"])
def test_role_is_held_where_the_server_cannot_tell_names(bench, kind):
    bench.put(task=role())
    bench.fault(kind, action=HEALTH)
    result = bench.apply()["shop"]
    assert (result.status, "cannot be found" in result.message) == (Status.BLOCKED, True)


def test_name_that_is_not_listed_any_more_is_held(bench):
    bench.put()
    bench.oms.move(name_of(0), ip="10.0.0.9")
    result = bench.apply()["shop"]
    assert (result.status, "10.0.0.9" in result.message) == (Status.BLOCKED, True)
    assert bench.sent == []


@pytest.mark.parametrize("status", ["RUNNING_MODIFYING", "RUNNING_MERGING"])
def test_busy_project_is_not_touched(bench, status):
    bench.put()
    bench.oms.set_project("np_0", status=status)
    result = bench.apply()["shop"]
    assert (result.status, status in result.message) == (Status.BLOCKED, True)
    assert bench.sent == []


def test_busy_project_is_sent_to_once_it_is_calm(bench):
    bench.put()
    bench.oms.set_project("np_0", status="RUNNING_MERGING")
    bench.apply()
    bench.oms.set_project("np_0", status="RUNNING")
    assert bench.apply()["shop"].status is Status.APPLIED


def test_wide_dimension_is_sent_as_it_stands_and_cannot_be_verified(bench):
    wide = {"dimension": "TASK_NAME", "key": "np_0", "cmRegion": REGION}
    bench.put(
        task=json.dumps(wide).encode(), coordinator=b'{"throttleRps": "5"}', condition=b"{}", source=b"{}", sink=b"{}"
    )
    assert bench.apply()["shop"].status is Status.NOT_VERIFIED
    (body,) = bench.sent
    assert (body["dimension"], body["key"]) == ("TASK_NAME", "np_0")
    assert [each.config["coordinator"]["throttleRps"] for each in bench.oms.components[:3]] == ["5", "5", "5"]
    assert bench.apply() == {}


def test_key_without_a_project_is_sent_and_cannot_be_verified(bench):
    bench.put(task={"key": "odd", "cmRegion": REGION})
    bench.fault("data", value=77, effect="before")
    result = bench.apply()["shop"]
    assert (result.status, result.ticket, bench.oms.calls_of(HEALTH)) == (Status.NOT_VERIFIED, 77, ())


# --- accepted ------------------------------------------------------------------------------------------------------


def test_accepted_update_is_recorded_with_ticket_and_request_id(bench):
    bench.put()
    result = bench.apply()["shop"]
    record, (ticket,), call = bench.record(), bench.oms.tickets, bench.oms.calls_of("UpdateIncrSync")[0]
    assert (record.condition, record.reason, record.attempts, record.open_intents) == (Condition.SYNCED, "", 0, 0)
    assert (record.ticket, record.request_id) == (ticket.id, call.request_id) == (result.ticket, result.request_id)


def test_ticket_of_64_bits_is_kept(bench):
    bench.oms.set_switches(first_ticket=2**63 - 1)
    bench.put()
    bench.fault("data", value=2**63 - 1)
    assert bench.apply()["shop"].ticket == bench.record().ticket == 2**63 - 1


def test_answer_without_a_ticket_counts_as_accepted(bench):
    bench.put()
    bench.fault("data", value=None)
    result = bench.apply()["shop"]
    assert (result.status, result.ticket) == (Status.APPLIED, None)


def test_stopped_component_that_stays_stopped_is_well(bench):
    bench.oms.set_component(name_of(0), status="STOPPED")
    bench.put()
    assert bench.apply()["shop"].status is Status.APPLIED


def test_component_in_exception_is_repaired_by_an_update(bench):
    bench.oms.set_component(name_of(0), status="EXCEPTION", error="bad url")
    bench.put()
    assert bench.apply()["shop"].status is Status.APPLIED


def test_component_in_exception_after_an_update_is_failed_and_nothing_is_resent(bench):
    bench.applied()
    bench.edit("sink", workerNum="13")
    bench.fault("poison", section="sink", key="workerNum", value="13")
    result = bench.apply()["shop"]
    assert (result.status, "EXCEPTION" in result.message) == (Status.FAILED, True)
    assert f"after ticket {result.ticket}" in result.message
    assert (bench.record().condition, bench.item().rail) == (Condition.FAILED, "failed")
    assert bench.apply() == {}
    assert len(bench.sent) == 1


def test_fix_of_a_failed_component_is_sent(bench):
    bench.applied()
    bench.edit("sink", workerNum="13")
    bench.fault("poison", section="sink", key="workerNum", value="13")
    bench.apply()
    bench.edit("sink", workerNum="12")
    assert bench.apply()["shop"].status is Status.APPLIED
    assert bench.actions() == {"shop": "noop"}


def test_revert_of_a_failed_component_is_sent(bench):
    bench.applied()
    bench.edit("sink", workerNum="13")
    bench.fault("poison", section="sink", key="workerNum", value="13")
    bench.apply()
    bench.edit("sink", workerNum="16")
    assert bench.apply()["shop"].status is Status.APPLIED


def test_component_not_seen_healthy_in_time_is_unconfirmed_with_its_ticket(bench):
    bench.put()
    bench.fault("ticket_stuck")
    result = bench.apply()["shop"]
    assert (result.status, f"ticket {result.ticket}" in result.message) == (Status.UNCONFIRMED, True)
    assert (bench.record().condition, bench.actions()) == (Condition.UNCONFIRMED, {"shop": "noop"})
    assert "within 30 s (STOPPED" in bench.record().reason


def test_verification_takes_no_longer_than_it_may(bench):
    bench.put()
    bench.fault("ticket_stuck")
    began = bench.clock.monotonic()
    bench.apply(verify_s=7.0)
    assert 7.0 <= bench.clock.monotonic() - began < 9.0


def test_component_that_vanishes_after_the_update_is_unconfirmed(bench):
    bench.put()
    bench.fault("vanish", effect="after")
    result = bench.apply()["shop"]
    assert (result.status, "not listed" in result.message) == (Status.UNCONFIRMED, True)


@pytest.fixture
def unconfirmed(bench):
    """A task whose component was not seen healthy in time, and no further call was made for it."""
    bench.put()
    bench.apply(verify_s=0.3)
    assert bench.record().condition is Condition.UNCONFIRMED
    bench.look_away()
    return bench


def test_unconfirmed_component_is_looked_at_by_the_next_run(unconfirmed):
    unconfirmed.clock.sleep(60)
    assert unconfirmed.apply()["shop"].status is Status.CONFIRMED
    assert (unconfirmed.record().condition, unconfirmed.sent) == (Condition.SYNCED, [])
    assert unconfirmed.apply() == {}


def test_verification_that_died_with_its_program_is_taken_up(unconfirmed):
    address = unconfirmed.record().address
    unconfirmed.store.set_condition(address, Condition.VERIFYING, "")
    unconfirmed.clock.sleep(60)
    assert unconfirmed.apply()["shop"].status is Status.CONFIRMED


def test_component_that_broke_since_is_failed_and_nothing_is_sent(unconfirmed):
    unconfirmed.clock.sleep(60)
    unconfirmed.oms.set_component(name_of(0), status="EXCEPTION")
    assert unconfirmed.apply()["shop"].status is Status.FAILED
    assert (unconfirmed.record().condition, unconfirmed.sent) == (Condition.FAILED, [])


def test_unconfirmed_component_is_watched_for_a_few_seconds_only(unconfirmed):
    unconfirmed.clock.sleep(60)
    unconfirmed.oms.set_component(name_of(0), status="STOPPED")
    began = unconfirmed.clock.monotonic()
    assert unconfirmed.apply()["shop"].status is Status.UNCONFIRMED
    assert unconfirmed.clock.monotonic() - began < LOOK_AGAIN_S + 2.0


def test_unconfirmed_component_that_cannot_be_looked_at_stays_unconfirmed(unconfirmed):
    unconfirmed.fault("http", action=HEALTH, times=None, status=503)
    result = unconfirmed.apply()["shop"]
    assert (result.status, UNSEEN in result.message) == (Status.UNCONFIRMED, True)


def test_edit_after_an_unconfirmed_update_is_sent(bench):
    bench.put()
    bench.fault("ticket_stuck")
    bench.apply()
    bench.edit("sink", workerNum="12")
    bench.apply()
    assert len(bench.sent) == 2


def test_update_without_effect_is_well_only_after_a_while(bench):
    bench.put()
    bench.fault("no_effect")
    began = bench.clock.monotonic()
    assert bench.apply()["shop"].status is Status.APPLIED
    assert bench.clock.monotonic() - began > 3.0


@pytest.mark.parametrize("kind", ["param_error", "unsupported_action", "no_such_project"])
def test_health_that_cannot_be_read_for_good_lets_the_update_pass_unverified(bench, kind):
    bench.put()
    bench.fault(kind, action=HEALTH, times=None)
    result = bench.apply()["shop"]
    assert (result.status, result.ticket is not None) == (Status.NOT_VERIFIED, True)
    assert bench.record().condition is Condition.NOT_VERIFIED
    assert bench.apply() == {}


def test_status_of_the_project_that_cannot_be_read_hinders_nothing(bench):
    bench.put()
    bench.fault("param_error", action=STATUS, times=None)
    assert bench.apply()["shop"].status is Status.APPLIED


def test_health_that_fails_for_good_after_the_update_is_not_verified(bench):
    bench.put()
    bench.fault("param_error", action=HEALTH, skip=1, times=None)
    result = bench.apply()["shop"]
    assert (result.status, "cannot be read" in result.message) == (Status.NOT_VERIFIED, True)
    assert bench.record().condition is Condition.NOT_VERIFIED


def test_health_that_fails_for_a_time_is_read_again(bench):
    bench.put()
    bench.fault("http", action=HEALTH, skip=1, times=4, status=500)
    assert bench.apply()["shop"].status is Status.APPLIED


def test_health_that_stays_away_is_asked_ever_less_often(bench):
    bench.put()
    bench.fault("http", action=HEALTH, skip=1, times=None, status=500)
    result = bench.apply()["shop"]
    assert (result.status, UNSEEN in result.message) == (Status.UNCONFIRMED, True)
    assert len(bench.oms.calls_of(HEALTH)) < 25


# --- certainly without effect --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "parameters"), RETRIED)
def test_update_that_was_not_taken_is_tried_again(bench, kind, parameters):
    bench.put()
    bench.fault(kind, times=2, **parameters)
    assert bench.apply()["shop"].status is Status.APPLIED
    assert bench.kinds()[:6] == [("intent", "applying"), ("outcome", "retrying")] * 2 + [
        ("intent", "applying"),
        ("outcome", "verifying"),
    ]


def test_retries_wait_ever_longer(bench):
    bench.put()
    bench.fault("http", times=4, status=429)
    bench.apply()
    waits = [text for _, text in bench.said if text.startswith("again in")]
    assert [wait.split(" s")[0] for wait in waits] == ["again in 0.5", "again in 1.0", "again in 2.0", "again in 4.0"]
    assert [":" in wait for wait in waits] == [True, False, False, False]


def test_server_that_says_when_to_come_back_is_obeyed(bench):
    bench.put()
    bench.fault("http", status=503, retry_after=7)
    began = bench.clock.monotonic()
    bench.apply()
    assert bench.said[1] == ("shop", next(text for _, text in bench.said if text.startswith("again in 7.0 s")))
    assert bench.clock.monotonic() - began >= 7.0


def test_what_cannot_be_sent_within_thirty_seconds_is_left_for_the_next_apply(bench):
    bench.put()
    bench.fault("http", times=None, status=429)
    began = bench.clock.monotonic()
    result = bench.apply()["shop"]
    assert (result.status, 15 < bench.clock.monotonic() - began < 31) == (Status.PENDING, True)
    record = bench.record()
    assert (record.condition, record.attempts, record.open_intents) == (Condition.RETRYING, 0, 0)
    bench.oms.clear_faults()
    assert bench.apply()["shop"].status is Status.APPLIED


def test_server_that_asks_for_more_than_the_budget_is_not_waited_for(bench):
    bench.put()
    bench.fault("http", status=503, retry_after=31)
    began = bench.clock.monotonic()
    assert bench.apply()["shop"].status is Status.PENDING
    assert bench.clock.monotonic() == began


def test_server_out_of_reach_is_pending_and_the_journal_says_why(bench):
    bench.put()
    bench.set_target(url="http://127.0.0.1:1")
    result = bench.apply()["shop"]
    (entry,) = bench.store.history("shop", 9)
    assert (result.status, entry.kind, entry.detail["message"]) == (Status.PENDING, "pending", result.message)


def test_server_out_of_reach_shows_in_the_state_of_a_known_task(bench):
    bench.applied()
    bench.edit("sink", workerNum="12")
    bench.set_target(url="http://127.0.0.1:1")
    result = bench.apply()["shop"]
    assert (bench.record().condition, bench.record().reason) == (Condition.RETRYING, result.message)
    assert bench.record().open_intents == 0


def test_look_that_fails_for_a_time_is_tried_again(bench):
    bench.put()
    bench.fault("http", action=STATUS, status=500, times=2)
    assert bench.apply()["shop"].status is Status.APPLIED
    assert len(bench.sent) == 1


@pytest.mark.parametrize("kind", ["cm_unavailable", "wrapped_error"])
def test_failure_that_calls_itself_passing_is_repeated_a_few_times_only(bench, kind):
    bench.put()
    bench.fault(kind, times=None)
    assert bench.apply()["shop"].status is Status.PENDING
    assert len(bench.sent) == CAPPED_ATTEMPTS
    assert bench.record().condition is Condition.RETRYING


def test_refusals_before_count_towards_no_cap(bench):
    bench.put()
    bench.fault("http", times=3, status=429)
    bench.fault("cm_unavailable", times=2)
    assert bench.apply()["shop"].status is Status.APPLIED


# --- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["param_error", "error"])
def test_refused_update_is_failed_and_not_sent_again(bench, kind):
    bench.put()
    bench.fault(kind)
    result = bench.apply()["shop"]
    assert (result.status, bench.record().condition, bench.item().rail) == (Status.FAILED, Condition.FAILED, "failed")
    assert result.request_id is not None
    assert bench.apply() == {}


def test_refused_update_is_sent_when_its_content_changes(bench):
    bench.put()
    bench.fault("param_error")
    bench.apply()
    bench.edit("sink", workerNum="12")
    assert bench.apply()["shop"].status is Status.APPLIED


def test_refused_update_is_sent_when_a_retry_is_asked_for(bench):
    bench.put()
    bench.fault("param_error")
    bench.apply()
    bench.store.retry(bench.record().address)
    assert bench.apply()["shop"].status is Status.APPLIED


def test_refused_update_that_is_taken_back_is_looked_at_and_not_sent(bench):
    bench.applied()
    bench.edit("sink", workerNum="12")
    bench.fault("param_error")
    bench.apply()
    bench.edit("sink", workerNum="16")
    bench.look_away()
    assert (bench.apply()["shop"].status, bench.sent) == (Status.CONFIRMED, [])


def test_release_that_is_too_old_is_refused_without_a_call(bench):
    bench.put()
    bench.set_target(edition="CE", version="4.1.0")
    assert bench.apply()["shop"].status is Status.FAILED
    assert bench.sent == []


# --- no clear answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "parameters"), UNCLEAR)
def test_update_without_a_clear_answer_is_looked_at_and_sent_again(bench, kind, parameters):
    bench.put()
    bench.fault(kind, **parameters)
    assert bench.apply()["shop"].status is Status.APPLIED
    first, second = bench.oms.calls_of("UpdateIncrSync")
    assert second.at - first.at >= CALM_S
    between = [call.action for call in bench.oms.calls if first.number < call.number < second.number]
    assert between[-2:] == [STATUS, HEALTH]
    assert (bench.record().open_intents, bench.actions()) == (0, {"shop": "noop"})


def test_hanging_update_is_looked_at_and_sent_again(bench):
    bench.put()
    bench.set_target(read_s=0.2)
    bench.fault("hang", effect="after")
    assert bench.apply()["shop"].status is Status.APPLIED
    assert len(bench.sent) == 2


@pytest.mark.parametrize(("kind", "parameters"), UNCLEAR)
def test_update_that_is_never_answered_is_sent_three_times_in_all(bench, kind, parameters):
    bench.put()
    bench.fault(kind, times=None, **parameters)
    result = bench.apply()["shop"]
    assert (result.status, len(bench.sent)) == (Status.UNKNOWN, 3)
    record = bench.record()
    assert (record.condition, record.attempts, record.open_intents) == (Condition.UNKNOWN, 3, 3)


@pytest.fixture
def unanswered(bench):
    """A task that has one content, and was sent another one three times in vain."""
    bench.applied(task={"allowDelete": True})
    bench.edit("sink", workerNum="12", printSql="true")
    bench.fault("http", times=3, status=500)
    assert bench.apply()["shop"].status is Status.UNKNOWN
    bench.look_away()
    return bench


def test_unknown_outcome_blocks_the_same_content(unanswered):
    assert (unanswered.item().action, unanswered.item().rail) == (Action.BLOCKED, "unknown")
    assert unanswered.apply() == {}


def test_unknown_outcome_ends_with_a_retry_that_is_asked_for(unanswered):
    unanswered.store.retry(unanswered.record().address)
    assert unanswered.apply()["shop"].status is Status.APPLIED
    assert unanswered.actions() == {"shop": "noop"}


def test_unknown_outcome_blocks_no_new_content(unanswered):
    unanswered.edit("sink", workerNum="11")
    assert unanswered.apply()["shop"].status is Status.APPLIED


def test_revert_of_an_unknown_outcome_is_sent(unanswered):
    unanswered.edit("sink", workerNum="16", printSql=None)
    result = unanswered.apply()["shop"]
    assert (result.action, result.status) == (Action.UPDATE_DELETE, Status.APPLIED)
    assert unanswered.actions() == {"shop": "noop"}


def test_key_of_an_unanswered_attempt_counts_as_removed(unanswered):
    unanswered.edit("sink", printSql=None)
    changes = {change.path: change.kind.value for change in unanswered.item().changes}
    assert changes == {"/sink/printSql": "removed", "/sink/workerNum": "set"}


def test_key_of_last_applied_counts_as_removed_while_the_outcome_is_unknown(unanswered):
    unanswered.edit("coordinator", throttleIOPS=None)
    unanswered.edit("sink", workerNum="11")
    assert unanswered.apply()["shop"].action is Action.UPDATE_DELETE
    assert unanswered.sent[0]["allowDelete"] is True


def test_revert_of_an_unknown_outcome_without_allow_delete_is_a_plain_update(bench):
    bench.applied()
    bench.edit("sink", workerNum="12", printSql="true")
    bench.fault("http", times=3, status=500, effect="after")
    bench.apply()
    bench.edit("sink", workerNum="16", printSql=None)
    assert bench.apply()["shop"].action is Action.UPDATE
    assert (bench.config()["sink"]["workerNum"], bench.config()["sink"]["printSql"]) == ("16", "true")
    assert bench.actions() == {"shop": "noop"}


def test_unanswered_attempt_that_broke_the_component_is_not_repeated(bench):
    bench.applied()
    bench.edit("sink", workerNum="13")
    bench.fault("poison", section="sink", key="workerNum", value="13")
    bench.fault("http", status=503, retry_after=None, effect="after")
    bench.oms.set_timing(queue_s=0.0, stop_s=0.1, start_s=0.1)
    result = bench.apply()["shop"]
    assert (result.status, "unknown" in result.message, len(bench.sent)) == (Status.FAILED, True, 1)
    assert (bench.record().condition, bench.item().rail) == (Condition.FAILED, "failed")


def test_unanswered_attempt_that_broke_the_component_can_be_taken_back(bench):
    bench.applied()
    bench.edit("sink", workerNum="13")
    bench.fault("poison", section="sink", key="workerNum", value="13")
    bench.fault("http", status=500, effect="after")
    bench.oms.set_timing(queue_s=0.0, stop_s=0.1, start_s=0.1)
    bench.apply()
    bench.edit("sink", workerNum="16")
    assert bench.apply()["shop"].status is Status.APPLIED
    assert bench.oms.component(name_of(0)).status == "RUNNING"


def test_unknown_outcome_stays_unknown_while_the_server_is_out_of_reach(bench):
    bench.put()
    bench.fault("http", status=500)
    bench.fault("http", times=None, status=429)
    assert bench.apply()["shop"].status is Status.UNKNOWN
    assert (bench.record().open_intents, bench.record().attempts) == (1, 1)


def test_unknown_outcome_stays_unknown_while_the_look_fails(bench):
    bench.put()
    bench.fault("http", status=500)
    bench.fault("http", action=STATUS, skip=1, times=None, status=500)
    assert bench.apply()["shop"].status is Status.UNKNOWN
    assert len(bench.sent) == 1


def test_unknown_outcome_is_not_called_blocked_when_something_holds_the_next_try(bench):
    bench.put()
    bench.fault("http", status=500)
    bench.oms.watch = lambda request: (
        bench.store.suspend("shop", Suspension("stop", None)) if request.action == "UpdateIncrSync" else None
    )
    result = bench.apply()["shop"]
    assert (result.status, "suspended" in result.message, len(bench.sent)) == (Status.UNKNOWN, True, 1)


def test_refusal_after_an_unknown_outcome_leaves_the_base_uncertain(bench):
    bench.applied()
    bench.edit("sink", workerNum="12")
    bench.fault("http", status=500, effect="after")
    bench.fault("param_error")
    assert bench.apply()["shop"].status is Status.FAILED
    bench.edit("sink", workerNum="16")
    assert bench.apply()["shop"].status is Status.APPLIED
    assert bench.config()["sink"]["workerNum"] == "16"


# --- between plan and call -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["shop", "*"])
def test_suspension_after_the_plan_is_honoured(bench, task):
    bench.put()
    survey = bench.survey()
    bench.store.suspend(task, Suspension("hands off", None))
    result = bench.carry_out(survey)["shop"]
    assert (result.status, "hands off" in result.message) == (Status.BLOCKED, True)
    assert bench.oms.calls == ()


def adopt(bench):
    bench.reconciler().adopt((), reason="said so", only_new=False)


def forget(bench):
    bench.store.forget(bench.record().address)


@pytest.mark.parametrize("command", [adopt, forget])
def test_record_changed_after_the_plan_blocks(bench, command):
    bench.applied()
    bench.edit("sink", workerNum="12")
    survey = bench.survey()
    command(bench)
    result = bench.carry_out(survey)["shop"]
    assert (result.status, "plan again" in result.message) == (Status.BLOCKED, True)
    assert bench.sent == []


def test_plan_runs_once(bench):
    bench.put()
    survey = bench.survey()
    bench.carry_out(survey)
    assert bench.carry_out(survey)["shop"].status is Status.BLOCKED
    assert len(bench.sent) == 1


def test_adoption_during_the_call_is_overruled_by_its_answer(bench):
    bench.applied()
    bench.edit("sink", workerNum="12")
    survey = bench.survey()
    bench.oms.watch = lambda request: adopt(bench) if request.action == "UpdateIncrSync" else None
    assert bench.carry_out(survey)["shop"].status is Status.APPLIED
    assert bench.actions() == {"shop": "noop"}


def test_run_that_is_stopped_waits_for_no_health(bench):
    bench.put()
    (job,), ended, accepted = jobs_of(bench.survey()), [], threading.Event()
    tools = replace(bench.tools(), clock=SystemClock(), tell=lambda event: _set_if_ended(accepted, event))
    dispatcher = Dispatcher("default", tools, lambda _job, result: ended.append(result), budget_s=30)
    dispatcher.submit(job)
    assert accepted.wait(10)
    dispatcher.end(settle=True)
    assert (ended[0].status, "stopped" in ended[0].message) == (Status.UNCONFIRMED, True)
    assert ended[0].ticket is not None


def _set_if_ended(accepted, event):
    if isinstance(event, CallEnded):
        accepted.set()


def test_reverse_link_is_watched_in_its_own_list(bench):
    assert bench.oms.component(REVERSE).link is Link.REVERSE
    bench.put(task={"key": REVERSE})
    assert bench.apply()["shop"].status is Status.APPLIED
