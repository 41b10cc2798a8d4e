import json
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import resources
from reconciler.core import canonical, secrets
from reconciler.model import Commit, Condition, Intent, Outcome, Stage
from reconciler.simulator.faults import Rule
from tests.cli.resets import declare, row
from tests.cli.said import opened
from tests.projects import KAFKA, MYSQL, ORACLE, SECRETS
from tests.repositories import Repo, isolate

KEYS = {"at", "task", "action", "outcome", "revision", "plan", "ticket", "request_id", "kind", "commit", "detail"}
HOSTILE = "Raise \x1b[31mworkers\u202e <script>alert(1)</script>"


def apply_change(project, workers="13"):
    project.edit(KAFKA, "sink", workerNum=workers)
    return project.reconciler("apply", "--yes")


def rows(project, *arguments):
    return project.reconciler("history", *arguments, "--format", "json").json["entries"]


def test_without_a_store_history_is_empty(project):
    assert rows(project) == []


def test_a_row_has_the_columns_of_the_contract(project):
    assert apply_change(project.adopted()).code == 0
    found = rows(project, KAFKA)
    assert all(set(row) == KEYS for row in found)
    health, outcome, intent, adoption = found
    call = project.updates[-1]
    assert (adoption["action"], intent["action"], outcome["action"], health["outcome"]) == (
        "adopt",
        "update",
        "update",
        "synced",
    )
    assert (outcome["ticket"], outcome["request_id"]) == (call.ticket, call.request_id)
    assert intent["plan"] == outcome["plan"]
    assert len(intent["plan"]) == 64
    assert intent["revision"].startswith("sha256:")
    assert [row["at"] for row in found] == sorted((row["at"] for row in found), reverse=True)


def test_the_table_says_what_when_and_why(project):
    project.reconciler("adopt", KAFKA, "--reason", "moved by hand")
    lines = project.reconciler("history").out.splitlines()
    assert lines[0].split() == [
        "at",
        "task",
        "what",
        "action",
        "outcome",
        "ticket",
        "revision",
        "plan",
        "commit",
        "detail",
    ]
    assert KAFKA in lines[1]
    assert "reason: moved by hand" in lines[1]


def test_the_table_has_revision_and_plan(project):
    assert apply_change(project.adopted()).code == 0
    plan = next(row["plan"] for row in rows(project, KAFKA) if row["kind"] == "intent")
    line = next(line for line in project.reconciler("history", KAFKA).out.splitlines() if "intent" in line)
    assert re.search(rf"sha256:[0-9a-f]{{12}}  {plan[:12]} ", line)


def test_an_intact_journal_says_how_many_rows_were_dropped(project):
    project.adopted()
    with closing(opened(project)) as store:
        assert store.prune(datetime.now(UTC) + timedelta(days=1)) == 2
    ended = project.reconciler("history", "--verify")
    assert ended.err == "journal intact: 1 rows; 2 older ones were dropped (daemon.history_days)\n"


def test_history_of_one_task_and_of_so_many_rows(project):
    project.adopted()
    assert [row["task"] for row in rows(project, MYSQL)] == [MYSQL]
    assert len(rows(project, "--limit", "2")) == 2


def test_history_of_a_task_tells_of_the_rail_that_held_it_and_of_suspensions_of_several(project):
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    deny = '[[policy.windows]]\nname = "freeze"\nkind = "deny"\ncron = "* * * * *"\nduration = "1m"\n'
    config = project.root / "reconciler.toml"
    before = config.read_text()
    config.write_text(before + deny)
    assert project.reconciler("apply", "--yes").code == 3
    config.write_text(before)
    assert project.reconciler("apply", "--yes").code == 0
    for what in (("--all",), ("--label", "team=shop"), ("--label", "team=other")):
        project.reconciler("suspend", *what, "--reason", "x")
        project.reconciler("resume", *what)
    told = [(row["kind"], row["task"]) for row in rows(project, KAFKA)]
    assert told[:2] == [("resume", "*"), ("suspend", "*")]
    held = [row["detail"] for row in rows(project, KAFKA) if row["kind"] == "rail"]
    assert [(row["rail"], row["state"], row["names"]) for row in held] == [
        ("window", "released", [KAFKA]),
        ("window", "tripped", [KAFKA]),
    ]
    assert f"names: {KAFKA}" in project.reconciler("history", KAFKA).out
    assert [row["task"] for row in rows(project, MYSQL)][:4] == ["*team=shop", "*team=shop", "*", "*"]
    assert not any(row["kind"] == "rail" for row in rows(project, MYSQL))


def test_suspensions_of_a_label_are_left_out_where_the_files_cannot_be_read(project):
    project.adopted().reconciler("suspend", "--label", "team=shop", "--reason", "x")
    shutil.rmtree(project.desired)
    assert [row["kind"] for row in rows(project, MYSQL)] == ["adopt"]


def test_a_retry_says_nothing_of_an_outcome(project):
    project.simulator.add_fault(Rule("param_error", action="UpdateIncrSync"))
    assert apply_change(project.adopted()).code == 1
    project.reconciler("retry", KAFKA)
    (row,) = (row for row in rows(project, KAFKA) if row["kind"] == "retry")
    assert row["outcome"] is None
    assert rows(project, "--outcome", "unconfirmed") == []


def test_a_forgotten_task_keeps_its_history(project):
    shutil.rmtree(project.adopted().desired / KAFKA)
    assert project.reconciler("forget", KAFKA).code == 0
    assert [row["kind"] for row in rows(project, KAFKA)] == ["forget", "adopt"]


def test_a_row_of_a_reset_says_which_and_where_it_goes(project):
    declare(project)
    row(project, Stage.UNKNOWN)
    (line,) = [line for line in project.reconciler("history", KAFKA).out.splitlines() if "reset" in line]
    assert "request: r1" in line
    assert "from: 2026-11-20 10:00:00Z; to: 2026-11-20 08:00:00Z" in line


def test_an_intact_journal_is_said_to_be_intact(project):
    project.adopted()
    ended = project.reconciler("history", "--verify", "--format", "json")
    assert (ended.code, ended.err) == (0, "journal intact: 3 rows\n")
    assert len(ended.json["entries"]) == 3


TAMPERED = {
    "changed": "UPDATE journal SET outcome = 'failed' WHERE sequence = 2",
    "removed": "DELETE FROM journal WHERE sequence = 2",
    "removed from the end": "DELETE FROM journal WHERE sequence = 3",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_journal_that_somebody_edited_is_1(project, how):
    project.adopted()
    with sqlite3.connect(project.database) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        assert database.execute(TAMPERED[how]).rowcount == 1
    database.close()
    ended = project.reconciler("history", "--verify", "--format", "json")
    assert ended.code == 1
    assert "is not what was written" in ended.err
    assert json.loads(ended.out)["error"]["kind"] == "StateStoreError"


@pytest.mark.parametrize("arguments", [(), ("suspend", "--all", "--reason", "x")], ids=["", "beside one of all"])
def test_history_of_a_name_that_nobody_had_says_so(project, arguments):
    if arguments:
        project.reconciler(*arguments)
    ended = project.reconciler("history", "typo")
    assert (ended.code, 'nothing was recorded of a task named "typo"' in ended.err) == (0, True)


def test_several_tasks_and_folders_may_be_named(project):
    project.desired.joinpath("shop").mkdir()
    for name in (KAFKA, MYSQL):
        (project.desired / name).rename(project.desired / "shop" / name)
    project.adopted()
    assert [row["task"] for row in rows(project, "shop/")] == [f"shop/{KAFKA}", f"shop/{MYSQL}"]
    assert [row["task"] for row in rows(project, f"shop/{MYSQL}", ORACLE)] == [f"shop/{MYSQL}", ORACLE]


def test_a_row_about_a_target_names_it(project):
    with closing(opened(project)) as store:
        store.note("target", "", {"target": "east", "kind": "misconfigured", "message": "401"})
        store.note("target", "", {"target": "east", "kind": "", "message": ""})
        store.release_target("west", "repaired")
    release, clear, trouble = project.reconciler("history").out.splitlines()[1:]
    assert trouble.endswith("target: east; kind: misconfigured; message: 401")
    assert clear.endswith("target: east; message: can be used again")
    assert release.endswith("target: west; reason: repaired")


# --- which rows ------------------------------------------------------------------------------------------------------


@pytest.fixture
def past(project, monkeypatch):
    """Two attempts, the second failed; with their commits."""
    commits = [Commit(digit * 40, "Ann Operator", datetime(2026, 11, 20, 9, tzinfo=UTC), HOSTILE) for digit in "12"]
    with closing(opened(project)) as store:
        for commit, condition in zip(commits, (Condition.VERIFYING, Condition.FAILED), strict=True):
            store.set_head("main", commit.id)
            number = store.begin(intent_of(commit))
            store.conclude(number, Outcome(condition, "", 7 if condition is Condition.VERIFYING else None))
    return project


def intent_of(commit):
    content = {"coordinator": {}, "condition": {}, "source": {}, "sink": {"name": commit.id[:4]}}
    after = secrets.seal(content, (), b"key")
    return Intent(
        '["default","NAME","10.0.0.1-9000"]',
        "shop/orders",
        "update",
        "9" * 64,
        "item",
        commit.id,
        "request",
        1,
        after,
        commit=commit,
    )


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (("--outcome", "failed"), ["outcome"]),
        (("--outcome", "failed", "--outcome", "verifying"), ["outcome", "outcome"]),
        (("--rev", "1" * 40), ["outcome", "intent", "head"]),
        (("--rev", "1111"), ["outcome", "intent", "head"]),
        (("--rev", "2222", "--outcome", "applying"), ["intent"]),
        (("--rev", "2222", "shop"), ["outcome", "intent"]),
        (("--since", "1h"), ["outcome", "intent", "head"] * 2),
        (("--since", "2026-01-01", "--until", "2026-01-31"), []),
        (("--until", "1d"), []),
    ],
    ids=" ".join,
)
def test_only_rows_that_are_wanted_are_shown(past, wanted, kinds):
    assert [row["kind"] for row in rows(past, *wanted)] == kinds


def test_a_row_names_the_commit_that_touched_the_task(past):
    failed, attempt, head = rows(past, "--rev", "2222")
    assert (
        failed["commit"]
        == attempt["commit"]
        == {"id": "2" * 40, "author": "Ann Operator", "at": "2026-11-20T09:00:00+00:00", "subject": HOSTILE}
    )
    assert (head["commit"], head["detail"]["from"]) == (None, "1" * 40)


def test_nothing_that_a_commit_says_reaches_a_terminal_raw(past):
    for arguments in ((), ("--format", "json"), ("--at", "1111"), ("--at", "1111", "--format", "json")):
        ended = past.reconciler("history", *arguments)
        assert ended.code == 0
        assert not {"\x1b", "\u202e"} & set(ended.out + ended.err)
    line = next(line for line in past.reconciler("history").out.splitlines() if "intent" in line)
    assert re.search(
        r"222222222222  999999999999  2222222 Ann Operator 2026-11-20 Raise \\x1b\[31mworkers\\u202e <script>", line
    )
    assert "ref: main; from: 111111111111" in past.reconciler("history").out


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2h ago", "9" * 30 + "d", "0001-01-01T00:00+23:00", "-2h"]
)
def test_what_is_no_time_is_wrong_usage(project, option, text):
    ended = project.reconciler("history", option, text)
    assert (ended.code, ended.out) == (64, "")
    assert "expected a date or a time such as 2026-11-20 or 2026-11-20T21:00, in UTC unless" in ended.err
    assert f'found "{text}"' in ended.err


def test_nothing_like_that_is_told_apart_from_nothing_at_all(past):
    assert (
        past.reconciler("history", "shop", "--outcome", "synced").err
        == 'nothing like that was recorded of a task named "shop"\n'
    )
    assert past.reconciler("history", "a", "b").err == 'nothing was recorded of a task named "a" or "b"\n'


# --- revisions, as people name them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--rev", "--at"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", 'no revision of the journal begins with ""; the newest is "2222'),
        ("111", 'begins with "111"; the newest is "2222'),
        ("1111f", 'begins with "1111f"; the nearest is "1111111111'),
        ("1111fff", 'begins with "1111fff"; the nearest is "1111111111'),
        ("HEAD", 'begins with "HEAD"; the newest is "2222'),
    ],
)
def test_a_revision_that_nobody_knows_is_wrong_usage_and_the_nearest_is_named(past, option, text, problem):
    ended = past.reconciler("history", option, text)
    assert (ended.code, ended.out) == (64, "")
    assert f"{option}: no revision of the journal" in ended.err
    assert problem in ended.err


def test_before_anything_was_done_there_is_no_revision(project):
    assert "nothing was done yet" in project.reconciler("history", "--at", "1111").err


def test_the_beginning_of_several_revisions_is_wrong_usage(past):
    with closing(opened(past)) as store:
        store.set_head("main", "1111" + "f" * 36)
    ended = past.reconciler("history", "--rev", "1111")
    assert ended.code == 64
    assert f'"1111" is that of several: {"1" * 40}, 1111{"f" * 36}' in ended.err
    assert rows(past, "--rev", "1111f")[0]["kind"] == "head"


def test_a_directorys_revision_may_be_given_without_its_kind(project):
    project.adopted()
    revision = rows(project)[0]["revision"]
    assert len(rows(project, "--rev", revision.removeprefix("sha256:"))) == 3
    assert len(rows(project, "--rev", revision[:11])) == 3


# --- what had been told ----------------------------------------------------------------------------------------------


@pytest.fixture
def repo(project, monkeypatch, tmp_path):
    """The project's directory as a repository whose HEAD is followed, and the samples as its first commit."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    repo = Repo.make(tmp_path)
    repo.commit("The samples", {".gitignore": "state/\n"})
    return repo


def told(project, revision, *tasks):
    """`{task: its entry}`."""
    whole = project.reconciler("history", "--at", revision, *tasks, "--format", "json").json
    return {entry["task"]: entry for entry in whole["tasks"]}


def configured(project):
    """`{project id: sections}` of the simulator's components, canonical and without secrets."""
    catalogue = resources.catalogue()
    contents = {one.project: canonical.canonical(one.config, catalogue) for one in project.simulator.components}
    return {
        name: secrets.seal(content, secrets.known_places(content, catalogue), b"").content
        for name, content in contents.items()
    }


PROJECTS = {MYSQL: "np_4x9j00000001", KAFKA: "np_4x9j00000002", "kafka": "np_4x9j00000002", ORACLE: "np_4x9j00000003"}


def equals(entries, components):
    """Whether each component has every key that is told, with that value."""
    for task, entry in entries.items():
        has = components[PROJECTS[task]]
        for section, members in entry["sections"].items():
            assert members == {key: has[section].get(key) for key in members}, (task, section)
    return True


class Workflow:
    """Commits, each applied, and what the components then had."""

    def __init__(self, project, repo):
        self.project, self.repo, self.after = project, repo, {}

    def apply(self, message, code=0):
        commit = self.repo.commit(message)
        assert self.project.reconciler("apply", "--yes").code == code
        self.after[message] = commit, configured(self.project)

    def told(self, message):
        commit, components = self.after[message]
        entries = told(self.project, commit)
        assert equals(entries, components)
        return entries


@pytest.fixture
def workflow(project, repo):
    """Three revisions, one of them failing, an update with a deletion, an adoption, a rename and a removal."""
    project.configure(new_tasks="apply")
    workflow = Workflow(project, repo)
    workflow.apply("First")
    project.edit(KAFKA, "sink", workerNum="13")
    workflow.apply("Update")
    project.edit(MYSQL, "sink", workerNum="17")
    project.simulator.add_fault(Rule("param_error", action="UpdateIncrSync"))
    workflow.apply("Failed", code=1)
    project.simulator.clear_faults()
    project.edit(MYSQL, "sink", "printSql", workerNum="17")
    workflow.apply("Deleted")
    (project.desired / KAFKA).rename(project.desired / "kafka")
    project.edit(MYSQL, "sink", workerNum="18")
    workflow.apply("Renamed")
    shutil.rmtree(project.desired / ORACLE)
    project.edit(MYSQL, "sink", workerNum="19")
    workflow.apply("Removed")
    assert project.reconciler("forget", ORACLE).code == 0
    return workflow


def test_at_each_commit_it_is_told_what_the_components_had(project, workflow):
    tasks = {message: sorted(workflow.told(message)) for message in workflow.after}
    assert tasks == {
        "First": [MYSQL, KAFKA, ORACLE],
        "Update": [MYSQL, KAFKA, ORACLE],
        "Failed": [MYSQL, KAFKA, ORACLE],
        "Deleted": [MYSQL, KAFKA, ORACLE],
        "Renamed": ["kafka", MYSQL, ORACLE],
        "Removed": ["kafka", MYSQL],
    }


def test_after_an_update_with_deletions_it_is_told_exactly_what_the_component_had(workflow):
    _, components = workflow.after["Deleted"]
    component = components[PROJECTS[MYSQL]]
    del component["source"]["checkpoint"]  # moves by itself: OMS's, and nobody's to tell
    entry = workflow.told("Deleted")[MYSQL]
    assert (entry["sections"], entry["action"]) == (component, "update+delete")
    assert "printSql" in workflow.told("Failed")[MYSQL]["sections"]["sink"]


@pytest.fixture
def updated(project, repo):
    """Two tasks, and a commit that changed one of them."""
    project.configure(new_tasks="apply")
    project.keep(KAFKA, MYSQL)
    workflow = Workflow(project, repo)
    workflow.apply("First")
    project.edit(KAFKA, "sink", workerNum="13")
    workflow.apply("Update")
    return workflow


def test_each_entry_says_how_it_was_told(project, updated):
    commit, _ = updated.after["Update"]
    entries, call = told(project, commit), project.updates[-1]
    project_id = ["np_4x9j00000002", "forward", 0]
    assert {key: entries[KAFKA][key] for key in ("action", "ticket", "revision", "target", "address")} == {
        "action": "update",
        "ticket": call.ticket,
        "revision": commit,
        "target": "default",
        "address": ["default", "component", *project_id],
    }
    assert (len(entries[KAFKA]["plan"]), entries[KAFKA]["component"].split(":")[0]) == (64, "10.0.0.1-9000")
    assert entries[MYSQL]["revision"] == updated.after["First"][0]


def test_a_commit_may_be_named_as_git_does(project, updated):
    first, _ = updated.after["First"]
    updated.repo.git("tag", "v1", "HEAD~1")
    for name in ("v1", "HEAD~1", "main^", first[:7]):
        assert project.reconciler("history", "--at", name, "--format", "json").json["revision"] == first
    assert {row["revision"] for row in rows(project, "--rev", "v1")} == {first}
    assert "names no commit of this repository" in project.reconciler("history", "--rev", "v2").err


def test_no_password_was_kept_or_is_printed(project, updated):
    ended = project.reconciler("history", "--at", "HEAD~1")
    assert ended.out.count('"«secret»"') == 2
    kept = b"".join(path.read_bytes() for path in project.database.parent.iterdir())
    assert not [value for value in SECRETS.values() if value in ended.out or value.encode() in kept]


def test_the_whole_state_is_printed_for_people_as_well(project, updated):
    ended = project.reconciler("history", "--at", "HEAD", KAFKA)
    title, place, telling, name, *content = ended.out.splitlines()
    assert title == KAFKA
    assert re.fullmatch(
        r"  target default, component 0 of the forward link of np_4x9j00000002: 10.0.0.1-9000:\S+", place
    )
    assert re.fullmatch(r"  \S+ \S+Z: update, ticket \d+, revision [0-9a-f]{12}, plan [0-9a-f]{12}", telling)
    assert (name, content[0]) == ("  coordinator.json", "    {")
    assert content[-4:] == ["  sink.json", "    {", '      "workerNum": "13"', "    }"]
    assert re.fullmatch(r"as of \S+ \S+Z, the newest row of the journal; revision [0-9a-f]{40}\n", ended.err)


def test_a_task_that_had_been_told_nothing_then_is_named(project, updated):
    ended = project.reconciler("history", "--at", "HEAD~1", ORACLE, MYSQL, "--format", "json")
    assert (ended.code, [entry["task"] for entry in ended.json["tasks"]]) == (0, [MYSQL])
    assert f'no task named "{ORACLE}", or in a folder of that name, had been told anything then' in ended.err
    ended = project.reconciler("history", "--at", "HEAD~1")
    assert f"\n\n{KAFKA}\n" in ended.out
    assert "the last one before another revision became current; revision" in ended.err


def test_a_commit_that_came_with_a_later_one_is_told_with_it(project, repo):
    project.configure(new_tasks="apply")
    project.keep(KAFKA)
    project.edit(KAFKA, "sink", workerNum="13")
    passed_over = repo.commit("Fourteen is better")
    project.edit(KAFKA, "sink", workerNum="14")
    last = repo.commit("Fourteen")
    assert project.reconciler("apply", "--yes").code == 0
    never = repo.commit("Not applied")
    error = project.reconciler("history", "--at", passed_over[:9]).err
    assert f'"{passed_over[:9]}" was the current revision; it came with "{last}", 20' in error
    error = project.reconciler("history", "--at", "HEAD").err
    assert f'"HEAD" ({never[:12]}) was the current revision; the newest is "{last}", 20' in error


def test_a_directorys_revisions_can_be_asked_for(project):
    project.adopted()
    before = rows(project)[0]["revision"]
    apply_change(project)
    after = rows(project)[0]["revision"]
    workers = [told(project, one, KAFKA)[KAFKA]["sections"]["sink"]["workerNum"] for one in (before, after)]
    assert (workers, told(project, before)[KAFKA]["action"]) == (["12", "13"], "adopt")
    assert told(project, before)[KAFKA]["component"] is None


def test_what_became_a_secret_since_it_was_told_is_hidden(project):
    content = {"coordinator": {}, "condition": {}, "source": {}, "sink": {"password": "sentinel-in-clear"}}
    with closing(opened(project)) as store:
        store.adopt('["default","IP","10.0.0.1"]', "shop", secrets.seal(content, (), b"key"), "1" * 40, "")
    for arguments in ((), ("--format", "json")):
        out = project.reconciler("history", "--at", "1111", *arguments).out
        assert ("sentinel-in-clear" in out, '"password": "«secret»"' in out) == (False, True)


def test_before_anything_was_told_the_state_is_empty(project):
    with closing(opened(project)) as store:
        store.set_head("main", "1" * 40)
    ended = project.reconciler("history", "--at", "1111", "shop", "--format", "json")
    assert (ended.code, ended.json["tasks"]) == (0, [])
    assert ended.err == "no component had been told anything then\n"


def test_of_a_time_in_which_contents_were_not_kept_it_is_said_plainly(past):
    with closing(sqlite3.connect(past.database)) as database, database:
        database.execute("UPDATE told_whole_from SET sequence = 4")
    ended = past.reconciler("history", "--at", "1111", "--format", "json")
    assert (ended.code, ended.json["error"]["kind"]) == (1, "StateStoreError")
    assert re.search(
        r"what components had been told is kept since 20\d\d-.*: it is not known for an earlier", ended.err
    )
    assert past.reconciler("history", "--at", "2222").code == 0


def check_time_that_is_no_longer_kept(project):
    snapshot = secrets.seal({"coordinator": {}, "condition": {}, "source": {}, "sink": {}}, (), b"key")
    with closing(opened(project)) as store:
        store.adopt("a1", "shop", snapshot, "1" * 40, "")
        store.adopt("a2", "shop", snapshot, "2" * 40, "")
        store.prune(store.rows_after(1)[0].at)
        store.retry("a1")
    ended = project.reconciler("history", "--at", "1111")
    assert ended.code == 64
    assert f'does not tell of a time in which "1111" was the current revision; the newest is "{"2" * 40}"' in ended.err


def test_a_revision_whose_time_is_no_longer_kept_is_wrong_usage(project):
    check_time_that_is_no_longer_kept(project)


def test_a_commit_that_the_repository_has_dropped_too_is_wrong_usage(project, repo):
    check_time_that_is_no_longer_kept(project)


@pytest.mark.parametrize(
    "option",
    [("--since", "1h"), ("--until", "1h"), ("--rev", "1111"), ("--outcome", "failed"), ("--limit", "5")],
    ids=" ".join,
)
def test_a_whole_state_is_no_list_of_rows(project, option):
    ended = project.reconciler("history", "--at", "1111", *option)
    assert (ended.code, ended.out) == (64, "")
    assert f"--at prints a whole state: it goes with TASK and --format, not with {option[0]}" in ended.err


def test_a_whole_state_may_follow_a_check_of_the_journal(past):
    ended = past.reconciler("history", "--at", "2222", "--verify")
    assert ended.err.startswith("journal intact: 6 rows\nas of ")
