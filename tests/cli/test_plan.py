import json
import shutil
import sqlite3
from dataclasses import replace

import pytest

from reconciler import resources
from tests.projects import KAFKA, MYSQL, ORACLE, SECRETS, lay_out
from tests.state.conftest import ordinary_user  # noqa: F401 - a fixture


def items(ended):
    return {item["task"]: item for item in ended.json["items"]}


# --- exit codes: 1 before 3 before 2 before 0 ------------------------------------------------------------------------


def changed(project):
    project.edit(KAFKA, "sink", workerNum="13")


def held(project):
    project.edit(MYSQL, "coordinator", taskSubId="2")  # dangerous, and not allowed in task.json


def unresolved(project):
    project.edit(KAFKA, "sink", password="${env:NOWHERE}")


def invalid(project):
    project.break_(ORACLE)


def orphan(project):
    shutil.rmtree(project.desired / ORACLE)


def suspension(project):
    assert project.reconciler("suspend", KAFKA, "--reason", "x").code == 0


def left_in_place(project):
    project.edit(KAFKA, "sink", "workerNum")


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 0),
        ([orphan], 0),
        ([changed, suspension], 0),
        ([left_in_place], 0),
        ([changed], 2),
        ([changed, orphan], 2),
        ([held], 3),
        ([unresolved], 3),
        ([held, changed], 3),
        ([invalid], 1),
        ([invalid, changed], 1),
        ([invalid, held, changed], 1),
    ],
    ids=lambda value: "+".join(each.__name__ for each in value) or "nothing" if isinstance(value, list) else None,
)
def test_the_exit_code_is_the_first_that_holds(project, states, code):
    project.adopted()
    for make in states:
        make(project)
    assert project.reconciler("plan").code == code


@pytest.mark.parametrize("format_", ["json", "markdown", "html"])
def test_the_exit_code_does_not_depend_on_the_format(project, format_):
    assert project.reconciler("plan", "--format", format_).code == 3
    invalid(project)
    assert project.reconciler("plan", "--format", format_).code == 1


def test_new_tasks_are_held_and_3(project):
    ended = project.reconciler("plan")
    assert ended.code == 3
    assert f"{KAFKA}  blocked (would update)" in ended.out
    assert "new_tasks: first sight of this task" in ended.out


def test_new_tasks_that_may_be_sent_are_2(project):
    project.configure(new_tasks="apply")
    assert project.reconciler("plan").code == 2


def test_in_observe_mode_what_would_be_sent_is_blocked(project):
    project.adopted().configure(mode="observe")
    changed(project)
    ended = project.reconciler("plan")
    assert (ended.code, 'mode: policy.mode is "observe"' in ended.out) == (3, True)


def test_more_than_fifty_new_tasks_are_not_all_sent_at_first_sight(project):
    project.configure(new_tasks="apply")
    for number in range(50):
        shutil.copytree(project.desired / KAFKA, project.desired / f"copy-{number}")
        place = {"project": f"np_{number:04}", "link": "forward", "index": 0}
        project.edit(f"copy-{number}", "task", component=place)
    ended = project.reconciler("plan", "--format", "json")
    assert ended.code == 3
    assert {item["rail"] for item in ended.json["items"]} == {"first_run"}


def test_when_all_tasks_vanish_everything_is_frozen(project):
    project.adopted()
    shutil.rmtree(project.desired)
    project.desired.mkdir()
    ended = project.reconciler("plan")
    assert "! frozen: 3 of 3 known tasks are gone" in ended.out


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_a_change_is_shown_with_its_meaning_and_its_cost(project):
    project.adopted().edit(KAFKA, "coordinator", throttleRps="20000")
    ended = project.reconciler("plan")
    lines = ended.out.splitlines()
    assert (
        lines[0] == f"{KAFKA}  update: restarts the component; forward link; a message sink may repeat about a minute"
    )
    assert '  ~ coordinator/throttleRps  "50000" -> "20000"   throttle: 50,000 -> 20,000 records/s' in lines
    assert lines[-1].endswith(": 1 to update, 2 unchanged; restarts 1 component.")
    assert ended.err == ""


def test_unchanged_tasks_are_listed_when_asked_for(project):
    project.adopted()
    assert MYSQL not in project.reconciler("plan").out
    assert f"{MYSQL}  noop\n    no difference\n" in project.reconciler("plan", "--full").out


def test_only_named_tasks_are_shown(project):
    ended = project.reconciler("plan", KAFKA, "--format", "json")
    assert list(items(ended)) == [KAFKA]


def test_a_folder_means_the_tasks_in_it(project):
    (project.desired / "shop").mkdir()
    for task in (KAFKA, MYSQL):
        (project.desired / task).rename(project.desired / "shop" / task)
    for name in ("shop", "shop/"):
        assert list(items(project.reconciler("plan", name, "--format", "json"))) == [f"shop/{MYSQL}", f"shop/{KAFKA}"]


def test_an_orphan_may_be_named(project):
    project.adopted()
    orphan(project)
    assert items(project.reconciler("plan", ORACLE, "--format", "json"))[ORACLE]["action"] == "orphaned"


def test_the_problems_of_an_invalid_task_are_shown_with_their_place(project):
    invalid(project)
    ended = project.reconciler("plan", ORACLE)
    assert f"    desired_state/{ORACLE}/sink.json:1:2: error: expected " in ended.out


def test_markdown_has_a_block_for_each_task(project):
    project.adopted()
    changed(project)
    out = project.reconciler("plan", "--format", "markdown").out
    assert out.startswith("<!-- reconciler plan -->\n### Plan `")
    assert "1 to update, 2 unchanged" in out
    assert '~   sink/workerNum  "12" -> "13"' in out or 'workerNum  "12" -> "13"' in out


def test_nothing_is_called(project):
    project.reconciler("plan")
    assert project.simulator.calls == ()


def test_planning_twice_gives_the_same_bytes(project):
    assert project.reconciler("plan", "--format", "json") == project.reconciler("plan", "--format", "json")


@pytest.mark.parametrize("states", [[], [changed, held, invalid], [orphan, left_in_place]])
def test_json_fits_its_schema(project, states):
    import jsonschema_rs

    if states:
        project.adopted()
    for make in states:
        make(project)
    found = project.reconciler("plan", "--format", "json").json
    jsonschema_rs.validator_for(resources.schema("plan")).validate(found)


@pytest.mark.parametrize("format_", ["text", "json", "markdown", "html"])
def test_no_format_shows_a_secret(project, format_):
    project.configure(new_tasks="apply")
    out = project.reconciler("plan", "--full", "--format", format_).out
    assert [value for value in SECRETS.values() if value in out] == []
    assert "«secret»" in out


def test_a_changed_secret_is_a_change_without_its_value(project, monkeypatch):
    project.adopted()
    monkeypatch.setenv("SHOP_SINK_PASSWORD", "sentinel-of-another-day")
    ended = project.reconciler("plan")
    assert ended.code == 2
    assert '  ~ sink/password  "«secret»" -> "«secret changed»"' in ended.out
    assert "sentinel" not in ended.out


# --- --out -----------------------------------------------------------------------------------------------------------


def test_a_plan_is_saved_as_the_json_that_is_printed(project):
    ended = project.reconciler("plan", "--out", "plan.json", "--format", "json")
    assert (project.root / "plan.json").read_text() == ended.out
    assert ended.err == "saved: reconciler apply --plan plan.json\n"


def test_a_name_that_is_no_utf8_can_be_planned_printed_and_saved(project):
    (project.desired / KAFKA).rename(project.desired / "caf\udce9")
    ended = project.reconciler("plan", "--format", "json", "--out", "plan.json")
    ended.out.encode()  # not: surrogates not allowed
    assert ended.code == 1
    assert "caf\udce9" in items(ended)
    assert json.loads((project.root / "plan.json").read_text()) == ended.json


# --- the store -------------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(project):
    """Every module that planning imports is imported: an ordinary user may not read those of root's Python."""
    for arguments in (["plan"], ["adopt", "--all"], ["plan"]):
        project.reconciler(*arguments)


def test_a_plan_can_be_made_where_nothing_may_be_written(project, loaded, ordinary_user, monkeypatch):  # noqa: F811 - the fixture
    monkeypatch.chdir(lay_out(ordinary_user))
    mine = replace(project, root=ordinary_user)
    mine.configure()
    state = mine.adopted().database.parent
    state.chmod(0o500)
    for file in state.iterdir():
        file.chmod(0o400)
    ended = mine.reconciler("plan")
    state.chmod(0o700)
    assert (ended.code, "3 unchanged; no call." in ended.out) == (0, True)
    assert ended.err.startswith("the store cannot be written, so nothing could be applied: ")


def test_a_store_of_a_newer_release_is_1_and_no_reason_to_guess(project):
    project.adopted()
    with sqlite3.connect(project.database) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    ended = project.reconciler("plan", "--format", "json")
    assert (ended.code, ended.json["error"]["kind"]) == (1, "MigrationError")
