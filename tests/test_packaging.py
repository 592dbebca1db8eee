"""What is installed is complete, and what entry points load stays light."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("core", "integrations", "storage_plugins", "alert_plugins")
PACKAGES = sorted(init.parent for folder in FOLDERS for init in (ROOT / folder).glob("*/__init__.py"))
HEAVY = (
    "alembic",
    "httpx",
    "langchain_core",
    "langgraph",
    "litellm",
    "numpy",
    "openai",
    "sqlalchemy",
    "sqlmodel",
    "tiktoken",
)

with (ROOT / "pyproject.toml").open("rb") as file:
    PYPROJECT = tomllib.load(file)


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files in a wheel that is built from the sources as they are."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv builds the wheel, and is not here")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [uv, "build", "--wheel", "--out-dir", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    if "error: Request failed" in done.stderr or "Failed to fetch" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_every_package_is_named_in_the_project_file() -> None:
    named = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(named) == [str(package.relative_to(ROOT)) for package in PACKAGES]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_package_says_that_it_is_typed(package: Path) -> None:
    assert (package / "py.typed").exists()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_wheel_holds_every_file_of_the_package(package: Path, wheel_names: set[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--", "."], cwd=package, capture_output=True, text=True, timeout=30, check=False
    ).stdout.split()
    files = tracked or [str(path.relative_to(package)) for path in package.rglob("*.*") if path.suffix != ".pyc"]
    assert {f"{package.name}/{file}" for file in files if (package / file).exists()} <= wheel_names


def test_the_wheel_holds_nothing_but_the_packages(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names if ".dist-info/" not in name}
    assert tops == {package.name for package in PACKAGES}


def test_the_licence_and_the_version_are_in_the_wheel(wheel_names: set[str]) -> None:
    info = f"treerings-{PYPROJECT['project']['version']}.dist-info"
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= wheel_names


def test_the_version_of_the_package_is_that_of_the_project() -> None:
    import treerings

    assert treerings.__version__ == PYPROJECT["project"]["version"]


@pytest.mark.parametrize("name", sorted(PYPROJECT["project"]["entry-points"]["treerings"]))
def test_an_entry_point_loads_without_a_framework_or_driver(name: str) -> None:
    (entry,) = entry_points(group="treerings", name=name)
    program = f"""
import importlib, sys
importlib.import_module({entry.value!r})
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_integration_can_be_installed_by_an_extra() -> None:
    from treerings.registry import Registry

    registry = Registry()
    registry.load()
    extras = PYPROJECT["project"]["optional-dependencies"]
    missing = {integration.extra for integration in registry.integrations.values()} - set(extras)
    assert not missing
