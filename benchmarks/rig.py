"""A simulated OMS and the daemon as processes, over a generated fleet, in a folder of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fleet
import httpx

ROOT = Path(__file__).resolve().parents[1]
RECONCILER = [sys.executable, "-m", "reconciler"]
SECRETS = {"OMS_PASSWORD": "sentinel-oms-7f3a91", fleet.SECRET: "sentinel-fleet-c04be2"}
START_S = 120.0
TIMING = {"queue_s": 0.1, "stop_s": 0.5, "start_s": 0.4, "lag_s": 0.0}
"""A restart takes one second."""

CONFIG = """\
[desired_state]
{source}
quiet_s = {quiet_s}

[policy]
new_tasks = "apply"
verify_s = {verify_s}

[policy.limits]  # all tasks are edited at once
tasks = 1

[targets.default]
url = "{url}"
username = "admin"
password = "${{env:OMS_PASSWORD}}"
max_concurrent = {max_concurrent}
stop_after_failures = {stop_after_failures}
requests_per_s = 0

[daemon]
resync_s = {resync_s}
http_listen = "127.0.0.1:{port}"
log_format = "json"
"""


class RigError(Exception):
    """Something that the measurement stands on did not work; the measurement says nothing then."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Vital:
    """What the kernel and the metrics page say of the daemon at one moment."""

    at: float  # unix seconds
    pid: int
    rss_kib: int
    fds: int
    threads: int
    cpu_s: float
    metrics: dict[str, float]  # {'reconciler_tasks{state="synced"}': 1000.0}

    def metric(self, name: str) -> float:
        """One value; 0 where there is none."""
        return self.metrics.get(name, 0.0)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not (self.metric("reconciler_queue_depth") or self.metric("reconciler_in_flight"))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float, every_s: float = 0.1) -> float:
    """Wait until a condition holds; returns how long it took, seconds.

    Raises:
        RigError: it did not hold in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout_s:
            raise RigError(f"{what}: not within {timeout_s:g} s")
        time.sleep(every_s)
    return time.monotonic() - began


class Rig:
    """A folder with desired state, configuration, store and logs, and the two processes.

    Args:
        folder: made by the caller, empty.
        tasks: how many.
        tables: least and most of a task.
        settings: of `CONFIG`, where another value than the usual one is wanted.
    """

    def __init__(self, folder: Path, tasks: int, tables: tuple[int, int] = fleet.MANY_TABLES, **settings: Any) -> None:
        os.environ.update(SECRETS)  # the fleet's files are resolved in this process too
        self.folder, self.tasks = folder, tasks
        self.desired = folder / "desired_state"
        self.log_path, self.config_path = folder / "daemon.log", folder / "reconciler.toml"
        self.simulator_url = f"http://127.0.0.1:{free_port()}"
        self.pages_url = f"http://127.0.0.1:{free_port()}"
        self.leaks: list[str] = []  # where a secret was seen
        usual = {
            "source": 'path = "desired_state"',
            "quiet_s": 0.2,
            "verify_s": 20,
            "url": self.simulator_url,
            "max_concurrent": 8,
            "stop_after_failures": 0,
            "resync_s": 30,
            "port": self.pages_url.rpartition(":")[2],
        }
        self._settings = {**usual, **settings}
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._simulator: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self.configure()
        fleet.make(self.desired, tasks, tables=tables)

    # --- configuration and commands ----------------------------------------------------------------------------------

    def configure(self, **settings: Any) -> None:
        """Write `reconciler.toml`; what is not named stays as it was."""
        self._settings.update(settings)
        self.config_path.write_text(CONFIG.format(**self._settings), encoding="utf-8")

    def run(self, *arguments: str, timeout_s: float = 120) -> Ended:
        """Run a command to its end."""
        began = time.monotonic()
        done = subprocess.run(
            [*RECONCILER, *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        self.search(f"reconciler {' '.join(arguments)}", done.stdout + done.stderr)
        return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def must(self, *arguments: str) -> str:
        """Run a command that has to succeed; returns its output.

        Raises:
            RigError: it did not.
        """
        ended = self.run(*arguments)
        if ended.code:
            raise RigError(f"reconciler {' '.join(arguments)} exited {ended.code}: {ended.err[-500:]}")
        return ended.out

    def search(self, where: str, text: str) -> None:
        """Note it when a secret stands in a text."""
        self.leaks += [f"{where}: the value of {name}" for name, value in SECRETS.items() if value in text]

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILER_")}
        return {**ours, **SECRETS, "PYTHONPATH": str(ROOT)}

    # --- the simulator -----------------------------------------------------------------------------------------------

    def start_simulator(self, peopled: int | None = None) -> None:
        """Start it and wait until it answers.

        Args:
            peopled: the first so many tasks get a component; None: all.
        """
        fleet_path = self.folder / "fleet.json"
        found = fleet.components(self.desired, self.tasks if peopled is None else peopled)
        fleet_path.write_text(json.dumps(found), encoding="utf-8")
        port = self.simulator_url.rpartition(":")[2]
        account = f"admin:{SECRETS['OMS_PASSWORD']}"
        arguments = ["simulate", "--port", port, "--fleet", str(fleet_path), "--credentials", account]
        self._simulator = self._start(arguments, self.folder / "simulator.log")
        wait_for("the simulator answers", self._answers, START_S)
        fleet_path.unlink()  # it holds secrets as a component has them
        self.back_door("timing", TIMING)

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return self._http.get(f"{self.simulator_url}/oms/health").status_code == httpx.codes.OK
        return False

    def back_door(self, path: str, body: Any = None, method: str = "") -> Any:
        """Ask the simulator what the API does not tell, or have it do what the API cannot.

        Raises:
            RigError: it refuses.
        """
        url = f"{self.simulator_url}/simulator/{path}"
        answer = self._http.request(method or ("GET" if body is None else "POST"), url, json=body)
        if answer.status_code != httpx.codes.OK:
            raise RigError(f"back door {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def updates(self) -> list[dict[str, Any]]:
        """All `UpdateIncrSync` calls that the simulator still remembers."""
        found: list[dict[str, Any]] = self.back_door("calls?action=UpdateIncrSync")
        return found

    # --- the daemon --------------------------------------------------------------------------------------------------

    def start_daemon(self) -> float:
        """Start it and wait until it is ready; returns how long that took, seconds."""
        self.daemon = self._start(["run"], self.log_path)
        return wait_for("the daemon is ready", self._ready, START_S, 0.02)

    def _start(self, arguments: list[str], log: Path) -> "subprocess.Popen[bytes]":
        with log.open("ab") as stream:
            return subprocess.Popen(
                [*RECONCILER, *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # Ctrl-C ends this script first, which then ends them
            )

    def _ready(self) -> bool:
        if self.daemon is None or self.daemon.poll() is not None:
            raise RigError(f"the daemon ended: {self.log()[-1500:]}")
        with suppress(httpx.HTTPError):
            return self._http.get(f"{self.pages_url}/readyz").status_code == httpx.codes.OK
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        if self.daemon is not None:
            self.daemon.send_signal(number)

    def kill_daemon(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self.daemon is not None:
            self.daemon.wait()

    def stop_daemon(self, timeout_s: float = 45) -> int:
        """SIGTERM; returns its exit code, which is -9 when it had to be killed."""
        if self.daemon is None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            return self.daemon.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_daemon()
            return -9

    def close(self) -> None:
        """End both."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.stop_daemon()
        if self._simulator is not None and self._simulator.poll() is None:
            self._simulator.terminate()
            self._simulator.wait(30)
        self._http.close()

    def log(self) -> str:
        """What the daemon wrote so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def vital(self) -> Vital | None:
        """How the daemon is; None while it is not there."""
        if self.daemon is None:
            return None
        pid = self.daemon.pid
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            fds = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - of a directory whose entries vanish
            page = self._http.get(f"{self.pages_url}/metrics").text
            rss_kib, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
        except (OSError, httpx.HTTPError, KeyError, ValueError):
            return None
        self.search("/metrics", page)
        cpu_s = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return Vital(time.time(), pid, rss_kib, fds, threads, cpu_s, _metrics(page))


def _metrics(page: str) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
