import re

import pytest

from reconciler.simulator.faults import Rule

PROJECT = "np_4x9jabcd"
FIELDS = [
    "success",
    "errorDetail",
    "code",
    "message",
    "advice",
    "requestId",
    "pageNumber",
    "pageSize",
    "totalCount",
    "cost",
    "data",
]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


def test_an_envelope_has_the_documented_fields(ask):
    answer = ask("DescribeRegions")
    assert list(answer) == FIELDS
    assert re.fullmatch(UUID, answer["requestId"])
    assert re.fullmatch(r"\d+ ms", answer["cost"])
    assert answer["success"] is True


@pytest.mark.parametrize(("on", "trio"), [(True, [1, 10, 415]), (False, [None, None, None])])
def test_the_sample_of_update_incr_sync_has_paging_fields(simulator, update, on, trio):
    simulator.set_switches(paging_trio=on)
    answer = update({"sink": {"workerNum": 16}})
    assert [answer[name] for name in ("pageNumber", "pageSize", "totalCount")] == trio


def test_other_actions_have_no_paging_fields(ask):
    answer = ask("DescribeRegions")
    assert [answer[name] for name in ("pageNumber", "pageSize", "totalCount")] == [None, None, None]


def test_fields_can_be_missing_or_null(simulator, ask):
    simulator.set_switches(omit=["errorDetail", "advice"], null=["success"], cost="null")
    answer = ask("DescribeRegions")
    assert sorted(set(FIELDS) - set(answer)) == ["advice", "errorDetail"]
    assert (answer["success"], answer["cost"]) == (None, None)


@pytest.mark.parametrize(("case", "inner"), [("envelope", "incrSyncComponents"), ("all", "IncrSyncComponents")])
def test_fields_can_begin_with_a_capital(simulator, ask, case, inner):
    simulator.set_switches(field_case=case)
    answer = ask("DescribeProjectComponents", id=PROJECT)
    assert answer["Success"] is True
    assert inner in answer["Data"]


def test_a_refusal_says_code_and_text_twice(ask):
    answer = ask("DescribeProjectProgress", id="np_gone")
    assert answer["code"] == answer["errorDetail"]["code"] == "GHANA-PROJECT000001"
    assert answer["message"] == "[GHANA-PROJECT000001]: project np_gone does not exist"
    assert answer["errorDetail"]["requestId"] == answer["requestId"]
    assert answer["data"] is None


def test_messages_can_be_chinese(simulator, ask):
    simulator.set_switches(language="zh")
    assert "项目不存在" in ask("StopProject", id="np_gone")["message"]
    assert "操作失败" in ask("StopWorld")["message"]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (Rule("param_error", parameters={"message": "Connectivity test failed"}), "PARAM_ERROR"),
        (Rule("inner_error"), "INNER_ERROR"),
        (Rule("cm_unavailable"), "GHANA-OPERAT000001"),
        (Rule("wrapped_error"), "GHANA-OPERIE000000"),
        (Rule("no_such_project"), "GHANA-PROJECT000001"),
        (Rule("unsupported_action"), None),
        (Rule("error"), "CM-UNHEARD9999"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
@pytest.mark.parametrize("effect", ["before", "after"])
def test_an_ordered_refusal_has_its_code_and_an_effect_or_none(simulator, update, rule, code, effect):
    simulator.add_fault(Rule(rule.kind, effect=effect, parameters=rule.parameters))
    answer = update({"sink": {"workerNum": 16}})
    assert (answer["success"], answer["code"]) == (False, code)
    assert len(simulator.tickets) == (effect == "after")
    assert simulator.calls[0].executed is (effect == "after")


def test_the_reason_of_a_wrapped_error_stands_only_in_its_context(simulator, ask):
    simulator.add_fault(Rule("wrapped_error", parameters={"reason": "still being created"}))
    answer = ask("DescribeRegions")
    assert answer["errorDetail"]["messageMcmsContext"] == {"message": "still being created"}
    assert "still" not in answer["message"]
