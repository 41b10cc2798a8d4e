import copy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.core import pointer
from reconciler.core.diff import diff
from reconciler.core.secrets import MARK
from reconciler.model import ChangeKind, DangerLevel
from tests.core.builders import CATALOGUE, few

keys = st.one_of(
    st.sampled_from(
        ["a", "b", "/", "~", "~1", "__x", "_", "", "0", "1", "é", "\U0001f600", "a'b", 'a"b', "a]b", "[0]", "root"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
)
values = st.recursive(
    st.sampled_from(["1", "2", "x", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)
contents = st.dictionaries(keys, values, max_size=4)


def changes(old, new, section="sink", plugin=None):
    return diff(few(**{section: old}), few(**{section: new}), CATALOGUE, {section: plugin})


def only(old, new, section="sink"):
    (change,) = changes(old, new, section)
    return change


def put(document, change):
    """Carry a change out on a plain document."""
    *path, last = pointer.tokens(change.pointer)
    for part in path:
        document = document[part]
    if change.kind is ChangeKind.REMOVED:
        del document[last]
    else:
        document[last] = change.new


@settings(max_examples=150, deadline=None)
@given(contents, contents)
@example({"a": {"__x": "1"}}, {"a": {"__x": "2"}})
@example({"a": {"b": "1", "c": "2", "d": "3"}}, {"a": {"e": "1", "f": "2", "d": "4"}})
@example({"a": {"0": "1"}}, {"a": {"0": ["1"]}})
@example({"a": "xb"}, {"a": {"b": "1"}})
@example({"a": {}}, {"a": {"b": {}}})
def test_changes_put_on_the_old_give_the_new(old, new):
    document = copy.deepcopy(old)
    for change in changes(old, new):
        put(document, change)
    assert document == new


@settings(max_examples=40, deadline=None)
@given(contents)
def test_equal_contents_have_no_changes(content):
    assert changes(content, copy.deepcopy(content)) == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_parts_say_something_about_every_changed_list(old, new):
    for change in changes({"a": old}, {"a": new}):
        assert change.parts
        assert all(part.kind in ("added", "removed", "changed") for part in change.parts)


def test_changes_come_in_the_order_of_the_files_and_keys():
    new = few(sink={"b": "1", "a": "1"}, coordinator={"z": "1"}, condition={"y": "1"}, source={"x": "1"})
    places = [change.path for change in diff(few(), new, CATALOGUE, {})]
    assert places == ["/coordinator/z", "/condition/y", "/source/x", "/sink/a", "/sink/b"]


def test_key_that_is_new_is_set_from_nothing():
    change = only({}, {"a": {"b": "1"}})
    assert (change.pointer, change.kind, change.old, change.new) == ("/a", ChangeKind.SET, None, {"b": "1"})


def test_key_removed_through_objects_is_a_removal_of_that_key():
    change = only({"a": {"b": {"c": "1", "d": "2"}}}, {"a": {"b": {"d": "2"}}})
    assert (change.pointer, change.kind, change.old, change.new) == ("/a/b/c", ChangeKind.REMOVED, "1", None)


def test_pointer_is_escaped():
    assert only({"a": {"b/c~d": "1"}}, {"a": {"b/c~d": "2"}}).pointer == "/a/b~1c~0d"


def test_object_that_becomes_a_list_is_one_change():
    assert only({"a": {"b": {"c": "1"}}}, {"a": {"b": ["1"]}}).pointer == "/a/b"


def test_change_inside_a_list_is_a_new_value_of_the_list():
    change = only({"clients": [{"id": "1", "x": "1"}]}, {"clients": [{"id": "2"}]}, "source")
    assert (change.pointer, change.kind, change.new) == ("/clients", ChangeKind.SET, [{"id": "2"}])
    assert [(part.kind, part.subject, part.text) for part in change.parts] == [
        ("changed", "/0/id", '"1" -> "2"'),
        ("removed", "/0/x", '"1"'),
    ]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        pytest.param("abc", "bc", [("removed", "/0", '"a"')], id="first removed"),
        pytest.param("bc", "abc", [("added", "/0", '"a"')], id="first added"),
        pytest.param("ab", "ac", [("changed", "/1", '"b" -> "c"')], id="changed"),
        pytest.param("", "a", [("added", "/0", '"a"')], id="from empty"),
        pytest.param(
            "abcdefghijklm", "abcdefghijk", [("removed", "/11", '"l"'), ("removed", "/12", '"m"')], id="in order"
        ),
    ],
)
def test_parts_tell_what_joined_and_left_a_list(old, new, parts):
    change = only({"a": list(old)}, {"a": list(new)})
    assert [(part.kind, part.subject, part.text) for part in change.parts] == parts


def test_lists_of_rules_are_told_by_name():
    change = only({"whiteCondition": [{"name": "x"}]}, {"whiteCondition": [{"name": "y"}, {"name": "x"}]}, "condition")
    assert change.pointer == "/whiteCondition"
    assert [(part.kind, part.subject) for part in change.parts] == [("added", "database y")]


def test_new_list_of_rules_is_told_by_name_too():
    change = only({}, {"whiteCondition": [{"name": "x"}]}, "condition")
    assert [part.subject for part in change.parts] == ["database x"]


def test_condition_key_that_is_no_list_of_rules_has_no_parts():
    assert only({"source_id": "1"}, {"source_id": "2"}, "condition").parts == ()


# --- secrets -------------------------------------------------------------------------------------------------------

ONE, TWO = (f"«secret:{digit * 64}»" for digit in "12")


def test_secret_is_shown_as_a_mark_and_told_apart_by_fingerprint():
    change, other = only({"password": ONE}, {"password": TWO}), only({"password": TWO}, {"password": ONE})
    assert (change.old, change.new, change.secret) == (MARK, MARK, True)
    assert change.fingerprint != other.fingerprint


def test_removed_secret_is_a_mark_as_well():
    change = only({"password": ONE}, {})
    assert (change.old, change.new, change.secret) == (MARK, None, True)


def test_change_without_secret_has_no_fingerprint():
    assert only({"a": "1"}, {"a": "2"}).fingerprint == ""


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        pytest.param([{"password": ONE}], [{"password": TWO}], "«secret changed»", id="changed"),
        pytest.param([{"password": ONE}], [{}], f'"{MARK}"', id="removed"),
        pytest.param([], [{"password": ONE}], f'{{"password": "{MARK}"}}', id="added"),
    ],
)
def test_secret_in_a_list_is_hidden_in_its_parts(old, new, text):
    change = only({"clients": old}, {"clients": new}, "source")
    assert [part.text for part in change.parts] == [text]
    assert ONE not in repr(change)


def test_secret_in_the_name_of_a_rule_is_hidden():
    change = only({"whiteCondition": []}, {"whiteCondition": [{"name": ONE, "map": TWO}]}, "condition")
    assert (change.parts[0].subject, change.parts[0].text) == (f"database {MARK}", f'map "{MARK}"')


# --- dangers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "old", "new", "level"),
    [
        pytest.param("sink", {"jdbcUrl": "a"}, {"jdbcUrl": "b"}, DangerLevel.FORBID, id="another database"),
        pytest.param("sink", {"jdbcUrl": "a"}, {}, DangerLevel.FORBID, id="removed"),
        pytest.param("coordinator", {"timezone": "a"}, {"timezone": "b"}, DangerLevel.CONFIRM, id="confirm"),
        pytest.param("sink", {"workerNum": "8"}, {"workerNum": "16"}, DangerLevel.WARN, id="warn"),
        pytest.param(
            "source",
            {"clients": [{"clientId": "a"}]},
            {"clients": [{"clientId": "b"}]},
            DangerLevel.FORBID,
            id="in a list",
        ),
        pytest.param("sink", {"unheardOf": "1"}, {"unheardOf": "2"}, None, id="unknown key"),
        pytest.param("sink", {"serverParallel": "1"}, {"serverParallel": "2"}, None, id="harmless key"),
        pytest.param(
            "condition", {"whiteCondition": [{"name": "a"}]}, {}, DangerLevel.CONFIRM, id="whole list of rules"
        ),
        pytest.param(
            "condition", {"whiteCondition": [{"name": "a"}]}, {"whiteCondition": []}, DangerLevel.CONFIRM, id="a rule"
        ),
        pytest.param("condition", {"source_id": "1"}, {}, None, id="condition key"),
        pytest.param("condition", {}, {"whiteCondition": []}, None, id="empty list of rules"),
    ],
)
def test_change_carries_its_danger(section, old, new, level):
    danger = only(old, new, section).danger
    assert (danger.level if danger else None) is level


def test_danger_of_a_rule_list_has_the_reasons_of_all_its_parts():
    change = only({"whiteCondition": [{"name": "a"}]}, {"whiteCondition": [{"name": "b"}]}, "condition")
    assert change.danger.reason == "; ".join(part.danger.reason for part in change.parts)


@pytest.mark.parametrize(
    ("key", "old", "new", "dangerous"),
    [
        pytest.param("throttleRps", "20000", "5000", True, id="lowered"),
        pytest.param("throttleRps", "5000", "20000", False, id="raised"),
        pytest.param("throttleRps", None, "5000", True, id="absent was unlimited"),
        pytest.param("throttleRps", "5000", None, False, id="unlimited now"),
        pytest.param("throttleRps", "5000", "many", True, id="no number now"),
        pytest.param("throttleRps", "many", "5000", True, id="no number before"),
        pytest.param("throttleRps", "5000", ["1"], True, id="a list"),
        pytest.param("splitThreshold", None, "512", False, id="above the default"),
        pytest.param("splitThreshold", None, "64", True, id="below the default"),
        pytest.param("splitThreshold", "512", None, True, id="back to a lower default"),
        pytest.param("splitThreshold", "64", None, False, id="back to a higher default"),
    ],
)
def test_limit_is_dangerous_when_it_goes_down(key, old, new, dangerous):
    section = "source" if key == "splitThreshold" else "coordinator"
    sides = ({} if side is None else {key: side} for side in (old, new))
    assert (only(*sides, section).danger is not None) is dangerous


def test_change_carries_what_the_catalogue_knows():
    (change,) = changes({"workerNum": "8"}, {"workerNum": "16"}, plugin="KafkaSink")
    assert (change.parameter.plugin, change.parameter.name) == ("KafkaSink", "workerNum")
