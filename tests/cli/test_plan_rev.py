"""`plan --rev`: what one commit changes against another, by the command line."""

import json
import shutil

import jsonschema_rs
import pytest

from reconciler import resources
from tests.projects import KAFKA, MYSQL, ORACLE, SECRETS, run_process
from tests.repositories import Repo, isolate

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture
def repo(project, monkeypatch):
    """The project, committed on main; a branch "edit" that changes one value."""
    isolate(monkeypatch, project.root)
    made = Repo.make(project.root)
    made.commit("Begin", {".gitignore": "state/\n"})
    made.git("checkout", "-q", "-b", "edit")
    project.edit(KAFKA, "sink", workerNum="13")
    made.commit("Raise the workers", author="Bea Operator")
    return made


def rev(project, *arguments):
    return project.reconciler("plan", "--rev", *arguments)


def tasks(ended):
    return [item["task"] for item in ended.json["items"]]


# --- which commits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["main..edit", "main..", "main...edit", "main...", "HEAD^..HEAD", "main..refs/heads/edit"]
)
def test_a_branch_shows_what_it_changes(project, repo, text):
    ended = rev(project, text)
    assert ended.code == 2
    assert f"{KAFKA}  update: restarts the component" in ended.out
    assert '~ sink/workerNum  "12" -> "13"' in ended.out
    assert "Raise the workers" in ended.out


def test_the_other_way_round_takes_it_back(project, repo):
    assert '~ sink/workerNum  "13" -> "12"' in rev(project, "edit..main").out


def test_three_dots_leave_out_what_happened_on_the_other_side(project, repo):
    repo.git("checkout", "-q", "main")
    project.edit(ORACLE, "sink", workerNum="17")
    repo.commit("meanwhile")
    assert tasks(rev(project, "main...edit", "--format", "json")) == [KAFKA]
    assert tasks(rev(project, "main..edit", "--format", "json")) == [KAFKA, ORACLE]


def test_tags_and_ids_are_commits_too(project, repo):
    repo.git("tag", "-a", "v1", "-m", "one", "main")
    assert rev(project, f"v1..{repo.head()[:10]}").code == 2


def test_against_the_empty_tree_everything_is_new(project, repo):
    ended = rev(project, f"{EMPTY_TREE}..main", "--format", "json")
    assert tasks(ended) == [MYSQL, KAFKA, ORACLE]
    assert ended.json["rev"] == {"from": None, "to": repo.git("rev-parse", "main")}


def test_a_commit_without_the_folder_has_no_tasks(project, repo):
    repo.git("checkout", "-q", "--orphan", "empty")
    repo.git("rm", "-rq", "--cached", ".")
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert tasks(rev(project, "empty..main", "--format", "json")) == [MYSQL, KAFKA, ORACLE]


@pytest.mark.parametrize("text", ["main", "", "main....edit", "a..b..c"])
def test_what_names_no_two_commits_is_64(project, repo, text):
    ended = rev(project, text)
    assert ended.code == 64
    assert f'--rev: expected A..B or A...B, such as main...HEAD, found "{text}"' in ended.err


def test_a_name_that_is_no_commit_is_64_with_a_suggestion(project, repo):
    ended = rev(project, "mian..edit")
    assert (ended.code, 'did you mean "main"?' in ended.err) == (64, True)


def test_unrelated_histories_have_nothing_in_common(project, repo):
    repo.git("checkout", "-q", "--orphan", "other")
    repo.commit("elsewhere")
    ended = rev(project, "main...other")
    assert (ended.code, "they have no commit in common; A..B compares them all the same" in ended.err) == (64, True)


def test_a_missing_commit_is_named(project, repo):
    repo.commit("more")
    gone = repo.git("rev-parse", "HEAD^")
    (project.root / ".git/objects" / gone[:2] / gone[2:]).unlink()
    ended = rev(project, "main...HEAD")
    assert (ended.code, "cannot be read" in ended.err, gone[:7] in ended.err) == (1, True, True)


@pytest.mark.parametrize("text", ["HEAD^..HEAD", "origin/main...HEAD"])
def test_a_shallow_clone_says_how_to_deepen_it(project, repo, tmp_path, monkeypatch, text):
    clone = repo.clone(tmp_path / "clone", "--depth=1", "--branch=edit", "--no-single-branch")
    monkeypatch.chdir(clone.path)
    ended = rev(project, text)
    assert ended.code == 64
    assert "git fetch --unshallow, or fetch-depth: 0 (GitHub Actions), GIT_DEPTH: 0 (GitLab CI)" in ended.err


def test_outside_of_a_repository_it_is_an_error(project):
    ended = rev(project, "main..edit")
    assert (ended.code, "git" in ended.err) == (1, True)


# --- what it needs ---------------------------------------------------------------------------------------------------


def test_no_state_no_secret_and_no_network_are_needed(project, repo, tmp_path, monkeypatch):
    clone = repo.clone(tmp_path / "clone")
    for name in SECRETS:
        monkeypatch.delenv(name)
    monkeypatch.chdir(clone.path)
    assert rev(project, "origin/main...HEAD").code == 2
    assert not (clone.path / "state").exists()
    assert project.simulator.calls == ()


def test_edits_that_are_not_committed_do_not_matter(project, repo):
    project.break_(MYSQL)
    assert tasks(rev(project, "main..", "--format", "json")) == [KAFKA]


def test_a_bare_repository_can_be_compared(project, repo, tmp_path, monkeypatch):
    bare = repo.clone(tmp_path / "config.git", "--bare")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__PATH", str(bare.path / "desired_state"))
    assert tasks(rev(project, "main..edit", "--format", "json")) == [KAFKA]


def test_a_program_of_its_own_gives_the_same(project, repo):
    ended = run_process(project.root, "plan", "--rev", "main..edit", "--format", "json")
    assert (ended.code, ended.out, ended.err) == (2, rev(project, "main..edit", "--format", "json").out, "")


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_json_fits_its_schema_and_names_both_commits(project, repo):
    found = rev(project, "main..edit", "--format", "json").json
    jsonschema_rs.validator_for(resources.schema("plan")).validate(found)
    assert found["rev"] == {"from": repo.git("rev-parse", "main"), "to": repo.head()}
    assert found["id"].startswith("rev-")
    assert found["items"][0]["commit"]["author"] == "Bea Operator"


@pytest.mark.parametrize("format_", ["markdown", "html"])
def test_other_formats_say_what_is_compared(project, repo, format_):
    out = rev(project, "main..edit", "--format", format_).out
    assert f"this is what {repo.head()[:7]} changes against" in out
    assert (KAFKA in out, "Raise the workers" in out) == (True, True)


def test_only_named_tasks_are_shown(project, repo):
    ended = rev(project, "main..edit", ORACLE)
    assert (ended.code, KAFKA in ended.out) == (0, False)


def test_a_name_that_neither_commit_has_is_64(project, repo):
    ended = rev(project, "main..edit", "oceanbase-to-kafkq")
    assert (ended.code, f'did you mean "{KAFKA}"?' in ended.err) == (64, True)


def test_a_task_that_only_the_older_commit_has_may_be_named(project, repo):
    shutil.rmtree(project.desired / MYSQL)
    repo.commit("gone")
    assert "nothing is called" in rev(project, "main..", MYSQL).out


@pytest.mark.parametrize(("break_", "code"), [(False, 3), (True, 1)])
def test_invalid_comes_before_blocked(project, repo, break_, code):
    project.edit(MYSQL, "coordinator", taskSubId="2")  # dangerous, and not allowed in task.json
    if break_:
        project.break_(ORACLE)
    repo.commit("more")
    assert rev(project, "main..").code == code


def test_formatting_alone_is_0(project, repo):
    path = project.desired / ORACLE / "sink.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=9))
    repo.commit("form")
    assert rev(project, "HEAD^..").code == 0


# --- with the state --------------------------------------------------------------------------------------------------


def test_with_the_state_both_are_shown(project, repo):
    repo.git("checkout", "-q", "main")
    project.adopted()
    ended = rev(project, "main..edit", "--with-state")
    assert ended.code == 2
    first, _, second = ended.out.partition("What would be sent with ")
    assert first.startswith("What ")
    assert [part.count('~ sink/workerNum  "12" -> "13"') for part in (first, second)] == [1, 1]


def test_the_exit_code_is_the_first_that_holds_over_both(project, repo):
    ended = rev(project, "main..edit", "--with-state", "--format", "json")
    assert ended.code == 3  # the comparison alone is 2; nothing is known of the tasks, so they are held
    assert {item["rail"] for item in ended.json["would_send"]["items"]} == {"new_tasks"}
    jsonschema_rs.validator_for(resources.schema("plan")).validate(ended.json)


def test_markdown_of_both_is_one_comment(project, repo):
    out = rev(project, "main..edit", "--with-state", "--format", "markdown").out
    assert out.count("<!-- reconciler plan -->") == 1
    assert [line for line in out.splitlines() if line.startswith("## ")] == [
        f"## What {repo.head()[:7]} changes against {repo.git('rev-parse', 'main')[:7]}, by the files alone",
        f"## What would be sent with {repo.head()[:7]} as the desired state",
    ]


def test_html_of_both_is_one_page_with_two_sections(project, repo):
    out = rev(project, "main..edit", "--with-state", "--format", "html").out
    first, second = out.split("<section>")[1:]
    assert f"<h2>What {repo.head()[:7]} changes against" in first
    assert "<h2>What would be sent with " in second
    assert out.count('<ul class="tiles">') == 2


def test_two_reports_that_are_too_long_for_a_comment_share_its_room(project, repo):
    for number in range(40):
        shutil.copytree(project.desired / KAFKA, project.desired / f"{number:02}-{'long-name-' * 8}")
    repo.commit("many")
    out = rev(project, "main..edit", "--with-state", "--format", "markdown").out
    assert len(out.encode()) < 65_536
    assert [part.count("--format html") for part in out.split("## What would be sent")] == [1, 1]


def test_what_would_be_sent_can_be_saved_and_applied_once_it_is_merged(project, repo):
    repo.git("checkout", "-q", "main")
    project.adopted()
    assert rev(project, "main...edit", "--with-state", "--out", "plan.json").code == 2
    repo.git("merge", "-q", "edit")
    assert project.reconciler("apply", "--yes", "--plan", "plan.json").code == 0
    assert [call.body["config"]["sink"]["workerNum"] for call in project.updates] == ["13"]


def test_a_comparison_cannot_be_applied(project, repo):
    out = rev(project, "main..edit", "--format", "json")
    (project.root / "compared.json").write_text(out.out)
    for wanted in ("compared.json", out.json["id"], out.json["id"][:16]):
        ended = project.reconciler("apply", "--yes", "--plan", wanted)
        assert (ended.code, "a comparison of two commits (plan --rev)" in ended.err) == (64, True)
    assert project.updates == ()


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--with-state"], "--with-state goes with --rev"),
        (["--rev", "a..b", "--out", "x"], "a comparison of two commits cannot be applied: add --with-state"),
        (["--out", "-"], "--out -: expected a file"),
    ],
)
def test_wrong_usage_is_64(project, arguments, message):
    ended = project.reconciler("plan", *arguments)
    assert (ended.code, message in ended.err) == (64, True)
