"""Commands where the desired state is a commit: `source = "git"`."""

import io
import json
import shutil
import sys

import pytest

from tests.projects import KAFKA, MYSQL, ORACLE
from tests.repositories import Repo, isolate


@pytest.fixture
def repo(project, monkeypatch):
    """The project in a repository, as it was committed and adopted."""
    isolate(monkeypatch, project.root)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    made = Repo.make(project.root)
    made.commit("Begin", {".gitignore": "state/\nplan.json\n"})
    project.adopted()
    return made


def edit(project, repo, **changes):
    project.edit(KAFKA, "sink", **changes)
    return repo.commit(f"Set {', '.join(changes)}")


def heads(project):
    entries = project.reconciler("history", "--format", "json").json["entries"]
    return [entry["revision"] for entry in entries if entry["action"] == "head" or entry.get("kind") == "head"]


# --- what is read ----------------------------------------------------------------------------------------------------


def test_edits_that_are_not_committed_are_not_seen_and_mentioned(project, repo):
    project.edit(KAFKA, "sink", workerNum="13")
    ended = project.reconciler("plan")
    assert ended.code == 0
    assert f"not committed and so not looked at: {KAFKA}/sink.json" in ended.out


def test_a_plan_names_its_commit_and_who_made_the_change(project, repo):
    commit = edit(project, repo, workerNum="13")
    ended = project.reconciler("plan", "--format", "json")
    (item,) = (item for item in ended.json["items"] if item["changes"])
    assert (ended.code, ended.json["revision"]) == (2, commit)
    assert item["changes"][0]["commit"] == item["commit"] == item["commit"] | {"id": commit, "subject": "Set workerNum"}


def test_text_markdown_and_html_name_the_commit(project, repo):
    commit = edit(project, repo, workerNum="13")
    for format_ in ("text", "markdown", "html"):
        out = project.reconciler("plan", "--format", format_).out
        assert (commit[:7] in out, "Set workerNum" in out) == (True, True)


def test_what_is_sent_is_the_commit_and_its_name_is_recorded(project, repo):
    commit = edit(project, repo, workerNum="13")
    project.edit(KAFKA, "sink", workerNum="99")
    ended = project.reconciler("apply", "--yes")
    assert (ended.code, [call.body["config"]["sink"]["workerNum"] for call in project.updates]) == (0, ["13"])
    assert "Set workerNum" in ended.out
    assert commit in heads(project)


def test_a_commit_with_nothing_to_send_is_recorded_all_the_same(project, repo):
    commit = repo.commit("notes", {"notes.txt": "of no task"})
    assert project.reconciler("apply", "--yes").code == 0
    assert (list(project.updates), heads(project)[0]) == ([], commit)


def test_a_bare_repository_can_be_applied_from(project, repo, monkeypatch):
    edit(project, repo, workerNum="13")
    bare = repo.clone(project.root / "state" / "config.git", "--bare")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__PATH", str(bare.path / "desired_state"))
    shutil.rmtree(project.desired)
    assert (project.reconciler("apply", "--yes").code, len(project.updates)) == (0, 1)


def test_names_are_those_of_the_commit(project, repo):
    shutil.copytree(project.desired / KAFKA, project.desired / "new")
    for command in (["plan"], ["apply", "--yes"], ["adopt"], ["suspend", "--reason", "x"]):
        ended = project.reconciler(*command, "new")
        assert (ended.code, 'no task or folder of tasks is named "new"' in ended.err) == (64, True)


def test_a_committed_task_is_suspended_retried_and_resumed(project, repo):
    shutil.rmtree(project.desired / MYSQL)  # not committed
    assert project.reconciler("suspend", MYSQL, "--reason", "x").out == f"{MYSQL}: suspended\n"
    assert project.reconciler("resume", MYSQL).code == 0
    assert project.reconciler("retry", MYSQL).out == "nothing to clear\n"


def test_adopting_records_the_commit(project, repo):
    assert heads(project) == [repo.head()]


def test_resending_reads_the_commit(project, repo):
    ended = project.reconciler("apply", "--yes", "--resend", "--reason", "x", KAFKA)
    assert (ended.code, len(project.updates)) == (0, 1)


# --- commits that come while somebody is asked -----------------------------------------------------------------------


def answering(monkeypatch, action):
    """A terminal at which something happens before the answer is yes."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def readline(self, *_size):
            action()
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Terminal())


def test_a_commit_that_means_the_same_is_taken_up(project, repo, monkeypatch):
    edit(project, repo, workerNum="13")
    answering(monkeypatch, lambda: repo.commit("Words", {"README.md": "x"}))
    assert (project.reconciler("apply").code, len(project.updates)) == (0, 1)
    assert heads(project)[0] == repo.head()


def test_a_commit_that_means_something_else_is_not_done(project, repo, monkeypatch):
    edit(project, repo, workerNum="13")
    answering(monkeypatch, lambda: edit(project, repo, workerNum="14"))
    ended = project.reconciler("apply")
    assert (ended.code, len(project.updates)) == (3, 0)
    assert "changed since the plan was shown" in ended.err


# --- commits that are not followed -----------------------------------------------------------------------------------


@pytest.fixture
def upstream(project, repo, monkeypatch, tmp_path_factory):
    """Where the project's repository fetches from; somebody else works there."""
    bare = repo.clone(tmp_path_factory.mktemp("upstream") / "config.git", "--bare")
    repo.git("remote", "add", "origin", str(bare.path))
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__REF", "main")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__REMOTE", "origin")
    other = bare.clone(bare.path.parent / "other")
    assert project.reconciler("adopt", "--all").code == 0
    return other


def push(upstream, number, *more):
    path = upstream.path / "desired_state" / KAFKA / "sink.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"workerNum": number}))
    commit = upstream.commit(f"{number} workers")
    upstream.git("push", "-q", *more, "origin", "HEAD:main")
    return commit


def test_what_was_pushed_is_fetched_and_applied(project, upstream):
    commit = push(upstream, "13")
    assert project.reconciler("plan", "--format", "json").json["revision"] == commit
    assert (project.reconciler("apply", "--yes").code, len(project.updates)) == (0, 1)


def test_a_remote_that_does_not_answer_is_no_reason_to_stop(project, repo, upstream):
    repo.git("remote", "set-url", "origin", str(project.root / "nowhere"))
    ended = project.reconciler("plan")
    assert (ended.code, "cannot be fetched" in ended.err, "what was fetched before is read" in ended.err) == (
        0,
        True,
        True,
    )


@pytest.fixture
def rewritten(project, upstream):
    """A force-push took back the commit that was applied last."""
    push(upstream, "13")
    assert project.reconciler("apply", "--yes").code == 0
    upstream.git("reset", "-q", "--hard", "HEAD^")
    return push(upstream, "14", "--force")


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"]])
def test_rewritten_history_is_held_with_the_last_good_commit_in_force(project, rewritten, command):
    ended = project.reconciler(*command)
    assert (ended.code, len(project.updates)) == (3, 1)
    assert f"the newest, {rewritten[:7]}, is not followed: " in ended.out


def test_json_of_an_apply_says_that_it_is_held(project, rewritten):
    ended = project.reconciler("apply", "--yes", "--format", "json")
    assert (ended.code, "is not followed" in ended.json["remarks"][0]) == (3, True)
    assert "the newest commit is not followed: " in ended.err


def test_a_wrong_task_comes_before_what_is_held(project, upstream):
    upstream.write(f"desired_state/{ORACLE}/sink.json", "{")
    push(upstream, "13")
    assert project.reconciler("apply", "--yes").code == 1
    upstream.git("reset", "-q", "--hard", "HEAD^")
    push(upstream, "14", "--force")
    ended = project.reconciler("plan")
    assert (ended.code, "is not followed" in ended.out) == (1, True)


def test_adopting_says_that_the_newest_is_not_meant(project, rewritten):
    ended = project.reconciler("adopt", KAFKA)
    assert (ended.code, "the newest commit is not followed: " in ended.err) == (0, True)
