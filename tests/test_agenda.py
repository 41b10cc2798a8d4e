import threading
import time
import tracemalloc

import pytest

from reconciler.agenda import Agenda
from reconciler.clock import SystemClock
from tests.integration.clocks import FakeClock


class TellingClock(SystemClock):
    """The real time, which says when somebody waits."""

    def __init__(self):
        self.waits = threading.Event()

    def wait(self, condition, seconds):
        self.waits.set()
        super().wait(condition, seconds)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def agenda(clock):
    return Agenda(clock)


def waited_s(longest_s, act):
    """How long a thread waits, real seconds, when something happens meanwhile."""
    clock = TellingClock()
    agenda = Agenda(clock)
    ended = []
    began = time.monotonic()
    thread = threading.Thread(target=lambda: (agenda.wait(longest_s), ended.append(time.monotonic())))
    thread.start()
    assert clock.waits.wait(5.0)
    act(agenda)
    thread.join(10.0)
    return ended[0] - began


def grown_bytes(act):
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


# --- what is due ---------------------------------------------------------------------------------------------------


def test_name_is_taken_once(agenda):
    agenda.add(["a", "b", "a"])
    agenda.add(["a"])
    assert (agenda.take(9), agenda.take(9)) == (["a", "b"], [])


def test_name_that_was_taken_may_come_again(agenda):
    agenda.add(["a"])
    agenda.take(9)
    agenda.add(["a"])
    assert agenda.take(9) == ["a"]


def test_name_is_not_taken_before_its_time(agenda, clock):
    agenda.add(["a"], 5.0)
    clock.advance_to(4.9)
    assert agenda.take(9) == []
    clock.advance_to(5.0)
    assert agenda.take(9) == ["a"]


@pytest.mark.parametrize("first", [5.0, 0.0], ids=["later wish first", "earlier wish first"])
def test_earlier_wish_wins(agenda, clock, first):
    agenda.add(["a"], first)
    agenda.add(["a"], 5.0 - first)
    assert agenda.take(9) == ["a"]
    clock.advance_to(10.0)
    assert agenda.take(9) == []


def test_those_come_first_that_are_due_longest(agenda, clock):
    agenda.add(["c"], 3.0)
    agenda.add(["b", "d"], 2.0)
    agenda.add(["a"], 1.0)
    agenda.add(["e"])
    clock.advance_to(3.0)
    assert agenda.take(9) == ["e", "a", "b", "d", "c"]


def test_no_more_are_taken_than_asked_for_and_none_is_lost(agenda):
    names = [f"task/{number}" for number in range(10_000)]
    agenda.add(names, counted=True)
    batches = [agenda.take(256) for _ in range(40)]
    assert max(map(len, batches)) == 256
    assert [name for batch in batches for name in batch] == names


def test_what_was_not_counted_is_taken_together(agenda):
    names = [f"task/{number}" for number in range(1000)]
    agenda.add(["known"], counted=True)
    agenda.add(names)
    assert (agenda.take(64), agenda.take(64)) == (names, ["known"])


def test_what_was_counted_fills_the_batch(agenda):
    agenda.add(["a", "b", "c"], counted=True)
    agenda.add(["x"])
    assert (agenda.take(3), agenda.take(3)) == (["x", "a", "b"], ["c"])


def test_edit_of_what_waits_in_portions_is_taken_with_the_other_edits(agenda):
    agenda.add(["a", "b", "c"], counted=True)
    agenda.add(["c", "d", "e"])
    assert (agenda.take(2), agenda.take(2)) == (["c", "d", "e"], ["a", "b"])


def test_edit_is_not_taken_twice_though_it_waits_in_portions_too(agenda, clock):
    agenda.add(["a"], 5.0)
    agenda.add(["a"], counted=True)
    assert agenda.take(9) == ["a"]
    clock.advance_to(9.0)
    assert agenda.take(9) == []


def test_far_wish_that_is_not_counted_does_not_hurry_what_waits_in_portions(agenda):
    names = [f"task/{number}" for number in range(100)]
    agenda.add(names, 86_400.0)  # an approval that expires
    agenda.add(names, counted=True)
    assert agenda.take(64) == names[:64]


def test_name_that_waits_in_both_ways_is_told_once_and_since_the_first(agenda, clock):
    agenda.add(["a"], counted=True)
    clock.advance_to(2.0)
    agenda.add(["a", "b"])
    clock.advance_to(3.0)
    assert agenda.waiting() == (2, 3.0)


def test_it_says_how_many_are_due_and_since_when(agenda, clock):
    assert agenda.waiting() == (0, 0.0)
    agenda.add(["a"], 1.0)
    agenda.add(["b"], 2.0)
    agenda.add(["c"], 9.0)
    clock.advance_to(4.0)
    assert agenda.waiting() == (2, 3.0)


# --- waiting -------------------------------------------------------------------------------------------------------


def test_waiting_ends_when_a_name_is_due(agenda, clock):
    agenda.add(["a"], 5.0)
    agenda.wait(60.0)
    assert (clock.monotonic(), agenda.take(9)) == (5.0, ["a"])


def test_waiting_ends_when_the_time_is_up(agenda, clock):
    agenda.add(["a"], 90.0)
    agenda.wait(60.0)
    assert clock.monotonic() == 60.0


@pytest.mark.parametrize("act", [lambda agenda: agenda.wake(), lambda agenda: agenda.add(["a"])], ids=["wake", "add"])
def test_what_happens_before_the_wait_ends_it_at_once(agenda, clock, act):
    act(agenda)
    agenda.wait(60.0)
    assert clock.monotonic() == 0.0


def test_one_wake_ends_one_wait(agenda, clock):
    agenda.wake()
    agenda.wake()
    agenda.wait(60.0)
    agenda.wait(60.0)
    assert clock.monotonic() == 60.0


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda agenda: agenda.wake(), id="wake"),
        pytest.param(lambda agenda: agenda.add(["a"]), id="a name that is due"),
        pytest.param(lambda agenda: agenda.add(["a"], 0.05), id="a name that is due before the wait is over"),
    ],
)
def test_what_happens_meanwhile_ends_the_wait(act):
    assert waited_s(2.0, act) < 1.5


def test_wish_that_an_earlier_one_replaced_wakes_nobody_again_and_again(agenda, clock):
    agenda.add(["a"], 5.0)
    agenda.add(["a"])
    turns = 0
    while clock.monotonic() < 60.0:
        agenda.wait(60.0 - clock.monotonic())
        agenda.take(9)
        turns += 1
    assert turns <= 3


# --- size ----------------------------------------------------------------------------------------------------------


def test_task_that_is_looked_at_often_while_it_waits_for_tomorrow_costs_nothing(agenda):
    def look():
        agenda.add(["a"], 86_400.0)  # a suspension that ends tomorrow
        agenda.add(["a"])  # an event
        agenda.take(9)

    assert grown_bytes(lambda: [look() for _ in range(10_000)]) < 100_000


def test_ever_earlier_wishes_for_one_name_cost_nothing(agenda):
    assert grown_bytes(lambda: [agenda.add(["a"], 9000.0 - number / 4) for number in range(10_000)]) < 100_000


def test_ever_later_wishes_for_one_name_cost_nothing(agenda):
    assert grown_bytes(lambda: [agenda.add(["a"], float(number)) for number in range(10_000)]) < 100_000


# --- threads -------------------------------------------------------------------------------------------------------


def test_no_name_is_lost_or_taken_twice_while_many_threads_add():
    agenda, taken, over = Agenda(SystemClock()), [], threading.Event()

    def take():
        while not (over.is_set() and not agenda.waiting()[0]):
            agenda.wait(0.01)
            taken.extend(agenda.take(7))

    def add(writer):
        for number in range(500):
            agenda.add([f"{writer}/{number}"])

    taker = threading.Thread(target=take)
    adders = [threading.Thread(target=add, args=(writer,)) for writer in range(4)]
    for thread in (taker, *adders):
        thread.start()
    for thread in adders:
        thread.join()
    over.set()
    agenda.wake()
    taker.join(10.0)
    assert sorted(taken) == sorted(f"{writer}/{number}" for writer in range(4) for number in range(500))
