"""Resource usage of pods: requests, limits and restarts, and CPU and memory if the cluster measures them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypedDict, cast

from blocks.errors import BadInput, Temporary
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.errors import Missing

Json = dict[str, Any]
METRICS = "/apis/metrics.k8s.io/v1beta1"
MEBIBYTE = 1024 * 1024
SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


class Usage(TypedDict, total=False):
    """One container's resources; what is not set or measured is left out.

    Fields:
        pod: The pod's name.
        container: The container's name.
        restarts: How often it was started again.
        cpu_request, cpu_limit, cpu_used: In cores.
        memory_request, memory_limit, memory_used: In bytes.
        last_exit: Why it exited last, for example `OOMKilled`.
    """

    pod: str
    container: str
    restarts: int
    cpu_request: float
    cpu_limit: float
    cpu_used: float
    memory_request: int
    memory_limit: int
    memory_used: int
    last_exit: str


async def read_usage(cluster: Cluster, pods: Iterable[Json], *, selector: str) -> list[Usage]:
    """Read the requests of pods, and what they use if metrics.k8s.io is served and this account may read it.

    Args:
        cluster: The cluster.
        pods: The pods, as the API gives them.
        selector: Their labels, as the API's `labelSelector`.
    """
    return usage_of(pods, await _measured(cluster, selector))


async def _measured(cluster: Cluster, selector: str) -> list[Json]:
    try:
        answer = await cluster.call("GET", f"{METRICS}/namespaces/{cluster.namespace}/pods", query={"labelSelector": selector})
    except (Missing, BadInput, Temporary):  # not served, not allowed, or its server is down: optional evidence
        return []
    return list(answer.get("items") or [])


def usage_of(pods: Iterable[Json], measured: Iterable[Json]) -> list[Usage]:
    """Put manifest, status and measurement of each container together."""
    used = {(pod["metadata"]["name"], one["name"]): one.get("usage") or {} for pod in measured for one in pod.get("containers") or []}
    return [
        _of_container(pod, container, used.get((pod["metadata"]["name"], container["name"]), {}))
        for pod in pods
        for container in pod["spec"].get("containers") or []
    ]


def _of_container(pod: Json, container: Json, used: Mapping[str, str]) -> Usage:
    name = pod["metadata"]["name"]
    statuses: list[Json] = pod.get("status", {}).get("containerStatuses") or []
    status: Json = next((one for one in statuses if one["name"] == container["name"]), {})
    resources = container.get("resources") or {}
    found: Json = {"pod": name, "container": container["name"], "restarts": int(status.get("restartCount", 0))}
    ended = (status.get("lastState") or {}).get("terminated") or {}
    if ended.get("reason"):
        found["last_exit"] = ended["reason"]
    for word, amounts in (("request", resources.get("requests")), ("limit", resources.get("limits")), ("used", used)):
        found |= _amounts(word, amounts or {})
    return cast("Usage", found)


def _amounts(word: str, amounts: Mapping[str, str]) -> Json:
    found: Json = {}
    if (cores := quantity(amounts.get("cpu"))) is not None:
        found[f"cpu_{word}"] = float(cores)
    if (memory := quantity(amounts.get("memory"))) is not None:
        found[f"memory_{word}"] = int(memory)
    return found


def quantity(text: object) -> Decimal | None:
    """Read a Kubernetes quantity, `250m`, `1.5`, `64Mi` or `2e3`; None if it is not one.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    words = "" if text is None else str(text).strip()
    suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if words.endswith(one)), "")
    try:
        found = Decimal(words[: len(words) - len(suffix)]) * SUFFIXES.get(suffix, Decimal(1))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def in_words(one: Usage) -> str:
    """Write a container's usage in a line for an operator."""
    parts = [f"{one['restarts']} restarts" + (f" (last: {one['last_exit']})" if one.get("last_exit") else "")]
    if "cpu_used" in one:
        parts.append(f"CPU {one['cpu_used']:.3g}" + (f" of {one['cpu_limit']:g}" if "cpu_limit" in one else "") + " cores")
    if "memory_used" in one:
        limit = f" of {one['memory_limit'] / MEBIBYTE:.0f}" if "memory_limit" in one else ""
        parts.append(f"memory {one['memory_used'] / MEBIBYTE:.0f}{limit} MiB")
    return f"{one['pod']}/{one['container']}: {', '.join(parts)}"
