"""What the blocks of both script platforms have in common: how they are copied for a rollback and for scripts that are run again."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Self

from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr

from blocks.block_copy import copied
from blocks.errors import BadInput
from blocks.run_again import Allowed
from blocks.script import state
from blocks.script.programs import Renewed
from blocks.script.settings import NAME


class ScriptBlock(Block, ABC):
    """A platform whose effects are the service's own scripts."""

    service: Annotated[str, Field(pattern=NAME)] = Field(default="service", description="The service's name.")
    _kept: Renewed = PrivateAttr(default_factory=Renewed)
    _rolls_back: bool = PrivateAttr(default=False)
    _again: Allowed = PrivateAttr(default=Allowed())

    @property
    @abstractmethod
    def strategy(self) -> str:
        """Name the strategy as for Kubernetes."""

    def following(self, strategy: str) -> Self:
        """Return this platform, whose scripts make its strategy: a plan can only say which it is.

        Raises:
            BadInput: It is another one.
        """
        if strategy != self.strategy:
            fix = f"Write `strategy: {self.strategy}`, or leave it out"
            raise BadInput(f"the scripts of {self.service} have another strategy than {strategy}", field="strategy", fix=fix)
        return self

    @abstractmethod
    def _folder(self) -> Path:
        """Give the folder in which the environment is noted."""

    async def not_ended(self) -> list[str]:
        """Name the processes that a rollback that took over could not end, each as `id (name)`, with its host if there are hosts."""
        folder = self._folder()
        places = {f" on {host}": folder / "hosts" / host for host in getattr(self, "hosts", ())} or {"": folder}

        def read() -> list[str]:
            if not state.load(folder, service=self.service).get("rollback", False):
                return []
            found = {where: state.load(place, service=self.service).get("not_ended", []) for where, place in places.items()}
            return [f"{name}{where}" for where, names in found.items() for name in names]

        return await asyncio.to_thread(read)

    def rolling_back(self) -> Self:
        """Return this platform for a rollback: its position is by the notes if `status` hangs, also before the takeover."""
        found = copied(self)
        found._rolls_back = True  # noqa: SLF001 - of a copy of its own
        return found

    def running_again(self, allowed: Allowed) -> Self:
        """Return this platform, which runs a script that failed again as far as plan and people allow."""
        found = copied(self)
        found._again = allowed  # noqa: SLF001 - of a copy of its own
        return found
