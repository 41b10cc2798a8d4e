"""The simulated OMS as one object: it answers requests, and tests look inside it directly.

One lock guards everything; every look at the state first lets happen what was due. What comes out is a copy.
"""

import base64
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from reconciler.model import JsonObject, Link
from reconciler.simulator import operations
from reconciler.simulator.components import Component, ComponentStatus, Project, Ticket, component_name
from reconciler.simulator.configuration import complete, stored
from reconciler.simulator.damage import Answer
from reconciler.simulator.exchange import Call, Exchange, Request
from reconciler.simulator.faults import Family, FaultPlan, Rule
from reconciler.simulator.fleet import ComponentSpec, Fleet, ProjectSpec
from reconciler.simulator.settings import Switches, Timing, changed
from reconciler.simulator.world import Poison, World

log = logging.getLogger("reconciler.simulator")
PREFIX = "OMS simulator:"
CALLS_KEPT = 50_000
ASKED_AGAIN_S = 0.02  # a condition may come true by time alone
DEFAULT_SWITCHES = Switches()
DEFAULT_TIMING = Timing()


class Simulator:
    """An OMS with projects and components, answering the actions of API v2.

    Args:
        credentials: `user:password` of an account of the console.
        switches: readings of what the pages leave open.
        timing: how long things take.
        clock: unix seconds.
    """

    def __init__(
        self,
        credentials: str = "admin:simulator",
        switches: Switches = DEFAULT_SWITCHES,
        timing: Timing = DEFAULT_TIMING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authorization = "Basic " + base64.b64encode(credentials.encode()).decode()
        self._clock, self._skipped = clock, 0.0
        self._begin = (switches, timing)
        self._changed = threading.Condition(threading.RLock())
        self._fleet: dict[str, ProjectSpec] = {}
        self._calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self._numbers = 0
        self._faults = FaultPlan()
        self._world = World(self.now, switches, timing)

    # --- time ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated time, unix seconds."""
        return self._clock() + self._skipped

    def advance(self, seconds: float) -> None:
        """Let simulated time jump forward."""
        with self._changed:
            self._skipped += seconds
            self._settled()

    def finish(self) -> None:
        """Let simulated time jump behind everything that is planned: no ticket is open then, except stuck ones."""
        with self._changed:
            while (last := self._settled().timeline.last) is not None:
                self.advance(last - self.now + 0.001)

    def wait_until(self, condition: Callable[["Simulator"], bool], timeout_s: float = 10.0) -> bool:
        """Wait, in real seconds, until a condition holds; False: it never did."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self):
                if time.monotonic() > deadline:
                    return False
                self._changed.wait(ASKED_AGAIN_S)
            return True

    # --- what is there ---------------------------------------------------------------------------------------------

    @property
    def calls(self) -> tuple[Call, ...]:
        """Requests in the order of their arrival, the latest 50,000."""
        with self._changed:
            return tuple(self._calls)

    def calls_of(self, action: str) -> tuple[Call, ...]:
        """Requests for one action."""
        return tuple(call for call in self.calls if call.action == action)

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """Tickets in the order of their making, as they stand now."""
        with self._changed:
            return tuple(copy(ticket) for ticket in self._settled().tickets.values())

    def ticket(self, number: int) -> Ticket:
        """One ticket as it stands now. Raises KeyError."""
        with self._changed:
            return copy(self._settled().tickets[number])

    @property
    def components(self) -> tuple[Component, ...]:
        """All components as they stand now, by project and in their order there."""
        with self._changed:
            world = self._settled()
            return tuple(copy(each) for project in world.projects for each in world.of_project(project))

    def component(self, name: str) -> Component:
        """One component as it stands now, by its present name. Raises KeyError."""
        with self._changed:
            return copy(self._component(name))

    def project(self, project: str) -> Project:
        """One project as it stands now. Raises KeyError."""
        with self._changed:
            return copy(self._settled().projects[project])

    @property
    def projects(self) -> tuple[Project, ...]:
        """All projects as they stand now."""
        with self._changed:
            return tuple(copy(project) for project in self._settled().projects.values())

    @property
    def faults(self) -> tuple[Rule, ...]:
        """Rules that still wait for calls."""
        with self._changed:
            return self._faults.rules

    @property
    def switches(self) -> Switches:
        """The present readings."""
        return self._world.switches

    @property
    def timing(self) -> Timing:
        """The present durations."""
        return self._world.timing

    # --- filling ---------------------------------------------------------------------------------------------------

    def add_fleet(self, fleet: Fleet) -> None:
        """Add projects with their components."""
        for project in fleet:
            self.add_project(project.id, name=project.name, region=project.region, status=project.status)
            for component in project.components:
                self._add_component(project.id, component)

    def add_project(self, project: str, *, name: str = "", region: str = "default", status: str = "RUNNING") -> Project:
        """Add a project without components. Raises ValueError: its id is taken."""
        spec = ProjectSpec(project, name, region, status)
        with self._changed:
            if project in self._fleet:
                raise ValueError(f"there is a project {project} already")
            self._fleet[project] = spec
            return copy(self._settled().add_project(spec))

    def add_component(
        self,
        project: str,
        name: str = "",
        *,
        link: Link = Link.FORWARD,
        config: Mapping[str, JsonObject] | None = None,
        **more: Any,
    ) -> Component:
        """Add a component; its project is added too when it is not there.

        Args:
            project: project id.
            name: full name; empty: the next usual one on host 10.0.0.1.
            link: direction.
            config: sections it has.
            more: `region`, `status`, `checkpoint` as in `fleet.ComponentSpec`.

        Raises:
            ValueError: the name is taken, or the status unknown.
        """
        with self._changed:
            index = sum(1 for _ in self._world.of_project(project, link))
            usual = component_name("10.0.0.1", project, index, 6 + 13 * len(self._world.components))
            return self._add_component(project, ComponentSpec(name or usual, link, config or {}, **more))

    # --- changing --------------------------------------------------------------------------------------------------

    def add_fault(self, *rules: Rule) -> None:
        """Put rules behind the waiting ones; a poison counts at once."""
        with self._changed:
            for rule in rules:
                if rule.family is Family.POISON:
                    value = stored({"": {"": rule.parameter("value")}})[""][""]
                    self._world.poisons.append(Poison(rule.parameter("section"), rule.parameter("key"), value))
                else:
                    self._faults.add(rule)

    def clear_faults(self) -> None:
        """Let every call be normal, and every configuration good."""
        with self._changed:
            self._faults.clear()
            self._world.poisons.clear()

    def set_switches(self, **changes: Any) -> Switches:
        """Change some readings. Raises ValueError."""
        with self._changed:
            self._world.switches = changed(self._world.switches, changes)
            return self._world.switches

    def set_timing(self, **changes: Any) -> Timing:
        """Change some durations; what is planned keeps its moment. Raises ValueError."""
        with self._changed:
            self._settled().timing = changed(self._world.timing, changes)
            return self._world.timing

    def set_project(self, project: str, *, status: str | None = None, checkpoint_text: str | None = None) -> Project:
        """Put a project into a state; its components stay as they are. Raises KeyError.

        Args:
            project: project id.
            status: any word, `RUNNING_MODIFYING` for instance.
            checkpoint_text: forward position that is no time; empty: unix seconds again.
        """
        with self._changed:
            found = self._settled().projects[project]
            found.status = status or found.status
            if checkpoint_text is not None:
                found.checkpoint_text = checkpoint_text or None
            found.modified = self._world.now
            return copy(found)

    def set_component(
        self,
        name: str,
        *,
        status: str | None = None,
        checkpoint: float | None = None,
        config: Mapping[str, JsonObject] | None = None,
        error: str = "",
    ) -> Component:
        """Put a component into a state, as if somebody had done so on its host.

        Raises:
            KeyError: no such component.
            ValueError: no such status.
        """
        with self._changed:
            component, world = self._component(name), self._world
            details = (operations.error_detail(error),) if error else () if status else component.errors
            turned = ComponentStatus(status) if status else component.status
            component.turn(turned, world.now, world.timing, *details)
            if checkpoint is not None:
                component.place(checkpoint, world.now)
            if config is not None:
                component.config = complete(config)
            return copy(component)

    def move(self, name: str, *, ip: str | None = None, number: int | None = None) -> str:
        """Let HA move a component to another host; returns its new name. Raises KeyError, ValueError."""
        with self._changed:
            component = self._component(name)
            self._world.move(component, ip, number)
            return component.name

    def remove(self, name: str) -> None:
        """Let a component vanish. Raises KeyError."""
        with self._changed:
            self._world.remove(self._component(name))

    def reset(self) -> None:
        """Begin again: the projects and components that were added, no calls, tickets or faults, first settings."""
        with self._changed:
            self._calls.clear()
            self._numbers, self._skipped = 0, 0.0
            self._faults.clear()
            self._world = World(self.now, *self._begin)
            for spec in self._fleet.values():
                project = self._world.add_project(spec)
                for component in spec.components:
                    self._world.add_component(project, component)

    # --- answering -------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        """Carry a request out and say what goes back for it."""
        authorized = request.authorization == self._authorization
        with self._changed:
            exchange = Exchange(self._settled(), self._faults, request, authorized=authorized)
            answer = exchange.answer()
            self._numbers += 1
            call = Call(
                number=self._numbers,
                at=self._world.now,
                action=request.action,
                raw=request.raw,
                authorized=authorized,
                status=answer.status,
                request_id=exchange.request_id,
                fault=exchange.rule.kind if exchange.rule else "",
                executed=exchange.executed,
                ticket=exchange.ticket,
                text=exchange.text,
            )
            self._calls.append(call)
            self._changed.notify_all()
        quiet = request.action.startswith("Describe") and not call.fault and authorized
        log.log(logging.DEBUG if quiet else logging.INFO, "%s call %d: %s", PREFIX, call.number, call.text)
        return answer

    def _settled(self) -> World:
        self._world.settle(self.now)
        return self._world

    def _component(self, name: str) -> Component:
        component = self._settled().components[name]
        component.move_to(self._world.now, self._world.timing)
        return component

    def _add_component(self, project: str, spec: ComponentSpec) -> Component:
        with self._changed:
            world = self._settled()
            if spec.name in world.components:
                raise ValueError(f"there is a component {spec.name} already")
            if project not in world.projects:
                self.add_project(project)
            component = world.add_component(world.projects[project], spec)
            before = self._fleet[project]
            self._fleet[project] = replace(before, components=(*before.components, spec))
            return copy(component)
