from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.edges import (
    DEFAULT_STATES,
    Edge,
    is_brief,
    of_error,
    of_gone,
    of_head,
    of_pass,
    of_target,
    of_task,
)
from reconciler.core.status import State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PASSING = (State.OUT_OF_SYNC, State.APPLYING, State.VERIFYING)
EVERY_STATE = frozenset(State)


def task(mark, state, content="abc", before=State.APPLYING, wanted=DEFAULT_STATES):
    return of_task(mark, state, before, content, wanted)


def told(states, wanted=DEFAULT_STATES, mark=""):
    """What is told of a task that goes through (state, content), each message being accepted at once."""
    words, before = [], None
    for state, content in states:
        edge = of_task(mark, state, before, content, wanted)
        before = state
        if edge and edge.word:
            words.append(edge.word)
            mark = edge.mark
    return words


@pytest.mark.parametrize("state", sorted(DEFAULT_STATES, key=lambda state: state.value), ids=lambda state: state.value)
def test_trouble_is_told_and_its_mark_is_state_and_content(state):
    assert task("", state) == Edge(state.value, f"{state.value}:abc")


def test_the_same_state_and_content_is_told_once():
    assert task("failed:abc", State.FAILED) == Edge("", "failed:abc")


@pytest.mark.parametrize("before", [None, State.FAILED], ids=["first seen after a restart", "state as stored"])
def test_a_restart_tells_nothing_twice(before):
    assert task("failed:abc", State.FAILED, before=before).word == ""


def test_other_content_in_the_same_state_is_an_edge():
    assert task("failed+unconfirmed:abc", State.FAILED, "def") == Edge("failed", "failed:def")


def test_another_state_of_the_same_content_is_an_edge_and_both_are_known():
    assert task("unconfirmed:abc", State.FAILED) == Edge("failed", "failed+unconfirmed:abc")


def test_flapping_between_two_states_of_one_content_is_told_once_each():
    states = [(State.UNCONFIRMED, "abc"), (State.FAILED, "abc"), (State.VERIFYING, "abc")]
    assert told(states * 3) == ["unconfirmed", "failed"]


@pytest.mark.parametrize("state", [*PASSING, State.SUSPENDED], ids=lambda state: state.value)
def test_a_state_that_is_not_wanted_changes_nothing(state):
    assert task("", state) is None
    assert task("failed:abc", state) is None


def test_a_passing_state_does_not_reset_an_edge():
    assert told([(State.FAILED, "abc"), *((state, "abc") for state in PASSING), (State.FAILED, "abc")]) == ["failed"]


def test_a_passing_state_is_told_when_somebody_wants_it():
    assert task("", State.APPLYING, wanted=EVERY_STATE) == Edge("applying", "applying:abc")


def test_recovery_is_told_once_and_forgets_the_task():
    assert task("blocked+failed:abc", State.SYNCED, "def") == Edge("recovered", "")
    assert told([(State.FAILED, "abc"), (State.SYNCED, "abc"), (State.SYNCED, "abc")]) == ["failed", "recovered"]


def test_the_same_trouble_after_a_recovery_is_told_again():
    assert told([(State.FAILED, "abc"), (State.SYNCED, "abc"), (State.FAILED, "abc")])[-1] == "failed"


def test_what_was_never_told_does_not_recover():
    assert task("", State.SYNCED) == Edge("", "")


@pytest.mark.parametrize("before", [None, State.SYNCED], ids=["first seen", "another reason"])
def test_a_task_that_was_well_before_is_no_news_even_to_who_wants_synced(before):
    assert task("", State.SYNCED, before=before, wanted=EVERY_STATE) is None


def test_who_wants_synced_is_told_of_each_content_once():
    states = [(State.VERIFYING, "a"), (State.SYNCED, "a"), (State.VERIFYING, "a"), (State.SYNCED, "a")]
    assert told([*states, (State.VERIFYING, "b"), (State.SYNCED, "b")], {State.SYNCED}) == ["synced", "synced"]


def test_well_after_well_is_no_recovery():
    assert task("synced:abc", State.SYNCED) == Edge("", "synced:abc")


@pytest.mark.parametrize(
    ("state", "minutes", "brief"),
    [
        pytest.param(State.BLOCKED, 9, True, id="pause between two updates"),
        pytest.param(State.BLOCKED, 11, False, id="window that opens later"),
        pytest.param(State.BLOCKED, None, False, id="until somebody acts"),
        pytest.param(State.FAILED, 9, False, id="no block"),
    ],
)
def test_only_a_block_that_ends_by_itself_soon_is_brief(state, minutes, brief):
    until = None if minutes is None else NOW + timedelta(minutes=minutes)
    assert is_brief(state, until, NOW) is brief


def test_a_task_that_is_gone_is_told_if_it_ever_was():
    assert of_gone("failed:abc") == Edge("gone", "")
    assert of_gone("") == Edge("", "")


def test_a_target_is_told_for_each_kind_of_trouble_until_it_can_be_used_again():
    assert of_target("", "unreachable") == Edge("unreachable", "unreachable:")
    assert of_target("unreachable:", "unreachable") == Edge("", "unreachable:")
    assert of_target("unreachable:", "stopped") == Edge("stopped", "stopped+unreachable:")
    assert of_target("stopped+unreachable:", "") == Edge("recovered", "")
    assert of_target("", "") == Edge("", "")


@pytest.mark.parametrize(
    ("mark", "frozen", "problem", "word"),
    [
        pytest.param("", True, False, "frozen", id="frozen"),
        pytest.param("", False, True, "unreadable", id="no pass"),
        pytest.param("frozen:", True, False, "", id="still frozen"),
        pytest.param("frozen:", False, True, "unreadable", id="worse"),
        pytest.param("frozen:", False, False, "recovered", id="over"),
        pytest.param("", False, False, "", id="always well"),
    ],
)
def test_what_concerns_all_tasks_is_an_edge_of_its_own(mark, frozen, problem, word):
    assert of_pass(mark, frozen=frozen, problem=problem).word == word


def test_the_same_error_is_told_again_after_an_hour_and_another_one_at_once():
    mark = of_error("", "the disk is full", NOW).mark
    later = {minutes: NOW + timedelta(minutes=minutes) for minutes in (59, 61)}
    assert of_error(mark, "the disk is full", later[59]) == Edge("", mark)
    assert of_error(mark, "the disk is full", later[61]).word == "error"
    assert of_error(mark, "the disk is gone", later[59]).word == "error"


def test_a_mark_holds_nothing_of_the_text():
    assert "full" not in of_error("", "the disk is full \udcff", NOW).mark


STATES = st.lists(st.sampled_from(State), max_size=30)


@given(STATES, st.frozensets(st.sampled_from(State)))
def test_nothing_is_told_twice_of_one_content_between_two_recoveries(states, wanted):
    words = told([(state, "abc") for state in states], wanted)
    for run in "\n".join(words).split("recovered"):
        assert len(set(run.split())) == len(run.split())


@given(STATES.filter(bool), st.frozensets(st.sampled_from(State)))
def test_a_restart_after_any_history_tells_nothing(states, wanted):
    mark = ""
    for before, state in zip([None, *states], states, strict=False):
        edge = of_task(mark, state, before, "abc", wanted)
        mark = edge.mark if edge and edge.word else mark
    again = of_task(mark, states[-1], states[-1], "abc", wanted)
    assert again is None or not again.word


def test_a_commit_that_is_not_followed_is_told_once_and_so_is_its_end():
    edge = of_head("", "unsigned", "abc")
    assert edge == Edge("unsigned", "unsigned:abc")
    assert of_head(edge.mark, "unsigned", "abc") == Edge("", edge.mark)
    assert of_head(edge.mark, "unsigned", "def").word == "unsigned"
    assert of_head(edge.mark, "", "") == Edge("recovered", "")
    assert of_head("", "", "") == Edge("", "")
