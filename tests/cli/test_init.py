import json
import tomllib

import pytest

from reconciler.config import load
from reconciler.core.policy import NewTasks
from tests.repositories import Repo, isolate

HOSTS = ("github", "gitlab", "none")
SAMPLE = "desired_state/example"


@pytest.fixture
def start(tmp_path, reconciler, clean_environment, monkeypatch):
    """Run `init` in an empty directory."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: reconciler("init", *arguments)


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".git/" not in f"{path}/"}


@pytest.mark.parametrize("host", HOSTS)
def test_what_it_made_validates_at_once(start, reconciler, host, tmp_path, monkeypatch):
    assert start("config", "--ci", host).code == 0
    monkeypatch.chdir(tmp_path / "config")
    ended = reconciler("validate")
    assert (ended.code, ended.out, ended.err) == (0, "1 task checked: 0 errors, 0 warnings\n", "")


def test_it_says_what_it_made_and_what_is_next(start):
    ended = start("my config")
    assert (ended.code, ended.err) == (0, "")
    assert "  reconciler.toml\n  schemas/ (8 schemas)\na git repository, with the branch main\n" in ended.out
    assert ended.out.endswith(
        "next:\n  cd 'my config'\n  reconciler validate\n  pre-commit install\n"
        '  git add --all . && git commit --message "Start"\nREADME.md tells how to go on.\n'
    )


def test_it_makes_a_repository(start, tmp_path):
    start("config")
    assert Repo(tmp_path / "config").git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_repository_that_is_there_is_used(start, tmp_path):
    repo = Repo.make(tmp_path / "config")
    repo.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    assert "git repository" not in start("config").out
    assert repo.git("symbolic-ref", "HEAD") == "refs/heads/trunk"
    assert 'ref = "trunk"' in (repo.path / "reconciler.toml").read_text()
    workflow = (repo.path / ".github/workflows/reconciler.yml").read_text()
    assert ('branches: ["trunk"]' in workflow, "main" in workflow.partition("jobs:")[0]) == (True, False)


def test_in_a_folder_of_a_repository_there_is_no_pipeline_and_it_says_so(start, tmp_path):
    Repo.make(tmp_path)
    ended = start("config")
    assert (
        f"no pipeline and no commit hook: they count at the top of a repository only, which is {tmp_path}" in ended.out
    )
    assert "pre-commit install" not in ended.out
    assert names(tmp_path / "config") & {".github", ".pre-commit-config.yaml", "ci", ".git"} == set()


def test_without_git_there_are_the_files_and_a_word(start, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = start("config")
    assert (ended.code, (tmp_path / "config" / "reconciler.toml").exists()) == (0, True)
    assert "config: is no git repository yet: git cannot be run" in ended.err


def test_nothing_is_overwritten(start, tmp_path):
    folder = tmp_path / "config"
    (folder / "desired_state").mkdir(parents=True)
    (folder / "README.md").write_text("mine")
    (folder / "desired_state" / "example").write_text("mine")
    ended = start("config")
    assert (ended.code, ended.out) == (64, "")
    assert "there already: README.md, desired_state/example/README.md" in ended.err
    assert names(folder) == {"README.md", "desired_state", "desired_state/example"}


def test_a_second_time_it_refuses(start):
    assert start("config").code == 0
    assert start("config").code == 64


def test_other_files_may_be_there(start, tmp_path):
    (tmp_path / "LICENSE").write_text("mine")
    assert start(".").code == 0


def test_a_file_is_no_directory_to_begin_in(start, tmp_path):
    (tmp_path / "file").write_text("")
    assert start("file").code == 64


def test_a_directory_that_cannot_be_written_is_left_as_it_was(start):
    ended = start("/proc/reconciler")
    assert (ended.code, "cannot be written" in ended.err) == (64, True)


# --- what is in the files --------------------------------------------------------------------------------------------


@pytest.fixture
def made(start, tmp_path):
    assert start("config").code == 0
    return tmp_path / "config"


def test_the_configuration_is_git_with_every_restart_rationed(made):
    settings = load(made / "reconciler.toml")
    assert settings.git is not None
    assert (settings.git.ref, settings.git.remote) == ("main", "")
    assert settings.policy.new_tasks is NewTasks.HOLD
    document = tomllib.loads((made / "reconciler.toml").read_text())
    assert document["targets"]["default"]["min_update_interval_s"] == 60
    assert document["targets"]["default"]["password"] == "${env:OMS_PASSWORD}"


def test_every_sample_names_a_schema_that_is_there(made):
    files = sorted((made / SAMPLE).glob("*.json"))
    assert len(files) == 5
    for file in files:
        assert (file.parent / json.loads(file.read_text())["$schema"]).resolve().parent == (made / "schemas").resolve()


def test_the_sample_is_never_sent_and_needs_no_secret(made, reconciler, monkeypatch):
    monkeypatch.chdir(made)
    Repo(made).commit("start")
    monkeypatch.setenv("RECONCILER_POLICY__NEW_TASKS", "apply")
    ended = reconciler("plan", "--format", "json")
    (item,) = ended.json["items"]
    assert (ended.code, item["task"], item["action"]) == (0, "example", "suspended")


def test_editors_find_the_schema_of_every_file(made):
    settings = json.loads((made / ".vscode" / "settings.json").read_text())
    urls = [made / entry["url"] for entry in settings["json.schemas"]]
    assert {url.name for url in urls if url.exists()} == {
        f"{name}.schema.json" for name in ("task", "coordinator", "condition", "source", "sink", "reset")
    }
    first = (made / "reconciler.toml").read_text().splitlines()[0]
    assert (made / first.removeprefix("#:schema ")).exists()


def test_git_ignores_the_state(made):
    (made / "state").mkdir()
    (made / "state" / "reconciler.db").write_text("")
    assert Repo(made).git("status", "--porcelain", "state") == ""
