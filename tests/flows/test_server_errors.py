"""An overloaded or restarting Prefect server is a passing fault: nothing counts as a failed rollback because of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from blocks.errors import Refused, Superseded, Temporary, Unreachable
from flows.commands.release import start
from flows.lifecycle.acting import acting_for
from flows.lifecycle.context import Phase
from flows.lifecycle.finalize import roll_back_release
from flows.rollout.side_by_side import settled, side_by_side
from tasks.lifecycle.retries import as_temporary
from tasks.lifecycle.server import server
from tasks.rollout.platforms import load_platform
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.plan.plan import Plan
from tests.faulty_http import FaultyHandler, FaultyHttp, running
from tests.flows.harness import plan_of


class Overloaded(FaultyHandler):
    """An API that answers every request with the status of its server."""

    def take(self, body: bytes) -> None:  # noqa: ARG002
        """Answer with an error, as Prefect's server does when its database pool is exhausted."""
        status = int(getattr(self.server, "status"))  # noqa: B009 - the server's type knows nothing of it
        self._reply(status, b'{"exception_message": "Internal Server Error"}', **{"Content-Type": "application/json"})


@pytest.fixture
def overloaded(tmp_path: Path) -> Iterator[Any]:
    """Give an API that answers 500, as this process's Prefect server."""
    server: Any = FaultyHttp(Overloaded)
    server.status = 500
    with running(server):
        values = {
            PREFECT_API_URL: f"http://127.0.0.1:{server.server_address[1]}/api",
            PREFECT_CLIENT_MAX_RETRIES: 0,
            PREFECT_LOCAL_STORAGE_PATH: tmp_path,
        }
        with temporary_settings(values):
            yield server


def answered(status: int) -> httpx.HTTPStatusError:
    """Make the error of an answer."""
    request = httpx.Request("POST", "http://127.0.0.1/api/flow_runs/")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        *((answered(status), True) for status in (408, 429, 500, 502, 503, 504)),
        *((answered(status), False) for status in (400, 401, 403, 404, 409, 422)),
        (httpx.ConnectError("refused"), True),
        (httpx.ReadTimeout("late"), True),
        (httpx.RemoteProtocolError("cut"), True),
        (Unreachable("away"), True),
        (RuntimeError("Failed to reach API at http://127.0.0.1:4200/api/"), True),
        (RuntimeError("another fault"), False),
        (Refused("no"), False),
        (ValueError("?"), False),
    ],
    ids=repr,
)
def test_what_a_server_answers_that_is_overloaded_or_away_is_temporary(error: Exception, *, temporary: bool) -> None:
    """An answer about the request itself is permanent."""
    found = as_temporary(error)
    assert (found is not None) == temporary
    assert not temporary or isinstance(found, Temporary)


@pytest.mark.parametrize("status", [500, 503])
async def test_a_platform_that_the_server_cannot_give_now_may_be_given_later(overloaded: Any, status: int) -> None:
    """The error names the block and the answer."""
    overloaded.status = status
    with pytest.raises(Temporary, match=rf"block local/x-production could not be read: 127.0.0.1 answered {status}"):
        await load_platform("local/x-production", field="production.platform")


@pytest.mark.faults
@pytest.mark.usefixtures("overloaded")
async def test_a_release_that_moved_nothing_has_no_failed_rollback_when_the_server_answers_500(tmp_path: Path) -> None:
    """Whether an environment was moved is not known while its block cannot be read: the record stays open, and the keeper tries again."""
    run, plan = str(uuid4()), Plan.model_validate(plan_of("overloaded"))
    taken = TakenPlan(plan=plan_of("overloaded"), path="plan.yaml", folder=str(tmp_path), repository=str(tmp_path))
    phase = Phase(run, 1, run, plan, "plan.yaml", str(tmp_path), taken)
    with acting_for(run), pytest.raises(Temporary, match="the Prefect server did not answer"):
        await roll_back_release(phase, version="1.1", ending=Ending("refused", "another release is under way"))


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([answered(500), ValueError("?")], Temporary),
        ([answered(500), Superseded("newer")], Superseded),
        ([httpx.ReadTimeout("late")], Temporary),
    ],
    ids=["temporary", "superseded", "late"],
)
async def test_targets_that_are_rolled_back_side_by_side_do_not_fail_by_an_answer_of_the_server(
    errors: list[Exception], expected: type[Exception]
) -> None:
    """It is tried again; a newer owner comes before everything else."""
    left = iter(errors)

    async def back(_environment: str) -> None:
        raise next(left)

    with pytest.raises(expected):
        settled(await side_by_side([f"production/{number}" for number in range(len(errors))], back))


@pytest.mark.usefixtures("overloaded")
async def test_a_command_says_in_a_line_that_the_server_is_overloaded() -> None:
    """Instead of a traceback, and not as a fault of the request."""
    with pytest.raises(Temporary, match=r"127\.0\.0\.1 answered 500 to "):
        async with server() as client:
            await client.read_work_pools()


@pytest.mark.usefixtures("overloaded")
async def test_a_release_that_the_server_cannot_take_now_is_not_a_bad_request() -> None:
    """The parameters are right; who asks may ask again."""
    async with get_client() as client:
        with pytest.raises(Temporary, match="answered 500"):
            await start(client, "release/release", {})
