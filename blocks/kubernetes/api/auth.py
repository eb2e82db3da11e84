"""Cluster access: a kubeconfig by its path or its content, or the Pod's service account."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from blocks.errors import BadInput
from blocks.extras import require

MOST_CONNECTIONS = 256
MOST_NAMES = 10
OF_THIS_MACHINE = ("exec", "auth-provider", "tokenFile")  # what a user of a kubeconfig may have a client run or read and send


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
    path = Path(access.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    changed = path.stat().st_mtime_ns if not access.config and path.exists() else 0
    return _connect_once(access, str(path), changed)


def connect_anew(access: Access) -> Any:
    """Return a fresh client, with the credentials as they are now: a token may have been replaced."""
    _connect_once.cache_clear()
    return connect_once(access)


@lru_cache(maxsize=32)
def _connect_once(access: Access, path: str, changed: int) -> Any:
    del path, changed  # they only distinguish one content of a kubeconfig from another
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
    path = access.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        if access.config:
            return loader.new_client_from_config_dict(_parsed(access), context=access.context or None, persist_config=False)
        _expect_own_files(path)
        if not access.kubeconfig and _is_inside() and "KUBECONFIG" not in os.environ and not Path(path).expanduser().exists():
            return _client_inside(loader)
        return loader.new_client_from_config(str(Path(path).expanduser()), context=access.context or None, persist_config=False)
    except (loader.ConfigException, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        field = "config" if access.config else "context" if access.context else "kubeconfig"
        where = field if access.config else path
        said = type(error).__name__ if access.config or not isinstance(error, loader.ConfigException) else str(error).splitlines()[0][:200]
        fix = "Give a kubeconfig with clusters, users and contexts, as `kubectl config view --raw` prints it, or run inside the cluster"
        raise BadInput(f"the access to the cluster in {where} cannot be read ({said})", field=field, fix=fix) from None


def _parsed(access: Access) -> Any:
    """Parse the kubeconfig's content.

    Raises:
        BadInput: It has no context of that name, or a user of it names a program or a file of this machine.
        ValueError: It is not YAML.
    """
    try:
        found = yaml.safe_load(access.config)
    except yaml.YAMLError:
        raise ValueError from None  # its own message would quote the secret
    if access.context and access.context not in (names := [str(one["name"]) for one in found["contexts"]]):
        fix = f"Name one that it has ({', '.join(names[:MOST_NAMES]) or 'it has none'}), or none for its current one"
        raise BadInput(f"the kubeconfig in config has no context {access.context}", field="context", fix=fix)
    for user in found.get("users") or []:
        if reached := [name for name in OF_THIS_MACHINE if name in (user.get("user") or {})]:
            fix = "Whoever can edit blocks must not choose what is run or read here: put it into a kubeconfig on the worker, and name that"
            raise BadInput(f"the user {user.get('name')} of the kubeconfig in config has {', '.join(reached)}", field="config", fix=fix)
    return found


def _expect_own_files(paths: str) -> None:
    """Look whether kubeconfigs are the worker's own: they may name programs, which run as the worker's user.

    Args:
        paths: Paths as in KUBECONFIG, with a colon between them.

    Raises:
        BadInput: One belongs to another user than this one or root, or every user may write to it.
    """
    for path in (Path(one).expanduser() for one in paths.split(os.pathsep) if one):
        if path.exists() and ((found := path.stat()).st_uid not in {0, os.geteuid()} or found.st_mode & stat.S_IWOTH):
            fix = f"Make it yours: `chown {os.geteuid()} {path}; chmod o-w {path}`"
            raise BadInput(f"the kubeconfig {path} can be changed by other users of this machine", field="kubeconfig", fix=fix)


def _is_inside() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ


def _client_inside(loader: Any) -> Any:
    from kubernetes import client  # noqa: PLC0415

    configuration = client.Configuration()
    loader.load_incluster_config(client_configuration=configuration)
    return client.ApiClient(configuration)
