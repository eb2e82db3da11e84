"""What comes in harms nothing, and no secret goes out: releases whose service and platform say the worst."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from flows.release import release
from tests.flows.hostile_platform import HostilePlatform, hostile_service
from tests.flows.processes import hang_up
from tests.flows.test_hostile_words import HostileStage
from tests.hostile_text import spellings, traces

pytestmark = [pytest.mark.attack, pytest.mark.server, pytest.mark.timeout(600)]
SECRET = 'Tr0ub4dor&3/x y"z+Kuckuck-\u00e4'
FILTERS = (
    "artifacts", "artifacts/latest", "block_documents", "deployments", "events", "flow_runs", "flows", "logs", "task_runs", "variables",
    "work_pools", "block_schemas", "block_types",
)  # fmt: skip
_numbers = count(2)


class SecretStage(HostileStage):
    """Both environments hold a secret."""

    async def set_up(self) -> None:
        """Save the platforms with it."""
        await super().set_up()
        for environment in self.environments:
            name = f"{self.name}-{environment}"
            await HostilePlatform.model_validate({"name": name, "environment": {"TOKEN": SECRET, "SHORT": "a"}}).save(name, overwrite=True)


@pytest.fixture(scope="module")
def stage(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretStage]:  # noqa: ARG001 - it must run
    """Raise two environments in memory that hold a secret."""
    stage = SecretStage("secretive", tmp_path_factory.mktemp("secretive"), runner=None)  # type: ignore[arg-type]
    asyncio.run(stage.set_up())
    with hostile_service(HostilePlatform.worlds) as url:
        HostilePlatform.url = url
        yield stage
    asyncio.run(hang_up())


async def everything_the_api_gives() -> dict[str, str]:
    """Read every page of every filter, and every run's states and inputs, as anybody may who holds the API's password."""
    from prefect import get_client  # noqa: PLC0415

    found: dict[str, str] = {}
    async with get_client() as client:
        http: Any = client._client
        for name in FILTERS:
            for offset in range(0, 2_000, 200):
                asked = {"limit": 50} if name == "events" else {"limit": 200, "offset": offset}
                answer = await http.post(f"/{name}/filter", json=asked)
                found[f"{name} {offset}"] = answer.text
                following = answer.json().get("next_page") if name == "events" else None
                while following:
                    answer = await http.get(following)
                    found[following] = answer.text
                    following = answer.json().get("next_page")
                if name == "events" or len(answer.json()) < 200:
                    break
        for run in (await http.post("/flow_runs/filter", json={"limit": 200})).json():
            for path in (f"/flow_runs/{run['id']}", f"/flow_run_states/?flow_run_id={run['id']}", f"/flow_runs/{run['id']}/graph-v2"):
                found[path] = (await http.get(path)).text
            for task in (await http.post("/task_runs/filter", json={"flow_runs": {"id": {"any_": [run["id"]]}}})).json():
                path = f"/task_run_states/?task_run_id={task['id']}"
                found[path] = (await http.get(path)).text
    return found


def files_of(home: Path) -> dict[str, str]:
    """Read what runs leave in their storage: the records, and the results of tasks."""
    return {str(path): path.read_text(errors="replace") for path in (home / "storage").rglob("*") if path.is_file()}


def check_no_trace(found: dict[str, str]) -> None:
    """Search for what only the secret explains."""
    for place, text in found.items():
        lower = text.lower()
        left = {one for one in traces(SECRET) if one in lower}
        where = next((lower.index(one) for one in left), 0)
        assert not left, f"{place}: {left}: …{text[max(0, where - 300) : where + 300]}…"


@pytest.mark.parametrize("point", ["logs", "body", "prepare", "shift"])
async def test_a_failing_release_shows_its_secret_nowhere(
    stage: SecretStage, server: Any, point: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The service logs and answers its own secret, and the platform fails with it, in every spelling: API, files and output hold none."""
    await stage.free()
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger("prefect").addHandler(handler)
    states = []
    lines = [f"{name} lost {spelled} in a fire" for name, spelled in spellings(SECRET).items()]
    batches = [lines[at::4] for at in range(4)] if point == "logs" else [lines[:1], [" ".join(lines[4:6])]]
    try:
        for text, *more in batches:
            for environment in stage.environments:
                world = stage.world(environment)
                world.reset("1.0")
                world.fails_at = point if environment == "production" else ""
                world.text, world.lines = text, more
            version = stage.tag(f"1.{next(_numbers)}")
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                asked = {"plan": stage.hostile_plan(), "version": version, "reason": "a test", "requester": "rita"}
                state: Any = await release(**asked, return_state=True)
            states.append(state.message)
            assert state.name == ("Failed" if point == "body" else "RolledBack"), state.message
            assert [stage.world(one).position["baseline"] for one in stage.environments] == ["1.0", "1.0"]
    finally:
        logging.getLogger("prefect").removeHandler(handler)
    assert any("********" in message for message in states) or point == "body", states
    await hang_up()
    await asyncio.sleep(2)  # the server stores events and logs once a second
    out = capfd.readouterr()
    check_no_trace({"states": "\n".join(states), "log": said.getvalue(), "output": out.out + out.err})
    check_no_trace(files_of(server.home))
    check_no_trace(await everything_the_api_gives())
