"""The unit, judged by systemd itself, and against what the daemon does and the installation page says."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from reconciler import resources
from reconciler.cli.main import USAGE
from reconciler.config import load

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/reconciler.service"
USERS = ROOT / "deploy/reconciler.sysusers.conf"
PAGE = ROOT / "docs/installation.md"

on_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on the path")


@pytest.fixture
def unit(tmp_path) -> Path:
    """The unit with a program that exists: without one `verify` refuses it on a machine where it is not installed."""
    program = shutil.which("true")
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={program}", UNIT.read_text(), flags=re.MULTILINE))
    return copy


def analyse(*arguments: object) -> tuple[int, str]:
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return run.returncode, run.stdout


def settings(section: str) -> dict[str, list[str]]:
    """`{name: values}` of one section; a name may stand there more than once."""
    found: dict[str, list[str]] = {}
    body = UNIT.read_text().partition(f"[{section}]\n")[2].partition("\n[")[0]
    for line in body.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def example() -> str:
    """`reconciler.toml` of the installation page."""
    return PAGE.read_text().partition("```toml\n")[2].partition("```")[0]


@on_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(unit):
    assert analyse("verify", unit) == (0, "")


@on_systemd
def test_exposure_is_at_most_one_and_a_half(unit):
    code, report = analyse("security", "--offline=true", "--threshold=15", unit)
    assert code == 0, report
    assert re.search(r"Overall exposure level for reconciler.service: (0\.\d|1\.[0-5]) ", report)


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not on the path")
def test_the_account_lives_in_the_state_directory_and_cannot_log_in(tmp_path):
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", USERS], check=True, capture_output=True, timeout=60)
    name, *_, home, shell = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert [name] == settings("Service")["User"] == settings("Service")["Group"]
    assert [home] == settings("Service")["WorkingDirectory"]
    assert shell.endswith("/nologin")


def test_a_wrong_configuration_is_not_tried_again():
    assert settings("Service")["Restart"] == ["on-failure"]
    assert settings("Service")["RestartPreventExitStatus"] == [str(USAGE)]


def test_the_drain_of_thirty_seconds_fits_the_time_to_stop():
    (stop,) = settings("Service")["TimeoutStopSec"]
    assert int(stop.removesuffix("s")) > 30
    assert settings("Service")["KillMode"] == ["mixed"]


def test_the_example_configuration_fits_the_unit(tmp_path):
    (tmp_path / "reconciler.toml").write_text(example())
    found = load(tmp_path / "reconciler.toml", {})
    (directory,) = settings("Service")["StateDirectory"]
    (credential,) = (line.partition(":")[0] for line in settings("Service")["LoadCredential"])
    assert found.state.parent == Path("/var/lib") / directory
    assert [target.password for target in found.targets.values()] == [f"${{credential:{credential}}}"]
    assert not str(found.desired_state).startswith(("/home", "/root"))  # ProtectHome


def test_the_example_shows_every_key_of_the_daemon_with_its_default():
    schema = resources.schema("reconciler")["properties"]["daemon"]["properties"]
    defaults = {name: key["default"] for name, key in schema.items()}
    assert tomllib.loads(example())["daemon"] == defaults
