"""The back door under `/simulator/`: what the API cannot show or do, for tests. It asks for no password."""

from collections.abc import Callable
from dataclasses import asdict
from enum import Enum
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.model import Json, JsonObject
from reconciler.simulator.exchange import Call
from reconciler.simulator.faults import rules_from_json
from reconciler.simulator.fleet import component_from_json
from reconciler.simulator.simulator import Simulator

DESCRIPTION = (
    "GET /simulator/state",
    "GET /simulator/calls?action=NAME",
    "GET /simulator/component?name=NAME",
    'POST /simulator/faults {"kind": ...} or a list or {"rules": [...]}; DELETE lets all be normal',
    'POST /simulator/switches {"merge": "deep", ...}',
    'POST /simulator/timing {"stop_s": 2, ...}',
    'POST /simulator/project {"project": ID, "status": ...}; added when it is not there',
    'POST /simulator/component {"name": ..., "status"?, "checkpoint"?, "config"?, "error"?}; with "project": added',
    'POST /simulator/move {"name": ..., "ip"?, "number"?}',
    'POST /simulator/remove {"name": ...}',
    'POST /simulator/advance {"seconds": ...}; without seconds: until every ticket is done',
    "POST /simulator/reset",
)

Work = Callable[[Simulator, JsonObject], Json]
"""(simulator, request body) -> answer."""


def routes(simulator: Simulator) -> list[Route]:
    """Routes below `/simulator`."""

    async def state(_request: Request) -> Response:
        return JSONResponse(snapshot(simulator))

    async def calls(request: Request) -> Response:
        action = request.query_params.get("action")
        found = simulator.calls_of(action) if action else simulator.calls
        return JSONResponse([_call(each) for each in found])

    async def component(request: Request) -> Response:
        try:
            return JSONResponse(_plain(simulator.component(request.query_params.get("name", ""))))
        except KeyError as error:
            return _problem(404, error)

    async def clear(_request: Request) -> Response:
        simulator.clear_faults()
        return JSONResponse({})

    posts = [_post(f"/{name}", work, simulator) for name, work in WORKS.items()]
    return [
        Route("/state", state),
        Route("/calls", calls),
        Route("/component", component, methods=["GET"]),
        Route("/faults", clear, methods=["DELETE"]),
        *posts,
    ]


def snapshot(simulator: Simulator) -> JsonObject:
    """Everything but the calls, as JSON."""
    return {
        "simulator": True,
        "now": simulator.now,
        "projects": _plain(simulator.projects),
        "components": _plain(simulator.components),
        "tickets": _plain(simulator.tickets),
        "faults": _plain(simulator.faults),
        "switches": _plain(simulator.switches),
        "timing": _plain(simulator.timing),
    }


def _post(path: str, work: Work, simulator: Simulator) -> Route:
    async def handle(request: Request) -> Response:
        try:
            body = await request.json() if await request.body() else {}
            return JSONResponse(work(simulator, body))
        except KeyError as error:
            return _problem(404, error)
        except (ValueError, TypeError, AttributeError) as error:
            return _problem(400, error)

    return Route(path, handle, methods=["POST"])


def _add_faults(simulator: Simulator, body: Any) -> Json:
    simulator.add_fault(*rules_from_json(body))
    return _plain(simulator.faults)


def _change_project(simulator: Simulator, body: JsonObject) -> Json:
    values = dict(body)
    project = values.pop("project")
    if any(each.id == project for each in simulator.projects):
        return _plain(simulator.set_project(project, **values))
    return _plain(simulator.add_project(project, **values))


def _change_component(simulator: Simulator, body: JsonObject) -> Json:
    values = dict(body)
    if "project" in values:
        spec = component_from_json({name: value for name, value in values.items() if name != "project"})
        more = {"region": spec.region, "status": spec.status, "checkpoint": spec.checkpoint}
        return _plain(simulator.add_component(values["project"], spec.name, link=spec.link, config=spec.config, **more))
    return _plain(simulator.set_component(values.pop("name"), **values))


def _move(simulator: Simulator, body: JsonObject) -> Json:
    values = dict(body)
    return {"name": simulator.move(values.pop("name"), **values)}


def _remove(simulator: Simulator, body: JsonObject) -> Json:
    simulator.remove(body["name"])
    return {}


def _advance(simulator: Simulator, body: JsonObject) -> Json:
    if "seconds" in body:
        simulator.advance(float(body["seconds"]))
    else:
        simulator.finish()
    return {"now": simulator.now}


def _reset(simulator: Simulator, _body: JsonObject) -> Json:
    simulator.reset()
    return {}


WORKS: dict[str, Work] = {
    "faults": _add_faults,
    "switches": lambda simulator, body: _plain(simulator.set_switches(**body)),
    "timing": lambda simulator, body: _plain(simulator.set_timing(**body)),
    "project": _change_project,
    "component": _change_component,
    "move": _move,
    "remove": _remove,
    "advance": _advance,
    "reset": _reset,
}


def _call(call: Call) -> JsonObject:
    plain: JsonObject = _plain(call)
    del plain["raw"]
    return plain | {"body": call.body}


def _plain(value: Any) -> Json:
    """Dataclasses, tuples and enums as JSON values."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(member) for name, member in asdict(value).items()}
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    return value.value if isinstance(value, Enum) else value


def _problem(status: int, error: Exception) -> Response:
    return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status)
