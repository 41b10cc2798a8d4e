"""`reconciler run` as a process of its own, and what stands round it: files, an OMS, a manager's socket, a store."""

import json
import re
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from reconciler.clock import SystemClock
from reconciler.model import Condition, Record, Suspension
from reconciler.simulator.components import ComponentStatus, component_name
from reconciler.simulator.exchange import Request
from reconciler.simulator.fleet import ComponentSpec, Fleet, ProjectSpec, written_by_oms
from reconciler.simulator.server import serve
from tests.hurry import HurriedClock
from tests.integration.bench import SENTINELS, Bench, WatchedOms, documents, name_of
from tests.projects import Ended, command, environment, run_process

PATIENCE_S = 20.0
"""How long a condition may take before a test gives up; on a busy machine most of it is waiting for a processor."""

_CLIENT = httpx.Client(timeout=5)  # one for all: making one costs as much as 40 requests


def until(question: Callable[[], Any], what: str = "it", patience_s: float = PATIENCE_S, told: Any = "") -> Any:
    """The first answer that is true.

    Args:
        question: asked again and again.
        what: is waited for, for the message of a failure.
        patience_s: how long to ask, seconds.
        told: what helps to understand a failure; called when it can be.
    """
    deadline = time.monotonic() + patience_s
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"{what} did not come true within {patience_s:g} s\n{told() if callable(told) else told}"
            )
        time.sleep(0.02)
    return answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Daemon:
    """A running `reconciler run`.

    Args:
        process: it.
        log: file that its standard error goes to.
        pages: base address of its pages.
    """

    def __init__(self, process: "subprocess.Popen[str]", log: Path, pages: str) -> None:
        self.process, self._log, self.pages = process, log, pages

    @property
    def pid(self) -> int:
        return self.process.pid

    # --- what it says ----------------------------------------------------------------------------------------------

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log so far, whole lines only; nothing else is ever written to standard error."""
        whole, _, _ = self.text.rpartition("\n")
        lines = whole.split("\n") if whole else []
        assert [line for line in lines if not line.startswith("{")] == []
        return [json.loads(line) for line in lines]

    def said(self, pattern: str, **fields: Any) -> list[dict[str, Any]]:
        """Lines whose event or reason matches a pattern and that have these fields."""
        return [
            line
            for line in self.lines
            if re.search(pattern, f"{line['event']}: {line.get('reason', '')}")
            and all(line.get(name) == value for name, value in fields.items())
        ]

    @property
    def text(self) -> str:
        """All that it wrote to standard error."""
        return self._log.read_text()

    def tail(self) -> str:
        """The end of it, for the message of a failure."""
        return self.text[-6000:]

    def until(self, question: Callable[[], Any], what: str = "it", patience_s: float = PATIENCE_S) -> Any:
        """The first answer that is true, while the daemon lives."""

        def asked() -> Any:
            answer = question()
            assert answer or self.process.poll() is None, f"ended with {self.process.returncode}\n{self.tail()}"
            return answer

        return until(asked, what, patience_s, self.tail)

    def stays(self, question: Callable[[], Any], seconds: float) -> None:
        """See to it that something stays true for a while: there is no event to wait for when nothing happens."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            assert question(), self.tail()
            time.sleep(min(left, 0.2))

    def says(self, pattern: str, *, times: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for a line, or for so many; the last of them."""
        self.until(lambda: len(self.said(pattern, **fields)) >= times, f"log: {pattern} {fields}")
        return self.said(pattern, **fields)[-1]

    # --- its pages ---------------------------------------------------------------------------------------------------

    def page(self, path: str) -> httpx.Response:
        return _CLIENT.get(f"{self.pages}{path}")

    def trouble(self, path: str = "/readyz") -> str:
        """Why a page says that all is not well; "" when it is, "away" when nobody answers."""
        try:
            answer = self.page(path)
        except httpx.TransportError:
            return "away"
        assert answer.status_code in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE), answer.text
        return str(answer.json()["reason"])

    def ready(self) -> "Daemon":
        self.until(lambda: self.trouble() == "", "/readyz")
        return self

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of a name that have these labels."""
        families = text_string_to_metric_families(self.page("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == f"reconciler_{name}"]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def look_again(self) -> None:
        """Have everything looked at once more, and wait until that is over."""
        before = self.metric("passes_total", cause="command")
        self.signal(signal.SIGUSR1)
        self.until(lambda: self.metric("passes_total", cause="command") > before, "a look at everything")

    # --- its end -----------------------------------------------------------------------------------------------------

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def reload(self) -> None:
        self.signal(signal.SIGHUP)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(patience_s)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    # --- what the kernel knows of it ---------------------------------------------------------------------------------

    @property
    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


class Manager:
    """A service manager: the socket that a daemon tells how it is.

    Every message is one dictionary, `{"READY": "1", "STATUS": "..."}`; a thread takes them, because a queue that is
    not read would stop the daemon.
    """

    def __init__(self) -> None:
        self.timed: list[tuple[float, dict[str, str]]] = []  # (monotonic, message)
        self.address = f"@reconciler-test-{uuid.uuid4()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self.address[1:]}")
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        while data := self._socket.recv(65536):
            self.timed.append((time.monotonic(), dict(line.split("=", 1) for line in data.decode().split("\n"))))

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", f"\0{self.address[1:]}")
        self._thread.join()
        self._socket.close()

    def environment(self, watchdog_s: float = 0.0) -> dict[str, str]:
        """What systemd sets for a service of `Type=notify`."""
        watchdog = {"WATCHDOG_USEC": str(round(watchdog_s * 1_000_000))} if watchdog_s else {}
        return {"NOTIFY_SOCKET": self.address} | watchdog

    @property
    def messages(self) -> list[dict[str, str]]:
        return [message for _, message in list(self.timed)]

    def told(self, name: str) -> list[dict[str, str]]:
        """Messages that have this name."""
        return [message for message in self.messages if name in message]

    @property
    def silent_s(self) -> float:
        """For how long nothing was told."""
        return time.monotonic() - self.timed[-1][0]

    @property
    def states(self) -> list[str]:
        """READY, RELOADING and STOPPING in the order in which they came."""
        lives = ("READY", "RELOADING", "STOPPING")
        return [name for message in self.messages for name in lives if name in message]


class Blocker:
    """A file server that stops answering: the daemon's main thread hangs when it opens a certain file.

    Args:
        folder: where the files lie by which the daemon and the test agree.
    """

    def __init__(self, folder: Path) -> None:
        self._wanted, self._reached = folder / "hang-at", folder / "hangs"

    def environment(self) -> dict[str, str]:
        """What lets `plugins/sitecustomize.py` run in a daemon."""
        plugins = Path(__file__).with_name("plugins")
        return {"PYTHONPATH": f"{plugins}:{environment()['PYTHONPATH']}", "HANG_AT": str(self._wanted)}

    def hang_at(self, end_of_path: str) -> None:
        """Let the daemon hang when it next opens a file whose path ends so."""
        self._wanted.write_text(end_of_path)

    @property
    def hangs(self) -> bool:
        return self._reached.exists()

    def release(self) -> None:
        self._wanted.unlink()


def fleet_of(number: int) -> Fleet:
    """So many projects with one component each, as `bench.documents` addresses them."""
    return tuple(
        ProjectSpec(f"np_{each}", components=(ComponentSpec(name_of(each), config=written_by_oms(f"np_{each}")),))
        for each in range(number)
    )


class Site(Bench):
    """A directory with configuration, tasks and store; a simulated OMS; the daemons that run there.

    `store` is a connection of the test's own, as a command beside the daemon has one.

    Args:
        folder: where everything lies.
        oms: the simulator.
        stack: ends the servers.
        reaper: ends the daemons.
    """

    def __init__(self, folder: Path, oms: WatchedOms, stack: ExitStack, reaper: "Reaper") -> None:
        self._stack, self._reaper = stack, reaper
        self._served = stack.enter_context(ExitStack())
        self.port = free_port()
        self.root = folder
        super().__init__(folder, oms, f"http://127.0.0.1:{self.port}", SystemClock())  # type: ignore[arg-type]
        self.serve()
        self.most_at_once = 0
        oms.watch = self._count
        self.pages = f"127.0.0.1:{free_port()}"
        self.daemons: list[Daemon] = []
        self.settings: dict[str, dict[str, Any]] = {
            "desired_state": {"quiet_s": 0.05, "max_wait_s": 1},
            "policy": {"new_tasks": "adopt", "verify_s": 5},
            "daemon": {"http_listen": self.pages, "log_format": "json", "resync_s": 600},
            "targets.default": self.target(),
        }
        self.configure()

    # --- the server ------------------------------------------------------------------------------------------------

    def target(self, **changes: Any) -> dict[str, Any]:
        return {"url": self.url, "username": "admin", "password": "${env:OMS_PASSWORD}", "requests_per_s": 0} | changes

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Let the server listen, at the same address as before."""
        self._served.enter_context(serve(self.oms, port=self.port))

    def serve_other(self) -> None:
        """Serve the same components at a second address, as target `other`."""
        url = self._stack.enter_context(serve(self.oms))
        self.configure(targets_other=self.target(url=url))

    def answer_only_when(self, released: threading.Event) -> None:
        """Keep every update waiting until the test says so."""
        self.oms.watch = lambda request: request.action != "UpdateIncrSync" or released.wait(PATIENCE_S)

    def go_down(self) -> None:
        """Close the server's port; what it holds stays."""
        self._served.close()

    def _count(self, _request: Request) -> None:
        """Note how many components restart at the same time."""
        stopped = sum(component.status is ComponentStatus.STOPPED for component in self.oms.components)
        self.most_at_once = max(self.most_at_once, stopped)

    # --- configuration -----------------------------------------------------------------------------------------------

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Lay settings over the present ones; `targets_other` is the section `targets.other`."""
        for name, members in sections.items():
            section = name.replace("_", ".", 1) if name.startswith("targets") else name
            self.settings = self.settings | {section: self.settings.get(section, {}) | members}
        (self.root / "reconciler.toml").write_text(_toml(self.settings))

    def move_pages(self) -> None:
        """Configure another address for the pages."""
        self.pages = f"127.0.0.1:{free_port()}"
        self.configure(daemon={"http_listen": self.pages})

    # --- processes ---------------------------------------------------------------------------------------------------

    def run(self, *arguments: str, **environ: str) -> Ended:
        """A command in a process of its own."""
        return run_process(self.root, *arguments, **self.environment, OMS_PASSWORD="simulator", **environ)

    def launch(self, *, preexec: Callable[[], None] | None = None, **environ: str) -> Daemon:
        """Start a daemon, without waiting for it."""
        log = self.root / f"log-{len(self.daemons)}"
        secrets = {**self.environment, "OMS_PASSWORD": "simulator"}
        with log.open("w") as stream:
            process = subprocess.Popen(
                command("run"),
                cwd=self.root,
                env=environment(**secrets | environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                text=True,
                preexec_fn=preexec,  # noqa: PLW1509 - the child only sets a limit
            )
        self._reaper.take(process)
        daemon = Daemon(process, log, f"http://{self.pages}")
        self.daemons.append(daemon)
        return daemon

    def start(self, **more: Any) -> Daemon:
        """Start a daemon and wait until it is ready and has said how each task is."""
        daemon = self.launch(**more).ready()
        tasks = {str(path.parent.relative_to(self.desired)) for path in self.desired.rglob("task.json")}
        daemon.until(lambda: tasks <= self.states.keys(), "a state of each task")
        return daemon

    def started_with(self, *tasks: str, **more: Any) -> Daemon:
        """Have tasks, numbered from 0, and a daemon that recorded them as applied."""
        for number, task in enumerate(tasks):
            self.put(task, number)
        return self.start(**more)

    # --- files ---------------------------------------------------------------------------------------------------------

    def put_role(self, task: str, number: int) -> None:
        """A task that addresses its component by its place in the project."""
        self.put(task, number)
        role = {"project": f"np_{number}", "link": "forward", "index": 0}
        self.write("task", task, {"component": role, "manage": ["/coordinator/taskIdentity"]})

    def suspend(self, task: str, until: float) -> None:
        """Suspend a task until a moment (unix seconds), which the command line gives in minutes at least."""
        self.store.suspend(task, Suspension("for a moment", datetime.fromtimestamp(until, UTC)))

    def throttle(self, *tasks: str, to: int) -> None:
        """Edit tasks in a way that no rail guards; the calls show it in `throttles`."""
        for task in tasks:
            self.edit("coordinator", task, throttleRps=str(to))

    # --- what came of it -----------------------------------------------------------------------------------------------

    @property
    def states(self) -> dict[str, str]:
        """`{task: state}` as the daemon said last."""
        return {task: state.state for task, state in self.store.states().items()}

    def state(self, task: str = "shop") -> str:
        return self.states.get(task, "")

    def comes_to(self, state: str, task: str = "shop", patience_s: float = PATIENCE_S) -> None:
        """Wait until the daemon says so."""
        self.daemons[-1].until(lambda: self.state(task) == state, f"{task} is {state}", patience_s)

    def calls(self, number: int) -> list[dict[str, Any]]:
        """Wait until so many updates reached the server; their bodies."""
        self.daemons[-1].until(lambda: len(self.sent) >= number, f"{number} calls")
        return self.sent

    def settles(self, *tasks: str) -> None:
        """Wait until these tasks (all when none is named) are synced, and none of their calls is open."""

        def settled() -> bool:
            states = self.states
            chosen = tasks or tuple(states)
            ended = {record.task for record in self.records() if record.condition in _ENDED and not record.open_intents}
            return bool(chosen) and all(states.get(task) == "synced" and task in ended for task in chosen)

        self.daemons[-1].until(settled, f"{tasks or 'all'} synced")

    def outcomes(self, task: str = "shop") -> list[str]:
        """Outcomes of a task's calls, oldest first."""
        return [entry.outcome for entry in reversed(self.store.history(task, 1000)) if entry.kind == "outcome"]

    @property
    def throttles(self) -> list[int]:
        """What each call set, in order: which content was sent."""
        return [int(body["config"]["coordinator"]["throttleRps"]) for body in self.sent]

    def records(self) -> Iterable[Record]:
        return self.store.records().values()


_ENDED = (Condition.SYNCED, Condition.NOT_VERIFIED)


def _toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML of sections with plain members; `notify` is a list of one channel."""
    lines = []
    for section, members in settings.items():
        lines.append("[[notify]]" if section == "notify" else f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in members.items()]
    return "\n".join(lines)


class Reaper:
    """Lets daemons end by themselves, so that their coverage is written, while the next test already runs."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []

    def take(self, process: "subprocess.Popen[str]") -> None:
        """See to it that a process ends."""
        self._processes.append(process)

    def ask(self) -> None:
        """A test is over: what it started may end."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()

    def finish(self) -> None:
        """Wait for all of them; one that cannot end is killed."""
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def site(folder: Path, fleet: Fleet, reaper: Reaper) -> Iterator[Site]:
    """A site whose server runs; what was started there is asked to end."""
    oms = WatchedOms(clock=HurriedClock())
    oms.add_fleet(fleet)
    with ExitStack() as stack:
        stack.callback(reaper.ask)
        made = Site(folder, oms, stack, reaper)
        with closing(made.store):
            yield made


__all__ = [
    "SENTINELS",
    "Blocker",
    "Daemon",
    "Manager",
    "Site",
    "component_name",
    "documents",
    "fleet_of",
    "name_of",
    "site",
    "until",
]
