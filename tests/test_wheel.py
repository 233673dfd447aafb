"""The package as people install it: its wheel builds, and what is in it imports and is typed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

ASK = """
import importlib.metadata, tasker_temporal, tasker_temporal.cli
print(importlib.metadata.version("tasker-temporal"))
print(tasker_temporal.__file__)
print(all(hasattr(tasker_temporal, name) for name in tasker_temporal.__all__))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network by the backend that is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    [built] = folder.glob("*.whl")
    return built


def _pip(*arguments: str, python: str = sys.executable) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_wheel_has_the_package_its_types_and_its_license_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name == f"tasker_temporal-{VERSION}-py3-none-any.whl"
    assert "tasker_temporal/py.typed" in names
    assert f"tasker_temporal-{VERSION}.dist-info/licenses/LICENSE" in names
    assert {name.split("/")[0] for name in names} == {"tasker_temporal", f"tasker_temporal-{VERSION}.dist-info"}
    assert "tasker_temporal/yaml/tasker.schema.json" in names
    assert not [name for name in names if "/order_fulfillment/order." in name]
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "tasker_temporal").rglob("*.py")}
    assert sources <= set(names)


def test_an_installed_wheel_imports_and_brings_its_command(wheel: Path, tmp_path: Path) -> None:
    """Installed into an environment of its own, which borrows the dependencies of this one."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    told = subprocess.run([python, "-I", "-c", ASK], capture_output=True, text=True, check=True, cwd=tmp_path)
    version, place, whole = told.stdout.split()
    assert (version, whole) == (VERSION, "True")
    assert Path(place).is_relative_to(packages)
    said = subprocess.run([python.with_name("tasker"), "--version"], capture_output=True, text=True, check=True)
    assert VERSION in said.stdout
