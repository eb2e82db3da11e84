"""The wheel: what it carries, and that what `pip install` makes of it starts without a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SHIPPED = ("flows", "tasks", "blocks")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    hatchling = Path(sys.executable).with_name("hatchling")
    subprocess.run([hatchling, "build", "-t", "wheel", "-d", folder], cwd=PROJECT, check=True, capture_output=True, timeout=120)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_carries_the_deployments_and_every_file_of_the_packages(wheel: Path) -> None:
    """Whatever a checkout has beside its modules: templates, and the file that `shipway up` applies."""
    carried = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", *SHIPPED], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert not set(tracked) - carried
    assert zipfile.ZipFile(wheel).read("blocks/server/prefect.yaml") == (PROJECT / "prefect.yaml").read_bytes()


@pytest.mark.faults
@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(400)
def test_an_installed_wheel_brings_the_server_up_with_its_deployments(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, from a folder of another project: up, doctor and down, without the example's deployment."""
    place = tmp_path / "environment"
    venv.create(place, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # what it depends on, as it is installed here
    pip = [sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=120)
    mine = tmp_path / "mine"
    (mine / "flows").mkdir(parents=True)
    (mine / "flows" / "__init__.py").write_text("raise SystemExit('this is the folder of another project')\n")
    home = tmp_path / "home"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SHIPWAY_", "PYTHON"))}

    def shipway(*words: str) -> str:
        argv = [place / "bin" / "shipway", *words, "--home", home]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=300, cwd=mine, env=clean)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    try:
        shipway("up", "--timeout", "240")
        deployed = {one["name"] for one in json.loads((home / "keys" / "deployed.json").read_text()).values()}
        assert {"release", "rollback", "keeper"} <= deployed
        assert "guestbook" not in deployed
        assert "FAIL" not in shipway("doctor")
    finally:
        shipway("down")
