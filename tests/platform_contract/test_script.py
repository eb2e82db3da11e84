"""The script platform keeps the contract: in one step with the example's own script, and by shares with one that splits."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.platform_contract.contract import PlatformContract
from tests.platform_contract.environment import ALL, ContractEnvironment
from tests.script_environments import SCRIPTS, end_service, lay_out, quotes

if TYPE_CHECKING:
    from blocks.script.platform import ScriptPlatform

pytestmark = pytest.mark.slow
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
SPLIT = Path(__file__).with_name("split.sh")


class OneStep(ContractEnvironment):
    """A service that is deployed by a shell script, in one step."""

    steps = (ALL,)
    in_place = True
    counts = False
    strategies = ("rolling",)
    abandon_seconds = (0, 0.05, 0.2)

    def __init__(self, folder: Path, port: int, empty: tuple[Path, int]) -> None:
        """Keep where it is, and where nothing was ever deployed."""
        self.folder, self.port, self.unused = folder, port, empty

    def platform(self) -> ScriptPlatform:
        """Give a new instance."""
        verify = ["sh", "-c", '[ ! -e "running/ill-$1" ] && ./quotes.sh verify "$1"', "verify", "{version}"]
        return quotes(self.folder, self.port, scripts={**SCRIPTS, "verify": verify})

    async def make_ill(self, version: str) -> bool:
        """Let `verify` say so."""
        (self.folder / "running" / f"ill-{version}").touch()
        return True

    async def restore(self) -> None:
        """Let all be well again."""
        for file in (self.folder / "running").glob("ill-*"):
            file.unlink()
        await super().restore()

    async def deploy_by_hand(self, version: str) -> bool:
        """Run the script as people do."""
        places = {"QUOTES_PORT": str(self.port), "QUOTES_STATE": str(self.folder / "running")}
        script = await asyncio.create_subprocess_exec("./quotes.sh", "deploy", version, cwd=self.folder, env={**os.environ, **places})
        return await script.wait() == 0

    def broken(self) -> tuple[ScriptPlatform, str]:
        """Give a version of which there is no release."""
        return self.platform(), "0.0-broken"

    def empty(self) -> ScriptPlatform:
        """Give one that was never used."""
        return quotes(*self.unused)

    async def ask(self, url: str) -> str:
        """Ask for the version."""
        async with httpx.AsyncClient(verify=PLAIN, trust_env=False) as client:
            return (await client.get(f"{url}/version")).text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Lay the example out once."""
    folder = tmp_path_factory.mktemp("quotes")
    yield folder, lay_out(folder, "1.0", "1.1", "1.2")
    end_service(folder)


class TestOneStep(PlatformContract):
    """Replaces what runs by the example's script."""

    @pytest.fixture
    async def environment(self, place: tuple[Path, int], tmp_path: Path) -> OneStep:
        """Give the environment, restored."""
        empty = tmp_path / "empty"
        environment = OneStep(*place, (empty, lay_out(empty, "1.0")))
        await environment.restore()
        return environment

    @pytest.fixture(autouse=True)
    def _end(self, tmp_path: Path) -> Iterator[None]:
        yield
        end_service(tmp_path / "empty")


class Shares(ContractEnvironment):
    """Versions that a script notes with their shares; who asks is sent by these, as a gateway would."""

    ready_seconds = 10
    strategies = ("canary",)
    abandon_seconds = (0, 0.05, 0.15)

    def __init__(self, folder: Path) -> None:
        """Keep where it is."""
        self.folder = folder

    def platform(self) -> ScriptPlatform:
        """Give a new instance."""
        script = str(SPLIT)
        scripts = {name: [script, name, "{version}"] for name in ("deploy", "verify", "promote")}
        scripts |= {"status": [script, "status"], "rollback": [script, "rollback", "{previous}"], "counts": [script, "counts"]}
        scripts["shift"] = [script, "shift", "{version}", "{percent}"]
        return quotes(self.folder, 1, scripts=scripts, version_address="http://split/{version}", address=f"http://split/{self.folder.name}")

    async def deploy_by_hand(self, version: str) -> bool:
        """Let it be noted as what serves."""
        (self.folder / "running" / "split").write_text(f"{version}\n")
        return True

    def broken(self) -> tuple[ScriptPlatform, str]:
        """Give a version that its script refuses."""
        return self.platform(), "0.0-broken"

    def empty(self) -> ScriptPlatform:
        """Give one that was never used."""
        other = Shares(self.folder.with_name(f"{self.folder.name}-empty"))
        other.folder.mkdir()
        return other.platform()

    async def make_ill(self, version: str) -> bool:
        """Let `verify` say so."""
        (self.folder / "running" / f"ill-{version}").touch()
        return True

    async def ask(self, url: str) -> str:
        """Send a request by the shares in force, and count it."""
        words = (self.folder / "running" / "split").read_text().split()
        version = url.rpartition("/")[2]
        if version == self.folder.name:
            version = words[0]
            if len(words) == 3 and random.random() * ALL < int(words[2]):
                version = words[1]
            with (self.folder / "running" / f"requests-{version}").open("a") as file:
                file.write(".")
        return version


class TestShares(PlatformContract):
    """Shifts shares by a script."""

    @pytest.fixture
    async def environment(self, tmp_path: Path) -> Shares:
        """Give an environment in which the first version serves."""
        folder = tmp_path / "shares"
        (folder / "running").mkdir(parents=True)
        (folder / "running" / "split").write_text("1.0\n")
        environment = Shares(folder)
        await environment.restore()
        return environment
