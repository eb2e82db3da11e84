"""A release as a Job of the cluster: prefect.kubernetes.yaml deployed, a worker of its pool, and the account with the documented Role.

The Job's image has no Python, so the node lends it this machine's: the node has to be this machine, as SHIPWAY_NODE_RUNTIME says of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from blocks.key_folder.key_file import create_key
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.server import deployments
from tests.cluster.accounts import ACCOUNT, account_config
from tests.cluster.cluster_world import IMAGE, World, deployment, service
from tests.cluster.scene import FIRST, SECOND
from tests.flows.harness import plan_of

pytestmark = [pytest.mark.cluster, pytest.mark.server, pytest.mark.alone, pytest.mark.usefixtures("node_runtime"), pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
POOL, SECRET = "shipway-in-cluster", "shipway-prefect"
MOST_SECONDS = 150
LENT = ("/usr", "/bin", "/lib", "/lib64", "/etc/passwd", "/etc/ssl", sys.base_prefix, str(ROOT))
SLI = {"name": "errors", "source": "probe", "path": "/healthz", "indicator": "errors"}


def volumes(folder: Path) -> list[dict[str, Any]]:
    """List what the node lends to a Job, and the folder that plan, repository and storage are in."""
    lent = [*(path for path in dict.fromkeys(LENT) if Path(path).exists()), str(folder)]
    return [{"name": f"lent-{number}", "hostPath": {"path": path}} for number, path in enumerate(lent)]


def template(folder: Path) -> dict[str, Any]:
    """Change the pool's own template as a team does whose Jobs need volumes: here also the node's network, where the server listens."""
    from prefect_kubernetes.worker import KubernetesWorker  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    found = KubernetesWorker.get_default_base_job_template()
    pod = found["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    lent = volumes(folder)
    pod |= {"hostNetwork": True, "volumes": lent, "securityContext": {"runAsUser": os.getuid()}}
    pod["containers"][0]["command"] = ["/usr/bin/env"]  # in the place of podinfo, which the image would begin with
    pod["containers"][0]["volumeMounts"] = [{"name": one["name"], "mountPath": one["hostPath"]["path"]} for one in lent]
    return dict(found)


def create_key_in(folder: Path) -> Path:
    """Make the key that all Jobs share, in a folder that is lent to them."""
    path = folder / "keys" / "approvals.key"
    create_key(path)
    return path


async def deploy(folder: Path, world: World) -> None:
    """Deploy prefect.kubernetes.yaml under other names, with the image, namespace, account and storage of this test."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415
    from prefect.filesystems import LocalFileSystem  # noqa: PLC0415

    await LocalFileSystem(basepath=str(folder / "storage")).save("in-cluster", overwrite=True)
    written = yaml.safe_load((ROOT / "prefect.kubernetes.yaml").read_text())
    variables = written["definitions"]["releases"]["job_variables"]
    api = urlsplit(world.cluster.host)  # whose Service not every cluster on one machine routes to; everything else is the Pod's own
    env = {
        "KUBERNETES_SERVICE_HOST": str(api.hostname),
        "KUBERNETES_SERVICE_PORT": str(api.port or 443),
        "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": "local-file-system/in-cluster",
        "HOME": str(folder),
        "SHIPWAY_KEY_FILE": str(create_key_in(folder)),
        "PREFECT_HOME": f"{folder}/prefect",
    }
    changed = {
        **variables,
        "image": f"{IMAGE}:{FIRST}",
        "image_pull_policy": "IfNotPresent",
        "namespace": world.namespace,
        "service_account_name": ACCOUNT,
        "command": f"{sys.executable} -m prefect.engine",
        "env": {**variables["env"], **env},
    }
    for one in written["deployments"]:
        one.pop("schedules", None)
        one |= {"name": "in-cluster", "work_pool": {"name": POOL, "job_variables": changed}}
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(written))
    async with get_client() as client:
        made = WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=template(folder))
        await client.create_work_pool(made, overwrite=True)
    await deployments.deploy_all(path)


@contextlib.contextmanager
def working(environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run the pool's worker outside the cluster."""
    words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "kubernetes", "--install-policy", "never"]
    begin = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    secret = {f"{begin}_NAME": SECRET, f"{begin}_KEY": "auth"}
    env = {**environment, **secret, "KUBECONFIG": os.environ["KUBECONFIG"], "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with log.open("w") as file, subprocess.Popen(words, env=env, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT) as process:
        try:
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def repository(folder: Path) -> Path:
    """Make a repository with a tag a version."""
    folder.mkdir()
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True, capture_output=True)
    for one in (FIRST, SECOND):
        (folder / "VERSION").write_text(one)
        for words in (["add", "VERSION"], ["commit", "--quiet", "-m", f"Make {one}"], ["tag", f"v{one}"]):
            subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
async def plan(world: World, tmp_path: Path) -> str:
    """Run podinfo as staging and as production, and write a plan for them that asks no one."""
    folder = repository(tmp_path / "repository")
    usual = plan_of("podinfo")
    sections = {name: {**usual[name], "platform": f"kubernetes/in-cluster-{name}"} for name in ("staging", "production")}
    for name in sections:
        await world.apply(deployment(name, FIRST), service(name))
        await world.rolled_out(name)
        platform = KubernetesPlatform(namespace=world.namespace, workload=name, force_conflicts=True, drain_seconds=1)
        await platform.save(f"in-cluster-{name}", overwrite=True)
    sections["production"] |= {"steps": [{"percent": 100, "watch_seconds": 0}]}
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**usual, **sections, "judgement": {**usual["judgement"], "slis": [SLI], "min_requests": 1}}))
    return str(path)


@pytest.fixture
async def run(server: Any, world: World, plan: str, tmp_path: Path) -> AsyncIterator[str]:
    """Ask for a release that a Job carries out, and give its id."""
    from prefect import get_client  # noqa: PLC0415

    await account_config(world)
    auth = {"auth": server.environment["PREFECT_API_AUTH_STRING"]}
    await world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": auth})
    await deploy(tmp_path, world)
    with working(server.environment, tmp_path / "worker.log"):
        async with get_client() as client:
            known = await client.read_deployment_by_name("release/in-cluster")
            asked = {"plan": plan, "version": SECOND, "reason": "a test", "requester": "rita"}
            yield str((await client.create_flow_run_from_deployment(known.id, parameters=asked)).id)


async def said_by_jobs(world: World) -> str:
    """Read the last lines of the Jobs' Pods."""
    pods = await world.cluster.list("Pod", labels="batch.kubernetes.io/job-name")
    paths = [world.cluster.path("Pod", pod["metadata"]["name"], below="log") for pod in pods]
    return "\n".join([(await world.cluster.content("GET", path)).decode()[-3_000:] for path in paths])


async def test_a_release_runs_as_a_job_with_the_documented_rights(world: World, server: Any, run: str, tmp_path: Path) -> None:
    """Its Pod reaches the cluster by its own account, and brings the version to staging and production; its manifest holds no password."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client, asyncio.timeout(MOST_SECONDS):
        while not (found := await client.read_flow_run(run)).state.is_final():  # type: ignore[arg-type, union-attr]  # noqa: ASYNC110
            await asyncio.sleep(1)
    assert found.state is not None
    assert found.state.name == "Deployed", f"{found.state}\n{await said_by_jobs(world)}\n{(tmp_path / 'worker.log').read_text()[-3_000:]}"
    for name in ("staging", "production"):
        workload = await world.rolled_out(name)
        assert workload["spec"]["template"]["spec"]["containers"][0]["image"] == f"{IMAGE}:{SECOND}"
    (job,) = await world.cluster.list("Job")
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == ACCOUNT
    assert server.environment["PREFECT_API_AUTH_STRING"] not in json.dumps(job)
    assert list((tmp_path / "storage").rglob("*")), "the record went to storage that is shared"
