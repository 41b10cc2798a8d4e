"""What a command imports is what its start costs: the list is held, the time only shown."""

import re
import subprocess

import pytest

from tests.projects import command, environment

HEAVY = ("starlette", "uvicorn", "deepdiff", "rich", "httpx", "sqlite3", "jsonschema", "pygit2", "jinja2")
NEVER_FOR_HELP = (
    *HEAVY,
    "jsonschema_rs",
    "asyncio",
    "ssl",
    "importlib.metadata",
    "reconciler.core",
    "reconciler.state",
)


def imported(project, *arguments):
    """Names of all modules that a command imports."""
    program, *rest = command(*arguments)
    # Not measured: that would import modules of its own.
    ours = {name: value for name, value in environment().items() if not name.startswith("COVERAGE_PROCESS")}
    timed = [program, "-X", "importtime", *rest]
    done = subprocess.run(timed, cwd=project.root, env=ours, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))


def meant(modules, names):
    return sorted(m for m in modules if any(m == name or m.startswith(f"{name}.") for name in names))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"]])
def test_help_imports_nothing_but_the_list_of_commands(project, arguments):
    modules = imported(project, *arguments)
    assert meant(modules, NEVER_FOR_HELP) == []
    ours = {m for m in modules if m.startswith("reconciler")}
    assert ours <= {"reconciler", "reconciler.cli", "reconciler.cli.main", "reconciler.cli.common", "reconciler.errors"}


@pytest.mark.parametrize("name", ["plan", "apply", "history", "simulate"])
def test_help_of_a_command_imports_what_the_command_needs_only_when_it_runs(project, name):
    assert meant(imported(project, name, "--help"), (*HEAVY, "jsonschema_rs", "ssl")) == []


@pytest.mark.parametrize("arguments", [["validate"], ["validate", "desired_state"]])
def test_validate_imports_neither_network_nor_store_nor_tables(project, arguments):
    assert meant(imported(project, *arguments), (*HEAVY, "reconciler.state", "reconciler.target", "ssl")) == []


def test_plan_without_differences_imports_no_diff_and_no_network(project):
    assert project.reconciler("adopt", "--all").code == 0
    assert meant(imported(project, "plan"), ("starlette", "uvicorn", "deepdiff", "httpx", "rich", "jsonschema")) == []
