import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.validation.suggest import distance, nearest

WORDS = st.text("abc", max_size=6)


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [
        ("", "", 0),
        ("a", "", 1),
        ("abc", "abc", 0),
        ("abc", "acb", 1),
        ("abcd", "abd", 1),
        ("abc", "xyz", 3),
        ("ca", "abc", 3),
    ],
)
def test_slips_are_counted(one, other, slips):
    assert distance(one, other) == slips


@given(WORDS, WORDS)
def test_slips_are_the_same_both_ways(one, other):
    assert distance(one, other) == distance(other, one)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("WORKERNUM", "workerNum", id="case"),
        pytest.param("workrNmu", "workerNum", id="two slips in a long word"),
        pytest.param("tpye", "type", id="one slip in a short word"),
        pytest.param("tyep", "type", id="swapped at the end"),
        pytest.param("tip", None, id="two slips in a short word"),
        pytest.param("worker", None, id="much shorter"),
        pytest.param("fetchSise", "fetchSize", id="the nearer of two"),
    ],
)
def test_nearest_name_is_found(word, meant):
    assert nearest(word, ["workerNum", "type", "fetchSize", "batchSize"]) == meant


def test_order_of_names_does_not_matter():
    assert nearest("ab", ["ac", "aa"]) == nearest("ab", ["aa", "ac"]) == "aa"
