from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.plan import Base
from reconciler.jobs import Job, Place, Watch
from reconciler.model import Accepted, Action, Address, Condition, Dimension
from reconciler.reconcile import Work
from reconciler.waiting import Waiting, lane
from tests.core.builders import applied, planned, ready, task

NAME = "10.0.0.1-9000:connector_v2:{}-incr_trans-1-{}:0000000006"
PLACE = Place(Dimension.NAME, "a", "default", None)


def made(key, number=0, base=None, action=None):
    """A job of a component; its key is a name of the usual form, or anything."""
    wanted = task(name=f"{key}/{number}")
    wanted = replace(wanted, address=Address("default", Dimension.NAME, key))
    item = planned(wanted, base)
    return Job(replace(item, action=action or item.action), Work(ready(wanted), base or Base()), "plan", "revision")


def job(project="np_a", number=0):
    """A job that has something to send to a component of a project."""
    return made(NAME.format(project, number), number)


def look(project="np_a", condition=Condition.UNCONFIRMED):
    """A job that looks again at a component that was sent to."""
    return made(NAME.format(project, 0), base=applied(task(name="x"), condition=condition), action=Action.NOOP)


def watched(one):
    one.watch = Watch(PLACE, Accepted(1, "r"), 0.0, 0.0, 30.0)
    return one


@pytest.fixture
def waiting():
    return Waiting(2)


def pushed(waiting, *jobs, due=0.0):
    for one in jobs:
        waiting.push(due, one)
    return jobs


def popped(waiting, now=0.0):
    """Everything that may go now."""
    found = []
    while (one := waiting.pop(now)) is not None:
        found.append(one)
    return found


# --- lanes and places ----------------------------------------------------------------------------------------------


def test_lane_is_the_project():
    assert lane(job(number=0)) == lane(job(number=1)) == "np_a"


def test_lane_is_the_address_where_no_project_is_known():
    assert lane(made("opaque")) == '["default","NAME","opaque"]'


def test_jobs_go_in_the_order_in_which_they_came(waiting):
    waiting.places = 9
    jobs = pushed(waiting, *(job(f"np_{number}") for number in range(5)))
    assert popped(waiting) == list(jobs)


def test_job_that_is_due_earlier_goes_first(waiting):
    later, earlier = job("np_a"), job("np_b")
    waiting.push(2.0, later)
    waiting.push(1.0, earlier)
    assert popped(waiting, 2.0) == [earlier, later]


def test_job_does_not_go_before_its_time(waiting):
    (one,) = pushed(waiting, job(), due=5.0)
    assert (waiting.pop(4.9), waiting.pop(5.0)) == (None, one)


def test_no_more_go_than_there_are_places(waiting):
    first, second, third = pushed(waiting, job("np_a"), job("np_b"), job("np_c"))
    assert popped(waiting) == [first, second]
    waiting.free(first)
    assert popped(waiting) == [third]


def test_one_project_has_one_job_at_a_time_and_holds_no_other_up(waiting):
    first, _, other = pushed(waiting, job("np_a", 0), job("np_a", 1), job("np_b"))
    assert popped(waiting) == [first, other]


def test_parked_job_goes_when_its_lane_is_free_before_those_that_came_later(waiting):
    first, second, _ = pushed(waiting, job("np_a", 0), job("np_a", 1), job("np_b"))
    popped(waiting)
    pushed(waiting, job("np_c"))
    waiting.free(first)
    assert waiting.pop(0.0) is second


def test_more_places_are_used_at_once(waiting):
    pushed(waiting, *(job(f"np_{number}") for number in range(4)))
    popped(waiting)
    waiting.places = 3
    assert len(popped(waiting)) == 1


def test_fewer_places_let_nothing_go_until_there_are_fewer_under_way(waiting):
    first, second, third = pushed(waiting, job("np_a"), job("np_b"), job("np_c"))
    popped(waiting)
    waiting.places = 1
    waiting.free(first)
    assert waiting.pop(0.0) is None
    waiting.free(second)
    assert waiting.pop(0.0) is third


# --- jobs that come back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["unknown", "watched"])
def test_job_under_way_keeps_its_lane_and_its_place(how):
    waiting = Waiting(1)
    one, _ = pushed(waiting, job("np_a", 0), job("np_a", 1))
    waiting.pop(0.0)
    one.unknown = how == "unknown"
    waiting.push(3.0, watched(one) if how == "watched" else one)
    pushed(waiting, job("np_b"))
    assert (popped(waiting, 2.9), popped(waiting, 3.0)) == ([], [one])


def test_retry_that_was_let_go_needs_its_lane_again(waiting):
    retried, other = pushed(waiting, job("np_a", 0), job("np_a", 1))
    waiting.pop(0.0)
    waiting.free(retried)
    waiting.push(1.0, retried)
    assert waiting.pop(1.0) is other
    assert waiting.pop(1.0) is None
    waiting.free(other)
    assert waiting.pop(1.0) is retried


def test_job_that_only_looks_needs_no_place_and_no_lane():
    waiting = Waiting(1)
    pushed(waiting, job("np_a"))
    popped(waiting)
    (one,) = pushed(waiting, look("np_a"))
    assert (waiting.pop(0.0), set(waiting.busy)) == (one, {"np_a"})


def test_job_that_verifies_what_an_earlier_run_sent_needs_both(waiting):
    first, _ = pushed(waiting, look(condition=Condition.VERIFYING), job("np_a", 1))
    assert (popped(waiting), set(waiting.busy)) == ([first], {"np_a"})


# --- how long to wait ----------------------------------------------------------------------------------------------


def test_nothing_waits_for_time_when_there_is_nothing(waiting):
    assert waiting.due(0.0) is None


def test_what_waits_for_a_place_or_a_lane_waits_for_no_time(waiting):
    pushed(waiting, job("np_a", 0), job("np_a", 1), job("np_b"), job("np_c"))
    popped(waiting)
    assert waiting.due(0.0) is None


def test_next_time_is_that_of_the_first_of_either_kind(waiting):
    (back,) = pushed(waiting, job("np_a"))
    popped(waiting)
    waiting.push(7.0, watched(back))
    assert waiting.due(1.0) == 6.0
    pushed(waiting, job("np_b"), due=4.0)
    assert (waiting.due(1.0), waiting.due(9.0)) == (3.0, 0.0)


def test_job_that_waits_for_its_time_is_seen_behind_one_that_waits_for_its_lane(waiting):
    waiting.places = 1
    pushed(waiting, job("np_a", 0), job("np_a", 1))
    popped(waiting)
    (back,) = pushed(waiting, look("np_b"), due=4.0)
    assert waiting.due(0.0) == 4.0
    assert popped(waiting, 4.0) == [back]


# --- taking out ----------------------------------------------------------------------------------------------------


def everywhere(waiting):
    """A job of each kind: begun, parked, waiting, looking."""
    first, parked, back = pushed(waiting, job("np_a", 0), job("np_a", 1), job("np_b"))
    popped(waiting)
    new, looking = pushed(waiting, job("np_c"), look("np_d"))
    waiting.push(9.0, watched(back))
    return first, parked, new, looking, back


def test_jobs_are_counted_and_listed_wherever_they_wait(waiting):
    _, *jobs = everywhere(waiting)
    assert (len(waiting), set(map(id, waiting.jobs()))) == (4, set(map(id, jobs)))


def test_those_taken_out_are_in_the_order_in_which_they_came(waiting):
    _, *jobs = everywhere(waiting)
    assert waiting.take_out(lambda _job: True) == jobs
    assert (len(waiting), list(waiting.jobs())) == (0, [])


def test_only_those_wanted_are_taken_out(waiting):
    first, parked, new, looking, back = everywhere(waiting)
    assert waiting.take_out(lambda one: one in (parked, looking)) == [parked, looking]
    waiting.free(first)
    assert popped(waiting, 9.0) == [back, new]


def test_taking_out_nothing_changes_nothing(waiting):
    first, parked, new, looking, back = everywhere(waiting)
    assert waiting.take_out(lambda _job: False) == []
    waiting.places = 9
    waiting.free(first)
    assert popped(waiting, 9.0) == [looking, back, parked, new]


# --- any order of anything -----------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3), st.integers(0, 4)),
        st.tuples(st.just("look"), st.integers(0, 3), st.integers(0, 4)),
        st.tuples(st.just("pop"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("pop"), st.integers(0, 4), st.just(0)),
        st.tuples(st.sampled_from(["end", "retry", "watch", "take"]), st.integers(0, 9), st.integers(0, 4)),
    ),
    max_size=40,
)


class Story:
    """Jobs that wait, and those in somebody's hand."""

    def __init__(self):
        self.waiting = Waiting(2)
        self.now = 0.0
        self.at_hand = []
        self.there = 0

    def happen(self, what, number, more):
        getattr(self, f"_{what}")(number, more)
        lanes = [lane(one) for one in self.under_way()]
        assert len(lanes) == len(set(lanes)) <= 2
        assert set(lanes) == set(self.waiting.busy)
        assert len(self.waiting) + len(self.at_hand) == self.there

    def under_way(self):
        back = (one for one in self.waiting.jobs() if one.under_way)
        return [one for one in (*self.at_hand, *back) if not one.only_looks]

    def _push(self, project, after):
        self.waiting.push(self.now + after, job(f"np_{project}"))
        self.there += 1

    def _look(self, project, after):
        self.waiting.push(self.now + after, look(f"np_{project}"))
        self.there += 1

    def _pop(self, after, _more):
        self.now += after
        found = self.waiting.pop(self.now)
        if found is not None:
            self.at_hand.append(found)

    def _take(self, number, _more):
        self.there -= len(self.waiting.take_out(lambda one: lane(one) == f"np_{number}" and not one.under_way))

    def _chosen(self, number):
        return self.at_hand.pop(number % len(self.at_hand)) if self.at_hand else None

    def _end(self, number, _more):
        if (one := self._chosen(number)) is not None:
            self.there -= 1
            self._let_go(one)

    def _retry(self, number, after):
        if (one := self._chosen(number)) is not None:
            if not one.under_way:
                self._let_go(one)
            self.waiting.push(self.now + after, one)

    def _watch(self, number, after):
        if (one := self._chosen(number)) is not None:
            self.waiting.push(self.now + after, watched(one))

    def _let_go(self, one):
        if not one.only_looks:
            self.waiting.free(one)

    def end(self):
        """Everything ends, one after another."""
        for _ in range(2 * self.there):
            self._pop(4, 0)
            self._end(0, 0)
        assert (self.there, len(self.waiting), set(self.waiting.busy)) == (0, 0, set())


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(STEPS)
def test_lanes_and_places_hold_and_no_job_is_lost_whatever_happens(steps):
    story = Story()
    for step in steps:
        story.happen(*step)
    story.end()
