import threading

import pytest

from reconciler.errors import DesiredStateError
from reconciler.git.remote import Remote
from reconciler.git.settings import GitSettings
from tests.git import servers
from tests.repositories import Repo


def fetched(repo):
    return repo.git("rev-parse", "refs/reconciler/remote/main")


def test_each_fetch_brings_what_is_new(repo, tmp_path):
    repo.commit("first")
    local = Repo.make(tmp_path / "local")
    remote = Remote(local.path / "desired_state", GitSettings("main", str(repo.path)))
    for name in ("second", "third"):
        new = repo.commit(name)
        remote.fetch()
        assert fetched(local) == new


def test_a_repository_that_was_made_anew_is_fetched_into(repo, tmp_path):
    repo.commit("first")
    local = Repo.make(tmp_path / "local")
    remote = Remote(local.path, GitSettings("main", str(repo.path)))
    remote.fetch()
    local.path.rename(tmp_path / "away")
    with pytest.raises(DesiredStateError, match="local: no such directory"):
        remote.fetch()
    Repo.make(local.path)
    remote.fetch()
    assert fetched(local) == repo.head()


def test_a_fetch_is_ended_from_another_thread(repo):
    failed = []
    with servers.silent() as server:
        remote = Remote(repo.path, GitSettings("main", server.address))

        def fetch():
            with pytest.raises(DesiredStateError) as caught:
                remote.fetch()
            failed.append(str(caught.value))

        thread = threading.Thread(target=fetch)
        thread.start()
        connection = server.connection()
        remote.stop()
        thread.join()
        servers.wait_for_end(connection)
    said = f"{repo.path}: {server.address} cannot be fetched: git was ended, because reconciler is stopping"
    assert failed == [said]


def test_nothing_is_fetched_once_it_was_stopped(repo):
    remote = Remote(repo.path, GitSettings("main", "origin"))
    remote.stop()
    with pytest.raises(DesiredStateError, match="reconciler is stopping"):
        remote.fetch()
