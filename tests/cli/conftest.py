"""The command line, run in this process in a project of its own, against a simulated OMS on loopback."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.cli.main import run
from reconciler.simulator.server import serve
from reconciler.simulator.simulator import Simulator
from tests.hurry import HurriedOms
from tests.projects import ACCOUNT, SECRETS, Ended, Project, lay_out, sampled


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Simulator, str]]:
    simulator = sampled(HurriedOms(ACCOUNT))
    with serve(simulator) as url:
        yield simulator, url


@pytest.fixture
def reconciler(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command; what was printed before is dropped."""

    def reconciler(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return reconciler


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("RECONCILER_", "_RECONCILER_", "NO_COLOR", "FORCE_COLOR")):
            monkeypatch.delenv(name)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def project(
    tmp_path: Path,
    served: tuple[Simulator, str],
    reconciler: Callable[..., Ended],
    clean_environment: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """The three samples, unknown to the store; new tasks are held."""
    simulator, url = served
    simulator.reset()
    monkeypatch.chdir(lay_out(tmp_path))
    made = Project(tmp_path, url, simulator, reconciler)
    made.configure()
    return made
