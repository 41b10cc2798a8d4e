import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.core.decode import MAX_BYTES, decode, places
from reconciler.core.scan import MAX_DEPTH, MAX_FAULTS, scan
from reconciler.model import Place

VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


def rules(data: bytes) -> list[str]:
    return [fault.rule for fault in decode(data).faults]


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{}", id="empty object"),
        pytest.param(b' \r\n\t{"a" : [ ] , "b":{} }\n', id="white space"),
        pytest.param('{"é": "日本", "s": "\\ud83d\\ude00"}'.encode(), id="characters beyond ASCII"),
        pytest.param(b'{"nullReplaceEnable": "null", "a": "x, null"}', id="null inside texts"),
        pytest.param(b'{"a": [1, -0, 1.5e3, 9007199254740991, true, false], "~/": "\\u0041\\n"}', id="every kind"),
        pytest.param(nested(MAX_DEPTH), id="as deep as allowed"),
        pytest.param(b'{"a": [' + b"[]," * 100 + b"{}]}", id="many brackets side by side"),
    ],
)
def test_good_file_gives_its_object(data):
    assert decode(data).faults == ()
    assert decode(data).value == scan(data.decode()).value == json.loads(data)


@pytest.mark.parametrize(
    ("data", "rule", "place", "pointer"),
    [
        pytest.param(b"", "empty-file", None, "", id="empty"),
        pytest.param(b" \n", "empty-file", None, "", id="blank"),
        pytest.param(b'"' + b"x" * MAX_BYTES, "too-large", None, "", id="over 1 MiB"),
        pytest.param(b'{\n "a": "\xc3\xa9\xff"}', "not-utf8", (2, 9), "", id="Latin-1"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', "bom", (1, 1), "", id="byte order mark"),
        pytest.param(b'\xff\xfe{\x00"\x00', "not-utf8", (1, 1), "", id="UTF-16"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "not-utf8", (1, 8), "", id="surrogate in UTF-8"),
        pytest.param(b"[1]", "not-an-object", (1, 1), "", id="a list"),
        pytest.param(b' "text"', "not-an-object", (1, 2), "", id="a text"),
        pytest.param(b'{"a": 1}\n{"b": 2}', "trailing-data", (2, 1), "", id="two objects"),
        pytest.param(b'{"a": 1, "b": 2, "a": 3}', "duplicate-key", (1, 18), "/a", id="a key twice"),
        pytest.param(b'{"a": {"b": 1, "\\u0062": 2}}', "duplicate-key", (1, 16), "/a/b", id="a key twice, escaped"),
        pytest.param(b'{"a": null}', "null", (1, 7), "/a", id="null"),
        pytest.param(b'{"a": [1, null]}', "null", (1, 11), "/a/1", id="null in a list"),
        pytest.param(b"null", "null", (1, 1), "", id="null alone"),
        pytest.param(b'{"a": NaN}', "not-a-number", (1, 7), "/a", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "not-a-number", (1, 7), "/a", id="Infinity"),
        pytest.param(b'{"a": 1e400}', "number-range", (1, 7), "/a", id="beyond float64"),
        pytest.param(b'{"a": 9007199254740992}', "number-range", (1, 7), "/a", id="integer beyond 2**53 - 1"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "number-range", (1, 7), "/a", id="integer of 5000 digits"),
        pytest.param(b'{"a": "\\ud83d"}', "lone-surrogate", (1, 7), "/a", id="half a pair"),
        pytest.param(b'{"\\uDE00": 1}', "lone-surrogate", (1, 2), "", id="half a pair in a key"),
        pytest.param(b'{"a": "x\ty"}', "control-character", (1, 9), "/a", id="raw tab"),
        pytest.param(nested(MAX_DEPTH + 1), "too-deep", (1, 321), "/a" * 64, id="one level too deep"),
        pytest.param(b"[" * MAX_BYTES, "too-deep", (1, 65), "/0" * 64, id="1 MiB of brackets"),
    ],
)
def test_fault_is_found_where_it_is(data, rule, place, pointer):
    (fault,) = decode(data).faults
    assert (fault.rule, fault.place, fault.pointer) == (rule, place and Place(*place), pointer)
    assert decode(data).value is None


@pytest.mark.parametrize(
    ("data", "expected", "found"),
    [
        pytest.param(b'{"a": 1', '"," or "}"', "the end of the file", id="half-written"),
        pytest.param(b'{"a": "x', "a closing double quote", "none before the end of the file", id="open text"),
        pytest.param(b'{"a": 1,}', "a key in double quotes", '"}"', id="comma too many in an object"),
        pytest.param(b'{"a": [1,]}', "a value", '"]"', id="comma too many in a list"),
        pytest.param(b'{"a": }', "a value", '"}"', id="missing value"),
        pytest.param(b'{"a" 1}', '":"', "text outside double quotes", id="missing colon"),
        pytest.param(b'{"a": "x" "b": 1}', '"," or "}"', "a double quote", id="missing comma"),
        pytest.param(b"{'a': 1}", "a key in double quotes", "a single quote", id="single quotes"),
        pytest.param(b'{"a": 1 // one\n}', '"," or "}"', "a comment", id="comment"),
        pytest.param(b'{"a": 01}', '"," or "}"', "text outside double quotes", id="leading zero"),
        pytest.param(b'{"a": "\\q"}', "an escape that JSON knows", "another one", id="unknown escape"),
        pytest.param(b'{"a": [1 2]}', '"," or "]"', "text outside double quotes", id="missing comma in a list"),
    ],
)
def test_syntax_error_says_what_was_expected(data, expected, found):
    (fault,) = decode(data).faults
    assert (fault.rule, fault.expected, fault.found) == ("syntax", expected, found)


def test_every_fault_is_found_at_once():
    data = b'\xef\xbb\xbf{"a": null, "b": [NaN, 1e999], "a": {"c": "\\ud800"},\n "d": "\x01", "a": 1} x'
    assert rules(data) == [
        "bom", "null", "not-a-number", "number-range", "duplicate-key", "lone-surrogate", "control-character",
        "duplicate-key", "trailing-data",
    ]  # fmt: skip


def test_duplicate_key_names_the_place_of_the_first():
    (fault,) = decode(b'{\n  "a": 1,\n  "a": 2\n}').faults
    assert fault.found == '"a" again; the first is at 2:3'


def test_value_of_the_first_duplicate_is_looked_on_at():
    assert decode(b'{"a": {"b": 1}, "a": {"c": 2}}').partial == {"a": {"b": 1}}


def test_half_written_file_is_called_so():
    assert "half-written" in decode(b"").faults[0].suggestion
    assert "half-written" in decode(b'{"a": [').faults[0].suggestion


def test_number_of_faults_is_bounded():
    assert len(decode(b'{"a": [' + b"null," * 1000 + b"1]}").faults) == MAX_FAULTS


def test_faults_never_quote_the_file():
    for data in (
        b'{"password": hunter2}',
        b'{"password": "hunter2}',
        b'{"a": "1", "hunter2"}',
        b'{"a": "\\q hunter2"}',
    ):
        assert "hunter2" not in repr(decode(data))


def test_decoded_values_stay_out_of_repr():
    assert "hunter2" not in repr(decode(b'{"password": "hunter2"}'))


def test_columns_count_characters():
    assert places('{"é": "日本", "b": 1}'.encode()).value("/b") == Place(1, 18)


def test_places_of_values_and_keys():
    found = places(b'{\n  "a~/b": [10,\n    20]\n}')
    assert (found.key("/a~0~1b"), found.value("/a~0~1b"), found.value("/a~0~1b/1")) == (
        Place(2, 3),
        Place(2, 11),
        Place(3, 5),
    )


def test_place_of_what_is_not_there_is_that_of_its_holder():
    found = places(b'{"a":\n {}}')
    assert (found.value("/a/b/c"), found.key("/a/b")) == (Place(2, 2), Place(2, 2))


def test_nothing_has_a_place_in_an_unreadable_file():
    assert scan("").places.value("/a") == Place(1, 1)
    assert places(b"").key("") == Place(1, 1)


def test_line_of_the_windows_kind_counts_once():
    assert places(b'{\r\n"a": 1}').value("/a") == Place(2, 6)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_whatever_was_written_as_json_is_read_back(value):
    for data in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False, indent=1).encode()):
        assert decode(data).value == value
        assert scan(data.decode()).value == value


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode) | st.text('{}[]:,"\\u0dn1eE.- ').map(str.encode))
@example(b"\x00")
@example(b'{"' + b"\\" * 1001)
def test_any_bytes_give_a_value_or_faults(data):
    decoded = decode(data)
    assert (decoded.value is None) == bool(decoded.faults)


@settings(deadline=None)
@given(st.text('{}[]:,"\\ud8a0n1eE.- tru').map(lambda text: '{"a":' + text + "}"))
def test_what_the_scanner_accepts_the_standard_decoder_reads_the_same(text):
    found = scan(text)
    if not found.faults:
        assert found.value == json.loads(text)
