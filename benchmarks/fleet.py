"""Makes fleets of tasks to measure on, and the components of a simulated OMS that go with them.

Four files with 10 to 40 keys and 20 to 200 tables each, as real ones have. Most tasks name their component, some say
which place in a project it has; some projects have several components, some have a reverse link; there are 100 hosts.
"""

import json
import os
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

SINK = "com.oceanbase.oms.connector.jdbc.sink.obmysql.OBMySQLJDBCSinkBooster"
SOURCE = "com.oceanbase.oms.connector.source.store.MultiStoreSourceBooster"
SECTIONS = ("coordinator", "condition", "source", "sink")
SECRET = "BENCH_SECRET"  # noqa: S105 - the name of a variable
HOSTS = 100
FEW_TABLES, MANY_TABLES = (5, 30), (20, 200)

Documents: TypeAlias = dict[str, dict[str, Any]]
"""`{"task": {...}, "coordinator": {...}, ...}`, the five files of a task."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the component of a task is."""

    number: int  # of the task, and of the component
    project: str
    link: str
    index: int  # among the components of its link
    by_role: bool  # whether the task says so, instead of naming the component

    @property
    def lasting(self) -> str:
        """What of the name stays when the component moves to another host."""
        return f"{self.project}-incr_trans-1-{self.index}"

    @property
    def name(self) -> str:
        """Name of the component, before it moves."""
        return f"10.0.0.{1 + self.number % HOSTS}-9000:connector_v2:{self.lasting}:{self.number:010}"


def place_of(number: int) -> Place:
    """Where a task's component is; of ten tasks, six have a project of their own, and four share two."""
    block, slot = number - number % 10, number % 10
    if slot == 5:  # noqa: PLR2004 - a forward link; its reverse one is that of slot 9
        return Place(number, f"np_{block + 5:012x}", "forward", 0, by_role=True)
    if slot == 9:  # noqa: PLR2004 - see slot 5
        return Place(number, f"np_{block + 5:012x}", "reverse", 0, by_role=True)
    if slot == 8:  # noqa: PLR2004 - the second component of the project of slot 7
        return Place(number, f"np_{block + 7:012x}", "forward", 1, by_role=True)
    return Place(number, f"np_{number:012x}", "forward", 0, by_role=slot == 6)  # noqa: PLR2004 - one by role, alone


def may_delete(number: int) -> bool:
    """Whether a task's files are all of its component's configuration."""
    return number % 3 == 0


def name_of(number: int) -> str:
    """A task's name: its folder below the desired state."""
    return f"team-{number % 50:02}/task-{number:05}"


def make(root: Path, tasks: int, seed: int = 1, tables: tuple[int, int] = MANY_TABLES) -> None:
    """Write *tasks* task folders below *root*; the same seed gives the same bytes."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, nothing to protect
    for number in range(tasks):
        folder = root / name_of(number)
        folder.mkdir(parents=True)
        for name, document in documents(number, chance, tables).items():
            (folder / f"{name}.json").write_text(as_text(document), encoding="utf-8")


def as_text(document: Mapping[str, Any]) -> str:
    """A file's text."""
    return json.dumps(document, indent=2) + "\n"


def documents(number: int, chance: random.Random, tables: tuple[int, int] = MANY_TABLES) -> Documents:
    """The five files of one task."""
    place = place_of(number)
    rules = [{"name": f"table_{n}", "map": f"table_{n}"} for n in range(chance.randint(*tables))]
    tuning = {f"tuning{n}": str(chance.randint(1, 1000)) for n in range(chance.randint(0, 20))}
    client = f"MYSQL_{place.project}-1-{place.index}"
    checkpoint = {"checkpoint": "${oms:checkpoint}"} if may_delete(number) else {}
    return {
        "task": _task(place),
        "coordinator": {
            "taskIdentity": place.project,
            "sourceType": "MYSQL",
            "sinkType": "OB_MYSQL",
            "throttleRps": str(chance.randint(1000, 9999)),
            **tuning,
        },
        "condition": {"whiteCondition": [{"name": "shop", "map": "shop", "all": False, "sub": rules}]},
        "source": {
            "boosterClass": SOURCE,
            "jar": "connector-source-store.jar",
            "dbType": "MYSQL",
            "clients": [{"clientId": client, "subtopic": client, "clusterManagerUrl": "http://10.0.0.11:8088"}],
            "username": "oms_store",
            "password": f"${{env:{SECRET}}}",
            "splitThreshold": "128",
            **checkpoint,
        },
        "sink": {
            "boosterClass": SINK,
            "jar": "jdbc-sink-ob-mysql.jar",
            "jdbcUrl": "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true",
            "username": "shop_oms@shop#obprod",
            "password": f"${{env:{SECRET}}}",
            "workerNum": "16",
        },
    }


def _task(place: Place) -> dict[str, Any]:
    role = {"project": place.project, "link": place.link, "index": place.index}
    address = {"component": role} if place.by_role else {"dimension": "NAME", "key": place.name, "cmRegion": "default"}
    more = {"manage": ["/coordinator/taskIdentity"], "allow": ["/condition/whiteCondition"]}
    return {**address, "allowDelete": may_delete(place.number), **more}


# --- the other side -----------------------------------------------------------------------------------------------


def components(root: Path, tasks: int) -> dict[str, Any]:
    """A fleet file for the simulator: for each task a component that has what its files say."""
    projects: dict[str, list[dict[str, Any]]] = {}
    for number in range(tasks):
        place = place_of(number)
        config = wanted(read(root / name_of(number)))
        component = {"name": place.name, "link": place.link, "config": config}
        projects.setdefault(place.project, []).append(component)
    return {"projects": [{"id": project, "components": found} for project, found in projects.items()]}


def read(folder: Path) -> Documents:
    """The five files of a task as they lie there."""
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("task", *SECTIONS)}


def wanted(found: Documents) -> dict[str, dict[str, Any]]:
    """What a component has once these files are applied to it, as OMS stores it; without the checkpoint, which moves.

    Written from the documentation, not with the program's own functions, because the program is judged with it.
    """
    sections = {name: {k: v for k, v in found[name].items() if k != "$schema"} for name in SECTIONS}
    sections["source"].pop("checkpoint", None)
    return {name: {k: _stored(v, name) for k, v in members.items()} for name, members in sections.items()}


def _stored(value: Any, section: str) -> Any:
    if isinstance(value, dict):
        return {key: _stored(member, section) for key, member in value.items()}
    if isinstance(value, list):
        return [_stored(element, section) for element in value]
    if isinstance(value, str):
        return re.sub(r"\$\{env:(\w+)\}", lambda found: os.environ[found[1]], value)
    return value if section == "condition" else json.dumps(value)
