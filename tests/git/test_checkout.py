from reconciler.git import checkout
from tests.repositories import Repo


def test_top_is_found_from_any_depth(repo):
    assert checkout.top_of(repo.path / "not" / "there") == repo.path.resolve()
    assert checkout.top_of(repo.path) == repo.path.resolve()


def test_a_worktree_has_a_top_of_its_own(repo, tmp_path):
    repo.commit()
    repo.git("worktree", "add", "--quiet", str(tmp_path / "other"))
    assert checkout.top_of(tmp_path / "other" / "deep") == (tmp_path / "other").resolve()


def test_outside_of_a_working_tree_there_is_none(tmp_path):
    Repo.make(tmp_path / "bare.git", bare=True)
    assert checkout.top_of(tmp_path) is None
    assert checkout.top_of(tmp_path / "bare.git") is None


def test_a_repository_begins_with_the_branch_that_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "trunk")  # of init.defaultBranch
    assert checkout.start(tmp_path, "main") == ""
    assert Repo(tmp_path).git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_the_branch_is_the_one_that_is_checked_out(repo):
    repo.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    assert checkout.branch_of(repo.path) == "trunk"
    repo.git("checkout", "--quiet", "--detach", repo.commit())
    assert checkout.branch_of(repo.path) == ""


def test_without_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout.branch_of(tmp_path) == ""
    assert checkout.start(tmp_path, "main") == "git cannot be run: No such file or directory"


def test_words_of_git_are_passed_on(tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in checkout.start(tmp_path / "file" / "below", "main")
