import json
import shutil

import pytest

from tests.projects import KAFKA, MYSQL, ORACLE


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
