"""Run the command line: `python -m reconciler`, or the `reconciler` script."""

import io
import os
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from reconciler.cli.main import run

    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding lacks is written out
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def _open_closed_streams() -> None:
    """Python has None for a standard stream that was closed by the caller, as `>&-` does."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the process ends


if __name__ == "__main__":
    main()
