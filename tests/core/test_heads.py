from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core import heads
from reconciler.core.heads import NOTHING, Followed
from reconciler.model import Commit, Head

AT = datetime(2026, 11, 21, 21, 2, 11, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
COMMIT = Commit("1f2e3d4c" + "0" * 32, "Ann", AT, "Raise throttle")
HEAD = Head("main", COMMIT)
REWRITTEN = Head("main", COMMIT, "a" * 40, "rewritten", "it was rewritten; accept it")


def test_a_head_that_stays_is_as_old_as_it_was():
    followed = NOTHING.moved(HEAD, (), AT)
    assert followed.since == AT
    assert followed.moved(HEAD, (), LATER).since == AT


@pytest.mark.parametrize(
    "other",
    [REWRITTEN, replace(HEAD, commit=replace(COMMIT, id="b" * 40)), replace(HEAD, ref="next")],
    ids=["problem", "commit", "ref"],
)
def test_another_head_begins_when_it_is_seen(other):
    assert NOTHING.moved(HEAD, (), AT).moved(other, (), LATER).since == LATER


def test_a_remote_that_fails_again_is_away_since_the_first_time():
    followed = NOTHING.fetched("no route", AT).fetched("refused", LATER)
    assert (followed.unreached, followed.unreached_since) == ("refused", AT)
    assert followed.fetched("", LATER) == NOTHING


@pytest.mark.parametrize(
    "followed",
    [
        NOTHING,
        Followed(HEAD, AT),
        Followed(REWRITTEN, AT, ("a remark\x1b", "another"), "no route", LATER),
        Followed(None, None, (), "no route", AT),
    ],
)
def test_what_is_kept_is_read_again(followed):
    assert heads.from_text(heads.to_text(followed)) == followed


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"head": {}}', '{"head": {"ref": "main"}, "commit": null}'])
def test_what_another_release_kept_counts_as_nothing(text):
    assert heads.from_text(text) == NOTHING


def test_remarks_name_the_commit_since_when_and_what_is_wrong():
    followed = Followed(HEAD, AT, ("the newest is not followed",), "no route", LATER)
    assert heads.remarks(followed) == (
        "reads commit 1f2e3d4 (Ann: Raise throttle) of main since 2026-11-21 21:02:11Z",
        "the newest is not followed",
        "nothing can be fetched since 2026-11-21 22:02:11Z, the last commit stays in force: no route",
    )


def test_remarks_leave_out_what_is_not_known():
    assert heads.remarks(NOTHING) == ()
    assert heads.remarks(Followed(HEAD)) == ("reads commit 1f2e3d4 (Ann: Raise throttle) of main",)
    expected = "nothing can be fetched, the last commit stays in force: no route"
    assert heads.remarks(Followed(unreached="no route")) == (expected,)


def test_a_long_subject_is_cut():
    named = heads.named(replace(COMMIT, subject="x" * 200))
    assert named == f"1f2e3d4 (Ann: {'x' * 71}…)"


@pytest.mark.parametrize(
    ("followed", "expected"),
    [(NOTHING, False), (Followed(HEAD), False), (Followed(REWRITTEN), True), (Followed(HEAD, unreached="x"), True)],
)
def test_behind_is_who_may_miss_a_newer_commit(followed, expected):
    assert heads.is_behind(followed) is expected
