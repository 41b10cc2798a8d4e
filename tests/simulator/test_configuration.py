import pytest

from reconciler.simulator.configuration import complete, has_null, position, stored, updated
from reconciler.simulator.settings import Switches

PRESENT = complete({"sink": {"workerNum": "8", "hot": {"a": "1", "b": "2"}}, "source": {"dbType": "MYSQL"}})


def test_scalars_are_stored_as_text():
    assert stored({"sink": {"workerNum": 8, "on": True, "rate": 1.5, "text": "x", "list": [{"n": 1}]}}) == {
        "sink": {"workerNum": "8", "on": "true", "rate": "1.5", "text": "x", "list": [{"n": "1"}]}
    }


def test_condition_rules_stay_as_they_are():
    rules = [{"name": "shop", "all": False, "sub": []}]
    assert stored({"condition": {"whiteCondition": rules, "size": 3}}) == {
        "condition": {"whiteCondition": rules, "size": "3"}
    }


def test_every_component_has_all_four_sections():
    assert list(complete({})) == ["coordinator", "condition", "source", "sink"]


def test_without_allow_delete_other_keys_stay():
    after = updated(PRESENT, {"sink": {"batchSize": "5"}}, allow_delete=False, switches=Switches())
    assert after["sink"] == PRESENT["sink"] | {"batchSize": "5"}
    assert after["source"] == PRESENT["source"]


@pytest.mark.parametrize(("merge", "hot"), [("top-level", {"a": "9"}), ("deep", {"a": "9", "b": "2"})])
def test_depth_of_the_merge_is_a_switch(merge, hot):
    after = updated(PRESENT, {"sink": {"hot": {"a": "9"}}}, allow_delete=False, switches=Switches(merge=merge))
    assert after["sink"]["hot"] == hot


@pytest.mark.parametrize(("retain", "source"), [("whole", {}), ("per-section", {"dbType": "MYSQL"})])
def test_what_allow_delete_does_to_an_omitted_section_is_a_switch(retain, source):
    after = updated(PRESENT, {"sink": {"batchSize": "5"}}, allow_delete=True, switches=Switches(retain=retain))
    assert after["sink"] == {"batchSize": "5"}
    assert after["source"] == source


@pytest.mark.parametrize(("null_values", "sink"), [("delete", {"x": "1"}), ("literal", {"x": "1", "workerNum": None})])
def test_meaning_of_null_is_a_switch(null_values, sink):
    switches = Switches(null_values=null_values)
    after = updated(PRESENT, {"sink": {"workerNum": None, "x": "1"}}, allow_delete=False, switches=switches)
    assert {key: value for key, value in after["sink"].items() if key != "hot"} == sink


def test_an_update_changes_no_value_in_place():
    before = complete(PRESENT)
    updated(PRESENT, {"sink": {"hot": {"a": "9"}}}, allow_delete=False, switches=Switches(merge="deep"))
    assert before == PRESENT


@pytest.mark.parametrize("value", [None, [1, None], {"a": [{"b": None}]}])
def test_null_is_found_at_any_depth(value):
    assert has_null(value)


def test_no_null_is_found_where_there_is_none():
    assert not has_null({"a": [1, "x", {"b": False}]})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"checkpoint": {"c1": "1760000100", "c2": "1760000000"}}, 1_760_000_000),
        ({"checkpoint": "1760000000"}, 1_760_000_000),
        ({"checkpoint": {"c1": "12,34"}}, None),
        ({}, None),
    ],
)
def test_position_is_that_of_the_last_client(source, expected):
    assert position(source) == expected
