import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.target.words import HIDDEN, Scrubber, printable, shorten

SECRET = "p\"a\\ß w=rd<&'>/+~"


@pytest.mark.parametrize(
    "spelled",
    [
        pytest.param(SECRET, id="raw"),
        pytest.param(json.dumps(SECRET)[1:-1], id="JSON"),
        pytest.param(json.dumps(SECRET, ensure_ascii=False)[1:-1], id="JSON in UTF-8"),
        pytest.param(json.dumps(json.dumps(SECRET))[3:-3], id="JSON in JSON"),
        pytest.param(r"p\"a\\ß w\u003drd\u003c\u0026\u0027\u003e/+~", id="JSON as Gson writes it"),
        pytest.param(json.dumps(SECRET)[1:-1].replace("00df", "00DF"), id="JSON with capital digits"),
        pytest.param(quote(SECRET), id="in a path"),
        pytest.param(quote(SECRET, safe=""), id="in a query"),
        pytest.param(quote_plus(SECRET).lower(), id="in a form, small digits"),
        pytest.param(html.escape(SECRET), id="HTML"),
        pytest.param(SECRET.upper().replace("SS", "ß"), id="capitals"),
    ],
)
def test_secret_is_hidden_in_any_spelling(spelled):
    assert Scrubber([SECRET])(f"near <{spelled}>!") == f"near <{HIDDEN}>!"


def test_longest_secret_is_hidden_first():
    assert Scrubber(["abc", "abcdef"])("abcdef abc") == f"{HIDDEN} {HIDDEN}"


def test_overlapping_secrets_leave_no_rest():
    assert Scrubber(["abcd", "cdef", "aba"])("xabcdefx ababa") == f"x{HIDDEN}x {HIDDEN}"


def test_empty_secret_hides_nothing():
    assert Scrubber([""], ())("text") == "text"


def test_every_source_is_hidden():
    assert Scrubber(iter(["one"]), {"two"})("one two") == f"{HIDDEN} {HIDDEN}"


def test_set_that_is_filled_later_is_honoured():
    secrets = set()
    scrub = Scrubber(secrets)
    assert scrub("late") == "late"
    secrets.add("late")
    assert scrub("late") == HIDDEN


def test_repr_counts_and_does_not_tell():
    assert repr(Scrubber(["one"], {"two"})) == "Scrubber(2 secrets)"


def test_words_are_cut_after_hiding_so_that_no_part_of_a_secret_stays():
    assert Scrubber(["secret"]).words("x" * 7 + "secret", 10) == "xxxxxxx«s…"


def test_words_beyond_what_is_read_leave_no_part_of_a_secret():
    assert "sec" not in Scrubber(["secret"]).words(" " * 16_381 + "secret", 300)


def test_long_words_without_secrets_are_cut_too():
    assert Scrubber().words("x" * 20_000, 300) == "x" * 299 + "…"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("a\x1b[31mb\x00", "a [31mb", id="escape sequence"),
        pytest.param("a\r\n\tb", "a b", id="lines"),
        pytest.param("a\u202eb\u2028c", "a b c", id="direction and line marks"),
        pytest.param("a\ud800b", "a b", id="lone surrogate"),
        pytest.param("参数错误", "参数错误", id="Chinese"),
    ],
)
def test_only_printable_characters_stay(raw, shown):
    assert printable(raw) == shown


def test_text_at_the_limit_is_not_cut():
    assert (shorten("abc", 3), shorten("abcd", 3)) == ("abc", "ab…")


@given(st.text(), st.lists(st.text(min_size=1), max_size=3), st.text())
def test_no_secret_survives(before, secrets, after):
    text = before + "".join(secrets) + after
    rest = Scrubber(secrets)(text).split(HIDDEN)
    assert not [secret for secret in secrets for piece in rest if secret in piece]
