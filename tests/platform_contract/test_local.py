"""The local platform keeps the contract, with real processes."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from blocks.local.platform import LocalPlatform
from tests.local_environments import MakeLocal, make, make_local, shared_folder
from tests.platform_contract.contract import PlatformContract
from tests.platform_contract.environment import ContractEnvironment

__all__ = ["make_local", "shared_folder"]
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nothing here speaks TLS, and loading the system's certificates takes long


class LocalContractEnvironment(ContractEnvironment):
    """One folder, used by one test after the other."""

    def __init__(self, folder: Path, make_local: MakeLocal) -> None:
        """Keep where it is, and what makes another one."""
        self.folder, self.make_local = folder, make_local

    def platform(self) -> LocalPlatform:
        """Give a new instance on the folder."""
        return make(self.folder)

    def broken(self) -> tuple[LocalPlatform, str]:
        """Give one whose processes exit at once."""
        return make(self.folder, mode="dies"), self.second

    def empty(self) -> LocalPlatform:
        """Give one on a folder that is not there yet."""
        return self.make_local()

    async def ask(self, url: str) -> str:
        """Ask for the version."""
        async with httpx.AsyncClient(verify=PLAIN, trust_env=False) as client:
            return (await client.get(url)).text

    async def write_line(self, url: str, text: str) -> bool:
        """Let the service print."""
        await self.ask(f"{url}/print?{text}")
        return True


class TestLocalPlatform(PlatformContract):
    """Rolls real processes out behind the router."""

    @pytest.fixture
    async def environment(self, shared_folder: Path, make_local: MakeLocal) -> LocalContractEnvironment:
        """Give the shared folder, restored."""
        environment = LocalContractEnvironment(shared_folder, make_local)
        await environment.restore()
        return environment
