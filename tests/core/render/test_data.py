import json
from dataclasses import replace

import jsonschema
import pytest

from reconciler import resources
from reconciler.core.render import data
from reconciler.model import Action, Item
from tests.core.builders import applied, few, plan_of, planned, sample_items, task
from tests.core.render.samples import EVIL, hostile_plan, origins_of

VALIDATOR = jsonschema.Draft202012Validator(
    resources.schema("plan"), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)


def test_plan_fits_its_schema():
    VALIDATOR.validate(data.plan(plan_of(*sample_items(), frozen="a test")))


@pytest.mark.parametrize("action", Action)
def test_plan_with_every_action_fits_its_schema(action):
    VALIDATOR.validate(data.plan(plan_of(Item(id="0" * 64, task="a", action=action, reason="r", intended=action))))


def test_schema_is_closed_at_every_object():
    nodes = [resources.schema("plan"), *resources.schema("plan")["$defs"].values()]
    assert all(node["additionalProperties"] is False for node in nodes)
    missing = {member for node in nodes for member in set(node["properties"]) - set(node["required"])}
    assert missing == {"rev", "would_send"}  # of comparisons only


def test_every_member_is_described():
    nodes = [resources.schema("plan"), *resources.schema("plan")["$defs"].values()]
    members = [member for node in nodes for member in node["properties"].values()]
    assert all("description" in member or "$ref" in member for member in members)


def test_changed_throttle_is_told_in_full():
    plan = data.plan(plan_of(*sample_items()))
    change = plan["items"][0]["changes"][0]
    assert (change["section"], change["pointer"], change["kind"]) == ("coordinator", "/throttleRps", "set")
    assert (change["old"], change["new"]) == (None, "5000")
    assert change["text"] == "throttle: unlimited -> 5,000 records/s"
    assert change["danger"]["level"] == "warn"
    assert change["parameter"]["unit"] == "records/s"
    assert change["parameter"]["owner"] == "operator"


def test_invalid_task_carries_its_violations():
    (found,) = [item for item in data.plan(plan_of(*sample_items()))["items"] if item["action"] == "invalid"]
    assert found["violations"] == [
        {
            "task": "e/invalid",
            "file": "e/invalid/sink.json",
            "line": 4,
            "column": 16,
            "pointer": "/workerNum",
            "rule": "schema",
            "severity": "error",
            "expected": "an integer 1..1024",
            "found": '"abc"',
            "suggestion": "Write a number.",
        }
    ]


def test_rail_and_address_are_null_where_there_is_none():
    shown = {item["task"]: item for item in data.plan(plan_of(*sample_items()))["items"]}
    assert (shown["a/update"]["rail"], shown["d/danger"]["rail"]) == (None, "danger")
    assert (shown["a/update"]["address"][:2], shown["e/invalid"]["address"]) == (["default", "NAME"], None)
    assert shown["h/later"]["until"] == "2026-11-21T13:00:00+00:00"


def test_violation_of_a_whole_file_has_no_place():
    (found,) = sample_items()[4].violations
    shown = data.violation(replace(found, place=None, suggestion=""))
    assert (shown["line"], shown["column"], shown["suggestion"]) == (None, None, None)


def test_key_that_the_catalogue_does_not_know_has_no_parameter():
    (change,) = data.plan(plan_of(planned(few(sink={"zzz": "1"}))))["items"][0]["changes"]
    assert (change["parameter"], change["danger"], change["text"]) == (None, None, None)


def test_same_plan_gives_the_same_bytes():
    one, other = (data.dumps(data.plan(plan_of(*items))) for items in (sample_items(), sample_items()[::-1]))
    assert one == other


def test_saved_plan_is_read_back():
    plan = plan_of(*sample_items())
    saved = data.read(data.dumps(data.plan(plan)))
    assert (saved.id, saved.tasks) == (plan.id, {item.task for item in plan.items})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "not JSON", id="no JSON"),
        pytest.param("[" * 100_000, "not JSON", id="too deep"),
        pytest.param("[]", r"not a plan of version 1 \(version: None\)", id="no object"),
        pytest.param("{}", r"not a plan of version 1 \(version: None\)", id="no version"),
        pytest.param('{"version": 2}', r"not a plan of version 1 \(version: 2\)", id="newer"),
        pytest.param('{"version": 1}', "not a whole plan: 'id'", id="no id"),
        pytest.param('{"version": 1, "id": "x"}', "not a whole plan: 'items'", id="no items"),
        pytest.param('{"version": 1, "id": "x", "items": 1}', "not a whole plan", id="items of another kind"),
        pytest.param('{"version": 1, "id": "x", "items": [1]}', "not a whole plan", id="item of another kind"),
        pytest.param('{"version": 1, "id": "x", "items": [{}]}', "not a whole plan: 'task'", id="item without task"),
    ],
)
def test_what_is_no_saved_plan_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        data.read(text)


def test_nothing_unsafe_stands_in_the_json_and_nothing_is_lost():
    evil = "x\n\x1b\x7f\u202e\u2028\U000e0041\udcff«表»"
    written = data.dumps({evil: [evil]})
    assert all(line.isprintable() for line in written.split("\n"))
    assert "«表»" in written
    assert json.loads(written) == {evil: [evil]}


def test_plan_of_unsafe_names_is_safe():
    evil = "\x9b\u202e"
    found = planned(task(few(sink={evil: evil}), name=evil), applied(task(few(), name=evil)))
    written = data.dumps(data.plan(plan_of(found)))
    assert all(line.isprintable() for line in written.split("\n"))


def test_task_and_key_name_their_commits():
    plan = plan_of(*sample_items())
    shown = data.plan(plan, origins_of(plan, "the clone is shallow"))
    VALIDATOR.validate(shown)
    assert shown["items"][0]["commit"] == {
        "id": "a" * 40,
        "author": "Ann Lee",
        "at": "2026-11-20T23:30:00+01:00",
        "subject": "Raise throttle for shop",
    }
    assert [change["commit"]["id"][0] for change in shown["items"][0]["changes"]] == ["a", "b", "a", "b", "a"]
    assert shown["remarks"] == ["the clone is shallow"]


def test_without_history_commits_are_null():
    (item, *_) = data.plan(plan_of(*sample_items()))["items"]
    assert (item["commit"], item["changes"][0]["commit"]) == (None, None)


def test_commits_are_no_part_of_what_is_read_back():
    plan = plan_of(*sample_items())
    assert data.read(data.dumps(data.plan(plan, origins_of(plan)))) == data.read(data.dumps(data.plan(plan)))


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_hostile_texts_are_text_in_json(evil):
    plan, origins = hostile_plan(evil)
    shown = data.plan(plan, origins)
    VALIDATOR.validate(shown)
    assert json.loads(data.dumps(shown)) == json.loads(json.dumps(shown))
    assert all(line.isprintable() for line in data.dumps(shown).split("\n"))
