"""Approvals and resets in memory: always what is in the database."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Approval, ResetEntry, ResetKey, Stage

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def approval(number: int) -> Approval:
    until = AT + timedelta(days=1)
    return Approval(f"c{number}", "shop", f"a{number}", "plan-1", "update", (), "read it", "ann", AT, until)


def reset(number: int, stage: Stage = Stage.PENDING) -> ResetEntry:
    return ResetEntry(ResetKey("default", "np_1", False, f"r{number}"), "d", "shop", f"a{number}", 5, stage, AT)


@pytest.fixture
def filled(store):
    for number in (1, 2):
        store.approve(approval(number))
        store.move_reset(reset(number), None)
    return store


def test_without_a_new_row_nothing_is_read(filled):
    assert filled.approvals() is filled.approvals()
    assert filled.resets() is filled.resets()


def test_rows_about_other_things_leave_what_was_read(filled, open_store, snapshot):
    before = filled.approvals(), filled.resets()
    open_store().note("force", "shop", {})
    open_store().adopt("a9", "shop", snapshot("A"), "r1", "")
    assert (filled.approvals() is before[0], filled.resets() is before[1]) == (True, True)


def test_only_what_changed_is_read_again(filled, open_store):
    before = filled.approvals(), filled.resets()
    other = open_store()
    other.disapprove("c1", "")
    other.move_reset(reset(1, Stage.STOPPING), Stage.PENDING)
    assert filled.approvals()["c2"] is before[0]["c2"]
    assert filled.resets()[reset(2).key] is before[1][reset(2).key]
    assert (len(filled.approvals()), filled.resets()[reset(1).key].stage) == (1, Stage.STOPPING)


def test_what_was_handed_out_stays_as_it_was(filled):
    before = filled.approvals(), filled.resets()
    filled.disapprove("c1", "")
    filled.move_reset(reset(3), None)
    assert [len(each) for each in before] == [2, 2]
    with pytest.raises(TypeError):
        before[0]["c1"] = None


def test_a_row_that_goes_to_another_address_is_seen(filled, open_store):
    filled.resets(), filled.approvals()
    open_store().move_reset(replace(reset(1, Stage.STOPPING), address="a7"), Stage.PENDING)
    open_store().approve(replace(approval(1), address="a7"))
    assert filled.resets() == open_store(read_only=True).resets()
    assert filled.approvals() == open_store(read_only=True).approvals()


def test_what_changed_in_an_empty_store_is_seen(open_store):
    first, second = open_store(), open_store()
    assert (first.approvals(), first.resets()) == ({}, {})
    second.approve(approval(1))
    second.move_reset(reset(1), None)
    assert (list(first.approvals()), len(first.resets())) == (["c1"], 1)


def test_changes_whose_rows_were_dropped_are_seen_all_the_same(filled, open_store, clock):
    filled.resets(), filled.approvals()
    other = open_store()
    other.move_reset(reset(1, Stage.STOPPING), Stage.PENDING)
    other.disapprove("c2", "")
    other.note("force", "shop", {})
    other.prune(clock() + timedelta(hours=1))
    assert filled.resets() == open_store(read_only=True).resets()
    assert list(filled.approvals()) == ["c1"]


def test_a_backup_put_back_is_seen(filled, open_store, path, tmp_path):
    with closing(open_store(tmp_path / "other.db")) as other:
        for number in range(9):
            other.approve(approval(number))
    filled.approvals(), filled.resets()
    with closing(sqlite3.connect(tmp_path / "other.db")) as source, closing(sqlite3.connect(path)) as place:
        source.backup(place)
    assert (len(filled.approvals()), filled.resets()) == (9, {})
