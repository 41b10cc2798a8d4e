import threading
from contextlib import suppress

import pytest

from reconciler.watch import Touched
from reconciler.watch.polling import Poll
from tests.state.conftest import ordinary_user  # noqa: F401 - a fixture
from tests.watch.conftest import POLL_S, Told


def test_a_rewrite_is_told_once(scene):
    scene.watched(poll_s=POLL_S)
    (scene.path / "shop" / "sink.json").write_text('{"a": 1}')
    assert scene.told_meanwhile() == {Touched("shop", deep=False)}


def test_of_folders_that_came_or_went_together_the_topmost_is_told(scene):
    (scene.path / "a" / "b").mkdir(parents=True)
    scene.watched(poll_s=POLL_S)
    (scene.path / "a").rename(scene.path / "z")
    found = scene.told.wait_for(Touched("z", deep=True))
    expected = {Touched("", deep=False), Touched("a", deep=True), Touched("z", deep=True)}
    assert {*found, *scene.told_meanwhile()} == expected


def test_a_folder_replaced_by_another_like_it_is_told(scene):
    (scene.path / "a" / "b").mkdir(parents=True)
    (scene.path / "c").mkdir()
    scene.watched(poll_s=POLL_S)
    (scene.path / "a" / "b").rename(scene.path / "old")
    (scene.path / "c").rename(scene.path / "a" / "b")
    scene.told.wait_for(Touched("a", deep=False))


def test_a_folder_that_may_not_be_read_is_told_when_it_may(scene, ordinary_user):  # noqa: F811
    (ordinary_user / "a").mkdir(mode=0)
    scene.watched(ordinary_user, poll_s=POLL_S)
    (ordinary_user / "a").chmod(0o700)
    scene.told.wait_for(Touched("a", deep=False))


def test_a_root_that_is_away_for_a_moment_is_no_change(scene):
    told = Told()
    poll = Poll(str(scene.path), told, POLL_S)
    poll.start()
    scene.path.rename(scene.path.with_name("away"))
    poll.join(5 * POLL_S)  # it lists nothing meanwhile
    scene.path.with_name("away").rename(scene.path)
    (scene.path / "end" / "sink.json").write_text('{"a": 1}')
    assert told.wait_for(Touched("end", deep=False)) == [Touched("end", deep=False)]
    poll.stop()


def test_a_root_that_cannot_be_listed_is_an_error(tmp_path):
    poll = Poll(str(tmp_path / "nowhere"), print, POLL_S)
    with pytest.raises(FileNotFoundError):
        poll.start()
    poll.stop()


def test_stopped_while_it_tells_it_tells_no_more(scene):
    told, stopped = Told(), threading.Event()

    def tell(touched):
        told(touched)
        with suppress(RuntimeError):  # a thread cannot wait for itself
            poll.stop()
        stopped.set()

    poll = Poll(str(scene.path), tell, POLL_S)
    poll.start()
    for number in range(3):
        (scene.path / f"new-{number}").mkdir()
    assert stopped.wait(10)
    poll.join()
    assert len(told.now()) == 1


def test_stopped_before_it_began_it_lists_nothing(scene):
    poll = Poll(str(scene.path), print, POLL_S)
    poll.stop()
    poll.start()
    poll.join()
