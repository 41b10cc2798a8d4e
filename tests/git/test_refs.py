import queue
import shutil
import threading
import time
from pathlib import Path

import pytest

from reconciler.git.refs import RETRY_S, RefWatch
from reconciler.git.repository import Repository
from tests.repositories import Repo, isolate
from tests.state import conftest as state

TIMEOUT_S = 10.0
ordinary_user = state.ordinary_user


class Scene:
    """A watch on a repository, and what it told."""

    def __init__(self, path, when_told=lambda: None):
        self.moved = queue.SimpleQueue()
        self.said = []
        self.now_s = 0.0
        repository = Repository.discover(path)
        self.watch = RefWatch(repository, self.tell, self.said.append, monotonic=lambda: self.now_s)
        self.when_told = when_told
        self.watch.start()

    def tell(self):
        self.moved.put(None)
        self.when_told()

    def is_told(self, timeout_s=TIMEOUT_S):
        try:
            self.moved.get(timeout=timeout_s)
        except queue.Empty:
            return False
        return True

    def forget(self):
        """Drop what was told for what happened before: the kernel keeps the order."""
        while self.is_told(0.05):
            pass


@pytest.fixture
def watched(repo):
    repo.commit("first", {"shop/task.json": "{}"})
    repo.git("branch", "side")
    scene = Scene(repo.path)
    yield scene
    scene.watch.stop()


@pytest.fixture
def theirs(ordinary_user, monkeypatch):
    """A repository of a user who may not do everything."""
    isolate(monkeypatch, ordinary_user)
    repo = Repo.make(ordinary_user / "config")
    repo.commit("first")
    return repo


@pytest.mark.parametrize(
    "command",
    [
        ("commit", "--quiet", "--allow-empty", "-m", "second"),
        ("commit", "--quiet", "--amend", "-m", "amended"),
        ("checkout", "--quiet", "side"),
        ("checkout", "--quiet", "--detach"),
        ("switch", "--quiet", "-c", "new/branch"),
        ("branch", "-m", "main", "trunk"),
        ("branch", "-D", "side"),
        ("tag", "v1"),
        ("pack-refs", "--all"),
        ("update-ref", "refs/reconciler/remote/main", "HEAD"),
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_what_moves_a_ref_is_told(watched, repo, command):
    repo.git(*command)
    assert watched.is_told()


def test_a_branch_that_stands_in_packed_refs_alone_is_told(watched, repo):
    repo.git("pack-refs", "--all")
    watched.forget()
    packed = repo.path / ".git" / "packed-refs"
    moved = packed.with_name("packed-refs.new")  # as git writes it
    moved.write_text(packed.read_text().replace(repo.head(), repo.git("commit-tree", "-m", "x", "HEAD^{tree}")))
    watched.forget()
    moved.rename(packed)
    assert watched.is_told(1)


def test_reset_and_merge_are_told(watched, repo):
    repo.commit("second")
    watched.forget()
    repo.git("reset", "--quiet", "--hard", "side")
    assert watched.is_told()
    watched.forget()
    repo.git("merge", "--quiet", "--ff-only", "ORIG_HEAD")
    assert watched.is_told()


def test_work_that_moves_no_ref_is_not_told(watched, repo):
    watched.forget()
    repo.write("shop/task.json", "edited")
    repo.git("add", "-A")
    repo.git("status")
    repo.git("stash", "create")
    repo.git("hash-object", "-w", "shop/task.json")
    assert not watched.is_told(0.1)


def test_branches_in_folders_that_come_and_go_are_told(watched, repo):
    for name in ("feature/a", "feature", "feature/b/c"):
        repo.git("branch", name)
        watched.forget()
        repo.git("update-ref", f"refs/heads/{name}", repo.git("commit-tree", "-m", "x", "HEAD^{tree}"))
        assert watched.is_told()
        repo.git("branch", "-D", name)
        watched.forget()


def test_a_push_into_a_bare_repository_is_told(repo, tmp_path):
    repo.commit("first")
    bare = repo.clone(tmp_path / "bare.git", "--bare")
    bare.git("pack-refs", "--all")
    scene = Scene(bare.path)
    repo.commit("second")
    repo.git("push", "--quiet", str(bare.path), "main")
    assert scene.is_told()
    scene.watch.stop()


def test_a_linked_worktree_hears_of_its_head_and_of_shared_branches(repo, tmp_path):
    repo.commit("first")
    repo.git("worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "side")
    scene = Scene(tmp_path / "tree")
    Repo(tmp_path / "tree").git("checkout", "--quiet", "--detach")
    assert scene.is_told()
    scene.forget()
    repo.commit("second")
    assert scene.is_told()
    scene.watch.stop()


def test_nothing_is_told_once_it_is_stopped(repo):
    repo.commit("first")
    before = set(threading.enumerate())
    scene = Scene(repo.path)
    started = set(threading.enumerate()) - before
    scene.watch.stop()
    scene.forget()
    repo.commit("second")
    assert not scene.is_told(0.1)
    assert [thread.is_alive() for thread in started] == [False]


def test_a_check_of_a_good_watch_does_nothing(watched):
    watched.forget()
    watched.watch.check()
    assert not watched.is_told(0.05)
    assert watched.said == []


def test_a_repository_that_was_replaced_is_watched_anew(watched, repo, tmp_path):
    repo.path.rename(tmp_path / "away")
    shutil.copytree(tmp_path / "away", repo.path)
    watched.watch.check()
    assert watched.is_told()
    watched.forget()
    repo.commit("second")
    assert watched.is_told()


def test_a_repository_that_is_gone_is_said_once_and_so_is_its_return(watched, repo, tmp_path):
    repo.path.rename(tmp_path / "away")
    watched.watch.check()
    watched.now_s += RETRY_S
    watched.watch.check()
    (tmp_path / "away").rename(repo.path)
    watched.watch.check()
    gone, back = watched.said
    assert "new commits cannot be noticed at once: No such file or directory; until then they are" in gone
    assert back.endswith("new commits are noticed at once again")
    watched.forget()
    repo.commit("second")
    assert watched.is_told()


def test_what_may_not_be_watched_is_tried_again_later(theirs):
    heads = theirs.path / ".git" / "refs" / "heads"
    heads.chmod(0)
    scene = Scene(theirs.path)
    assert "Permission denied; until then they are looked for about once a second" in scene.said[0]
    heads.chmod(0o700)
    scene.watch.check()
    assert (scene.is_told(0), len(scene.said)) == (False, 1)
    scene.now_s += RETRY_S
    scene.watch.check()
    assert (scene.is_told(0), len(scene.said)) == (True, 2)
    scene.watch.stop()


def test_a_folder_that_may_not_be_watched_when_it_comes_is_said(theirs):
    scene = Scene(theirs.path)
    closed = theirs.path / ".git" / "refs" / "closed"
    closed.mkdir(mode=0)
    assert scene.is_told()
    scene.watch.check()
    assert "Permission denied" in scene.said[0]
    closed.chmod(0o700)
    scene.watch.stop()


def test_more_at_once_than_the_kernel_keeps_is_covered(repo):
    repo.commit("first")
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    let_go = threading.Event()
    scene = Scene(repo.path, lambda: let_go.wait(TIMEOUT_S))
    folder = repo.path / ".git" / "refs"
    (folder / "first").touch()  # told twice: made, and closed
    assert scene.is_told()  # and the thread that reads is busy from here on
    for number in range(kept // 2 + 100):
        (folder / f"{number}.lock").touch()
    let_go.set()
    assert scene.is_told()
    until_s = time.monotonic() + TIMEOUT_S
    while not scene.is_told(0.01):
        scene.watch.check()
        assert time.monotonic() < until_s
    scene.watch.stop()
