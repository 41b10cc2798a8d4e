from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.render import words
from reconciler.core.secrets import MARK
from reconciler.model import Change, ChangeKind, Origins, Part, Place, Severity, Violation
from tests.core.builders import CATALOGUE, plan_of
from tests.core.render.samples import RAISE, commit


def change(section, key, old, new, **more):
    kind = ChangeKind.REMOVED if new is None else ChangeKind.SET
    parameter = CATALOGUE.find(section, (key,), "JDBCSink" if section == "sink" else None)
    return Change(section, f"/{key}", kind, old, new, parameter=parameter, **more)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain «é» 表", "plain «é» 表", id="printable"),
        pytest.param("a\nb\tc", "a\\x0ab\\x09c", id="line feed and tab"),
        pytest.param("\x1b[31m", "\\x1b[31m", id="escape sequence"),
        pytest.param("\x7f\x9b", "\\x7f\\x9b", id="eight bit controls"),
        pytest.param("a\u202eb\u2066c", "a\\u202eb\\u2066c", id="reordering"),
        pytest.param("a\u200bb\ufeff", "a\\u200bb\\ufeff", id="invisible"),
        pytest.param("a\u2028b\u2029", "a\\u2028b\\u2029", id="line separators"),
        pytest.param("\U000e0041", "\\U000e0041", id="tag beyond the BMP"),
        pytest.param("\udcff", "\\udcff", id="lone surrogate"),
        pytest.param("a\u00a0b\u3000", "a\\xa0b\\u3000", id="spaces that look like one"),
        pytest.param("\u3164\u2800\U000e0100", "\\u3164\\u2800\\U000e0100", id="letters and marks that are not seen"),
        pytest.param("e\u0301 \u26a0\ufe0f", "e\u0301 \u26a0\ufe0f", id="accent and emoji"),
    ],
)
def test_what_could_move_a_cursor_or_hide_is_written_out(text, shown):
    assert words.safe(text) == shown


@given(st.text())
def test_safe_text_is_one_line_of_what_can_be_seen(text):
    assert not any(words.is_unsafe(character) for character in words.safe(text))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(None, "absent", id="absent"),
        pytest.param("a", '"a"', id="text"),
        pytest.param(["a", {"b": "é"}], '["a", {"b": "é"}]', id="structure"),
        pytest.param("\u202e\n", '"\\u202e\\n"', id="unsafe"),
        pytest.param("x" * 98, '"' + "x" * 98 + '"', id="just short enough"),
        pytest.param("x" * 99, '"' + "x" * 98 + "…", id="too long"),
    ],
)
def test_value_is_one_short_line_of_json(value, shown):
    assert words.value(value) == shown


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        pytest.param(MARK, MARK, (MARK, words.SECRET_CHANGED), id="changed"),
        pytest.param(None, MARK, (None, MARK), id="new"),
        pytest.param(MARK, None, (MARK, None), id="removed"),
        pytest.param([MARK], [MARK, "a"], ([MARK], [MARK, "a"]), id="inside a list"),
    ],
)
def test_secret_that_has_another_value_says_so(old, new, shown):
    assert words.old_and_new(change("sink", "password", old, new, secret=True)) == shown


def test_mark_of_a_value_that_is_no_secret_is_left_alone():
    assert words.old_and_new(change("sink", "x", MARK, "b")) == (MARK, "b")


@pytest.mark.parametrize(
    ("section", "key", "old", "new", "meaning"),
    [
        pytest.param(
            "coordinator", "throttleRps", None, "5000", "throttle: unlimited -> 5,000 records/s", id="limit set"
        ),
        pytest.param("coordinator", "throttleRps", "5000", None, "throttle: 5,000 -> unlimited", id="limit removed"),
        pytest.param("coordinator", "throttleIOPS", "1", "-1", "throttle: 1 -> -1", id="negative"),
        pytest.param("coordinator", "throttleRps", "1", "many", "throttle: 1 -> many", id="no number"),
        pytest.param("sink", "workerNum", "8", "32", "8 -> 32 threads", id="unit"),
        pytest.param("sink", "workerNum", "8", None, "8 -> default 16", id="back to the default"),
        pytest.param("sink", "workerNum", None, "32", "default 16 -> 32 threads", id="from the default"),
        pytest.param("sink", "workerNum", "8", "16", "the default", id="to the default"),
        pytest.param("sink", "serverParallel", None, "9", "default 8 -> 9", id="default without unit"),
        pytest.param("sink", "serverParallel", "7", "9", "", id="nothing known to say"),
        pytest.param("sink", "printSql", None, "true", "default false -> true", id="switch"),
        pytest.param("sink", "printSql", "true", "false", "the default", id="switch back"),
        pytest.param("sink", "slowSqlThreshold", "20", "30", "", id="unit that is not known"),
        pytest.param("source", "maxSqlRetryTime", "1", "2", "1 -> 2 seconds", id="unit that is inferred"),
        pytest.param("coordinator", "bridgeQueueSize", None, "5", "", id="no unit, no default"),
        pytest.param("coordinator", "throttleMemoryBound", None, "5", "", id="unit, no default"),
        pytest.param("coordinator", "throttleRps", "1", "9" * 5000, f"throttle: 1 -> {'9' * 99}… records/s", id="huge"),
        pytest.param("sink", "unheardOf", "1", "2", "", id="unknown key"),
    ],
)
def test_meaning_is_told_in_the_unit_of_the_key(section, key, old, new, meaning):
    assert words.meaning(change(section, key, old, new)) == meaning


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"secret": True}, id="secret"),
        pytest.param({"parts": (Part("added", "/0", ""),)}, id="list with parts"),
        pytest.param({"left_in_place": True}, id="left in place"),
    ],
)
def test_meaning_is_not_told_of_a(more):
    assert words.meaning(change("sink", "workerNum", "8", "32", **more)) == ""


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(1, 1024, "1..1024"), (1, None, "at least 1"), (None, 9, "at most 9"), (None, None, "")],
    ids=["both", "low", "high", "none"],
)
def test_limits_are_told_as_far_as_they_are_known(low, high, shown):
    parameter = replace(CATALOGUE.find("sink", ("workerNum",)), minimum=low, maximum=high)
    assert words.limits(parameter) == shown


@pytest.mark.parametrize(
    ("old", "new", "stays", "sign"),
    [(None, "1", False, "+"), ("1", "2", False, "~"), ("1", None, False, "-"), ("1", None, True, "·")],
    ids=["new", "changed", "removed", "left in place"],
)
def test_sign_tells_the_kind_of_change(old, new, stays, sign):
    assert words.sign(change("sink", "x", old, new, left_in_place=stays)) == sign


VIOLATION = Violation("a", "a/sink.json", Place(4, 16), "/x", "schema", Severity.WARNING, "a", "b", "Do c.")


@pytest.mark.parametrize(
    ("violation", "line"),
    [
        pytest.param(VIOLATION, "d/a/sink.json:4:16: warning: /x: expected a, found b. Do c. [schema]", id="whole"),
        pytest.param(
            replace(VIOLATION, place=None, pointer="", suggestion=""),
            "d/a/sink.json: warning: expected a, found b [schema]",
            id="file",
        ),
        pytest.param(
            replace(VIOLATION, file="", place=None), "d: warning: /x: expected a, found b. Do c. [schema]", id="root"
        ),
        pytest.param(
            replace(VIOLATION, found="\x1b\u202e"),
            "d/a/sink.json:4:16: warning: /x: expected a, found \\x1b\\u202e. Do c. [schema]",
            id="unsafe",
        ),
    ],
)
def test_violation_is_one_line_with_its_place(violation, line):
    assert words.violation(violation, "d") == line


def test_values_that_differ_in_a_space_that_looks_like_one_do_not_look_alike():
    assert words.change_of("-Xms16g -Xmx16g", "-Xms16g\u00a0-Xmx16g") == r'"-Xms16g -Xmx16g" -> "-Xms16g\xa0-Xmx16g"'


def test_long_values_are_cut_round_their_difference():
    url = "jdbc:oceanbase://10.0.0.21:2883?" + "useUnicode=true&" * 10 + "characterEncoding="
    shown = words.change_of(url + "utf8", url + "utf8mb4")
    before, after = shown.split(" -> ")
    assert (before.endswith('utf8"'), after.endswith('utf8mb4"')) == (True, True)
    assert before.startswith("…")


def test_long_values_that_differ_early_are_cut_behind():
    before, after = words.change_of("a" + "x" * 300, "b" + "x" * 300).split(" -> ")
    assert (before[:2], after[:2], before[-1], after[-1]) == ('"a', '"b', "…", "…")


def test_value_that_is_the_beginning_of_the_other_is_told_from_it():
    before, after = words.change_of("x" * 300, "x" * 301).split(" -> ")
    assert before != after


def test_commit_is_one_line_and_no_longer_than_a_line():
    assert words.commit(RAISE) == "aaaaaaa Ann Lee 2026-11-20 Raise throttle for shop"
    long = words.commit(commit("c", "n" * 99, 1, "s" * 999))
    assert long == f"ccccccc {'n' * 39}… 2026-11-01 {'s' * 99}…"


@given(st.text(), st.integers(1, 9))
def test_shortened_text_is_the_beginning_of_the_safe_one(text, longest):
    shown, whole = words.short(text, longest), words.safe(text)
    assert shown == (whole if len(whole) <= longest else f"{whole[: longest - 1]}…")


def test_remark_on_commits_comes_after_those_on_the_plan():
    plan = plan_of(frozen="x")
    assert words.remarks(plan, Origins(remark="shallow")) == ("frozen: x", "shallow")
    assert words.remarks(plan, Origins()) == ("frozen: x",)
