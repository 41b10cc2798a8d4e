import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import pytest

from reconciler import resources
from reconciler.core.validation.findings import RULES
from reconciler.core.validation.validator import DOCUMENTS
from reconciler.model import SECTIONS

ROOT = Path(__file__).parents[1]
NAMES = (*DOCUMENTS, "reconciler")
DATA = json.loads((ROOT / "reconciler" / "data" / "parameters.json").read_text(encoding="utf-8"))
KEYWORDS = {
    "type",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "minItems",
    "oneOf",
    "minProperties",
    "exclusiveMinimum",
}


def _script():
    spec = importlib.util.spec_from_file_location("schemas_script", ROOT / "scripts" / "schemas.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


def nodes(schema, path=""):
    """Every subschema that can refuse a value, with its place; what only chooses a branch cannot."""
    if isinstance(schema, list):
        for index, member in enumerate(schema):
            yield from nodes(member, f"{path}/{index}")
    if not isinstance(schema, dict):
        return
    yield path, schema
    for keyword in ("items", "additionalProperties", "propertyNames", "then", "allOf"):
        yield from nodes(schema.get(keyword), f"{path}/{keyword}")
    for keyword in ("properties", "$defs"):
        for name, member in schema.get(keyword, {}).items():
            yield from nodes(member, f"{path}/{keyword}/{name}")


def keys(properties, prefix=""):
    for name, node in properties.items():
        yield prefix + name
        if node.get("type") == "array" and "clients" in name:
            yield from keys(node["items"]["properties"], f"{prefix}{name}[].")


@pytest.mark.parametrize("name", resources.schema_names())
def test_schema_is_valid_json_schema(name):
    schema = resources.schema(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:oms-reconciler:schema:{name}"
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_can_refuse_says_what_it_expects(name):
    mute = [path for path, node in nodes(resources.schema(name)) if KEYWORDS & node.keys() and "x-expected" not in node]
    assert mute == []


@pytest.mark.parametrize("name", NAMES)
def test_every_member_is_described(name):
    found = nodes(resources.schema(name))
    bare = [path for path, node in found if re.search(r"/properties/[^/]+$", path) and "description" not in node]
    assert [path for path in bare if "hotKeyTable" not in path] == []


def test_rules_named_in_schemas_exist():
    named = {node["x-rule"] for name in NAMES for _, node in nodes(resources.schema(name)) if "x-rule" in node}
    assert named == {"address", "checkpoint-literal"}
    assert named <= RULES.keys()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_parameter_is_in_its_schema_and_nothing_else(section):
    schema = resources.schema(section)
    paths = {entry["path"] for entry in DATA["parameters"] if entry["section"] == section}
    members = schema.get("$defs", {}).get("database", {}).get("properties", {})
    assert {*keys(schema["properties"]), *(f"rule.{name}" for name in members)} - {"$schema"} == paths


@pytest.mark.parametrize("section", ["source", "sink"])
def test_known_plugin_has_its_own_keys_in_its_branch(section):
    for branch in resources.schema(section)["allOf"]:
        entries = [
            entry for entry in DATA["parameters"] if (entry["section"], entry["plugin"]) == (section, branch["title"])
        ]
        assert {*keys(branch["then"]["properties"])} <= {entry["path"] for entry in entries}


def test_annotations_carry_the_facts():
    node = resources.schema("sink")["properties"]["workerNum"]
    assert (node["minimum"], node["maximum"], node["x-unit"], node["x-ownership"], node["x-restart"]) == (
        1,
        1024,
        "threads",
        "operator",
        True,
    )
    assert node["x-danger"]["level"] == "warn"
    assert resources.schema("sink")["properties"]["password"]["x-secret"]
    assert resources.schema("source")["properties"]["dbType"]["x-since"] == "V3.3.1"


def test_nothing_is_required_in_a_section():
    for section in SECTIONS:
        assert "required" not in resources.schema(section)
        assert jsonschema.Draft202012Validator(resources.schema(section)).is_valid({"notListed": 1})


@pytest.mark.parametrize("section", SECTIONS)
def test_committed_schema_is_what_the_catalogue_gives(section):
    text = json.dumps(SCRIPT.schema_of(section, DATA), indent=2, ensure_ascii=False) + "\n"
    assert resources.schema_text(section) == text, "run make schemas"


def test_check_says_that_nothing_would_change(capsys):
    assert SCRIPT.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("minimum", "maximum"),
    [
        (1, 1024),
        (1, 65535),
        (0, 9),
        (7, 7),
        (13, 98),
        (95, 1005),
        (-12, 40),
        (0, None),
        (1, None),
        (-1, None),
        (13, None),
        (100, None),
        (None, None),
    ],
)
def test_pattern_of_a_range_matches_its_integers_only(minimum, maximum):
    pattern = re.compile(SCRIPT.integer_pattern(minimum, maximum))
    low, high = -300 if minimum is None else minimum, 2000 if maximum is None else maximum
    assert all(
        bool(pattern.match(str(n))) == (low <= n <= high)
        for n in (*range(-300, 2000), 65534, 65535, 65536)
        if maximum or n <= high
    )
    assert not any(pattern.match(text) for text in ("", "01", "+1", "1.0", "-0", " 1", "1 ", "x", "\u0661"))


# --- reconciler.toml -----------------------------------------------------------------------------------------------

TARGET = {"url": "http://127.0.0.1:8089", "username": "admin", "password": "${env:OMS_PASSWORD}"}


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        pytest.param({}, True, id="smallest"),
        pytest.param({"policy": {"mode": "observe", "literal_secrets": "warning", "verify_s": 0}}, True, id="policy"),
        pytest.param({"daemon": {"http_listen": "", "resync_s": 60}}, True, id="no listener"),
        pytest.param({"targets": {}}, False, id="no target"),
        pytest.param({"targets": {"a b": TARGET}}, False, id="name of a target"),
        pytest.param({"targets": {"a": TARGET | {"url": "http://u:p@h"}}}, False, id="credentials in an address"),
        pytest.param({"targets": {"a": TARGET | {"max_concurrent": 0}}}, False, id="out of range"),
        pytest.param({"targets": {"a": TARGET | {"retries": 1}}}, False, id="unknown key"),
        pytest.param({"policy": {"mode": "maybe"}}, False, id="unknown mode"),
        pytest.param({"waves": {}}, False, id="unknown section"),
    ],
)
def test_configuration_is_judged(change, fits):
    schema = resources.schema("reconciler")
    assert jsonschema.Draft202012Validator(schema).is_valid({"targets": {"default": TARGET}} | change) == fits


def test_defaults_of_the_configuration_fit_their_own_schemas():
    for path, node in nodes(resources.schema("reconciler")):
        if "default" in node:
            assert jsonschema.Draft202012Validator(node).is_valid(node["default"]), path
