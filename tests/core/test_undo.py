"""The `reset.json` that takes a reset back."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler import resources
from reconciler.core.undo import LONGEST_REQUEST, document, meaning, new_request, objection
from reconciler.model import ResetEntry, ResetKey, Stage

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = 3600
NOON = int(AT.timestamp())
KEY = ResetKey("default", "np_1", False, "r1")
BACK = ResetEntry(KEY, "digest", "shop", "a1", NOON - 2 * HOUR, Stage.DONE, AT, "", NOON)


@pytest.mark.parametrize("stage", [Stage.DONE, Stage.UNCONFIRMED])
def test_a_reset_that_was_carried_out_can_be_undone(stage):
    assert objection(replace(BACK, stage=stage)) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stage": Stage.SENDING}, "has not ended (sending): there is nothing to undo"),
        ({"stage": Stage.UNKNOWN}, "has not ended (unknown)"),
        ({"stage": Stage.REFUSED}, "was not carried out (refused)"),
        ({"stage": Stage.PENDING}, "was not carried out (pending)"),
        ({"position_before": None}, "before is not known. Write"),
        ({"position_before": None, "reason": "ann says that it was sent: x"}, "is not known (ann says"),
        ({"position_before": -1}, "the link was at -1, which is no moment"),
        ({"position_before": 10**10}, "which is no moment"),
    ],
)
def test_another_cannot(changes, words):
    found = objection(replace(BACK, **changes))
    assert found.startswith("reset r1 of the forward link of np_1 ")
    assert words in found


def test_the_file_asks_for_the_old_position():
    assert document(BACK, "undo-r1", {}) == {
        "request": "undo-r1",
        "id": "np_1",
        "reverse": False,
        "startTimestamp": "2026-11-20T12:00:00Z",
        "reason": "undo of r1: back to 2026-11-20 12:00:00Z, where the link was before",
    }


def test_what_else_the_old_file_said_holds_again_but_for_its_end():
    old = {"$schema": "s", "request": "r1", "reason": "x", "expires": "2026-11-21T00:00:00Z", "stop": False}
    made = document(replace(BACK, key=replace(KEY, reverse=True)), "undo-r1", old)
    assert (made["$schema"], made["stop"], made["reverse"], "expires" in made) == ("s", False, True, False)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ([], "undo-r1"),
        (["undo-r1"], "undo-r1-2"),
        (["undo-r1", "undo-r1-2"], "undo-r1-3"),
    ],
)
def test_a_request_gets_a_name_of_its_own(used, expected):
    assert new_request(BACK, [replace(KEY, request=name) for name in used]) == expected


@pytest.mark.parametrize("other", [{"target": "b"}, {"project": "np_2"}, {"reverse": True}])
def test_names_of_other_links_are_free(other):
    assert new_request(BACK, [replace(KEY, request="undo-r1", **other)]) == "undo-r1"


def test_a_long_name_is_cut_and_still_its_own():
    long = replace(BACK, key=replace(KEY, request="r" * LONGEST_REQUEST))
    first = new_request(long, [])
    second = new_request(long, [replace(KEY, request=first)])
    assert (len(first), len(second), first != second) == (LONGEST_REQUEST, LONGEST_REQUEST, True)


def test_the_longest_name_is_that_of_the_schema():
    assert f"{{1,{LONGEST_REQUEST}}}" in resources.schema("reset")["properties"]["request"]["pattern"]


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (NOON - 2 * HOUR, "moved it back by 2 h: it repeats changes until it is at 2026-11-20 12:00:00Z again"),
        (NOON + 2 * HOUR, "moved it forward by 2 h, over changes that were never read. Undoing goes back"),
        (NOON, "did not move it: what was read since then is repeated"),
    ],
    ids=["back", "forward", "nowhere"],
)
def test_what_undoing_means_depends_on_the_direction(start, words):
    asked, means = meaning(replace(BACK, start_timestamp=start))
    assert asked == "the forward link of np_1 goes to 2026-11-20 12:00:00Z, where it was before r1"
    assert words in means


def test_undoing_a_reset_back_tells_of_values_that_stay_old():
    assert "keeps the older value" in meaning(replace(BACK, key=replace(KEY, reverse=True)))[1]
