"""The documented API from both sides: a server that answers what a page prints, and the simulator."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from reconciler.model import SECTIONS, UpdateRequest
from reconciler.simulator.server import serve
from reconciler.simulator.simulator import Simulator
from reconciler.target.http import HttpTarget
from reconciler.target.settings import TargetSettings
from tests.hurry import HurriedOms

NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"
PROJECT = "np_4x9jabcd"
RESET_PROJECT = "np_4w3aabcd"
REGION = "cn-beijing"


@dataclass
class Page:
    """A server that gives one printed answer, and the requests that it got."""

    answer: Any = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture(scope="session")
def page_server() -> Iterator[Page]:
    page = Page()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            page.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            answer = json.dumps(page.answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        page.url = f"http://127.0.0.1:{server.server_port}"
        yield page
        server.shutdown()
        thread.join()


@pytest.fixture
def page(page_server: Page) -> Page:
    page_server.requests.clear()
    return page_server


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[Simulator, str]]:
    simulator = HurriedOms()
    for project, name in ((PROJECT, NAME), (RESET_PROJECT, "")):
        simulator.add_project(project, region=REGION)
        simulator.add_component(project, name, region=REGION, config={"coordinator": {"throttleRps": "7"}})
    with serve(simulator) as url:
        yield simulator, url


@pytest.fixture
def oms(served: tuple[Simulator, str]) -> Simulator:
    served[0].reset()
    return served[0]


@pytest.fixture
def connect() -> Iterator[Callable[..., HttpTarget]]:
    """Clients, closed at the end."""
    opened: list[HttpTarget] = []

    def connected(url: str, **settings: Any) -> HttpTarget:
        credentials = {"username": "admin", "password": "simulator"}
        opened.append(HttpTarget(TargetSettings("default", url, **credentials | settings)))
        return opened[-1]

    yield connected
    for target in opened:
        target.close()


@pytest.fixture
def target(connect: Callable[..., HttpTarget], oms: Simulator, served: tuple[Simulator, str]) -> HttpTarget:
    """A client of the simulator that soon gives a silent server up."""
    return connect(served[1], read_s=0.25)


@pytest.fixture
def post(oms: Simulator, served: tuple[Simulator, str]) -> Callable[[str, Any], Any]:
    """A call without our client; returns the decoded answer."""

    def post(action: str, body: Any) -> Any:
        auth = ("admin", "simulator")
        answer = httpx.post(f"{served[1]}/api/v2", params={"Action": action}, json=body, auth=auth, timeout=5)
        assert answer.status_code == 200
        return answer.json()

    return post


@pytest.fixture
def update() -> Callable[..., UpdateRequest]:
    def made(*, key: str = NAME, allow_delete: bool = False, **sections: Any) -> UpdateRequest:
        config = {section: sections.get(section, {}) for section in SECTIONS}
        return UpdateRequest("NAME", key, REGION, config, allow_delete)

    return made
