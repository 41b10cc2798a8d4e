"""A simulator with a clock of its own, asked directly; and one behind a real server."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from reconciler.simulator.exchange import Request
from reconciler.simulator.server import serve
from reconciler.simulator.simulator import Simulator

PROJECT = "np_4x9jabcd"
NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"
AUTHORIZATION = "Basic " + base64.b64encode(b"admin:simulator").decode()
CONFIG = {
    "coordinator": {"throttleRps": "1000", "taskIdentity": PROJECT},
    "sink": {"workerNum": 8, "password": "s3cret"},
}

Ask = Callable[..., dict[str, Any]]


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 1_760_000_000.0

    def __call__(self) -> float:
        return self.now


def filled(simulator: Simulator) -> Simulator:
    simulator.add_component(PROJECT, NAME, config=CONFIG)
    return simulator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock: Clock) -> Simulator:
    return filled(Simulator(clock=clock))


@pytest.fixture
def ask(simulator: Simulator) -> Ask:
    """The envelope that an action is answered with, without a server."""

    def ask(action: str, **body: Any) -> dict[str, Any]:
        answer = simulator.answer(Request(action, json.dumps(body).encode(), AUTHORIZATION))
        assert answer.status == 200
        return json.loads(answer.body)

    return ask


@pytest.fixture
def update(ask: Ask) -> Ask:
    """UpdateIncrSync of the one component."""

    def update(sections: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"dimension": "NAME", "key": NAME, "cmRegion": "default", "config": sections}
        return ask("UpdateIncrSync", **(body | more))

    return update


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[Simulator, httpx.Client]]:
    simulator = filled(Simulator())
    with serve(simulator) as url, httpx.Client(base_url=url, auth=("admin", "simulator"), timeout=5) as client:
        yield simulator, client


@pytest.fixture
def live(served: tuple[Simulator, httpx.Client]) -> Simulator:
    """The simulator behind `client`, as new."""
    served[0].reset()
    return served[0]


@pytest.fixture
def client(served: tuple[Simulator, httpx.Client], live: Simulator) -> httpx.Client:
    return served[1]


@pytest.fixture
def post(client: httpx.Client) -> Callable[..., httpx.Response]:
    """One call over HTTP."""

    def post(action: str, **body: Any) -> httpx.Response:
        return client.post("/api/v2", params={"Action": action}, json=body)

    return post
