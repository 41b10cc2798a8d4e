"""Following commits, with what it is made of: `reconciler.git.newest` and `reconciler.git.verdict`."""

import shutil

import pytest

from reconciler.errors import ConfigError, DesiredStateError
from reconciler.git.follow import GitSource
from reconciler.git.program import Git
from reconciler.git.repository import RENEW_S, Repository
from reconciler.git.settings import GitSettings
from reconciler.git.verdict import RETRY_S
from tests.git.signing import signed_by_gpg, signed_by_ssh, ssh_key
from tests.repositories import Repo


class Followed:
    """A source as the daemon uses it: what was followed is remembered between two runs of it."""

    def __init__(self, path, ref="main", remote="", *, uncommitted=False, **settings):
        self.path = path
        self.settings = GitSettings(ref, remote, **settings)
        self.uncommitted = uncommitted
        self.recorded = {}
        self.now_s = 0.0
        self.restart()

    def restart(self):
        repository = Repository.discover(self.path)
        last = lambda ref: self.recorded.get(ref, "")  # noqa: E731
        self.source = GitSource(
            repository, self.settings, last, uncommitted=self.uncommitted, monotonic=lambda: self.now_s
        )

    def advance(self):
        """Names of the tasks that changed."""
        changed = self.source.advance()
        self.recorded[self.settings.ref] = self.source.head.commit.id
        return changed

    def kind(self):
        """Why the newest commit is not followed, after another look."""
        self.advance()
        return self.source.head.kind

    @property
    def head(self):
        return self.source.head

    def fetch(self):
        Git(self.source.repository).fetch(self.settings.remote, self.settings.ref)


def task(name, text="{}"):
    return {f"{name}/task.json": text}


def object_of(repo, name):
    """The file that holds an object."""
    found = repo.git("rev-parse", name)
    return repo.path / ".git" / "objects" / found[:2] / found[2:]


def damage(repo, name):
    """Make an object unreadable."""
    file = object_of(repo, name)
    file.chmod(0o644)
    file.write_bytes(b"garbage")


@pytest.fixture
def bare(repo, tmp_path):
    """A bare repository that *repo* is pushed to."""
    repo.commit("root")
    repo.commit("first", task("shop"))
    hub = repo.clone(tmp_path / "hub.git", "--bare")
    repo.git("remote", "add", "hub", str(hub.path))
    return hub


def push(repo, *options):
    repo.git("push", "--quiet", *options, "hub", "HEAD:refs/heads/main")


# --- moving on -------------------------------------------------------------------------------------------------------


def test_the_first_commit_may_change_anything(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path)
    assert followed.advance() is None
    assert followed.source.names() == ["shop"]
    assert followed.source.revision == followed.head.commit.id == repo.head()
    assert followed.head.commit.subject == "first"


def test_before_the_first_commit_nothing_can_be_read(repo):
    repo.commit("first", task("shop"))
    with pytest.raises(DesiredStateError, match="no commit was taken up yet"):
        Followed(repo.path).source.names()


def test_a_commit_says_which_tasks_changed(repo):
    repo.commit("first", task("a") | task("b") | task("c"))
    followed = Followed(repo.path)
    followed.advance()
    repo.commit("second", task("b", '{"x": 1}') | {"c/task.json": None} | task("d"))
    assert followed.advance() == {"b", "c", "d"}
    assert followed.advance() == frozenset()
    assert [entry.name for entry in followed.source.entries()] == ["a", "b", "d"]
    assert followed.source.entry("b").read().files == {"task.json": b'{"x": 1}'}
    assert len(list(followed.source.tasks())) == 3


def test_an_edit_that_is_not_committed_is_not_read(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path)
    followed.advance()
    repo.write("shop/task.json", "edited")
    assert followed.advance() == frozenset()
    assert followed.source.entry("shop").read().files["task.json"] == b"{}"


def test_merges_of_one_and_of_two_branches_are_followed(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path)
    followed.advance()
    for name in ("a", "b", "c"):
        repo.git("switch", "--quiet", "-c", name, "main")
        repo.commit(name, task(name))
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "a")
    assert followed.advance() == {"a"}
    repo.git("merge", "--quiet", "-m", "octopus", "b", "c")
    assert followed.advance() == {"b", "c"}


def test_a_revert_is_followed(bare, repo):
    followed = Followed(bare.path)
    followed.advance()
    repo.commit("second", task("shop", "[]"))
    push(repo)
    assert followed.advance() == {"shop"}
    repo.git("revert", "--no-edit", "HEAD")
    push(repo)
    assert followed.advance() == {"shop"}
    assert followed.head.kind == ""


@pytest.mark.parametrize(
    "command",
    [
        ("commit", "--amend", "--quiet", "-m", "amended"),
        ("reset", "--quiet", "--hard", "HEAD~1"),
        ("rebase", "--quiet", "--onto", "HEAD~2", "HEAD~1"),
        ("checkout", "--quiet", "-B", "main", "side"),
    ],
    ids=lambda command: command[0],
)
def test_in_a_working_repository_the_operator_may_rewrite(repo, command):
    repo.commit("first", task("shop"))
    repo.git("branch", "side")
    repo.commit("second", task("a"))
    repo.commit("third", task("b"))
    followed = Followed(repo.path)
    followed.advance()
    repo.git(*command)
    followed.advance()
    assert (followed.source.revision, followed.head.kind) == (repo.head(), "")


def test_head_follows_what_is_checked_out(repo):
    first = repo.commit("first", task("shop"))
    repo.git("switch", "--quiet", "-c", "side")
    repo.commit("second", task("a"))
    followed = Followed(repo.path, "HEAD")
    followed.advance()
    repo.git("switch", "--quiet", "main")
    assert followed.advance() == {"a"}
    repo.git("switch", "--quiet", "--detach", "side")
    assert followed.advance() == {"a"}
    repo.git("checkout", "--quiet", first)
    assert followed.advance() == {"a"}


def test_a_tag_that_is_moved_is_followed(repo):
    repo.commit("first", task("shop"))
    repo.git("tag", "-m", "live", "live")
    followed = Followed(repo.path, "live")
    followed.advance()
    repo.commit("second", task("a"))
    assert followed.advance() == frozenset()
    repo.git("tag", "-f", "-m", "live", "live")
    assert followed.advance() == {"a"}


def test_a_pinned_commit_stays(repo):
    pinned = repo.commit("first", task("shop"))
    followed = Followed(repo.path, pinned)
    followed.advance()
    repo.commit("second", task("a"))
    assert followed.advance() == frozenset()


def test_a_linked_worktree_has_a_head_of_its_own(repo, tmp_path):
    repo.commit("first", task("shop"))
    repo.git("worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "side")
    followed = Followed(tmp_path / "tree", "HEAD")
    followed.advance()
    repo.commit("second", task("a"))
    assert followed.advance() == frozenset()
    Repo(tmp_path / "tree", commits=5).commit("third", task("b"))
    assert followed.advance() == {"b"}


# --- rewritten and unrelated -----------------------------------------------------------------------------------------


@pytest.fixture
def refused(bare, repo):
    """A bare repository after a force-push; two tasks were followed, only one is left."""
    first = repo.head()
    repo.commit("second", task("a"))
    push(repo)
    followed = Followed(bare.path)
    followed.advance()
    repo.git("reset", "--quiet", "--hard", first)
    repo.commit("other", task("shop", "[]"))
    push(repo, "--force")
    return followed


def test_a_force_push_is_refused(refused, repo):
    before = refused.source.revision
    assert refused.advance() == frozenset()
    assert refused.source.names() == ["a", "shop"]
    head = refused.head
    assert (head.kind, head.newest, head.commit.id) == ("rewritten", repo.head(), before)
    assert f"it does not contain commit {before[:7]}, which was followed last" in head.problem
    assert f"reconciler accept {repo.head()[:12]} --reason TEXT" in head.problem
    assert refused.source.remarks[0].startswith(
        f'commit {before[:7]} of "main" stays in force; the newest, {repo.head()[:7]}'
    )


def test_a_force_push_is_refused_after_a_restart_too(refused):
    before = refused.source.revision
    refused.restart()
    assert refused.advance() is None
    assert (refused.head.kind, refused.source.revision) == ("rewritten", before)


def test_what_was_accepted_is_followed(refused, repo):
    refused.advance()
    refused.recorded["main"] = repo.head()
    assert refused.advance() == {"a", "shop"}
    assert (refused.head.kind, refused.source.remarks) == ("", ())


def test_what_descends_from_the_accepted_commit_is_followed(refused, repo):
    refused.advance()
    refused.recorded["main"] = repo.head()
    repo.commit("more", task("b"))
    push(repo)
    assert refused.advance() == {"a", "b", "shop"}


def test_an_older_accepted_commit_is_gone_back_to(refused, repo, bare):
    refused.advance()
    refused.recorded["main"] = bare.git("rev-parse", "main~1")
    assert refused.kind() == ""
    assert refused.source.revision == repo.head()


def test_a_force_push_taken_back_is_followed_again(refused, repo):
    assert refused.kind() == "rewritten"
    repo.git("push", "--quiet", "--force", "hub", f"{refused.source.revision}:refs/heads/main")
    assert refused.kind() == ""


def test_another_history_is_refused(bare, repo):
    followed = Followed(bare.path)
    followed.advance()
    repo.git("switch", "--quiet", "--orphan", "other")
    repo.commit("other", task("a"))
    push(repo, "--force")
    assert followed.kind() == "unrelated"
    assert "has nothing in common with commit" in followed.head.problem


def test_a_first_commit_that_is_amended_is_followed(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path, "HEAD")
    followed.advance()
    repo.git("commit", "--quiet", "--amend", "-m", "amended")
    assert followed.kind() == ""


def test_another_history_is_refused_in_a_working_repository_too(repo):
    repo.commit("root")
    repo.commit("first", task("shop"))
    followed = Followed(repo.path, "HEAD")
    followed.advance()
    repo.git("switch", "--quiet", "--orphan", "pages")
    repo.commit("other", task("a"))
    assert followed.kind() == "unrelated"
    repo.git("switch", "--quiet", "main")
    assert followed.kind() == ""


def test_the_commit_followed_last_is_missing(refused):
    refused.recorded["main"] = "1234567890" * 4
    refused.restart()
    with pytest.raises(
        DesiredStateError, match=r"commit 1234567, which was followed last, is not here any more; .*accept"
    ):
        refused.advance()


def test_a_running_source_keeps_what_it_has_when_a_missing_commit_is_accepted(refused):
    before = refused.source.revision
    refused.recorded["main"] = "1234567890" * 4
    assert refused.source.advance() == frozenset()
    assert (refused.source.revision, refused.head.kind) == (before, "rewritten")


def test_a_missing_commit_is_no_trouble_in_a_working_repository(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path)
    followed.recorded["main"] = "1234567890" * 4
    assert followed.kind() == ""


def test_a_branch_in_a_worktree_of_a_bare_repository_is_guarded_and_its_head_is_not(bare, repo, tmp_path):
    bare.git("worktree", "add", "--quiet", str(tmp_path / "tree"), "main")
    branch, head = Followed(tmp_path / "tree"), Followed(tmp_path / "tree", "HEAD")
    for followed in (branch, head):
        followed.advance()
    Repo(tmp_path / "tree").git("commit", "--quiet", "--amend", "-m", "amended")
    assert (branch.kind(), head.kind()) == ("rewritten", "")


def test_a_repository_that_does_not_say_whether_it_is_bare(repo):
    repo.commit("root")
    repo.commit("first", task("shop"))
    repo.git("config", "--unset", "core.bare")
    followed = Followed(repo.path)
    followed.advance()
    repo.git("commit", "--quiet", "--amend", "-m", "amended")
    assert followed.kind() == ""


def test_a_shallow_clone_says_how_to_get_the_rest(bare, repo, tmp_path):
    shallow = bare.clone(tmp_path / "shallow.git", "--bare", "--depth=1")
    followed = Followed(shallow.path)
    followed.advance()
    for number in range(2):
        repo.commit(str(number))
    push(repo)
    shallow.git("fetch", "--quiet", "--depth=1", "origin", "+main:main")
    assert followed.kind() == "rewritten"
    assert "git fetch --unshallow" in followed.head.problem
    shallow.git("fetch", "--quiet", "--unshallow", "origin")
    followed.now_s += RETRY_S
    assert followed.kind() == ""


def test_a_shallow_working_tree_moves_on(bare, repo, tmp_path):
    shallow = bare.clone(tmp_path / "shallow", "--depth=1")
    followed = Followed(shallow.path)
    followed.advance()
    repo.commit("second")
    repo.commit("third", task("a"))
    push(repo)
    shallow.git("fetch", "--quiet", "--depth=1", "origin")
    shallow.git("reset", "--quiet", "--hard", "origin/main")
    assert followed.advance() == {"a"}


# --- a remote --------------------------------------------------------------------------------------------------------


def test_what_was_fetched_is_followed_and_local_commits_are_not(bare, repo, tmp_path):
    local = bare.clone(tmp_path / "local")
    local.commit("not pushed", task("mine"))
    followed = Followed(local.path, "main", "origin")
    followed.fetch()
    followed.advance()
    assert followed.source.names() == ["shop"]
    repo.commit("second", task("a"))
    push(repo)
    followed.fetch()
    assert followed.advance() == {"a"}
    repo.git("commit", "--quiet", "--amend", "-m", "amended")
    push(repo, "--force")
    followed.fetch()
    assert followed.kind() == "rewritten"


def test_before_the_first_fetch_the_tracking_branch_is_followed(bare, tmp_path):
    local = bare.clone(tmp_path / "local")
    local.commit("not pushed", task("mine"))
    followed = Followed(local.path, "refs/heads/main", "origin")
    followed.advance()
    assert followed.source.names() == ["shop"]
    assert followed.source.remarks == (
        '"refs/heads/main" of origin was not fetched yet: refs/remotes/origin/main of the local repository is followed in its place',
    )
    followed.fetch()
    followed.advance()
    assert followed.source.remarks == ()


@pytest.mark.parametrize("ref", ["main", "HEAD"])
def test_before_the_first_fetch_a_bare_repository_has_the_branch_itself(bare, repo, tmp_path, ref):
    followed = Followed(bare.clone(tmp_path / "copy.git", "--bare").path, ref, "origin")
    followed.advance()
    assert followed.source.revision == repo.head()


def test_before_the_first_fetch_a_local_branch_may_hold_what_was_not_pushed(bare, repo):
    followed = Followed(repo.path, "main", f"http://ann:S3NTINEL@127.0.0.1/{bare.path}")
    with pytest.raises(DesiredStateError, match=r'"main" of http://\*\*\*@127.*was not fetched yet; wait .* git -C'):
        followed.advance()


def test_a_pinned_commit_that_is_here_needs_no_fetch(repo):
    pinned = repo.commit("first", task("shop"))
    followed = Followed(repo.path, pinned, "origin")
    followed.advance()
    assert followed.source.remarks == ()


@pytest.mark.parametrize("ref", ["main~1", "HEAD^{tree}", "refs/heads/*"])
def test_what_cannot_be_fetched_is_a_mistake_in_the_configuration(repo, ref):
    repo.commit("first", task("shop"))
    with pytest.raises(ConfigError, match=r"desired_state\.ref: expected a branch, a tag or a whole commit id"):
        Followed(repo.path, ref, "origin")


# --- signatures ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key(keyring):
    return keyring.make("follower")


def test_unsigned_commits_are_refused_and_the_next_signed_one_is_followed(repo, keyring, key, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(keyring.home))
    repo.write("shop/task.json", "{}")
    signed_by_gpg(repo, keyring, key)
    followed = Followed(repo.path, require_signed=True)
    followed.advance()
    repo.commit("unsigned", task("a"))
    assert followed.kind() == "unsigned"
    assert f"commit {repo.head()[:7]} has no good signature: it is not signed. A newer" in followed.head.problem
    assert followed.source.names() == ["shop"]
    signed_by_gpg(repo, keyring, key)
    assert followed.advance() == {"a"}


def test_without_a_commit_followed_before_an_unsigned_one_cannot_be_read(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path, require_signed=True)
    with pytest.raises(DesiredStateError, match="has no good signature: it is not signed"):
        followed.advance()


def test_what_was_followed_before_signatures_were_required_stays(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path, require_signed=True)
    followed.recorded["main"] = repo.head()
    assert followed.kind() == ""


def test_a_signature_counts_once_its_key_is_allowed(repo, tmp_path):
    repo.commit("first", task("shop"))
    signers = tmp_path / "signers"
    followed = Followed(repo.path, require_signed=True, allowed_signers=signers)
    followed.recorded["main"] = repo.head()
    public = ssh_key(tmp_path / "key")
    signed_by_ssh(repo, tmp_path / "key")
    assert followed.kind() == "unsigned"
    signers.write_text(f"ann@example.com {public}\n")
    assert followed.kind() == "unsigned"
    followed.now_s += RETRY_S
    assert followed.kind() == ""


def test_a_good_signature_is_checked_once(repo, tmp_path):
    repo.write("shop/task.json", "{}")
    signers = tmp_path / "signers"
    signers.write_text(f"ann@example.com {ssh_key(tmp_path / 'key')}\n")
    signed_by_ssh(repo, tmp_path / "key")
    source = GitSource(
        Repository.discover(repo.path), GitSettings("main", "", True, signers), lambda _: "", monotonic=lambda: 0.0
    )
    source.advance()
    signers.unlink()
    assert source.advance() == frozenset()
    assert source.head.kind == ""


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def followed(repo):
    repo.commit("first", task("shop") | task("other", "[0]"))
    followed = Followed(repo.path)
    followed.advance()
    return followed


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("name", ["HEAD:shop/task.json", "HEAD:shop", "HEAD^{tree}"], ids=["file", "folder", "root"])
@pytest.mark.parametrize(
    "harm", [damage, lambda repo, name: object_of(repo, name).unlink()], ids=["corrupt", "missing"]
)
def test_a_damaged_commit_is_not_followed(followed, repo, name, harm, restart):
    before = repo.head()
    repo.commit("second", task("shop", "[]"))
    harm(repo, name)
    if restart:
        followed.restart()
    assert followed.kind() == "unreadable"
    assert followed.source.revision == before
    assert "cannot be read" in followed.head.problem


def test_progress_is_told_while_the_changed_files_of_a_commit_are_tried(followed, repo):
    """A commit that changes thousands of tasks takes seconds: the service manager would take the daemon for hung."""
    ticks = []
    last = lambda ref: followed.recorded.get(ref, "")  # noqa: E731
    source = GitSource(followed.source.repository, followed.settings, last, tick=lambda: ticks.append(1))
    source.advance()
    assert ticks == []
    repo.commit("two", task("shop", "[1]") | task("a") | task("b"))
    source.advance()
    assert len(ticks) == len(followed.advance()) == 3


def test_a_mistake_of_a_task_is_followed(followed, repo):
    repo.write("shop/task.json", None).symlink_to("/etc/passwd")
    repo.commit("second")
    assert followed.advance() == {"shop"}
    assert followed.source.entry("shop").read().violations[0].rule == "unreadable"


def test_a_repaired_commit_is_followed(followed, repo):
    repo.commit("second", task("shop", "[]"))
    file = object_of(repo, "HEAD:shop/task.json")
    content = file.read_bytes()
    damage(repo, "HEAD:shop/task.json")
    assert followed.kind() == "unreadable"
    file.write_bytes(content)
    followed.now_s += RETRY_S
    assert followed.advance() == {"shop"}


def test_the_next_good_commit_is_followed(followed, repo):
    repo.commit("second", task("shop", "[]"))
    damage(repo, "HEAD:shop/task.json")
    assert followed.kind() == "unreadable"
    repo.commit("third", task("shop", "[1]"))
    assert followed.advance() == {"shop"}


def test_an_accepted_commit_is_followed_even_if_a_file_of_it_is_damaged(followed, repo):
    repo.commit("second", task("shop", "[]"))
    damage(repo, "HEAD:shop/task.json")
    followed.recorded["main"] = repo.head()
    assert followed.advance() == {"shop"}
    assert followed.head.kind == ""


def test_a_file_that_is_damaged_from_the_start_is_its_tasks_fault(repo):
    repo.commit("first", task("shop") | task("other", "[]"))
    damage(repo, "HEAD:shop/task.json")
    followed = Followed(repo.path)
    assert followed.kind() == ""
    assert followed.source.entry("shop").read().violations[0].rule == "unreadable"


def test_a_tree_that_is_damaged_from_the_start_is_an_error(repo):
    repo.commit("first", task("shop"))
    damage(repo, "HEAD:shop")
    with pytest.raises(DesiredStateError, match=r"tree .* cannot be read"):
        Followed(repo.path).advance()


def test_a_commit_without_the_folder_is_not_followed(repo):
    repo.commit("first", {"desired_state/shop/task.json": "{}"})
    followed = Followed(repo.path / "desired_state")
    followed.advance()
    repo.commit("second", {"desired_state/shop/task.json": None} | task("elsewhere"))
    assert followed.kind() == "unreadable"
    assert '"desired_state" to be a directory' in followed.head.problem


def test_when_the_old_commit_is_damaged_the_new_one_is_followed(followed, repo):
    repo.commit("second", task("shop", "[]"))
    damage(repo, "HEAD~1:shop")
    followed.restart()
    assert followed.kind() == ""


def test_when_neither_commit_can_be_read_both_reasons_are_said(followed, repo):
    damage(repo, "HEAD^{tree}")
    (repo.path / ".git" / "refs" / "heads" / "main").write_text("garbage")
    followed.restart()
    with pytest.raises(DesiredStateError, match=r'"main" names no commit.*Nor can that one be read: .*tree'):
        followed.advance()


# --- the ref is away -------------------------------------------------------------------------------------------------


def test_a_deleted_branch_is_gone_and_the_last_commit_stays(followed, repo):
    repo.git("switch", "--quiet", "-c", "trunk")
    repo.git("branch", "-D", "main")
    assert followed.kind() == "gone"
    assert followed.head.newest == ""
    assert '"main" names no commit of this repository' in followed.head.problem
    assert followed.source.remarks[0].startswith(
        f'commit {repo.head()[:7]} of "main" stays in force; there is no newer one'
    )
    repo.git("branch", "main")
    assert followed.kind() == ""


@pytest.mark.parametrize("content", ["", "garbage", "1234567890" * 4 + "\n"], ids=["empty", "garbage", "missing"])
def test_a_damaged_ref_is_unreadable(followed, repo, content):
    file = repo.path / ".git" / "refs" / "heads" / "main"
    good = file.read_text()
    file.write_text(content)
    assert followed.kind() == "unreadable"
    file.write_text(good)
    assert followed.kind() == ""


def test_a_damaged_ref_of_ours_is_unreadable(bare, repo, tmp_path):
    local = bare.clone(tmp_path / "local")
    followed = Followed(local.path, "main", "origin")
    followed.fetch()
    followed.advance()
    (local.path / ".git" / "refs" / "reconciler" / "remote" / "main").write_text("garbage")
    assert followed.kind() == "unreadable"


def test_a_repository_that_moved_away_is_unreadable_until_it_is_back(followed, repo, tmp_path):
    repo.path.rename(tmp_path / "away")
    assert followed.kind() == "unreadable"
    shutil.copytree(tmp_path / "away", repo.path)
    repo.commit("second", task("shop", "[]"))
    assert followed.advance() == {"shop"}


def test_a_lock_of_head_is_no_trouble(followed, repo):
    repo.commit("second", task("shop", "[]"))
    for lock in ("HEAD.lock", "index.lock", "packed-refs.lock", "refs/heads/main.lock"):
        (repo.path / ".git" / lock).touch()
    assert followed.advance() == {"shop"}


def test_a_repack_between_two_commits_and_under_a_read_is_no_trouble(followed, repo):
    for number in range(5):
        entry = followed.source.entry("other")
        repo.commit("next", task("shop", str(number)))
        repo.git("gc", "--quiet", "--prune=now")
        assert entry.read().files == {"task.json": b"[0]"}
        assert followed.advance() == {"shop"}


# --- remarks ---------------------------------------------------------------------------------------------------------


def test_uncommitted_edits_are_told_when_asked_for(repo):
    repo.commit("first", task("shop"))
    for name in "abcdef":
        repo.write(f"{name}/task.json", "{}")
    repo.write("\x1b/task.json", "{}")
    quiet, asked = Followed(repo.path), Followed(repo.path, uncommitted=True)
    assert (quiet.kind(), quiet.source.remarks) == ("", ())
    asked.advance()
    where = f"from commit {repo.head()[:7]} in the working tree"
    names = r"\x1b/task.json, a/task.json, b/task.json, c/task.json, d/task.json and 2 more"
    assert asked.source.remarks == (f"7 files that differ {where}, not committed and so not looked at: {names}",)


def test_one_uncommitted_edit(repo):
    repo.commit("first", task("shop"))
    repo.write("shop/task.json", "edited")
    followed = Followed(repo.path, uncommitted=True)
    followed.advance()
    assert followed.source.remarks[0].startswith("1 file that differs from")


def test_edits_are_no_news_when_something_else_is_followed(repo, bare):
    repo.git("switch", "--quiet", "-c", "side")
    repo.commit("second", task("a"))
    repo.write("shop/task.json", "edited")
    for followed in (Followed(repo.path, uncommitted=True), Followed(bare.path, uncommitted=True)):
        followed.advance()
        assert followed.source.remarks == ()


def test_a_clean_working_tree_is_no_news(repo):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path, uncommitted=True)
    followed.advance()
    assert followed.source.remarks == ()


def test_that_edits_cannot_be_told_is_told(repo):
    repo.commit("first", task("shop"))
    (repo.path / ".git" / "index").write_bytes(b"garbage")
    followed = Followed(repo.path, uncommitted=True)
    followed.advance()
    assert followed.source.remarks[0].startswith("whether there are edits that are not committed cannot be told: ")


def test_nothing_is_checked_out_yet(repo):
    repo.commit("first", task("shop"))
    repo.git("switch", "--quiet", "--orphan", "empty")
    followed = Followed(repo.path, uncommitted=True)
    followed.advance()
    assert followed.source.remarks == ()


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("updateInstead", "rewritten"), ("IGNORE", "rewritten"), ("no", "rewritten"), ("refuse", ""), ("true", "")],
)
def test_a_working_tree_that_takes_pushes_is_guarded_like_a_bare_repository(repo, setting, kind):
    repo.commit("first", task("shop"))
    repo.commit("second", task("mail"))
    repo.git("config", "receive.denyCurrentBranch", setting)
    followed = Followed(repo.path)
    followed.advance()
    repo.git("commit", "--quiet", "--amend", "--message", "another second")
    followed.advance()
    assert followed.head.kind == kind


def test_a_repository_is_opened_anew_from_time_to_time_and_reads_on(repo, tmp_path):
    repo.commit("first", task("shop"))
    followed = Followed(repo.path)
    followed.advance()
    opened = followed.source.repository.opened
    followed.now_s = RENEW_S
    second = repo.commit("second", task("mail"))
    assert (followed.advance(), followed.source.revision) == ({"mail"}, second)
    assert followed.source.repository.opened is not opened
    followed.now_s = 2 * RENEW_S
    repo.path.rename(tmp_path / "away")
    followed.advance()
    assert followed.source.names() == ["mail", "shop"]
