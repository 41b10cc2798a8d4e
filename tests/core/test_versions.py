import pytest

from reconciler.core.versions import refusal

UPDATE, RESET = "UpdateIncrSync", "ResetIncrStartTimestamp"


@pytest.mark.parametrize(
    ("action", "edition", "version"),
    [
        (UPDATE, "CE", "4.1.1"),
        (UPDATE, "CE", "4.1.1-CE"),
        (UPDATE, "CE", "V4.2.12_CE_BP1"),
        (UPDATE, "CE", "4.10"),
        (UPDATE, "CE", "5"),
        (UPDATE, "EE", "4.1.0"),
        (UPDATE, "EE", "3.3.1"),
        (RESET, "EE", "4.3.0"),
        (RESET, "EE", "4.3.2"),
        ("DescribeRegions", "CE", "4.0.0"),
    ],
)
def test_documented_release_is_not_refused(action, edition, version):
    assert refusal(action, edition, version) is None


@pytest.mark.parametrize(
    ("action", "edition", "version", "expected"),
    [
        (UPDATE, "CE", "4.1.0", "OMS CE 4.1.1 or newer, found 4.1.0"),
        (UPDATE, "CE", "4.1", "OMS CE 4.1.1 or newer"),
        (UPDATE, "CE", "3.3.1-CE", "found 3.3.1-CE"),
        (UPDATE, "CE", "newest", 'such as 4.1.1, found "newest"'),
        (UPDATE, "CE", "4..1", 'found "4..1"'),
        (UPDATE, "CE", "", 'found ""'),
        (RESET, "EE", "4.2.4", "OMS EE 4.3.0 or newer, found 4.2.4"),
        (RESET, "CE", "4.9.9", "Enterprise Edition (EE), found CE 4.9.9"),
    ],
)
def test_older_or_unreadable_release_is_refused_and_told_why(action, edition, version, expected):
    assert expected in refusal(action, edition, version)


def test_refusal_says_that_nothing_was_sent():
    assert "Nothing was sent" in refusal(RESET, "CE", "4.2.5")
