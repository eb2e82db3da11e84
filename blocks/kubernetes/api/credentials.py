"""Credentials from a block of prefect-kubernetes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from prefect.blocks.core import Block

from blocks.errors import BadInput, WorldMoved
from blocks.extras import require
from blocks.secret_text import learn_of

_led: ContextVar[dict[str, str] | None] = ContextVar("led", default=None)


@contextmanager
def same_clusters() -> Iterator[None]:
    """Let each block of credentials lead inside to where it led when it was read first: it is read again for each call."""
    token = _led.set({})
    try:
        yield
    finally:
        _led.reset(token)


async def kubeconfig_from(name: str) -> str:
    """Read a kubeconfig's content from a block of prefect-kubernetes, `kubernetes-credentials/NAME`.

    Args:
        name: The block.

    Raises:
        BadInput: The block does not exist, or has no credentials.
        WorldMoved: It leads elsewhere than before, see `same_clusters`; its users may be others.
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
    if not learn_of(name, [kubeconfig]):
        fix = "Give it one context, by `kubectl config view --minify --raw`"
        raise BadInput(f"the kubeconfig of {name} is too long to be kept out of every text", field="credentials", fix=fix)
    led = _led.get()
    leads = json.dumps({part: one for part, one in json.loads(kubeconfig).items() if part != "users"}, sort_keys=True)
    if led is not None and led.setdefault(name, leads) != leads:
        raise WorldMoved(f"the block {name} leads to another cluster than before: it was changed while this run acts. Look at it")
    return kubeconfig
