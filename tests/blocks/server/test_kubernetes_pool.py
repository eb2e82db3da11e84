"""The flows as deployments of a Kubernetes work pool, applied to a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.server import deployments

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[3]
POOL = "shipway-kubernetes"


def renamed(folder: Path) -> Path:
    """Copy the file with other names, so that the deployments of the session's own server stack stay as they are."""
    written = yaml.safe_load((ROOT / "prefect.kubernetes.yaml").read_text())
    for one in written["deployments"]:
        one["name"] = f"{one['name']}-in-cluster"
        one.pop("schedules", None)
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(written))
    return path


async def make_pool() -> None:
    """Make the pool as `prefect work-pool create --type kubernetes` does."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415
    from prefect_kubernetes.worker import KubernetesWorker  # noqa: PLC0415

    async with get_client() as client:
        template = KubernetesWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=template), overwrite=True)


@pytest.mark.slow
async def test_every_flow_deploys_to_a_kubernetes_pool_whose_template_takes_its_variables(server: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """prefect.kubernetes.yaml is applied whole, and the worker makes a Job of a release as the file says."""
    from prefect import get_client  # noqa: PLC0415
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration  # noqa: PLC0415

    await make_pool()
    names = await deployments.deploy_all(renamed(tmp_path))
    both = [yaml.safe_load((ROOT / file).read_text())["deployments"] for file in ("prefect.yaml", "prefect.kubernetes.yaml")]
    assert {one["entrypoint"] for one in both[0]} == {one["entrypoint"] for one in both[1]}
    async with get_client() as client:
        found = await client.read_deployment_by_name("release/release-in-cluster")
        rollback = await client.read_deployment_by_name("rollback/rollback-in-cluster")
        pool = await client.read_work_pool(POOL)
    assert (len(names), found.work_pool_name, found.entrypoint) == (len(both[1]), POOL, "flows.release.release")
    assert found.work_queue_name == "releases"
    assert rollback.work_queue_name == "urgent"
    job = await KubernetesWorkerJobConfiguration.from_template_and_values(pool.base_job_template, found.job_variables)
    container = job.job_manifest["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example.org/shipway:0.1.0"
    assert job.job_manifest["spec"]["template"]["spec"]["serviceAccountName"] == "shipway"
    assert job.env["PREFECT_DEFAULT_RESULT_STORAGE_BLOCK"] == "remote-file-system/shipway"
