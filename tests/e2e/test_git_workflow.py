"""A change from the branch to the component and back, in a repository that `init` made, with the programs users have."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.daemons import free_port, until
from tests.projects import KAFKA, SAMPLES, Ended, environment
from tests.repositories import git_environment

BIN = str(Path(sys.executable).parent)
ANN = {f"GIT_{who}_{what}": f"Ann {what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Desk:
    """Somebody's terminal, in the repository."""

    def __init__(self, project):
        self.folder = project.root / "config"
        path = {"PATH": f"{BIN}:/usr/bin:/bin", "PRE_COMMIT_HOME": str(project.root / "cache")}
        self.environment = environment() | git_environment(project.root) | path | ANN
        self.simulator = project.simulator

    def run(self, *arguments, folder=None):
        done = subprocess.run(
            arguments,
            cwd=folder or self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def git(self, *arguments):
        done = self.run("git", *arguments)
        assert done.code == 0, done.err
        return done.out.strip()

    def reconciler(self, *arguments):
        return self.run("reconciler", *arguments)

    def edit(self, file, **members):
        path = self.folder / "desired_state" / KAFKA / file
        path.write_text(json.dumps(json.loads(path.read_text()) | members, indent=2) + "\n")

    @property
    def throttles(self):
        """What the component was sent, call by call."""
        return [call.body["config"]["coordinator"]["throttleRps"] for call in self.simulator.calls_of("UpdateIncrSync")]

    def is_told(self, *throttles):
        until(lambda: self.throttles == list(throttles), f"calls with {throttles}", told=lambda: self.throttles)


@pytest.fixture
def desk(project):
    """A repository as `init` makes it, for the simulator, with a task that the component has already."""
    made = Desk(project)
    assert made.run("reconciler", "init", "config", folder=project.root).code == 0
    configuration = made.folder / "reconciler.toml"
    text = configuration.read_text().replace("https://oms.example:8089", project.url)
    text = text.replace("min_update_interval_s = 60", "min_update_interval_s = 0")
    configuration.write_text(text.replace("127.0.0.1:8484", f"127.0.0.1:{free_port()}"))
    shutil.copytree(SAMPLES / KAFKA, made.folder / "desired_state" / KAFKA)
    assert made.run("pre-commit", "install").code == 0
    made.git("add", "--all", ".")
    made.git("commit", "--message", "Start")
    assert made.reconciler("adopt", KAFKA).code == 0
    return made


@pytest.fixture
def daemon(desk):
    with (desk.folder.parent / "daemon.log").open("w") as log:
        process = subprocess.Popen(
            [f"{BIN}/reconciler", "run"], cwd=desk.folder, env=desk.environment, stdout=log, stderr=log
        )
        until(lambda: "as the daemon sees it" in desk.reconciler("status").err, "the daemon")
        yield process
        process.terminate()
        assert process.wait(timeout=40) == 0


@pytest.mark.usefixtures("daemon")
def test_a_change_goes_from_a_branch_to_the_component_and_a_revert_takes_it_back(desk):
    desk.git("checkout", "--quiet", "-b", "throttle")
    desk.edit("coordinator.json", throttleRps="20 000")
    refused = desk.run("git", "commit", "--all", "--message", "Lower it")
    assert (refused.code, "/throttleRps: expected an integer" in refused.err + refused.out) == (1, True)

    desk.edit("coordinator.json", throttleRps="20000")
    desk.git("commit", "--all", "--message", "Lower the throttle: the broker lags")
    report = desk.reconciler("plan", "--rev", "main...throttle", "--format", "markdown")
    assert (report.code, '"50000" -> "20000"' in report.out, "1 component restarts" in report.out) == (2, True, True)
    assert "Ann NAME" in report.out
    assert desk.throttles == []  # a branch is not applied because somebody works on it

    desk.git("checkout", "--quiet", "main")
    desk.git("merge", "--quiet", "--no-ff", "--message", "Merge throttle", "throttle")
    desk.is_told("20000")
    assert desk.reconciler("sync", "--wait", KAFKA).code == 0
    entries = desk.reconciler("history", KAFKA, "--outcome", "synced", "--format", "json").json["entries"]
    assert [entries[0]["revision"], entries[0]["commit"]["subject"]] == [
        desk.git("rev-parse", "main"),
        "Lower the throttle: the broker lags",
    ]

    desk.git("revert", "--mainline", "1", "--no-edit", "HEAD")
    desk.is_told("20000", "50000")
    told = desk.reconciler("history", "--at", "main~1", KAFKA, "--format", "json").json["tasks"]
    assert [task["sections"]["coordinator"]["throttleRps"] for task in told] == ["20000"]
