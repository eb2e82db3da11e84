"""Put deployments right that were changed by the API.

Of all of them the concurrency limit; of rollback, settle, observe and keeper everything that was deployed, since nothing may stop
them: also the keeper's schedule, and a deployment that was deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any
from uuid import UUID

from blocks.server import deployed

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    Propose = Callable[[FlowRun], Coroutine[Any, Any, bool]]

DEPLOY = "import asyncio, sys; from blocks.server.deployments import deploy_all; asyncio.run(deploy_all(only=sys.argv[1:]))"
DEPLOY_SECONDS = 120
LOG = logging.getLogger("shipway")
TOGETHER = (
    ("parameters", "parameter_openapi_schema", "enforce_parameter_schema"),  # the server validates the first by the second
    ("work_pool_name", "work_queue_name"),
)


async def restore_all(client: PrefectClient) -> list[str]:
    """Put right what this installation deployed; what fails is logged, and the next try is soon.

    Args:
        client: Of the server.

    Returns:
        Which of rollback, settle, observe, keeper and freeze has no deployment of that name any more, by which the code asks for it.
    """
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId  # noqa: PLC0415 - prefect is slow to import

    try:
        known = deployed.known()
        chosen = DeploymentFilter(id=DeploymentFilterId(any_=[UUID(one) for one in known]))
        found = await client.read_deployments(deployment_filter=chosen, limit=200) if known else []
    except Exception:
        LOG.exception("the deployments could not be compared with what was deployed. %s", deployed.FIX)
        return []
    for one in found:
        try:
            await restore(client, one, known[str(one.id)])
        except Exception:
            LOG.exception("the deployment %s could not be put right. %s", one.name, deployed.FIX)
    return sorted({*map(deployed.own_name, known.values())} - {deployed.own_name(known[str(one.id)]) for one in found} - {""})


async def restore(client: PrefectClient, deployment: Any, wanted: dict[str, Any]) -> bool:
    """Put one deployment right, if it differs from what was deployed.

    Args:
        client: Of the server.
        deployment: As the server gives it.
        wanted: What was deployed.

    Returns:
        Whether it differed.
    """
    fields = _changed_fields(deployment, wanted)
    # The limit apart: a field that the server refuses must not keep it. A file of an earlier version does not say which was deployed.
    limited = "limit" in wanted and await restore_limit(client, deployment, wanted["limit"])
    if fields:
        LOG.error(
            "%s of the deployment %s was changed; it is put right. Find out who changed it", ", ".join(sorted(fields)), deployment.name
        )
        await client.request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=fields)
    return await _restore_schedules(client, deployment, wanted) or limited or bool(fields)


async def set_right(client: PrefectClient, deployment: Any, wanted: dict[str, Any]) -> None:
    """Give a deployment what its file says and Prefect's command leaves: a path, a storage, a schedule that others added."""
    if fields := differing(deployment, wanted, but={"schedules"}):
        LOG.error("%s of the deployment %s was not as deployed; it is put right. %s", ", ".join(fields), deployment.name, deployed.WHO)
        await client.request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=fields)
    await _restore_schedules(client, deployment, wanted)


async def _restore_schedules(client: PrefectClient, deployment: Any, wanted: dict[str, Any]) -> bool:
    """Give rollback, settle, observe and keeper the schedules with which they were deployed; without its own the keeper never runs."""
    right = wanted.get("schedules")
    if right is None or not deployed.is_own_and_urgent(wanted) or deployed.schedules_of(deployment) == right:
        return False
    LOG.error("the schedules of the deployment %s were changed; they are put right. %s", deployment.name, deployed.WHO)
    path = {"id": deployment.id}
    for one in deployment.schedules:
        await client.request("DELETE", "/deployments/{id}/schedules/{schedule_id}", path_params={**path, "schedule_id": one.id})
    if right:
        await client.request("POST", "/deployments/{id}/schedules", path_params=path, json=right)
    return True


async def restore_limit(client: PrefectClient, deployment: Any, right: int | None) -> bool:
    """Give a deployment its concurrency limit; a limit that it shares is taken from it, and stays itself.

    Args:
        client: Of the server.
        deployment: As the server gives it.
        right: How many of its runs may run at once; None for any number.

    Returns:
        Whether it had another one.
    """
    found = deployed.limit_of(deployment)
    if found == right:
        return False
    LOG.error(
        "the deployment %s had the concurrency limit %s; it is put right (%s). Find out who changed it", deployment.name, found, right
    )
    patch: dict[str, Any] = {"concurrency_limit": right}
    if right is None:
        is_shared = deployment.global_concurrency_limit.name != f"deployment:{deployment.id}"
        patch = {"global_concurrency_limit_id" if is_shared else "concurrency_limit": None, "concurrency_options": None}
    await client.request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=patch)
    return True


async def deploy_again(missing: list[str]) -> None:
    """Deploy what is missing by prefect.yaml again, as `shipway up` does, in a process of its own: it changes the working directory.

    Args:
        missing: The names of the deployments; all others stay as they are.
    """
    LOG.error("the deployments %s are gone; they are deployed by prefect.yaml again. %s", ", ".join(missing), deployed.WHO)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DEPLOY, *missing)
    try:
        code = await asyncio.wait_for(process.wait(), DEPLOY_SECONDS)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    if code:
        LOG.error("prefect.yaml could not be deployed again (exit status %s). `shipway up` deploys it", code)


def before_pending(propose: Propose, client: Callable[[], PrefectClient]) -> Propose:
    """Wrap how a worker takes a run: its deployment is put right first, since a limit lets the server cancel the run at that moment.

    Args:
        propose: Proposes the state Pending to the server.
        client: Gives an open client.
    """

    async def take(flow_run: FlowRun) -> bool:
        try:
            wanted = deployed.known().get(str(flow_run.deployment_id))
            if wanted is not None and flow_run.deployment_id is not None:
                await restore(client(), await client().read_deployment(flow_run.deployment_id), wanted)
        except Exception:
            LOG.exception("%s: its deployment could not be put right", flow_run.id)
        return await propose(flow_run)

    return take


def with_template(record: Callable[[Any], None], template: dict[str, Any]) -> Callable[[Any], None]:
    """Wrap how a worker notes the pool as the server gives it: runs are made of our template, whatever the pool's is at that moment.

    Prefect makes a run's configuration of it before we compare anything; one that is broken would keep each run from its process.

    Args:
        record: Notes a pool.
        template: The right one.
    """

    def note(pool: Any) -> None:
        record(pool.model_copy(update={"base_job_template": template}))

    return note


def _changed_fields(deployment: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Give the right values of what was changed in rollback, settle, observe or keeper; another deployment's runs are refused instead."""
    if not deployed.is_own_and_urgent(wanted):
        return {}
    return differing(deployment, wanted, but={"schedules"}) | ({"paused": False} if deployment.paused else {})


def differing(deployment: Any, wanted: dict[str, Any], *, but: Collection[str] = ()) -> dict[str, Any]:
    """Give the right values of the fields in which a deployment differs from what is wanted, and of those that must be set with them."""
    found = deployed.facts_of(deployment)
    changed = {name for name in (*deployed.RESTORED, "schedules") if name in wanted and found.get(name) != wanted[name]} - {*but}
    for group in TOGETHER:
        if changed & {*group}:
            changed |= {*group} & {*wanted}
    return {name: wanted[name] for name in changed}
