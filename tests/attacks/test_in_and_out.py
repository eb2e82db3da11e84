"""What comes in harms nothing, and no secret goes out: releases whose service and platform say the worst."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect import get_client
from prefect.exceptions import MissingResult, ObjectNotFound, ParameterTypeError
from prefect.flow_engine import run_flow
from prefect.states import Cancelled

from blocks.outside_text import outside
from flows.lifecycle.frame import roll_back_cancelled
from flows.release import release
from tasks.record.storage import default_storage
from tasks.rules.record.entries import outcome_of, verify_chain
from tests.flows.hostile_platform import HostilePlatform, hostile_service
from tests.flows.processes import hang_up
from tests.flows.test_hostile_words import HostileStage
from tests.flows.test_migrations import JOB
from tests.hostile_text import EVERYTHING, spellings, traces
from tests.record_entries import load_entries

pytestmark = [pytest.mark.attack, pytest.mark.server, pytest.mark.timeout(600)]
SECRET = 'Tr0ub4dor&3/x y"z+Kuckuck-\u00e4%41<k&amp;'
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


@pytest.mark.parametrize("point", ["logs", "body", "illegal", "prepare", "shift"])
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
    if point == "illegal":
        batches = [[SECRET], [SECRET.encode().hex()]]
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
            assert state.name == ("Failed" if point in {"body", "illegal"} else "RolledBack"), state.message
            assert [stage.world(one).position["baseline"] for one in stage.environments] == ["1.0", "1.0"]
    finally:
        logging.getLogger("prefect").removeHandler(handler)
    assert any("********" in message for message in states) or point in {"body", "illegal"}, states
    await hang_up()
    await asyncio.sleep(2)  # the server stores events and logs once a second
    out = capfd.readouterr()
    check_no_trace({"states": "\n".join(states), "log": said.getvalue(), "output": out.out + out.err})
    check_no_trace(files_of(server.home))
    check_no_trace(await everything_the_api_gives())


FOREIGN = [
    RuntimeError(EVERYTHING),
    KeyError(EVERYTHING * 1_000),
    UnicodeDecodeError("utf-8", EVERYTHING.encode("utf-8", "replace"), 0, 1, EVERYTHING),
    ExceptionGroup(EVERYTHING, [OSError(EVERYTHING), ValueError(EVERYTHING)]),
    ObjectNotFound(RuntimeError(EVERYTHING), help_message=EVERYTHING),
    ParameterTypeError(EVERYTHING),
    MissingResult(EVERYTHING),
    httpx.ReadError(EVERYTHING),
    TimeoutError(EVERYTHING),
]


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
async def test_any_error_of_a_platform_ends_in_a_rollback(stage: SecretStage, error: Exception) -> None:
    """Whoever's it is, Prefect's too, and whatever it says: it is not taken for a reason to stop or to go on."""
    await stage.free()
    for environment in stage.environments:
        stage.world(environment).reset("1.0")
        stage.world(environment).fails_at = ""
    world = stage.world("production")
    world.fails_at, world.error, world.text = "shift", error, EVERYTHING
    version = stage.tag(f"1.{next(_numbers)}")
    try:
        state: Any = await release(plan=stage.hostile_plan(), version=version, reason="a test", requester="rita", return_state=True)
    finally:
        world.error = None
    assert state.name == "RolledBack", state.message
    await check_rolled_back(stage, state)


async def check_rolled_back(stage: SecretStage, state: Any, *, outcome: str = "rolled_back") -> None:
    """Assert that both environments are as before, and that the record is whole and says so."""
    entries = await load_entries(await default_storage(), str(state.state_details.flow_run_id))
    assert (outcome_of(entries), verify_chain(entries)) == (outcome, [])
    positions = [stage.world(environment).position for environment in stage.environments]
    assert [(one["baseline"], one["canary"], one["owner"]) for one in positions] == [("1.0", None, None)] * 2


TEXTS = [
    EVERYTHING,
    "\U0001f4a5\u202e\u2066 \x1b]0;x\x07 %s {} {{ }} ..",
    "x" * 100_000,
    "\u0130\ufb01\u1e9b\u0323 \u00a0\ufeff ${jndi:x} $(id) `id` '\"\\",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("point", ["job", "header", "logs"])
async def test_any_text_from_outside_ends_in_a_rollback(stage: SecretStage, point: str, text: str) -> None:
    """At once in commits, authors, versions, headers, job output, progress and logs."""
    await stage.free()
    for environment in stage.environments:
        stage.world(environment).reset("1.0")
        stage.world(environment).fails_at, stage.world(environment).text = "", text
    world = stage.world("production")
    world.position["previous"] = outside(text, limit=60)
    world.fails_at = {"header": ""}.get(point, point)
    commit(stage.repository, subject=text, author=text)
    version = stage.tag(f"1.{next(_numbers)}")
    state: Any = await release(
        plan=hostile_plan_with_job(stage, point), version=version, reason="a test", requester="rita", return_state=True
    )
    failed_early = point == "header"  # a header that is not as expected is found in staging
    assert state.name == ("Failed" if failed_early else "RolledBack"), state.message
    await check_rolled_back(stage, state, outcome="failed" if failed_early else "rolled_back")


def hostile_plan_with_job(stage: SecretStage, point: str) -> str:
    """Write the plan with a migration, and with a header that no service sends if the point asks for it."""
    jobs = stage.repository / "jobs"
    jobs.mkdir(exist_ok=True)
    (jobs / "job.yaml").write_text(yaml.safe_dump(JOB))
    plan = yaml.safe_load(Path(stage.hostile_plan()).read_text())
    plan["migrations"] = [
        {"name": "add-place", "manifest": "jobs/job.yaml", "when": "before", "compatibility": "expand", "timeout_seconds": 30}
    ]
    if point == "header":
        plan["verification"]["health"][0]["expect"]["headers"] = {"x-said": "^never said$"}
    path = stage.repository / f"plan-job-{next(_numbers)}.yaml"
    path.write_text(yaml.safe_dump(plan))
    return str(path)


def commit(repository: Path, *, subject: str, author: str) -> None:
    """Commit with any subject that Git takes, by any author that it takes."""
    name = outside(author, limit=100).translate({ord(character): " " for character in "<>"}) or "x"
    identity = [
        "-c",
        f"user.name={name}",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "i18n.commitEncoding=latin1",
    ]
    message = subject.replace("\x00", "").encode("utf-8", "surrogatepass") or b"x"
    asked = ["git", *identity, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-F", "-"]
    subprocess.run(asked, cwd=repository, input=message, check=True, capture_output=True)


class DeathError(BaseException):
    """A process that dies: nothing of ours handles it."""


@pytest.mark.parametrize("text", TEXTS[:3], ids=range(3))
async def test_any_reason_of_a_cancellation_ends_in_a_rollback(stage: SecretStage, text: str) -> None:
    """Someone cancels a release half-way with any words: the hook rolls back."""
    await stage.free()
    for environment in stage.environments:
        stage.world(environment).reset("1.0")
        stage.world(environment).fails_at = ""
    world = stage.world("production")
    world.fails_at, world.error, world.text = "shift", DeathError(), text
    version = stage.tag(f"1.{next(_numbers)}")
    parameters = {"plan": stage.hostile_plan(), "version": version, "reason": "a test", "requester": "rita"}
    async with get_client() as client:
        run = await client.create_flow_run(release, parameters=parameters)
        with contextlib.suppress(DeathError):
            await run_flow(release, flow_run=run, parameters=parameters, return_type="state")
        world.error = None
        assert world.position["canary"] == version
        await roll_back_cancelled(release, await client.read_flow_run(run.id), Cancelled(message=text))
        entries = await load_entries(await default_storage(), str(run.id))
    assert outcome_of(entries) == "cancelled"
    assert (world.position["baseline"], world.position["canary"]) == ("1.0", None)
