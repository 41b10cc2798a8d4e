from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.edges import Edge
from reconciler.core.status import State
from reconciler.events import CallStarted, HeadChanged, Notice, PassEnded, TargetChanged, TaskGone
from reconciler.model import Commit, Head
from reconciler.notify.outbox import Outbox, subject_of
from reconciler.notify.settings import ChannelSettings
from tests.notify.conftest import SINCE as NOW

ALL = ChannelSettings("all", "json://127.0.0.1")
SHOP = ChannelSettings("shop", "json://127.0.0.1", labels={"team": "shop", "tier": "1"})
COMMIT = Commit("1f2e3d4c" + "0" * 32, "Ann", NOW, "Raise throttle")
UNSIGNED = HeadChanged(Head("main", COMMIT, "a" * 40, "unsigned", "no signature"), 0)
SIGNED = HeadChanged(Head("main", COMMIT), 1)
DOWN = TargetChanged("default", "unreachable", "connection refused")


def offer(outbox, *events, now=NOW):
    return [outbox.offer(subject_of(event), event, now) for event in events]


def words(news):
    return [(each.subject, each.edge.word) for each in news]


def tell(outbox, *events):
    """Offer events, and let all of them be accepted."""
    offer(outbox, *events)
    news = outbox.take(NOW)
    outbox.settle(news)
    return words(news)


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        pytest.param(TaskGone("shop", State.FAILED), "task shop", id="gone"),
        pytest.param(TaskGone("sh\udcffop", State.FAILED), "task sh\\udcffop", id="name that is no text"),
        pytest.param(DOWN, "target default", id="target"),
        pytest.param(PassEnded("event", 1, 0.1), "all tasks", id="pass"),
        pytest.param(UNSIGNED, "desired state", id="commit"),
        pytest.param(Notice("error", "config", "x"), "daemon config", id="error"),
        pytest.param(Notice("warning", "config", "x"), "", id="warning"),
        pytest.param(Notice("error", "notify", "x"), "", id="what the notifier says itself"),
        pytest.param(CallStarted("shop", "default", "update", "c", 1, "r", "p"), "", id="call"),
    ],
)
def test_subject_of_an_event(event, subject):
    assert subject_of(event) == subject


def test_what_is_told_is_news_once(changed):
    outbox = Outbox(ALL)
    assert tell(outbox, changed("failed")) == [("task shop/orders", "failed")]
    assert tell(outbox, changed("failed")) == []


def test_marks_of_an_earlier_start_count(changed):
    outbox = Outbox(ALL)
    outbox.remember({"task shop/orders": "failed:abc"})
    assert tell(outbox, changed("failed", before=None)) == []
    assert tell(outbox, changed("synced")) == [("task shop/orders", "recovered")]


def test_a_newer_event_takes_the_place_of_an_older_one(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("invalid"), changed("blocked"))
    assert words(outbox.take(NOW)) == [("task shop/orders", "blocked")]


def test_what_is_over_before_it_was_told_is_no_news(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("failed"), changed("synced"), DOWN, replace(DOWN, kind=""))
    assert len(outbox) == 0


def test_a_passing_state_takes_nobodys_place(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("failed"), changed("applying"))
    assert words(outbox.take(NOW)) == [("task shop/orders", "failed")]


def test_a_recovery_while_the_failure_is_on_the_way_is_told_if_the_failure_was(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("failed"))
    news = outbox.take(NOW)
    offer(outbox, changed("synced"))
    outbox.settle(news)
    assert words(outbox.take(NOW)) == [("task shop/orders", "recovered")]


def test_a_recovery_while_the_failure_is_on_the_way_is_no_news_if_that_was_refused(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("failed"))
    news = outbox.take(NOW)
    offer(outbox, changed("synced"))
    outbox.put_back(news)
    assert outbox.take(NOW) == ()


def test_the_same_again_while_it_is_on_the_way_is_no_news(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("failed"))
    news = outbox.take(NOW)
    offer(outbox, changed("failed", reason="in other words"))
    outbox.settle(news)
    assert outbox.take(NOW) == ()


def test_what_was_refused_goes_to_the_end(changed):
    outbox = Outbox(ALL)
    offer(outbox, *(changed("failed", task) for task in "abc"))
    first = outbox.take(NOW)[0]
    offer(outbox, changed("failed", "d"))
    outbox.put_back([first])
    assert [each.subject for each in outbox.take(NOW)] == ["task b", "task c", "task a", "task d"]


def test_what_waits_longest_goes_when_too_many_wait(changed):
    outbox = Outbox(ALL, capacity=2)
    assert offer(outbox, *(changed("failed", task) for task in "abcc")) == [False, False, True, False]
    assert [each.subject for each in outbox.take(NOW)] == ["task b", "task c"]


def test_waiting_and_on_the_way_are_unsent(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("failed", "a"))
    news = outbox.take(NOW)
    offer(outbox, changed("synced", "a"), changed("failed", "b"))
    assert (len(outbox), outbox.unsent()) == (2, 2)
    outbox.settle(news)
    assert outbox.unsent() == 2


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        pytest.param({"team": "shop", "tier": "1", "more": "x"}, True, id="all"),
        pytest.param({"team": "shop"}, False, id="one of two"),
        pytest.param({"team": "shop", "tier": "2"}, False, id="another value"),
        pytest.param({}, False, id="none"),
    ],
)
def test_all_labels_of_a_channel_must_match(changed, labels, told):
    assert bool(tell(Outbox(SHOP), changed("failed", labels=labels))) is told


def test_a_recovery_is_told_even_when_the_labels_are_others_by_then(changed):
    outbox = Outbox(SHOP)
    outbox.remember({"task shop/orders": "failed:abc"})
    assert tell(outbox, changed("failed", content="def")) == []
    assert tell(outbox, changed("synced")) == [("task shop/orders", "recovered")]


def test_a_channel_with_labels_is_not_told_of_what_is_no_task():
    frozen, error = PassEnded("event", 1, 0.1, frozen="vanished"), Notice("error", "config", "x")
    assert tell(Outbox(SHOP), DOWN, frozen, error) == []
    assert [word for _, word in tell(Outbox(ALL), DOWN, frozen, error)] == ["unreachable", "frozen", "error"]


def test_only_wanted_states_are_told(changed):
    outbox = Outbox(ChannelSettings("all", "", states=frozenset({State.SUSPENDED})))
    assert tell(outbox, changed("failed", "a"), changed("suspended", "b")) == [("task b", "suspended")]


def test_a_block_that_ends_by_itself_soon_is_no_news(changed):
    soon, later = NOW + timedelta(minutes=5), NOW + timedelta(hours=5)
    assert tell(Outbox(ALL), changed("blocked", "a", until=soon), changed("blocked", "b", until=later)) == [
        ("task b", "blocked")
    ]


def test_a_told_task_that_is_gone_is_told(changed):
    outbox = Outbox(ALL)
    tell(outbox, changed("orphaned"))
    assert tell(outbox, TaskGone("shop/orders", State.ORPHANED), TaskGone("other", State.INVALID)) == [
        ("task shop/orders", "gone")
    ]


def test_an_event_that_is_about_nothing_is_no_news():
    assert offer(Outbox(ALL), CallStarted("shop", "default", "update", "c", 1, "r", "p")) == [False]


def test_news_carries_the_mark_to_record(changed):
    outbox = Outbox(ALL)
    offer(outbox, changed("failed"))
    assert outbox.take(NOW)[0].edge == Edge("failed", "failed:abc")


def test_a_commit_that_is_not_followed_is_told_and_its_end_as_well():
    outbox = Outbox(ALL)
    assert tell(outbox, UNSIGNED) == [("desired state", "unsigned")]
    assert tell(outbox, UNSIGNED) == []
    assert tell(outbox, SIGNED) == [("desired state", "recovered")]
    assert tell(outbox, SIGNED) == []


def test_who_looks_after_some_tasks_is_not_told_of_commits():
    assert tell(Outbox(SHOP), UNSIGNED) == []
