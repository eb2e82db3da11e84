"""Make the block types known to the server, so that they can be filled in in the UI."""

from __future__ import annotations


async def register_blocks() -> None:
    """Register every block type of ours; again changes nothing."""
    from blocks.approvers.approvers import Approvers
    from blocks.kubernetes.platform import KubernetesPlatform
    from blocks.local.platform import LocalPlatform
    from blocks.prometheus.prometheus import Prometheus
    from blocks.server import saving

    for block in (LocalPlatform, KubernetesPlatform, Approvers, Prometheus):
        await saving.register(block)
