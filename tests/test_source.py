import os
import socket
from pathlib import Path

import pytest

from reconciler.core.decode import MAX_BYTES
from reconciler.errors import DesiredStateError
from reconciler.model import TASK_FILES, Severity
from reconciler.source import DirectorySource
from tests.state.conftest import ordinary_user  # noqa: F401 - a fixture


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "desired_state"
    folder.mkdir()
    return folder


def put(root, *files, content="{}"):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def read(root):
    return {raw.name: raw for raw in DirectorySource(root).tasks()}


def only(root):
    (raw,) = DirectorySource(root).tasks()
    return raw


def problems(raw):
    """`{(rule, file, found), ...}`."""
    return {(v.rule, v.file, v.found) for v in raw.violations}


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", TASK_FILES)
def test_a_folder_with_any_of_the_six_files_is_a_task(root, file):
    put(root, f"shop/{file}")
    assert dict(only(root).files) == {file: b"{}"}


def test_a_folder_without_any_of_them_is_none(root):
    put(root, "docs/README.md")
    assert read(root) == {}


def test_the_path_below_the_root_is_the_name(root):
    put(root, "a/task.json", "a/b/c/task.json", "d/e/task.json")
    assert list(read(root)) == ["a", "a/b/c", "d/e"]


def test_the_order_is_that_of_the_names_not_of_the_file_system(root):
    put(root, *(f"{name}/task.json" for name in ("z", "B", "ä", "a/z", "a-b", "a", "10", "9")))
    expected = ["10", "9", "B", "a", "a-b", "a/z", "z", "ä"]
    assert list(read(root)) == list(DirectorySource(root).names()) == expected


def test_names_that_differ_in_case_are_two_tasks(root):
    put(root, "shop/task.json", "Shop/task.json")
    assert list(read(root)) == ["Shop", "shop"]


def test_names_are_found_without_reading_files(root):
    put(root, "shop/task.json")
    (root / "shop" / "task.json").chmod(0)
    assert DirectorySource(root).names() == ["shop"]


@pytest.mark.parametrize(
    "name", ["new\nline", "esc\x1b[31m", "tab\t", "ümläut", "with blank", "«»", "-dash", "\u202eevil"]
)
def test_a_name_may_hold_any_character(root, name):
    put(root, f"{name}/task.json")
    assert only(root).name == name
    assert only(root).violations == ()


def test_a_name_that_is_not_utf8_is_an_error(root):
    put(root, "caf\udce9/task.json")  # on the disk it is the byte E9
    assert problems(only(root)) == {("folder-name", "caf\udce9", r"'caf\udce9'")}


def test_task_files_in_the_root_itself_are_an_error(root):
    put(root, "task.json", "shop/task.json")
    assert problems(read(root)["."]) == {("root-task", ".", "task files in the desired-state directory itself")}
    assert read(root)["shop"].violations == ()
    assert DirectorySource(root).names() == [".", "shop"]


# --- what is ignored -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [".hidden.json", ".sink.json.swp", "sink.json~", "sink.json.tmp", "sink.json.swp", "4913", "notes.md"]
)
def test_leftovers_and_other_files_are_ignored_silently(root, name):
    put(root, "shop/task.json", f"shop/{name}")
    assert only(root).violations == ()
    assert list(only(root).files) == ["task.json"]


@pytest.mark.parametrize("name", [".git", ".hidden"])
def test_hidden_folders_are_ignored(root, name):
    put(root, f"{name}/task.json", f"{name}/deeper/task.json")
    assert read(root) == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Sink.json", "sink.json"),
        ("SINK.JSON", "sink.json"),
        ("sinks.json", "sink.json"),
        ("sink.jsn", "sink.json"),
        ("sink,json", "sink.json"),
        ("sink.json.bak", "sink.json"),
        ("tasks.json", "task.json"),
        ("cordinator.json", "coordinator.json"),
        ("conditions.json", "condition.json"),
        ("sourse.json", "source.json"),
        ("reset.jso", "reset.json"),
    ],
)
def test_a_name_that_is_nearly_one_of_the_six_is_warned_of(root, name, meant):
    put(root, "shop/task.json", f"shop/{name}")
    (violation,) = only(root).violations
    assert (violation.severity, violation.rule, violation.file) == (Severity.WARNING, "file-name", f"shop/{name}")
    assert violation.expected == meant
    assert violation.suggestion == "Rename it if it is meant."


# --- the root --------------------------------------------------------------------------------------------------------


def test_a_root_that_is_not_there_is_an_error_that_says_what_is_expected(root):
    source = DirectorySource(root / "nowhere")
    expected = "nowhere: the desired state cannot be read: No such file or directory; expected a directory"
    for ask in (source.names, source.tasks):
        with pytest.raises(DesiredStateError, match=expected):
            ask()


def test_a_root_that_is_a_file_is_an_error(root):
    put(root, "file")
    with pytest.raises(DesiredStateError, match="Not a directory"):
        DirectorySource(root / "file").names()


def test_an_empty_root_has_no_tasks(root):
    assert read(root) == {}


def test_the_root_may_be_a_link(root, tmp_path):
    put(root, "shop/task.json")
    (tmp_path / "link").symlink_to(root)
    assert dict(only(tmp_path / "link").files) == {"task.json": b"{}"}


def test_links_out_of_a_linked_root_are_judged_by_its_real_path(root, tmp_path):
    put(root, "shop/task.json")
    put(tmp_path, "sink.json")
    (root / "shop" / "sink.json").symlink_to(tmp_path / "sink.json")
    (tmp_path / "link").symlink_to(root)
    assert list(only(tmp_path / "link").files) == ["task.json"]


# --- links -----------------------------------------------------------------------------------------------------------


def test_a_link_inside_the_root_is_followed(root):
    put(root, "shop/task.json", "common/shared.json")
    (root / "shop" / "sink.json").symlink_to("../common/shared.json")
    (root / "copy").symlink_to("shop")
    assert [(name, list(raw.files)) for name, raw in read(root).items()] == [
        ("copy", ["task.json", "sink.json"]),
        ("shop", ["task.json", "sink.json"]),
    ]


@pytest.mark.parametrize(
    "target", ["/etc/hostname", "../../outside.json", "nowhere.json", "sink.json", "/proc/self/mem"]
)
def test_a_file_that_is_a_link_out_of_the_root_or_to_nowhere_is_an_error(root, tmp_path, target):
    put(root, "shop/task.json")
    put(tmp_path, "outside.json")
    (root / "shop" / "sink.json").symlink_to(target)
    assert problems(only(root)) == {("unreadable", "shop/sink.json", "a link that leaves it, or leads nowhere")}
    assert list(only(root).files) == ["task.json"]


def test_a_folder_that_is_a_link_out_of_the_root_is_an_error(root, tmp_path):
    put(tmp_path, "elsewhere/task.json")
    (root / "shop").symlink_to(tmp_path / "elsewhere")
    assert problems(only(root)) == {("unreadable", "shop", "a link that leaves the desired-state directory")}
    assert dict(only(root).files) == {}


def test_a_link_back_up_the_tree_ends(root):
    put(root, "shop/task.json", "shop/orders/task.json")
    (root / "shop" / "orders" / "up").symlink_to(root)
    (root / "shop" / "self").symlink_to(".")
    assert list(read(root)) == ["shop", "shop/orders"]


def test_a_link_to_itself_spoils_no_other_task(root):
    put(root, "shop/task.json")
    (root / "loop").symlink_to("loop")
    assert problems(read(root)["loop"]) == {
        ("unreadable", "loop", "a link that cannot be followed: Too many levels of symbolic links")
    }
    assert read(root)["shop"].violations == ()


def test_a_link_to_nowhere_that_nobody_needs_is_ignored(root):
    put(root, "shop/task.json")
    (root / "gone").symlink_to("nowhere")
    assert list(read(root)) == ["shop"]


# --- what is no ordinary file ----------------------------------------------------------------------------------------


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # addresses of sockets are short
        server.bind(path.name)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (fifo, "a folder, pipe or device"),
        (folder, "a folder, pipe or device"),
        (listening, "No such device or address (ENXIO)"),
    ],
)
def test_what_is_no_file_is_an_error_and_holds_nothing_up(root, make, found, monkeypatch):
    monkeypatch.chdir(root)  # put back afterwards
    put(root, "shop/task.json")
    make(root / "shop" / "sink.json")
    assert problems(only(root)) == {("unreadable", "shop/sink.json", found)}


def test_no_descriptor_stays_open(root):
    put(root, "shop/task.json")
    fifo(root / "shop" / "sink.json")
    folder(root / "shop" / "source.json")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    only(root)
    assert len(list(descriptors.iterdir())) == before


def test_a_file_of_the_largest_size_is_read(root):
    put(root, "shop/sink.json", content=" " * MAX_BYTES)
    assert len(only(root).files["sink.json"]) == MAX_BYTES


def test_a_larger_file_is_an_error_and_not_read_whole(root):
    put(root, "shop/task.json")
    with (root / "shop" / "sink.json").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing
    assert problems(only(root)) == {("unreadable", "shop/sink.json", f"{1 << 40} bytes")}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\x00", b"no JSON"])
def test_bytes_arrive_as_they_are(root, content):
    put(root, "shop/task.json")
    (root / "shop" / "sink.json").write_bytes(content)
    assert only(root).files["sink.json"] == content


# --- what may not be read --------------------------------------------------------------------------------------------


def test_an_unreadable_file_is_an_error_of_its_task_and_no_absence(ordinary_user):  # noqa: F811 - the fixture
    put(ordinary_user, "shop/task.json", "shop/sink.json", "other/task.json")
    (ordinary_user / "shop" / "sink.json").chmod(0)
    assert problems(read(ordinary_user)["shop"]) == {("unreadable", "shop/sink.json", "Permission denied (EACCES)")}
    assert read(ordinary_user)["other"].violations == ()


def test_an_unreadable_folder_is_an_error_of_the_task_it_may_be(ordinary_user):  # noqa: F811 - the fixture
    put(ordinary_user, "shop/task.json", "other/task.json")
    (ordinary_user / "shop").chmod(0)
    try:
        found = problems(read(ordinary_user)["shop"])
        assert found == {("unreadable", "shop", "a folder that cannot be read: Permission denied")}
        assert list(read(ordinary_user)) == ["other", "shop"]
    finally:
        (ordinary_user / "shop").chmod(0o700)


def test_a_folder_that_can_be_listed_and_not_entered_is_an_error(ordinary_user):  # noqa: F811 - the fixture
    put(ordinary_user, "shop/task.json")
    (ordinary_user / "shop").chmod(0o400)
    try:
        assert problems(only(ordinary_user)) == {("unreadable", "shop/task.json", "Permission denied (EACCES)")}
    finally:
        (ordinary_user / "shop").chmod(0o700)


def test_an_unreadable_root_is_an_error_as_a_whole(ordinary_user):  # noqa: F811 - the fixture
    root = ordinary_user / "root"
    root.mkdir(mode=0)
    with pytest.raises(DesiredStateError, match="root: the desired state cannot be read: Permission denied"):
        DirectorySource(root).names()


def test_a_link_into_a_folder_that_may_not_be_entered_spoils_no_other_task(ordinary_user):  # noqa: F811 - the fixture
    put(ordinary_user, "root/shop/task.json", "closed/folder/task.json")
    (ordinary_user / "root" / "link").symlink_to(ordinary_user / "closed" / "folder")
    (ordinary_user / "closed").chmod(0)
    try:
        found = read(ordinary_user / "root")
        assert problems(found["link"]) == {("unreadable", "link", "a link that cannot be followed: Permission denied")}
        assert found["shop"].violations == ()
    finally:
        (ordinary_user / "closed").chmod(0o700)


def test_a_file_that_goes_away_while_it_is_read_is_an_error(root):
    put(root, "shop/task.json", "shop/sink.json")
    tasks = DirectorySource(root).tasks()
    (root / "shop" / "sink.json").unlink()
    (raw,) = tasks
    assert problems(raw) == {("unreadable", "shop/sink.json", "No such file or directory (ENOENT)")}
