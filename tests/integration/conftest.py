"""Files in a temporary directory, a SQLite file, a simulated OMS on loopback; only clock and randomness are handed in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.server import serve
from tests.integration.bench import Bench, WatchedOms, fleet
from tests.integration.clocks import FakeClock


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[WatchedOms, str, FakeClock]]:
    """One server for all tests, and the clock that it shares with them."""
    clock = FakeClock()
    oms = WatchedOms(clock=clock.time)
    oms.add_fleet(fleet())
    with serve(oms) as url:
        yield oms, url, clock


@pytest.fixture
def bench(served: tuple[WatchedOms, str, FakeClock], tmp_path: Path) -> Iterator[Bench]:
    oms, url, clock = served
    oms.reset()
    oms.watch = None
    clock.slept.clear()
    made = Bench(tmp_path, oms, url, clock)
    yield made
    oms.watch = None
    made.store.close()
