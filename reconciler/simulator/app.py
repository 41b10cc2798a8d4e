"""Routes: the API itself, its health page, a page for people, and the back door."""

from html import escape

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.simulator import backdoor, exchange
from reconciler.simulator.simulator import Simulator
from reconciler.simulator.transport import AnswerResponse, Silences

HEADER = "X-OMS-Simulator"
LATEST = 20  # calls on the page


class Marked:
    """Every answer says that it comes from a simulator."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = "true"
            await send(message)

        await self._app(scope, receive, marked)


def make_app(simulator: Simulator, silences: Silences) -> ASGIApp:
    """The simulator as an ASGI application; it needs `transport.Protocol` below it.

    Args:
        simulator: what answers.
        silences: where connections that are kept waiting are noted.
    """

    async def api(request: Request) -> Response:
        try:
            raw = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        incoming = exchange.Request(
            action=request.query_params.get("Action", ""),
            raw=raw,
            authorization=request.headers.get("authorization", ""),
            content_type=request.headers.get("content-type", ""),
        )
        return AnswerResponse(simulator.answer(incoming), silences)

    async def health(_request: Request) -> Response:
        return JSONResponse({"success": True, "data": {"healthy": simulator.switches.healthy}})

    async def index(_request: Request) -> Response:
        return HTMLResponse(page(simulator))

    routes = [
        Route("/api/v2", api, methods=["POST"]),
        Route("/oms/health", health),
        Route("/", index),
        Mount("/simulator", routes=backdoor.routes(simulator)),
    ]
    return Marked(Starlette(routes=routes))


def page(simulator: Simulator) -> str:
    """HTML for people: what runs here, which components there are, the latest calls."""
    components = "".join(
        f"<tr><td>{escape(each.name)}<td>{each.link.value}<td>{each.status.value}" for each in simulator.components
    )
    calls = "".join(f"<li value={call.number}>{escape(call.text)}" for call in simulator.calls[-LATEST:])
    doors = "".join(f"<li><code>{escape(line)}</code>" for line in backdoor.DESCRIPTION)
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>OMS simulator</title>'
        "<h1>OMS simulator</h1><p>This is a simulator for trying things out. It is no OMS and moves no data."
        f"<h2>Components</h2><table>{components}</table><h2>Latest calls</h2><ol>{calls}</ol>"
        f"<h2>Back door</h2><ul>{doors}</ul></html>\n"
    )
