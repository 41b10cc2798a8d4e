"""Real processes: the command line as it is started, and the simulator behind it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from reconciler.simulator.server import serve
from reconciler.simulator.simulator import Simulator
from tests.e2e.daemons import Blocker, Manager, Reaper, Site, fleet_of
from tests.e2e.daemons import site as a_site
from tests.hurry import HurriedOms
from tests.projects import ACCOUNT, Project, command, environment, lay_out, run_process, sampled


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Simulator, str]]:
    simulator = sampled(HurriedOms(ACCOUNT))
    with serve(simulator) as url:
        yield simulator, url


@pytest.fixture
def project(tmp_path: Path, served: tuple[Simulator, str]) -> Project:
    """The three samples, unknown to the store, and commands run in processes."""
    simulator, url = served
    simulator.reset()
    made = Project(
        lay_out(tmp_path), url, simulator, lambda *arguments, **more: run_process(tmp_path, *arguments, **more)
    )
    made.configure()
    return made


@pytest.fixture
def start() -> Iterator:
    """Start programs; those still alive in the end are asked to end, then killed."""
    with ExitStack() as stack:

        def started(*arguments, cwd, program=command, **popen) -> "subprocess.Popen[str]":
            options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen
            process = subprocess.Popen(program(*arguments), cwd=cwd, env=environment(), text=True, **options)
            stack.enter_context(process)
            stack.callback(end, process)
            return process

        yield started


def end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    """Ends daemons behind the tests' backs."""
    made = Reaper()
    yield made
    made.finish()


@pytest.fixture
def site(tmp_path: Path, reaper: Reaper) -> Iterator[Site]:
    """A directory without tasks, beside an OMS with 12 projects; see `daemons.Site`."""
    with a_site(tmp_path, fleet_of(12), reaper) as made:
        yield made


@pytest.fixture
def manager() -> Iterator[Manager]:
    """A service manager's socket."""
    with closing(Manager()) as made:
        yield made


@pytest.fixture
def blocker(tmp_path: Path) -> Blocker:
    """Lets a daemon hang that was started in its environment."""
    return Blocker(tmp_path)
