"""Accounts of less than an administrator: a ServiceAccount with a Role, and the kubeconfig that a person would be given for it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.cluster_world import World

Json = dict[str, Any]
ROLE = Path(__file__).parents[2] / "docs" / "kubernetes-role.yaml"
ACCOUNT = "shipway"
RBAC = "rbac.authorization.k8s.io"


async def account_config(world: World, *, without: str = "") -> str:
    """Make the account with the documented Role in the test's namespace, and give its kubeconfig.

    Args:
        world: The namespace.
        without: A resource to leave out of the Role.
    """
    role = yaml.safe_load(ROLE.read_text())
    role["rules"] = [rule for rule in role["rules"] if without not in rule["resources"]]
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": world.namespace}
    binding = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": ACCOUNT}}
    await world.apply(
        account(),
        role,
        {**binding, "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role["metadata"]["name"]}, "subjects": [subject]},
    )
    return kubeconfig(world, await token(world))


def account() -> Json:
    """Write the account."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}


async def token(world: World) -> str:
    """Ask for a token of the account (https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/)."""
    path = f"/api/v1/namespaces/{world.namespace}/serviceaccounts/{ACCOUNT}/token"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    return str((await world.cluster.call("POST", path, body=review))["status"]["token"])


def kubeconfig(world: World, secret: str) -> str:
    """Write a kubeconfig for a token, with the server and the authority of the test's own."""
    configuration = world.cluster.api.configuration
    cluster: Json = {"server": world.cluster.host}
    if not configuration.verify_ssl:
        cluster["insecure-skip-tls-verify"] = True
    elif configuration.ca_cert_data:
        data = configuration.ca_cert_data
        cluster["certificate-authority-data"] = base64.b64encode(data.encode() if isinstance(data, str) else data).decode()
    elif configuration.ssl_ca_cert:
        cluster["certificate-authority-data"] = base64.b64encode(Path(configuration.ssl_ca_cert).read_bytes()).decode()
    if configuration.tls_server_name:
        cluster["tls-server-name"] = configuration.tls_server_name
    names = {"cluster": "test", "user": ACCOUNT, "namespace": world.namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": ACCOUNT, "user": {"token": secret}}],
        "contexts": [{"name": "test", "context": names}],
    }
    return json.dumps(config)
