import json

import pytest

from reconciler.core.validation.keys import SELF_WRITTEN
from tests.tasks import DATAFLOW, errors, examine, only, warnings


def test_unknown_key_is_only_doubtful():
    examined = examine(source={"clients": [{"clientId": "c", "zoneList": "x"}]})
    assert warnings(examined) == {("unknown-key", "shop/source.json", "/clients/0/zoneList")}
    assert examined.task


@pytest.mark.parametrize(
    ("file", "key", "meant"),
    [
        ("sink", "ignoreRedundantColumnsReplicate", "ignoreRedunantColumnsReplicate"),
        ("sink", "workernum", "workerNum"),
        ("sink", "wrokerNum", "workerNum"),
        ("coordinator", "throttleRsp", "throttleRps"),
        ("coordinator", "hotKeyMerg", "hotKeyMerge"),
        ("condition", "whitecondition", "whiteCondition"),
        ("sink", "$shema", "$schema"),
    ],
)
def test_slip_of_a_known_key_is_an_error(file, key, meant):
    violation = only(examine(**{file: {key: "1"}}))
    assert (violation.rule, violation.pointer, violation.found) == ("near-miss", f"/{key}", f'"{key}"')
    assert violation.suggestion.startswith(f'Did you mean "{meant}"?')


def test_slip_inside_a_client_is_an_error():
    examined = examine(source={"clients": [{"clientID": "c"}, 1]})
    assert ("near-miss", "shop/source.json", "/clients/0/clientID") in errors(examined)


def test_key_that_looks_like_a_slip_can_be_meant():
    examined = examine(sink={"ignoreDML": "true"}, task={"manage": ["/sink/ignoreDML"]})
    assert (errors(examined), warnings(examined)) == (set(), {("unknown-key", "shop/sink.json", "/ignoreDML")})


def test_schema_key_is_known_at_the_top_only():
    assert examine(source={"$schema": "x"}).violations == ()
    assert warnings(examine(source={"clients": [{"clientId": "c", "$schema": "x"}]}))


def test_key_of_another_plugin_is_doubtful_and_says_whose_it_is():
    violation = only(examine(source={"boosterClass": DATAFLOW, "password": "${env:P}"}))
    assert (violation.expected, violation.found) == ("a key of DataFlowSource", "a key of StoreSource")


def test_without_a_known_plugin_the_keys_of_all_are_accepted():
    source = {
        "splitThreshold": "64",
        "sliceWorkerNum": "4",
        "clients": [{"clientId": "c", "subtopic": "s", "tenant": "t"}],
    }
    assert examine(source=json.dumps(source).encode()).violations == ()


# --- values of open lists ------------------------------------------------------------------------------------------


def test_unknown_value_of_an_open_list_is_doubtful():
    violation = only(examine(coordinator={"sinkType": "MYSQLL"}))
    assert (violation.rule, violation.suggestion) == ("unknown-value", 'Did you mean "MYSQL"?')


def test_booster_class_of_a_known_family_is_known():
    assert (
        examine(
            sink={"boosterClass": "com.oceanbase.oms.connector.jdbc.sink.obmysql.OBMySQLJDBCSinkBooster"}
        ).violations
        == ()
    )


def test_booster_class_of_no_known_family_is_doubtful():
    assert warnings(examine(sink={"boosterClass": "com.example.Sink"})) == {
        ("unknown-value", "shop/sink.json", "/boosterClass")
    }


# --- keys that OMS writes ------------------------------------------------------------------------------------------

VALUES = {"taskIdentity": "np_4x9jabcd", "taskSubId": "1", "listenPort": "16001", "customizeClass": "x"}


@pytest.mark.parametrize("key", sorted(SELF_WRITTEN))
def test_key_that_oms_writes_is_refused_unless_listed(key):
    content = {key: VALUES.get(key, "true")}
    assert errors(examine(coordinator=content)) == {("not-managed", "shop/coordinator.json", f"/{key}")}
    assert examine(coordinator=content, task={"manage": [f"/coordinator/{key}"]}).violations == ()


@pytest.mark.parametrize("manage", [["coordinator/listenPort"], [7], "x", ["/sink/listenPort"]])
def test_list_that_names_something_else_does_not_help(manage):
    examined = examine(coordinator={"listenPort": 1}, task={"manage": manage})
    assert ("not-managed", "shop/coordinator.json", "/listenPort") in errors(examined)


# --- addresses that mean several components ------------------------------------------------------------------------

EMPTY = dict.fromkeys(("coordinator", "condition", "source", "sink"), b"{}")


@pytest.mark.parametrize("dimension", ["TASK_NAME", "IP"])
@pytest.mark.parametrize(
    ("section", "content", "refused"),
    [
        pytest.param("coordinator", {"$schema": "x", "throttleRps": "5"}, False, id="tuning"),
        pytest.param("coordinator", {"timezone": "+00:00"}, True, id="key of the task"),
        pytest.param("coordinator", {"taskResume": "true"}, True, id="key of the runtime"),
        pytest.param("coordinator", {"somethingElse": "1"}, True, id="unknown key"),
        pytest.param(
            "coordinator", {"connectorJvmParam": "-Xmx1g -Dtoken=${env:T}"}, True, id="secret in a tuning key"
        ),
        pytest.param("condition", {"whiteCondition": [{"name": "a"}]}, True, id="rules"),
        pytest.param("condition", {"$schema": "x"}, False, id="schema of the rules"),
        pytest.param("source", {"password": "${env:P}"}, True, id="secret"),
        pytest.param("source", {"sourceBatchMemorySize": "-1"}, True, id="tuning for one plug-in only"),
        pytest.param("sink", {"workerNum": "8"}, False, id="workers"),
    ],
)
def test_only_tuning_may_be_shared(dimension, section, content, refused):
    examined = examine(**EMPTY | {"task": {"dimension": dimension}, section: json.dumps(content).encode()})
    assert bool(errors(examined)) == refused
    assert {rule for rule, _, _ in errors(examined)} <= {"wide-address"}


@pytest.mark.parametrize("dimension", ["TASK_NAME", "IP"])
def test_deleting_needs_one_component(dimension):
    examined = examine(**EMPTY, task={"dimension": dimension, "allowDelete": True})
    assert errors(examined) == {("wide-delete", "shop/task.json", "/allowDelete")}


# --- secrets and references ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "content", "pointer"),
    [
        pytest.param("sink", {"password": "x"}, "/password", id="password"),
        pytest.param("sink", {"password": "$${x}"}, "/password", id="escaped reference"),
        pytest.param("source", {"clients": [{"clientId": "c", "accessKey": "x"}]}, "/clients/0/accessKey", id="by name"),
        pytest.param("sink", {"sslPassphrase": "x"}, "/sslPassphrase", id="pass phrase"),
        pytest.param("sink", {"private.key": "x"}, "/private.key", id="private key"),
        pytest.param("sink", {"api_key": "x"}, "/api_key", id="API key"),
        pytest.param("sink", {"saslConfig": {"user": "x"}}, "/saslConfig/user", id="below a name"),
        pytest.param("sink", {"apiToken": 7}, "/apiToken", id="number"),
        pytest.param("sink", {"jdbcUrl": "jdbc:x://h?password=x"}, "/jdbcUrl", id="option of an address"),
        pytest.param("sink", {"jdbcUrl": "jdbc:x://h?user=${env:U}&password=x"}, "/jdbcUrl", id="beside a reference"),
        pytest.param("sink", {"jdbcUrl": "jdbc:x://${env:U}:x@h"}, "/jdbcUrl", id="after a reference"),
        pytest.param("sink", {"jdbcUrl": "jdbc:oracle:thin:scott/tiger@h:1521/x"}, "/jdbcUrl", id="Oracle's form"),
        pytest.param("coordinator", {"connectorJvmParam": "-Xmx1g -Dpwd=x"}, "/connectorJvmParam", id="Java option"),
        pytest.param("condition", {"saslThing": "x"}, "/saslThing", id="condition, by name"),
        pytest.param("condition", {"whiteCondition": [{"name": "a", "attr": {"token": "x"}}]}, "/whiteCondition/0/attr/token", id="attribute"),
        pytest.param("condition", {"whiteCondition": [{"name": "a", "map": "token=x"}]}, "/whiteCondition/0/map", id="rule"),
        pytest.param("condition", b'{"whiteCondition": [{"name": "token\\u003dx"}]}', "/whiteCondition/0/name", id="escaped sign"),
        pytest.param("sink", {"sinkMaps": '[{"password": "x"}]'}, "/sinkMaps/0/password", id="inside JSON text"),
    ],
)  # fmt: skip
def test_secret_that_is_written_out_is_refused(section, content, pointer):
    assert ("literal-secret", f"shop/{section}.json", pointer) in errors(examine(**{section: content}))


@pytest.mark.parametrize(
    "content",
    [
        {"password": "${env:A}${file:/run/b}"},
        {"password": "prefix-${credential:oms.sink}"},
        {"password": ""},
        {"saslEnabled": "true", "tokenRefresh": False},
        {"jdbcUrl": "jdbc:x://${env:U}:${env:P}@h?password=${env:P} &user=u"},
        {"username": "user@tenant#cluster"},
    ],
    ids=lambda content: next(iter(content)),
)
def test_reference_or_nothing_is_no_literal(content):
    assert errors(examine(sink=content)) == set()


@pytest.mark.parametrize(
    "text", ["${env:", "${vault:x}", "${env:9A}", "${file:relative}", "${NAME}", "${}", "a $${b} ${"]
)
def test_malformed_reference_is_refused_everywhere(text):
    for section, key in (("sink", "username"), ("condition", "source_id"), ("sink", "password")):
        assert errors(examine(**{section: {key: text}})) == {("reference", f"shop/{section}.json", f"/{key}")}


@pytest.mark.parametrize("content", [{"username": "${oms:checkpoint}"}, {"password": "x${oms:checkpoint}"}])
def test_checkpoint_of_oms_belongs_to_source_checkpoint(content):
    assert {rule for rule, _, _ in errors(examine(sink=content))} == {"checkpoint-reference"}


def test_escaped_checkpoint_is_a_text():
    assert examine(sink={"username": "$${oms:checkpoint}"}).violations == ()


# --- JSON text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[1", '["a", null]', "[NaN]", "[1] x", "[" * 100, '[{"a": 1, "a": 2}]'])
def test_text_in_the_place_of_a_list_is_strict_json(text):
    assert errors(examine(sink={"supportedTimezone": text})) == {("json-text", "shop/sink.json", "/supportedTimezone")}


def test_text_in_the_place_of_an_object_is_an_object():
    source = {"boosterClass": DATAFLOW, "ncharCharsetMap": '{"AL16UTF16": "UTF16"}'}
    assert examine(source=json.dumps(source).encode()).violations == ()
    assert errors(examine(source={"ncharCharsetMap": "[1]"}))


@pytest.mark.parametrize("member", ["allow", "protect", "unmanaged"])
def test_pointer_a_slip_away_from_a_key_is_an_error(member):
    assert errors(examine(task={member: ["/sink/jdbcURL"]})) == {("near-miss", "shop/task.json", f"/{member}/0")}


@pytest.mark.parametrize("place", ["/sink/jdbcUrl", "/sink/*", "/sink", "/sink/quiteUnheardOf"])
def test_pointer_to_a_key_or_to_what_is_not_known_is_none(place):
    assert errors(examine(task={"protect": [place]})) == set()
