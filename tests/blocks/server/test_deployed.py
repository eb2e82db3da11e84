"""What was deployed, in a file that may be broken: nothing goes forward by it, and nothing that it says stops a rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import flow_engine
from prefect.client.schemas.objects import FlowRun
from pydantic import BaseModel

from blocks.key_folder.key_file import key_path
from blocks.server import deployed, settings


class Deployment(BaseModel):
    """A deployment as the server gives it."""

    id: str = "d1"
    name: str = "rollback"
    flow_id: str = "f1"
    entrypoint: str = "flows.rollback.rollback"
    path: str | None = None
    pull_steps: list[Any] | None = None
    job_variables: dict[str, Any] = {}
    work_pool_name: str = "shipway"
    work_queue_name: str = "urgent"
    parameters: dict[str, Any] = {}
    enforce_parameter_schema: bool = True
    storage_document_id: str | None = None
    infrastructure_document_id: str | None = None


def changed(deployment: Any) -> str:
    """Compare a deployment with what was deployed."""
    return deployed.changed(deployment, job_variables=None)


@pytest.fixture(params=["", "{", "[]", '{"d1": 1}', "\udcff"])
def broken(request: pytest.FixtureRequest) -> Path:
    """Give a file that cannot be read."""
    path = key_path().parent / "deployed.json"
    path.write_bytes(request.param.encode("utf-8", "surrogateescape"))
    return path


def test_a_broken_file_refuses_what_goes_forward_and_is_named(broken: Path) -> None:
    """`shipway up`, the fix that is said beside it, writes the file anew."""
    release = Deployment(name="release", entrypoint="flows.release.release")
    assert str(broken) in changed(release)
    deployed.keep([release])
    assert not changed(release)


@pytest.mark.parametrize("file", ["prefect.yaml", "prefect.kubernetes.yaml"])
def test_what_nothing_may_stop_has_the_queue_that_releases_cannot_fill(file: str) -> None:
    """Eight long releases would hold a look up, too."""
    made = yaml.safe_load((settings.PROJECT / file).read_text())["deployments"]
    queues = {one["entrypoint"]: one["work_pool"]["work_queue_name"] for one in made}
    assert {queues[entry_point] for entry_point in deployed.URGENT} == {"urgent"}


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("name", ["rollback", "settle", "keeper", "observe"])
def test_a_broken_file_stops_no_rollback(name: str) -> None:
    """Nor the keeper and `settle`, which lead to one."""
    own = [{"prefect.deployments.steps.set_working_directory": {"directory": str(settings.PROJECT)}}]
    for steps in (None, [], own):
        assert not changed(Deployment(name=name, entrypoint=f"flows.{name}.{name}", pull_steps=steps))


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    "change",
    [
        {"entrypoint": "evil.py:rollback"},
        {"path": "/tmp/evil"},  # noqa: S108 - a path to refuse
        {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "evil"}}]},
        {"job_variables": {"command": "evil"}},
        {"storage_document_id": "s1"},
        {"infrastructure_document_id": "i1"},
    ],
)
def test_who_breaks_the_file_starts_nothing_else_under_the_name_of_a_rollback(change: dict[str, Any]) -> None:
    """Only this project's own code starts without the comparison."""
    assert "deployed.json" in changed(Deployment(**change))


def test_a_changed_deployment_of_the_rollback_is_refused() -> None:
    """What was deployed is known, and it is another one."""
    deployed.keep([Deployment()])
    assert not changed(Deployment())
    assert changed(Deployment(entrypoint="evil.py:rollback")) == "entrypoint of the deployment rollback was changed"


@pytest.mark.parametrize("name", ["release", "rollback"])
def test_what_was_compared_is_what_runs_whatever_the_server_says_later(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect takes the entry point from the process's environment; it has no client here to read a deployment with."""
    monkeypatch.setenv(*next(iter(deployed.entry_point(Deployment(entrypoint=f"flows.{name}.{name}")).items())))
    monkeypatch.setattr(flow_engine, "load_flow_from_flow_run", None)
    assert flow_engine.load_flow(FlowRun(flow_id=uuid4(), deployment_id=uuid4())).name == name


def test_a_deployment_that_fetches_its_code_is_left_to_its_pull_steps() -> None:
    """The entry point alone would not be found."""
    steps = [{"prefect.deployments.steps.git_clone": {"repository": "https://git.example.com/a.git"}}]
    assert deployed.entry_point(Deployment(entrypoint="a.py:a", pull_steps=steps)) == {}


def test_what_was_deployed_is_known_without_the_server() -> None:
    """By the id alone: what nothing may stop, and whose hooks are due after its process has ended."""
    rollback, release = Deployment(), Deployment(id="d2", name="release", entrypoint="flows.release.release")
    clone = Deployment(id="d3", pull_steps=[{"prefect.deployments.steps.git_clone": {"repository": "https://git.example.com/a.git"}}])
    deployed.keep([rollback, release, clone])
    assert [deployed.known_entry_point(one) for one in ("d1", "d2", "d3", None)] == [rollback.entrypoint, release.entrypoint, "", ""]
    assert [deployed.known_entry_point(one, urgent=True) for one in ("d1", "d2", "d3", None)] == [rollback.entrypoint, "", "", ""]
