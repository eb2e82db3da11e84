"""Make the block types known to the server, so that they can be filled in in the UI."""

from __future__ import annotations


async def register_blocks() -> None:
    """Register every block type of ours; again changes nothing."""
    from blocks.approvers import Approvers
    from blocks.kubernetes import KubernetesPlatform
    from blocks.local import LocalPlatform
    from blocks.prometheus import Prometheus

    for block in (LocalPlatform, KubernetesPlatform, Approvers, Prometheus):
        await block.aregister_type_and_schema()
