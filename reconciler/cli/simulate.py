"""`reconciler simulate`: an OMS to try things on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reconciler.simulator.simulator import Simulator


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8089, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option(
    "--desired-state",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Begin with a component for each task of this directory.",
)
@click.option(
    "--fleet", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Or with those of this file."
)
@click.option(
    "--faults", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Calls that go wrong (JSON)."
)
@click.option(
    "--credentials",
    default="admin:simulator",
    show_default=True,
    metavar="USER:PASSWORD",
    help="The account that calls must use.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="How many times as fast as usual things are done.",
)
@click.option(
    "--switch", "switches", multiple=True, metavar="NAME=VALUE", help="A reading of what the pages leave open."
)
@click.option("--verbose", is_flag=True, help="Log reads as well.")
def simulate(
    host: str,
    port: int,
    desired_state: Path | None,
    fleet: Path | None,
    faults: Path | None,
    credentials: str,
    speed: float,
    switches: tuple[str, ...],
    verbose: bool,
) -> int:
    """Run an OMS simulator to try things on.

    It answers the actions that reconciler uses as the vendor's pages describe them, keeps everything in memory, and is
    no OMS. Its state, its log of calls and its faults can be seen and set under /simulator/. Ends with Ctrl-C.
    """
    from reconciler.simulator.server import run_foreground
    from reconciler.simulator.settings import Timing
    from reconciler.simulator.simulator import Simulator

    simulator = Simulator(credentials, timing=Timing().faster(speed))
    try:
        _prepare(simulator, desired_state, fleet, faults)
        simulator.set_switches(**dict(_switch(text) for text in switches))
        run_foreground(simulator, host, port, verbose=verbose)
    except (ValueError, TypeError, OSError) as error:
        raise click.UsageError(str(error)) from error
    return 0


def _prepare(simulator: "Simulator", desired_state: Path | None, fleet: Path | None, faults: Path | None) -> None:
    from reconciler.simulator.faults import rules_from_file
    from reconciler.simulator.fleet import fleet_from_desired_state, fleet_from_file

    if fleet is not None:
        simulator.add_fleet(fleet_from_file(fleet))
    if desired_state is not None:
        simulator.add_fleet(fleet_from_desired_state(desired_state))
    if faults is not None:
        simulator.add_fault(*rules_from_file(faults))


def _switch(text: str) -> tuple[str, Any]:
    """`merge=deep` -> ("merge", "deep"); values are JSON where they can be: `healthy=false`."""
    import json

    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f'--switch: expected NAME=VALUE, found "{text}"')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
