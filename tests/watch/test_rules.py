import os
from pathlib import Path

import pytest

from reconciler.watch.rules import folder_led_to, is_hidden, joined, state_of


@pytest.mark.parametrize(("name", "hidden"), [(".git", True), (".", True), ("shop", False), ("a.b", False)])
def test_a_leading_dot_hides(name, hidden):
    assert is_hidden(name) is hidden


def test_a_name_in_the_directory_itself_has_no_slash():
    assert (joined("", "shop"), joined("a/b", "c")) == ("shop", "a/b/c")


def test_the_state_of_a_file_differs_when_it_was_rewritten_alike_with_its_old_time(tmp_path):
    file = tmp_path / "sink.json"
    file.write_text("1")
    before, times = state_of(file), file.stat()
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert state_of(file) != before


def test_the_state_of_a_folder_does_not_depend_on_what_is_in_it(tmp_path):
    before = state_of(tmp_path)
    (tmp_path / "sink.json").touch()
    assert state_of(tmp_path) == before


def test_what_cannot_be_reached_differs_from_what_can(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("file")
    before = state_of(link)
    (tmp_path / "file").touch()
    assert state_of(link) != before


@pytest.mark.parametrize(
    ("target", "led_to"),
    [
        ("b", "root/b"),
        ("b/../c", "root/c"),
        ("../root/c", "root/c"),
        ("file", None),
        ("nowhere", None),
        ("../outside", None),
        ("..", None),
        (".", None),
        ("link", None),
        ("a", None),
    ],
)
def test_a_link_is_followed_to_folders_inside_that_it_does_not_lie_in(tmp_path, target, led_to):
    root = tmp_path / "root"
    for name in ("root/a", "root/b", "root/c", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (root / "file").touch()
    (root / "link").symlink_to(target)
    above = {str(root), str(root / "a")}  # as if it were reached through a
    assert folder_led_to(root / "link", str(root), above) == (str(tmp_path / led_to) if led_to else None)


def test_everything_is_inside_the_topmost_directory(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/usr")
    assert folder_led_to(link, "/", {"/"}) == str(Path("/usr").resolve())
