"""Commit hooks with the real git and the real pre-commit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reconciler.model import TASK_FILES
from tests import published
from tests.projects import ROOT, Ended, run_process
from tests.repositories import git_environment

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
BIN = str(Path(sys.executable).parent)
IDENTITY = {f"GIT_{who}_{what}": "ann@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """What `init` made, with its hook installed and all of it committed."""
    root = tmp_path_factory.mktemp("init")
    assert run_process(root, "init", "config", **git_environment(root)).code == 0
    folder = root / "config"
    assert program(folder, "pre-commit", "install").code == 0
    assert program(folder, "git", "add", "--all", ".").code == 0
    done = program(folder, "git", "commit", "--message", "Start")
    assert done.code == 0, done.err
    return folder


def program(folder, *arguments):
    environ = {"PATH": f"{BIN}:/usr/bin:/bin", "PRE_COMMIT_HOME": str(folder.parent / "cache")}
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=git_environment(folder.parent) | environ | IDENTITY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def commit(config):
    """Commit everything; afterwards the tree is as it was."""
    start = program(config, "git", "rev-parse", "HEAD").out.strip()

    def commit(*arguments):
        program(config, "git", "add", "--all", ".")
        return program(config, "git", "commit", "--message", "a change", *arguments)

    yield commit
    program(config, "git", "reset", "--quiet", "--hard", start)


def sample(config, name):
    return config / "desired_state" / "example" / name


def test_the_first_commit_holds_everything(config):
    assert program(config, "git", "status", "--porcelain").out == ""
    assert "desired_state/example/task.json" in program(config, "git", "ls-files").out


def test_a_good_change_is_committed(config, commit):
    sample(config, "sink.json").write_text('{"workerNum": "8"}')
    assert commit().code == 0


def test_a_wrong_change_is_refused_with_its_place(config, commit):
    sample(config, "sink.json").write_text('{"workerNum": "many"}')
    ended = commit()
    assert ended.code == 1
    assert "desired_state/example/sink.json:1:15: error: /workerNum" in ended.out + ended.err


def test_a_deleted_file_is_noticed(config, commit):
    sample(config, "sink.json").unlink()
    ended = commit()
    assert ended.code == 1
    assert "[missing-file]" in ended.out + ended.err


def test_two_directories_for_one_component_are_noticed(config, commit):
    (config / "desired_state" / "copy").mkdir()
    for file in sample(config, "").glob("*.json"):
        (config / "desired_state" / "copy" / file.name).write_text(file.read_text())
    ended = commit()
    assert ended.code == 1
    assert "[address-clash]" in ended.out + ended.err


def test_only_what_is_staged_counts(config, commit):
    sample(config, "sink.json").write_text('{"workerNum": "many"}')
    (config / "README.md").write_text("words")
    program(config, "git", "add", "README.md")
    ended = program(config, "git", "commit", "--message", "words")
    assert ended.code == 0, ended.out + ended.err


# --- the hook that others use ----------------------------------------------------------------------------------------


def test_the_manifest_is_valid_for_pre_commit(tmp_path):
    assert program(tmp_path, "pre-commit", "validate-manifest", str(MANIFEST)) == Ended(0, "", "")


def test_the_manifest_fits_the_published_schema():
    assert published.problems(published.PRE_COMMIT_HOOKS, yaml.safe_load(MANIFEST.read_text())) == []


def test_the_hook_looks_at_the_whole_with_no_file_named():
    (hook,) = yaml.safe_load(MANIFEST.read_text())
    assert (hook["entry"], hook["language"]) == ("reconciler validate", "python")
    assert (hook["pass_filenames"], hook["always_run"]) == (False, True)


def test_the_pattern_of_the_hook_means_the_files_that_count():
    (hook,) = yaml.safe_load(MANIFEST.read_text())
    pattern = re.compile(hook["files"])
    assert all(pattern.search(f"desired_state/shop/{name}") for name in TASK_FILES)
    assert pattern.search("reconciler.toml")
    assert not any(pattern.search(name) for name in ("a/mysink.json", "a/sink.json.tmp", "README.md"))
