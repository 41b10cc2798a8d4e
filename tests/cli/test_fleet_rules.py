"""Rules over all tasks, as `validate` and `plan` show them."""

import pytest

from tests.projects import KAFKA, MYSQL, ORACLE

CAP = '\n[[fleet.caps]]\nhost = "10.0.0.21"\nworkers = 1\n'


@pytest.fixture
def capped(project):
    """A cap that one task exceeds."""
    path = project.root / "reconciler.toml"
    path.write_text(path.read_text() + CAP)
    return project


def refer(project, client="nobody"):
    """Let a condition refer to a client."""
    project.edit(KAFKA, "condition", source_id=client)


def test_a_cap_that_is_exceeded_is_an_error_at_its_place(capped):
    ended = capped.reconciler("validate")
    assert ended.code == 1
    first = ended.out.splitlines()[0]
    assert first.startswith(f"desired_state/{MYSQL}/sink.json:")
    assert "error: /workerNum: expected at most 1 worker by all tasks that write to 10.0.0.21 (fleet.caps)" in first


def test_a_doubt_about_several_tasks_is_a_warning(project):
    refer(project)
    ended = project.reconciler("validate")
    assert ended.code == 0
    assert f"{KAFKA}/condition.json:" in ended.out
    assert '"nobody"' in ended.out


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        pytest.param((), True, id="no path"),
        pytest.param(("desired_state",), True, id="the configured directory"),
        pytest.param((f"desired_state/{MYSQL}",), False, id="one task"),
        pytest.param(("desired_state/team",), False, id="a folder of it"),
        pytest.param(("elsewhere",), True, id="another directory"),
    ],
)
def test_rules_about_several_tasks_are_asked_of_whole_directories(capped, path, asked):
    (capped.desired / "team").mkdir()
    (capped.desired / MYSQL).rename(capped.desired / "team" / MYSQL) if "team" in str(path) else None
    (capped.root / "elsewhere").mkdir()
    (capped.desired / MYSQL).rename(capped.root / "elsewhere" / MYSQL) if "elsewhere" in path else None
    assert ("fleet-worker-cap" in capped.reconciler("validate", *path, "--format", "json").out) == asked


def test_without_a_configuration_there_are_no_caps_but_doubts(capped):
    (capped.root / "reconciler.toml").unlink()
    refer(capped)
    ended = capped.reconciler("validate", "desired_state", "--format", "json")
    assert (ended.code, [row["rule"] for row in ended.json["violations"]]) == (0, ["fleet-source-id"])


def test_code_hosts_get_rule_and_line(capped):
    log = capped.reconciler("validate", "--format", "sarif").json["runs"][0]
    (result,) = (found for found in log["results"] if found["ruleId"] == "fleet-worker-cap")
    assert result["level"] == "error"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] > 1


def test_a_plan_remarks_on_it_and_holds_nothing(capped):
    capped.configure(new_tasks="apply")
    path = capped.root / "reconciler.toml"
    path.write_text(path.read_text() + CAP)
    ended = capped.reconciler("plan", "--format", "json")
    assert ended.code == 2
    assert any(remark.startswith(f"fleet-worker-cap: {MYSQL}: expected") for remark in ended.json["remarks"])
    assert "fleet-worker-cap" in capped.reconciler("plan").out


def test_a_plan_for_one_task_remarks_on_that_one_only(capped):
    assert "fleet-worker-cap" in capped.reconciler("plan", MYSQL).out
    assert "fleet-" not in capped.reconciler("plan", ORACLE).out


def test_a_clashing_task_counts_once_it_is_alone(capped):
    (capped.desired / "copy").mkdir()
    for file in (capped.desired / MYSQL).iterdir():
        (capped.desired / "copy" / file.name).write_bytes(file.read_bytes())
    rules = [row["rule"] for row in capped.reconciler("validate", "--format", "json").json["violations"]]
    assert rules == ["address-clash", "address-clash"]


# --- what a configuration says counts for named paths too ----------------------------------------------------------


@pytest.mark.parametrize("path", [(), ("desired_state",), (f"desired_state/{MYSQL}/sink.json",)])
def test_a_literal_secret_is_what_the_configuration_says_it_is(project, path):
    project.edit(MYSQL, "sink", password="sentinel-in-clear")
    assert project.reconciler("validate", *path).code == 1
    config = project.root / "reconciler.toml"
    config.write_text(config.read_text().replace("[policy]\n", '[policy]\nliteral_secrets = "warning"\n'))
    ended = project.reconciler("validate", *path)
    assert (ended.code, "warning: /password" in ended.out) == (0, True)
    assert "sentinel-in-clear" not in ended.out


def test_a_broken_configuration_is_told_although_a_path_is_named(project):
    (project.root / "reconciler.toml").write_text("[")
    assert project.reconciler("validate", "desired_state").code == 64
