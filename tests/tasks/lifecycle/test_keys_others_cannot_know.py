"""Runs that are asked for under an idempotency key: the server makes one run for a key, whoever asks first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
from prefect.exceptions import ObjectNotFound

from blocks.errors import Refused
from blocks.key_folder.key_file import secret_name
from tasks.lifecycle import keeper_acts
from tasks.lifecycle.keeper_acts import MOST_ASKED, settle_run
from tasks.lifecycle.schedule import request_release

pytestmark = pytest.mark.usefixtures("offline")
DEPLOYMENT = uuid4()


class Server:
    """Makes one run for a key, as Prefect's does."""

    def __init__(self) -> None:
        """Begin without runs."""
        self.runs: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        """Be the client, too."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stay."""

    async def read_deployment_by_name(self, _: str) -> Any:
        """Give the deployment."""
        return Thing(id=DEPLOYMENT)

    async def create_flow_run_from_deployment(self, deployment: UUID, *, parameters: dict[str, Any], idempotency_key: str, **_: Any) -> Any:
        """Make a run, or give the one that has this key."""
        return self.runs.setdefault(idempotency_key, run(deployment, "SCHEDULED", **parameters))

    async def read_flow_run(self, wanted: UUID) -> Any:
        """Give a run."""
        for one in self.runs.values():
            if one.id == wanted:
                return one
        raise ObjectNotFound(Exception())


class Thing:
    """Has these fields."""

    def __init__(self, **fields: Any) -> None:
        """Take them."""
        self.__dict__.update(fields)


def run(deployment: UUID, state: str, **parameters: Any) -> Any:
    """Make a run."""
    at = datetime.now(UTC)
    now = Thing(state_details=Thing(scheduled_time=at))
    return Thing(id=uuid4(), deployment_id=deployment, parameters=parameters, state_type=Thing(value=state), state=now, created=at)


@pytest.mark.parametrize("ended", range(MOST_ASKED + 1))
async def test_what_cannot_settle_a_run_does_not_take_the_place_of_what_can(monkeypatch: pytest.MonkeyPatch, ended: int) -> None:
    """Others cancel what was asked for: it is asked for again at the next turn, a few times a minute."""
    server = Server()
    monkeypatch.setattr(keeper_acts, "get_client", lambda: server)
    for _ in range(ended):
        await settle_run.fn("r1", reason="x", cancelled=False, alive=None)
        for one in server.runs.values():
            one.state_type = Thing(value="CANCELLED")
    for _ in range(3):
        await settle_run.fn("r1", reason="x", cancelled=False, alive=None)
    assert sum(one.state_type.value == "SCHEDULED" for one in server.runs.values()) == (1 if ended < MOST_ASKED else 0)
    assert not any("settle" in key or "r1" in key for key in server.runs), "others could make it before"


async def test_a_release_that_others_made_under_the_key_is_not_taken_for_ours() -> None:
    """It would be of another plan."""
    server, wanted = Server(), {"plan": "/srv/plan.yaml", "version": "1"}
    client: Any = server
    first = await request_release(client, wanted, service="shop", key="candidate-1")
    assert (await request_release(client, wanted, service="shop", key="candidate-1")).id == first.id
    server.runs[secret_name("candidate-1")] = run(uuid4(), "CANCELLED", plan="/home/eve/plan.yaml")
    with pytest.raises(Refused, match="by others"):
        await request_release(client, wanted, service="shop", key="candidate-1")


def test_a_name_is_the_same_on_this_machine_and_says_nothing() -> None:
    """It is made under the approval key."""
    assert secret_name("x") == secret_name("x") != secret_name("y")
    assert len(secret_name("x")) == 64
