"""Deployments of prefect.yaml: only what the file says is remembered, whatever others add under the same names meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from blocks.errors import Permanent
from blocks.server import deployed, deployments, restore

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

pytestmark = pytest.mark.server
EVIL_SCHEDULE = [{"schedule": {"interval": 9, "timezone": "UTC"}, "active": True}]


async def spoil(client: PrefectClient) -> str:
    """Change what no command puts right, and make a deployment `settle` of another flow; gives its id."""
    one = await client.read_deployment_by_name("rollback/rollback")
    path = {"id": one.id}
    await client.request(
        "PATCH", "/deployments/{id}", path_params=path, json={"path": "/srv/evil", "parameters": {"environment": "staging"}, "tags": []}
    )
    await client.request("POST", "/deployments/{id}/schedules", path_params=path, json=EVIL_SCHEDULE)
    flow = await client.create_flow_from_name("evil")
    return str(await client.create_deployment(flow_id=flow, name="settle", entrypoint="flows.settle.settle", job_variables={}))


@pytest.mark.slow
async def test_only_what_the_file_says_is_remembered(server: Any, caplog: pytest.LogCaptureFixture) -> None:  # noqa: ARG001
    """Twice without a word; then what others changed is put right, and theirs stays unknown."""
    from prefect import get_client  # noqa: PLC0415

    only = ["rollback", "settle", "keeper", "guestbook"]
    async with get_client() as client:
        with caplog.at_level(logging.ERROR, logger="shipway"):
            assert await deployments.deploy_all(only=only) == only
            assert await deployments.deploy_all(only=only) == only
        assert not caplog.records
        evil = await spoil(client)
        await deployments.deploy_all(only=["rollback", "settle"])
        found = await client.read_deployment_by_name("rollback/rollback")
        assert (found.path, found.parameters, found.schedules) == (None, {}, [])
        assert evil not in deployed.known()
        assert await restore.restore_all(client) == []
        await client.delete_deployment((await client.read_deployment_by_name("settle/settle")).id)
        assert await restore.restore_all(client) == ["settle"]


async def test_what_is_changed_in_the_moment_of_the_deployment_is_put_right(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Its defaults would be taken for ours, and given back for ever."""
    from prefect import get_client  # noqa: PLC0415

    keep = deployments._keep

    async def changed(made: Any) -> None:
        async with get_client() as client:
            await spoil(client)
        await keep(made)

    monkeypatch.setattr(deployments, "_keep", changed)
    await deployments.deploy_all(only=["rollback"])
    async with get_client() as client:
        found = await client.read_deployment_by_name("rollback/rollback")
    facts = deployed.known()[str(found.id)]
    assert (found.path, found.parameters, found.schedules) == (None, {}, [])
    assert (facts["path"], facts["parameters"], facts["schedules"]) == (None, {}, [])
    assert {*found.tags} == {*facts["tags"]} == {"shipway", "shipway:open"}, "without which a rollback is not tried again"
    await deployments.deploy_all(only=["rollback"])


@pytest.mark.slow
async def test_one_that_others_change_again_and_again_keeps_no_other_from_being_remembered(
    server: Any,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The runs of a deployment that is not remembered are refused, the keeper's, too."""
    right, known = restore.differing, dict[str, Any]()

    def differing(one: Any, wanted: Any, **how: Any) -> Any:
        return {"path": None} if one.name == "settle" and not how else right(one, wanted, **how)

    monkeypatch.setattr(restore, "differing", differing)
    monkeypatch.setattr(deployed, "keep", lambda found: known.update({one.name: one for one in found}))
    with pytest.raises(Permanent, match="just deployed: settle"):
        await deployments.deploy_all(only=["rollback", "settle"])
    assert {*known} == {"rollback"}
