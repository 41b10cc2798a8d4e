"""`accept`: a history that was rewritten in the bare repository that commits are read from."""

from contextlib import closing

import pytest

from reconciler import wiring
from reconciler.cli.view import Viewer
from reconciler.config import load
from tests.cli.said import daemon_that_said, opened, word
from tests.repositories import Repo, isolate, sample_files


@pytest.fixture
def work(project, monkeypatch):
    """Where people work; `push` publishes it, and the project reads what is published, `main` of it."""
    isolate(monkeypatch, project.root)
    Repo.make(project.root / "config.git", bare=True)
    repo = Repo.make(project.root / "work")
    repo.git("remote", "add", "origin", "../config.git")
    for name, value in {"PATH": "config.git/desired_state", "SOURCE": "git", "REF": "main"}.items():
        monkeypatch.setenv(f"RECONCILER_DESIRED_STATE__{name}", value)
    return repo


def push(repo):
    repo.git("push", "--quiet", "--force", "origin", "HEAD:main")


def followed(project):
    with closing(opened(project)) as store:
        return store.head("main")


@pytest.fixture
def rewritten(project, work):
    """(commit that is followed, commit that the ref names now)."""
    work.commit("Begin", {"README": "tasks"})
    first = work.commit("The first tasks", sample_files())
    push(work)
    with closing(opened(project)) as store:
        store.set_head("main", first)
    work.git("commit", "--quiet", "--amend", "-m", "The first tasks, in other words")
    push(work)
    return first, work.head()


@pytest.mark.parametrize("digits", [7, 12, 40])
def test_what_the_ref_names_now_is_followed_from_then_on(project, rewritten, digits):
    before, newest = rewritten
    ended = project.reconciler("accept", newest[:digits], "--reason", "a typo")
    assert (ended.code, followed(project)) == (0, newest)
    assert ended.out == (
        f"accepted {newest[:7]} (Ann Operator: The first tasks, in other words) in place of {before[:7]}"
        " (Ann Operator: The first tasks); the next apply compares with it\n"
        "reconciler plan shows what it changes\n"
    )
    with closing(opened(project)) as store:
        (row,) = store.history(None, 1)
    assert (row.kind, row.revision) == ("head", newest)
    assert row.detail == {"ref": "main", "from": before, "reason": "a typo"}


def test_beside_a_daemon_it_is_the_daemon_who_compares(project, rewritten):
    with daemon_that_said(project, word("a")):
        assert "the daemon compares with it now" in project.reconciler("accept", rewritten[1], "--reason", "x").out


def test_a_second_time_there_is_nothing_to_accept(project, rewritten):
    project.reconciler("accept", rewritten[1], "--reason", "x")
    ended = project.reconciler("accept", rewritten[1], "--reason", "x")
    assert (ended.code, "is followed already: nothing to accept" in ended.out) == (0, True)


def collect(project):
    """Take from the bare repository what no branch of it leads to."""
    published = Repo(project.root / "config.git")
    published.git("reflog", "expire", "--expire=now", "--all")
    published.git("gc", "--quiet", "--prune=now")


def test_what_was_followed_may_be_gone_from_the_repository(project, rewritten):
    before, newest = rewritten
    collect(project)
    told = project.reconciler("plan")
    assert (told.code, f"reconciler accept {newest[:12]} --reason" in told.err) == (1, True)
    ended = project.reconciler("accept", newest[:12], "--reason", "collected meanwhile")
    assert (ended.code, followed(project)) == (0, newest)
    assert f"in place of {before[:7]}, which cannot be read any more; the next apply" in ended.out
    assert project.reconciler("plan", "--format", "json").json["revision"] == newest


def test_what_is_not_meant_is_refused_although_what_was_followed_is_gone(project, work, rewritten, monkeypatch):
    before, newest = rewritten
    collect(project)
    other = project.reconciler("accept", before, "--reason", "x")
    assert (other.code, f"is not what main names now, which is {newest[:7]}" in other.err) == (1, True)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__REQUIRE_SIGNED", "true")
    unsigned = project.reconciler("accept", newest, "--reason", "x")
    assert (unsigned.code, "has no good signature" in unsigned.err, followed(project)) == (1, True, before)


def test_a_commit_that_the_ref_does_not_name_is_refused(project, rewritten):
    before, newest = rewritten
    ended = project.reconciler("accept", before, "--reason", "x")
    assert (ended.code, followed(project)) == (1, before)
    assert f"is not what main names now, which is {newest[:7]}" in ended.err


@pytest.fixture
def meanwhile(monkeypatch):
    """Have something happen after the repository was looked at so many times by the command."""

    def meanwhile(times, happens):
        looks, really = [], wiring.commits

        def commits(*arguments, **named):
            found = really(*arguments, **named)
            looks.append(1)
            if len(looks) == times:
                happens()
            return found

        monkeypatch.setattr(wiring, "commits", commits)

    return meanwhile


def test_a_ref_that_moves_meanwhile_is_not_accepted(project, work, rewritten, meanwhile):
    meanwhile(1, lambda: (work.commit("One more"), push(work)))
    ended = project.reconciler("accept", rewritten[1], "--reason", "x")
    assert (ended.code, f"main moved meanwhile, to {work.head()[:7]}" in ended.err) == (1, True)
    assert followed(project) == rewritten[0]


def test_what_a_daemon_follows_meanwhile_is_not_overwritten(project, rewritten, meanwhile):
    def the_daemon_goes_on():
        with closing(opened(project)) as store:
            store.set_head("main", "1234567890" * 4)

    meanwhile(2, the_daemon_goes_on)
    ended = project.reconciler("accept", rewritten[1], "--reason", "x")
    assert (ended.code, "followed another commit of main meanwhile" in ended.err) == (1, True)
    assert followed(project) == "1234567890" * 4


def test_nothing_is_accepted_where_the_ref_is_gone(project, work, rewritten):
    Repo(project.root / "config.git").git("update-ref", "-d", "refs/heads/main")
    ended = project.reconciler("accept", rewritten[1], "--reason", "x")
    assert (ended.code, followed(project)) == (1, rewritten[0])
    assert "none can be accepted" in ended.err


@pytest.mark.parametrize("is_rewritten", [True, False], ids=["and rewritten", "alone"])
def test_a_commit_without_a_signature_is_refused_whatever_its_history(
    project, work, rewritten, is_rewritten, monkeypatch
):
    if not is_rewritten:
        work.git("reset", "--quiet", "--hard", rewritten[0])
        work.commit("On top")
        push(work)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__REQUIRE_SIGNED", "true")
    ended = project.reconciler("accept", work.head(), "--reason", "x")
    assert (ended.code, followed(project)) == (1, rewritten[0])
    assert "has no good signature" in ended.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["main", "--reason", "x"], "expected 7 or more hexadecimal digits"),
        (["abc123", "--reason", "x"], "expected 7 or more hexadecimal digits"),
        (["abcdef1", "--reason", " "], "expected a text that says why"),
        (["abcdef1"], "Missing option '--reason'"),
        (["--reason", "x"], "Missing argument"),
    ],
)
def test_wrong_usage_is_64(project, work, arguments, expected):
    ended = project.reconciler("accept", *arguments)
    assert (ended.code, expected in ended.err) == (64, True)
    assert not project.database.exists()


def test_where_files_are_read_as_they_are_there_is_nothing_to_accept(project):
    ended = project.reconciler("accept", "abcdef1", "--reason", "x")
    assert (ended.code, "there is no commit" in ended.err) == (64, True)


# --- what other commands say of it -------------------------------------------------------------------------------------


def test_status_and_explain_say_which_commit_is_read_and_why_not_the_newest(project, rewritten):
    before, newest = rewritten
    for command in (["status"], ["explain", "mysql-to-oceanbase"]):
        said = project.reconciler(*command).err
        assert f"reads commit {before[:7]} (Ann Operator: The first tasks) of main" in said
        assert f"reconciler accept {newest[:7]}" in said
    head = project.reconciler("status", "--format", "json").json["head"]
    assert (head["ref"], head["commit"]["id"], head["newest"], head["kind"]) == ("main", before, newest, "rewritten")
    assert set(head) == {"ref", "commit", "newest", "kind", "problem", "since"}


def test_a_status_that_goes_on_follows_new_commits(project, work, rewritten):
    work.git("reset", "--quiet", "--hard", rewritten[0])
    push(work)
    with Viewer(load(project.root / "reconciler.toml"), ()) as viewer:
        assert viewer.look().followed.head.commit.id == rewritten[0]
        second = work.commit("On top")
        push(work)
        assert viewer.look().followed.head.commit.id == second


def test_the_status_of_a_directory_has_no_head(project):
    assert project.reconciler("status", "--format", "json").json["head"] is None
