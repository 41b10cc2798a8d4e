import logging
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from reconciler.simulator.faults import Rule
from reconciler.simulator.server import run_foreground, serve
from reconciler.simulator.simulator import Simulator


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


PROGRAM = """
from reconciler.simulator.server import run_foreground
from reconciler.simulator.simulator import Simulator
run_foreground(Simulator(), port=0)
"""


def test_a_free_port_is_found_and_given_back():
    with serve(Simulator()) as url:
        assert httpx.get(f"{url}/oms/health").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/oms/health")


def test_a_given_port_is_used():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serve(Simulator(), port=port) as url:
        assert url == f"http://127.0.0.1:{port}"


def test_a_port_in_use_is_an_error():
    with (
        serve(Simulator()) as url,
        pytest.raises(OSError, match="in use"),
        serve(Simulator(), port=httpx.URL(url).port),
    ):
        pass


@pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")
def test_another_address_family_works_too():
    with serve(Simulator(), host="::1") as url:
        assert httpx.get(f"{url}/oms/health").status_code == 200


def test_stopping_does_not_wait_for_silent_connections():
    simulator = Simulator()
    simulator.add_fault(Rule("hang"))
    errors = []

    def call(url):
        try:
            httpx.post(f"{url}/api/v2?Action=DescribeRegions", json={}, auth=("admin", "simulator"), timeout=30)
        except httpx.TransportError as error:
            errors.append(error)

    with serve(simulator) as url:
        thread = threading.Thread(target=call, args=(url,))
        thread.start()
        assert simulator.wait_until(lambda each: len(each.calls) == 1)
    thread.join(timeout=5)
    assert len(errors) == 1


def test_in_the_foreground_it_logs_until_it_is_stopped(caplog):
    stop = threading.Event()
    stop.set()
    with caplog.at_level(logging.INFO, "reconciler.simulator"):
        run_foreground(Simulator(), port=0, stop=stop)
    assert caplog.messages[0].startswith("OMS simulator: listening on http://127.0.0.1:")
    assert caplog.messages[-1] == "OMS simulator: stopping"


def test_in_another_thread_signals_are_left_alone():
    stop, before = threading.Event(), signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run_foreground, args=(Simulator(),), kwargs={"port": 0, "stop": stop})
    thread.start()
    stop.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_program_cleanly(number):
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=subprocess.PIPE, text=True) as process:
        assert "listening on" in process.stderr.readline()
        process.send_signal(number)
        assert "stopping" in process.stderr.read()
        assert process.wait(timeout=10) == 0


def test_the_package_itself_imports_nothing():
    code = (
        "import reconciler.simulator, sys; print([n for n in ('starlette', 'uvicorn', 'asyncio') if n in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
