"""Register our block types with the server, so that blocks can be created in the UI."""

from __future__ import annotations


async def register_blocks() -> None:
    """Register every block type of ours; idempotent."""
    from blocks.server import saving
    from tasks.rollout.platforms import KNOWN, known_class

    for kind in KNOWN:
        await saving.register(known_class(kind))
