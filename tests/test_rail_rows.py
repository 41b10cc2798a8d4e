from contextlib import closing
from datetime import UTC, datetime

import pytest

from reconciler import rail_rows
from reconciler.core import rails
from reconciler.core.policy import Mode, Policy
from reconciler.core.rails import Counts, Grip
from reconciler.model import Action, Item, Plan, Rail, RailState
from reconciler.rail_rows import RailRows
from reconciler.state.sqlite import SqliteStore

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AUTO, ASK = Policy(), Policy(mode=Mode.APPROVE, intervals={"default": 60.0})


@pytest.fixture
def store(tmp_path):
    with closing(SqliteStore.open(tmp_path / "state.db", lambda: NOON, digest_version=1)) as opened:
        yield opened


def told(store, kind="rail"):
    """Messages of rows, oldest first."""
    return [row.detail["message"] for row in reversed(store.history("", 100)) if row.kind == kind]


def write(rows, held=None, lifted=None, named=None, *, whole=True, rules=ASK):
    rows.write(rails.states(rules, Counts(held or {}, lifted or {})), named or {}, whole=whole)


# --- how they are set ----------------------------------------------------------------------------------------------


def test_settings_are_written_once_and_when_they_change(store):
    rows = RailRows(store)
    for rules in (AUTO, AUTO, ASK, ASK, AUTO):
        rows.write_settings(rules)
    assert [message.split(": ")[0] for message in told(store, "policy")] == [
        "how the rails are set was written down for the first time",
        "mode",
        "mode",
    ]
    assert told(store, "policy")[1] == (
        "mode: auto -> approve: every call needs an approval; approval: no call needs one -> every call needs one;"
        " min_update_interval_s: no target -> 60 s"
    )


def test_a_row_holds_all_settings(store):
    RailRows(store).write_settings(ASK)
    (row,) = store.history("", 10)
    assert row.detail["settings"].keys() == set(rails.NAMES)


def test_a_restart_writes_nothing_again(store):
    for _ in range(2):
        rows = RailRows(store)
        rows.write_settings(ASK)
        write(rows, {"approval": 2})
    assert len(store.history("", 10)) == 2


def test_time_of_the_run_changes_no_setting(store):
    rows = RailRows(store)
    rows.write_settings(Policy(intervals={"a": 1.0}))
    rows.write_settings(Policy(intervals={"a": 1.0}, paced=True, forced=frozenset({"tasks"}), resend=frozenset("a")))
    assert len(told(store, "policy")) == 1


# --- how they stand ------------------------------------------------------------------------------------------------


def test_a_rail_is_told_when_it_trips_when_it_is_lifted_and_when_it_is_released(store):
    rows = RailRows(store)
    for held, lifted in (({"approval": 1}, {}), ({"approval": 7}, {}), ({}, {"tasks": 2}), ({}, {}), ({}, {})):
        write(rows, held, lifted)
    assert told(store) == [
        "approval tripped: 1 task (every call needs one)",
        "tasks overridden: 2 tasks (more than 30 % of the tasks, and more than 5)",
        "approval released (every call needs one)",
        "tasks released (more than 30 % of the tasks, and more than 5)",
    ]


def test_a_row_says_which_rail_and_how_many_tasks(store):
    write(RailRows(store), {"window": 3})
    (row,) = store.history("", 10)
    assert {key: row.detail[key] for key in ("rail", "state", "tasks")} == {
        "rail": "window",
        "state": "tripped",
        "tasks": 3,
    }


@pytest.mark.parametrize("rail", rails.PACING)
def test_what_only_paces_is_no_news(store, rail):
    write(RailRows(store), {rail: 3})
    assert told(store) == []
    assert {one.name: one.tasks for one in rail_rows.said(store)}[rail] == 3


def test_what_is_not_always_listed_is_released_too(store):
    rows = RailRows(store)
    write(rows, {"lost_secret": 1})
    write(rows)
    assert told(store) == ["lost_secret tripped: 1 task", "lost_secret released"]


def test_a_look_at_some_tasks_releases_nothing(store):
    rows = RailRows(store)
    write(rows, {"lost_secret": 1, "window": 2})
    write(rows, {"tasks": 1}, whole=False)
    assert {rail.name for rail in rail_rows.said(store) if rail.state is RailState.TRIPPED} == {
        "lost_secret",
        "window",
        "tasks",
    }
    assert not any("released" in message for message in told(store))


def test_a_rail_that_was_turned_off_is_no_news_of_its_own(store):
    rows = RailRows(store)
    write(rows, rules=ASK)
    write(rows, rules=AUTO)
    assert told(store) == []
    assert rail_rows.said(store) == rails.states(AUTO)


def test_before_anything_was_written_nothing_is_said(store):
    assert rail_rows.said(store) == ()


def test_nothing_is_written_while_nothing_changes(store, tmp_path):
    rows = RailRows(store)
    write(rows, {"window": 1})
    before = (tmp_path / "state.db-wal").stat().st_size
    write(rows, {"window": 1})
    assert (tmp_path / "state.db-wal").stat().st_size == before


def test_what_a_rail_found_is_told_with_numbers_and_kept(store):
    found = {"vanished": "6 of 12 known tasks are gone", "tasks": "8 of 20 tasks"}
    stand = rails.states(AUTO, Counts({"vanished": 0, "tasks": 8}, found=found))
    RailRows(store).write(stand, {}, whole=True)
    assert told(store) == ["vanished tripped: 6 of 12 known tasks are gone", "tasks tripped: 8 of 20 tasks"]
    assert rail_rows.said(store) == stand


# --- whom they hold ------------------------------------------------------------------------------------------------

MANY = tuple(f"t{number:02}" for number in range(30))


def names(store):
    """(state, names) of rows, oldest first."""
    rows = reversed(store.history("", 100))
    return [(row.detail["state"], row.detail["names"]) for row in rows if row.kind == "rail"]


def test_a_row_names_tasks_and_that_of_a_release_all_that_were_held(store):
    rows = RailRows(store)
    write(rows, {"window": 1}, named={"window": ("b",)})
    write(rows, {"window": 1}, named={"window": ("a",)})
    write(RailRows(store))  # after a restart
    assert names(store) == [("tripped", ["b"]), ("released", ["b", "a"])]


def test_a_row_names_those_that_a_rail_was_lifted_for(store):
    rows = RailRows(store)
    write(rows, {"window": 2}, named={"window": ("a", "b")})
    write(rows, {}, {"window": 1}, {"window": ("c",)})
    write(rows)
    assert names(store) == [("tripped", ["a", "b"]), ("overridden", ["c"]), ("released", ["c"])]


def test_what_is_not_always_listed_names_tasks_when_it_is_released(store):
    rows = RailRows(store)
    write(rows, {"lost_secret": 1}, named={"lost_secret": ("a",)})
    write(rows)
    assert names(store)[-1] == ("released", ["a"])


def test_no_row_names_more_than_some_tasks(store):
    held = {task: Grip(frozenset({"window"})) for task in reversed(MANY)}
    found = rail_rows.names(held)
    assert found == {"window": MANY[: rail_rows.NAMED]}
    rows = RailRows(store)
    write(rows, {"window": 30}, named={"window": MANY[10 : 10 + rail_rows.NAMED]})
    write(rows, {"window": 30}, named=found)
    write(rows)
    assert [len(row) for _, row in names(store)] == [rail_rows.NAMED] * 2


def test_a_text_of_a_release_that_named_no_tasks_is_read(store):
    store.set_notified(*rail_rows.STAND, '[["window", "tripped", "", 1]]')
    write(RailRows(store))
    assert names(store) == [("released", [])]


def test_what_only_a_call_meets_is_seen_beside_what_it_was_lifted_for():
    lifted = Rail("checkpoint", RailState.OVERRIDDEN, "positions older than 3600 s", 1)
    item = Item("id", "shop", Action.UPDATE_DELETE, "", address="a", content_id="c")
    plan = Plan("", "", (item,), rails=(Rail("mode", RailState.OFF), lifted))
    assert rail_rows.of_plan(plan, {}) == plan.rails
    (_, found) = rail_rows.of_plan(plan, {"a": "c checkpoint: old"})
    assert (found.state, found.tasks) == (RailState.TRIPPED, 1)
    assert found.text == "positions older than 3600 s; lifted for 1 task"
    assert rail_rows.grips(plan.items, {"a": "c checkpoint: old"}) == {"shop": Grip(frozenset({"checkpoint"}))}
    assert rail_rows.grips(plan.items, {"a": "other checkpoint: old"}) == {}
