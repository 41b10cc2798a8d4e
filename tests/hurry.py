"""A simulated OMS by a clock that runs fast, so that a restart takes milliseconds and positions move in each of them."""

import time
from typing import Any

from reconciler.simulator.simulator import Simulator

FACTOR = 100.0
"""Simulated seconds a second: a restart takes 32 ms."""

BEHIND_S = 3000.0
"""How far in the past that clock begins: what it says is not from the future for half a minute of real time."""


class HurriedClock:
    """Unix seconds from a while ago on, passing quickly."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._origin = time.time()

    def __call__(self) -> float:
        return self._origin - BEHIND_S + (time.time() - self._origin) * FACTOR


class HurriedOms(Simulator):
    """A simulator by such a clock, which starts anew with it."""

    def __init__(self, *arguments: Any) -> None:
        self.hurried = HurriedClock()
        super().__init__(*arguments, clock=self.hurried)

    def reset(self) -> None:
        self.hurried.restart()
        super().reset()
