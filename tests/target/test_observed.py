import pytest

from reconciler.model import Link, ObservedComponent, ObservedProject
from reconciler.target.observed import ShapeError, components, project, unix_seconds
from reconciler.target.words import HIDDEN, Scrubber

SCRUB = Scrubber(["hidden-word"])
ELEMENT = {
    "name": "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006",
    "region": "cn-beijing",
    "status": "RUNNING",
    "checkpoint": "2025-03-19T01:31:58",
    "delay": 3,
    "gmtModify": "2025-03-19T01:32:00",
    "errorDetails": [],
    "tps": 1,
}


def only(**changes):
    (component,) = components({"incrSyncComponents": [ELEMENT | changes]}, SCRUB)
    return component


def test_documented_component_is_read():
    assert only() == ObservedComponent(
        name=ELEMENT["name"],
        region="cn-beijing",
        link=Link.FORWARD,
        status="RUNNING",
        checkpoint=1742347918,
        delay_s=3,
        modified="2025-03-19T01:32:00",
        tps=1,
    )


@pytest.mark.parametrize(("tps", "read"), [("120", 120), (0, 0), (None, None), ("many", None)])
def test_rate_is_a_whole_number_or_nothing(tps, read):
    assert only(tps=tps).tps == read


def test_forward_link_comes_before_reverse_in_the_servers_order():
    data = {"reverseIncrSyncComponents": [{"name": "r"}], "incrSyncComponents": [{"name": "b"}, {"name": "a"}]}
    found = [(one.name, one.link) for one in components(data, SCRUB)]
    assert found == [("b", Link.FORWARD), ("a", Link.FORWARD), ("r", Link.REVERSE)]


def test_names_are_found_whatever_their_case():
    (one,) = components({"IncrSyncComponents": [{"Name": "n", "REGION": "r", "Status": "STOPPED"}]}, SCRUB)
    assert (one.name, one.region, one.status) == ("n", "r", "STOPPED")


@pytest.mark.parametrize("data", [None, {}, {"incrSyncComponents": None}, {"incrSyncComponents": []}, "{}"])
def test_missing_lists_mean_no_components(data):
    assert components(data, SCRUB) == ()


def test_data_may_be_a_text_that_holds_the_object():
    assert len(components('{"incrSyncComponents": [{}]}', SCRUB)) == 1


def test_unknown_status_stays_a_word():
    assert only(status="RE\x1bBUILDING").status == "RE BUILDING"


def test_empty_element_keeps_its_place():
    (one,) = components({"incrSyncComponents": [{}]}, SCRUB)
    assert one == ObservedComponent("", "", Link.FORWARD, "", None, None, "")


def test_modification_time_has_two_names():
    assert only(gmtModify=None, gmtModified=1742347918).modified == "1742347918"


def test_error_texts_are_joined_once_each_and_scrubbed():
    details = [
        {"code": "X", "message": "first hidden-word", "messageMcmsContext": {"message": "reason"}},
        {"message": "reason"},
        "plain text",
        {"upstreamErrorDetail": {"message": "below"}},
        None,
    ]
    assert only(errorDetails=details).errors == f"reason; first {HIDDEN}; plain text; below"


def test_single_error_detail_is_read_like_a_list_of_one():
    assert only(errorDetails={"message": "alone"}).errors == "alone"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], "expected data to be an object"),
        (5, "expected data to be an object"),
        ("text", "expected data to be an object"),
        ({"incrSyncComponents": {}}, "expected data.incrSyncComponents to be a list"),
        ({"reverseIncrSyncComponents": [{}, 1]}, r"expected data.reverseIncrSyncComponents\[1\] to be an object"),
    ],
)
def test_other_shapes_are_named(data, expected):
    with pytest.raises(ShapeError, match=expected):
        components(data, SCRUB)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("2025-03-19T01:31:58", 1742347918, id="documented"),
        pytest.param(" 2025-03-19 01:31:58.999 ", 1742347918, id="blank and fraction"),
        pytest.param("2025-03-19T01:31:58Z", 1742347918, id="UTC"),
        pytest.param("2025-03-19T09:31:58+08:00", 1742347918, id="zone"),
        pytest.param(1742347918, 1742347918, id="number"),
        pytest.param("1742347918", 1742347918, id="digits"),
        pytest.param(2**63, None, id="over 64 bit"),
        pytest.param("0001-01-01T00:00:00+14:00", -62135647200, id="before the first year"),
        pytest.param("12:3,400", None, id="file and offset"),
        pytest.param("", None, id="empty"),
        pytest.param(True, None, id="boolean"),
        pytest.param(1.5, None, id="float"),
        pytest.param(None, None, id="null"),
        pytest.param({}, None, id="object"),
    ],
)
def test_checkpoint_is_utc_text_or_seconds(value, seconds):
    assert unix_seconds(value) == seconds


def test_documented_progress_is_read():
    data = {"Status": "RUNNING", "incrSyncCheckpoint": 1742365118, "reverseIncrTransferCheckpoint": "1742365119"}
    assert project(data, SCRUB) == ObservedProject("RUNNING", 1742365118, 1742365119)


def test_position_of_another_source_stays_text():
    data = {"status": "X", "incrSyncCheckpoint": "12,3400", "reverseIncrTransferCheckpoint": True}
    assert project(data, SCRUB) == ObservedProject("X", "12,3400", None)


@pytest.mark.parametrize("data", [None, [], {}, {"status": None}, {"status": ["RUNNING"]}, "RUNNING"])
def test_progress_without_a_status_is_an_error(data):
    with pytest.raises(ShapeError, match="with a status"):
        project(data, SCRUB)
