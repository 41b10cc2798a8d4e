from pathlib import Path

import pytest

from reconciler import resources, scaffold
from reconciler.errors import ConfigError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("host", scaffold.PIPELINES)
def test_a_pipeline_is_what_the_documentation_shows(host):
    texts = scaffold.contents(host)
    for path, name in scaffold.PIPELINES[host].items():
        assert texts[path].encode() == (ROOT / "docs" / "ci" / name).read_bytes()


def test_schemas_are_those_of_this_release():
    texts = scaffold.contents("none")
    for name in resources.schema_names():
        assert texts[f"schemas/{name}.schema.json"] == resources.schema_text(name)


def test_without_a_code_host_there_is_no_pipeline():
    assert not [path for path in scaffold.contents("none") if path.startswith((".g", "ci/")) and path != ".gitignore"]


def test_below_the_top_of_a_repository_there_is_neither_pipeline_nor_hook():
    left = set(scaffold.contents("github")) - set(scaffold.contents("github", at_top=False))
    assert left == {*scaffold.PIPELINES["github"], ".pre-commit-config.yaml"}


def test_every_file_is_written_as_it_is(tmp_path):
    texts = {"a.txt": "é\n", "b/c/d.txt": "x"}
    scaffold.write(tmp_path / "new", texts)
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc3\xa9\n"
    assert (tmp_path / "new" / "b" / "c" / "d.txt").read_text() == "x"


def test_what_is_there_already_is_named_and_nothing_is_written(tmp_path):
    (tmp_path / "a").write_text("mine")
    (tmp_path / "b").symlink_to("nowhere")
    (tmp_path / "c").write_text("not a folder")
    with pytest.raises(ConfigError, match=r"these are there already: a, b, c/d$"):
        scaffold.write(tmp_path, dict.fromkeys(("a", "b", "c/d", "e"), "ours"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    assert (tmp_path / "a").read_text() == "mine"


def test_what_cannot_be_finished_is_taken_back(tmp_path):
    too_long = "x" * 300
    with pytest.raises(ConfigError, match="cannot be written: File name too long"):
        scaffold.write(tmp_path / "new", {"a": "1", "b/c": "2", f"b/{too_long}": "3"})
    assert list(tmp_path.iterdir()) == []
