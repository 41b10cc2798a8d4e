import re

import pytest

from reconciler import resources
from reconciler.core.catalogue import CREDENTIALS, LITERAL_CREDENTIALS, Catalogue, Plugin, catalogue_path
from reconciler.model import DangerLevel, Ownership
from tests.tasks import DATAFLOW, JDBC, STORE

CATALOGUE = resources.catalogue()


def test_every_entry_is_found_by_its_own_path():
    assert all(CATALOGUE.find(p.section, p.path, p.plugin) is p for p in CATALOGUE.parameters)


def test_no_two_entries_are_for_one_path_of_one_plugin():
    keys = [(p.section, p.plugin, p.path) for p in CATALOGUE.parameters]
    assert len(keys) == len(set(keys)) == 147


def test_every_pattern_compiles():
    assert all(re.compile(p.pattern) for p in CATALOGUE.parameters if p.pattern)


def test_element_of_a_list_is_found_by_its_index():
    parameter = CATALOGUE.find("source", ("clients", "3", "password"), "DataFlowSource")
    assert (parameter.name, parameter.secret, parameter.plugin) == ("password", True, "DataFlowSource")


def test_entry_of_another_plugin_is_better_than_none():
    assert CATALOGUE.find("sink", ("dryRun",), "KafkaSink").plugin == "JDBCSink"
    assert CATALOGUE.find("sink", ("nothing",)) is None


def test_entry_carries_its_facts():
    parameter = CATALOGUE.find("source", ("splitThreshold",))
    assert (parameter.unit, parameter.default, parameter.minimum, parameter.ownership) == (
        "records",
        128,
        1,
        Ownership.OPERATOR,
    )
    assert (parameter.danger.level, parameter.danger.lowered_only) == (DangerLevel.CONFIRM, True)


@pytest.mark.parametrize(
    ("section", "booster_class", "name"),
    [
        ("source", STORE, "StoreSource"),
        ("source", DATAFLOW, "DataFlowSource"),
        ("sink", JDBC, "JDBCSink"),
        ("sink", STORE, None),
        ("sink", 7, None),
        ("coordinator", STORE, None),
    ],
)
def test_plugin_is_chosen_by_its_class(section, booster_class, name):
    assert CATALOGUE.plugin(section, {"boosterClass": booster_class}) == name


def test_plugin_without_a_known_class_is_never_chosen():
    assert not Plugin("sink", "KafkaSink", None, None).matches("com.example.Kafka")
    assert CATALOGUE.plugin("sink", {}) is None


def test_entries_of_one_plugin_or_of_all():
    assert {p.plugin for p in CATALOGUE.of("source", "StoreSource")} == {"StoreSource"}
    assert {p.plugin for p in CATALOGUE.of("source", None)} == {"StoreSource", "DataFlowSource"}


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("whiteCondition",), ("whiteCondition",)),
        (("whiteCondition", "0"), ("rule", "sub")),
        (("whiteCondition", "0", "name"), ("rule", "name")),
        (("blackCondition", "0", "sub", "12", "sub", "3", "map"), ("rule", "map")),
        (("whiteCondition", "0", "sub"), ("rule", "sub")),
        (("whiteCondition", "0", "attr", "token"), ("rule", "attr", "token")),
        (("whiteCondition", "0", "attr", "sub"), ("rule", "attr", "sub")),
    ],
)
def test_path_into_condition_rules_is_the_same_on_every_level(path, written):
    assert catalogue_path("condition", path) == written


@pytest.mark.parametrize(
    ("section", "path", "value", "secret"),
    [
        pytest.param("sink", ("password",), "x", True, id="known"),
        pytest.param("source", ("clients", "0", "sysTenantPassword"), "x", True, id="known in a list"),
        pytest.param("sink", ("saslConfig",), "x", True, id="by name"),
        pytest.param("sink", ("credentials", "a", "b"), "x", True, id="below a name"),
        pytest.param("condition", ("whiteCondition", "0", "attr", "token"), "x", True, id="attribute"),
        pytest.param("sink", ("jdbcUrl",), "jdbc:x://h?useUnicode=true", False, id="address"),
        pytest.param("sink", ("jdbcUrl",), "jdbc:x://h?password=x", True, id="address with a password"),
        pytest.param("sink", ("jdbcUrl",), "jdbc:x://u:x@h:2883", True, id="address with a login"),
        pytest.param("sink", ("jdbcUrl",), "jdbc:x://h:2883?user=u@t", False, id="address with a user of a tenant"),
        pytest.param("sink", ("workerNum",), 8, False, id="number"),
        pytest.param("sink", ("username",), "u@t#c", False, id="user name"),
        pytest.param("condition", ("whiteCondition", "0", "name"), "passwords", False, id="table about passwords"),
    ],
)
def test_secret_is_known_by_entry_name_or_looks(section, path, value, secret):
    assert CATALOGUE.is_secret(section, path, value) == secret


def test_reference_leaves_no_credentials_behind():
    for text in ("password=\0&a=b", "://u:\0@h", "://\0:\0@h", ":thin:u/\0@h"):
        assert CREDENTIALS.search(text.replace("\0", "x"))
        assert not LITERAL_CREDENTIALS.search(text)


def test_empty_catalogue_knows_nothing():
    assert Catalogue((), ()).find("sink", ("workerNum",)) is None
    assert Catalogue((), ()).is_secret("sink", ("password",), "x")
