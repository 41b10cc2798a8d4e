import json
import re
import shutil

import pytest

from reconciler import resources
from reconciler.cli.validate import complete_rules
from tests import published
from tests.projects import KAFKA, MYSQL, ORACLE
from tests.repositories import Repo, isolate


def test_good_files_are_0(project):
    ended = project.reconciler("validate")
    assert (ended.code, ended.out, ended.err) == (0, "3 tasks checked: 0 errors, 0 warnings\n", "")


def test_an_error_is_1_with_file_line_column_expectation_and_suggestion(project):
    path = project.desired / KAFKA / "sink.json"
    path.write_text('{\n  "workerNum": "many",\n  "worKerNum": 3\n}\n')
    ended = project.reconciler("validate")
    assert ended.code == 1
    assert ended.out.splitlines()[0].startswith(f"desired_state/{KAFKA}/sink.json:2:16: error: /workerNum: expected ")
    assert 'Did you mean "workerNum"?' in ended.out.splitlines()[1]
    assert ended.out.splitlines()[-1] == "3 tasks checked: 2 errors, 0 warnings"


def test_every_error_of_every_file_is_shown_at_once(project):
    project.break_(ORACLE)
    (project.desired / KAFKA / "source.json").unlink()
    project.edit(MYSQL, "sink", workerNum="x")
    errors = [line.split(": ")[0] for line in project.reconciler("validate").out.splitlines()[:-1]]
    assert [error.split(":")[0] for error in errors] == [
        f"desired_state/{MYSQL}/sink.json",
        f"desired_state/{KAFKA}/source.json",
        f"desired_state/{ORACLE}/sink.json",
    ]


def test_warnings_alone_are_0(project):
    project.edit(KAFKA, "sink", somethingNobodyKnows="1")
    ended = project.reconciler("validate")
    assert ended.code == 0
    assert "warning: /somethingNobodyKnows" in ended.out
    assert ended.out.endswith("3 tasks checked: 0 errors, 1 warning\n")


def test_errors_stand_after_warnings(project):
    project.edit(KAFKA, "coordinator", throttleRps="many")
    project.edit(KAFKA, "sink", newKey="1")
    project.edit(MYSQL, "sink", newKey="1")
    ended = project.reconciler("validate")
    kinds = [re.search(r": (warning|error): ", line)[1] for line in ended.out.splitlines()[:-1]]
    assert (kinds, ended.code) == (["warning", "warning", "error"], 1)


def test_json_holds_the_same(project):
    project.edit(KAFKA, "sink", workerNum="x", somethingNobodyKnows="1")
    ended = project.reconciler("validate", "--format", "json")
    assert (ended.code, ended.err) == (1, "")
    assert ended.json["summary"] == {"tasks": 3, "errors": 1, "warnings": 1}
    first = ended.json["violations"][0]
    assert (first["root"], first["task"], first["file"]) == ("desired_state", KAFKA, f"{KAFKA}/sink.json")
    assert {"line", "column", "pointer", "rule", "severity", "expected", "found", "suggestion"} <= set(first)


def test_neither_network_nor_state_nor_secrets_are_needed(project, monkeypatch):
    for name in ("OMS_PASSWORD", "SHOP_SINK_PASSWORD"):
        monkeypatch.delenv(name)
    assert project.reconciler("validate").code == 0
    assert project.simulator.calls == ()
    assert not (project.root / "state").exists()


def test_with_a_path_no_configuration_is_needed(project):
    (project.root / "reconciler.toml").unlink()
    assert project.reconciler("validate", "desired_state").code == 0
    assert project.reconciler("validate").code == 64


@pytest.mark.parametrize(
    ("where", "path", "tasks"),
    [
        (".", "desired_state", 3),
        (".", f"desired_state/{KAFKA}", 1),
        (".", f"desired_state/{KAFKA}/", 1),
        (".", f"desired_state/{KAFKA}/sink.json", 1),
        (f"desired_state/{KAFKA}", ".", 1),
        (f"desired_state/{KAFKA}", "sink.json", 1),
        (f"desired_state/{KAFKA}/deeper", "..", 1),
        (f"desired_state/{KAFKA}/deeper", "../..", 3),
        ("desired_state", ".", 3),
    ],
)
def test_a_path_is_the_whole_or_one_task_wherever_one_stands(project, monkeypatch, where, path, tasks):
    (project.desired / KAFKA / "deeper").mkdir()
    monkeypatch.chdir(project.root / where)
    noun = "task" if tasks == 1 else "tasks"
    assert project.reconciler("validate", path).out == f"{tasks} {noun} checked: 0 errors, 0 warnings\n"


def test_a_link_to_a_task_is_that_task(project):
    (project.root / "link").symlink_to(project.desired / KAFKA)
    project.break_(KAFKA)
    ended = project.reconciler("validate", "link")
    assert ended.code == 1
    assert ended.out.endswith("1 task checked: 1 error, 0 warnings\n")


def test_other_tasks_than_the_named_one_are_not_blamed(project):
    project.break_(ORACLE)
    assert project.reconciler("validate", f"desired_state/{KAFKA}").code == 0


def test_two_files_of_one_task_are_one_task(project):
    paths = [f"desired_state/{KAFKA}/sink.json", f"desired_state/{KAFKA}/source.json"]
    assert project.reconciler("validate", *paths).out.startswith("1 task checked")


def test_several_paths_are_checked_one_after_the_other(project):
    paths = [f"desired_state/{KAFKA}", f"desired_state/{MYSQL}"]
    assert project.reconciler("validate", *paths).out.startswith("2 tasks checked")


def test_where_there_are_no_tasks_it_says_so(project):
    (project.root / "docs").mkdir()
    ended = project.reconciler("validate", "docs")
    assert (ended.code, "docs: no tasks found" in ended.err) == (64, True)


def test_two_tasks_for_one_component_are_both_wrong(project):
    shutil.copytree(project.desired / KAFKA, project.desired / "copy")
    ended = project.reconciler("validate")
    assert ended.code == 1
    assert f"found the address of {KAFKA}" in ended.out
    assert "found the address of copy" in ended.out


def test_a_missing_directory_is_1(project):
    shutil.rmtree(project.desired)
    ended = project.reconciler("validate", "--format", "json")
    assert ended.code == 1
    assert ended.json["error"]["kind"] == "DesiredStateError"
    assert "desired_state: the desired state cannot be read" in ended.err


@pytest.mark.parametrize(("severity", "code"), [("error", 1), ("warning", 0)])
def test_a_setting_says_how_much_a_literal_secret_matters(project, severity, code, monkeypatch):
    project.edit(KAFKA, "sink", password="sentinel-in-clear")
    monkeypatch.setenv("RECONCILER_POLICY__LITERAL_SECRETS", severity)
    ended = project.reconciler("validate")
    assert ended.code == code
    assert "[literal-secret]" in ended.out
    assert "sentinel" not in ended.out


def test_json_of_a_name_that_is_no_utf8_can_be_read(project):
    (project.desired / KAFKA).rename(project.desired / "caf\udce9")
    ended = project.reconciler("validate", "--format", "json")
    ended.out.encode()  # not: surrogates not allowed
    assert [each["task"] for each in json.loads(ended.out)["violations"]] == ["caf\udce9"]


# --- SARIF -----------------------------------------------------------------------------------------------------------


def sarif(project, *arguments):
    """The exit code and the one run."""
    ended = project.reconciler("validate", "--format", "sarif", *arguments)
    assert published.problems(published.SARIF, ended.json) == []
    (run,) = ended.json["runs"]
    return ended.code, run


def places(run):
    return [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in run["results"]]


def test_sarif_of_good_files_has_no_results(project):
    code, run = sarif(project)
    assert (code, run["results"]) == (0, [])
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 0, "toolExecutionNotifications": []}]


def test_sarif_names_files_below_the_root_of_the_repository(project, monkeypatch):
    project.edit(KAFKA, "sink", workerNum="x")
    (project.root / ".git").mkdir()
    monkeypatch.chdir(project.desired)
    code, run = sarif(project, KAFKA)
    assert code == 1
    assert places(run) == [{"uri": f"desired_state/{KAFKA}/sink.json", "uriBaseId": "%SRCROOT%"}]


def test_sarif_without_a_repository_names_files_below_the_working_directory(project):
    project.edit(KAFKA, "sink", workerNum="x")
    _, run = sarif(project)
    assert places(run) == [{"uri": f"desired_state/{KAFKA}/sink.json", "uriBaseId": "%SRCROOT%"}]


def test_sarif_of_files_elsewhere_has_whole_addresses(project, monkeypatch):
    project.edit(KAFKA, "sink", workerNum="x")
    (project.root / "elsewhere").mkdir()
    monkeypatch.chdir(project.root / "elsewhere")
    _, run = sarif(project, str(project.desired))
    assert places(run) == [{"uri": f"file://{project.desired}/{KAFKA}/sink.json"}]


def test_sarif_leads_through_links_because_code_hosts_do_not(project):
    project.edit(KAFKA, "sink", workerNum="x")
    (project.root / "link").symlink_to(project.desired)
    _, run = sarif(project, "link")
    assert places(run)[0]["uri"] == f"desired_state/{KAFKA}/sink.json"


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["nowhere"], ["--explain", "null"]])
def test_wrong_usage_is_sarif_too(project, arguments):
    code, run = sarif(project, *arguments)
    assert code == 64
    assert "results" not in run


def test_wrong_configuration_is_sarif_too(project):
    (project.root / "reconciler.toml").write_text("[targets")
    ended = project.reconciler("validate", "--format=sarif")
    (run,) = ended.json["runs"]
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (ended.code, note["descriptor"]) == (64, {"id": "ConfigError"})
    assert "reconciler.toml" in note["message"]["text"]


def test_a_defect_is_sarif_too(project, monkeypatch):
    def broken():
        raise ZeroDivisionError("sentinel-of-a-secret")

    monkeypatch.setattr(resources, "rules", broken)
    code, run = sarif(project)
    assert (code, "results" in run) == (1, False)
    assert "sentinel" not in json.dumps(run)


def test_no_secret_is_in_sarif(project):
    project.edit(KAFKA, "sink", password="sentinel-in-clear", workerNum="x")
    _, run = sarif(project)
    assert {result["ruleId"] for result in run["results"]} >= {"literal-secret", "schema"}
    assert "sentinel" not in json.dumps(run)


# --- one rule --------------------------------------------------------------------------------------------------------


def test_a_rule_is_explained_without_any_configuration(project):
    (project.root / "reconciler.toml").unlink()
    ended = project.reconciler("validate", "--explain", "literal-secret")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("literal-secret (error): a password in git is known to everybody")
    assert "${env:SHOP_SINK_PASSWORD}" in ended.out
    assert "policy.literal_secrets" in ended.out


def test_a_rule_is_explained_as_json(project):
    ended = project.reconciler("validate", "--explain", "heap", "--format", "json")
    assert (ended.code, ended.json["rule"]["id"], ended.json["rule"]["severity"]) == (0, "heap", "warning")


@pytest.mark.parametrize(
    ("name", "hint"), [("literal-secrets", 'did you mean "literal-secret"?'), ("7", "there are: address, ")]
)
def test_an_unknown_rule_is_64_with_a_suggestion(project, name, hint):
    ended = project.reconciler("validate", "--explain", name)
    assert (ended.code, ended.out) == (64, "")
    assert f'no rule is named "{name}"; {hint}' in ended.err


def test_explain_and_a_path_are_wrong_together(project):
    ended = project.reconciler("validate", "--explain", "null", "desired_state")
    assert (ended.code, "--explain takes no PATH" in ended.err) == (64, True)


def test_the_shell_completes_rules():
    assert complete_rules(None, None, "heap") == ["heap", "heap-initial"]


def test_what_the_samples_can_be_blamed_for_is_explained(project):
    project.edit(KAFKA, "sink", password="x", somethingNew="1", workerNum=None)
    (project.desired / "sinks.json").write_text("{}")
    (project.desired / "task.json").write_text("{}")
    told = project.reconciler("validate", "--format", "json").json["violations"]
    assert len({each["rule"] for each in told}) > 4
    assert {each["rule"] for each in told} <= set(resources.rules())


# --- git -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def committed(project, monkeypatch):
    """The samples in a repository, which the configuration says is read as commits."""
    isolate(monkeypatch, project.root)
    repo = Repo.make(project.root)
    repo.commit("samples")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    return repo


def test_in_git_mode_the_working_tree_is_checked_before_its_commit(project, committed):
    project.break_(KAFKA)
    ended = project.reconciler("validate")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(f"desired_state/{KAFKA}/sink.json:1:")


def test_in_git_mode_a_repository_without_a_commit_is_checked(project, monkeypatch):
    isolate(monkeypatch, project.root)
    Repo.make(project.root)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    assert project.reconciler("validate").out == "3 tasks checked: 0 errors, 0 warnings\n"


def test_of_a_bare_repository_the_commit_is_checked(project, committed, monkeypatch):
    project.edit(KAFKA, "sink", workerNum="x")
    commit = committed.commit("worse")
    committed.clone(project.root / "bare.git", "--bare")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__PATH", "bare.git/desired_state")
    ended = project.reconciler("validate", "--format", "sarif")
    assert f"commit {commit[:12]} is checked (HEAD)" in ended.err
    (result,) = ended.json["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == f"desired_state/{KAFKA}/sink.json"


def test_a_bare_repository_without_such_a_commit_is_1(project, committed, monkeypatch):
    committed.clone(project.root / "bare.git", "--bare")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__PATH", "bare.git/desired_state")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__REF", "release")
    ended = project.reconciler("validate")
    assert (ended.code, "release" in ended.err) == (1, True)


def test_git_mode_needs_neither_state_nor_remote(project, committed, monkeypatch):
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__REMOTE", "ssh://nowhere.invalid/config.git")
    committed.clone(project.root / "bare.git", "--bare")
    for path in ("desired_state", "bare.git/desired_state"):
        monkeypatch.setenv("RECONCILER_DESIRED_STATE__PATH", path)
        assert project.reconciler("validate").code == 0
    assert not (project.root / "state").exists()
