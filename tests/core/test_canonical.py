import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.canonical import canonical, digest, dumps, filled, overlay, scalar_text, wire
from tests.core.builders import CATALOGUE, few, whole

QUICK = settings(max_examples=60, deadline=None)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.one_of(
    st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False), texts
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=12
)
rules = st.recursive(
    st.fixed_dictionaries(
        {"name": texts}, optional={"map": texts, "all": st.booleans(), "func": st.sampled_from(["exact", "fn", "reg"])}
    ),
    lambda inner: st.fixed_dictionaries(
        {"name": st.one_of(texts, st.integers())},
        optional={
            "map": st.one_of(texts, st.integers()),
            "all": st.sampled_from([True, False, "true"]),
            "sub": st.lists(inner, max_size=2),
        },
    ),
    max_leaves=6,
)


def form(**sections):
    return canonical(few(**sections), CATALOGUE)


def rule(**members):
    return form(condition={"whiteCondition": [members]})["condition"]["whiteCondition"][0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(8, "8", id="integer"),
        pytest.param("8", "8", id="text"),
        pytest.param(-3, "-3", id="negative"),
        pytest.param(2**63 - 1, "9223372036854775807", id="64 bit"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param(1.50, "1.5", id="fraction"),
        pytest.param(8.0, "8", id="whole float"),
        pytest.param(-0.0, "0", id="minus zero"),
        pytest.param(1e30, "1e+30", id="large float"),
        pytest.param("08", "08", id="text stays as it is"),
    ],
)
def test_scalar_is_kept_as_text(value, text):
    assert scalar_text(value) == text


def test_numbers_and_booleans_equal_their_texts_at_every_depth():
    typed = form(sink={"workerNum": 8, "extra": {"deep": [True, {"x": 1.5}]}}, condition={"source_id": 7})
    written = form(sink={"workerNum": "8", "extra": {"deep": ["true", {"x": "1.5"}]}}, condition={"source_id": "7"})
    assert typed == written


def test_order_of_members_is_ignored():
    assert digest(form(sink={"a": 1, "b": {"c": 2, "d": 3}})) == digest(form(sink={"b": {"d": 3, "c": 2}, "a": 1}))


def test_order_of_a_list_is_kept():
    one, other = ({"whiteCondition": [{"name": a}, {"name": b}]} for a, b in ("xy", "yx"))
    assert digest(form(condition=one)) != digest(form(condition=other))


@pytest.mark.parametrize(
    "default",
    [
        pytest.param({"map": "a"}, id="map is name"),
        pytest.param({"all": True}, id="all true"),
        pytest.param({"all": "true"}, id="all as text"),
        pytest.param({"func": "exact"}, id="func exact"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("rules", ["whiteCondition", "blackCondition"])
def test_default_of_a_rule_is_folded_at_every_depth(rules, depth, default):
    short, long = {"name": "a"}, {"name": "a", **default}
    for _ in range(depth):
        short, long = {"name": "up", "sub": [short]}, {"name": "up", "sub": [long]}
    assert form(condition={rules: [long]}) == form(condition={rules: [short]})


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"map": "b"}, id="map"),
        pytest.param({"all": False}, id="all"),
        pytest.param({"func": "fn"}, id="func"),
        pytest.param({"attr": {"x": "1"}}, id="attr"),
        pytest.param({"sub": []}, id="sub"),
    ],
)
def test_member_that_is_no_default_is_kept(member):
    assert rule(name="a", **member).keys() == {"name", *member}


def test_map_and_name_are_compared_by_their_texts():
    assert rule(name=8, map="8") == {"name": "8"}


def test_members_called_like_defaults_outside_rules_are_kept():
    assert form(sink={"all": True, "func": "exact"})["sink"] == {"all": "true", "func": "exact"}


@pytest.mark.parametrize("odd", [pytest.param("text", id="text"), pytest.param(["text", 1], id="no rules")])
def test_rule_list_of_another_shape_is_kept_as_texts(odd):
    assert form(condition={"whiteCondition": odd})["condition"]["whiteCondition"] in ("text", ["text", "1"])


def test_list_as_json_text_equals_the_list():
    text = form(sink={"hotKeyTable": '["shop.orders", {"n": 1}]'})
    assert text == form(sink={"hotKeyTable": ["shop.orders", {"n": "1"}]})


def test_object_as_json_text_equals_the_object():
    assert form(source={"ncharCharsetMap": '{"A": "B"}'}) == form(source={"ncharCharsetMap": {"A": "B"}})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[not json", id="broken"),
        pytest.param("[" * 65 + "]" * 65, id="too deep"),
        pytest.param("[" * 100_000, id="far too deep"),
        pytest.param("[NaN]", id="not a number"),
        pytest.param("[1e999]", id="infinite"),
        pytest.param("[null]", id="null"),
        pytest.param(r'["\ud800"]', id="lone surrogate"),
        pytest.param(r'[{"\ud800": "1"}]', id="lone surrogate in a name"),
        pytest.param("shop.orders", id="no structure"),
    ],
)
def test_text_that_no_file_could_hold_as_a_list_stays_text(text):
    found = form(sink={"hotKeyTable": text})
    assert found["sink"]["hotKeyTable"] == text
    assert digest(found)


@pytest.mark.parametrize("key", [pytest.param("workerNum", id="scalar"), pytest.param("unheardOf", id="unknown")])
def test_json_text_of_a_key_that_is_no_structure_stays_text(key):
    assert form(sink={key: "[1]"})["sink"][key] == "[1]"


@QUICK
@given(st.dictionaries(texts, documents, max_size=3), st.lists(rules, max_size=3))
def test_canonical_form_is_idempotent(content, listed):
    once = form(sink=content, condition={"whiteCondition": listed})
    assert canonical(once, CATALOGUE) == once


@QUICK
@given(documents)
def test_bytes_are_those_of_rfc_8785(value):
    assert dumps(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"\U0001f600": "1", "\ufb01": "2"}, id="keys beyond the BMP sort by UTF-16"),
        pytest.param("\U0001f600", id="astral value"),
        pytest.param(1e21, id="float alone"),
        pytest.param([1, "\x7f\x01\n\u2028"], id="controls"),
        pytest.param(None, id="null"),
        pytest.param({}, id="empty"),
    ],
)
def test_bytes_are_those_of_rfc_8785_at_the_edges(value):
    assert dumps(value) == rfc8785.dumps(value)


def test_digest_is_the_same_in_every_process():
    assert digest({"b": ["x"], "a": "é"}) == "8630fbc277d04be13d5f7d9335fd35fd0049aeb78de7259c415531e6dbe01ab1"


def test_wire_form_is_strings_outside_rules_and_json_inside():
    sent = wire(
        few(
            sink={"workerNum": 8, "hotKeyTable": [1, True]},
            condition={"whiteCondition": [{"name": "a", "all": False}], "source_id": 7},
        )
    )
    assert sent["sink"] == {"workerNum": "8", "hotKeyTable": ["1", "true"]}
    assert sent["condition"] == {"whiteCondition": [{"name": "a", "all": False}], "source_id": "7"}


def test_wire_form_is_equal_to_what_was_written():
    assert canonical(wire(whole()), CATALOGUE) == canonical(whole(), CATALOGUE)


def test_overlay_keeps_other_keys_and_other_members_of_objects():
    before = few(sink={"a": {"x": "1", "z": {"p": "1"}}, "b": "2", "l": [{"m": "1"}]}, source={"c": "3"})
    after = overlay(before, few(sink={"a": {"y": "1", "z": {"q": "1"}}, "l": [{"n": "1"}]}))
    nested = {"x": "1", "y": "1", "z": {"p": "1", "q": "1"}}
    assert after == few(sink={"a": nested, "b": "2", "l": [{"n": "1"}]}, source={"c": "3"})


def test_filled_adds_members_but_no_keys():
    before = few(sink={"a": {"x": "1"}, "b": "2"})
    assert filled(before, few(sink={"a": {"y": "1"}, "c": "3"})) == few(sink={"a": {"x": "1", "y": "1"}, "c": "3"})


def test_overlay_on_nothing_is_what_was_sent():
    assert overlay({}, few(sink={"a": "1"})) == few(sink={"a": "1"})


def test_canonical_form_is_json():
    assert json.loads(dumps(canonical(whole(), CATALOGUE))) == canonical(whole(), CATALOGUE)
