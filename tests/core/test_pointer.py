import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import pointer


@pytest.mark.parametrize(
    ("tokens", "text"),
    [((), ""), (("",), "/"), (("a/b", "m~n"), "/a~1b/m~0n"), (("~1",), "/~01"), (("clients", 0), "/clients/0")],
)
def test_pointer_is_written_as_the_standard_says(tokens, text):
    assert pointer.text(tokens) == text
    assert pointer.tokens(text) == tuple(map(str, tokens))


@given(st.lists(st.text()))
def test_pointer_is_read_as_it_was_written(tokens):
    assert pointer.tokens(pointer.text(tokens)) == tuple(tokens)


def test_pointer_begins_with_a_slash():
    with pytest.raises(ValueError, match='begins with "/"'):
        pointer.tokens("sink/workerNum")


@pytest.mark.parametrize(
    ("pattern", "place", "covers", "touches"),
    [
        ("/sink", "/sink/workerNum", True, True),
        ("/sink/workerNum", "/sink/workerNum", True, True),
        ("/source/clients/*/password", "/source/clients/0/password", True, True),
        ("/source/clients/*/password", "/source/clients", False, True),
        ("/sink/workerNum", "/sink/worker", False, False),
        ("/sink/workerNum", "/source/workerNum", False, False),
        ("", "/sink", True, True),
    ],
)
def test_pattern_covers_what_it_holds_and_touches_what_holds_it(pattern, place, covers, touches):
    assert (pointer.covers(pattern, place), pointer.touches(pattern, place)) == (covers, touches)
