"""Everything the simulated OMS holds, and how it is found; events happen only in `World.settle`.

A component's position is computed when it is looked at, so that a call costs the same in a large fleet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from reconciler.model import SECTIONS, Dimension, Json, Link
from reconciler.simulator.components import (
    Component,
    ComponentStatus,
    Project,
    Ticket,
    ip_of,
    middle_of,
    moved_name,
)
from reconciler.simulator.configuration import ESSENTIAL, complete
from reconciler.simulator.fleet import ComponentSpec, ProjectSpec
from reconciler.simulator.settings import Switches, Timing
from reconciler.simulator.timeline import Timeline

TICKET_STEPS = (1, 3, 1, 7, 2, 1, 1, 999_985)
"""Distances between ticket ids: small gaps, then the next block of a million."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A configuration with which a component does not start.

    Args:
        section: one of the four.
        key: top-level key that does the harm.
        value: harmful value as it is stored (text); None: any value of the key.

    Raises:
        ValueError: no such section.
    """

    section: str
    key: str
    value: Json = None

    def __post_init__(self) -> None:
        if self.section not in SECTIONS:
            raise ValueError(f"section: expected one of {', '.join(SECTIONS)}, got {self.section!r}")


class World:
    """Projects, components and tickets at the moment of the last `settle`.

    Args:
        now: moment it begins, unix seconds.
        switches: readings of what the pages leave open.
        timing: how long things take.
    """

    def __init__(self, now: float, switches: Switches, timing: Timing) -> None:
        self.now = now
        self.switches = switches
        self.timing = timing
        self.timeline = Timeline()
        self.projects: dict[str, Project] = {}
        self.components: dict[str, Component] = {}  # by present name
        self._listed: dict[str, list[Component]] = {}  # by project, in the order in which they are listed
        self.tickets: dict[int, Ticket] = {}
        self.poisons: list[Poison] = []
        self._next_ticket = switches.first_ticket
        self._steps = cycle(TICKET_STEPS)

    def settle(self, now: float) -> None:
        """Let everything happen that was due until *now*; going back in time changes nothing."""
        self.timeline.run_until(now)
        self.now = max(self.now, now)

    # --- filling ---------------------------------------------------------------------------------------------------

    def add_project(self, spec: ProjectSpec) -> Project:
        """Add a project without components."""
        name = spec.name or spec.id
        project = Project(spec.id, name, spec.region, spec.status, created=self.now, modified=self.now)
        self.projects[spec.id] = project
        return project

    def add_component(self, project: Project, spec: ComponentSpec) -> Component:
        """Add a component to a project; a running one starts without lag unless the spec says otherwise."""
        config = complete(spec.config)
        checkpoint = self.now - self.timing.lag_s if spec.checkpoint is None else float(spec.checkpoint)
        component = Component(
            name=spec.name,
            project=project.id,
            link=spec.link,
            region=spec.region or project.region,
            config=config,
            running_config=config,
            initial=config,
            status=ComponentStatus(spec.status),
            checkpoint=checkpoint,
            as_of=self.now,
            created=self.now,
            modified=self.now,
            sampled=checkpoint,
            sampled_at=self.now,
        )
        self.components[component.name] = component
        self._listed.setdefault(project.id, []).append(component)
        return component

    # --- finding ---------------------------------------------------------------------------------------------------

    def of_project(self, project: str, link: Link | None = None) -> Iterator[Component]:
        """Components of a project, of one link or both, in the order in which they are listed, as of now."""
        for component in self._listed.get(project, ()):
            if link in (None, component.link):
                component.move_to(self.now, self.timing)
                yield component

    def addressed(self, dimension: Dimension, key: str, region: str) -> list[Component]:
        """Components that dimension, key and region of an update mean."""
        if dimension is Dimension.NAME:
            found = [self.components[key]] if key in self.components else []
        elif dimension is Dimension.IP:
            found = [each for each in self.components.values() if ip_of(each.name) == key]
        else:
            found = [each for each in self.components.values() if key in self._task_names(each)]
        return [each for each in found if each.region == region]

    def regions(self) -> list[str]:
        """All regions, sorted."""
        of_projects = {project.region for project in self.projects.values()}
        return sorted(of_projects | {component.region for component in self.components.values()})

    def ailment(self, component: Component) -> str:
        """Why a component cannot run with its configuration; empty when it can."""
        for poison in self.poisons:
            value = component.config[poison.section].get(poison.key)
            if value is not None and poison.value in (None, value):
                return f"invalid value of {poison.section}.{poison.key}"
        if self.switches.lost_keys == "exception":
            for section, key in ESSENTIAL:
                if key in component.initial[section] and key not in component.config[section]:
                    return f"missing {section}.{key}"
        return ""

    # --- changing --------------------------------------------------------------------------------------------------

    def open_ticket(self, action: str, targets: tuple[str, ...]) -> Ticket:
        """A new ticket, Initializing."""
        ticket = Ticket(self._next_ticket, action, targets, created=self.now)
        self._next_ticket += next(self._steps)
        self.tickets[ticket.id] = ticket
        return ticket

    def move(self, component: Component, ip: str | None = None, number: int | None = None) -> None:
        """Let HA put a component on another host: it gets another name and keeps its place in the lists."""
        name = moved_name(component.name, ip, number)
        if name in self.components:
            raise ValueError(f"there is a component {name} already")
        self.components[name] = self.components.pop(component.name)
        component.name, component.modified = name, self.now
        if not self.switches.move_keeps_config:
            component.config = component.running_config = component.initial

    def remove(self, component: Component) -> None:
        """Let a component vanish."""
        del self.components[component.name]
        self._listed[component.project].remove(component)

    def _task_names(self, component: Component) -> tuple[str, ...]:
        project = self.projects[component.project]
        return (project.id, project.name, middle_of(component.name))
