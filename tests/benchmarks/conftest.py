"""The scripts of `benchmarks/` import each other by their bare names, as when one of them is started."""

import sys

from tests.projects import ROOT

sys.path.append(str(ROOT / "benchmarks"))
