import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as `pip install` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("oms_reconciler-*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def test_the_wheel_holds_every_schema(wheel):
    names = {Path(name).name for name in wheel.namelist() if name.startswith("reconciler/schemas/")}
    assert names == {path.name for path in (ROOT / "schemas").iterdir()}


def test_the_wheel_holds_the_catalogue_the_statements_and_the_migrations(wheel):
    wanted = {
        "reconciler/data/parameters.json",
        "reconciler/data/rules.toml",
        "reconciler/data/init/dot-vscode/settings.json",
        "reconciler/data/ci/plan.sh",
        "reconciler/state/queries.sql",
        "reconciler/state/migrations/0001_first.sql",
    }
    assert wanted <= set(wheel.namelist())


def test_the_wheel_names_its_command_and_its_licence(wheel):
    texts = {Path(name).name: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert "reconciler = reconciler.__main__:main" in texts["entry_points.txt"]
    assert "Apache License" in texts["LICENSE"]
