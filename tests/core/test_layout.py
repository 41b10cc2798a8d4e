import pytest

from reconciler.core.decode import MAX_BYTES
from reconciler.core.layout import (
    Folder,
    UnreadableError,
    is_hidden,
    is_leftover,
    is_task_file,
    joined,
    ordered,
    raw_task,
    refuse_size,
)
from reconciler.model import TASK_FILES, Severity


def content(file):
    return f"content of {file}".encode()


def read(folder, content=content):
    return raw_task(folder, content)


def told(raw):
    """[(rule, file, found), ...]."""
    return [(violation.rule, violation.file, violation.found) for violation in raw.violations]


def test_a_folder_with_one_of_the_six_files_is_a_task():
    assert Folder("shop", files=("reset.json",)).is_task
    assert not Folder("shop", others=("sinks.json",)).is_task


def test_a_folder_that_cannot_be_listed_may_be_a_task():
    assert Folder("shop", "it is closed").is_task


def test_the_root_is_called_dot():
    assert (Folder("").name, Folder("shop").name) == (".", "shop")


def test_names_are_joined_below_the_root():
    assert (joined("", "shop"), joined("shop", "orders")) == ("shop", "shop/orders")


def test_files_are_read_in_the_order_of_the_six():
    assert ordered({"x.json", *TASK_FILES}) == TASK_FILES
    assert ordered(["sink.json", "task.json"]) == ("task.json", "sink.json")


@pytest.mark.parametrize(
    ("name", "task_file", "hidden", "leftover"),
    [
        ("sink.json", True, False, False),
        ("Sink.json", False, False, False),
        (".sink.json", False, True, False),
        ("..", False, True, False),
        ("sink.json~", False, False, True),
        ("sink.json.tmp", False, False, True),
        (".sink.json.swp", False, True, True),
    ],
)
def test_names_are_told_apart(name, task_file, hidden, leftover):
    assert (is_task_file(name), is_hidden(name), is_leftover(name)) == (task_file, hidden, leftover)


def test_the_largest_size_is_not_refused():
    refuse_size(MAX_BYTES)
    with pytest.raises(UnreadableError, match=f"{MAX_BYTES + 1} bytes"):
        refuse_size(MAX_BYTES + 1)


def test_a_task_is_its_files():
    raw = read(Folder("shop", files=("task.json", "sink.json")))
    assert dict(raw.files) == {"task.json": b"content of task.json", "sink.json": b"content of sink.json"}
    assert raw.violations == ()


def test_a_file_that_cannot_be_read_is_a_violation_and_no_absence():
    def closed(file):
        if file == "sink.json":
            raise UnreadableError("a readable file", "nothing", "Open it.")
        return b"{}"

    raw = read(Folder("shop", files=("task.json", "sink.json")), closed)
    (violation,) = raw.violations
    assert dict(raw.files) == {"task.json": b"{}"}
    assert (violation.task, violation.file, violation.rule) == ("shop", "shop/sink.json", "unreadable")
    assert (violation.expected, violation.found, violation.suggestion) == ("a readable file", "nothing", "Open it.")


def test_a_pointer_of_git_lfs_is_not_taken_for_the_file():
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    raw = read(Folder("shop", files=("sink.json",)), lambda _: pointer)
    (violation,) = raw.violations
    assert (violation.expected, violation.found) == ("JSON", "a Git LFS pointer")
    assert "git lfs untrack" in violation.suggestion
    assert raw.files == {}


def test_a_folder_that_cannot_be_listed_says_why():
    assert told(read(Folder("shop", "it is closed"))) == [("unreadable", "shop", "it is closed")]


def test_task_files_in_the_root_are_an_error():
    assert told(read(Folder("", files=("task.json",)))) == [
        ("root-task", ".", "task files in the desired-state directory itself")
    ]


def test_a_name_that_is_not_utf8_is_an_error():
    assert told(read(Folder("caf\udce9", files=("task.json",)))) == [("folder-name", "caf\udce9", r"'caf\udce9'")]


def test_a_slip_of_the_pen_is_a_warning():
    raw = read(Folder("shop", files=("task.json",), others=("README.md", "sinks.json")))
    (violation,) = raw.violations
    assert violation.severity is Severity.WARNING
    assert (violation.rule, violation.file, violation.expected) == ("file-name", "shop/sinks.json", "sink.json")
    assert violation.suggestion == "Rename it if it is meant."
