"""Which projects and components a simulator begins with: read from a fleet file, or guessed from desired state."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from reconciler.model import SECTIONS, JsonObject, Link
from reconciler.simulator.components import component_name, project_in


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One component to begin with.

    Args:
        name: full name; unique.
        link: direction.
        config: sections it has; a missing one is empty.
        region: where it runs; empty: as its project.
        status: RUNNING, STOPPED, EXCEPTION or FINISHED.
        checkpoint: unix seconds; None: without lag.
    """

    name: str
    link: Link = Link.FORWARD
    config: Mapping[str, JsonObject] = field(default_factory=dict, repr=False)
    region: str = ""
    status: str = "RUNNING"
    checkpoint: float | None = None


@dataclass(frozen=True, slots=True)
class ProjectSpec:
    """One project to begin with, and its components in the order in which they are listed."""

    id: str
    name: str = ""  # empty: its id
    region: str = "default"
    status: str = "RUNNING"
    components: tuple[ComponentSpec, ...] = ()


LINKS = tuple(link.value for link in Link)
MOST_INDEX = 99  # a slip of the keyboard makes no million of components

Fleet: TypeAlias = tuple[ProjectSpec, ...]


def fleet_from_file(path: Path) -> Fleet:
    """Read a fleet file.

    Its shape: `{"projects": [{"id", "name", "status", "region", "components": [{"name", "link", "config", "region",
    "status", "checkpoint"}]}]}`; all but the ids and the components' names may be left out.

    Raises:
        ValueError: the file is no such JSON.
        OSError: the file cannot be read.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return tuple(project_from_json(each) for each in document["projects"])
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: expected a fleet, see the documentation of the simulator: {error!r}") from error


def project_from_json(value: Mapping[str, Any]) -> ProjectSpec:
    """One element of `projects`.

    Raises:
        TypeError: an unknown member, or no id.
    """
    components = tuple(component_from_json(each) for each in value.get("components", ()))
    return ProjectSpec(**{**value, "components": components})


def component_from_json(value: Mapping[str, Any]) -> ComponentSpec:
    """One element of `components`.

    Raises:
        TypeError: an unknown member, or no name.
        ValueError: an unknown link, or a configuration that is not an object of sections.
    """
    config = value.get("config", {})
    if not isinstance(config, dict) or not all(each in SECTIONS and isinstance(config[each], dict) for each in config):
        raise ValueError(f"config: expected an object of {', '.join(SECTIONS)}")
    return ComponentSpec(**{**value, "link": Link(value.get("link", "forward"))})


def fleet_from_desired_state(path: Path) -> Fleet:
    """A fleet with a component for each address that the `task.json` files below a directory name.

    For trying out. Files that cannot be read, and addresses that mean more than one component, are left out.

    Args:
        path: the desired-state directory.
    """
    projects: dict[str, _Draft] = {}
    numbers = count(6, 13)
    for task in _tasks(path):
        role = task.get("component")
        if isinstance(role, dict):
            project, link, index = role.get("project"), role.get("link", "forward"), role.get("index", 0)
            if isinstance(project, str) and link in LINKS and isinstance(index, int):
                projects.setdefault(project, _Draft(project)).reach(Link(link), min(index, MOST_INDEX), numbers)
        elif task.get("dimension") == "NAME" and isinstance(task.get("key"), str):
            name: str = task["key"]
            project = project_in(name) or "np_" + re.sub(r"\W+", "_", name)
            projects.setdefault(project, _Draft(project)).name(name, str(task.get("cmRegion", "default")))
    return tuple(draft.spec() for draft in projects.values())


def written_by_oms(project: str) -> dict[str, JsonObject]:
    """Configuration as OMS writes it when it creates a component, as far as the public notes show it."""
    return {
        "coordinator": {
            "taskIdentity": project,
            "taskSubId": "1",
            "listenPort": "16001",
            "sourceType": "MYSQL",
            "sinkType": "OB_MYSQL",
            "timezone": "+08:00",
            "enableOmsConnectorV2Report": "true",
            "enableActiveReportTask": "true",
            "enableMetricReportTask": "true",
        },
        "source": {"dbType": "MYSQL"},
    }


class _Draft:
    """A project while its tasks are being read."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._region = ""
        self._components: list[ComponentSpec] = []

    def name(self, name: str, region: str) -> None:
        """Have a component of this name, once."""
        self._region = self._region or region
        if all(each.name != name for each in self._components):
            config = written_by_oms(self._project)
            self._components.append(ComponentSpec(name, config=config, region=region))

    def reach(self, link: Link, index: int, numbers: Iterator[int]) -> None:
        """Have components of a link up to an index."""
        present = sum(each.link is link for each in self._components)
        for position in range(present, index + 1):
            name = component_name("10.0.0.1", self._project, position, next(numbers))
            self._components.append(ComponentSpec(name, link, written_by_oms(self._project)))

    def spec(self) -> ProjectSpec:
        """What was collected."""
        return ProjectSpec(self._project, region=self._region or "default", components=tuple(self._components))


def _tasks(path: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(path.rglob("task.json")):
        try:
            task = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(task, dict):
            yield task
