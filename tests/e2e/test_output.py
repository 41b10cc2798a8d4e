"""What a command does when nobody takes what it writes."""

import subprocess

import pytest

from tests.projects import command, environment


def written_to(project, shell, *arguments):
    """A command, with what a shell does to its output."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {shell}', "sh", *command(*arguments)],
        cwd=project.root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [("schema", "sink"), ("plan",), ("plan", "--format", "json")])
def test_a_full_disk_is_said_in_a_line(project, arguments):
    done = written_to(project, "> /dev/full", *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == ("reconciler: standard output cannot be written: No space left on device")
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_trouble(project):
    done = written_to(project, "| head -n 1", "schema", "sink")
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")
