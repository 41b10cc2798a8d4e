import json
from datetime import UTC, datetime

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import resources
from reconciler.core.validation.explain import Explainer
from reconciler.core.validation.findings import RULES, shown
from reconciler.core.validation.validator import DOCUMENTS, Validator, address_clashes
from reconciler.model import (
    TASK_FILES,
    Address,
    ComponentRole,
    Dimension,
    Link,
    Place,
    RawTask,
    Severity,
    Suspension,
    Violation,
)
from tests.tasks import DATAFLOW, JDBC, NAME, RESET, ROLE, STORE, VALIDATOR, errors, examine, files, only, warnings

SENTINEL = "S3NTINEL"
BY_ROLE = json.dumps({"component": ROLE}).encode()
WIDE = {"task": {"dimension": "IP"}, "condition": b"{}", "source": b"{}"}
NIGHTS = {"kind": "allow", "cron": "0 22 * * *", "duration": "8h", "timezone": "Europe/Berlin"}

# rule -> (changes to a valid task, file, pointer)
EXAMPLES = {
    "missing-file": ({"sink": None}, "sink", ""),
    "empty-file": ({"sink": b""}, "sink", ""),
    "too-large": ({"sink": b" " * 1_048_577}, "sink", ""),
    "not-utf8": ({"sink": b"\xff"}, "sink", ""),
    "bom": ({"sink": b"\xef\xbb\xbf{}"}, "sink", ""),
    "syntax": ({"sink": b"{"}, "sink", ""),
    "trailing-data": ({"sink": b"{} {}"}, "sink", ""),
    "not-an-object": ({"sink": b"[]"}, "sink", ""),
    "duplicate-key": ({"sink": b'{"dryRun": true, "dryRun": true}'}, "sink", "/dryRun"),
    "null": ({"sink": b'{"workerNum": null}'}, "sink", "/workerNum"),
    "not-a-number": ({"sink": b'{"workerNum": NaN}'}, "sink", "/workerNum"),
    "number-range": ({"sink": b'{"workerNum": 1e999}'}, "sink", "/workerNum"),
    "lone-surrogate": ({"sink": b'{"username": "\\ud800"}'}, "sink", "/username"),
    "control-character": ({"sink": b'{"username": "\x07"}'}, "sink", "/username"),
    "too-deep": ({"sink": b'{"workerNum": ' + b"[" * 99}, "sink", "/workerNum" + "/0" * 63),
    "schema": ({"coordinator": {"throttleRps": 0}}, "coordinator", "/throttleRps"),
    "missing-member": ({"condition": {"whiteCondition": [{"map": "b"}]}}, "condition", "/whiteCondition/0"),
    "unknown-member": ({"task": {"owner": "me"}}, "task", "/owner"),
    "near-miss": ({"coordinator": {"throtleRps": "5"}}, "coordinator", "/throtleRps"),
    "unknown-key": ({"sink": {"batchMode": "x"}}, "sink", "/batchMode"),
    "other-plugin-key": ({"source": {"sliceWorkerNum": "4"}}, "source", "/sliceWorkerNum"),
    "unknown-value": ({"coordinator": {"sinkType": "KAFKA"}}, "coordinator", "/sinkType"),
    "json-text": ({"sink": {"hotKeyTable": "[1"}}, "sink", "/hotKeyTable"),
    "literal-secret": ({"sink": {"password": "hunter2"}}, "sink", "/password"),
    "reference": ({"sink": {"username": "${vault:x}"}}, "sink", "/username"),
    "checkpoint-reference": ({"sink": {"username": "${oms:checkpoint}"}}, "sink", "/username"),
    "checkpoint-literal": ({"source": {"checkpoint": {"c-1-0": "1760000000"}}}, "source", "/checkpoint"),
    "not-managed": ({"coordinator": {"taskIdentity": "np_4x9jabcd"}}, "coordinator", "/taskIdentity"),
    "wide-address": (WIDE | {"coordinator": b'{"sourceType": "MYSQL"}', "sink": b"{}"}, "coordinator", "/sourceType"),
    "wide-delete": (
        {"task": {"dimension": "TASK_NAME", "allowDelete": True}} | dict.fromkeys(DOCUMENTS[1:5], b"{}"),
        "task",
        "/allowDelete",
    ),
    "unmanaged-delete": ({"task": {"allowDelete": True, "unmanaged": ["/sink/dryRun"]}}, "task", "/unmanaged"),
    "unmanaged-part": ({"task": {"unmanaged": ["/sink/workerNum", "/sink/props/a"]}}, "task", "/unmanaged/1"),
    "not-carried-out": ({"task": {"health": {}}}, "task", "/health"),
    "address": ({"task": {"component": ROLE}}, "task", ""),
    "moment": ({"reset": RESET | {"expires": "2026-02-30T00:00:00Z"}}, "reset", "/expires"),
    "window": ({"task": {"windows": [NIGHTS, NIGHTS | {"cron": "0 25 * * *"}]}}, "task", "/windows/1/cron"),
    "reset-project": ({"reset": RESET | {"id": "np_other"}}, "reset", "/id"),
    "reset-link": ({"task": BY_ROLE, "reset": RESET}, "reset", "/reverse"),
    "duplicate-rule": ({"condition": {"whiteCondition": [{"name": "a"}] * 2}}, "condition", "/whiteCondition/1/name"),
    "duplicate-client": ({"source": {"clients": [{"clientId": "c"}] * 2}}, "source", "/clients/1/clientId"),
    "selects-nothing": ({"condition": {"whiteCondition": []}}, "condition", "/whiteCondition"),
    "regex": ({"condition": {"whiteCondition": [{"name": "(", "func": "reg"}]}}, "condition", "/whiteCondition/0/name"),
    "timezone": ({"coordinator": {"timezone": "+08:00"}, "sink": {"timezone": "+00:00"}}, "sink", "/timezone"),
    "source-type": ({"coordinator": {"sourceType": "ORACLE"}}, "coordinator", "/sourceType"),
    "heap": ({"sink": {"workerNum": "17"}}, "coordinator", "/connectorJvmParam"),
    "heap-initial": ({"coordinator": {"connectorJvmParam": "-Xms8g -Xmx16g"}}, "coordinator", "/connectorJvmParam"),
    "hot-keys": ({"coordinator": {"hotKeyMerge": "true"}}, "coordinator", "/hotKeyMerge"),
    "split-threshold": ({"source": {"splitThreshold": "513"}}, "source", "/splitThreshold"),
}


@pytest.mark.parametrize("rule", EXAMPLES)
def test_rule_speaks_alone_where_it_should(rule):
    changes, file, place = EXAMPLES[rule]
    violation = only(examine(**changes))
    assert (violation.rule, violation.file, violation.pointer) == (rule, f"shop/{file}.json", place)
    assert violation.severity is RULES[rule].severity


def test_every_rule_has_an_example():
    elsewhere = {"unreadable", "root-task", "folder-name", "file-name", "address-clash", "defect"}
    of_several = {"reset-request", *(name for name in RULES if name.startswith("fleet-"))}
    assert EXAMPLES.keys() | elsewhere | of_several == RULES.keys()


def test_example_of_an_error_gives_no_task_and_of_a_warning_one():
    for rule, (changes, _, _) in EXAMPLES.items():
        assert (examine(**changes).task is None) == (RULES[rule].severity is Severity.ERROR), rule


# --- tasks ---------------------------------------------------------------------------------------------------------

CLIENT = {
    "clientId": "c1",
    "cluster": "obsrc",
    "tenant": "sales",
    "instance": "10.0.0.31:2883",
    "username": "u@sales#obsrc",
    "password": "${env:P}",
    "weakRead": "true",
    "tableWhiteLists": {"SALES": ["CUSTOMER"]},
}
TASKS = {
    "store to OceanBase": {
        "source": {"checkpoint": "${oms:checkpoint}", "connectionTimeoutSec": "120", "splitThreshold": 128},
        "sink": {"jar": "jdbc-sink-ob-mysql.jar", "ignoreRedunantColumnsReplicate": "false"},
    },
    "store to Kafka": {"sink": b'{"$schema": "../sink.schema.json", "workerNum": 12}'},
    "direct reading": {
        "source": json.dumps(
            {"boosterClass": DATAFLOW, "dbType": "MYSQL", "clients": [CLIENT], "sliceBatchSize": 1}
        ).encode(),
        "condition": {
            "whiteCondition": [{"name": "S", "map": "T", "all": False, "sub": [{"name": "C", "sub": [{"name": "id"}]}]}]
        },
    },
    "empty sections": dict.fromkeys(DOCUMENTS[1:5], b"{}"),
    "tuning of several components": {
        "task": {"dimension": "TASK_NAME", "key": "np_4x9jabcd"},
        "condition": b"{}",
        "source": b'{"splitThreshold": "64"}',
        "coordinator": b'{"throttleRps": 5000}',
        "sink": b'{"workerNum": "8"}',
    },
    "a role and its reset": {"task": BY_ROLE, "reset": RESET | {"reverse": True}},
}


@pytest.mark.parametrize("changes", TASKS.values(), ids=TASKS)
def test_example_is_valid_without_a_warning(changes):
    examined = examine(**changes)
    assert examined.violations == ()
    assert examined.task


def test_plain_task_has_what_its_files_say():
    task = examine(sink={"$schema": "x"}).task
    assert (task.name, task.address) == ("shop", Address("default", Dimension.NAME, NAME))
    assert (task.cm_region, task.allow_delete, task.reset, task.suspend) == ("default", False, None, None)
    assert (task.source_plugin, task.sink_plugin) == ("StoreSource", "JDBCSink")
    assert "$schema" not in task.sections["sink"]


def test_rails_of_a_task_are_read():
    lists = {name: [f"/sink/{name}"] for name in ("manage", "allow", "protect", "unmanaged")}
    suspend = {"reason": "holiday", "until": "2026-11-20T02:00:00+02:00"}
    task = examine(task={"target": "eu-1", "labels": {"b": "2", "a": "1"}, "suspend": suspend, **lists}).task
    assert (task.manage, task.allow, task.protect, task.unmanaged) == tuple((f"/sink/{name}",) for name in lists)
    assert task.labels == (("a", "1"), ("b", "2"))
    assert task.suspend == Suspension("holiday", datetime(2026, 11, 20, tzinfo=UTC))
    assert task.address.target == "eu-1"


def test_role_is_an_address_without_a_region():
    task = examine(task=BY_ROLE).task
    assert task.address == Address("default", role=ComponentRole("np_4x9jabcd", Link.REVERSE, 1))
    assert task.cm_region is None


@pytest.mark.parametrize(
    "moment", ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", 1_700_000_000, "1700000000", 1.7e9]
)
def test_start_of_a_reset_is_read_in_every_form(moment):
    reset = examine(reset=RESET | {"startTimestamp": moment, "expires": "2027-01-01T00:00Z"}).task.reset
    assert (reset.start_timestamp, reset.project, reset.reverse, reset.stop) == (
        1_700_000_000,
        "np_4x9jabcd",
        False,
        True,
    )
    assert reset.expires == datetime(2027, 1, 1, tzinfo=UTC)


# --- files ---------------------------------------------------------------------------------------------------------


def test_every_missing_file_is_an_error():
    examined = VALIDATOR.examine(RawTask("shop", {}))
    assert errors(examined) == {("missing-file", f"shop/{file}", "") for file in TASK_FILES if file != "reset.json"}


def test_missing_section_says_how_an_empty_one_is_written():
    assert only(examine(source=None)).suggestion == "An empty section is written {}."


def test_file_that_could_not_be_read_is_not_called_missing_too():
    unread = Violation("shop", "shop/sink.json", None, "", "unreadable", Severity.ERROR, "a file", "a folder")
    assert VALIDATOR.examine(RawTask("shop", files(sink=None), (unread,))).violations == (unread,)


def test_files_of_a_folder_that_could_not_be_read_are_not_called_missing():
    unread = Violation("shop", "shop", None, "", "unreadable", Severity.ERROR, "a folder", "no permission")
    examined = VALIDATOR.examine(RawTask("shop", {}, (unread,)))
    assert (examined.task, examined.violations) == (None, (unread,))


def test_warning_about_a_file_name_does_not_hinder_the_task():
    slip = Violation("shop", "shop/sink.jsn", None, "", "file-name", Severity.WARNING, "sink.json", "sink.jsn")
    assert VALIDATOR.examine(RawTask("shop", files(), (slip,))).task


def test_task_at_the_top_has_files_without_a_folder():
    examined = VALIDATOR.examine(RawTask("", files(sink=None)))
    assert only(examined).file == "sink.json"


def test_everything_wrong_in_every_file_is_found_at_once():
    examined = examine(
        coordinator={"throttleRps": "0", "throtleIOPS": 1},
        source=b'{"dbType": null, "workerNum": "x", "workerNum": 1}',
        sink=b"{",
        task={"owner": "me"},
    )
    assert {(rule, pointer) for rule, _, pointer in errors(examined)} == {
        ("schema", "/throttleRps"),
        ("near-miss", "/throtleIOPS"),
        ("null", "/dbType"),
        ("duplicate-key", "/workerNum"),
        ("syntax", ""),
        ("unknown-member", "/owner"),
    }


def test_violations_are_sorted_by_file_and_place():
    examined = examine(sink=b'{"workerNum": 0,\n "serverParallel": 0}', coordinator=b'{"throttleRps": 0}')
    assert [(v.file, v.place) for v in examined.violations] == [
        ("shop/coordinator.json", Place(1, 17)),
        ("shop/sink.json", Place(1, 15)),
        ("shop/sink.json", Place(2, 20)),
    ]


def test_without_task_json_nothing_is_blamed_for_not_being_listed_there():
    assert errors(examine(task=None, coordinator={"listenPort": "16001"})) == {("missing-file", "shop/task.json", "")}


def test_unreadable_sink_does_not_make_hot_keys_doubtful():
    assert warnings(examine(sink=None, coordinator={"hotKeyMerge": True})) == set()


# --- schemas -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected", "found", "suggestion"),
    [
        pytest.param({"sink": {"workerNum": "many"}}, "an integer 1..1024, as a number or a string of digits", '"many"', "", id="text"),
        pytest.param({"sink": {"workerNum": 0}}, "an integer 1..1024, as a number or a string of digits", "0", "", id="below"),
        pytest.param({"coordinator": b"{}", "sink": {"workerNum": "1025"}}, "an integer 1..1024, as a number or a string of digits", '"1025"', "", id="above, as text"),
        pytest.param({"sink": {"workerNum": "08"}}, "an integer 1..1024, as a number or a string of digits", '"08"', 'Write "8".', id="leading zero"),
        pytest.param({"sink": {"workerNum": "8\n"}}, "an integer 1..1024, as a number or a string of digits", '"8\\n"', 'Write "8".', id="line break"),
        pytest.param({"sink": {"workerNum": 1.5}}, "an integer 1..1024, as a number or a string of digits", "1.5", "", id="fraction"),
        pytest.param({"sink": {"workerNum": True}}, "an integer 1..1024, as a number or a string of digits", "true", "", id="boolean"),
        pytest.param({"sink": {"dryRun": "TRUE"}}, 'true or false, or the same as text: "true", "false"', '"TRUE"', "Write true without quotes.", id="capitals"),
        pytest.param({"sink": {"dryRun": 1}}, 'true or false, or the same as text: "true", "false"', "1", "", id="number for boolean"),
        pytest.param({"task": {"allowDelete": "false"}}, "true or false, without quotes", '"false"', "Write false without quotes.", id="quoted boolean"),
        pytest.param({"sink": {"username": 7}}, "text", "7", "Write it in quotes.", id="number for text"),
        pytest.param({"sink": {"jdbcUrl": "oceanbase://x"}}, 'an address that begins with "jdbc:"', '"oceanbase://x"', "", id="pattern"),
        pytest.param({"coordinator": {"timezone": "CST"}}, 'an offset from UTC such as "+08:00"', '"CST"', "", id="offset"),
        pytest.param({"source": {"clients": {}}}, "a list of at least one object", "an object", "", id="object for list"),
        pytest.param({"source": {"clients": []}}, "a list of at least one object", "a list", "", id="no client"),
        pytest.param({"task": {"dimension": "name"}}, 'one of "NAME", "TASK_NAME", "IP"', '"name"', 'Did you mean "NAME"?', id="enum"),
        pytest.param({"task": {"protect": ["sink/workerNum"]}}, 'a JSON pointer that begins with a section, such as "/sink/workerNum"', '"sink/workerNum"', "", id="pointer"),
        pytest.param({"task": {"protect": ["/sink/a~2"]}}, 'a JSON pointer that begins with a section, such as "/sink/workerNum"', '"/sink/a~2"', "", id="bad escape"),
        pytest.param({"task": {"component": ROLE}}, 'either "dimension", "key" and "cmRegion", or "component" alone', "an object", "", id="two addresses"),
        pytest.param({"task": b"{}"}, 'either "dimension", "key" and "cmRegion", or "component" alone', "an object", "", id="no address"),
        pytest.param({"task": {"suspend": {}}}, 'the member "reason"', "an object without it", "", id="suspension without a reason"),
        pytest.param({"reset": RESET | {"startTimestamp": 1_700_000_000_000}}, 'a moment with its zone, such as "2026-11-20T00:00:00Z", or unix seconds (not milliseconds)', "1700000000000", "", id="milliseconds"),
        pytest.param({"reset": RESET | {"startTimestamp": "2026-11-20T00:00:00"}}, 'a moment with its zone, such as "2026-11-20T00:00:00Z", or unix seconds (not milliseconds)', '"2026-11-20T00:00:00"', "", id="no zone"),
        pytest.param({"condition": {"whiteCondition": [{"name": ""}]}}, "text of at least one character", '""', "", id="empty name"),
        pytest.param({"condition": {"whiteCondition": [{"name": "a", "func": "regx"}]}}, 'one of "exact", "fn", "reg"', '"regx"', 'Did you mean "reg"?', id="func"),
    ],
)  # fmt: skip
def test_error_says_what_was_expected_and_found(changes, expected, found, suggestion):
    violation = only(examine(**changes))
    assert (violation.expected, violation.found, violation.suggestion) == (expected, found, suggestion)
    assert violation.place


@pytest.mark.parametrize(
    ("changes", "expected", "suggestion"),
    [
        pytest.param({"task": {"allowdelete": True}}, "one of target, dimension, key, cmRegion, component, allowDelete, manage, allow, protect, unmanaged, labels, suspend, windows, limits, health", 'Did you mean "allowDelete"?', id="task"),
        pytest.param({"task": {"suspend": {"reason": "x", "untill": "x"}}}, "one of reason, until", 'Did you mean "until"?', id="suspend"),
        pytest.param({"reset": RESET | {"reqest": "x"}}, "one of request, id, reverse, startTimestamp, reason, expires, stop", 'Did you mean "request"?', id="reset"),
        pytest.param({"condition": {"whiteCondition": [{"name": "a", "atrr": {}}]}}, "one of name, map, all, func, attr, sub", 'Did you mean "attr"?', id="rule"),
    ],
)  # fmt: skip
def test_slip_in_a_closed_object_is_an_error(changes, expected, suggestion):
    violation = only(examine(**changes))
    assert (violation.rule, violation.expected, violation.suggestion) == ("near-miss", expected, suggestion)


def test_column_rule_has_no_sub():
    column = {"name": "c", "sub": []}
    condition = {"whiteCondition": [{"name": "d", "sub": [{"name": "t", "sub": [column]}]}]}
    violation = only(examine(condition=condition))
    assert (violation.rule, violation.expected) == ("unknown-member", "one of name, map, all, func, attr")


def test_known_plugin_is_judged_by_its_own_range():
    both = {"sourceBatchMemorySize": "-1"}
    assert examine(source=both).task
    assert examine(source=json.dumps(both).encode()).task


def test_place_with_two_errors_is_named_once():
    assert only(examine(source={"boosterClass": STORE, "workerNum": "none"})).pointer == "/workerNum"


@pytest.mark.parametrize("value", ["${env:URL}", "jdbc:${env:URL}", "$${literal}"])
def test_pattern_does_not_refuse_what_holds_a_reference(value):
    assert examine(sink={"jdbcUrl": value}).task


@pytest.mark.parametrize(
    "value", [[{"schema": "shop", "tableName": "orders"}], '[{"schema": "shop", "tableName": "orders"}]', "${env:HOT}"]
)
def test_hot_key_table_is_a_list_or_its_text(value):
    assert examine(coordinator={"hotKeyMerge": True}, sink={"hotKeyTable": value}).violations == ()


@pytest.mark.parametrize("value", [1_760_000_000, "1760000000", "${env:CHECKPOINT}", {"c-1-0": 1}])
def test_checkpoint_cannot_be_anything_but_what_oms_reports(value):
    violation = only(examine(source={"checkpoint": value}))
    assert violation.rule == "checkpoint-literal"
    assert "stale at once" in violation.suggestion


KEYS = {name: sorted(resources.schema(name)["properties"]) for name in DOCUMENTS}
SCALARS = st.sampled_from(
    [
        "8",
        "08",
        "8\n",
        "true",
        "TRUE",
        "",
        "x",
        "${env:A}",
        "/sink/a",
        "/sink/a\n",
        NAME,
        "NAME",
        "np_a",
        JDBC,
        STORE,
        "exact",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 512, 1024, 1025, 1.0, 1.5, 1e300, 2**53 - 1]) | st.booleans() | st.text(max_size=3)
RULE = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("name", "map", "all", "func", "attr", "extra"), SCALARS | NUMBERS)
)
NESTED = st.lists(RULE | SCALARS, max_size=2) | st.dictionaries(
    st.sampled_from(["project", "link", "index", "reason", "until"]), SCALARS | NUMBERS, max_size=3
)


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("name", DOCUMENTS)
@given(data=st.data())
def test_fast_and_explaining_validators_agree(name, data):
    document = data.draw(st.dictionaries(st.sampled_from(KEYS[name]), SCALARS | NUMBERS | NESTED, max_size=6))
    fits = jsonschema_rs.Draft202012Validator(resources.schema(name)).is_valid(document)
    assert fits == (Explainer(name, resources.schema(name)).explain(document) == ())


# --- anything at all -----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | SCALARS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS["source"], *KEYS["task"], "name", "sub", "0"]), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECT = st.one_of(*(st.dictionaries(st.sampled_from(keys), JSON, max_size=5) for keys in KEYS.values()))
BYTES = st.one_of(st.binary(max_size=40), OBJECT.map(lambda value: json.dumps(value).encode()), st.just(b"{}"))


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(TASK_FILES), BYTES))
def test_any_bytes_in_any_file_are_a_task_or_violations(content):
    examined = VALIDATOR.examine(RawTask("shop", files() | content))
    assert (examined.task is None) == bool(errors(examined))


def test_one_mebibyte_of_unknown_keys_ends_soon_and_with_few_words():
    members = ", ".join(f'"throttleRp{i}": 1' for i in range(40_000)).encode()
    assert len(examine(sink=b"{" + members + b"}").violations) == 200


# --- secrets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"sink": {"password": SENTINEL}},
        {"sink": {"password": [SENTINEL]}},
        {"sink": {"password": {"a": SENTINEL}}},
        {"sink": {"password": "${" + SENTINEL}},
        {"sink": {"password": "${" + SENTINEL + ":x}"}},
        {"sink": {"password": "${oms:checkpoint}" + SENTINEL}},
        {"sink": {"saslJaasConfig": SENTINEL}},
        {"sink": {"pasword": SENTINEL}},
        {"sink": {"jdbcUrl": f"jdbc:x://h?password={SENTINEL}"}},
        {"sink": {"jdbcUrl": f"x://root:{SENTINEL}@h"}},
        {"sink": {"jar": f"x://root:{SENTINEL}@h"}},
        {"sink": {"workerNum": f"password={SENTINEL}"}},
        {"sink": f'{{"password": {SENTINEL}}}'.encode()},
        {"sink": f'{{"password": "{SENTINEL}", "password": "{SENTINEL}"}}'.encode()},
        {"sink": f'{{"password": "{SENTINEL}\x01", "a": NaN}}'.encode()},
        {"sink": {"sinkMaps": f'[{{"password": "{SENTINEL}"}}]'}},
        {"source": {"clients": [{"sysTenantPassword": SENTINEL}]}},
        {"source": {"boosterClass": DATAFLOW, "clients": [{"password": 5, "token": SENTINEL}]}},
        {"condition": {"whiteCondition": [{"name": "a", "attr": {"token": SENTINEL}}]}},
        {"condition": {"apiToken": SENTINEL}},
        {"coordinator": {"connectorJvmParam": f"-Dpassword={SENTINEL} -Xms1z"}},
        {"task": {"labels": {"password": [SENTINEL]}}},
        {"task": {"password": SENTINEL}},
        {"reset": RESET | {"startTimestamp": f"token={SENTINEL}"}},
    ],
    ids=lambda changes: json.dumps({name: str(change) for name, change in changes.items()})[:60],
)  # fmt: skip
def test_secret_is_never_quoted(changes):
    examined = examine(**changes)
    assert errors(examined)
    assert SENTINEL not in repr(examined)


def test_setting_turns_literal_secrets_into_warnings():
    validator = Validator(resources.catalogue(), {name: resources.schema(name) for name in DOCUMENTS}, Severity.WARNING)
    examined = examine(validator, sink={"password": "hunter2"})
    assert warnings(examined) == {("literal-secret", "shop/sink.json", "/password")}
    assert examined.task


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a\x1b[31m\u202e", '"a\\u001b[31m\\u202e"', id="control characters"),
        pytest.param("é", '"é"', id="letters"),
        pytest.param("x" * 99, '"' + "x" * 59 + '…"', id="long"),
        pytest.param({"a": 1}, "an object", id="object"),
        pytest.param([1], "a list", id="list"),
        pytest.param(True, "true", id="boolean"),
        pytest.param("a://b:c@d", "a secret (not shown)", id="credentials"),
    ],
)
def test_value_is_shown_short_and_harmless(value, text):
    assert shown(value) == text


def test_value_below_a_secret_name_is_not_shown():
    assert shown(7, ("labels", "token")) == "a secret (not shown)"


# --- addresses -----------------------------------------------------------------------------------------------------


def test_tasks_with_one_address_name_each_other():
    one, other = Address("a", Dimension.NAME, "k"), Address("b", Dimension.NAME, "k")
    clashes = address_clashes([("x", one), ("y", one), ("z", other)])
    assert {name: violation.found for name, violation in clashes.items()} == {
        "x": "the address of y",
        "y": "the address of x",
    }
    assert (clashes["x"].rule, clashes["x"].file, clashes["x"].severity) == (
        "address-clash",
        "x/task.json",
        Severity.ERROR,
    )


def test_many_tasks_with_one_address_are_counted():
    clashes = address_clashes((str(number), Address("a", Dimension.IP, "k")) for number in range(30))
    assert clashes["29"].found.endswith("18, 19 and 9 more")


@pytest.mark.parametrize("text", [":thin:", ":thin:u/", "://", "${", "$${", "password ", "/a~", "-Xm"])
def test_long_text_does_not_take_long(text):
    examined = examine(sink={"jdbcUrl": text * 60_000}, task={"protect": ["/sink" + text * 60_000]})
    assert all(len(violation.found) < 70 for violation in examined.violations)


def test_warnings_that_are_not_wanted_are_not_looked_for():
    raw = RawTask("shop", files(sink={"quiteUnheardOf": "1"}))
    wanted, spared = VALIDATOR.examine(raw), VALIDATOR.examine(raw, warnings=False)
    assert [violation.rule for violation in wanted.violations] == ["unknown-key"]
    assert (spared.violations, spared.task) == ((), wanted.task)
