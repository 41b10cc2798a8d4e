"""Where a link is, and whether a reset took it there."""

import pytest

from reconciler.core.arrival import TOLERANCE_S, as_time, has_arrived, position
from reconciler.model import Link, ObservedComponent, ObservedProject

BEFORE, BACK, AHEAD = 100_000, 90_000, 110_000


def component(checkpoint, link=Link.FORWARD):
    return ObservedComponent("c", "r", link, "RUNNING", checkpoint, None, "")


@pytest.mark.parametrize(
    ("seen", "before", "wanted", "arrived"),
    [
        pytest.param(None, BEFORE, BACK, False, id="nothing seen"),
        pytest.param(BACK, BEFORE, BACK, True, id="back, just there"),
        pytest.param(BACK - TOLERANCE_S, BEFORE, BACK, True, id="back, a little before it"),
        pytest.param(BACK - TOLERANCE_S - 1, BEFORE, BACK, False, id="back, too far before it"),
        pytest.param(BACK + 5000, BEFORE, BACK, True, id="back, moved on since"),
        pytest.param(BEFORE, BEFORE, BACK, False, id="back, where it was"),
        pytest.param(BEFORE - TOLERANCE_S, BEFORE, BACK, False, id="back, about where it was"),
        pytest.param(BEFORE + 60, BEFORE, BACK, False, id="back, moved on from where it was"),
        pytest.param(AHEAD, BEFORE, AHEAD, True, id="ahead, just there"),
        pytest.param(AHEAD + 5000, BEFORE, AHEAD, True, id="ahead, moved on since"),
        pytest.param(BEFORE + 60, BEFORE, AHEAD, False, id="ahead, moved on from where it was"),
        pytest.param(BACK + 30, None, BACK, True, id="not known before, about there"),
        pytest.param(BACK + 5000, None, BACK, False, id="not known before, somewhere else"),
    ],
)
def test_position_shows_whether_the_reset_had_its_effect(seen, before, wanted, arrived):
    assert has_arrived(seen, before, wanted) is arrived


@pytest.mark.parametrize(
    ("forward", "reverse", "components", "link", "expected"),
    [
        pytest.param(7, 8, [9], Link.FORWARD, 7, id="forward"),
        pytest.param(7, 8, [9], Link.REVERSE, 8, id="reverse"),
        pytest.param("file,7", None, [9, 5], Link.FORWARD, 5, id="no time: the component furthest behind"),
        pytest.param(0, None, [9], Link.FORWARD, 9, id="nothing yet"),
        pytest.param("file,7", None, [None], Link.FORWARD, None, id="nobody knows"),
        pytest.param(None, None, [9], Link.REVERSE, None, id="components of the other link"),
    ],
)
def test_position_is_the_projects_or_that_of_its_components(forward, reverse, components, link, expected):
    seen = ObservedProject("RUNNING", forward, reverse)
    assert position(seen, [component(each) for each in components], link) == expected


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01 00:00:00Z"),
        (253_402_300_799, "9999-12-31 23:59:59Z"),
        (253_402_300_800, "253402300800"),
        (-1, "-1"),
        (None, "an unknown position"),
    ],
)
def test_position_in_words(at, text):
    assert as_time(at) == text
