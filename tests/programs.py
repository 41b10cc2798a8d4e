"""Programs beside git and Python that only some tests need: `make tools` installs them."""

import os
import shutil

import pytest

REQUIRED = "RECONCILER_TOOLS"
"""Set to "required", a missing program is a failure; else it is a reason to skip."""


def need(*names):
    """Paths of programs; the test ends here when one is missing."""
    found = [shutil.which(name) for name in names]
    missing = [name for name, path in zip(names, found, strict=True) if path is None]
    if not missing:
        return found
    reason = f"not on the path: {', '.join(missing)}; make tools installs what is missing"
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{REQUIRED}=required, but {reason}")
    pytest.skip(reason)
    return found
