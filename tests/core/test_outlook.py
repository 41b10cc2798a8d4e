from dataclasses import replace

import pytest

from reconciler.core.outlook import seen, sentences
from reconciler.model import Link, ObservedComponent, ObservedProject, Outlook, ResetKey, Stage

POSITION = 1_795_255_200  # 2026-11-21 10:00:00Z
HOUR = 3600
BACK = Outlook(ResetKey("default", "np_a", False, "r1"), POSITION - 2 * HOUR, None, messages=False)
FORWARDS = replace(BACK, start_timestamp=POSITION + 3 * HOUR)
REVERSE = replace(BACK, key=replace(BACK.key, reverse=True))


def component(tps=None, link=Link.FORWARD, checkpoint=None):
    return ObservedComponent("c", "cn-1", link, "RUNNING", checkpoint, 0, "", tps=tps)


def project(position=POSITION, reverse=None):
    return ObservedProject("RUNNING", position, reverse)


def told(outlook=BACK, *rates, position=POSITION):
    (sentence,) = sentences(seen(outlook, project(position), map(component, rates)))
    return sentence


def test_backwards_repeats():
    assert told(BACK, 170) == (
        "back by 2 h, from 2026-11-21 10:00:00Z to 2026-11-21 08:00:00Z: repeats the changes of 2 h;"
        " about 1.2 million rows (an estimate from the present rate) are written again"
    )


def test_forwards_skips_for_good():
    assert told(FORWARDS, 1) == (
        "FORWARD by 3 h, from 2026-11-21 10:00:00Z to 2026-11-21 13:00:00Z: SKIPS the changes of 3 h for good;"
        " about 11,000 rows (an estimate from the present rate) are never written"
    )


def test_message_sink_repeats_them():
    assert told(replace(BACK, messages=True), 1).endswith("are written again; a message sink repeats them")


def test_where_it_is_nothing_happens():
    assert told(replace(BACK, start_timestamp=POSITION)).endswith("nothing is repeated and nothing skipped")


@pytest.mark.parametrize(
    ("rates", "rows"), [((), None), ((None,), None), ((0,), None), ((3, None, 4), 7 * 2 * HOUR)], ids=str
)
def test_rows_are_rate_times_distance(rates, rows):
    assert seen(BACK, project(), map(component, rates)).rows == rows


def test_idle_link_has_no_estimate():
    assert "a number of rows that cannot be estimated, as nothing flows now, is written again" in told(BACK, 0)


def test_only_components_of_the_link_count():
    found = seen(REVERSE, project(reverse=POSITION), [component(5), component(2, Link.REVERSE)])
    assert (found.rows, found.shift_s) == (2 * 2 * HOUR, -2 * HOUR)


@pytest.mark.parametrize(
    ("tps", "amount"),
    [
        (1_000_000_000, "7,200 billion"),
        (1_000_000, "7.2 billion"),
        (21_000, "150 million"),
        (2_100, "15 million"),
        (150, "1.1 million"),
        (100, "720,000"),
        (1, "7,200"),
    ],
    ids=str,
)
def test_estimate_has_two_digits(tps, amount):
    assert f"about {amount} rows" in told(BACK, tps)


def test_position_that_is_no_time_is_said():
    assert told(BACK, position="7,12") == (
        "the distance is not known: the server reports no position of the forward link that is a time"
    )


def test_nothing_is_said_where_nobody_looked():
    assert sentences(BACK) == ()


# --- one whose outcome is unknown ------------------------------------------------------------------------------------

SENT = replace(BACK, stage=Stage.UNKNOWN, position_before=POSITION)  # from 10:00 to 08:00
SENT_AHEAD = replace(FORWARDS, stage=Stage.UNKNOWN, position_before=POSITION)  # from 10:00 to 13:00
YES, NO = "probably carried out", "probably not carried out"


@pytest.mark.parametrize(
    ("outlook", "hours", "verdict"),
    [
        pytest.param(SENT, 0, NO, id="as before"),
        pytest.param(SENT, 0.01, NO, id="as before, nearly"),
        pytest.param(SENT, 1, NO, id="on by itself"),
        pytest.param(SENT, -2, YES, id="where it takes it"),
        pytest.param(SENT, -1, YES, id="on its way back"),
        pytest.param(SENT, -3, "does not tell", id="before both"),
        pytest.param(SENT_AHEAD, 0, NO, id="forward, as before"),
        pytest.param(SENT_AHEAD, 1, NO, id="forward, on by itself"),
        pytest.param(SENT_AHEAD, 3, YES, id="forward, where it takes it"),
        pytest.param(SENT_AHEAD, 4, "does not tell", id="forward, past it"),
        pytest.param(SENT_AHEAD, -1, "does not tell", id="forward, and it went back"),
        pytest.param(replace(SENT, start_timestamp=POSITION), 0, "does not tell", id="to where it was"),
        pytest.param(replace(SENT, start_timestamp=POSITION), 1, "does not tell", id="to where it was, and on"),
        pytest.param(replace(SENT, position_before=None), -2, "where it was before is not known", id="none before"),
    ],
)
def test_position_is_evidence_of_what_became_of_a_reset(outlook, hours, verdict):
    text = told(outlook, position=POSITION + round(hours * HOUR))
    assert verdict in text
    assert ("--sent" in text, "--not-sent" in text) == (verdict == YES, verdict == NO)
    assert "look at its ticket" in text
    assert "repeated" not in text


def test_evidence_names_both_positions():
    assert told(SENT, position=POSITION - 2 * HOUR) == (
        "the link is at 2026-11-21 08:00:00Z now, where this reset would take it: it was probably carried out (it was at"
        " 2026-11-21 10:00:00Z before); look at its ticket, then --sent"
    )
    assert told(SENT) == (
        "the link is at 2026-11-21 10:00:00Z, as before, and this reset would take it to 2026-11-21 08:00:00Z: it was"
        " probably not carried out; look at its ticket, then --not-sent"
    )


def test_evidence_that_is_missing():
    assert sentences(SENT) == ()
    assert sentences(replace(SENT, problem="it does not answer")) == (
        "where the link is now is not known: it does not answer; look at the ticket of this reset",
    )
