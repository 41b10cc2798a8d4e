from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.core import position
from reconciler.core.policy import Case, forced
from reconciler.model import Action
from tests.core.builders import APPLY, around, few, ready, record_of, whole

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
HOUR = 3600


def refusal(found, *, forced=False):  # as an attempt asks
    return position.unusable(found) or ("" if forced else position.bad_age(found, NOW, float(HOUR)))


@pytest.mark.parametrize(
    ("age_s", "refused"),
    [
        pytest.param(0, "", id="now"),
        pytest.param(HOUR - 1, "", id="below the limit"),
        pytest.param(HOUR, "", id="at the limit"),
        pytest.param(HOUR + 1, "is 60 min old (2026-11-21 10:59:59Z)", id="above the limit"),
        pytest.param(3 * HOUR, "is 3 h old (2026-11-21 09:00:00Z): what came after it would be repeated", id="3 h"),
        pytest.param(-59, "", id="a little ahead"),
        pytest.param(-60, "", id="as far ahead as clocks may differ"),
        pytest.param(-61, "is 61 s in the future (2026-11-21 12:01:01Z)", id="in the future"),
    ],
)
def test_age_of_a_position_decides_whether_it_may_be_a_start(age_s, refused):
    found = refusal(SECONDS - age_s)
    assert (bool(found), refused in found) == (bool(refused), True)
    assert refusal(SECONDS - age_s, forced=True) == ""


def test_an_old_position_says_how_it_is_lifted_and_what_its_limit_is():
    found = refusal(SECONDS - 3 * HOUR)
    assert "--force checkpoint --reason TEXT (policy.checkpoint_max_age_s is 3600)" in found


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(None, "reports no checkpoint", id="none"),
        pytest.param(0, "reports no checkpoint", id="zero"),
        pytest.param(-5, "reports no checkpoint", id="negative"),
        pytest.param("12,3400", 'reports "12,3400", which is no time', id="text"),
    ],
)
@pytest.mark.parametrize("forced", [False, True], ids=["", "forced"])
def test_what_is_no_time_is_never_a_start(found, words, forced):
    assert words in refusal(found, forced=forced)


def test_every_client_starts_a_margin_before_the_position():
    sections = few(source={"clients": [{"clientId": "a"}, {"clientId": "b"}], "dbType": "MYSQL"})
    source = position.filled_in(sections, 1_800_000_000)["source"]
    assert source == {**sections["source"], "checkpoint": {"a": "1799999940", "b": "1799999940"}}


@pytest.mark.parametrize(
    ("clients", "has"),
    [
        (None, False),
        ([], False),
        ([{"subtopic": "x"}], False),
        ([{"clientId": "a"}, {}], False),
        ([{"clientId": "a"}], True),
    ],
)
def test_a_start_needs_clients_with_ids(clients, has):
    assert position.has_clients(few(source={} if clients is None else {"clients": clients})) == has


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
    ],
)
def test_duration_is_told_in_the_largest_unit_that_says_enough(seconds, text):
    assert position.duration(seconds) == text


@pytest.mark.parametrize(
    ("written", "intended", "lifted", "recorded"),
    [
        pytest.param("${oms:checkpoint}", Action.UPDATE_DELETE, {"checkpoint"}, ("checkpoint",), id="a deletion"),
        pytest.param("${oms:checkpoint}", Action.UPDATE, {"checkpoint"}, (), id="no deletion"),
        pytest.param(..., Action.UPDATE_DELETE, {"checkpoint"}, (), id="no position"),
        pytest.param("${oms:checkpoint}", Action.UPDATE_DELETE, {"incomplete"}, (), id="another rail"),
    ],
)
def test_lifting_is_recorded_where_a_position_is_filled_in(written, intended, lifted, recorded):
    desired = ready(whole(source={"checkpoint": written}))
    rules = replace(APPLY, forced=frozenset(lifted))
    case = Case(desired, record_of(desired), intended, (), (), around(rules))
    assert forced(case) == recorded
