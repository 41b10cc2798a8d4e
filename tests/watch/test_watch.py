import errno
import os
import resource
import shutil
import subprocess
import threading
from ctypes import set_errno
from pathlib import Path

import pytest
from watchdog.observers import inotify_c

from reconciler.watch import Touched
from reconciler.watch.rules import EVERYTHING
from reconciler.watch.watch import RETRY_S
from tests.state.conftest import ordinary_user  # noqa: F401 - a fixture

SHOP = Touched("shop", deep=False)


def sink(root):
    return root / "shop" / "sink.json"


def rename_over(path, content):
    """As editors, git and configuration management do."""
    new = path.with_name(path.name + ".tmp")
    new.write_text(content)
    new.replace(path)


def switch(link, target):
    """As git-sync does."""
    new = link.with_name("new")
    new.symlink_to(target)
    new.replace(link)


# --- every way of writing --------------------------------------------------------------------------------------------

WAYS = {
    "in place": (lambda root, _: sink(root).write_text('{"a": 1}'), SHOP),
    "made shorter": (lambda root, _: os.truncate(sink(root), 1), SHOP),
    "renamed over": (lambda root, _: rename_over(sink(root), '{"a": 1}'), SHOP),
    "moved away": (lambda root, other: sink(root).rename(other / "sink.json"), SHOP),
    "moved in": (lambda root, other: (other / "shop" / "sink.json").rename(root / "shop" / "source.json"), SHOP),
    "deleted": (lambda root, _: sink(root).unlink(), SHOP),
    "made readable": (lambda root, _: sink(root).chmod(0o640), SHOP),
    "touched": (lambda root, _: os.utime(sink(root)), SHOP),
    "hard link made": (lambda root, other: (root / "shop" / "a.json").hardlink_to(other / "shop" / "sink.json"), SHOP),
    "link made": (lambda root, _: (root / "shop" / "source.json").symlink_to("sink.json"), SHOP),
    "copied tree": (
        lambda root, other: subprocess.run(["cp", "-r", other, root / "new"], check=True),
        Touched("new", deep=True),
    ),
    "folder made": (lambda root, _: (root / "new").mkdir(), Touched("new", deep=True)),
    "folder moved in": (lambda root, other: other.rename(root / "new"), Touched("new", deep=True)),
    "folder moved out": (lambda root, other: (root / "shop").rename(other / "old"), Touched("shop", deep=True)),
    "folder renamed, old name": (lambda root, _: (root / "shop").rename(root / "b"), Touched("shop", deep=True)),
    "folder renamed, new name": (lambda root, _: (root / "shop").rename(root / "b"), Touched("b", deep=True)),
    "folder deleted": (lambda root, _: shutil.rmtree(root / "shop"), Touched("shop", deep=True)),
    "link to a folder made": (lambda root, _: (root / "b").symlink_to("shop"), Touched("b", deep=True)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_is_told(scene, folder, poll_s, way):
    write, expected = WAYS[way]
    other = folder("other")
    scene.watched(poll_s=poll_s)
    write(scene.path, other)
    scene.told.wait_for(expected)


@pytest.mark.parametrize("name", [".sink.json.swp", "sink.json~", "sink.json.tmp", "sink.json.swp", ".hidden"])
def test_leftovers_of_editors_are_not_told(scene, poll_s, name):
    scene.watched(poll_s=poll_s)
    (scene.path / "shop" / name).write_text("x")
    assert scene.told_meanwhile() == set()


def test_nothing_in_a_hidden_folder_is_told(scene, poll_s):
    (scene.path / ".git").mkdir()
    scene.watched(poll_s=poll_s)
    (scene.path / ".git" / "index").write_text("x")
    (scene.path / ".git" / "objects").mkdir()
    (scene.path / ".cache").mkdir()
    assert scene.told_meanwhile() == set()


def test_names_that_are_no_text_are_told(scene, poll_s):
    scene.watched(poll_s=poll_s)
    Path(os.fsdecode(os.fsencode(scene.path) + b"/\xff")).mkdir()
    scene.told.wait_for(Touched("\udcff", deep=True))


def test_what_is_written_in_folders_made_a_moment_ago_is_told(scene, poll_s):
    scene.watched(poll_s=poll_s)
    for number in range(20):
        inner = scene.path / f"new-{number}" / "b" / "c"
        inner.mkdir(parents=True)
        (inner / "sink.json").write_text("{}")
        scene.told.wait_for(Touched(f"new-{number}", deep=True))
        (inner / "sink.json").write_text('{"a": 1}')
        scene.told.wait_until_covered(f"new-{number}/b/c")


# --- links inside ----------------------------------------------------------------------------------------------------


def test_a_change_behind_links_to_a_folder_is_told_under_every_name(scene, poll_s):
    (scene.path / "a").mkdir()
    (scene.path / "a" / "link").symlink_to("../shop")
    (scene.path / "b").symlink_to("a")
    scene.watched(poll_s=poll_s)
    sink(scene.path).write_text('{"a": 1}')
    scene.told.wait_for(SHOP, Touched("a/link", deep=False), Touched("b/link", deep=False))


def test_a_link_back_up_the_tree_is_not_followed(scene, poll_s):
    (scene.path / "shop" / "up").symlink_to("..")
    scene.watched(poll_s=poll_s)
    rename_over(sink(scene.path), '{"a": 1}')
    found = scene.told.wait_for(SHOP)
    assert {*found, *scene.told_meanwhile()} == {SHOP}


def test_a_change_of_a_file_that_a_link_leads_to_is_told_where_the_link_is(scene, poll_s):
    (scene.path / "shop" / "source.json").symlink_to("../end/source.json")
    watch = scene.watched(poll_s=poll_s)
    (scene.path / "end" / "source.json").write_text("{}")
    watch.check()
    scene.told.wait_for(SHOP)


def test_hidden_folders_switched_behind_links_are_told(scene, poll_s):
    """As Kubernetes writes a ConfigMap: sink.json -> ..data/sink.json, and ..data is switched."""
    task = scene.path / "map"
    for version in ("..1", "..2"):
        (task / version).mkdir(parents=True)
        (task / version / "sink.json").write_text("{}")
    (task / "..data").symlink_to("..1")
    (task / "sink.json").symlink_to("..data/sink.json")
    watch = scene.watched(poll_s=poll_s)
    (task / "..data_tmp").symlink_to("..2")
    (task / "..data_tmp").replace(task / "..data")
    watch.check()
    scene.told.wait_for(Touched("map", deep=False))


# --- the root --------------------------------------------------------------------------------------------------------


def test_nothing_is_told_or_said_while_nothing_changes(scene, poll_s):
    watch = scene.watched(poll_s=poll_s)
    for _ in range(10):
        watch.check()
    assert scene.told_meanwhile() == set()
    assert scene.said.now() == []


def test_a_root_replaced_by_another_is_watched_instead(scene, folder, poll_s):
    other = folder("other")
    watch = scene.watched(poll_s=poll_s)
    scene.path.rename(scene.path.with_name("old"))
    other.rename(scene.path)
    watch.check()
    scene.told.wait_for(EVERYTHING)
    sink(scene.path).write_text('{"a": 1}')
    scene.told.wait_for(SHOP)
    assert scene.said.now() == []


@pytest.mark.parametrize("below", ["", "config/desired_state"], ids=["the root", "a folder above the root"])
def test_a_link_that_leads_to_the_root_is_followed_when_switched(scene, folder, poll_s, below):
    first, second = folder(f"1/{below}"), folder(f"2/{below}")
    current = scene.path.with_name("current")
    current.symlink_to("1")
    watch = scene.watched(current / below, poll_s=poll_s)
    sink(first).write_text('{"a": 1}')
    scene.told.wait_for(SHOP)
    switch(current, "2")
    watch.check()
    scene.told.wait_for(EVERYTHING)
    sink(second).write_text('{"a": 1}')
    scene.told.wait_for(SHOP)


def test_a_root_that_is_gone_is_waited_for_and_said_once(scene, folder, poll_s):
    watch = scene.watched(poll_s=poll_s)
    shutil.rmtree(scene.path)
    for _ in range(3):
        watch.check()
    scene.said.wait_for_text("No such file or directory; waiting until it is a directory")
    scene.told.wait_for(EVERYTHING)
    folder(scene.path.name)
    for _ in range(3):
        watch.check()
    assert scene.said.wait_for_text("is back").startswith(f"{scene.path}: ")
    assert scene.said.now() == []
    sink(scene.path).write_text('{"a": 1}')
    scene.told.wait_for(EVERYTHING, SHOP)


def test_a_root_removed_and_made_again_between_two_checks_is_noticed(scene, folder):
    watch = scene.watched()
    shutil.rmtree(scene.path)
    folder(scene.path.name)  # on some file systems with the inode of the old one
    scene.told.now()
    scene.check_until_everything_is_told(watch)
    sink(scene.path).write_text('{"a": 1}')
    scene.told.wait_for(SHOP)


def test_a_root_that_does_not_exist_yet_is_waited_for(scene, folder, poll_s):
    later = scene.path.with_name("later")
    watch = scene.watched(later, poll_s=poll_s)
    scene.said.wait_for_text("No such file or directory")
    folder("later")
    watch.check()
    scene.told.wait_for(EVERYTHING)


def test_a_root_that_is_a_file_is_waited_for(scene):
    scene.watched(sink(scene.path))
    scene.said.wait_for_text("Not a directory; waiting")


def test_a_root_that_may_not_be_read_is_waited_for(scene, ordinary_user):  # noqa: F811
    root = ordinary_user / "root"
    root.mkdir(mode=0)
    watch = scene.watched(root)
    scene.said.wait_for_text("Permission denied; waiting")
    root.chmod(0o700)
    watch.check()
    scene.said.wait_for_text("is back")


# --- the end ---------------------------------------------------------------------------------------------------------


def test_stop_leaves_no_thread_and_no_descriptor(scene, poll_s):
    threads, descriptors = threading.enumerate(), set(Path("/proc/self/fd").iterdir())
    watch = scene.watched(poll_s=poll_s)
    assert len(threading.enumerate()) == len(threads) + 1
    watch.stop()
    watch.stop()
    assert threading.enumerate() == threads
    assert set(Path("/proc/self/fd").iterdir()) == descriptors


def test_nothing_is_told_after_stop(scene, poll_s):
    watch = scene.watched(poll_s=poll_s)
    for number in range(500):
        (scene.path / "shop" / f"{number}.json").touch()
    watch.stop()
    scene.told.now()
    sink(scene.path).write_text('{"a": 1}')
    shutil.rmtree(scene.path)
    watch.check()
    assert scene.told.now() == scene.said.now() == []


def test_a_watch_that_waits_for_its_root_can_be_stopped(scene):
    watch = scene.watched(scene.path.with_name("nowhere"))
    watch.stop()
    watch.check()
    assert scene.told.now() == []


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_flood_that_the_kernel_could_not_keep_has_everything_looked_at(scene):
    going = threading.Event()
    scene.tell = lambda touched: scene.told(touched) or going.wait()
    watch = scene.watched()
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for _ in range(kept // 2 + 5000):  # two files in turn: equal events in a row count once
        os.utime(sink(scene.path))
        os.utime(scene.path / "end" / "sink.json")
    going.set()
    scene.check_until_everything_is_told(watch)
    scene.said.wait_for_text("raise it with sysctl fs.inotify.max_queued_events; every task is looked at again")
    sink(scene.path).write_text('{"a": 1}')
    scene.told.wait_for(SHOP)


@pytest.fixture
def kernel_limit(monkeypatch):
    """The kernel's answer when this user watches too much already: given for every folder of that name."""
    real, refused = inotify_c.inotify_add_watch, {"shop"}

    def add_watch(descriptor, path, mask):
        if Path(os.fsdecode(path)).name not in refused:
            return real(descriptor, path, mask)
        set_errno(errno.ENOSPC)
        return -1

    monkeypatch.setattr(inotify_c, "inotify_add_watch", add_watch)
    return refused


def test_folders_beyond_the_kernels_limit_are_said_and_tried_again(scene, kernel_limit):
    watch = scene.watched()
    sentence = scene.said.wait_for_text("raise sysctl fs.inotify.max_user_watches, or set [daemon] poll_s")
    assert sentence.endswith("until then all tasks are looked at every 60 s")
    watch.check()
    assert scene.told.now() == scene.said.now() == []
    scene.now_s += RETRY_S
    watch.check()
    scene.told.wait_for(EVERYTHING)
    assert scene.said.now() == []
    kernel_limit.clear()
    scene.now_s += RETRY_S
    watch.check()
    scene.said.wait_for_text("every folder is watched again")
    sink(scene.path).write_text('{"a": 1}')
    scene.told.wait_for(EVERYTHING, SHOP)


def test_a_root_beyond_the_kernels_limit_is_looked_at_again(scene, kernel_limit):
    watch = scene.watched(scene.path / "shop")
    scene.said.wait_for_text("max_user_watches")
    scene.now_s += RETRY_S
    watch.check()
    scene.told.wait_for(EVERYTHING)


def test_a_limit_reached_later_is_said_once(scene, folder, kernel_limit):
    kernel_limit.clear()
    watch = scene.watched()
    kernel_limit.add("new")
    (scene.path / "new").mkdir()
    scene.told.wait_for(Touched("new", deep=True))
    for _ in range(3):
        watch.check()
    scene.said.wait_for_text("max_user_watches")
    assert scene.said.now() == []


def test_without_a_descriptor_to_spare_it_is_said_what_to_raise(scene):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    handle = os.open(scene.path, os.O_RDONLY)
    os.close(handle)
    resource.setrlimit(resource.RLIMIT_NOFILE, (handle, hard))
    try:
        watch = scene.watched()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    scene.said.wait_for_text("raise sysctl fs.inotify.max_user_instances, or LimitNOFILE")
    watch.check()
    scene.now_s += RETRY_S
    watch.check()
    scene.told.wait_for(EVERYTHING)
    scene.said.wait_for_text("every folder is watched again")


@pytest.fixture
def ending(scene, monkeypatch):
    """The first time that the folder shop is told, the thread that tells it ends."""
    ended, told = threading.Event(), scene.told
    monkeypatch.setattr(threading, "excepthook", lambda _: ended.set())

    def tell(touched):
        if touched == SHOP and not ended.is_set():
            raise RuntimeError
        told(touched)

    scene.tell = tell
    return ended


def test_a_thread_that_ended_is_replaced(scene, ending, poll_s):
    watch = scene.watched(poll_s=poll_s)
    sink(scene.path).write_text('{"a": 1}')
    assert ending.wait(10)
    scene.check_until_everything_is_told(watch)
    scene.said.wait_for_text("ended unexpectedly; every task is looked at again")
    sink(scene.path).write_text('{"a": 2}')
    scene.told.wait_for(SHOP)


def test_watching_anew_again_and_again_does_not_keep_the_program_busy(scene, ending):
    scene.tick_s = 1.0  # so that watching took a second
    watch = scene.watched()
    sink(scene.path).write_text('{"a": 1}')
    assert ending.wait(10)
    for _ in range(5):
        watch.check()
    assert scene.said.now() == []
    scene.check_until_everything_is_told(watch)
