import os
import socket

import pytest

from reconciler.errors import DesiredStateError
from reconciler.git.program import Git
from reconciler.git.repository import Repository
from reconciler.git.settings import redacted
from tests.git import servers
from tests.repositories import Repo

FETCHED = "refs/reconciler/remote/main"


@pytest.fixture
def upstream(tmp_path):
    repo = Repo.make(tmp_path / "upstream")
    repo.commit("first", {"desired_state/shop/task.json": "{}"})
    return repo


@pytest.fixture
def clone(upstream, tmp_path):
    return upstream.clone(tmp_path / "clone")


def git(repo, **options):
    return Git(Repository.discover(repo.path), **options)


def refs(repo):
    return dict(
        line.split()[::-1] for line in repo.git("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    )


def problem(repo, remote, ref="main", **options):
    with pytest.raises(DesiredStateError) as caught:
        git(repo).fetch(remote, ref, **options)
    text = str(caught.value)
    assert text.isprintable()
    return text


# --- fetch -----------------------------------------------------------------------------------------------------------


def test_only_our_own_ref_is_written(upstream, clone):
    upstream.git("tag", "v1")
    clone.write("desired_state/shop/task.json", "edited")
    before, head = refs(clone), clone.git("status", "--porcelain=v2", "--branch")
    new = upstream.commit("second")
    git(clone).fetch("origin", "main")
    assert refs(clone) == before | {FETCHED: new}
    assert clone.git("status", "--porcelain=v2", "--branch") == head
    assert not (clone.path / ".git" / "FETCH_HEAD").exists()


def test_a_remote_may_be_an_address(upstream, repo):
    git(repo).fetch(str(upstream.path), "main")
    assert refs(repo) == {FETCHED: upstream.head()}


def test_an_address_may_be_relative_to_the_repository(upstream, repo):
    git(repo).fetch("../upstream", "main")
    assert refs(repo) == {FETCHED: upstream.head()}


@pytest.mark.parametrize(
    ("ref", "kept"),
    [
        ("main", "main"),
        ("refs/heads/main", "heads/main"),
        ("v1", "v1"),
        ("refs/tags/v1", "tags/v1"),
        ("HEAD", "HEAD"),
        ("folder/branch", "folder/branch"),
    ],
)
def test_branches_tags_and_head(upstream, repo, ref, kept):
    upstream.git("tag", "-m", "a tag", "v1")
    upstream.git("branch", "folder/branch")
    git(repo).fetch(str(upstream.path), ref)
    assert repo.git("rev-parse", f"refs/reconciler/remote/{kept}^{{commit}}") == upstream.head()


def test_a_commit_that_no_branch_names_any_more(upstream, repo):
    pinned = upstream.head()
    upstream.git("commit", "--amend", "--quiet", "-m", "other")
    git(repo).fetch(str(upstream.path), pinned)
    assert repo.git("rev-parse", f"refs/reconciler/remote/{pinned}") == pinned


def test_what_a_force_push_took_away_stays_in_the_reflog(upstream, tmp_path):
    bare = upstream.clone(tmp_path / "bare.git", "--bare")
    git(bare).fetch("origin", "main")
    old = upstream.head()
    upstream.git("commit", "--amend", "--quiet", "-m", "other")
    git(bare).fetch("origin", "main")
    bare.git("update-ref", "-d", "refs/heads/main")
    bare.git("gc", "--quiet", "--prune=now")
    assert bare.git("cat-file", "-t", old) == "commit"
    assert refs(bare) == {FETCHED: upstream.head()}


def test_no_address_is_written_anywhere(upstream, repo):
    git(repo).fetch(f"file://ann:S3NTINEL@{upstream.path}", "main")
    assert repo.git("reflog", "show", "--format=%gs", FETCHED) == "reconciler fetch: storing head"
    assert not any(
        "S3NTINEL" in file.read_text("latin-1") for file in (repo.path / ".git").rglob("*") if file.is_file()
    )


def test_into_a_linked_worktree(upstream, clone, tmp_path):
    clone.git("worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "side")
    git(Repo(tmp_path / "tree")).fetch("origin", "main")
    assert refs(clone)[FETCHED] == upstream.head()


def test_into_a_shallow_clone(upstream, tmp_path):
    upstream.commit("second")
    shallow = upstream.clone(tmp_path / "shallow", "--depth=1")
    new = upstream.commit("third")
    git(shallow).fetch("origin", "main")
    assert refs(shallow)[FETCHED] == new


def test_a_partial_clone_gets_whole_commits(upstream, tmp_path):
    upstream.git("config", "uploadpack.allowFilter", "true")
    partial = upstream.clone(tmp_path / "partial", "--bare", "--filter=blob:none")
    upstream.commit("second", {"desired_state/shop/task.json": "new"})
    git(partial).fetch("origin", "main")
    upstream.path.rename(tmp_path / "away")
    assert partial.git("cat-file", "blob", f"{FETCHED}:desired_state/shop/task.json") == "new"


def test_the_environment_of_a_hook_leads_nowhere_else(upstream, clone, repo, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repo.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repo.path / "index"))
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(repo.path))
    git(clone).fetch("origin", "main")
    assert FETCHED in refs(clone)
    assert git(clone).uncommitted() == ()


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_branch_that_was_deleted(upstream, clone):
    upstream.git("branch", "-m", "main", "trunk")
    assert "couldn't find remote ref main; was it renamed or deleted there?" in problem(clone, "origin")


def test_a_remote_that_is_gone(upstream, clone, tmp_path):
    upstream.path.rename(tmp_path / "away")
    text = problem(clone, "origin")
    assert text.startswith(f"{clone.path}: origin cannot be fetched: fatal: '{upstream.path}' does not appear to be")
    assert text.endswith(f"git -C {clone.path} fetch origin")


@pytest.fixture
def port():
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
def test_a_remote_that_does_not_answer(repo, port, scheme):
    assert "refused" in problem(repo, f"{scheme}://127.0.0.1:{port}/x").lower().replace("couldn't connect", "refused")


@pytest.fixture
def refusing():
    with servers.refusing() as address:
        yield address


def test_nobody_is_asked_for_credentials(repo, refusing, monkeypatch, tmp_path):
    window = tmp_path / "window"
    window.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    window.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(window))
    monkeypatch.setenv("DISPLAY", ":0")
    assert "set up a credential helper" in problem(repo, f"http://{refusing}/config.git")
    assert not (tmp_path / "asked").exists()


def test_a_credential_helper_is_used(repo, refusing, tmp_path):
    helper = f"!f() {{ touch {tmp_path}/used; echo username=ann; echo password=wrong; }}; f"
    repo.git("config", "credential.helper", helper)
    assert "the credentials of this user are wrong" in problem(repo, f"http://{refusing}/config.git")
    assert (tmp_path / "used").exists()


def test_credentials_in_an_address_are_not_shown(repo, refusing):
    text = problem(repo, f"http://ann:S3NTINEL@{refusing}/config.git?token=S3NTINEL")
    assert "S3NTINEL" not in text
    assert f"http://***@{refusing}/config.git" in text


def test_credentials_in_the_configuration_are_not_shown(repo, refusing):
    repo.git("remote", "add", "origin", f"http://ann:S3NTINEL@{refusing}/config.git")
    assert "S3NTINEL" not in problem(repo, "origin")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:to@ken@host:1/x y@z", "https://***@host:1/x y@z"),
        ("a 'ssh://git@host/x' b", "a 'ssh://***@host/x' b"),
        ("https://host/x?private_token=abc'", "https://host/x?***'"),
        ("git@host:x.git", "git@host:x.git"),
    ],
)
def test_redacted_addresses(text, shown):
    assert redacted(text) == shown


def test_a_remote_that_never_answers_is_given_up_with_everything_git_started(repo):
    with servers.silent() as server:
        assert "git did not end within 0.5 s, and was ended" in problem(repo, server.address, timeout_s=0.5)
        servers.wait_for_end(server.connection())  # it was git-remote-http's, not git's


def test_what_a_remote_says_is_shown_safely_and_in_short(repo, tmp_path):
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\nprintf 'Please make sure\\n\\033[31mred%2000s' >&2\nexit 1\n")
    liar.chmod(0o755)
    repo.git("config", "core.sshCommand", str(liar))
    text = problem(repo, "ssh://host/x")
    assert len(text) < 800
    assert "Please make sure" not in text


def test_a_silent_failure_says_the_exit_code(repo, tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git ended with exit code 7" in problem(repo, "origin")


def test_without_git_it_is_said_what_to_do(repo, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "install git, and see that PATH leads to it" in problem(repo, "origin")


def test_a_repository_that_is_gone_is_named(upstream, clone, tmp_path):
    git_program = git(clone)
    clone.path.rename(tmp_path / "away")
    with pytest.raises(DesiredStateError, match=r"git cannot be run: .*/clone: No such file"):
        git_program.fetch("origin", "main")


def test_a_user_without_a_name_is_a_number(repo, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert f'as the user "{os.getuid()}"' in problem(repo, "origin")


# --- uncommitted edits -----------------------------------------------------------------------------------------------


def test_nothing_is_uncommitted_in_a_clean_tree(clone):
    assert git(clone).uncommitted() == ()


def test_changed_staged_new_and_removed_files_are_uncommitted(upstream, clone):
    clone.commit("more", {f"desired_state/{task}/sink.json": "{}" for task in ("a", "b", "c")})
    clone.write("desired_state/a/sink.json", "1")
    clone.write("desired_state/b/sink.json", "1")
    clone.git("add", "desired_state/b")
    clone.write("desired_state/c/sink.json", None)
    clone.write("desired_state/new folder/\nd/sink.json", "1")
    found = Git(Repository.discover(clone.path / "desired_state")).uncommitted()
    assert found == ("a/sink.json", "b/sink.json", "c/sink.json", "new folder/\nd/sink.json")


def test_other_files_and_other_folders_do_not_count(clone):
    clone.write("README", "1")
    clone.write("elsewhere/shop/sink.json", "1")
    clone.write("desired_state/shop/.sink.json.swp", "1")
    assert Git(Repository.discover(clone.path / "desired_state")).uncommitted() == ()


def test_a_conflict_is_uncommitted(repo):
    repo.commit("first", {"shop/sink.json": "1"})
    repo.git("switch", "--quiet", "-c", "side")
    repo.commit("theirs", {"shop/sink.json": "2"})
    repo.git("switch", "--quiet", "main")
    repo.commit("ours", {"shop/sink.json": "3"})
    with pytest.raises(AssertionError):
        repo.git("merge", "--quiet", "side")
    assert git(repo).uncommitted() == ("shop/sink.json",)


def test_a_bare_repository_has_no_edits(upstream, tmp_path):
    assert git(upstream.clone(tmp_path / "bare.git", "--bare")).uncommitted() == ()


def test_the_index_is_not_written(clone):
    os.utime(clone.path / "desired_state/shop/task.json", (1, 1))
    index = clone.path / ".git" / "index"
    before = index.read_bytes()
    git(clone).uncommitted()
    assert index.read_bytes() == before


def test_a_damaged_index_is_an_error(clone):
    (clone.path / ".git" / "index").write_bytes(b"garbage")
    with pytest.raises(DesiredStateError, match=r"clone: git status: .*index"):
        git(clone).uncommitted()
