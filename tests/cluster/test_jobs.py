"""Jobs as migrations on a real cluster: run once whoever asks how often, ended in time, and honest about why one failed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

import pytest

from blocks.errors import BadInput, Refused, RolloutFailed, Superseded, WorldMoved
from blocks.kubernetes.api.auth import Access, connect
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.watch import Source, watch_until
from blocks.kubernetes.jobs import KEEP_SECONDS, job_name, run_job
from blocks.kubernetes.leases import acquire_lease
from blocks.kubernetes.workload import Target
from blocks.platform import Lease
from tests.cluster.accounts import account_config
from tests.cluster.cluster_world import IMAGE, PATH, World, deployment, service

pytestmark = pytest.mark.cluster
GOOD, BAD, ENDLESS = ["podinfo", "--version"], ["podinfo", "--no-such-option"], ["podinfo"]

PROCESS = """
import asyncio, json, sys
from blocks.kubernetes.api.auth import Access, connect
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.jobs import run_job
from blocks.kubernetes.workload import Target
asked = json.loads(sys.argv[1])
target = Target(cluster=Cluster(connect(Access()), asked["namespace"]), workload="podinfo")
asyncio.run(run_job(target, asked["manifest"], asked["lease"], name="add-place", timeout_seconds=60))
"""


def job(command: list[str], *, image: str = f"{IMAGE}:6.9.0", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Write a migration's Job."""
    secret = {"name": "DATABASE_PASSWORD", "value": "no-such-option"}
    container = {"name": "migrate", "image": image, "imagePullPolicy": "IfNotPresent", "command": command, "env": [PATH, secret]}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    template = {"metadata": {"labels": labels or {}}, "spec": pod}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "any"}, "spec": {"template": template, **spec}}


@pytest.fixture
async def target(world: World) -> Target:
    """Return a workload that runs nothing: a Job needs only its owner."""
    await world.apply(deployment("podinfo", "6.9.0", replicas=0))
    return Target(cluster=world.cluster, workload="podinfo")


async def placed(target: Target) -> dict[str, Any]:
    """Wait until there is a Job, and give it."""
    sources = [Source("job", "Job")]
    return await watch_until(target.cluster, sources, lambda seen: next(iter(seen["job"].values()), None), timeout_seconds=20)


async def jobs_of(target: Target) -> list[dict[str, Any]]:
    """List the Jobs of the namespace."""
    return await target.cluster.list("Job")


async def test_a_job_runs_once_however_often_it_is_asked_for(target: Target) -> None:
    """Two at once, then another attempt under a newer lease: one Job, one pod, and the same lines for all."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    both = [run_job(target, job(GOOD), lease, name="add-place", timeout_seconds=60) for _ in range(2)]
    first, second = await asyncio.gather(*both)
    newer = await acquire_lease(target, "run-1", takeover=False)
    third = await run_job(target, job(GOOD), newer, name="add-place", timeout_seconds=60)
    assert first == second == third
    assert "6.9.0" in " ".join(first)
    (found,) = await jobs_of(target)
    assert found["metadata"]["name"] == job_name(target, job(GOOD), lease, name="add-place")
    assert found["spec"]["backoffLimit"] == 0
    assert found["spec"]["ttlSecondsAfterFinished"] == KEEP_SECONDS
    assert len(await target.cluster.list("Pod")) == 1


@pytest.mark.parametrize("moment", ["placed", "ended"])
async def test_a_process_that_is_killed_leaves_a_job_that_the_next_one_finds(target: Target, moment: str) -> None:
    """Killed once the Job is there, or once it has ended: the next attempt gets its lines, and nothing ran twice."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    asked = json.dumps({"namespace": target.cluster.namespace, "manifest": job(GOOD), "lease": lease})
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, asked)
    found = await placed(target)
    while moment == "ended" and not (found.get("status") or {}).get("succeeded"):
        found = (await jobs_of(target))[0]
    with contextlib.suppress(ProcessLookupError):  # it may end by itself in this moment: what it leaves is the same
        process.kill()
    await process.wait()
    newer = await acquire_lease(target, "run-1", takeover=False)
    lines = await run_job(target, job(GOOD), newer, name="add-place", timeout_seconds=60)
    assert "6.9.0" in " ".join(lines)
    assert (len(await jobs_of(target)), len(await target.cluster.list("Pod"))) == (1, 1)


async def test_the_documented_role_suffices_and_without_it_the_rule_is_named(world: World, target: Target) -> None:
    """An account with exactly the Role runs a migration; one whose Role leaves Jobs out is told what to add."""
    await world.apply(deployment("podinfo", "6.9.0", replicas=0), service("podinfo"))
    lease = await acquire_lease(target, "run-1", takeover=False)
    for without in ("", "jobs"):
        api = connect(Access(config=await account_config(world, without=without)))
        limited = Target(cluster=Cluster(api, world.namespace), workload="podinfo", service="podinfo")
        if without:
            with pytest.raises(BadInput, match=r"may not \w+ jobs\. Add the rule"):
                await run_job(limited, job(GOOD), lease, name="other", timeout_seconds=60)
        else:
            assert await run_job(limited, job(GOOD), lease, name="add-place", timeout_seconds=60)


async def test_a_job_that_was_placed_and_cannot_be_watched_is_not_a_job_that_did_not_run(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right to watch is gone in the middle: whoever reads it must not believe that nothing was changed."""

    async def forbidden(*_: Any, **__: Any) -> None:
        raise BadInput("shipway may not watch jobs", field="access", fix="Add the rule")

    monkeypatch.setattr("blocks.kubernetes.jobs.watch_until", forbidden)
    lease = await acquire_lease(target, "run-1", takeover=False)
    with pytest.raises(RolloutFailed, match=r"was created, but cannot be watched: .*may not watch jobs"):
        await run_job(target, job(GOOD), lease, name="add-place", timeout_seconds=60)
    assert len(await jobs_of(target)) == 1


async def test_the_story_is_told_on_the_workload(target: Target) -> None:
    """`kubectl describe` has which Job ran, and that one failed."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    with pytest.raises(RolloutFailed):
        await run_job(target, job(BAD), lease, name="drop-place", timeout_seconds=60)
    events = await target.cluster.list("Event", fields="involvedObject.name=podinfo")
    told = [(one["type"], one["message"]) for one in events if one["reason"] == "ShipwayMigrate"]
    assert {kind for kind, _ in told} == {"Normal", "Warning"}
    assert all("drop-place" in message for _, message in told)


async def test_another_release_and_another_manifest_run_again(target: Target) -> None:
    """What was done for one release is not done for the next."""
    for owner in ("run-1", "run-2"):
        lease = await acquire_lease(target, owner, takeover=True)
        await run_job(target, job(GOOD), lease, name="add-place", timeout_seconds=60)
    await run_job(target, job([*GOOD, "--level=info"]), lease, name="add-place", timeout_seconds=60)
    assert len(await jobs_of(target)) == 3


async def test_a_failed_job_tells_its_last_lines_without_secrets_and_fails_again(target: Target) -> None:
    """The reason is the container's own word; asked again, the very same Job is found to have failed."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    for _ in range(2):
        with pytest.raises(RolloutFailed, match="BackoffLimitExceeded") as caught:
            await run_job(target, job(BAD), lease, name="drop-place", timeout_seconds=60)
        said = " ".join(caught.value.evidence)
        assert "unknown flag" in said
        assert "********" in said
        assert "no-such-option" not in said + str(caught.value)
    assert len(await jobs_of(target)) == 1


async def test_a_job_that_cannot_begin_is_named_at_once_and_never_begins_later(target: Target) -> None:
    """An image that is not there ends the wait within seconds, long before the time is up; the Job is suspended."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    began = time.monotonic()
    image = "registry.invalid/migrate:1"
    with pytest.raises(RolloutFailed, match=r"[Ii]mage"):
        await run_job(target, job(GOOD, image=image), lease, name="add-place", timeout_seconds=120)
    assert time.monotonic() - began < 30
    assert (await jobs_of(target))[0]["spec"]["suspend"] is True


async def test_a_job_whose_program_is_not_there_says_so(target: Target) -> None:
    """Where nothing could write a line, the container's end is told."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    with pytest.raises(RolloutFailed, match="no-such-program"):
        await run_job(target, job(["no-such-program"]), lease, name="add-place", timeout_seconds=20)


async def test_a_job_that_takes_too_long_is_ended_by_the_cluster(target: Target) -> None:
    """Nothing goes on behind a release that gave up."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    with pytest.raises(RolloutFailed, match="DeadlineExceeded"):
        await run_job(target, job(ENDLESS), lease, name="add-place", timeout_seconds=3)


async def test_a_newer_owner_fences_an_older_one_out(target: Target) -> None:
    """Nothing is placed under an old lease, and whoever waits under one stops as soon as another takes over."""
    old = await acquire_lease(target, "run-1", takeover=False)
    waiting = asyncio.create_task(run_job(target, job(ENDLESS), old, name="add-place", timeout_seconds=20))
    await placed(target)
    await acquire_lease(target, "run-2", takeover=True)
    with pytest.raises(Superseded):
        await waiting
    with pytest.raises(Superseded):
        await run_job(target, job(GOOD), old, name="other", timeout_seconds=20)
    with pytest.raises(Refused):
        await run_job(target, job(GOOD), Lease(owner="absent", generation=2), name="other", timeout_seconds=20)
    assert len(await jobs_of(target)) == 1


async def test_a_job_that_someone_deletes_is_told(target: Target) -> None:
    """How far it came is not guessed."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    waiting = asyncio.create_task(run_job(target, job(ENDLESS), lease, name="add-place", timeout_seconds=20))
    path = target.cluster.path("Job", (await placed(target))["metadata"]["name"])
    await asyncio.sleep(0.5)
    await target.cluster.call("DELETE", path, body={"propagationPolicy": "Background"})
    with pytest.raises(WorldMoved, match="was deleted"):
        await waiting


async def test_a_job_that_the_cluster_or_the_service_cannot_bear_is_refused_unplaced(target: Target) -> None:
    """Another namespace, the service's own labels, and a manifest that the API server finds invalid."""
    lease = await acquire_lease(target, "run-1", takeover=False)
    elsewhere = job(GOOD)
    elsewhere["metadata"]["namespace"] = "default"
    invalid = job(GOOD, backoffLimit=-1)
    for manifest in (elsewhere, job(GOOD, labels={"app": "podinfo"}), invalid):
        with pytest.raises(BadInput):
            await run_job(target, manifest, lease, name="add-place", timeout_seconds=20)
    assert await jobs_of(target) == []
