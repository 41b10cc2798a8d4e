import json

import pytest

from reconciler import resources


def test_without_a_name_the_schemas_are_listed(reconciler):
    ended = reconciler("schema")
    assert (ended.code, ended.out.split()) == (0, list(resources.schema_names()))


@pytest.mark.parametrize("name", resources.schema_names())
def test_a_schema_is_printed_as_it_is_shipped(reconciler, name):
    ended = reconciler("schema", name)
    assert (ended.code, ended.out, ended.err) == (0, resources.schema_text(name), "")
    assert json.loads(ended.out)["$id"].endswith(f":{name}")


def test_an_unknown_schema_is_wrong_usage_and_the_known_ones_are_named(reconciler):
    ended = reconciler("schema", "tasks")
    assert (ended.code, ended.out) == (64, "")
    assert f'no schema "tasks"; there are: {", ".join(resources.schema_names())}' in ended.err


def test_no_configuration_is_needed(reconciler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert reconciler("--config", "nowhere.toml", "schema").code == 0


def test_all_schemas_are_written_to_a_folder(reconciler, tmp_path):
    assert reconciler("schema", "--all", str(tmp_path / "schemas")).code == 0
    written = {path.name: path.read_text() for path in (tmp_path / "schemas").iterdir()}
    assert written == {f"{name}.schema.json": resources.schema_text(name) for name in resources.schema_names()}
