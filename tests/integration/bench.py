"""A directory of tasks, a store file and a simulated OMS on loopback, joined as the program joins them."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler import apply, resources, secret_files, wiring
from reconciler.core import canonical
from reconciler.core.policy import NewTasks, Policy
from reconciler.jobs import Result, Tools
from reconciler.model import Item, Link, Record
from reconciler.reconcile import Reconciler, Survey
from reconciler.simulator.exchange import Request
from reconciler.simulator.faults import Rule
from reconciler.simulator.fleet import ComponentSpec, ProjectSpec, written_by_oms
from reconciler.simulator.simulator import Simulator
from reconciler.source import DirectorySource
from reconciler.state.sqlite import SqliteStore
from reconciler.target.http import HttpTarget
from reconciler.target.settings import TargetSettings
from tests.integration.clocks import FakeClock

PROJECTS = 56
"""More than may be sent at first sight without being asked for."""

REGION = "default"
REVERSE = "10.0.0.1-9000:connector_v2:np_0-incr_trans-2-0:0000000900"
SECOND = "10.0.0.1-9000:connector_v2:np_0-incr_trans-1-1:0000000901"
VALIDATOR = wiring.validator()
CATALOGUE = resources.catalogue()
SENTINELS = {"STORE": "s3ntinel-of-the-store", "SINK": "s3ntinel-of-the-sink"}
ODDITY = "throttleRps"  # a key that no rail guards


def name_of(number: int, host: str = "10.0.0.1") -> str:
    """The forward component of project *number*."""
    return f"{host}-9000:connector_v2:np_{number}-incr_trans-1-0:{number + 6:010d}"


def documents(number: int = 0) -> dict[str, dict[str, Any]]:
    """The documents of a valid task whose payload is complete."""
    client = {"clientId": f"c{number}", "subtopic": f"MYSQL_np_{number}"}
    return {
        "task": {
            "dimension": "NAME",
            "key": name_of(number),
            "cmRegion": REGION,
            "manage": ["/coordinator/taskIdentity"],
        },
        "coordinator": {
            "taskIdentity": f"np_{number}",
            "sourceType": "MYSQL",
            "sinkType": "OB_MYSQL",
            "throttleRps": "20000",
            "throttleIOPS": "104857600",
        },
        "condition": {
            "whiteCondition": [{"name": "shop", "all": False, "sub": [{"name": "orders"}, {"name": "customer"}]}]
        },
        "source": {
            "boosterClass": "com.oceanbase.oms.connector.source.store.MultiStoreSourceBooster",
            "jar": "connector-source-store.jar",
            "dbType": "MYSQL",
            "clients": [client, client | {"clientId": f"d{number}"}],
            "password": "${env:STORE}",
            "checkpoint": "${oms:checkpoint}",
            "splitThreshold": "128",
        },
        "sink": {
            "boosterClass": "com.oceanbase.oms.connector.jdbc.sink.obmysql.OBMySQLJDBCSinkBooster",
            "jar": "jdbc-sink-ob-mysql.jar",
            "jdbcUrl": "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true",
            "username": "oms@shop#ob",
            "password": "${env:SINK}",
            "workerNum": "16",
        },
    }


class WatchedOms(Simulator):
    """A simulator that shows every request to a test before it answers."""

    watch: Callable[[Request], None] | None = None

    def answer(self, request: Request) -> Any:
        if self.watch is not None:
            self.watch(request)
        return super().answer(request)


def fleet() -> tuple[ProjectSpec, ...]:
    """Projects with one component each; the first has a second one and a reverse link."""

    def project(number: int) -> ProjectSpec:
        config = written_by_oms(f"np_{number}")
        components = [ComponentSpec(name_of(number), config=config)]
        if number == 0:
            components += [ComponentSpec(SECOND, config=config), ComponentSpec(REVERSE, Link.REVERSE, config)]
        return ProjectSpec(f"np_{number}", components=tuple(components))

    return tuple(project(number) for number in range(PROJECTS))


class Bench:
    """Everything that one pass needs, real but for clock and randomness.

    Args:
        folder: where files and store lie.
        oms: the simulator behind *url*.
        url: its address.
        clock: theirs and ours.
    """

    def __init__(self, folder: Path, oms: WatchedOms, url: str, clock: FakeClock) -> None:
        self.oms, self.clock = oms, clock
        self.desired = folder / "desired_state"
        self.desired.mkdir(parents=True)
        self.database = folder / "state" / "reconciler.db"
        self.environment = dict(SENTINELS)
        self.concurrent: dict[str, int] = {"default": 2, "other": 2}
        self.targets = {
            name: TargetSettings(name, url, "admin", "simulator", read_s=5.0) for name in ("default", "other")
        }
        self.said: list[tuple[str, str]] = []
        self.opened: list[str] = []
        self._seen = 0
        self.store = self.open_store()

    # --- files -----------------------------------------------------------------------------------------------------

    def put(self, task: str = "shop", number: int = 0, /, **changes: Any) -> Path:
        """Write the files of a task; a document is laid over the usual one, bytes replace it."""
        folder = self.desired / task
        folder.mkdir(parents=True, exist_ok=True)
        for document, content in documents(number).items():
            change = changes.get(document, {})
            data = change if isinstance(change, bytes) else json.dumps(content | change).encode()
            (folder / f"{document}.json").write_bytes(data)
        return folder

    def read(self, document: str, task: str = "shop") -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.desired / task / f"{document}.json").read_bytes())
        return content

    def edit(self, document: str, task: str = "shop", /, **members: Any) -> None:
        """Set members of one file; None removes one."""
        content = self.read(document, task) | members
        self.write(document, task, {key: value for key, value in content.items() if value is not None})

    def write(self, document: str, task: str, content: dict[str, Any]) -> None:
        (self.desired / task / f"{document}.json").write_text(json.dumps(content))

    # --- passes ----------------------------------------------------------------------------------------------------

    def open_store(self) -> SqliteStore:
        return SqliteStore.open(self.database, self.clock.now, digest_version=canonical.VERSION)

    def reopen(self) -> None:
        """What a fresh process does."""
        self.store.close()
        self.store = self.open_store()

    def reconciler(self) -> Reconciler:
        lookup = secret_files.resolver(self.environment)
        return Reconciler(DirectorySource(self.desired), VALIDATOR, CATALOGUE, self.store, lookup, self.clock)

    def survey(self, *selection: str, new: str = "apply", **rules: Any) -> Survey:
        return self.reconciler().survey(Policy(new_tasks=NewTasks(new), **rules), selection)

    def item(self, task: str = "shop", **rules: Any) -> Item:
        """The one item of a task."""
        (item,) = (item for item in self.survey(**rules).plan.items if item.task == task)
        return item

    def actions(self, **rules: Any) -> dict[str, str]:
        """`{task: what a plan would do}`."""
        return {item.task: item.action.value for item in self.survey(**rules).plan.items}

    def tools(self, verify_s: float = 30.0) -> Tools:
        return Tools(
            store=self.store,
            open_target=self._open_target,
            clock=self.clock,
            random=lambda: 0.5,
            verify_s=verify_s,
            max_concurrent=self.concurrent,
            report=lambda task, text: self.said.append((task, text)),
        )

    def carry_out(self, survey: Survey, verify_s: float = 30.0, reason: str = "") -> dict[str, Result]:
        return {result.task: result for result in apply.carry_out(survey, self.tools(verify_s), reason)}

    def apply(self, *selection: str, verify_s: float = 30.0, reason: str = "", **rules: Any) -> dict[str, Result]:
        """One `apply`; `{task: result}`."""
        return self.carry_out(self.survey(*selection, **rules), verify_s, reason)

    def applied(self, task: str = "shop", number: int = 0, /, **changes: Any) -> None:
        """A task whose component has what its files say, with no trace of how it got there."""
        self.put(task, number, **changes)
        assert self.apply(task)[task].status.value == "applied"
        self.look_away()

    def _open_target(self, name: str, hide: Any) -> HttpTarget:
        self.opened.append(name)
        return HttpTarget(self.targets[name], hide)

    def set_target(self, name: str = "default", **changes: Any) -> None:
        self.targets[name] = replace(self.targets[name], **changes)

    # --- what came of it -------------------------------------------------------------------------------------------

    def fault(self, kind: str, *, action: str | None = "UpdateIncrSync", **more: Any) -> None:
        """Let calls go wrong; unknown words are parameters of the kind."""
        fields = {name: more.pop(name) for name in ("project", "component", "times", "skip", "effect") if name in more}
        self.oms.add_fault(Rule(kind, action, **fields, parameters=more))

    def look_away(self) -> None:
        """Let `sent` begin anew."""
        self._seen = len(self.oms.calls_of("UpdateIncrSync"))

    @property
    def sent(self) -> list[dict[str, Any]]:
        """Bodies of the updates that reached the server."""
        return [call.body for call in self.oms.calls_of("UpdateIncrSync")[self._seen :]]

    @property
    def keys(self) -> list[str]:
        """Components that updates were sent to."""
        return [body["key"] for body in self.sent]

    def record(self, task: str = "shop") -> Record:
        (record,) = (record for record in self.store.records().values() if record.task == task)
        return record

    def config(self, number: int = 0) -> dict[str, Any]:
        return self.oms.component(name_of(number)).config

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the database file through a connection of one's own."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def kinds(self) -> list[tuple[str, str]]:
        """(kind, outcome) of every journal row, oldest first."""
        return [(entry.kind, entry.outcome) for entry in reversed(self.store.history(None, 1000))]
