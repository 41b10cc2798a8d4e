from datetime import timedelta

import pytest

from reconciler.core.edges import Edge
from reconciler.core.status import State
from reconciler.events import HeadChanged, Notice, PassEnded, TargetChanged, TaskGone
from reconciler.model import Commit, Head
from reconciler.notify.message import message_of, summary_of
from reconciler.notify.outbox import News, subject_of
from tests.notify.conftest import SINCE


def news(event, word):
    return News(subject_of(event), event, Edge(word, ""))


def test_a_message_says_what_why_since_when_and_what_to_do(changed):
    event = changed(
        "failed",
        reason="EXCEPTION after the update",
        next_step="reconciler retry shop/orders",
        until=SINCE + timedelta(hours=1),
        revision="sha256:0123",
        ticket=4711,
    )
    message = message_of(news(event, "failed"))
    assert (message.title, message.kind) == ("[reconciler] shop/orders: failed", "failure")
    assert message.body.splitlines() == [
        "Reason: EXCEPTION after the update",
        "Since: 2026-11-21 12:00:00Z",
        "Until: 2026-11-21 13:00:00Z",
        "Next: reconciler retry shop/orders",
        "Revision: sha256:0123",
        "Ticket: 4711",
    ]


def test_what_is_not_known_is_left_out_and_a_body_is_never_empty(changed):
    assert message_of(news(changed("blocked", since=None), "blocked")).body == "Reason: refused"
    assert message_of(news(changed("synced", since=None, reason=""), "recovered")).body


@pytest.mark.parametrize(
    ("event", "word", "title", "body", "kind"),
    [
        (TargetChanged("eu", "stopped", "3 failed"), "stopped", "target eu: stopped", "Reason: 3 failed", "failure"),
        (TargetChanged("eu", "", ""), "recovered", "target eu: recovered", "Reason: it can be used again", "success"),
        (PassEnded("event", 1, 0.1, frozen="vanished: 9 of 9"), "frozen", "all tasks: frozen", "Reason: vanished: 9 of 9\nNext: reconciler status", "warning"),
        (PassEnded("event", 1, 0.1, problem="no such directory"), "unreadable", "all tasks: unreadable", "Reason: no such directory\nNext: reconciler status", "failure"),
        (PassEnded("event", 1, 0.1), "recovered", "all tasks: recovered", "Reason: tasks are looked at and sent again\nNext: reconciler status", "success"),
        (Notice("error", "config", "kept the old one"), "error", "daemon config: error", "Reason: kept the old one", "failure"),
        (TaskGone("shop", State.INVALID), "gone", "shop: gone", "Reason: no longer known: it was forgotten, or its directory went before it was ever applied", "info"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 12 else "",
)  # fmt: skip
def test_what_is_no_state_of_a_task_has_its_words(event, word, title, body, kind):
    message = message_of(news(event, word))
    assert (message.title, message.body, message.kind) == (f"[reconciler] {title}", body, kind)


@pytest.mark.parametrize(
    "text", ["a\nBcc: x@y", "a\r\n\r\nb", "a\x1b[31mb", "a\u2028b", "a\u202eb", "a\x00b", "a\udcffb"]
)
def test_no_text_makes_a_line_of_its_own_or_moves_a_cursor(changed, text):
    message = message_of(news(changed("failed", task=text, reason=text, next_step=text, since=None), "failed"))
    assert message.title.isprintable()
    assert len(message.body.splitlines()) == 2
    assert message.body.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["@everyone", "@HERE", "@channel", "@all", "<!channel>", "<@U123>", "<#C1>"])
def test_no_text_calls_the_people_of_a_chat(changed, text):
    message = message_of(news(changed("failed", reason=f"found {text}", task=text), "failed"))
    assert text not in message.body + message.title
    assert text in (message.body + message.title).replace("\u200b", "")


def test_addresses_in_a_text_stay_as_they_are(changed):
    assert "mail a@allied.example" in message_of(news(changed("failed", reason="mail a@allied.example"), "failed")).body


def test_long_texts_are_shortened(changed):
    message = message_of(news(changed("failed", task="t" * 5000, reason="r" * 5000), "failed"))
    assert (len(message.title) < 150, len(message.body) < 1000, "…" in message.title) == (True, True, True)


def test_a_summary_counts_and_names_the_first_of_each_state(changed):
    failed = [news(changed("failed", f"t{n}"), "failed") for n in range(7)]
    message = summary_of([*failed, news(TargetChanged("eu", "unreachable", "x"), "unreachable")])
    assert (message.title, message.kind) == ("[reconciler] 7 failed, 1 unreachable", "failure")
    assert message.body.splitlines() == [
        "failed (7): t0, t1, t2, t3, t4 and 2 more",
        "unreachable (1): target eu",
        "Next: reconciler status",
    ]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["recovered", "blocked"], "warning"),
        (["recovered", "gone"], "success"),
        (["gone", "applying"], "info"),
    ],
)
def test_a_summary_is_as_bad_as_its_worst_part(changed, words, kind):
    assert summary_of([news(changed("synced"), word) for word in words]).kind == kind


def test_a_commit_that_is_not_followed_is_told_with_the_one_in_force():
    commit = Commit("1f2e3d4c" + "0" * 32, "Ann", SINCE, "Raise throttle")
    head = Head("main", commit, "a" * 40, "unsigned", "it has no good signature")
    message = message_of(news(HeadChanged(head, 0), "unsigned"))
    assert (message.title, message.kind) == ("[reconciler] desired state: unsigned", "failure")
    assert message.body.splitlines() == [
        "Reason: it has no good signature",
        "In force: 1f2e3d4 (Ann: Raise throttle)",
        f"Not followed: {'a' * 40}",
        "Next: reconciler status",
    ]
    over = message_of(news(HeadChanged(Head("main", commit), 1), "recovered"))
    assert over.body.startswith("Reason: the newest commit is read\nIn force: 1f2e3d4")
