"""Shares that a platform can make: an optional part of a platform, of which a plan's steps are asked before anything changes."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class MakesShares(Protocol):
    """Optional part of a platform: it makes certain shares alone, as hosts that each run one version."""

    def expect_share(self, percent: int) -> None:
        """Expect that a share can be made.

        Raises:
            BadInput: It cannot; names those that can.
        """
        ...
