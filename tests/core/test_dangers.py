"""One case for each change that config-files calls dangerous: how it acts, and in what words."""

import pytest

from reconciler.core.diff import diff
from reconciler.model import Action, DangerLevel
from tests.core.builders import CATALOGUE, CLIENT, applied, few, planned, task, whole

FORBID, CONFIRM, WARN = DangerLevel.FORBID, DangerLevel.CONFIRM, DangerLevel.WARN
DATAFLOW = "com.oceanbase.oms.connector.source.dataflow.DataFlowSourceBooster"
STREAM, PLUGIN, SIGHT = "reads another stream", "loads another plug-in", "OMS loses sight of the component"
ORDERS, CUSTOMER = {"name": "orders"}, {"name": "customer"}


def tables(*rules, **members):
    return {"whiteCondition": [{"name": "shop", "all": False, **members, "sub": list(rules)}]}


row = pytest.param
ROWS = [
    row("source", {"clients": [CLIENT]}, {"clients": [CLIENT | {"clientId": "x"}]}, FORBID, STREAM, id="client id"),
    row("source", {"clients": [CLIENT]}, {"clients": [CLIENT | {"subtopic": "x"}]}, FORBID, STREAM, id="subtopic"),
    row(
        "source", {"clients": [CLIENT]}, {"clients": [CLIENT | {"clusterManagerUrl": "x"}]}, FORBID, STREAM, id="store"
    ),
    row(
        "source", {"clients": [CLIENT]}, {"clients": [CLIENT, CLIENT | {"clientId": "x"}]}, FORBID, STREAM, id="client"
    ),
    row("source", {"clients": [CLIENT]}, {"clients": []}, FORBID, STREAM, id="no client"),
    row("source", {"clients": [CLIENT]}, {"clients": [CLIENT | {"odd": "x"}]}, FORBID, STREAM, id="unknown member"),
    row("source", {}, {"dbType": "OB_MYSQL"}, FORBID, STREAM, id="dbType"),
    row("coordinator", {}, {"sourceType": "OB_MYSQL"}, FORBID, STREAM, id="sourceType"),
    row("coordinator", {}, {"sinkType": "KAFKA"}, FORBID, STREAM, id="sinkType"),
    row("source", {}, {"boosterClass": DATAFLOW}, FORBID, PLUGIN, id="boosterClass of a source"),
    row("sink", {}, {"boosterClass": "x.Kafka"}, FORBID, PLUGIN, id="boosterClass of a sink"),
    row("source", {}, {"jar": "x.jar"}, FORBID, PLUGIN, id="jar of a source"),
    row("sink", {}, {"jar": "x.jar"}, FORBID, PLUGIN, id="jar of a sink"),
    row("source", {}, {"type": "X"}, FORBID, PLUGIN, id="type of a source"),
    row("sink", {}, {"type": "X"}, FORBID, PLUGIN, id="type of a sink"),
    row("coordinator", {}, {"customizeClass": "X"}, FORBID, PLUGIN, id="customizeClass"),
    row("sink", {}, {"jdbcUrl": "jdbc:x"}, FORBID, "writes the changes to another database", id="jdbcUrl"),
    row("sink", {}, {"username": "x"}, FORBID, "writes the changes to another database", id="username of a sink"),
    row("coordinator", {}, {"taskIdentity": "x"}, FORBID, SIGHT, id="taskIdentity"),
    row("coordinator", {}, {"taskSubId": "x"}, FORBID, SIGHT, id="taskSubId"),
    row("coordinator", {}, {"listenPort": "1"}, FORBID, SIGHT, id="listenPort"),
    row("coordinator", {}, {"enableMetricReportTask": "false"}, FORBID, SIGHT, id="report of metrics"),
    row("coordinator", {}, {"enableActiveReportTask": "false"}, FORBID, SIGHT, id="report of activity"),
    row("coordinator", {}, {"enableOmsConnectorV2Report": "false"}, FORBID, SIGHT, id="report of version 2"),
    row("source", {}, {"nonePkUkTruncateDstTable": "true"}, FORBID, "can empty target tables", id="truncate"),
    row("condition", {}, tables(ORDERS), CONFIRM, "stops being synchronised without an error", id="rule removed"),
    row(
        "condition",
        tables({"name": "order_*", "func": "fn"}),
        tables({"name": "order_1*", "func": "fn"}),
        CONFIRM,
        "stops being synchronised without an error",
        id="pattern narrowed",
    ),
    row(
        "condition",
        tables(ORDERS, all=True),
        tables(ORDERS),
        CONFIRM,
        "stops being synchronised without an error",
        id="all true to false",
    ),
    row(
        "condition",
        {},
        tables(ORDERS | {"map": "o"}, CUSTOMER),
        CONFIRM,
        "continues under another target name",
        id="map",
    ),
    row(
        "condition",
        {},
        tables(ORDERS, CUSTOMER, {"name": "item"}),
        CONFIRM,
        "rows that existed before are not loaded",
        id="table added",
    ),
    row("condition", {}, {"whiteCondition": ...}, CONFIRM, "the whole list of rules goes", id="list of rules removed"),
    row(
        "condition",
        {},
        {"blackCondition": [{"name": "shop"}]},
        CONFIRM,
        "stops being synchronised without an error",
        id="blacklisted",
    ),
    row("coordinator", {}, {"timezone": "+00:00"}, CONFIRM, "shifts time values", id="timezone of coordinator"),
    row("source", {}, {"timezone": "+00:00"}, CONFIRM, "shifts time values", id="timezone of source"),
    row("sink", {}, {"timezone": "+00:00"}, CONFIRM, "shifts time values", id="timezone of sink"),
    row("coordinator", {}, {"hotKeyMerge": "true"}, CONFIRM, "intermediate states of a row", id="hotKeyMerge"),
    row("sink", {}, {"hotKeyTable": ["a"]}, CONFIRM, "intermediate states of a row", id="hotKeyTable"),
    row(
        "sink", {"hotKeyTable": ["a"]}, {"hotKeyTable": ["b"]}, CONFIRM, "intermediate states of a row", id="hot tables"
    ),
    row(
        "sink",
        {},
        {"ignoreRedunantColumnsReplicate": "true"},
        CONFIRM,
        "a column missing on the target is dropped silently",
        id="redundant columns",
    ),
    row(
        "sink",
        {},
        {"enableNoUniqueConstraintTableReplicate": "true"},
        CONFIRM,
        "tables without a unique key get repeated rows",
        id="no unique key",
    ),
    row(
        "source",
        {"splitThreshold": "128"},
        {"splitThreshold": "64"},
        CONFIRM,
        "see parts of a source transaction",
        id="splitThreshold lowered",
    ),
    row("source", {}, {"splitThreshold": "64"}, CONFIRM, "parts of a source transaction", id="below the default"),
    row("source", {"splitThreshold": "64"}, {"splitThreshold": "128"}, None, "", id="splitThreshold raised"),
    row("sink", {}, {"workerNum": "64"}, WARN, "takes memory of the host", id="workerNum of a sink"),
    row("source", {}, {"workerNum": "64"}, WARN, "takes memory of the host", id="workerNum of a source"),
    row("coordinator", {}, {"connectorJvmParam": "-Xmx64g"}, WARN, "takes memory of the host", id="heap"),
    row("coordinator", {}, {"maxRecordCapacity": "1000000"}, WARN, "takes memory of the host", id="rows in flight"),
    row("coordinator", {}, {"throttleRps": "1"}, WARN, "lag grows until", id="throttleRps lowered"),
    row("coordinator", {}, {"throttleIOPS": "1"}, WARN, "lag grows until", id="throttleIOPS lowered"),
    row("coordinator", {}, {"throttleRps": "90000"}, None, "", id="throttleRps raised"),
    row("source", {}, {"password": "${env:OTHER}"}, None, "", id="another password of a source"),
    row("sink", {}, {"password": "${env:OTHER}"}, None, "", id="another password of a sink"),
    row("sink", {}, {"printSql": "true"}, None, "", id="harmless"),
]


def change(section, before, after, **members):
    """The item of the sample after a change in one section."""
    start, end = {**before}, {**before, **after}
    was = task(whole(**{section: start}))
    return planned(task(whole(**{section: end}), allow_delete=True, **members), applied(was))


@pytest.mark.parametrize(("section", "before", "after", "level", "words"), ROWS)
def test_a_danger_acts_by_its_level_and_says_what_can_happen(section, before, after, level, words):
    item = change(section, before, after)
    (key,) = after
    place = f"/{section}/{key}"
    if level in (FORBID, CONFIRM):
        assert item.rail == "danger"
        assert item.reason.startswith(f"{place} would be ")
        assert words in item.reason
        assert f'add "{place}" to allow in task.json' in item.reason
    else:
        assert (item.rail, item.action) == ("", Action.UPDATE)
        told = [remark for remark in item.remarks if remark.startswith(f"{place}: ")]
        assert [words in remark and remark.endswith("(warn)") for remark in told] == ([True] if level else [])


@pytest.mark.parametrize(("section", "before", "after", "level", "words"), ROWS)
def test_what_task_json_allows_goes_and_is_told_all_the_same(section, before, after, level, words):
    (key,) = after
    item = change(section, before, after, allow=(f"/{section}/{key}",))
    assert item.rail in ("", "incomplete")  # that is about what is missing
    (found,) = (each for each in item.changes if each.path == f"/{section}/{key}")
    assert (found.danger.level if found.danger else None) is level
    assert (words in found.danger.reason) if level else True


def test_another_password_of_a_client_is_no_other_stream():
    """The list changed, and only what changed in it counts."""
    client = {"clientId": "c", "instance": "10.0.0.31:2883", "username": "u", "password": "${env:SINK}"}
    flow = {"boosterClass": DATAFLOW, "checkpoint": ...}
    rotated = client | {"password": "${env:OTHER}"}
    item = change("source", flow | {"clients": [client]}, {"clients": [rotated]})
    assert (item.action, item.rail) == (Action.UPDATE, "")
    both = change("source", flow | {"clients": [client]}, {"clients": [rotated | {"clientId": "d"}]})
    assert both.rail == "danger"


def test_a_position_that_got_into_the_record_is_a_danger_wherever_it_changes():
    """No file can declare one; an earlier record may hold one all the same."""
    old, new = (few(source={"checkpoint": {"c": position}}) for position in ("1", "2"))
    (found,) = diff(old, new, CATALOGUE, {"source": "StoreSource"})
    assert (found.path, found.danger.level) == ("/source/checkpoint/c", FORBID)
    assert "moving it forward skips changes for good" in found.danger.reason


def test_a_first_send_has_no_danger():
    item = planned(task(whole()))
    assert [each.danger for each in item.changes if each.danger] == []
