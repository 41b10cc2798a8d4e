from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.core.windows import WindowError, closed, described, faults, read

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
MINUTE = timedelta(minutes=1)


def window(cron, duration="1h", zone="UTC", *, allows=True, name="w", **labels):
    kind = "allow" if allows else "deny"
    return read({"kind": kind, "cron": cron, "duration": duration, "timezone": zone, "labels": labels}, name)


def at(text):
    """A UTC time of 2027, unless it begins with a year."""
    return datetime.fromisoformat(text if text.startswith("20") else f"2027-{text}").replace(tzinfo=UTC)


def until(now, *those):
    """When the next call may be made; "now" when it may now."""
    found = closed(those, (), at(now))
    if found is None:
        return "now"
    return f"{found.until:%m-%d %H:%M}" if found.until else "never"


# --- one window ------------------------------------------------------------------------------------------------------

NIGHT = window("0 22 * * 1-5", "8h", BERLIN, name="nights")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        pytest.param("11-22 12:00", "11-22 21:00", id="Monday noon"),
        pytest.param("11-22 20:59:59.999", "11-22 21:00", id="a moment before it opens"),
        pytest.param("11-22 21:00", "now", id="the moment it opens"),
        pytest.param("11-23 04:59:59.999", "now", id="a moment before it closes"),
        pytest.param("11-23 05:00", "11-23 21:00", id="the moment it closes"),
        pytest.param("11-27 04:59", "now", id="Friday's night lasts into Saturday"),
        pytest.param("11-27 05:00", "11-29 21:00", id="Saturday morning"),
    ],
)
def test_allowing_window_is_open_from_its_beginning_until_its_end(now, opens):
    assert until(now, NIGHT) == opens


@pytest.mark.parametrize(
    ("now", "opens"),
    [("11-22 07:59", "now"), ("11-22 08:00", "11-22 18:00"), ("11-22 17:59", "11-22 18:00"), ("11-22 18:00", "now")],
)
def test_denying_window_is_the_other_way_round(now, opens):
    assert until(now, window("0 8 * * *", "10h", allows=False)) == opens


@pytest.mark.parametrize(
    ("cron", "duration", "now", "opens"),
    [
        pytest.param("0 */6 * * *", "7h", "01-05 00:00", "never", id="each begins before the last one ends"),
        pytest.param("* * * * *", "1m", "01-05 00:00", "never", id="every minute"),
        pytest.param("0 0 * * *", "1d", "01-05 00:00", "never", id="day after day"),
        pytest.param("0 8,12 * * *", "6h", "01-05 09:00", "01-05 18:00", id="two of a day that overlap"),
        pytest.param("0 8 1 1 *", "366d", "01-05 00:00", "never", id="year after year"),
        pytest.param("0 8 1 1 *", "300d", "01-05 00:00", "10-28 08:00", id="most of a year"),
        pytest.param("0 0 29 2 *", "1d", "2028-02-29 12:00", "03-01 00:00", id="leap day"),
        pytest.param("59 23 31 12 *", "2m", "2026-12-31 23:59", "01-01 00:01", id="over the turn of the year"),
    ],
)
def test_starts_of_one_window_that_overlap_are_a_union(cron, duration, now, opens):
    assert until(now, window(cron, duration, allows=False)) == opens


@pytest.mark.parametrize(
    ("cron", "opens"),
    [
        pytest.param("0 0 13 * 5", "01-08 00:00", id="a day of the month or one of the week"),
        pytest.param("0 0 */13 * 5", "05-14 00:00", id="with a star it is both"),
        pytest.param("0 0 L * *", "01-31 00:00", id="last day of the month"),
        pytest.param("0 0 LW 2 *", "02-26 00:00", id="last weekday of the month"),
        pytest.param("0 0 * * SUN#2", "01-10 00:00", id="second Sunday"),
        pytest.param("0 0 * mar-apr 7", "03-07 00:00", id="names, and Sunday as 7"),
        pytest.param("0 0 29 2 *", "never", id="not within a year"),
    ],
)
def test_expression_is_read_as_by_debian(cron, opens):
    assert until("01-02 00:00", window(cron)) == opens


# --- several windows -------------------------------------------------------------------------------------------------


def test_without_windows_nothing_is_closed():
    assert closed((), (), at("01-01 00:00")) is None


@pytest.mark.parametrize(
    ("now", "opens"),
    [("01-05 01:00", "now"), ("01-05 02:00", "01-05 04:00"), ("01-05 06:00", "01-05 20:00"), ("01-05 20:30", "now")],
)
def test_one_of_the_allowing_windows_has_to_be_open(now, opens):
    assert until(now, window("0 0,4 * * *", "2h"), window("0 20 * * *", "2h")) == opens


def test_denying_wins_and_the_next_moment_is_one_that_fits_all():
    evening, freeze = window("0 18 * * *", "4h"), window("0 19 5 1 *", "30h", allows=False)
    assert until("01-05 18:30", evening, freeze) == "now"
    assert until("01-05 19:00", evening, freeze) == "01-07 18:00"


def test_windows_that_never_agree_end_quickly():
    assert (
        until("01-05 18:30", window("*/2 * * * *", "1m"), window("*/2 * * * *", "1m", BERLIN, allows=False)) == "never"
    )


@pytest.mark.parametrize(
    ("labels", "is_closed"),
    [
        pytest.param({"team": "shop", "tier": "1", "x": "y"}, True, id="all of its labels"),
        pytest.param({"team": "shop"}, False, id="one of two"),
        pytest.param({"team": "shop", "tier": "2"}, False, id="another text"),
        pytest.param({}, False, id="none"),
    ],
)
def test_window_is_for_tasks_with_all_its_labels(labels, is_closed):
    found = closed([window("0 0 * * *", allows=False, team="shop", tier="1")], labels.items(), at("01-05 00:30"))
    assert (found is not None) == is_closed


# --- daylight saving -------------------------------------------------------------------------------------------------
# (zone, cron, duration, [(opens, closes) in UTC on the days round the change]). Berlin leaves out 02:00 to 03:00 on
# 2027-03-28 and shows it twice on 10-31; New York likewise on 03-14, and 01:00 to 02:00 on 11-07. Lord Howe leaves out
# 02:00 to 02:30 on 10-03 and shows 01:30 to 02:00 twice on 04-04.

CHANGES = {
    "Berlin, opens in the gap": (BERLIN, "30 2 * * *", "1h", [("03-27 01:30", "03-27 02:30"), ("03-28 01:00", "03-28 02:00"), ("03-29 00:30", "03-29 01:30")]),
    "Berlin, opens at the gap": (BERLIN, "0 2 * * *", "1h", [("03-27 01:00", "03-27 02:00"), ("03-28 01:00", "03-28 02:00"), ("03-29 00:00", "03-29 01:00")]),
    "Berlin, two in the gap": (BERLIN, "15,45 2 * * *", "20m", [("03-27 01:15", "03-27 01:35"), ("03-27 01:45", "03-27 02:05"), ("03-28 01:00", "03-28 01:20"), ("03-29 00:15", "03-29 00:35")]),
    "Berlin, spans the gap": (BERLIN, "0 22 * * *", "8h", [("03-27 21:00", "03-28 05:00"), ("03-28 20:00", "03-29 04:00")]),
    "Berlin, in the doubled hour": (BERLIN, "30 2 * * *", "1h", [("10-30 00:30", "10-30 01:30"), ("10-31 00:30", "10-31 01:30"), ("11-01 01:30", "11-01 02:30")]),
    "Berlin, at its beginning": (BERLIN, "0 2 * * *", "30m", [("10-30 00:00", "10-30 00:30"), ("10-31 00:00", "10-31 00:30"), ("11-01 01:00", "11-01 01:30")]),
    "Berlin, after it": (BERLIN, "0 3 * * *", "30m", [("10-30 01:00", "10-30 01:30"), ("10-31 02:00", "10-31 02:30"), ("11-01 02:00", "11-01 02:30")]),
    "Berlin, spans it": (BERLIN, "0 22 * * *", "8h", [("10-30 20:00", "10-31 04:00"), ("10-31 21:00", "11-01 05:00")]),
    "Berlin, each hour, spring": (BERLIN, "0 * * * *", "10m", [("03-28 00:00", "03-28 00:10"), ("03-28 01:00", "03-28 01:10"), ("03-28 02:00", "03-28 02:10")]),
    "Berlin, each hour, autumn": (BERLIN, "0 * * * *", "10m", [("10-31 00:00", "10-31 00:10"), ("10-31 01:00", "10-31 01:10"), ("10-31 02:00", "10-31 02:10")]),
    "Berlin, minutes of the doubled hour": (BERLIN, "*/30 2 * * *", "1m", [("10-31 00:00", "10-31 00:01"), ("10-31 00:30", "10-31 00:31"), ("10-31 01:00", "10-31 01:01"), ("10-31 01:30", "10-31 01:31")]),
    "Berlin, minutes of the gap": (BERLIN, "*/30 2 * * *", "1m", [("03-27 01:30", "03-27 01:31"), ("03-29 00:00", "03-29 00:01")]),
    "New York, opens in the gap": (NEW_YORK, "30 2 * * *", "1h", [("03-13 07:30", "03-13 08:30"), ("03-14 07:00", "03-14 08:00"), ("03-15 06:30", "03-15 07:30")]),
    "New York, spans the gap": (NEW_YORK, "0 1 * * *", "3h", [("03-13 06:00", "03-13 09:00"), ("03-14 06:00", "03-14 09:00"), ("03-15 05:00", "03-15 08:00")]),
    "New York, in the doubled hour": (NEW_YORK, "30 1 * * *", "1h", [("11-06 05:30", "11-06 06:30"), ("11-07 05:30", "11-07 06:30"), ("11-08 06:30", "11-08 07:30")]),
    "New York, spans it": (NEW_YORK, "0 0 * * *", "3h", [("11-06 04:00", "11-06 07:00"), ("11-07 04:00", "11-07 07:00"), ("11-08 05:00", "11-08 08:00")]),
    "Lord Howe, opens in the gap": (LORD_HOWE, "15 2 * * *", "10m", [("10-01 15:45", "10-01 15:55"), ("10-02 15:30", "10-02 15:40"), ("10-03 15:15", "10-03 15:25")]),
    "Lord Howe, spans the gap": (LORD_HOWE, "0 1 * * *", "2h", [("10-01 14:30", "10-01 16:30"), ("10-02 14:30", "10-02 16:30"), ("10-03 14:00", "10-03 16:00")]),
    "Lord Howe, in the doubled half hour": (LORD_HOWE, "45 1 * * *", "10m", [("04-02 14:45", "04-02 14:55"), ("04-03 14:45", "04-03 14:55"), ("04-04 15:15", "04-04 15:25")]),
    "Lord Howe, before the doubled half hour": (LORD_HOWE, "15 1 * * *", "10m", [("04-02 14:15", "04-02 14:25"), ("04-03 14:15", "04-03 14:25"), ("04-04 14:45", "04-04 14:55")]),
    "Lord Howe, minutes after it": (LORD_HOWE, "*/20 2 * * *", "1m", [("04-03 15:30", "04-03 15:31"), ("04-03 15:50", "04-03 15:51"), ("04-03 16:10", "04-03 16:11"), ("04-04 15:30", "04-04 15:31")]),
    "Lord Howe, minutes of it": (LORD_HOWE, "*/30 1 * * *", "1m", [("04-03 14:00", "04-03 14:01"), ("04-03 14:30", "04-03 14:31"), ("04-03 15:00", "04-03 15:01"), ("04-04 14:30", "04-04 14:31")]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_allowing_window_opens_and_closes_when_clocks_change(change):
    zone, cron, duration, times = change
    one = window(cron, duration, zone)
    for opens, closes in times:
        assert until(f"2027-{opens}", one) == "now"
        assert until(f"{at(closes) - MINUTE:%Y-%m-%d %H:%M}", one) == "now"
    for (_, closes), (opens, _) in pairwise(times):
        assert until(closes, one) == opens


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_denying_window_closes_and_opens_when_clocks_change(change):
    zone, cron, duration, times = change
    one = window(cron, duration, zone, allows=False)
    for opens, closes in times:
        assert until(f"{at(opens) - MINUTE:%Y-%m-%d %H:%M}", one) == "now"
        assert until(opens, one) == until(f"{at(closes) - MINUTE:%Y-%m-%d %H:%M}", one) == closes
        assert until(closes, one) == "now"


@pytest.mark.parametrize("now", ["10-31 00:30", "10-31 01:15", "03-28 00:59", "03-28 01:00"])
def test_window_over_both_hours_of_a_change_stays_open(now):
    assert until(now, window("* * * * *", "1m", BERLIN)) == "now"


# --- against a model that goes minute by minute ----------------------------------------------------------------------


@cache
def _local(minute, zone):
    """What the clock shows in a minute since 1970: (time, whether it was shown before)."""
    moment = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))
    return moment.replace(tzinfo=None, fold=0), moment.fold


def starts(minute, cron, zone):
    """Whether a window opens in a minute: of fields that are lists of numbers, all of them or none of the days."""
    minutes, hours, _, _, days = cron.split()
    now, again = _local(minute, zone)

    def fits(time):
        of_day = [
            field == "*" or int(value) in map(int, field.split(","))
            for field, value in ((minutes, time.minute), (hours, time.hour))
        ]
        return all(of_day) and (days == "*" or str(time.isoweekday() % 7) in days.split(","))

    if "*" in (minutes, hours):
        return fits(now)
    before = _local(minute - 1, zone)[0]
    left_out = (before + number * MINUTE for number in range(1, (now - before) // MINUTE))
    return (fits(now) and not again) or any(map(fits, left_out))


def is_open(one, minute):
    return any(starts(minute - back, one.cron, one.zone) for back in range(one.duration_s // 60))


def may_call(those, minute):
    allowing = [one for one in those if one.allows]
    denied = any(is_open(one, minute) for one in those if not one.allows)
    return not denied and (not allowing or any(is_open(one, minute) for one in allowing))


def some(of, most=3):
    lists = st.lists(of, min_size=1, max_size=most, unique=True)
    return lists.map(lambda found: ",".join(map(str, found)))


FIELDS = st.tuples(
    st.one_of(some(st.sampled_from((0, 1, 15, 30, 45, 59))), st.just("*")),
    st.one_of(some(st.integers(0, 4)), st.just("*")),
    st.one_of(some(st.integers(0, 6)), st.just("*")),
)
ONE = st.builds(
    lambda fields, minutes, zone, allows: window(
        f"{fields[0]} {fields[1]} * * {fields[2]}", f"{minutes}m", zone, allows=allows
    ),
    FIELDS,
    st.sampled_from((1, 2, 20, 60, 90)),
    st.sampled_from((BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu")),
    st.booleans(),
)
CHANGED = [
    at(day) for day in ("03-28 01:00", "10-31 01:00", "03-14 07:00", "11-07 06:00", "10-02 15:30", "04-03 15:00")
]
NEAR = st.builds(
    lambda change, minutes, seconds: change + timedelta(minutes=minutes, seconds=seconds),
    st.sampled_from([*CHANGED, at("01-01 00:00")]),
    st.integers(-200, 200),
    st.floats(0, 59.9),
)


@settings(deadline=None)  # the model is slow
@given(st.lists(ONE, min_size=1, max_size=3), NEAR)
@example([window("0,30 0,2 * * *", "90m", LORD_HOWE), window("30 1 * * *", "20m", BERLIN, allows=False)], CHANGED[4])
def test_it_is_closed_until_the_first_minute_that_is_open(those, now):
    found, minute = closed(those, (), now), int(now.timestamp()) // 60
    assert (found is None) == may_call(those, minute)
    if found is None:
        return
    ahead = range(minute, minute + 300)
    first = next((each for each in ahead if may_call(those, each)), None)
    if first is not None:
        assert found.until == datetime.fromtimestamp(first * 60, UTC)
    else:
        assert found.until is None or found.until >= datetime.fromtimestamp(ahead.stop * 60, UTC)


# --- in words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("those", "now", "reason"),
    [
        pytest.param([NIGHT], "11-22 12:00", 'window nights allows calls only for 8h from "0 22 * * 1-5": opens 2027-11-22 22:00 Europe/Berlin (21:00Z)', id="allow"),
        pytest.param([window("0 0 * * *", "90m", "Asia/Tokyo", name="b")], "01-05 17:00", 'window b allows calls only for 90m from "0 0 * * *": opens 2027-01-07 00:00 Asia/Tokyo (2027-01-06 15:00Z)', id="another day in UTC"),
        pytest.param([window("0 8 * * *", "24h", name="b", allows=False), window("0 4 1 * *", "2h")], "01-05 09:00", 'window b denies calls for 1d from "0 8 * * *" UTC: no call is possible within a year', id="never"),
        pytest.param([window("0 9 * * *", "1h", name="office", allows=False)], "01-05 09:10", 'window office denies calls for 1h from "0 9 * * *": calls may be made again 2027-01-05 10:00Z', id="deny, in UTC"),
    ],
)  # fmt: skip
def test_reason_says_which_window_what_it_does_and_when_calls_may_be_made(those, now, reason):
    assert closed(those, (), at(now)).reason == reason


def test_window_is_described_in_a_few_words():
    assert described(NIGHT) == 'allow 8h from "0 22 * * 1-5" Europe/Berlin'
    assert described(window("0 9 1 * *", "120m", allows=False)) == 'deny 2h from "0 9 1 * *" UTC'


def test_window_that_opens_first_is_named_and_a_denying_one_before_all():
    late, early, freeze = (
        window("0 22 * * *", name="late"),
        window("0 20 * * *", name="early"),
        window("0 9 * * *", name="freeze", allows=False),
    )
    assert closed([late, early, freeze], (), at("01-05 12:00")).window == "early"
    assert closed([late, early, freeze], (), at("01-05 09:00")).window == "freeze"


def test_windows_that_allow_and_never_open_are_named_by_the_first():
    assert closed([window("0 0 29 2 *", name=name) for name in "ab"], (), at("01-05 12:00")).window == "a"


# --- reading ---------------------------------------------------------------------------------------------------------

GOOD = {"kind": "deny", "cron": "0 9 * * *", "duration": "90m"}


def test_window_without_zone_and_labels_is_in_utc_and_for_all():
    one = read(GOOD, "office")
    assert (one.name, one.allows, one.duration_s, one.zone, one.labels) == ("office", False, 5400, "UTC", ())


@pytest.mark.parametrize(("text", "seconds"), [("1m", 60), ("8h", 28_800), ("366d", 31_622_400)])
def test_duration_is_read_in_seconds(text, seconds):
    assert read(GOOD | {"duration": text}, "w").duration_s == seconds


CRON = 'cron: expected five fields as in crontab(5), such as "0 22 * * 1-5", found '
ZONE = 'timezone: expected an IANA time zone such as "Europe/Berlin", found '


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"cron": "0 22 * *"}, CRON + '"0 22 * *" (not five fields)'),
        ({"cron": "0 0 22 * * *"}, CRON + '"0 0 22 * * *" (not five fields)'),
        ({"cron": "@daily"}, CRON + '"@daily" (not five fields)'),
        ({"cron": "0 25 * * *"}, CRON + '"0 25 * * *" (bad hour)'),
        ({"cron": "0 0 30 2 *"}, CRON + '"0 0 30 2 *" (bad day-of-month)'),
        ({"timezone": "Europe/Berln"}, ZONE + '"Europe/Berln". Did you mean "Europe/Berlin"?'),
        ({"timezone": "Mitteleuropa"}, ZONE + '"Mitteleuropa"'),
        ({"timezone": "Europe"}, ZONE + '"Europe"'),
        ({"timezone": "/etc/localtime"}, ZONE + '"/etc/localtime"'),
        ({"timezone": ""}, ZONE + '""'),
        ({"duration": "367d"}, 'duration: expected at most 366d, found "367d"'),
        ({"duration": "9999h"}, 'duration: expected at most 366d, found "9999h"'),
    ],
)  # fmt: skip
def test_window_that_cannot_be_meant_is_refused(wrong, text):
    with pytest.raises(WindowError) as error:
        read(GOOD | wrong, "w")
    assert str(error.value) == text


def test_digits_without_an_end_are_no_number():
    (fault,) = faults(GOOD | {"cron": f"*/{'9' * 5000} * * * *"})
    assert fault.found.endswith("(no number of this calendar)")


def test_every_fault_is_found_at_once():
    members = [fault.member for fault in faults({"cron": "x", "duration": "500d", "timezone": "x"})]
    assert members == ["cron", "duration", "timezone"]


@pytest.mark.parametrize(
    "content",
    [{}, {"cron": 1, "duration": [], "timezone": None}, {"duration": ""}, {"duration": "h"}, {"duration": "3w"}],
)
def test_what_does_not_fit_the_schema_is_passed_over(content):
    assert list(faults(content)) == []


@given(st.text(), st.text())
def test_any_text_is_a_window_or_a_fault(cron, zone):
    content = GOOD | {"cron": cron, "timezone": zone}
    if not list(faults(content)):
        closed([read(content, "w")], (), at("01-05 12:00"))


@given(st.text(alphabet="0123456789*/,-#Lw ", max_size=20))
def test_whatever_looks_like_cron_is_a_window_or_a_fault(cron):
    content = GOOD | {"cron": cron}
    if not list(faults(content)):
        closed([read(content, "w")], (), at("01-05 12:00"))


def test_tasks_that_ask_the_same_in_a_minute_get_one_answer():
    answers = {id(closed([NIGHT], [("number", str(number))], at(f"11-22 12:00:{number}"))) for number in range(10, 60)}
    assert len(answers) == 1
