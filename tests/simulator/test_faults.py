import base64
import json

import pytest

from reconciler.simulator.exchange import Request
from reconciler.simulator.faults import KINDS, FaultPlan, Rule, rules_from_file, rules_from_json

PROJECT = "np_4x9jabcd"
NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"
AUTHORIZATION = "Basic " + base64.b64encode(b"admin:simulator").decode()
UPDATE = {"dimension": "NAME", "key": NAME, "cmRegion": "default", "config": {"sink": {"workerNum": 16}}}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"kind": "meteor"}, "kind: expected one of"),
        ({"kind": "hang", "effect": "during"}, "effect: expected"),
        ({"kind": "hang", "parameters": {"second": 3}}, "hang has no parameter second"),
        ({"kind": "hang", "times": 0}, "times from 1"),
        ({"kind": "hang", "skip": -1}, "skip from 0"),
        ({"kind": "hang", "when": "now"}, "expected fault rules"),
        ({}, "expected fault rules"),
        (7, "expected fault rules"),
    ],
)
def test_a_wrong_rule_is_refused(rule, expected):
    with pytest.raises(ValueError, match=expected):
        rules_from_json([rule] if isinstance(rule, dict) else rule)


@pytest.mark.parametrize("wrap", [lambda rule: rule, lambda rule: [rule], lambda rule: {"rules": [rule]}])
def test_a_plan_is_a_rule_a_list_or_an_object(wrap):
    assert rules_from_json(wrap({"kind": "reset", "times": 2})) == (Rule("reset", times=2),)


def test_a_plan_is_read_from_a_file(tmp_path):
    file = tmp_path / "faults.json"
    file.write_text(json.dumps({"rules": [{"kind": "hang"}, {"kind": "close"}]}))
    assert [rule.kind for rule in rules_from_file(file)] == ["hang", "close"]


def test_rules_are_used_up_in_their_order():
    plan = FaultPlan()
    plan.add(Rule("close", times=2))
    plan.add(Rule("reset"))
    assert [rule and rule.kind for rule in (plan.take("A", "", "") for _ in range(4))] == [
        "close",
        "close",
        "reset",
        None,
    ]


def test_a_rule_without_times_stays_until_cleared():
    plan = FaultPlan()
    plan.add(Rule("close", times=None))
    assert all(plan.take("A", "", "") for _ in range(5))
    plan.clear()
    assert plan.take("A", "", "") is None


def test_a_rule_can_let_calls_pass_before():
    plan = FaultPlan()
    plan.add(Rule("close", skip=2))
    assert [bool(plan.take("A", "", "")) for _ in range(4)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("rule", "strikes"),
    [
        (Rule("close", action="UpdateIncrSync"), True),
        (Rule("close", action="StopProject"), False),
        (Rule("close", project="np_4x9*"), True),
        (Rule("close", project="np_other"), False),
        (Rule("close", component="10.0.0.1-*"), True),
        (Rule("close", component="10.0.0.2-*"), False),
    ],
)
def test_a_rule_waits_for_calls_that_match(rule, strikes):
    assert rule.matches("UpdateIncrSync", PROJECT, NAME) is strikes


def test_a_rule_for_other_calls_is_passed_over():
    plan = FaultPlan()
    plan.add(Rule("close", action="StopProject"))
    plan.add(Rule("reset"))
    assert plan.take("UpdateIncrSync", "", "") == Rule("reset")


def test_parameters_have_defaults():
    assert Rule("http").parameter("status") == 503
    assert Rule("http", parameters={"status": 429}).parameter("status") == 429


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "poison"])
def test_every_kind_strikes_a_call_and_is_used_up(simulator, kind):
    simulator.add_fault(Rule(kind))
    simulator.answer(Request("UpdateIncrSync", json.dumps(UPDATE).encode(), AUTHORIZATION))
    assert simulator.calls[0].fault == kind
    assert simulator.faults == ()


def test_afterwards_all_is_normal(simulator, ask):
    simulator.add_fault(Rule("inner_error"))
    assert [ask("DescribeRegions")["success"] for _ in range(2)] == [False, True]
    assert simulator.faults == ()


@pytest.mark.parametrize(("success", "code"), [(False, "PARAM_ERROR"), (True, None)])
def test_a_message_can_echo_the_request(simulator, update, success, code):
    simulator.add_fault(Rule("echo", parameters={"success": success}))
    answer = update({"sink": {"password": "s3cret"}})
    assert "s3cret" in answer["message"]
    assert (answer["success"], answer["code"]) == (success, code)


def test_success_can_be_a_text_or_missing(simulator, update):
    simulator.add_fault(Rule("success_text"), Rule("success_missing"))
    assert update({"sink": {"workerNum": 16}})["success"] == "true"
    assert "success" not in update({"sink": {"workerNum": 16}})
    assert len(simulator.tickets) == 2


def test_data_can_be_anything(simulator, ask):
    simulator.add_fault(Rule("data", parameters={"value": "ticket"}))
    assert ask("DescribeRegions")["data"] == "ticket"


def test_a_component_can_move_between_read_and_write(simulator, ask, update):
    simulator.add_fault(Rule("host_move", "DescribeProjectComponents", effect="after", parameters={"ip": "10.0.0.7"}))
    (before,) = ask("DescribeProjectComponents", id=PROJECT)["data"]["incrSyncComponents"]
    (after,) = ask("DescribeProjectComponents", id=PROJECT)["data"]["incrSyncComponents"]
    assert before["name"] == NAME
    assert after["ip"] == "10.0.0.7"
    assert "no component" in update({"sink": {"workerNum": 16}})["message"]


def test_all_components_of_a_project_move_to_their_own_numbers(simulator, ask):
    simulator.add_component(PROJECT, "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000007")
    simulator.add_fault(Rule("host_move", parameters={"number": 100}))
    ask("DescribeProjectComponents", id=PROJECT)
    assert [each.name[-3:] for each in simulator.components] == ["100", "101"]


def test_a_component_can_vanish_just_before_the_write(simulator, update):
    simulator.add_fault(Rule("vanish", "UpdateIncrSync"))
    assert update({"sink": {"workerNum": 16}})["code"] == "PARAM_ERROR"
    assert simulator.components == ()


def test_lists_can_be_empty_or_missing(simulator, ask):
    simulator.add_fault(Rule("empty_lists"), Rule("missing_lists", parameters={"lists": ["incrSyncComponents"]}))
    empty = ask("DescribeProjectComponents", id=PROJECT)["data"]
    missing = ask("DescribeProjectComponents", id=PROJECT)["data"]
    assert (len(empty), set(map(len, empty.values()))) == (6, {0})
    assert "incrSyncComponents" not in missing
    assert len(missing) == 5


def test_a_rule_about_lists_leaves_other_actions_alone(simulator, ask):
    simulator.add_fault(Rule("empty_lists"))
    assert ask("DescribeRegions")["data"]


def test_a_poison_names_a_section(simulator):
    with pytest.raises(ValueError, match="section: expected"):
        simulator.add_fault(Rule("poison", parameters={"section": "sinks", "key": "workerNum"}))
