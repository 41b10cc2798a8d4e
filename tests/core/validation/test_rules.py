import pytest

from reconciler.core.validation.rules import check
from tests.tasks import errors, examine, warnings


def found(**sections):
    return [(finding.rule, finding.document, "/".join(finding.path)) for finding in check(sections)]


def white(*rules):
    return {"condition": {"whiteCondition": list(rules)}}


def test_no_file_gives_no_finding():
    assert found() == []


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({"coordinator": {"timezone": 8}, "sink": {"timezone": "+00:00"}}, id="offset of another type"),
        pytest.param(
            {"coordinator": {"timezone": "${env:TZ}"}, "sink": {"timezone": "+00:00"}}, id="offset not known yet"
        ),
        pytest.param({"source": {"clients": {"a": 1}}}, id="clients of another type"),
        pytest.param({"source": {"clients": [1, {"clientId": 2}, {}, {"clientId": 2}]}}, id="ids of another type"),
        pytest.param({"source": {"splitThreshold": "many"}}, id="threshold of another type"),
        pytest.param({"source": {"splitThreshold": True}}, id="threshold that is a boolean"),
        pytest.param({"condition": {"whiteCondition": {"name": "a"}}}, id="rules of another type"),
        pytest.param(white(1, {"name": 1}, {"name": 1, "func": []}), id="rules with other types"),
        pytest.param(
            {"coordinator": {"connectorJvmParam": ["-Xmx1g"]}, "sink": {"workerNum": 9}}, id="options of another type"
        ),
        pytest.param({"coordinator": {"connectorJvmParam": "-Xss512k"}, "sink": {"workerNum": 9}}, id="no heap given"),
        pytest.param(
            {"coordinator": {"connectorJvmParam": "-Xmx1g"}, "sink": {"workerNum": "9999999999"}}, id="absurd workers"
        ),
    ],
)
def test_what_the_schema_speaks_about_is_passed_over(sections):
    assert found(**sections) == []


# --- offsets, types, heap, hot keys, thresholds --------------------------------------------------------------------


def test_each_offset_that_differs_from_the_first_is_doubtful():
    sections = {"coordinator": {"timezone": "+08:00"}, "source": {"timezone": "+00:00"}, "sink": {"timezone": "+08:00"}}
    assert found(**sections) == [("timezone", "source", "timezone")]


def test_equal_types_are_fine():
    assert found(coordinator={"sourceType": "MYSQL"}, source={"dbType": "MYSQL"}) == []


@pytest.mark.parametrize(
    ("options", "workers", "rules"),
    [
        pytest.param("-Xms8g -Xmx8g", "8", [], id="just enough"),
        pytest.param("-Xms8G -Xmx8192m", 8, [], id="equal in other units"),
        pytest.param("-Xmx8g", 9, ["heap"], id="too small"),
        pytest.param("-Xmx8388608k", "9", ["heap"], id="too small in KB"),
        pytest.param("-Xmx16g -Xmx8g", "9", ["heap"], id="the last counts"),
        pytest.param("-Xmx1t", "1024", [], id="TB"),
        pytest.param("-Xms4g -Xmx8g", "8", ["heap-initial"], id="initial differs"),
        pytest.param("-Xms4g", "8", [], id="no maximum"),
        pytest.param("-Xmx8gb", "9", [], id="not an option Java knows"),
        pytest.param("-Xms4g -Xmx8589934592", "9", [], id="a number too long to read"),
    ],
)
def test_heap_is_compared_with_the_workers(options, workers, rules):
    assert [
        rule for rule, _, _ in found(coordinator={"connectorJvmParam": options}, sink={"workerNum": workers})
    ] == rules


def test_message_about_the_heap_says_how_much_is_needed():
    (finding,) = check({"coordinator": {"connectorJvmParam": "-Xmx1536m"}, "sink": {"workerNum": "2"}})
    assert (finding.expected, finding.found) == ("-Xmx of at least 2g for workerNum 2 in sink.json", "-Xmx of 1.5g")


@pytest.mark.parametrize(("merge", "doubtful"), [(True, True), ("true", True), (False, False), ("false", False)])
def test_hot_keys_need_a_table(merge, doubtful):
    assert bool(found(coordinator={"hotKeyMerge": merge}, sink={})) == doubtful
    assert not found(coordinator={"hotKeyMerge": merge}, sink={"hotKeyTable": [{}]})


@pytest.mark.parametrize(("value", "doubtful"), [(512, False), ("512", False), (513, True), ("4096", True)])
def test_large_split_threshold_is_doubtful_but_valid(value, doubtful):
    examined = examine(source={"splitThreshold": value})
    assert examined.task
    assert bool(warnings(examined)) == doubtful


def test_every_client_has_an_id_of_its_own():
    clients = [{"clientId": name} for name in ("a", "b", "a", "a")]
    duplicates = [
        ("duplicate-client", "source", "clients/2/clientId"),
        ("duplicate-client", "source", "clients/3/clientId"),
    ]
    assert found(source={"clients": clients}) == duplicates


# --- condition rules -----------------------------------------------------------------------------------------------


def test_same_name_in_another_mode_is_another_rule():
    assert found(**white({"name": "a"}, {"name": "a", "func": "fn"}, {"name": "a", "func": "reg"})) == []


def test_absent_func_means_exact():
    assert found(**white({"name": "a"}, {"name": "a", "func": "exact"})) == [
        ("duplicate-rule", "condition", "whiteCondition/1/name")
    ]


def test_same_name_in_another_list_or_level_is_another_rule():
    lists = {"whiteCondition": [{"name": "a", "sub": [{"name": "a"}]}, {"name": "b", "sub": [{"name": "a"}]}]}
    assert found(condition=lists | {"blackCondition": [{"name": "a"}]}) == []


def test_duplicate_is_found_on_every_level():
    columns = [{"name": "c"}, {"name": "c"}]
    rules = white({"name": "d", "sub": [{"name": "t", "sub": columns}, {"name": "t"}]})
    places = {place for _, _, place in found(**rules)}
    assert places == {"whiteCondition/0/sub/0/sub/1/name", "whiteCondition/0/sub/1/name"}


@pytest.mark.parametrize(
    ("rule", "nothing"),
    [
        pytest.param({"name": "d", "all": False}, True, id="database"),
        pytest.param({"name": "d", "all": False, "sub": []}, True, id="empty sub"),
        pytest.param({"name": "d", "all": True}, False, id="everything"),
        pytest.param({"name": "d"}, False, id="default"),
        pytest.param({"name": "d", "all": False, "sub": [{"name": "t", "all": False}]}, True, id="table"),
        pytest.param({"name": "d", "sub": [{"name": "t", "sub": [{"name": "c", "all": False}]}]}, False, id="column"),
    ],
)
def test_rule_without_all_and_parts_selects_nothing(rule, nothing):
    assert [name for name, _, _ in found(**white(rule))] == ["selects-nothing"] * nothing


@pytest.mark.parametrize(
    ("pattern", "doubtful"),
    [
        ("^shop_[0-9]{4}$", False),
        (r"\p{Lu}\pL(?<year>\d+)(?<=x)(?<!y)a*+", False),
        ("[a-z&&[^b]]", False),
        ("(" * 2000, False),
        ("(", True),
        ("*", True),
        ("a{99999999999}", True),
    ],
    ids=["plain", "Java's own", "intersection", "too long to try", "open group", "nothing to repeat", "absurd count"],
)
def test_pattern_that_does_not_compile_is_doubtful(pattern, doubtful):
    assert bool(found(**white({"name": pattern, "func": "reg"}))) == doubtful


def test_number_of_findings_is_bounded():
    assert len(found(**white(*[{"name": "a"}] * 1000))) == 200


# --- task.json and reset.json --------------------------------------------------------------------------------------


def test_declared_safeguard_that_is_not_carried_out_is_refused():
    assert errors(examine(task={"health": {}})) == {("not-carried-out", "shop/task.json", "/health")}


def test_empty_list_of_unmanaged_places_goes_with_deleting():
    assert examine(task={"allowDelete": True, "unmanaged": []}).task


RESET = {"request": "r1", "id": "np_4x9jabcd", "startTimestamp": 1_700_000_000, "reason": "lost logs"}


@pytest.mark.parametrize(
    "moment",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:30Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+10:00",
        "2026-01-01T00:00+99:00",
    ],
)
def test_moment_that_does_not_exist_is_refused(moment):
    assert errors(examine(reset=RESET | {"startTimestamp": moment})) == {
        ("moment", "shop/reset.json", "/startTimestamp")
    }
    assert errors(examine(task={"suspend": {"reason": "x", "until": moment}})) == {
        ("moment", "shop/task.json", "/suspend/until")
    }


def test_reset_of_a_component_with_an_opaque_name_is_not_judged():
    assert examine(task={"key": "anything"}, reset=RESET).task


def test_reset_of_another_project_than_the_role_is_refused():
    task = b'{"component": {"project": "np_other", "link": "forward"}}'
    assert errors(examine(task=task, reset=RESET)) == {("reset-project", "shop/reset.json", "/id")}


def test_reset_of_the_other_link_than_the_role_is_refused():
    task = b'{"component": {"project": "np_4x9jabcd", "link": "forward"}}'
    assert errors(examine(task=task, reset=RESET | {"reverse": True})) == {
        ("reset-link", "shop/reset.json", "/reverse")
    }


def test_role_that_cannot_be_read_judges_no_reset():
    task = b'{"component": {"project": 7, "link": "sideways"}}'
    assert {rule for rule, file, _ in errors(examine(task=task, reset=RESET)) if "reset" in file} == set()


def test_reset_beside_a_wide_address_is_not_judged():
    task = {"dimension": "TASK_NAME", "key": "np_other"}
    sections = dict.fromkeys(("coordinator", "condition", "source", "sink"), b"{}")
    assert examine(task=task, reset=RESET, **sections).task
