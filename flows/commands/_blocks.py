"""Register our block types with the server, so that blocks can be created in the UI."""

from __future__ import annotations


async def register_blocks() -> None:
    """Register every block type of ours; idempotent."""
    from blocks.approvers.approvers import Approvers
    from blocks.credential import Credential
    from blocks.git.git import Git
    from blocks.gitops.argocd import ArgoCDApplication
    from blocks.gitops.gitops import GitOps
    from blocks.kubernetes.platform import KubernetesPlatform
    from blocks.local.platform import LocalPlatform
    from blocks.notify.apprise import Apprise
    from blocks.otlp.collector import Collector
    from blocks.prometheus.prometheus import Prometheus
    from blocks.script.hosts.platform import ScriptHosts
    from blocks.script.platform import ScriptPlatform
    from blocks.server import saving

    platforms = (LocalPlatform, ScriptPlatform, ScriptHosts, KubernetesPlatform, GitOps)
    for block in (*platforms, Approvers, Credential, Prometheus, Git, ArgoCDApplication, Apprise, Collector):
        await saving.register(block)
