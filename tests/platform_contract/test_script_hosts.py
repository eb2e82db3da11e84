"""The platform of scripts on hosts keeps the contract: over two accounts of this machine, whose hosts make the shares."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.blocks.script.hosts.accounts import accounts
from tests.blocks.script.hosts.farms import Farm, make_farm
from tests.platform_contract.contract import PlatformContract
from tests.platform_contract.environment import ALL, ContractEnvironment

if TYPE_CHECKING:
    from blocks.script.hosts.platform import ScriptHosts

pytestmark = pytest.mark.slow


class Hosts(ContractEnvironment):
    """Two hosts; who asks the service is sent to one of them."""

    steps = (50, ALL)
    in_place = True
    counts = False
    strategies = ("rolling",)
    abandon_seconds = (0, 0.2, 0.6)

    def __init__(self, farm: Farm) -> None:
        """Keep the hosts."""
        self.farm = farm

    def platform(self) -> ScriptHosts:
        """Give a new instance."""
        return self.farm.platform(at_once=2)

    async def deploy_by_hand(self, version: str) -> bool:
        """Let every host say so."""
        for host in self.farm.hosts.values():
            (host.home / "version").write_text(f"{version}\n")
        return True

    def broken(self) -> tuple[ScriptHosts, str]:
        """Give a version whose deployment fails."""
        return self.platform(), "1.1-fails"

    def empty(self) -> ScriptHosts:
        """Give hosts on which nothing was ever deployed."""
        return make_farm(self.farm.folder.with_name("empty"), 2, "", accounts=self.farm.hosts["web-1"].accounts).platform()

    async def ask(self, url: str) -> str:
        """Ask one host, or any."""
        name = urlsplit(url).hostname or ""
        host = self.farm.hosts.get(name) or random.choice(list(self.farm.hosts.values()))
        return (host.home / "version").read_text().strip()


@pytest.fixture(scope="module")
def warm() -> Iterator[Path]:
    """Run what does the orders."""
    with accounts() as path:
        yield path


class TestScriptHosts(PlatformContract):
    """Replaces what runs host by host."""

    @pytest.fixture
    async def environment(self, tmp_path: Path, warm: Path) -> Hosts:
        """Give two hosts that run the first version."""
        return Hosts(make_farm(tmp_path / "farm", 2, accounts=warm))
