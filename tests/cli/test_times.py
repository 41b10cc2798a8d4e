"""Times on a command line; what is none is tested where `history` takes it."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from reconciler.cli.times import beginning, end

ARGUMENTS = (click.Context(click.Command("any")), click.Option(["--since"]))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20", "2026-11-20T00:00:00+00:00"),
        ("20261120", "2026-11-20T00:00:00+00:00"),
        (" 2026-11-20T21:00 ", "2026-11-20T21:00:00+00:00"),
        ("2026-11-20 21:00:05.5", "2026-11-20T21:00:05.500000+00:00"),
        ("2026-11-20T21:00Z", "2026-11-20T21:00:00+00:00"),
        ("2026-11-20T21:00+01:00", "2026-11-20T20:00:00+00:00"),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text, time):
    assert beginning(*ARGUMENTS, text).isoformat() == time


def test_only_a_date_has_another_end_than_its_beginning():
    assert end(*ARGUMENTS, "2026-11-20").isoformat() == "2026-11-21T00:00:00+00:00"
    assert end(*ARGUMENTS, "2026-11-20T00:00").isoformat() == "2026-11-20T00:00:00+00:00"


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("90m", 5400), ("2h", 7200), ("7d", 604800), ("2w", 1209600)])
@pytest.mark.parametrize("callback", [beginning, end], ids=["beginning", "end"])
def test_how_long_ago_counts_from_now(callback, text, seconds):
    before = datetime.now(UTC)
    found = callback(*ARGUMENTS, text) + timedelta(seconds=seconds)
    assert before <= found <= datetime.now(UTC)


def test_nothing_given_is_no_time():
    assert (beginning(*ARGUMENTS, None), end(*ARGUMENTS, None)) == (None, None)
