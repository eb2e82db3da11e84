"""The keeper's schedule and the deployments of what nothing may stop come back, whoever removes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from blocks.server import deployed, restore

EVERY = {"interval": 20.0, "timezone": "UTC"}


class Schedule(BaseModel):
    """A schedule as the server gives it."""

    id: str = "s1"
    schedule: dict[str, Any] = EVERY
    active: bool = True
    slug: str | None = "keeper"
    parameters: dict[str, Any] = {}


class Deployment(BaseModel):
    """A deployment as the server gives it."""

    id: str
    name: str = "keeper"
    flow_id: str = "f1"
    entrypoint: str = "flows.keeper.keeper"
    path: str | None = None
    pull_steps: list[Any] | None = None
    job_variables: dict[str, Any] = {}
    work_pool_name: str = "shipway"
    work_queue_name: str = "urgent"
    parameters: dict[str, Any] = {}
    parameter_openapi_schema: dict[str, Any] = {}
    enforce_parameter_schema: bool = True
    storage_document_id: str | None = None
    infrastructure_document_id: str | None = None
    paused: bool = False
    schedules: list[Schedule] = [Schedule()]


class Server:
    """The server's deployments, and what is asked of it."""

    def __init__(self, *found: Deployment) -> None:
        """Have these."""
        self.found, self.asked = found, list[Any]()

    async def read_deployments(self, **_: Any) -> list[Deployment]:
        """Give them."""
        return list(self.found)

    async def request(self, method: str, path: str, *, path_params: dict[str, Any], json: Any = None) -> None:
        """Take a request."""
        self.asked.append((method, path.format(**path_params), json))


def keeper(**changes: Any) -> Deployment:
    """Deploy the keeper, and give it as it was changed since."""
    one = Deployment(id=str(uuid4()))
    deployed.keep([one])
    return one.model_copy(update=changes)


WANTED = [{"schedule": EVERY, "active": True, "slug": "keeper", "parameters": {}}]


@pytest.mark.parametrize(
    ("schedules", "deleted"),
    [
        ([], []),
        ([Schedule(active=False)], ["s1"]),
        ([Schedule(schedule={"interval": 9e6, "timezone": "UTC"})], ["s1"]),
        ([Schedule(), Schedule(id="s2", slug=None, parameters={"x": 1})], ["s1", "s2"]),
    ],
    ids=["removed", "switched off", "slower", "one more"],
)
async def test_the_keepers_schedule_comes_back(schedules: list[Schedule], deleted: list[str]) -> None:
    """Without it every release that dies stays as it is."""
    changed = keeper(schedules=schedules)
    server: Any = Server(changed)
    assert await restore.restore_all(server) == []
    path = f"/deployments/{changed.id}/schedules"
    assert server.asked == [*(("DELETE", f"{path}/{one}", None) for one in deleted), ("POST", path, WANTED)]


async def test_what_is_as_it_was_deployed_is_left() -> None:
    """Every 30 s."""
    server: Any = Server(keeper(schedules=[Schedule(id="another id of the same")]))
    await restore.restore_all(server)
    assert server.asked == []


async def test_a_deleted_deployment_is_deployed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its file; an earlier one of the same entry point is not missed."""
    keeper()
    assert await restore.restore_all(Server()) == ["keeper"]  # type: ignore[arg-type]
    assert await restore.restore_all(Server(keeper())) == []  # type: ignore[arg-type]
    ran: list[str] = []

    async def start(*words: str) -> Any:
        ran.extend(words)
        return SimpleNamespace(wait=done)

    async def done() -> int:
        return 0

    monkeypatch.setattr("blocks.server.restore.asyncio.create_subprocess_exec", start)
    await restore.deploy_again(["keeper"])
    assert ran[-2:] == [restore.DEPLOY, "keeper"]
