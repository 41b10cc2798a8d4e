import os

import pytest

from reconciler.errors import SecretError
from reconciler.secret_files import MAX_BYTES, resolver

VALUE = "sentinel-wörd&$%"


def error(scheme, name, environment=None):
    with pytest.raises(SecretError) as raised:
        resolver(environment or {})(scheme, name)
    return str(raised.value)


def test_a_variable_of_the_environment_is_found():
    assert resolver({"PASSWORD": VALUE})("env", "PASSWORD") == VALUE


def test_without_another_environment_that_of_the_process_is_asked(monkeypatch):
    monkeypatch.setenv("RECONCILER_TEST_SECRET", VALUE)
    assert resolver()("env", "RECONCILER_TEST_SECRET") == VALUE


def test_a_missing_variable_is_named():
    expected = "${env:PASSWORD}: the environment has no variable PASSWORD; set it where reconciler runs"
    assert error("env", "PASSWORD") == expected


def test_a_value_is_looked_up_anew_every_time(tmp_path):
    lookup, path = resolver({}), tmp_path / "secret"
    path.write_text("old")
    assert lookup("file", str(path)) == "old"
    path.write_text("new")
    assert lookup("file", str(path)) == "new"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("secret\n\n", "secret\n"),
        (" secret ", " secret "),
        ("one\ntwo\n", "one\ntwo"),
        (VALUE, VALUE),
    ],
)
def test_a_file_is_taken_as_it_is_less_one_line_end(tmp_path, content, value):
    path = tmp_path / "secret"
    path.write_bytes(content.encode())
    assert resolver({})("file", str(path)) == value


def test_a_link_to_a_file_is_followed_as_kubernetes_mounts_them(tmp_path):
    (tmp_path / "secret").write_text(VALUE)
    (tmp_path / "link").symlink_to("secret")
    assert resolver({})("file", str(tmp_path / "link")) == VALUE


def test_a_credential_is_a_file_in_systemds_directory(tmp_path):
    (tmp_path / "oms").write_text(VALUE)
    assert resolver({"CREDENTIALS_DIRECTORY": str(tmp_path)})("credential", "oms") == VALUE


def test_without_systemds_directory_there_are_no_credentials():
    assert error("credential", "oms") == (
        "${credential:oms}: $CREDENTIALS_DIRECTORY is not set; credentials exist in a systemd service only"
    )


def test_a_missing_credential_is_named(tmp_path):
    message = error("credential", "oms", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert message == f"${{credential:oms}}: {tmp_path}/oms cannot be read: No such file or directory"


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def large(path):
    path.write_text("s" * (MAX_BYTES + 1))


def latin(path):
    path.write_bytes(VALUE.encode("latin-1"))


def loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (pipe, "is not a regular file"),
        (folder, "is not a regular file"),
        (large, "has 65537 bytes, expected at most 65536"),
        (latin, "is not UTF-8 text"),
        (loop, "cannot be read: Too many levels of symbolic links"),
        (lambda _path: None, "cannot be read: No such file or directory"),
    ],
    ids=["pipe", "folder", "large", "latin", "loop", "missing"],
)
def test_a_file_that_is_no_secret_is_an_error_that_says_why(tmp_path, make, problem):
    path = tmp_path / "secret"
    make(path)
    assert error("file", str(path)) == f"${{file:{path}}}: {path} {problem}"


@pytest.mark.parametrize("content", ["", "\n", "\r\n"])
def test_an_empty_file_is_an_error_for_it_may_be_half_written(tmp_path, content):
    path = tmp_path / "secret"
    path.write_text(content)
    assert error("file", str(path)) == f"${{file:{path}}}: is empty; if that is meant, write the empty text itself"


def test_an_empty_variable_is_an_error_for_it_may_not_have_been_filled_in():
    assert "${env:PASSWORD}: is empty" in error("env", "PASSWORD", {"PASSWORD": ""})


def test_no_error_holds_a_value_nor_does_its_cause(tmp_path):
    path = tmp_path / "secret"
    latin(path)
    with pytest.raises(SecretError) as raised:
        resolver({})("file", str(path))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert "sentinel" not in str(raised.value)
