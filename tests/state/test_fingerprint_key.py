"""The key file."""

import pytest

from reconciler.errors import StateStoreError
from reconciler.state.fingerprint_key import load_key, load_or_make_key


@pytest.fixture
def key_path(path):
    return path.with_name("fingerprint.key")


def test_the_key_is_made_on_first_use_and_stays(store, open_store, key_path):
    assert not key_path.exists()
    key = store.fingerprint_key()
    assert (len(key), key_path.read_bytes(), key_path.stat().st_mode & 0o777) == (32, key, 0o600)
    assert [store.fingerprint_key(), open_store().fingerprint_key()] == [key, key]
    assert open_store(read_only=True).fingerprint_key() == key


def test_making_the_key_leaves_no_other_file(store, key_path):
    store.fingerprint_key()
    assert not [entry for entry in key_path.parent.iterdir() if "fingerprint" in entry.name and entry != key_path]


def test_a_reader_without_a_key_makes_one_up_and_writes_nothing(store, open_store, key_path):
    one, other = open_store(read_only=True), open_store(read_only=True)
    assert one.fingerprint_key() == one.fingerprint_key()
    assert one.fingerprint_key() != other.fingerprint_key()
    assert not key_path.exists()


def test_processes_that_make_the_key_at_once_get_the_same(start, path, key_path):
    code = "store = open_store()\nsay('open')\ninput()\nsay(store.fingerprint_key().hex())\nstore.close()"
    processes = [start(code, path) for _ in range(3)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert {process.communicate()[0].strip() for process in processes} == {key_path.read_bytes().hex()}


def test_a_key_that_somebody_else_just_made_is_used(tmp_path, monkeypatch):
    path = tmp_path / "fingerprint.key"

    def link_too_late(_name: str, to: object) -> None:
        path.write_bytes(b"k" * 32)
        path.chmod(0o600)
        raise FileExistsError(17, "File exists", str(to))

    monkeypatch.setattr("os.link", link_too_late)
    assert load_or_make_key(path) == b"k" * 32


def test_a_key_removed_at_once_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("os.link", lambda _name, _to: None)
    with pytest.raises(StateStoreError, match="was removed while it was made: try again"):
        load_or_make_key(tmp_path / "fingerprint.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(store, key_path, mode):
    key_path.write_bytes(b"k" * 32)
    key_path.chmod(mode)
    with pytest.raises(StateStoreError, match=rf"expected mode 0600, found {mode:04o}.*: chmod 600 '{key_path}'"):
        store.fingerprint_key()


@pytest.mark.parametrize(("size", "found"), [(0, "0 bytes"), (31, "31 bytes"), (33, "more")])
def test_a_key_of_another_length_is_refused(store, key_path, size, found):
    key_path.touch(mode=0o600)
    key_path.write_bytes(b"k" * size)
    with pytest.raises(StateStoreError, match=rf"fingerprint\.key: expected 32 bytes, found {found}"):
        store.fingerprint_key()


def test_a_key_that_cannot_be_read_is_a_store_error(tmp_path):
    with pytest.raises(StateStoreError, match="Is a directory"):
        load_key(tmp_path)
