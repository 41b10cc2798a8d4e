"""Which commit is followed."""

from reconciler.model import JournalEntry

FIRST, SECOND = "1" * 40, "2" * 40


def newest(store) -> JournalEntry:
    return store.history("", 1)[0]


def test_no_commit_was_followed_at_first(store):
    assert store.head("main") == ""


def test_the_commit_followed_last_is_that_of_any_process(store, open_store, start, path):
    assert start(f"open_store().set_head('main', {FIRST!r})", path).wait(20) == 0
    assert (store.head("main"), open_store(read_only=True).head("main"), store.head("other")) == (FIRST, FIRST, "")


def test_following_a_commit_is_written_down_with_the_one_before(store):
    store.set_head("main", FIRST)
    store.set_head("main", SECOND, "the history was rewritten on purpose")
    row = newest(store)
    assert (row.kind, row.task, row.address, row.revision) == ("head", "", "", SECOND)
    assert row.detail == {"ref": "main", "from": FIRST, "reason": "the history was rewritten on purpose"}


def test_the_same_commit_again_writes_nothing(store):
    store.set_head("main", FIRST)
    store.set_head("main", FIRST, "again")
    assert store.last_sequence() == 1


def test_a_ref_that_is_followed_again_is_written_down_again(store, clock):
    store.set_head("main", FIRST)
    store.set_head("trial", SECOND)
    clock.at = clock.at.replace(year=2020)  # a clock set back changes nothing
    store.set_head("main", FIRST)
    store.set_head("main", FIRST)
    assert [row.revision for row in store.history("", 9)] == [FIRST, SECOND, FIRST]
    assert newest(store).detail["from"] == FIRST


def test_a_ref_may_be_called_anything(store):
    name = "refs/heads/x'; DROP TABLE heads; --\udcff"
    store.set_head(name, FIRST)
    assert store.head(name) == FIRST


def test_a_followed_commit_survives_its_row(store, clock):
    store.set_head("main", FIRST)
    store.note("force", "shop", {})
    assert store.prune(clock()) == 1
    assert store.head("main") == FIRST
    store.set_head("main", FIRST)
    assert store.last_sequence() == 2
