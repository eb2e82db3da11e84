"""Fixtures of the tests marked `cluster`: a real cluster that KUBECONFIG names, a namespace a test, and its gateway.

Without a cluster they skip, and say how to get one. SHIPWAY_CLUSTER_REQUIRED=1 makes its absence a failure, so that none is skipped
where one is promised.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

from blocks.errors import ShipwayError
from blocks.kubernetes.api.auth import Access, connect
from blocks.kubernetes.api.client import Cluster
from tests.cluster.cluster_world import Gateway, World, drop_namespace, make_namespace
from tests.cluster.gitops_world import ArgoCD, GitOps, account_of
from tests.git_remotes import make_repository, serving_http

HOW_TO = (
    "let KUBECONFIG name the kubeconfig of a cluster for tests, where you may make namespaces "
    "(`kind create cluster` makes one), and load ghcr.io/stefanprodan/podinfo 6.9.0 to 6.9.2 into it"
)
HOW_TO_GATEWAY = (
    "install a Gateway API implementation (Traefik with its Gateway provider, for one), make a Gateway that takes routes from every "
    "namespace, and let SHIPWAY_GATEWAY_URL and SHIPWAY_GATEWAY_METRICS_URL say where it answers (default http://127.0.0.1:8000 and "
    "http://127.0.0.1:8001/metrics)"
)
HOW_TO_ARGOCD = (
    "install Argo CD 3.1 or newer, let its repository server reach this machine at 127.0.0.1, and let SHIPWAY_ARGOCD_URL say where its "
    "API answers (default http://127.0.0.1:8083), with the user admin (SHIPWAY_ARGOCD_PASSWORD) and an account `shipway` that may get, "
    "sync and update Applications and takes API tokens"
)


def _missing(reason: str) -> NoReturn:
    if os.environ.get("SHIPWAY_CLUSTER_REQUIRED") == "1":
        pytest.fail(f"SHIPWAY_CLUSTER_REQUIRED=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cluster_api() -> Any:
    """Return the official client of the cluster, which answers."""
    if not os.environ.get("KUBECONFIG"):
        _missing(f"KUBECONFIG is not set: {HOW_TO}")
    try:
        api = connect(Access())
        Cluster(api, "default").send("GET", "/version", timeout_seconds=5).release_conn()
    except ShipwayError as error:
        _missing(f"no cluster answers ({error}): {HOW_TO}")
    return api


@pytest.fixture(scope="session")
def node_runtime() -> int:
    """Return the process of the container runtime on the only node, which a test may stop for a while."""
    named = os.environ.get("SHIPWAY_NODE_RUNTIME", "")
    if not named.isdigit():
        _missing(
            "SHIPWAY_NODE_RUNTIME is not the process number of a node's container runtime: where the cluster's only node is this machine, "
            "and nothing else needs its containerd, set it to that one's"
        )
    return int(named)


@pytest.fixture
async def world(cluster_api: Any, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Return a fresh namespace, named by the test; the cluster clears it away after the test."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    cluster = Cluster(cluster_api, f"t-{words[:45].rstrip('-')}-{secrets.token_hex(3)}")
    await make_namespace(cluster)
    try:
        yield World(cluster, cluster.namespace)
    finally:
        await drop_namespace(cluster)


@pytest.fixture(scope="session")
def gateway(cluster_api: Any) -> Gateway:
    """Return a Gateway of the cluster that answers outside."""
    url = os.environ.get("SHIPWAY_GATEWAY_URL", "http://127.0.0.1:8000").rstrip("/")
    metrics_url = os.environ.get("SHIPWAY_GATEWAY_METRICS_URL", "http://127.0.0.1:8001/metrics")
    try:
        answer = Cluster(cluster_api, "default").send("GET", "/apis/gateway.networking.k8s.io/v1/gateways")
        found = [one for one in answer.json()["items"] if _is_programmed(one)]
    except ShipwayError as error:
        _missing(f"the cluster has no Gateway API ({error}): {HOW_TO_GATEWAY}")
    if not found:
        _missing(f"the cluster has no Gateway that is programmed: {HOW_TO_GATEWAY}")
    try:
        httpx.get(url, trust_env=False, timeout=5)
    except httpx.HTTPError as error:
        _missing(f"the gateway does not answer at {url} ({error}): {HOW_TO_GATEWAY}")
    metadata = found[0]["metadata"]
    return Gateway(metadata["namespace"], metadata["name"], url, metrics_url)


@pytest.fixture(scope="session")
def argocd(cluster_api: Any) -> Iterator[ArgoCD]:
    """Return the cluster's Argo CD, with a token that ends with the tests."""
    home = Cluster(cluster_api, os.environ.get("SHIPWAY_ARGOCD_NAMESPACE", "argocd"))
    url = os.environ.get("SHIPWAY_ARGOCD_URL", "http://127.0.0.1:8083").rstrip("/")
    login = {"username": "admin", "password": os.environ.get("SHIPWAY_ARGOCD_PASSWORD", "admin")}
    try:
        home.send("GET", home.path("Application")).release_conn()
        with httpx.Client(base_url=url, trust_env=False, timeout=20) as http:
            session = http.post("/api/v1/session", json=login).raise_for_status().json()["token"]
            http.headers["Authorization"] = f"Bearer {session}"
            token = http.post("/api/v1/account/shipway/token", json={"expiresIn": 86_400}).raise_for_status().json()["token"]
            yield ArgoCD(home, url, token, {"server": home.host})
            http.delete(f"/api/v1/account/shipway/token/{account_of(token)}")
    except (ShipwayError, httpx.HTTPError) as error:
        _missing(f"Argo CD does not answer ({error}): {HOW_TO_ARGOCD}")


@pytest.fixture(scope="session")
def argocd_parts() -> dict[str, int]:
    """Return the processes of Argo CD on this machine by name, each of which a test may stop for a while."""
    folder = Path(os.environ.get("SHIPWAY_ARGOCD_PIDS") or os.devnull)
    if not folder.is_dir():
        _missing(
            "SHIPWAY_ARGOCD_PIDS is not a folder with a file for each process of an Argo CD that nothing else needs: "
            "named like the program, and beginning with the process's number"
        )
    return {file.name: int(file.read_text().split()[0]) for file in folder.glob("argocd-*")}


@pytest.fixture
async def gitops(world: World, argocd: ArgoCD, tmp_path: Path) -> AsyncIterator[GitOps]:
    """Return a repository that Argo CD may read, and a fresh namespace for what it deploys; an Application is not made yet."""
    repository = make_repository(tmp_path)
    with serving_http(repository) as remote:
        found = GitOps(world, argocd, repository, remote)
        try:
            await found.credentials()
            yield found
        finally:
            remote.status, _ = 0, remote.hang.clear()
            await found.remove()


def _is_programmed(gateway: dict[str, Any]) -> bool:
    conditions = (gateway.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Programmed" and one["status"] == "True" for one in conditions)
