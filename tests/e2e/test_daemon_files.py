"""The daemon and what happens to files: those of the tasks, and its own."""

import os
import resource
import shutil

import pytest

FIVE = ("a", "b", "c", "d", "e")


# --- the directory as a whole ----------------------------------------------------------------------------------------------


def test_a_directory_that_is_removed_and_made_again_is_waited_for(site):
    daemon = site.started_with("shop")
    saved = site.desired.with_name("saved")
    site.desired.rename(saved)
    daemon.until(lambda: "the desired state cannot be read" in daemon.trouble())
    daemon.says("waiting until it is a directory")
    assert site.state() == "synced"  # nothing is known of the files: nothing is said
    saved.rename(site.desired)
    site.throttle("shop", to=4000)
    site.calls(1)
    daemon.ready()
    site.settles()


def test_a_link_that_is_switched_as_git_sync_does_sends_what_differs(site):
    site.put("shop", 0)
    site.put("mail", 1)
    site.desired.rename(site.root / "rev-1")
    site.desired.symlink_to("rev-1")
    site.start()
    shutil.copytree(site.root / "rev-1", site.root / "rev-2")
    site.desired, link = site.root / "rev-2", site.desired
    site.throttle("mail", to=4000)
    (site.root / "next").symlink_to("rev-2")
    (site.root / "next").rename(link)
    shutil.rmtree(site.root / "rev-1")
    site.calls(1)
    site.settles()
    site.throttle("shop", to=5000)  # the new tree is watched
    site.calls(2)
    assert site.throttles == [4000, 5000]


def test_more_than_a_third_vanished_freezes_until_they_are_back(site):
    daemon = site.started_with(*FIVE)
    away = site.root / "away"
    away.mkdir()
    for task in FIVE[:4]:
        (site.desired / task).rename(away / task)
    daemon.says("nothing is sent to any target")
    site.throttle("e", to=4000)
    daemon.until(lambda: "vanished" in site.store.states()["e"].reason)
    daemon.look_again()
    assert site.sent == []
    assert "nothing is sent at all: frozen: " in site.run("status").err
    assert site.run("sync", "--wait").code == 3
    assert site.run("plan").code == 3
    for task in FIVE[:4]:
        (away / task).rename(site.desired / task)
    site.calls(1)
    daemon.says("looked at and sent again")
    site.settles()


def test_an_emptied_directory_freezes_everything(site):
    daemon = site.started_with("shop", "mail")
    for task in ("shop", "mail"):
        shutil.rmtree(site.desired / task)
    daemon.says("nothing is sent to any target")
    assert set(site.states.values()) == {"orphaned"}
    assert site.sent == []


# --- single tasks ----------------------------------------------------------------------------------------------------------


def test_a_copied_task_is_found(site):
    site.started_with("shop")
    site.desired.joinpath("new").mkdir()
    prepared = site.put("../prepared", 1)
    shutil.copytree(prepared, site.desired / "new" / "mail")
    site.comes_to("synced", "new/mail")
    assert site.sent == []


def test_a_broken_file_is_told_and_sends_nothing_until_it_is_mended(site):
    daemon = site.started_with("shop", "mail")
    good = site.read("sink")
    (site.desired / "shop" / "sink.json").write_text("{")
    site.comes_to("invalid")
    assert "sink.json" in daemon.says("shop is invalid", level="error")["reason"]
    site.throttle("mail", to=4000)
    site.calls(1)  # the others go on
    site.write("sink", "shop", good | {"workerNum": "17"})
    assert site.calls(2)[1]["config"]["sink"]["workerNum"] == "17"
    site.settles()
    assert daemon.metric("invalid_files") == 0


def test_a_file_that_is_cut_short_and_written_again_sends_nothing(site):
    daemon = site.started_with("shop")
    path = site.desired / "shop" / "sink.json"
    content = path.read_text()
    path.write_text(content[:20])
    site.comes_to("invalid")
    path.write_text(content)
    site.settles()
    daemon.look_again()
    assert site.sent == []


def test_a_renamed_task_makes_no_call_and_keeps_its_record(site):
    daemon = site.started_with("shop", "mail")
    (site.desired / "shop").rename(site.desired / "store")
    site.comes_to("synced", "store")
    daemon.until(lambda: site.states.keys() == {"store", "mail"})
    daemon.look_again()
    assert site.sent == []
    assert site.record("store").revision != ""


def test_two_tasks_with_one_address_are_both_invalid_until_one_goes(site):
    daemon = site.started_with("shop")
    site.put("copy", 0)
    site.comes_to("invalid")
    site.comes_to("invalid", "copy")
    shutil.rmtree(site.desired / "copy")
    site.settles("shop")
    daemon.until(lambda: "copy" not in site.states)
    assert site.sent == []


def test_a_touched_tree_costs_no_call(site):
    daemon = site.started_with(*FIVE)
    for path in site.desired.rglob("*.json"):
        path.write_text(path.read_text() + "\n")
        os.utime(path)
    daemon.look_again()
    assert site.sent == []


def test_a_file_that_is_written_many_times_is_sent_once(site):
    site.configure(desired_state={"quiet_s": 0.5, "max_wait_s": 30})
    daemon = site.started_with("shop")
    for value in range(4000, 4100):
        site.throttle("shop", to=value)
    site.calls(1)
    site.settles()
    daemon.look_again()
    assert site.throttles == [4099]


# --- the store ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(site):
    """Let no file of the daemon grow, or let them again."""

    def set_full(*, full):
        size = (site.database.parent / "reconciler.db-wal").stat().st_size if full else resource.RLIM_INFINITY
        resource.prlimit(site.daemons[-1].pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return set_full


def test_while_the_store_cannot_be_written_nothing_is_sent_and_readyz_says_why(site, full_disk):
    daemon = site.started_with("shop", "mail")
    full_disk(full=True)
    site.throttle("shop", to=4000)
    daemon.until(lambda: "reconciler.db" in daemon.trouble())
    assert daemon.trouble("/healthz") == ""
    daemon.look_again()
    assert "reconciler.db" in daemon.trouble()
    assert site.sent == []
    full_disk(full=False)
    site.calls(1)
    daemon.ready()
    site.settles()


def test_while_the_store_cannot_be_written_reporting_goes_on(site, full_disk):
    daemon = site.started_with("shop", "mail")
    full_disk(full=True)
    (site.desired / "shop" / "sink.json").write_text("{")
    daemon.says("shop is invalid", level="error")
    daemon.until(lambda: daemon.metric("tasks", state="invalid") == 1)
    assert site.run("status").code == 0


def test_a_store_that_was_replaced_is_not_written_to(site):
    daemon = site.started_with("shop")
    copy = site.database.with_name("copy.db")
    shutil.copy(site.database, copy)
    copy.rename(site.database)
    site.throttle("shop", to=4000)
    daemon.until(lambda: "was replaced while open: restart" in daemon.trouble())
    daemon.look_again()
    assert site.sent == []
    assert daemon.stop() == 0
