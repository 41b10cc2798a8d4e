import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.backoff import delay_s


@pytest.mark.parametrize(
    ("attempt", "bound_s"),
    [
        pytest.param(1, 1.0, id="first"),
        pytest.param(2, 2.0, id="doubled"),
        pytest.param(6, 32.0, id="sixth"),
        pytest.param(7, 60.0, id="capped"),
        pytest.param(10_000, 60.0, id="no overflow"),
    ],
)
def test_bound_doubles_up_to_the_cap(attempt, bound_s):
    assert delay_s(attempt, 0.5) == bound_s / 2


def test_base_and_cap_can_be_chosen():
    assert [delay_s(n, 1.0, base_s=3, cap_s=10) for n in (1, 2, 3)] == [3, 6, 10]


def test_attempts_count_from_one():
    with pytest.raises(ValueError, match="counts from 1, got 0"):
        delay_s(0, 0.5)


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_delay_is_never_negative_nor_above_the_cap(attempt, fraction):
    assert 0 <= delay_s(attempt, fraction) <= 60
