import pytest

from reconciler import resources
from reconciler.core.validation.fleetfacts import facts_of, hosts_of, source_ids, tables
from tests import tasks

CATALOGUE = resources.catalogue()


def facts(**changes):
    return facts_of(tasks.examine(**changes).task, CATALOGUE)


def named(**condition):
    """`{target: source}` of the tables that a condition names."""
    return {table.target: table.source for _, table in tables(condition)}


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("jdbc:oceanbase://10.0.0.41:2883?useUnicode=true", ("10.0.0.41:2883",)),
        ("jdbc:oceanbase://10.0.0.41:2883/shop?a=b", ("10.0.0.41:2883",)),
        ("jdbc:oceanbase://DB.Example:2883/x", ("db.example:2883",)),
        ("jdbc:oceanbase:hamode://a:1,b:2/x", ("a:1", "b:2")),
        ("jdbc:mysql://user:pa@ss@host/db", ("host",)),
        ("jdbc:postgresql://[fe80::1]:5432/db", ("[fe80::1]:5432",)),
        ("jdbc:oracle:thin:@host:1521:orcl", ("host:1521",)),
        ("jdbc:oracle:thin:@//host:1521/orcl", ("host:1521",)),
        ("jdbc:oracle:thin:scott/tiger@host:1521/orcl", ("host:1521",)),
        ("jdbc:sqlserver://host:1433;databaseName=x", ("host:1433",)),
        ("jdbc:oceanbase://10.0.0.41:2883?password=${env:P}", ("10.0.0.41:2883",)),
        ("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h)(PORT=1)))", ()),
        ("jdbc:mysql://address=(host=h)(port=1)/db", ()),
        ("${env:URL}", ()),
        ("jdbc:oceanbase://${env:HOST}:2883", ()),
        ("jdbc:h2:mem", ()),
        ("", ()),
        (7, ()),
        (None, ()),
    ],
)
def test_hosts_of_an_address(address, hosts):
    assert hosts_of(address) == hosts


def test_tables_are_those_that_no_pattern_is_needed_for():
    rules = [
        {"name": "shop", "map": "store", "all": False, "sub": [{"name": "orders"}, {"name": "item", "map": "items"}]},
        {"name": "shop", "func": "exact", "sub": [{"name": "a", "func": "exact"}, {"name": "b_*", "func": "fn"}]},
        {"name": "s_[0-9]", "func": "reg", "sub": [{"name": "orders"}]},
        {"name": "whole"},
    ]
    assert named(whiteCondition=rules) == {
        "store.orders": "shop.orders",
        "store.items": "shop.item",
        "shop.a": "shop.a",
    }


@pytest.mark.parametrize(
    ("black", "left"),
    [
        pytest.param([], {"shop.a", "shop.b"}, id="none"),
        pytest.param([{"name": "shop"}], set(), id="the database"),
        pytest.param([{"name": "shop", "all": False, "sub": [{"name": "a"}]}], {"shop.b"}, id="a table"),
        pytest.param([{"name": "shop", "all": False}], {"shop.a", "shop.b"}, id="nothing"),
        pytest.param([{"name": "shop", "sub": [{"name": "a", "all": False}]}], {"shop.a", "shop.b"}, id="no table"),
        pytest.param(
            [{"name": "shop", "sub": [{"name": "a", "sub": [{"name": "id"}]}]}], {"shop.a", "shop.b"}, id="a column"
        ),
        pytest.param([{"name": "sh*", "func": "fn"}], {"shop.a", "shop.b"}, id="a pattern"),
    ],
)
def test_what_the_blacklist_names_is_not_written(black, left):
    white = [{"name": "shop", "all": False, "sub": [{"name": "a"}, {"name": "b"}]}]
    assert set(named(whiteCondition=white, blackCondition=black)) == left


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        pytest.param({"source_id": "c-1"}, [("source_id",)], id="at the top"),
        pytest.param({"heartbeat": {"source_id": 7}}, [("heartbeat", "source_id")], id="inside an object"),
        pytest.param({"x": [{"source_id": "c"}]}, [("x", "0", "source_id")], id="inside a list"),
        pytest.param({"source_id": ["a", "b"]}, [("source_id", "0"), ("source_id", "1")], id="a list of them"),
        pytest.param(
            {"whiteCondition": [{"name": "a", "sub": [{"name": "b", "attr": {"source_id": "c"}}]}]},
            [("whiteCondition", "0", "sub", "0", "attr", "source_id")],
            id="as an attribute",
        ),
        pytest.param({"source_id": "${env:ID}"}, [], id="a reference"),
        pytest.param({"source_id": True}, [], id="a boolean"),
        pytest.param({"source_id": {"a": "b"}}, [], id="an object"),
        pytest.param({"whiteCondition": [{"name": "source_id"}], "other": "c"}, [], id="elsewhere a name"),
    ],
)
def test_source_ids_are_found_wherever_they_stand(condition, found):
    assert [path for path, _ in source_ids(condition)] == found


def test_facts_say_what_a_task_asks_for():
    found = facts(source={"clients": [{"clientId": "a"}, {"subtopic": "x"}, {"clientId": "b"}]})
    assert (found.task, found.clients, found.hosts) == ("shop", ("a", "b"), ("10.0.0.21:2883",))
    assert (found.throttle_rps, found.workers, len(found.tables)) == (20_000, 16, 2)


@pytest.mark.parametrize(
    ("changes", "throttle", "workers"),
    [
        pytest.param({"coordinator": b"{}", "sink": {"workerNum": 8}}, None, 8, id="no throttle, a number"),
        pytest.param({"sink": b'{"jdbcUrl": "jdbc:x://h"}'}, 20_000, None, id="unknown plug-in without workers"),
        pytest.param(
            {"sink": f'{{"boosterClass": "{tasks.JDBC}", "jdbcUrl": "jdbc:x://h"}}'.encode()}, 20_000, 16, id="default"
        ),
    ],
)
def test_amounts_come_from_the_files_or_the_catalogue(changes, throttle, workers):
    found = facts(**changes)
    assert (found.throttle_rps, found.workers) == (throttle, workers)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"username": "other@shop#ob"}, True, id="another user of the tenant"),
        pytest.param({"username": "u@SHOP#OB"}, True, id="in capitals"),
        pytest.param({"username": "u@pay#ob"}, False, id="another tenant"),
        pytest.param({"jdbcUrl": "jdbc:oceanbase://10.0.0.21:2883/x?a=b"}, True, id="other options"),
        pytest.param({"jdbcUrl": "jdbc:oceanbase://10.0.0.22:2883"}, False, id="another host"),
    ],
)
def test_a_database_is_its_host_and_tenant(changes, same):
    sinks = [facts(sink={"username": "u@shop#ob"} | change).sink for change in ({}, changes)]
    assert (sinks[0] == sinks[1], 0 in sinks) == (same, False)


@pytest.mark.parametrize("change", [{"username": "${env:U}"}, {"jdbcUrl": "${env:URL}"}], ids=["user", "address"])
def test_a_database_behind_a_reference_is_not_compared(change):
    found = facts(sink=change)
    assert (found.sink, list(found.tables)) == (0, [])
