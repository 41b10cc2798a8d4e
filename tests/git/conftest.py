import tempfile
from pathlib import Path

import pytest

from tests import repositories
from tests.git.signing import Keyring


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home: git reads no configuration but a repository's own, here and in programs that are started."""
    folder = tmp_path / "home"
    folder.mkdir()
    repositories.isolate(monkeypatch, folder)
    return folder


@pytest.fixture
def repo(tmp_path):
    return repositories.Repo.make(tmp_path / "config")


@pytest.fixture(scope="session")
def keyring():
    with tempfile.TemporaryDirectory(prefix="gpg", dir="/tmp", ignore_cleanup_errors=True) as folder:
        made = Keyring(Path(folder))
        yield made
        made.close()
