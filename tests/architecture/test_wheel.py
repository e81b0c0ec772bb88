"""A wheel built from the checkout holds the whole package and nothing else, and works installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from source_rules import LINKED, PACKAGE, ROOT, folders

# What a working copy holds beside the sources.
LITTER = shutil.ignore_patterns(
    ".git", ".venv", "venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", "*.zarr"
)
# Importing these has an effect: they start MPI, or the command line.
EFFECTS = {"distsnn.comm.mpi", "distsnn.__main__"}

pytestmark = [pytest.mark.ci, pytest.mark.timeout(280)]


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def copy_checkout(folder: Path) -> Path:
    """Copy the checkout without what grew in it: leftovers must not hide a missing file."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=LITTER)
    return folder


def build(checkout: Path, out: Path) -> Path:
    pip("wheel", "--no-deps", "--wheel-dir", out, checkout)
    (built,) = out.glob("distsnn-*.whl")
    return built


def members_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return build(copy_checkout(folder / "checkout"), folder / "out")


@pytest.fixture(scope="module")
def members(wheel: Path) -> set[str]:
    return members_of(wheel)


def test_the_wheel_holds_every_file_of_the_package(members: set[str]) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for folder in folders(PACKAGE)
        for path in folder.iterdir()
        if path.is_file() and path.suffix not in {".pyc", ".nbi", ".nbc"}
    }
    assert "distsnn/py.typed" in files
    assert files - members == set()


def test_the_wheel_holds_nothing_else(members: set[str]) -> None:
    assert {name for name in members if not (ROOT / name).is_file()} == set()
    assert {name.split("/")[0] for name in members} == {"distsnn"}


def missing_of_linked(members: set[str]) -> set[str]:
    """Return the linked folders of which a wheel lacks a module."""
    return {
        folder
        for folder in LINKED
        if not {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")}
        <= {name.removeprefix("distsnn/") for name in members}
    }


def test_the_wheel_holds_the_linked_folders_as_files(members: set[str]) -> None:
    assert missing_of_linked(members) == set()
    for folder in LINKED:
        assert any(name.startswith(f"distsnn/{folder}/") for name in members), folder
    assert "distsnn/io/__init__.py" not in members


def test_a_checkout_that_lost_a_link_would_be_noticed(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout / "distsnn" / "io").unlink()
    assert missing_of_linked(members_of(build(checkout, tmp_path / "out"))) == {"io"}


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, without what it depends on, into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--target", folder, wheel)
    return folder


def python(site: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_installed_module_imports_from_another_folder(
    site: Path, members: set[str], tmp_path: Path
) -> None:
    names = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in members
        if name.endswith(".py")
    } - EFFECTS
    code = (
        f"import importlib\nfor name in {sorted(names)!r}:\n"
        "    print(importlib.import_module(name).__file__)"
    )
    files = python(site, tmp_path, "-c", code).split()
    assert len(files) == len(names)
    assert all(Path(file).is_relative_to(site) for file in files)


def test_the_installed_command_line_answers_from_another_folder(site: Path, tmp_path: Path) -> None:
    assert "usage" in python(site, tmp_path, "-m", "distsnn", "--help").lower()
