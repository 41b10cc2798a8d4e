import itertools
import os
import shutil
import subprocess

import pytest

from reconciler.watch import Touched
from reconciler.watch.inotify import FolderTree
from reconciler.watch.rules import EVERYTHING
from tests.state.conftest import ordinary_user  # noqa: F401 - a fixture

SHOP = Touched("shop", deep=False)


# --- what is told, exactly -------------------------------------------------------------------------------------------


def test_an_atomic_rewrite_is_told_once(scene):
    scene.watched()
    new = scene.path / "shop" / "sink.json.tmp"
    new.write_text('{"a": 1}')
    new.replace(new.with_suffix(""))
    assert scene.told.wait_for(SHOP) == [SHOP]
    assert scene.told_meanwhile() == set()


def test_reading_is_not_told(scene):
    scene.watched()
    shutil.copytree(scene.path, scene.path.with_name("copy"))
    assert scene.told_meanwhile() == set()


def test_a_folder_that_came_is_told_with_the_one_it_came_to(scene):
    scene.watched()
    (scene.path / "shop" / "new").mkdir()
    assert scene.told_meanwhile() == {Touched("shop/new", deep=True), SHOP}


def test_new_rights_of_a_folder_concern_everything_below_and_no_watch_is_lost(scene):
    scene.watched()
    (scene.path / "shop").chmod(0o750)
    scene.told.wait_for(Touched("shop", deep=True))
    (scene.path / "shop" / "sink.json").unlink()
    scene.told.wait_for(SHOP)


def test_new_rights_of_the_root_concern_everything(scene):
    scene.watched()
    scene.path.chmod(0o750)
    scene.told.wait_for(EVERYTHING)


def test_a_file_with_several_names_may_be_changed_under_any_of_them(scene):
    (scene.path / "end" / "source.json").hardlink_to(scene.path / "shop" / "sink.json")
    scene.watched()
    (scene.path / "shop" / "sink.json").write_text('{"a": 1}')
    scene.told.wait_for(EVERYTHING)


# --- folders that come and go ----------------------------------------------------------------------------------------


def test_a_folder_of_which_another_of_its_name_was_moved_out_can_go(scene, tmp_path):
    """The order of events that ends the thread of watchdog's own recursive observer."""
    (scene.path / "new").mkdir()
    scene.watched()
    (scene.path / "new").rename(tmp_path / "new")
    (scene.path / "new").mkdir()
    (scene.path / "new").rmdir()
    (tmp_path / "new").rmdir()
    scene.told_meanwhile()
    (scene.path / "shop" / "sink.json").unlink()
    scene.told.wait_for(SHOP)


def test_what_was_moved_out_is_not_watched(scene, tmp_path):
    scene.watched()
    (scene.path / "shop").rename(tmp_path / "shop")
    scene.told_meanwhile()
    (tmp_path / "shop" / "sink.json").unlink()
    (tmp_path / "shop" / "new").mkdir()
    assert scene.told_meanwhile() == set()


def test_a_folder_moved_into_one_made_a_moment_ago_stays_watched(scene):
    (scene.path / "a").mkdir()
    scene.watched()
    places = itertools.pairwise(scene.path / name / "t" for name in ("a", *map(str, range(50))))
    (scene.path / "a" / "t").mkdir()
    for old, new in places:
        new.parent.mkdir()
        old.rename(new)
        scene.told_meanwhile()
        (new / "sink.json").touch()
        scene.told.wait_for(Touched(f"{new.parent.name}/t", deep=False))


def test_a_renamed_folder_is_watched_under_its_new_name_with_all_below(scene):
    (scene.path / "a" / "b").mkdir(parents=True)
    scene.watched()
    (scene.path / "a").rename(scene.path / "z")
    scene.told_meanwhile()
    (scene.path / "z" / "b" / "sink.json").touch()
    scene.told.wait_for(Touched("z/b", deep=False))


def test_folders_deeper_than_a_program_may_recurse_are_watched(scene):
    deep = "/".join(["d"] * 1100)
    subprocess.run(["mkdir", "-p", scene.path / deep], check=True)
    scene.watched()
    (scene.path / deep / "sink.json").touch()
    scene.told.wait_for(Touched(deep, deep=False))
    subprocess.run(["rm", "-r", scene.path / "d"], check=True)  # not left to a program that recurses
    scene.told.wait_for(Touched("d", deep=True))


def test_folders_that_may_not_be_read_are_watched_when_they_may(scene, ordinary_user):  # noqa: F811
    for name in ("a", "b"):
        (ordinary_user / name).mkdir(mode=0)
    scene.watched(ordinary_user)
    (ordinary_user / "b").chmod(0o700)
    scene.told.wait_for(Touched("b", deep=True))
    (ordinary_user / "b" / "sink.json").touch()
    scene.told.wait_for(Touched("b", deep=False))
    assert scene.said.now() == []


def test_a_root_that_cannot_be_watched_is_an_error(tmp_path):
    tree = FolderTree(str(tmp_path / "nowhere"), print)
    try:
        with pytest.raises(FileNotFoundError):
            tree.start()
    finally:
        tree.stop()


# --- links -----------------------------------------------------------------------------------------------------------


def test_a_link_switched_inside_the_root_is_watched_where_it_leads_now(scene):
    link = scene.path / "link"
    link.symlink_to("shop")
    scene.watched()
    (scene.path / "new").symlink_to("end")
    (scene.path / "new").replace(link)
    scene.told.wait_for(Touched("link", deep=True))
    (scene.path / "shop" / "sink.json").unlink()
    (scene.path / "end" / "sink.json").unlink()
    found = scene.told.wait_for(Touched("end", deep=False), Touched("link", deep=False))
    assert found.count(Touched("link", deep=False)) == 1


@pytest.mark.parametrize("by", ["unlink", "file", "folder"])
def test_a_link_that_is_no_more_is_followed_no_more(scene, by):
    link = scene.path / "link"
    link.symlink_to("shop")
    scene.watched()
    link.unlink()
    if by != "unlink":
        link.touch() if by == "file" else link.mkdir()
    scene.told.wait_for(Touched("link", deep=True))
    scene.told_meanwhile()
    (scene.path / "shop" / "sink.json").unlink()
    assert scene.told_meanwhile() == {SHOP}


def test_a_folder_made_again_behind_a_link_is_watched(scene):
    (scene.path / "end" / "link").symlink_to("../shop")
    watch = scene.watched()
    shutil.rmtree(scene.path / "shop")
    (scene.path / "shop").mkdir()
    scene.told_meanwhile()
    watch.check()
    scene.told.wait_for(Touched("end/link", deep=True))
    (scene.path / "shop" / "sink.json").touch()
    scene.told.wait_for(Touched("end/link", deep=False))


def test_links_that_lead_elsewhere_through_another_are_found(scene):
    for number in "12":
        (scene.path / number / "t").mkdir(parents=True)
    (scene.path / "current").symlink_to("1")
    (scene.path / "t").symlink_to("current/t")
    watch = scene.watched()
    (scene.path / "new").symlink_to("2")
    (scene.path / "new").replace(scene.path / "current")
    scene.told_meanwhile()
    watch.check()
    scene.told.wait_for(Touched("t", deep=True))
    (scene.path / "2" / "t" / "sink.json").touch()
    scene.told.wait_for(Touched("t", deep=False), Touched("current/t", deep=False), Touched("2/t", deep=False))


def test_a_link_is_told_when_what_it_led_to_was_moved_away_with_links_in_it(scene):
    (scene.path / "a").mkdir()
    (scene.path / "a" / "link").symlink_to("../shop/sink.json")
    (scene.path / "b").symlink_to("a")
    watch = scene.watched()
    (scene.path / "a").rename(scene.path / "c")
    (scene.path / "shop" / "sink.json").write_text('{"a": 1}')
    scene.told_meanwhile()
    watch.check()
    scene.told.wait_for(Touched("b", deep=True))


def test_links_are_looked_at_for_a_small_share_of_the_time(scene):
    for number in range(300):
        (scene.path / "shop" / f"{number}.json").symlink_to("../end/sink.json")
    watch = scene.watched()
    watch.check()
    os.utime(scene.path / "end" / "sink.json", (0, 0))
    watch.check()
    assert scene.told_meanwhile() == set()
