"""The pool of the workers: a template that was broken through the API would keep every run from its process, the keeper's too."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.workers.process import ProcessWorker

from blocks.server import restore, settings, worker

pytestmark = pytest.mark.server


async def test_a_template_that_was_broken_is_put_right_again_and_again(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker of `urgent` looks each half a minute, and goes on looking if a turn fails."""
    turns: list[str] = []

    async def fails_once(_client: Any) -> list[str]:
        turns.append("")
        if len(turns) == 1:
            raise ValueError
        return []

    monkeypatch.setattr(worker, "RESTORE_SECONDS", 0.1)
    monkeypatch.setattr(worker.restore, "restore_all", fails_once)
    monkeypatch.setattr(worker, "POOL", "shipway-broken")  # the other tests need that of the server stack
    async with get_client() as client:
        await worker.ensure_pool(server.home, client)
        broken = dict(worker.job_template(server.home), job_configuration={"env": "no object"})
        await client.update_work_pool(worker.POOL, WorkPoolUpdate(base_job_template=broken))
        putting = asyncio.create_task(worker.restore_often(server.home))
        try:
            async with asyncio.timeout(20):
                while (await client.read_work_pool(worker.POOL)).base_job_template == broken:  # noqa: ASYNC110 - the server announces nothing
                    await asyncio.sleep(0.1)
        finally:
            putting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await putting
        assert (await client.read_work_pool(worker.POOL)).base_job_template == worker.job_template(server.home)
        await client.delete_work_pool(worker.POOL)
    assert len(turns) > 1


async def test_a_pool_of_another_type_is_made_anew(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the API's password can delete ours and make one of that name into which nothing of ours can be deployed."""
    monkeypatch.setattr(worker, "POOL", f"shipway-{uuid4().hex[:8]}")
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name=worker.POOL, type="ecs:push", base_job_template={}))
        for _ in range(2):
            await worker.ensure_pool(server.home, client)
            pool = await client.read_work_pool(worker.POOL)
            assert (pool.type, pool.base_job_template) == ("process", worker.job_template(server.home))
            queues = await client.read_work_queues(work_pool_name=worker.POOL)
            assert {queue.name for queue in queues} >= {worker.RELEASES, worker.URGENT}
        assert (await client.read_work_pool(worker.POOL)).id == pool.id
        await client.delete_work_pool(worker.POOL)


async def test_a_worker_makes_its_runs_of_the_right_template_whatever_the_pools_is(server: Any) -> None:
    """It is put right every half a minute; who breaks it each ten seconds must not keep rollbacks from their processes either."""
    right = worker.job_template(server.home)
    one = ProcessWorker(work_pool_name="none")
    note = restore.with_template(one._record_work_pool_snapshot, right)
    broken = dict(right, job_configuration={"env": "no object"})
    note(WorkPool(name="none", type="process", base_job_template=broken, default_queue_id=uuid4()))
    assert one._work_pool is not None
    made = await one.job_configuration.from_template_and_values(one._work_pool.base_job_template, values={})
    assert made.working_dir == settings.PROJECT
