"""Run the command line: `python -m reconciler`, or the `reconciler` script."""

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from reconciler.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
