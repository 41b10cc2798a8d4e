"""The actions of the API v2: their parameters are checked here, their work is done in `operations` and `views`.

Source:
    UpdateIncrSync https://en.oceanbase.com/docs/community-oms-en-10000000001080575, ResetIncrStartTimestamp
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913051; StopProject and ResumeProject as called by
    oceanbase/odc, states as on https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913109.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from reconciler.model import SECTIONS, Dimension, Json, JsonObject, Link
from reconciler.simulator import operations, views
from reconciler.simulator.components import Component, ComponentStatus, Ending, Project
from reconciler.simulator.configuration import Config, has_null, stored
from reconciler.simulator.envelope import CM_UNAVAILABLE, NO_SUCH_PROJECT, PARAM_ERROR, RefusedError
from reconciler.simulator.world import World

Handler = Callable[[World, JsonObject, Ending], Json]
"""(world, request body, how a ticket ends) -> `data`. Raises RefusedError."""

EDITIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "any": frozenset(),
        "CE": frozenset({"ResetIncrStartTimestamp", "DescribeRegions"}),
        "EE": frozenset({"UpdateIncrSync"}),
    }
)
"""Actions without a page in an edition."""


LAST_SECOND = 253_402_300_799
"""End of the year 9999: the last moment that the API's text form of a time can hold."""


def run(world: World, action: str, body: JsonObject, ending: Ending = Ending.AS_ASKED) -> Json:
    """Carry an action out.

    Args:
        world: settled to the present moment.
        action: its name.
        body: the request.
        ending: how the ticket it makes ends; other actions ignore it.

    Returns:
        `data` of the answer; a ticket id for actions that make a ticket.

    Raises:
        RefusedError: it is not carried out.
    """
    handler = ACTIONS.get(action)
    if handler is None or action in EDITIONS[world.switches.edition] or action in world.switches.unsupported:
        raise unsupported(world, action)
    return handler(world, body, ending)


def unsupported(world: World, action: str) -> RefusedError:
    """The refusal of a server that does not know an action."""
    return RefusedError(world.switches.unsupported_code, f"Unsupported action: {action}")


def no_such_project(project: str) -> RefusedError:
    """The refusal for a project that is not there."""
    return RefusedError(NO_SUCH_PROJECT, f"project {project} does not exist", {"projectId": project})


def addressed(world: World, action: str, body: JsonObject) -> list[Component]:
    """Components a request means, as far as it can be told; empty when it is wrong."""
    if action != "UpdateIncrSync":
        return list(world.of_project(str(body.get("id"))))
    try:
        dimension = Dimension(body.get("dimension"))
    except ValueError:
        return []
    return world.addressed(dimension, str(body.get("key")), str(body.get("cmRegion")))


def _update_incr_sync(world: World, body: JsonObject, ending: Ending) -> int:
    word = _text(body, "dimension")
    key, region = _text(body, "key"), _text(body, "cmRegion")
    sections = _sections(world, body)
    allow_delete = _flag(body, "allowDelete")
    if word not in {each.value for each in Dimension}:
        raise _wrong("dimension", "NAME, TASK_NAME or IP")
    dimension = Dimension(word)
    if dimension is not Dimension.NAME and allow_delete:
        raise RefusedError(PARAM_ERROR, "allowDelete needs dimension NAME")
    if dimension is not Dimension.NAME and world.switches.many == "reject":
        raise RefusedError(PARAM_ERROR, f"dimension {word} is not allowed")
    components = world.addressed(dimension, key, region)
    if not components:
        raise RefusedError(PARAM_ERROR, f"no component {key} in region {region}")
    for component in components:
        _must_accept_update(world, component)
    return operations.update(world, components, sections, allow_delete=allow_delete, ending=ending).id


def _must_accept_update(world: World, component: Component) -> None:
    if component.status is ComponentStatus.FINISHED:
        raise RefusedError(PARAM_ERROR, f"{component.name} is FINISHED")
    if world.switches.concurrent_updates == "reject" and component.busy_until > world.now:
        raise RefusedError(CM_UNAVAILABLE, f"{component.name} has an open ticket", {"service": "CM"})


def _reset_incr_start_timestamp(world: World, body: JsonObject, ending: Ending) -> int:
    project = _project(world, body)
    link = Link.REVERSE if _flag(body, "reverse") else Link.FORWARD
    start = _unix_seconds(body, "startTimestamp")
    if world.switches.reset_needs_suspend and project.status != "SUSPEND":
        raise RefusedError(PARAM_ERROR, f"project {project.id} is {project.status}, expected SUSPEND")
    components = list(world.of_project(project.id, link))
    if not components and world.switches.reset_without_link == "reject":
        raise RefusedError(PARAM_ERROR, f"project {project.id} has no {link.value} link")
    return operations.reset(world, components, project, start, ending).id


def _describe_project_components(world: World, body: JsonObject, _ending: Ending) -> JsonObject:
    return views.components(world, _project(world, body))


def _describe_project_progress(world: World, body: JsonObject, _ending: Ending) -> JsonObject:
    return views.progress(world, _project(world, body))


def _describe_regions(world: World, _body: JsonObject, _ending: Ending) -> list[JsonObject]:
    return views.regions(world)


def _stop_project(world: World, body: JsonObject, ending: Ending) -> None:
    project = _project(world, body)
    _must_be(project, "RUNNING")
    if ending is not Ending.NO_EFFECT:
        operations.stop_project(world, project)


def _resume_project(world: World, body: JsonObject, ending: Ending) -> None:
    project = _project(world, body)
    _must_be(project, "SUSPEND", "FAILED")
    if ending is not Ending.NO_EFFECT:
        operations.resume_project(world, project)


ACTIONS: Mapping[str, Handler] = MappingProxyType(
    {
        "UpdateIncrSync": _update_incr_sync,
        "ResetIncrStartTimestamp": _reset_incr_start_timestamp,
        "DescribeProjectComponents": _describe_project_components,
        "DescribeProjectProgress": _describe_project_progress,
        "StopProject": _stop_project,
        "ResumeProject": _resume_project,
        "DescribeRegions": _describe_regions,
    }
)


def _wrong(name: str, expected: str) -> RefusedError:
    return RefusedError(PARAM_ERROR, f"parameter {name}: expected {expected}")


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _wrong(name, "a text that is not empty")
    return value


def _flag(body: JsonObject, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def _unix_seconds(body: JsonObject, name: str) -> int:
    value: Any = body.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LAST_SECOND:
        raise _wrong(name, "unix seconds")
    return value


def _sections(world: World, body: JsonObject) -> Config:
    config = body.get("config")
    if not isinstance(config, dict):
        raise _wrong("config", "an object")
    for section, members in config.items():
        if section not in SECTIONS or not isinstance(members, dict):
            raise _wrong(f"config.{section}", f"objects under {', '.join(SECTIONS)}")
        if world.switches.null_values == "reject" and has_null(members):
            raise _wrong(f"config.{section}", "no null")
    return stored(config)


def _project(world: World, body: JsonObject) -> Project:
    id_ = _text(body, "id")
    if id_ not in world.projects:
        raise no_such_project(id_)
    return world.projects[id_]


def _must_be(project: Project, *statuses: str) -> None:
    if project.status not in statuses:
        raise RefusedError(PARAM_ERROR, f"project {project.id} is {project.status}, expected {' or '.join(statuses)}")
