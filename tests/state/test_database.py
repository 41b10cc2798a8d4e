"""Opening, keeping and losing a database file."""

import resource
import sqlite3
from contextlib import closing

import pytest

from reconciler.errors import StateStoreError
from reconciler.state.database import WAL_LIMIT_BYTES


def raw(path):
    return closing(sqlite3.connect(path, isolation_level=None))


def test_a_new_store_is_private(store, path):
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_opening_a_store_again_leaves_the_locks_of_the_first_alone(store, open_store, path, start, snapshot):
    open_store()
    process = start("store = open_store(); store.close()", path)
    assert process.wait(20) == 0
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    assert list(open_store(read_only=True).records()) == ["a1"]


def test_links_to_a_database_share_its_lock(store, open_store, path, tmp_path):
    (tmp_path / "link.db").symlink_to(path)
    with store.writer_lock(0, "run"):
        assert open_store(tmp_path / "link.db").holder().purpose == "run"


def test_a_directory_that_was_there_keeps_its_mode(path, open_store):
    path.parent.mkdir(mode=0o755)
    open_store()
    assert path.parent.stat().st_mode & 0o777 == 0o755


def test_what_is_written_is_on_disk_before_it_counts(store, path):
    with raw(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with store._database.reading() as database:  # noqa: SLF001 - a connection's own setting cannot be seen from outside
        values = [database._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS]  # noqa: SLF001
    assert dict(zip(PRAGMAS, values, strict=True)) == PRAGMAS


PRAGMAS = {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "wal_autocheckpoint": 1000}


def test_processes_that_open_a_new_store_at_once_all_succeed(start, path):
    code = "say('ready')\ninput()\nstore = open_store()\nsay(store.verify_journal())\nstore.close()"
    processes = [start(code, path) for _ in range(3)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate() for process in processes] == [("0\n", "")] * 3


@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
def test_a_file_that_is_no_database_is_refused(tmp_path, open_store, read_only):
    path = tmp_path / "reconciler.db"
    path.write_text("not a database, but long enough to look at\n" * 40, encoding="utf-8")
    with pytest.raises(
        StateStoreError, match=r"reconciler\.db: expected a SQLite database, found something else: restore"
    ):
        open_store(path, read_only=read_only)


def test_an_empty_file_is_an_empty_store(tmp_path, open_store):
    path = tmp_path / "reconciler.db"
    path.touch()
    assert not open_store(path, read_only=True).exists
    assert open_store(path).records() == {}


def test_a_damaged_database_says_what_to_do(path, open_store, snapshot):
    with closing(open_store()) as store:
        for number in range(200):
            store.adopt(f"a{number}", "shop", snapshot("A"), "r1", "")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StateStoreError, match="the database is damaged: restore the last backup"):
        open_store().records()


def test_a_full_disk_is_a_store_error_and_nothing_is_recorded(store, intent, path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(StateStoreError, match=r"reconciler\.db: .*check the disk and its free space"):
            store.begin(intent())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (store.records(), store.history(None, 9)) == ({}, [])
    assert store.begin(intent()) == 1


def test_a_store_removed_while_open_is_no_place_to_write(store, path, intent):
    path.unlink()
    with pytest.raises(StateStoreError, match=r"reconciler\.db: No such file or directory"):
        store.begin(intent())


def test_a_store_replaced_while_open_is_no_place_to_write(store, path, intent):
    path.rename(path.with_name("aside.db"))
    path.touch()
    with pytest.raises(StateStoreError, match="was replaced while open: restart"):
        store.begin(intent())


def test_a_database_kept_busy_by_another_process_is_a_store_error(store, path, intent):
    with store._database.reading() as database:  # noqa: SLF001 - five seconds are too long for a test
        database._connection.execute("PRAGMA busy_timeout = 1")  # noqa: SLF001
        with raw(path) as connection:
            pass
    with raw(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateStoreError, match="another process keeps the database busy"):
            store.begin(intent())


@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
def test_a_directory_in_place_of_the_database_is_a_store_error(tmp_path, open_store, read_only):
    with pytest.raises(StateStoreError, match=f"{tmp_path}: "):
        open_store(tmp_path, read_only=read_only)


def test_a_file_in_place_of_the_directory_is_a_store_error(tmp_path, open_store):
    (tmp_path / "file").touch()
    with pytest.raises(StateStoreError, match=f"{tmp_path}/file/reconciler.db: "):
        open_store(tmp_path / "file" / "reconciler.db")


def test_a_directory_that_cannot_be_written_is_a_store_error(ordinary_user, open_store):
    ordinary_user.chmod(0o500)
    with pytest.raises(StateStoreError, match=r"reconciler\.db: Permission denied: '.*': check owner, mode"):
        open_store(ordinary_user / "reconciler.db")


def test_a_database_that_cannot_be_written_is_a_store_error(ordinary_user, open_store, snapshot):
    path = ordinary_user / "reconciler.db"
    open_store(path).close()
    path.chmod(0o400)
    with pytest.raises(StateStoreError, match=r"reconciler\.db: .*check owner"):
        open_store(path)


def test_a_database_in_a_directory_that_cannot_be_written_is_read(ordinary_user, open_store, snapshot):
    path = ordinary_user / "reconciler.db"
    with closing(open_store(path)) as store:
        store.adopt("a1", "shop", snapshot("A"), "r1", "")
    path.chmod(0o400)
    ordinary_user.chmod(0o500)
    assert list(open_store(path, read_only=True).records()) == ["a1"]
    assert [entry.name for entry in ordinary_user.iterdir()] == ["reconciler.db"]


def test_changes_still_in_the_log_are_read_while_a_writer_is_there(ordinary_user, open_store, snapshot):
    path = ordinary_user / "reconciler.db"
    store = open_store(path)
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    ordinary_user.chmod(0o500)
    assert list(open_store(path, read_only=True).records()) == ["a1"]
    ordinary_user.chmod(0o700)


def test_changes_in_the_log_that_cannot_be_read_are_not_passed_over(ordinary_user, open_store, snapshot):
    path, copy = ordinary_user / "reconciler.db", ordinary_user / "copy" / "reconciler.db"
    open_store(path).adopt("a1", "shop", snapshot("A"), "r1", "")
    copy.parent.mkdir()
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    copy.parent.chmod(0o500)
    with pytest.raises(StateStoreError, match=r"reconciler\.db-wal holds changes that cannot be read"):
        open_store(copy, read_only=True)


def test_reading_leaves_the_database_as_it_was(store, open_store, path):
    store.close()
    before = path.read_bytes(), path.stat().st_mtime_ns
    with closing(open_store(read_only=True)) as reader:
        reader.records()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def fill_log(store, size_bytes, path):
    """Write until the write-ahead log has that size."""
    log = path.with_name(path.name + "-wal")
    while log.stat().st_size < size_bytes:
        store.note("force", "shop", {"text": "x" * 100_000})
    return log


def test_the_log_starts_again_whenever_its_changes_are_in_the_database(store, path):
    log = fill_log(store, WAL_LIMIT_BYTES // 2, path)
    for _ in range(100):
        store.note("force", "shop", {"text": "x" * 100_000})
    assert log.stat().st_size < WAL_LIMIT_BYTES


def test_a_log_that_grew_under_a_long_reader_is_cut_once_that_is_gone(store, path, start):
    store.note("force", "shop", {})
    reader = start(
        "import sqlite3\nconnection = sqlite3.connect(sys.argv[1], isolation_level=None)\nconnection.execute('BEGIN')\n"
        "say(connection.execute('SELECT count(*) FROM journal').fetchone()[0])\ninput()\nconnection.execute('COMMIT')",
        path,
    )
    assert reader.stdout.readline() == "1\n"
    log = fill_log(store, 2 * WAL_LIMIT_BYTES, path)
    reader.communicate("\n")
    for _ in range(2):
        store.note("force", "shop", {})
    assert log.stat().st_size <= WAL_LIMIT_BYTES
