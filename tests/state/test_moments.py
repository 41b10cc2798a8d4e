"""When a revision was the current one."""

from datetime import timedelta

import pytest

from reconciler.model import Condition, Outcome

ACCEPTED = Outcome(Condition.VERIFYING, "", 77, "req-1")
ONE, TWO, THREE = ("1" * 40, "2" * 40, "3" * 40)
EARLIER, LATER = "sha256:000000000000", "sha256:ffffffffffff"


@pytest.fixture
def make(store, intent):
    """An intent for a revision and its outcome."""

    def make(revision, *, address="a1", accepted=True) -> int:
        number = store.begin(intent(revision, address=address))
        if accepted:
            store.conclude(number, ACCEPTED)
        return number

    return make


@pytest.fixture
def adopt(store, snapshot):
    def adopt(revision, address="a1") -> None:
        store.adopt(address, "shop", snapshot(revision), revision, "")

    return adopt


def ends(store, *revisions):
    """Number of the last row of each revision's time, None when there was none; "now" when it is the current one."""
    found = map(store.moment, revisions)
    return [None if one is None else "now" if one.current else one.sequence for one in found]


def test_no_revision_was_current_at_first(store):
    assert ends(store, ONE, "", EARLIER) == [None, None, None]


def test_a_commit_is_current_until_another_is_followed(store, adopt):
    store.set_head("main", ONE)
    adopt(ONE)
    store.note("force", "shop", {})
    store.set_head("main", TWO)
    adopt(TWO)
    assert ends(store, ONE, TWO, THREE) == [3, "now", None]


def test_the_moment_is_that_of_its_last_row(store, adopt):
    store.set_head("main", ONE)
    adopt(ONE)
    store.set_head("main", TWO)
    first, second = store.rows_after(1)[0], store.rows_after(2)[0]
    assert (store.moment(ONE).sequence, store.moment(ONE).at) == (first.sequence, first.at)
    assert (store.moment(TWO).sequence, store.moment(TWO).at) == (second.sequence, second.at)


def test_what_ends_late_does_not_make_its_commit_current_again(store, intent):
    store.set_head("main", "revision of A")
    number = store.begin(intent("A"))
    store.set_head("main", TWO)
    store.conclude(number, ACCEPTED)
    store.set_condition("a1", Condition.SYNCED, "")
    assert ends(store, "revision of A", TWO) == [2, "now"]


def test_a_commit_that_was_current_twice_counts_for_its_last_time(store):
    for commit in (ONE, TWO, ONE, THREE):
        store.set_head("main", commit)
    assert ends(store, ONE, TWO, THREE) == [3, 2, "now"]


def test_another_ref_makes_its_commit_current(store):
    store.set_head("main", ONE)
    store.set_head("trial", TWO)
    store.set_head("main", ONE)
    assert ends(store, TWO, ONE) == [2, "now"]


def test_a_directory_is_current_from_the_first_row_made_for_it_until_one_made_for_another(store, adopt, make):
    adopt(EARLIER)
    store.note("force", "shop", {})
    make("B")
    assert ends(store, EARLIER, "revision of B") == [2, "now"]


def test_rows_that_carry_what_was_last_told_do_not_make_it_current(store, adopt):
    adopt(EARLIER, "a1")
    adopt(LATER, "a2")
    store.retry("a1")
    store.take_over("a1", "other")
    assert ends(store, EARLIER, LATER) == [1, "now"]


def test_a_repository_takes_over_from_a_directory_and_the_other_way_round(store, adopt):
    adopt(EARLIER)
    store.set_head("main", ONE)
    adopt(ONE)
    adopt(LATER)
    store.set_head("main", TWO)
    assert ends(store, EARLIER, ONE, LATER, TWO) == [1, 3, 4, "now"]


def test_what_begins_late_does_not_make_its_commit_current_again(store, make, intent):
    store.set_head("main", "revision of A")
    store.set_head("main", TWO)
    store.begin(intent("A"))
    store.set_head("main", THREE)
    assert ends(store, "revision of A", TWO) == [1, 3]


def test_a_commit_that_somebody_adopted_before_it_was_followed_is_current_from_then_on(store, adopt):
    store.set_head("main", ONE)
    adopt(TWO)
    assert ends(store, ONE, TWO) == [1, "now"]


def test_the_current_commit_is_known_when_its_row_was_dropped(store, clock):
    store.set_head("main", ONE)
    store.set_head("main", TWO)
    store.note("force", "shop", {})
    store.prune(clock() + timedelta(hours=1))
    assert ends(store, ONE, TWO) == [None, "now"]


def test_a_commit_whose_row_was_dropped_is_known_by_what_was_made_for_it(store, adopt):
    store.set_head("main", ONE)
    adopt(ONE)
    store.set_head("main", TWO)
    store.prune(store.rows_after(1)[0].at)
    assert ends(store, ONE, TWO) == [2, "now"]


def test_revisions_are_found_by_their_beginning(store, adopt):
    for revision in ("abc1", "abc2", "abd1", "", "zz"):
        adopt(revision)
        adopt(revision, "a2")
    assert store.revisions("abc", 9) == ["abc1", "abc2"]
    assert store.revisions("", 3) == ["abc1", "abc2", "abd1"]
    assert (store.revisions("zz", 9), store.revisions("b", 9)) == (["zz"], [])
