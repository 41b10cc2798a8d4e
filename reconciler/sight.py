"""Where the component of a job is now, and how: its present name and region, for a write and for what follows it."""

from collections.abc import Sequence
from contextlib import suppress

from reconciler.core import health
from reconciler.core.names import lasting_part
from reconciler.errors import CapabilityMissingError, PermanentTargetError, TargetError
from reconciler.events import Moved
from reconciler.jobs import Job, Place, Status, Tools
from reconciler.model import ComponentRole, Dimension, Link, ObservedComponent
from reconciler.ports import Target

BUSY_PROJECT = ("RUNNING_MODIFYING", "RUNNING_MERGING")


class HeldError(Exception):
    """Nothing is sent, for a reason seen only now."""

    def __init__(self, reason: str, status: Status = Status.BLOCKED, rail: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.rail = rail


class Sight:
    """Looks for the component of one job.

    Args:
        job: what it is for.
        target: the server; used by this thread only.
        tools: the world.
    """

    def __init__(self, job: Job, target: Target, tools: Tools) -> None:
        self._job = job
        self._target = target
        self._tools = tools
        self._store = tools.store

    def find(self, *, anew: bool) -> Place:
        """The component just before the call: its present name, region and health.

        Args:
            anew: whether what was read of its project for the same plan does not count.

        Raises:
            HeldError: it cannot be told which it is, or it must not be touched now.
            TargetError: the server does not tell.
        """
        task, project = self._job.work.desired.task, self._job.project
        components = self._observe(project, anew=anew) if project else ()
        address = task.address
        if address.role is not None:
            component = health.in_role(components, address.role)
            self._check_same(components, component, address.role)
            if component is None:
                raise HeldError(
                    f"project {project} has no {address.role.link.value} component {address.role.index};"
                    f" the server lists {_names(components)}"
                )
            if component.name in self._job.taken:
                raise HeldError(f"resolves to {component.name}, which another task declares by name")
            self.note_move(record.component if (record := self._job.work.base.record) else "", component.name)
            return Place(Dimension.NAME, component.name, component.region, component)
        key, dimension = address.key or "", address.dimension or Dimension.NAME
        found = health.by_name(components, key)
        if components and found is None and address.exact:
            raise HeldError(
                f"project {project} has no component {key}: it may have moved to another host;"
                f" the server lists {_names(components)}; correct key, or address it by component"
            )
        return Place(dimension, key, task.cm_region or "", found)

    def _check_same(
        self, components: Sequence[ObservedComponent], found: ObservedComponent | None, role: ComponentRole
    ) -> None:
        """A role counts what is listed, so a component that is missing must not make it mean its neighbour."""
        parts = [lasting_part(component.name) for component in health.of_link(components, role.link)]
        if len(set(parts)) != len(parts):
            raise HeldError(f"two {role.link.value} components have one place in the project: {_names(components)}")
        record = self._store.record(self._job.item.address)
        before = lasting_part(record.component) if record else ""
        if not before and found is not None and not health.is_without_gap(components, role.link):
            raise HeldError(
                f"which component {role.index} is cannot be told while some are missing; the server lists"
                f" {_names(components)}; wait until all are there, or address it by name"
            )
        if before and found is not None and lasting_part(found.name) != before:
            raise HeldError(
                f"component {role.index} was {before} and is {found.name} now; the server lists {_names(components)};"
                " if that is right, reconciler adopt the task and send it anew"
            )

    def _observe(self, project: str, *, anew: bool) -> tuple[ObservedComponent, ...]:
        """Components of a project; () when the server cannot tell."""
        with suppress(PermanentTargetError, CapabilityMissingError):  # then nothing says that it is busy
            status = self._target.progress(project).status
            if status in BUSY_PROJECT:
                raise HeldError(f"project {project} is {status}: components must not be touched now; try again later")
        seen = self._tools.sightings.recent(self._job, project, self._tools.clock.monotonic())
        if seen is not None and not anew:
            return seen
        try:
            return self.components(project)
        except (PermanentTargetError, CapabilityMissingError) as error:
            if self._job.work.desired.task.address.role is not None:
                raise HeldError(f"the present name of the component cannot be found: {error}") from None
            return ()

    def components(self, project: str) -> tuple[ObservedComponent, ...]:
        """Components of a project as they are now.

        Raises:
            TargetError: the server does not tell.
        """
        components = self._target.components(project)
        self._tools.sightings.put(self._job, project, self._tools.clock.monotonic(), components)
        return components

    def position(self, place: Place) -> int | str | None:
        """From where a component that was just found goes on: unix seconds, or the text that its project has instead.

        Returns:
            None when the server does not say.

        Raises:
            TargetError: it cannot be asked now.
        """
        component, project = place.component, self._job.project
        if component is None or project is None:
            return None
        with suppress(PermanentTargetError, CapabilityMissingError):  # then the component's own is all there is
            progress = self._target.progress(project)
            link = progress.reverse_checkpoint if component.link is Link.REVERSE else progress.checkpoint
            if isinstance(link, str):
                return link
        return component.checkpoint

    def has_moved(self, place: Place) -> bool:
        """Whether the component of a role has another name by now, so that it was the name that was refused."""
        role = self._job.work.desired.task.address.role
        if role is None:
            return False
        try:
            now = health.in_role(self.components(role.project), role)
        except TargetError:
            return False
        return now is not None and now.name != place.key

    def note_move(self, before: str, now: str) -> None:
        """Say that a component runs on another host than when it was last seen; nothing is sent for that reason."""
        if before not in ("", now, lasting_part(now)) and before != lasting_part(before):
            self._store.set_component(self._job.item.address, now)
            self._tools.tell(Moved(self._job.item.task, before, now))


def _names(components: Sequence[ObservedComponent]) -> str:
    return ", ".join(component.name for component in components) or "none"
