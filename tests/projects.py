"""A project directory to run the command line in: configuration, copies of the sample tasks, a simulated OMS."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.simulator.fleet import fleet_from_desired_state
from reconciler.simulator.simulator import Simulator

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "desired_state"
KAFKA, MYSQL, ORACLE = "oceanbase-to-kafka", "mysql-to-oceanbase", "oceanbase-to-oceanbase"
ACCOUNT = "admin:sentinel-of-oms"
SECRETS = {
    "OMS_PASSWORD": "sentinel-of-oms",
    "OMS_STORE_PASSWORD": "sentinel-of-store",
    "SHOP_SINK_PASSWORD": "sentinel-of-shop",
    "SALES_SOURCE_PASSWORD": "sentinel-of-sales",
    "SALES_SOURCE_SYS_PASSWORD": "sentinel-of-sys",
    "SALES_SINK_PASSWORD": "sentinel-of-copy",
}
CONFIG = """\
[policy]
new_tasks = "{new_tasks}"
mode = "{mode}"
verify_s = {verify_s}

[targets.default]
url = "{url}"
username = "admin"
password = "${{env:OMS_PASSWORD}}"
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Project:
    """A directory with `reconciler.toml` and `desired_state/`."""

    root: Path
    url: str
    simulator: Simulator
    reconciler: Callable[..., Ended]  # runs a command in it
    config: dict = field(default_factory=lambda: {"new_tasks": "hold", "mode": "auto", "verify_s": 5})

    def configure(self, **changes):
        self.config.update(changes)
        self.root.joinpath("reconciler.toml").write_text(CONFIG.format(url=self.url, **self.config))

    def keep(self, *tasks):
        """Have these sample tasks only."""
        for folder in self.desired.iterdir():
            if folder.name not in tasks:
                shutil.rmtree(folder)

    @property
    def desired(self):
        return self.root / "desired_state"

    @property
    def database(self):
        return self.root / "state" / "reconciler.db"

    def edit(self, task, file, *remove, **changes):
        """Change members of a file."""
        path = self.desired / task / f"{file}.json"
        content = json.loads(path.read_text()) | changes
        whole = path.with_name(f".{file}.new")  # a look in between must not see half a file
        whole.write_text(json.dumps({key: value for key, value in content.items() if key not in remove}))
        whole.replace(path)

    def break_(self, task=ORACLE):
        """Make a task's files wrong."""
        self.desired.joinpath(task, "sink.json").write_text("{")

    def adopted(self):
        """All tasks known, nothing to do."""
        assert self.reconciler("adopt", "--all").code == 0
        return self

    @property
    def updates(self):
        return self.simulator.calls_of("UpdateIncrSync")


def lay_out(root: Path) -> Path:
    shutil.copytree(SAMPLES, root / "desired_state", dirs_exist_ok=True)
    return root


def sampled(simulator: Simulator) -> Simulator:
    simulator.add_fleet(fleet_from_desired_state(SAMPLES))
    return simulator


def environment(**more: str) -> Mapping[str, str]:
    """What a process needs to run this checkout with the samples' secrets."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILER_")}
    return ours | SECRETS | {"PYTHONPATH": str(ROOT)} | more


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "reconciler", *arguments]


def run_process(root: Path, *arguments: str, timeout: float = 30, **environ: str) -> Ended:
    """A command in a process of its own."""
    done = subprocess.run(
        command(*arguments),
        cwd=root,
        env=environment(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
