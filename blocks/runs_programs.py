"""Optional part of a platform that acts by programs of this machine: their content is part of what people approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class RunsPrograms(Protocol):
    """A platform whose effects are programs of this machine."""

    def programs(self, version: str) -> tuple[str, Mapping[str, Sequence[str]]]:
        """Return the folder in which they run, and each command, program and arguments, by the block's field that names it.

        Args:
            version: What is filled in for `{version}`; a word with another value, which is not known before a deployment, is "".

        Raises:
            BadInput: There is no such folder.
        """
        ...
