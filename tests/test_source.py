import os
import socket
import tempfile
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


# --- one task --------------------------------------------------------------------------------------------------------


def put_odd(root):
    """Every kind of folder and link that a walk treats in its own way."""
    put(root, "task.json", "a/task.json", "a/b/sink.json", "c/d/e/task.json", ".hidden/task.json", "no-task/README.md")
    put(root, "sink.json~/task.json", "a/source.json/task.json", "caf\udce9/task.json", "new\nline/x/task.json")
    put(root.parent, "outside/task.json", "outside/in/task.json")
    links = {
        "copy": "a",
        "a/up": "..",
        "a/self": ".",
        "c/out": "../../outside",
        "loop": "loop",
        "gone": "nowhere",
        "file-link": "task.json",
        "through-a-file": "task.json/x",
        ".link": "a",
        "c/condition.json": "../a",
        "twice": "copy",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)


def agrees(source, candidates):
    """Whether every task is found alone as the walk finds it, and nothing else is found."""
    walked = {entry.name: entry for entry in source.entries()}
    alone = {name: entry for name in {*candidates, *walked} if (entry := source.entry(name))}
    assert alone.keys() == walked.keys() == set(source.names())
    assert {name: (entry.stamp, entry.read()) for name, entry in alone.items()} == {
        name: (entry.stamp, entry.read()) for name, entry in walked.items()
    }
    assert [entry.read() for entry in source.entries()] == list(source.tasks())
    for below in candidates:
        expected = [name for name in walked if below in ("", ".") or name == below or name.startswith(f"{below}/")]
        assert [entry.name for entry in source.entries(below)] == sorted(expected)


def every_path(root):
    return [str(path.relative_to(root)) for path in root.rglob("*")]


def test_one_task_is_found_as_the_walk_finds_it_in_an_odd_tree(root):
    put_odd(root)
    linked = [
        "copy/b",
        "copy/up",
        "copy/source.json",
        "a/up/a",
        "a/self/b",
        "c/out/in",
        "loop/x",
        "twice/b/x",
        "gone/a",
    ]
    agrees(DirectorySource(root, now_ns=later), ["", ".", *every_path(root), *linked])


PARTS = ("a", "b", ".h", "sink.json")
places = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)
nodes = st.sampled_from(["folder", "file", "a", "b", "..", "../a", "../b", "../../out", "a/b", ".", "nowhere"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(places, nodes), max_size=12))
def test_one_task_is_found_as_the_walk_finds_it_in_any_tree(wanted):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        put(root.parent, "root/a/task.json", "out/task.json")
        for place, node in wanted:
            make_node(root / place, node)
        names = ["/".join(parts) for length in (1, 2, 3) for parts in product(PARTS, repeat=length)]
        agrees(DirectorySource(root, now_ns=later), ["", *names])


def make_node(path, node):
    """Put something at a path, unless what is there already is in its way."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if node == "folder":
            path.mkdir()
        elif node == "file":
            path.touch()
        else:
            path.symlink_to(node)
    except OSError:
        pass


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "/",
            "..",
            "../outside",
            "shop/../../outside",
            "shop/..",
            "shop/.",
            "./shop",
            "shop/",
            "/shop",
            "shop//in",
        ),
        *("shop\0", "\ud800", "x" * 300, "shop/" * 2000, "shop/task.json", "README.md", "/etc", "{root}/shop"),
    ],
)
def test_what_is_no_name_is_no_task(root, name):
    put(root, "shop/task.json", "shop/in/task.json", "README.md")
    put(root.parent, "outside/task.json")
    source = DirectorySource(root)
    assert source.entry(name.format(root=root)) is None
    assert not name or list(source.entries(name.format(root=root))) == []


def test_one_task_is_found_without_listing_another_folder(root, ordinary_user):  # noqa: F811 - the fixture
    put(ordinary_user, "shop/task.json", "other/task.json")
    (ordinary_user / "other").chmod(0)
    try:
        assert DirectorySource(ordinary_user).entry("shop").read().violations == ()
        assert [entry.name for entry in DirectorySource(ordinary_user).entries("shop")] == ["shop"]
    finally:
        (ordinary_user / "other").chmod(0o700)


@pytest.mark.parametrize("mode", [0, 0o100, 0o400, 0o500])
def test_one_task_in_a_folder_with_few_permissions_is_found_as_the_walk_finds_it(
    ordinary_user,  # noqa: F811 - the fixture
    mode,
):
    put(ordinary_user, "shop/task.json", "shop/in/task.json", "shop/in/deep/task.json")
    (ordinary_user / "shop").chmod(mode)
    try:
        agrees(DirectorySource(ordinary_user, now_ns=later), ["shop", "shop/in", "shop/in/deep", "shop/none"])
    finally:
        (ordinary_user / "shop").chmod(0o700)


@pytest.mark.parametrize("mode", [0, 0o100])
def test_a_root_that_cannot_be_listed_is_an_error_for_one_task_too(ordinary_user, mode):  # noqa: F811 - the fixture
    put(ordinary_user, "root/shop/task.json")
    (ordinary_user / "root").chmod(mode)
    source = DirectorySource(ordinary_user / "root")
    try:
        for ask in (source.entry, source.entries):
            with pytest.raises(DesiredStateError, match="root: the desired state cannot be read: Permission denied"):
                ask("shop")
    finally:
        (ordinary_user / "root").chmod(0o700)


def test_a_root_that_is_not_there_is_an_error_for_one_task_too(root):
    with pytest.raises(DesiredStateError, match="nowhere: the desired state cannot be read: No such file"):
        DirectorySource(root / "nowhere").entry("shop")


@pytest.mark.parametrize("target", ["root", "nowhere"])
def test_a_root_that_is_a_link_to_itself_or_to_nowhere_is_an_error(tmp_path, target):
    (tmp_path / "root").symlink_to(target)
    with pytest.raises(DesiredStateError, match="root: the desired state cannot be read"):
        DirectorySource(tmp_path / "root").names()


# --- stamps ----------------------------------------------------------------------------------------------------------


def later():
    """A wall clock ten seconds ahead: what was written just now counts as settled."""
    return time.time_ns() + 10_000_000_000


def stamp(root, name="shop", now_ns=later):
    return DirectorySource(root, now_ns=now_ns).entry(name).stamp


def rewrite(path):
    """Other content of the same size, with the times of the file put back as far as that can be done."""
    before = path.stat()
    path.write_text("[]")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    new = path.with_name("new.tmp")
    new.write_text("{}")
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.rename(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: rewrite(shop / "task.json"),
        lambda shop: replace(shop / "task.json"),
        lambda shop: (shop / "task.json").unlink(),
        lambda shop: (shop / "task.json").chmod(0o400),
        lambda shop: (shop / "task.json").rename(shop / "source.json"),
        lambda shop: (shop / "reset.json").touch(),
        lambda shop: (shop / "sinks.json").touch(),
        lambda shop: rewrite(shop / "linked.txt"),
        lambda shop: replace(shop / "linked.txt"),
        lambda shop: (shop / "condition.json").rename(shop / "coordinator.json"),
    ],
    ids=["content", "file", "gone", "mode", "renamed", "new", "near-miss", "linked content", "linked file", "link"],
)
def test_whatever_changes_a_task_changes_its_stamp(root, change):
    put(root, "shop/task.json", "shop/sink.json", "shop/linked.txt")
    (root / "shop" / "condition.json").symlink_to("linked.txt")
    before = stamp(root)
    change(root / "shop")
    assert len({before, stamp(root), None}) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: (shop / "task.json").read_text(),
        lambda shop: (shop / ".task.json.swp").touch(),
        lambda shop: put(shop, "deeper/task.json"),
        lambda shop: put(shop.parent, "other/task.json"),
        lambda shop: (shop / "other").symlink_to("../other"),
    ],
    ids=["reading", "leftover", "task below", "other task", "link to a folder"],
)
def test_what_leaves_a_task_as_it_is_leaves_its_stamp(root, change):
    put(root, "shop/task.json", "shop/sink.json", "other/sink.json")
    before = stamp(root)
    change(root / "shop")
    assert stamp(root) == before is not None


def test_a_link_that_is_switched_to_another_folder_changes_the_stamp(root):
    put(root, "one/task.json", "two/task.json")
    (root / "shop").symlink_to("one")
    before = stamp(root)
    (root / "next").symlink_to("two")
    (root / "next").rename(root / "shop")
    assert len({before, stamp(root), None}) == 3


def test_a_link_that_begins_to_leave_the_root_changes_the_stamp_even_if_it_leads_to_the_same_file(root):
    put(root, "shop/task.json", "in/shared.json")
    put(root.parent, "out/other.txt")
    os.link(root / "in" / "shared.json", root.parent / "out" / "shared.json")
    (root / "via").symlink_to("in")
    (root / "shop" / "sink.json").symlink_to("../via/shared.json")
    before = stamp(root)
    (root / "via").unlink()
    (root / "via").symlink_to("../out")
    assert len({before, stamp(root), None}) == 3


def test_what_was_written_within_two_seconds_has_no_stamp(root):
    put(root, "shop/task.json", "shop/sink.json")
    written = (root / "shop" / "sink.json").stat().st_ctime_ns
    assert stamp(root, now_ns=lambda: written + 2_000_000_000) is None
    assert stamp(root, now_ns=lambda: written + 2_000_000_001) is not None


def test_a_link_or_what_it_leads_to_that_is_young_has_no_stamp(root):
    put(root, "shop/task.json", "shop/linked.txt")
    (root / "shop" / "sink.json").symlink_to("linked.txt")
    written = (root / "shop" / "linked.txt").lstat().st_ctime_ns
    os.utime(root / "shop" / "sink.json", ns=(0, written + 5_000_000_000), follow_symlinks=False)
    assert stamp(root, now_ns=lambda: written + 6_000_000_000) is None
    assert stamp(root, now_ns=lambda: written + 8_000_000_000) is not None


def test_a_time_in_the_future_has_no_stamp(root):
    put(root, "shop/task.json")
    os.utime(root / "shop" / "task.json", ns=(0, later() + 3_600_000_000_000))
    assert stamp(root) is None


def test_a_change_between_stamp_and_reading_is_seen_the_next_time(root):
    put(root, "shop/task.json")
    entry = DirectorySource(root, now_ns=later).entry("shop")
    rewrite(root / "shop" / "task.json")
    assert dict(entry.read().files) == {"task.json": b"[]"}
    assert stamp(root) != entry.stamp


@pytest.mark.parametrize("target", ["nowhere", "../../outside.json", "sink.json"])
def test_a_file_that_cannot_be_read_takes_the_stamp_away(root, target):
    put(root, "shop/task.json")
    put(root.parent, "outside.json")
    (root / "shop" / "sink.json").symlink_to(target)
    entry = DirectorySource(root, now_ns=later).entry("shop")
    entry.read()
    assert entry.stamp is None


def test_a_folder_with_a_problem_keeps_its_stamp_as_long_as_it_has_that_problem(root):
    (root / "shop").symlink_to("shop")
    before = stamp(root)
    assert stamp(root) == before is not None
    (root / "shop").unlink()
    (root / "shop").symlink_to("../..")
    assert len({before, stamp(root), None}) == 3
