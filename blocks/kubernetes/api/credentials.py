"""Credentials from a block of prefect-kubernetes."""

from __future__ import annotations

import json
from typing import Any

from prefect.blocks.core import Block

from blocks.errors import BadInput
from blocks.extras import require
from blocks.secret_text import learn


async def kubeconfig_from(name: str) -> str:
    """Read a kubeconfig's content from a block of prefect-kubernetes, `kubernetes-credentials/NAME`.

    Raises:
        BadInput: The block does not exist, or has no credentials.
    """
    require("kubernetes", field="credentials", otherwise="Or give the block a kubeconfig.")
    from prefect_kubernetes.credentials import KubernetesCredentials  # noqa: PLC0415

    try:
        found: Any = await Block.aload(name)
    except ValueError:
        raise BadInput(f"the block {name} cannot be read", field="credentials", fix="Create it, or name another") from None
    if not isinstance(found, KubernetesCredentials):
        raise BadInput(f"{name} does not hold credentials of a cluster", field="credentials", fix="Name a block `kubernetes-credentials/…`")
    if found.cluster_config is None:
        return ""
    content: dict[str, Any] = dict(found.cluster_config.config)
    kubeconfig = json.dumps({**content, "current-context": found.cluster_config.context_name})
    learn([kubeconfig])
    return kubeconfig
