"""Single files of a commit, and whether it has the folder at all."""

import pytest

from reconciler.git.compared import ComparedTree, has_folder
from reconciler.git.repository import Repository
from tests.repositories import task_files


@pytest.fixture
def repo(repo):
    repo.commit("begin", task_files("conf/tasks/shop"))
    return repo


def tree(repo, folder="conf/tasks"):
    repository = Repository.discover(repo.path / folder)
    return ComparedTree(repository, repo.head())


def test_a_file_is_read_as_it_is_stored(repo):
    assert tree(repo).content("shop", "sink.json") == (repo.path / "conf/tasks/shop/sink.json").read_bytes()


def test_a_file_that_is_not_there_has_no_content(repo):
    assert tree(repo).content("shop", "reset.json") is None


def test_a_folder_in_the_place_of_a_file_has_no_content(repo):
    repo.commit("odd", {"conf/tasks/shop/task.json": None, "conf/tasks/shop/task.json/x": "x"})
    assert tree(repo).content("shop", "task.json") is None


def test_a_link_is_followed(repo):
    (repo.path / "conf/tasks/shop/sink.json").unlink()
    (repo.path / "conf/tasks/shop/sink.json").symlink_to("source.json")
    repo.commit("link")
    assert tree(repo).content("shop", "sink.json") == (repo.path / "conf/tasks/shop/source.json").read_bytes()


def test_a_task_that_cannot_be_listed_has_no_content(repo):
    (repo.path / "conf/tasks/out").symlink_to("/nowhere/else")
    repo.commit("out")
    assert tree(repo).content("out", "task.json") is None


def test_a_damaged_file_has_no_content(repo):
    found = tree(repo)
    number = repo.git("rev-parse", "HEAD:conf/tasks/shop/task.json")
    (repo.path / ".git/objects" / number[:2] / number[2:]).unlink()
    assert found.content("shop", "task.json") is None


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("", True), ("conf", True), ("conf/tasks", True), ("conf/other", False), ("elsewhere/tasks", False)],
)
def test_a_commit_has_a_folder_or_not(repo, folder, expected):
    assert has_folder(Repository.discover(repo.path / folder), repo.head()) is expected


def test_something_else_in_the_place_of_the_folder_is_there(repo):
    """So that opening it says what is wrong with it."""
    repo.commit("file", {"other": "x"})
    assert has_folder(Repository(Repository.discover(repo.path).opened, "other/tasks", "x"), repo.head()) is True
