import json
import tomllib

import pytest

from reconciler import resources
from reconciler.core.validation.fleetfacts import facts_of
from reconciler.core.validation.fleetrules import MAX_FINDINGS, check, remarks
from reconciler.model import Cap, RawTask
from tests import tasks

CATALOGUE = resources.catalogue()
RULEBOOK = resources.rules()
HOST = "10.0.0.21:2883"


def fleet(**documents):
    """Valid tasks of these names, each with its documents laid over the usual ones."""
    found = {name: tasks.VALIDATOR.examine(RawTask(name, tasks.files(**d))).task for name, d in documents.items()}
    assert None not in found.values()
    return found


def ask(found, *caps):
    return list(check((facts_of(task, CATALOGUE) for task in found.values()), caps, found.get))


def told(found, *caps):
    """(task, rule, pointer) of every finding."""
    return [(each.task, each.finding.rule, "/".join(each.finding.path)) for each in ask(found, *caps)]


def writes(*tables, database="shop", **rule):
    """A condition that takes these tables."""
    subs = [table if isinstance(table, dict) else {"name": table} for table in tables]
    return {"condition": {"whiteCondition": [{"name": database, "all": False, "sub": subs, **rule}]}}


@pytest.mark.parametrize("rule", [name for name in RULEBOOK if name.startswith("fleet-")])
@pytest.mark.parametrize("which", ["wrong", "right"])
def test_examples_of_the_rulebook_are_true(rule, which):
    documents, caps = {}, []
    for name, text in getattr(RULEBOOK[rule], which):
        task, _, file = name.partition("/")
        if not file:
            caps = [Cap(**({"throttle_rps": 0, "workers": 0} | cap)) for cap in tomllib.loads(text)["fleet"]["caps"]]
        else:
            documents.setdefault(task, {})[file.removesuffix(".json")] = json.loads(text)
    found = {each.finding.rule for each in ask(fleet(**documents), *caps)}
    assert found == ({rule} if which == "wrong" else set())


def test_rules_without_anything_to_say_say_nothing():
    assert ask(fleet(a={}, b={}), Cap(HOST, 40_000, 32), Cap("other", 1, 1), Cap(HOST, 0, 0)) == []


# --- source_id -----------------------------------------------------------------------------------------------------


def test_a_source_id_may_be_a_client_of_any_task():
    clients = {"source": {"clients": [{"clientId": "c-9"}]}}
    assert told(fleet(a={"condition": {"source_id": "c-9"}}, b=clients)) == []


def test_an_unknown_source_id_is_told_at_its_place():
    found = fleet(a={"condition": {"heartbeat": {"source_id": "c-9"}, "source_id": "c-1-0"}}, b={})
    assert told(found) == [("a", "fleet-source-id", "heartbeat/source_id")]
    assert ask(found)[0].finding.found == '"c-9"'


def test_no_more_findings_than_anybody_reads():
    found = fleet(a={"condition": {"x": {"source_id": [f"x{number}" for number in range(MAX_FINDINGS + 9)]}}})
    assert len(ask(found)) == MAX_FINDINGS


# --- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "clashes"),
    [
        pytest.param(writes("orders"), False, id="the same"),
        pytest.param(writes("other"), False, id="another table"),
        pytest.param(writes("orders", database="store"), False, id="another database"),
        pytest.param(writes("orders", database="store", map="shop"), True, id="from another database"),
        pytest.param(writes({"name": "orders_1", "map": "orders"}), True, id="from another table"),
        pytest.param(writes({"name": "orders", "map": "orders", "all": True}), False, id="defaults written out"),
        pytest.param(writes({"name": "orders", "all": False, "sub": [{"name": "id"}]}), True, id="with fewer columns"),
        pytest.param(writes({"name": "orders", "attr": {"filter": "id > 1"}}), True, id="with a filter"),
        pytest.param(writes({"name": "orders_*", "map": "orders", "func": "fn"}), False, id="by a pattern"),
        pytest.param(writes("orders", {"name": "old", "map": "orders"}), True, id="from one more table"),
        pytest.param(
            writes("orders") | {"sink": {"jdbcUrl": "jdbc:oceanbase://10.0.0.22:2883"}}, False, id="elsewhere"
        ),
        pytest.param(writes("x", database="s") | {"sink": {"username": "u@other#ob"}}, False, id="in another tenant"),
    ],
)
def test_two_tasks_may_write_one_table_in_one_way_only(second, clashes):
    expected = [("b", "fleet-sink-table")] if clashes else []
    assert [(task, rule) for task, rule, _ in told(fleet(a=writes("orders"), b=second))] == expected


def test_both_tasks_and_both_tables_are_named():
    second = writes("x", {"name": "orders_1", "map": "orders"}, {"name": "i", "map": "item"}, database="s", map="shop")
    (found,) = ask(fleet(a=writes("orders", "item"), b=second))
    assert found.finding.path == ("whiteCondition", "0", "sub", "1")
    assert found.tasks == ("a", "b")
    assert found.finding.expected == f"table shop.orders at {HOST} written from shop.orders only, as by task a"
    assert found.finding.found == "written from s.orders_1; likewise 1 more table"


def test_other_columns_are_told_as_such():
    (found,) = ask(fleet(a=writes("orders"), b=writes({"name": "orders", "all": False, "sub": [{"name": "id"}]})))
    assert found.finding.expected == f"table shop.orders at {HOST} with the columns of task a"
    assert found.finding.found == "other tables or columns as well"


def test_tables_that_changed_meanwhile_are_not_told():
    found = fleet(a=writes("orders"), b=writes("orders", database="s", map="shop"))
    facts = [facts_of(task, CATALOGUE) for task in found.values()]
    assert list(check(facts, (), {}.get)) == []


# --- caps ----------------------------------------------------------------------------------------------------------


def asking(rps=20_000, workers=16, host=HOST):
    coordinator = tasks.DOCUMENTS_OF_A_TASK["coordinator"] | {"connectorJvmParam": "-Xmx64g"}
    coordinator = {key: value for key, value in coordinator.items() if key != "throttleRps" or rps is not None}
    sink = {"jdbcUrl": f"jdbc:oceanbase://{host}/", "workerNum": workers}
    throttled = coordinator | ({} if rps is None else {"throttleRps": rps})
    return {"coordinator": json.dumps(throttled).encode(), "sink": sink}


THROTTLE, WORKER = ("fleet-throttle-cap", "throttleRps"), ("fleet-worker-cap", "workerNum")


@pytest.mark.parametrize(
    ("cap", "shares", "over"),
    [
        pytest.param(Cap(HOST, 40_001, 0), [20_000, 20_000], (), id="throttle below"),
        pytest.param(Cap(HOST, 40_000, 0), [20_000, 20_000], (), id="throttle at"),
        pytest.param(Cap(HOST, 39_999, 0), [20_000, 20_000], THROTTLE, id="throttle above"),
        pytest.param(Cap(HOST, 10**9, 0), [20_000, None], THROTTLE, id="no throttle"),
        pytest.param(Cap("10.0.0.21", 39_999, 0), [20_000, 20_000], THROTTLE, id="every port"),
        pytest.param(Cap("10.0.0.21:2881", 1, 1), [20_000], (), id="another port"),
        pytest.param(Cap("10.0.0.2", 1, 1), [20_000], (), id="another host that begins alike"),
        pytest.param(Cap(HOST, 0, 33), [1, 1], (), id="workers below"),
        pytest.param(Cap(HOST, 0, 32), [1, 1], (), id="workers at"),
        pytest.param(Cap(HOST, 0, 31), [1, 1], WORKER, id="workers above"),
    ],
)
def test_caps_hold_for_the_sum_of_all_tasks(cap, shares, over):
    found = told(fleet(**{f"t{number}": asking(rps) for number, rps in enumerate(shares)}), cap)
    assert [(rule, place) for _, rule, place in found] == ([over] if over else [])


def test_a_host_is_known_in_capitals_too():
    found = fleet(a=asking(host="DB.Example:2883"))
    assert told(found, Cap("db.EXAMPLE", 1, 0)) == [("a", "fleet-throttle-cap", "throttleRps")]


def test_the_largest_share_is_where_a_cap_is_told_and_comes_first():
    found = fleet(a=asking(1000, 4), b=asking(9000, 8), c=asking(5000, 8))
    throttle, workers = ask(found, Cap(HOST, 10_000, 10))
    assert (throttle.task, workers.task, throttle.tasks) == ("b", "b", ("a", "b", "c"))
    assert throttle.finding.expected == f"at most 10,000 records/s by all tasks that write to {HOST} (fleet.caps)"
    assert throttle.finding.found == "15,000 by 3 tasks: b (9,000), c (5,000), a (1,000)"
    assert workers.finding.found == "20 by 3 tasks: b (8), c (8), a (4)"


def test_tasks_without_a_throttle_are_named_up_to_a_few():
    found = fleet(**{f"t{number}": asking(None) for number in range(7)}, a=asking(5))
    (finding,) = ask(found, Cap(HOST, 10, 0))
    assert finding.task == "t0"
    assert finding.finding.found == "no throttle in 7 of 8 tasks: t0, t1, t2, t3, t4 and 2 more"


def test_workers_that_nobody_knows_are_named():
    unknown = {"sink": json.dumps({"jdbcUrl": f"jdbc:x://{HOST}"}).encode()}
    (finding,) = ask(fleet(a=asking(workers=16), b=unknown), Cap(HOST, 0, 15))
    assert finding.finding.found == "16 by 1 task: a (16); not counted, as how many is not known: b"


# --- remarks -------------------------------------------------------------------------------------------------------


def test_a_plan_says_a_few_and_how_many_more():
    found = ask(fleet(a={"condition": {"x": {"source_id": ["1", "2", "3", "4", "5"]}}}))
    said = remarks(found, lambda _: True)
    first = 'fleet-source-id: a: expected a clientId that a task declares in clients of source.json, found "1"'
    assert (len(said), said[0]) == (4, first)
    assert said[-1] == "2 more remarks about several tasks: reconciler validate shows all"


def test_a_plan_for_some_tasks_says_what_concerns_them():
    found = ask(fleet(a=writes("orders"), b=writes("orders", database="s", map="shop"), c={}))
    assert [len(remarks(found, name.__eq__)) for name in ("a", "b", "c")] == [1, 1, 0]
