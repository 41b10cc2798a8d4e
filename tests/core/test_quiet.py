import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.quiet import Quiet


@pytest.fixture
def quiet():
    return Quiet(quiet_s=1.0, max_wait_s=10.0)


def test_nothing_touched_is_never_ripe(quiet):
    assert (quiet.ripe(1e9), quiet.next_s(), len(quiet)) == ((), None, 0)


@pytest.mark.parametrize(("now_s", "ripe"), [(100.9, ()), (101.0, ("shop",)), (500.0, ("shop",))])
def test_a_key_is_ripe_when_left_alone_long_enough(quiet, now_s, ripe):
    quiet.touch("shop", 100.0)
    assert quiet.ripe(now_s) == ripe


def test_what_was_ripe_is_gone_until_touched_again(quiet):
    quiet.touch("shop", 100.0)
    assert quiet.ripe(101.0) == ("shop",)
    assert (quiet.ripe(200.0), len(quiet)) == ((), 0)
    quiet.touch("shop", 200.0)
    assert quiet.ripe(201.0) == ("shop",)


def test_a_touch_begins_the_quiet_time_anew(quiet):
    quiet.touch("shop", 100.0)
    quiet.touch("shop", 100.9)
    assert quiet.ripe(101.5) == ()
    assert quiet.next_s() == 101.9


def test_a_key_that_never_rests_is_ripe_in_the_end(quiet):
    for tenth in range(100):
        quiet.touch("shop", 100.0 + tenth / 10)
        assert quiet.ripe(100.0 + tenth / 10) == ()
    assert quiet.next_s() == 110.0
    assert quiet.ripe(110.0) == ("shop",)


def test_the_longest_wait_counts_from_the_first_touch_after_it_was_ripe(quiet):
    quiet.touch("shop", 100.0)
    quiet.ripe(101.0)
    quiet.touch("shop", 105.0)
    quiet.touch("shop", 114.5)
    assert quiet.next_s() == 115.0


def test_a_restless_key_holds_no_other_up(quiet):
    quiet.touch("restless", 100.0)
    quiet.touch("shop", 100.5)
    quiet.touch("restless", 101.0)
    assert quiet.ripe(101.5) == ("shop",)
    assert len(quiet) == 1


def test_keys_come_out_in_the_order_of_their_last_touch(quiet):
    for key, now_s in (("a", 100.0), ("b", 100.1), ("c", 100.2), ("a", 100.3)):
        quiet.touch(key, now_s)
    assert quiet.ripe(200.0) == ("b", "c", "a")


def test_the_next_to_rest_may_be_earlier_than_the_next_that_waited_long_enough(quiet):
    quiet.touch("restless", 100.0)
    quiet.touch("restless", 100.9)
    quiet.touch("shop", 101.0)
    assert quiet.next_s() == 101.9


def test_no_wait_at_all_is_possible():
    quiet = Quiet(quiet_s=0.0, max_wait_s=0.0)
    quiet.touch(("shop", True), 100.0)
    assert quiet.ripe(100.0) == (("shop", True),)


@pytest.mark.parametrize("quiet_s", [1.0, 100.0], ids=["rested", "waited long enough"])
def test_ten_thousand_keys_are_ripe_together(quiet_s):
    quiet = Quiet(quiet_s, max_wait_s=10.0)
    keys = tuple(f"task-{number}" for number in range(10_000))
    for now_s in (100.0, 100.5):
        for key in keys:
            quiet.touch(key, now_s)
    assert quiet.ripe(110.0) == keys


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3))))
def test_every_key_is_ripe_exactly_when_the_rule_says(steps):
    """Against the rule written down plainly; whole seconds, so that sums are exact."""
    quiet, first, last, now_s = Quiet(quiet_s=2, max_wait_s=5), {}, {}, 0
    for key, pause_s in steps:
        now_s += pause_s
        ripe_s = {key: min(last[key] + 2, first[key] + 5) for key in first}
        assert quiet.next_s() == min(ripe_s.values(), default=None)
        expected = {key for key in ripe_s if ripe_s[key] <= now_s}
        assert set(quiet.ripe(now_s)) == expected
        for gone in expected:
            del first[gone], last[gone]
        quiet.touch(key, now_s)
        first.setdefault(key, now_s)
        last[key] = now_s
        assert len(quiet) == len(first)


def test_what_somebody_calls_at_rest_is_no_longer_waited_for():
    quiet = Quiet(1.0, 10.0)
    quiet.touch("a", 0.0)
    quiet.touch("b", 0.0)
    quiet.drop("a")
    quiet.drop("unknown")
    assert ("a" in quiet, "b" in quiet, quiet.ripe(5.0)) == (False, True, ("b",))


def test_everything_may_be_called_at_rest():
    quiet = Quiet(1.0, 10.0)
    quiet.touch("a", 0.0)
    quiet.clear()
    assert (len(quiet), quiet.next_s()) == (0, None)
