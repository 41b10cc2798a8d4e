"""What becomes of a component's values: references, texts as they are, keys that are left out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import resources
from reconciler.core import canonical, secrets
from reconciler.core.catalogue import CREDENTIALS
from reconciler.core.importing import IDENTITY, POSITION, RUNTIME, Names, awaited, imported
from reconciler.model import SECTIONS, Action
from tests.components import any_component
from tests.core.builders import ready, record_of
from tests.tasks import DATAFLOW, STORE

CATALOGUE = resources.catalogue()


def made(section="sink", *, whole=False, names=None, **members):
    sections = {name: members if name == section else {} for name in SECTIONS}
    return imported(sections, CATALOGUE, names or Names("shop"), whole=whole)


def found(result):
    """`{place: (reference, value)}` of the secrets."""
    return {secret.place: (str(secret.reference), secret.value) for secret in result.secrets}


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "written", "value"),
    [
        pytest.param({"password": "x"}, {"password": "${env:SHOP_SINK_PASSWORD}"}, "x", id="known"),
        pytest.param({"password": 17}, {"password": "${env:SHOP_SINK_PASSWORD}"}, "17", id="number"),
        pytest.param({"apiToken": "x"}, {"apiToken": "${env:SHOP_SINK_API_TOKEN}"}, "x", id="by its name"),
        pytest.param({"password": "${x}"}, {"password": "${env:SHOP_SINK_PASSWORD}"}, "${x}", id="like a reference"),
        pytest.param(
            {"note": '{"a": {"ssl.password": "x"}}'},
            {"note": "${env:SHOP_SINK_NOTE}"},
            '{"a": {"ssl.password": "x"}}',
            id="inside JSON text",
        ),
        pytest.param(
            {"note": '"{\\"password\\": 1}"'}, {"note": "${env:SHOP_SINK_NOTE}"}, '"{\\"password\\": 1}"', id="deeper"
        ),
        pytest.param(
            {"note": 'user="u" password="x y";'},
            {"note": "${env:SHOP_SINK_NOTE}"},
            'user="u" password="x y";',
            id="options that are no address",
        ),
    ],
)
def test_a_secret_becomes_a_reference(members, written, value):
    result = made(**members)
    assert result.sections["sink"] == written
    assert [secret.value for secret in result.secrets] == [value]


@pytest.mark.parametrize(
    ("address", "written", "values"),
    [
        ("jdbc:x://h:1?user=u@t&password=p;1&a=b", "jdbc:x://h:1?user=u@t&password={}&a=b", ["p;1"]),
        ("jdbc:x://h?keyPassword=p&secret=q", "jdbc:x://h?keyPassword={}&secret={}", ["p", "q"]),
        ("jdbc:x://u:p@ss@h:1/db?a=b", "jdbc:x://u:{}@h:1/db?a=b", ["p@ss"]),
        ("jdbc:oracle:thin:u/p@s@h:1/x", "jdbc:oracle:thin:u/{}@h:1/x", ["p@s"]),
        ("jdbc:x://u:p?q@h", "{}", ["jdbc:x://u:p?q@h"]),
        ("10.0.0.1:1?password=p", "{}", ["10.0.0.1:1?password=p"]),
        ("jdbc:x://h?password=${p}", "{}", ["jdbc:x://h?password=${p}"]),
    ],
)
def test_of_an_address_only_its_credentials_are_taken(address, written, values):
    result = made(jdbcUrl=address)
    references = [str(secret.reference) for secret in result.secrets]
    assert result.sections["sink"]["jdbcUrl"] == written.format(*references)
    assert [secret.value for secret in result.secrets] == values
    assert CREDENTIALS.search(address)


@pytest.mark.parametrize("value", ["", "true", "false", True, False, 8, 1.5, "jdbc:x://h:1?user=u@t", "u@t#c"])
def test_what_is_no_secret_stays(value):
    result = made(password=value) if value in ("", "true", "false") else made(note=value)
    assert (result.secrets, *result.sections["sink"].values()) == ((), value)


@pytest.mark.parametrize("text", ["${a}", "$${a}", "$$${", "a$", "${oms:checkpoint}"])
def test_a_literal_beginning_of_a_reference_stays_one(text):
    written = made(note=[{"x": text}]).sections["sink"]["note"][0]["x"]
    assert secrets.substitute(written, lambda *_: "wrong") == text


def test_a_secret_that_stands_elsewhere_is_doubted_and_a_short_one_is_not():
    doubtful = made(password="longer-text", a=["$${x}", "see longer-text"], b="longer")
    assert doubtful.remarks == ("/sink/a/1 holds the secret of /sink/password in clear: look at it before you commit",)
    assert made(password="short", a="short").remarks == ()
    assert made(password="PASSWORD").remarks == ()  # which its own reference holds


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "place", "name"),
    [
        ("shop/orders", "/source/clients/0/sysTenantPassword", "SHOP_ORDERS_SOURCE_CLIENTS_0_SYS_TENANT_PASSWORD"),
        ("7up", "/sink/a~1b", "TASK_7UP_SINK_A_B"),
        ("中", "/sink/x", "SINK_X"),
        ("reconciler", "/sink/x", "TASK_RECONCILER_SINK_X"),
        ("a" * 300, "/sink/x", "A" * 200),
    ],
)
def test_a_variable_is_named_after_task_and_place(task, place, name):
    assert Names(task).reference(place).name == name


def test_no_name_is_given_twice():
    names = Names("a", taken={"A_SINK_X", "A_SINK_X_2"})
    assert [names.reference("/sink/x").name for _ in range(2)] == ["A_SINK_X_3", "A_SINK_X_4"]
    files = Names("a", "/run", taken={"A_SINK_X", "/run/a_sink_x"})
    assert [str(files.reference("/sink/x")) for _ in range(2)] == ["${file:/run/a_sink_x_2}", "${file:/run/a_sink_x_3}"]


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "reason"),
    [
        ("coordinator", "listenPort", IDENTITY),
        ("coordinator", "bridgeQueueSize", RUNTIME),
        ("source", "checkpoint", POSITION),
    ],
)
def test_what_is_not_the_operators_is_left_out_unless_the_whole_is_wanted(section, key, reason):
    result = made(section, **{key: "1"}, note="2")
    assert [(one.place, one.reason) for one in result.left_out] == [(f"/{section}/{key}", reason)]
    assert result.sections[section] == {"note": "2"}
    whole = made(section, whole=True, **{key: "1"})
    assert whole.sections[section] == {key: "${oms:checkpoint}" if reason == POSITION else "1"}
    assert (whole.left_out, whole.manage) == ((), (f"/{section}/{key}",) if reason == IDENTITY else ())


@pytest.mark.parametrize(
    ("section", "key", "text", "value"),
    [
        ("source", "clients", '[{"clientId": "c"}]', [{"clientId": "c"}]),
        ("source", "clients", "[null]", "[null]"),
        ("source", "clients", '{"a": 1}', '{"a": 1}'),
        ("source", "clients", "[", "["),
        ("source", "clients", "text", "text"),
        ("sink", "note", "[1]", "[1]"),
        ("source", "dbType", "[1]", "[1]"),
    ],
)
def test_json_text_is_unfolded_where_a_list_or_an_object_is_meant(section, key, text, value):
    assert made(section, **{key: text}).sections[section] == {key: value}


def test_a_key_belongs_to_the_plugin_that_is_named():
    direct = made("source", boosterClass=DATAFLOW, batchSize="1")
    assert [one.reason for one in direct.left_out] == [RUNTIME]
    assert made("source", boosterClass=STORE, splitThreshold="1").left_out == ()


def test_an_awaited_address_is_nothing_to_do():
    item = awaited(record_of(ready()))
    assert (item.action, item.task) == (Action.NOOP, "shop/orders")
    assert item.remarks == ("commit them; or reconciler forget shop/orders, which drops the record",)


@settings(max_examples=60, deadline=None)
@given(sections=any_component, whole=st.booleans())
def test_references_stand_for_just_what_the_component_has(sections, whole):
    result = imported(sections, CATALOGUE, Names("shop"), whole=whole)
    resolved = canonical.canonical(secrets.resolve(result.sections, result.lookup), CATALOGUE)
    left_out = {one.place for one in result.left_out} | {"/source/checkpoint"}
    kept = {s: {k: v for k, v in sections[s].items() if f"/{s}/{k}" not in left_out} for s in SECTIONS}
    assert resolved == canonical.canonical(kept, CATALOGUE)
