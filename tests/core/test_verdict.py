"""What follows from what an operator says about a reset."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.verdict import Question, judge, meant
from reconciler.model import ResetEntry, ResetKey, Stage

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = AT + timedelta(hours=1)
ENTRY = ResetEntry(
    ResetKey("default", "np_1", False, "r1"), "digest", "shop", "a1", 5, Stage.PENDING, AT, "as it was", 9, plan="p1"
)
LATER = timedelta(minutes=1)


def said(stage, *, sent, **more):
    """What `judge` makes of a row in this stage; None: there is no row."""
    entry = replace(ENTRY, stage=stage or Stage.PENDING, **more)
    return judge(Question(entry, stage, declared=True), sent=sent, who="ann", reason="seen", now=NOW)


@pytest.mark.parametrize(
    ("stage", "stopped", "sent", "after"),
    [
        (None, False, True, Stage.DONE),
        (Stage.PERHAPS_SENT, False, True, Stage.DONE),
        (Stage.PENDING, False, True, Stage.DONE),
        (Stage.UNKNOWN, False, True, Stage.ACCEPTED),
        (Stage.UNKNOWN, True, True, Stage.ACCEPTED),
        (Stage.STOPPING, True, True, Stage.ACCEPTED),
        (Stage.RETURNING, True, True, Stage.ACCEPTED),
        (Stage.REFUSED, True, True, Stage.DONE),
        (None, False, False, Stage.PENDING),
        (Stage.PERHAPS_SENT, False, False, Stage.PENDING),
        (Stage.REFUSED, True, False, Stage.PENDING),
        (Stage.UNKNOWN, False, False, Stage.REFUSED),
        (Stage.UNKNOWN, True, False, Stage.RETURNING),
    ],
)
def test_what_is_said_moves_the_reset(stage, stopped, sent, after):
    verdict = said(stage, sent=sent, stopped=stopped)
    assert (verdict.entry.stage, verdict.known, verdict.entry.since) == (after, stage, NOW)
    assert verdict.entry.reason == f"ann says that it was {'' if sent else 'not '}sent: seen"


@pytest.mark.parametrize(
    ("stage", "sent", "words"),
    [
        *((stage, False, "goes on with it") for stage in Stage if stage.is_under_way),
        *((stage, True, "goes on with it") for stage in (Stage.SENDING, Stage.ACCEPTED, Stage.RESUMING)),
        *((Stage.DONE, sent, "carried out at 2026-11-20 12:00:00Z") for sent in (True, False)),
        *((Stage.UNCONFIRMED, sent, "look at the link in the console") for sent in (True, False)),
        (Stage.PENDING, False, "counts as not sent already: as it was"),
    ],
)
def test_where_nobody_asks_there_is_nothing_to_say(stage, sent, words):
    found = said(stage, sent=sent)
    assert found.startswith("reset r1 of the forward link of np_1 ")
    assert words in found


@pytest.mark.parametrize(
    ("stage", "stopped", "sent", "words"),
    [
        (Stage.UNKNOWN, True, True, "its position is looked at, then the project is told to go on"),
        (Stage.UNKNOWN, False, True, "its position is looked at"),
        (Stage.UNKNOWN, True, False, "the project is told to go on without it"),
        (Stage.UNKNOWN, False, False, "nothing is called; --not-sent once more lets it be tried again"),
        (None, False, True, "it is never sent"),
        (None, False, False, "it is sent once it is approved"),
    ],
)
def test_the_verdict_tells_what_follows(stage, stopped, sent, words):
    assert said(stage, sent=sent, stopped=stopped).follows == words


def test_what_is_to_be_tried_again_begins_anew():
    entry = said(Stage.REFUSED, sent=False, stopped=True, ticket=7, request_id="q").entry
    assert (entry.stopped, entry.position_before, entry.plan, entry.ticket, entry.request_id) == (
        False, None, "", None, None,
    )  # fmt: skip


def test_what_may_have_been_sent_keeps_what_is_known_of_it():
    entry = said(Stage.UNKNOWN, sent=True, stopped=True).entry
    assert (entry.stopped, entry.position_before, entry.plan) == (True, 9, "p1")


def question(request, known, *, declared=False, since=AT):
    entry = replace(ENTRY, key=replace(ENTRY.key, request=request), since=since)
    return Question(entry, known, declared=declared)


@pytest.mark.parametrize(
    ("questions", "expected"),
    [
        ([], []),
        ([("r1", Stage.UNKNOWN), ("r2", None, True)], ["r1"]),
        ([("r1", Stage.PERHAPS_SENT), ("r2", None, True)], ["r1", "r2"]),
        ([("r1", Stage.REFUSED), ("r2", None, True)], ["r2"]),
        ([("r1", Stage.REFUSED), ("r2", Stage.DONE, True)], ["r2"]),
        ([("r1", Stage.REFUSED), ("r2", Stage.DONE)], ["r2"]),
    ],
    ids=["none", "unknown first", "two questions", "no row", "the declared one", "else the newest"],
)
def test_what_has_to_be_answered_is_meant(questions, expected):
    made = [
        question(name, known, declared=bool(more), since=AT + number * LATER)
        for number, (name, known, *more) in enumerate(questions)
    ]
    assert [one.entry.key.request for one in meant(made)] == expected
