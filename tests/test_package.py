"""What `pip install .` installs: the library, with what it imports, in the versions that it is tested with."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions

import pytest
from test_house import MODULES
from workflow_support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Named in a call, not in an import: the engine of xarray's netCDF, and the filters of HDF5.
BY_NAME = {"h5netcdf", "hdf5plugin"}
# Only a notebook calls what imports it, and has it.
OF_NOTEBOOKS = {"IPython"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--offline", "--out-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_library_its_licence_and_the_mark_of_types(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if not name.endswith("/")}
    own = {path.relative_to(ROOT).as_posix() for path in (ROOT / "homodyne_lib").rglob("*.py")}
    assert {name for name in found if ".dist-info/" not in name} == own | {"homodyne_lib/py.typed"}
    assert any(name.endswith("licenses/LICENSE") for name in found)


def test_the_library_of_the_wheel_runs_alone(wheel, tmp_path):
    """From the archive, in a folder without the repository."""
    code = "import homodyne_lib; print(homodyne_lib.__version__, homodyne_lib.__file__); homodyne_lib.load"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version, file = done.stdout.split()
    assert version == PROJECT["version"] and file.startswith(str(wheel))


def test_what_the_library_imports_is_required_as_tested():
    tops = {
        name.partition(".")[0]
        for tree in MODULES.values()
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    tops -= {*sys.stdlib_module_names, "homodyne_lib", *OF_NOTEBOOKS}
    homes = packages_distributions()
    imported = {homes[top][0].lower().replace("_", "-") for top in tops | BY_NAME}
    required = dict(re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=(\S+)", line).groups() for line in PROJECT["dependencies"])
    assert required.keys() == imported
    pinned = re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", (ROOT / "envs/requirements.in").read_text(), re.MULTILINE)
    assert required == {name: version for name, version in pinned if name in required}
