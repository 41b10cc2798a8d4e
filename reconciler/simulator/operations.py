"""What the actions do to a world over time: updates and resets through tickets, stopping and resuming projects.

Source:
    Tickets, https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000000862259; restart by an update,
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000000862086.
"""

from collections.abc import Sequence
from functools import partial

from reconciler.model import JsonObject
from reconciler.simulator.components import Component, ComponentStatus, Ending, Project, Ticket, TicketState
from reconciler.simulator.configuration import Config, position, updated
from reconciler.simulator.world import World


def update(
    world: World, components: Sequence[Component], sent: Config, *, allow_delete: bool, ending: Ending
) -> Ticket:
    """Store a configuration now and restart the components for it.

    Args:
        world: what holds them.
        components: at least one.
        sent: stored sections of the request.
        allow_delete: see `configuration.updated`.
        ending: how the ticket ends; NO_EFFECT and FAILED store nothing.
    """
    ticket = world.open_ticket("UpdateIncrSync", tuple(each.name for each in components))
    if ending is Ending.NO_EFFECT:
        ticket.finish(TicketState.SUCCESSFUL, world.now)
        return ticket
    restarting = _Restart(world, ticket, ending)
    for component in components:
        after = updated(component.config, sent, allow_delete=allow_delete, switches=world.switches)
        if after == component.config and world.switches.noop_update == "skip":
            continue
        restarting.add(component, after)
    restarting.plan()
    return ticket


def reset(
    world: World, components: Sequence[Component], project: Project, start_timestamp: int, ending: Ending
) -> Ticket:
    """Move the position of a link once the ticket has succeeded.

    Args:
        world: what holds them.
        components: of the link.
        project: of the components.
        start_timestamp: unix seconds.
        ending: how the ticket ends; the position moves only when it ends as asked.
    """
    ticket = world.open_ticket("ResetIncrStartTimestamp", (project.id,))
    if ending is Ending.NO_EFFECT:
        ticket.finish(TicketState.SUCCESSFUL, world.now)
        return ticket
    begin = _queued(world, ticket, world.now)
    world.timeline.at(begin, partial(_enter, ticket, TicketState.IN_PROGRESS))

    def carry_out(at: float) -> None:
        if ending is Ending.FAILED:
            ticket.finish(TicketState.FAILED, at)
            return
        for component in components:
            component.move_to(at, world.timing)
            component.place(start_timestamp, at)
        ticket.finish(TicketState.SUCCESSFUL, at)

    if ending is not Ending.STUCK:
        world.timeline.at(begin + world.timing.reset_s, carry_out)
    return ticket


def stop_project(world: World, project: Project) -> None:
    """RUNNING becomes SUSPEND, and its components STOPPED, after a while; to say it twice changes nothing."""
    if project.stopping:
        return
    project.stopping = True
    world.timeline.at(world.now + world.timing.suspend_s, partial(_suspend, world, project))


def resume_project(world: World, project: Project) -> None:
    """SUSPEND or FAILED becomes RUNNING, and its components start, after a while."""
    world.timeline.at(world.now + world.timing.resume_s, partial(_resume, world, project))


def start(world: World, component: Component, at: float, broken: str = "") -> None:
    """Start a component with its stored configuration; it may end in EXCEPTION.

    Args:
        world: what holds it.
        component: any but one of a paused project, which stays as it is.
        at: moment of the start.
        broken: reason for an EXCEPTION that was ordered; empty for none.
    """
    if world.projects[component.project].status == "SUSPEND":
        return
    component.running_config = component.config
    if reason := broken or world.ailment(component):
        component.turn(ComponentStatus.EXCEPTION, at, world.timing, error_detail(reason))
    else:
        component.turn(ComponentStatus.RUNNING, at, world.timing)


def error_detail(reason: str) -> JsonObject:
    """One element of a component's `errorDetails`."""
    return {"code": "CM-RESOAT1111", "level": "ERROR", "message": reason, "messageMcmsContext": {"message": reason}}


class _Restart:
    """The work of one update's ticket."""

    def __init__(self, world: World, ticket: Ticket, ending: Ending) -> None:
        self._world = world
        self._ticket = ticket
        self._ending = ending
        self._components: list[Component] = []
        self._to_start: list[Component] = []
        self._positions: dict[Component, int | None] = {}

    def add(self, component: Component, after: Config) -> None:
        if self._ending is not Ending.FAILED:
            if self._world.switches.sent_checkpoint == "used" and after["source"] != component.config["source"]:
                moved = after["source"].get("checkpoint") != component.config["source"].get("checkpoint")
                self._positions[component] = position(after["source"]) if moved else None
            component.config = after
            component.modified = self._world.now
        self._components.append(component)

    def plan(self) -> None:
        world, timing = self._world, self._world.timing
        if not self._components:
            self._ticket.finish(TicketState.SUCCESSFUL, world.now)
            return
        free = max([world.now, *(component.busy_until for component in self._components)])
        begin = _queued(world, self._ticket, free)
        world.timeline.at(begin, self._stop)
        end = begin
        if self._ending is not Ending.STUCK:
            end = begin + timing.stop_s + timing.start_s
            world.timeline.at(end, self._start)
        for component in self._components:
            component.busy_until = end

    def _stop(self, at: float) -> None:
        self._ticket.state = TicketState.IN_PROGRESS
        for component in self._components:
            if component.status is not ComponentStatus.STOPPED or self._world.switches.update_starts_stopped:
                self._to_start.append(component)
            component.turn(ComponentStatus.STOPPED, at, self._world.timing)

    def _start(self, at: float) -> None:
        broken = "the connector did not start" if self._ending is Ending.EXCEPTION else ""
        for component in self._to_start:
            component.move_to(at, self._world.timing)
            moved_to = self._positions.get(component)
            if moved_to is not None:
                component.place(moved_to, at)
            start(self._world, component, at, broken)
        failed = self._ending is Ending.FAILED
        self._ticket.finish(TicketState.FAILED if failed else TicketState.SUCCESSFUL, at)


def _queued(world: World, ticket: Ticket, free: float) -> float:
    """Plan the first two states of a ticket; returns when its work begins."""
    half = world.timing.queue_s / 2
    world.timeline.at(free + half, partial(_enter, ticket, TicketState.READY))
    return free + 2 * half


def _enter(ticket: Ticket, state: TicketState, _at: float) -> None:
    ticket.state = state


def _suspend(world: World, project: Project, at: float) -> None:
    project.status, project.modified, project.stopping = "SUSPEND", at, False
    for component in world.of_project(project.id):
        if component.status is not ComponentStatus.FINISHED:
            component.turn(ComponentStatus.STOPPED, at, world.timing)


def _resume(world: World, project: Project, at: float) -> None:
    project.status, project.modified = "RUNNING", at
    for component in world.of_project(project.id):
        if component.status is not ComponentStatus.FINISHED:
            start(world, component, at)
