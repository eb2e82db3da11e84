"""Cluster access: a kubeconfig by its path or its content, or the Pod's service account."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from blocks.errors import BadInput
from blocks.extras import require
from blocks.kubernetes.api.kubeconfig import default_paths, parse, read_kubeconfigs, stamp

MOST_CONNECTIONS = 256


class Access(NamedTuple):
    """Cluster access.

    Fields:
        kubeconfig: Path of a kubeconfig; empty takes KUBECONFIG, then ~/.kube/config, then the Pod's own account.
        context: Its context; empty takes the current one.
        config: A kubeconfig's content, which takes precedence over the path.
    """

    kubeconfig: str = ""
    context: str = ""
    config: str = ""


def connect_once(access: Access) -> Any:
    """Return the client of `connect`, cached as long as the kubeconfig does not change, so that connections are reused."""
    return _connect_once(access, () if access.config else stamp(access.kubeconfig or default_paths()))


def connect_anew(access: Access) -> Any:
    """Return a fresh client, with the credentials as they are now: a token may have been replaced."""
    _connect_once.cache_clear()
    return connect_once(access)


@lru_cache(maxsize=32)
def _connect_once(access: Access, content: tuple[tuple[str, int, int], ...]) -> Any:
    del content  # it only distinguishes one content of a kubeconfig from another
    return connect(access)


def connect(access: Access) -> Any:
    """Make the official client of a cluster, with a connection pool for watches and calls; sends nothing yet.

    Raises:
        BadInput: The kubeconfig cannot be read, or says too little, or the extra `kubernetes` is not installed.
    """
    api = _connect(access)
    from urllib3 import Retry  # noqa: PLC0415

    # urllib3 would warn of each connection beyond the pool's size, and try a server that does not answer four times without saying so.
    once_more = Retry(total=1, redirect=0, status=0)
    api.rest_client.pool_manager.connection_pool_kw.update(maxsize=MOST_CONNECTIONS, retries=once_more)
    return api


def _connect(access: Access) -> Any:
    require("kubernetes", field="platform")
    from kubernetes import config  # noqa: PLC0415 - half a second, and only for clusters

    loader: Any = config
    path = access.kubeconfig or default_paths()
    try:
        if access.config:
            found = parse(access.config, where="config", field="config", context=access.context)
        elif not access.kubeconfig and _is_inside() and "KUBECONFIG" not in os.environ and not Path(path).expanduser().exists():
            return _client_inside(loader)
        else:
            found = read_kubeconfigs(path)  # never a path to the library, which would open it anew: by then it may lead to another file
        return loader.new_client_from_config_dict(found, context=access.context or None, persist_config=False)
    except (loader.ConfigException, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        field = "config" if access.config else "context" if access.context else "kubeconfig"
        where = field if access.config else path
        said = type(error).__name__ if access.config or not isinstance(error, loader.ConfigException) else str(error).splitlines()[0][:200]
        fix = "Give a kubeconfig with clusters, users and contexts, as `kubectl config view --raw` prints it, or run inside the cluster"
        raise BadInput(f"the access to the cluster in {where} cannot be read ({said})", field=field, fix=fix) from None


def _is_inside() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ


def _client_inside(loader: Any) -> Any:
    from kubernetes import client  # noqa: PLC0415

    configuration = client.Configuration()
    loader.load_incluster_config(client_configuration=configuration)
    return client.ApiClient(configuration)
