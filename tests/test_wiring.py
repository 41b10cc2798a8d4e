from dataclasses import replace

import pytest

from reconciler import wiring
from reconciler.config import GitConfig, load
from reconciler.core.policy import NewTasks
from reconciler.errors import ConfigError, StateStoreError, TargetMisconfiguredError
from reconciler.model import NO_ORIGINS, Severity
from reconciler.source import DirectorySource
from tests.projects import KAFKA, MYSQL, SECRETS, lay_out
from tests.repositories import Repo, isolate

CONFIG = """
[targets.default]
url = "http://127.0.0.1:1"
username = "admin"
password = "${env:RECONCILER_TEST_PASSWORD}"
max_concurrent = 7
[targets.literal]
url = "http://127.0.0.1:1"
username = "admin"
password = "a$${b"
"""


@pytest.fixture
def settings(tmp_path):
    path = lay_out(tmp_path) / "reconciler.toml"
    path.write_text(CONFIG)
    return load(path, {})


@pytest.fixture
def store(settings):
    store = wiring.open_store(settings, read_only=False)
    yield store
    store.close()


def test_the_parts_fit_together(settings, store):
    survey = wiring.reconciler(settings, store).survey(settings.policy, [KAFKA])
    assert [item.task for item in survey.plan.items] == [KAFKA]


def test_tools_know_how_many_components_a_target_allows(settings, store):
    tools = wiring.tools(settings, store, lambda _task, _text: None)
    assert tools.max_concurrent == {"default": 7, "literal": 2}
    assert 0 <= tools.random() < 1


def test_a_target_is_opened_with_the_password_that_its_reference_means(settings, monkeypatch):
    monkeypatch.setenv("RECONCILER_TEST_PASSWORD", "sentinel")
    target = wiring.target_factory(settings)("default", ())
    target.close()
    wiring.target_factory(settings)("literal", ()).close()


def test_a_target_without_a_password_is_misconfigured_and_the_message_says_where(settings, monkeypatch):
    monkeypatch.delenv("RECONCILER_TEST_PASSWORD", raising=False)
    expected = r"reconciler.toml: targets.default.password: \$\{env:RECONCILER_TEST_PASSWORD\}: the environment has no"
    with pytest.raises(TargetMisconfiguredError, match=expected):
        wiring.target_factory(settings)("default", ())


def test_a_store_that_can_be_written_is_opened_without_a_word(settings):
    store, trouble = wiring.open_store_for_reports(settings)
    store.close()
    assert trouble == ""


def test_a_store_that_cannot_even_be_read_is_an_error(settings):
    settings.state.mkdir(parents=True)
    with pytest.raises(StateStoreError):
        wiring.open_store_for_reports(settings)


def test_the_validator_has_the_severity_that_is_set(settings):
    (raw, *_) = wiring.source(settings).tasks()
    raw.files["sink.json"] = b'{"password": "in clear"}'
    for severity in Severity:
        found = wiring.validator(severity).examine(raw).violations
        assert [v.severity for v in found if v.rule == "literal-secret"] == [severity]


# --- who changed what -------------------------------------------------------------------------------------------------


@pytest.fixture
def repo(settings, tmp_path, monkeypatch):
    """The project, committed; its last commit changed one task."""
    isolate(monkeypatch, tmp_path)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    repo = Repo.make(tmp_path)
    repo.commit("Begin", {".gitignore": "state/\n"})
    sink = tmp_path / "desired_state" / KAFKA / "sink.json"
    repo.commit("Raise the workers", {str(sink.relative_to(tmp_path)): sink.read_text().replace('"12"', '"13"')})
    return repo


class AtCommit(DirectorySource):
    """The working tree under the name of the commit that it is a checkout of."""

    def __init__(self, settings, revision):
        super().__init__(settings.desired_state)
        self.revision = revision


def origins(settings, store, files, new=NewTasks.APPLY):
    survey = wiring.reconciler(settings, store, files).survey(replace(settings.policy, new_tasks=new), [])
    return wiring.origins(files, survey.plan)


def test_a_plan_of_a_directory_has_no_commits(settings, store, repo):
    assert origins(settings, store, DirectorySource(settings.desired_state)) is NO_ORIGINS


def test_a_plan_of_a_commit_names_who_changed_each_task_and_key(settings, store, repo):
    found = origins(settings, store, AtCommit(settings, repo.head()))
    assert {task: commit.subject for task, commit in found.tasks.items()}.items() >= {
        (KAFKA, "Raise the workers"),
        (MYSQL, "Begin"),
    }
    assert found.keys[KAFKA, "/sink/workerNum"].subject == "Raise the workers"
    assert found.keys[MYSQL, "/coordinator/throttleRps"].subject == "Begin"
    assert found.remark == ""


def test_of_a_very_large_plan_the_first_tasks_are_looked_up(settings, store, repo, monkeypatch):
    monkeypatch.setattr(wiring, "_MOST_TASKS", 1)
    found = origins(settings, store, AtCommit(settings, repo.head()))
    assert list(found.tasks) == [MYSQL]
    assert found.remark == "who changed what was looked up for the first 1 of 3 tasks only"


def test_a_plan_in_which_nothing_happens_needs_no_history(settings, store, repo):
    files = AtCommit(settings, "not looked up")
    survey = wiring.reconciler(settings, store, files).survey(settings.policy, [])
    assert wiring.origins(files, replace(survey.plan, items=())) is NO_ORIGINS


def test_a_plan_without_a_history_says_why(settings, store, repo, tmp_path):
    files = AtCommit(settings, repo.head())
    (tmp_path / ".git").rename(tmp_path / "git")
    found = origins(settings, store, files)
    assert (dict(found.tasks), dict(found.keys)) == ({}, {})
    assert found.remark.startswith("who changed what is not known: ")


def test_tools_know_who_touched_a_task_when_the_desired_state_is_a_repository(settings, store, repo):
    of_git = replace(settings, git=GitConfig("HEAD", "", 60.0, require_signed=False, allowed_signers=None))
    for given, expected in ((settings, None), (of_git, "Raise the workers")):
        found = wiring.tools(given, store, lambda _task, _text: None).origin(repo.head(), KAFKA)
        assert (found and found.subject) == expected


def test_the_secret_of_the_webhook_is_what_its_reference_means(settings, monkeypatch):
    daemon = replace(settings.daemon, webhook_secret="${env:RECONCILER_TEST_HOOK}")
    monkeypatch.setenv("RECONCILER_TEST_HOOK", "sentinel")
    assert wiring.webhook_secret(replace(settings, daemon=daemon)) == "sentinel"
    assert wiring.webhook_secret(settings) == ""


def test_a_secret_of_the_webhook_that_is_not_there_is_an_error_of_the_configuration(settings, monkeypatch):
    daemon = replace(settings.daemon, webhook_secret="${env:RECONCILER_TEST_HOOK}")
    monkeypatch.delenv("RECONCILER_TEST_HOOK", raising=False)
    with pytest.raises(ConfigError, match=r"reconciler.toml: daemon.webhook_secret: \$\{env:RECONCILER_TEST_HOOK\}"):
        wiring.webhook_secret(replace(settings, daemon=daemon))
