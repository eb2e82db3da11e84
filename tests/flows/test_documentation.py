"""The page that documents a deployment is made and committed when a run ends; what fails of it is said, and changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml
from prefect import flow
from prefect.artifacts import Artifact

from blocks.git.git import Git
from flows.lifecycle import publishing
from flows.lifecycle.context import begin_phase
from tests.flows.harness import plan_of
from tests.git_remotes import Repository, git, repository

if TYPE_CHECKING:
    from tests.conftest import Server

__all__ = ["repository"]
pytestmark = pytest.mark.server


@flow
async def ended(plan: str, *, outcome: str = "deployed") -> str:
    """Do what a release does at its end, twice over, as after a crash."""
    phase = await begin_phase(plan, scope="")
    given = {"flow": "release", "service": phase.plan.service, "version": "1.2", "baseline": "1.1", "plan": plan}
    await phase.append("Asked", kind="opened", who="mira", why="[faster](https://evil.example)", evidence=given)
    await phase.append(f"1.2: {outcome}", kind="closed", why="all is well", evidence={"outcome": outcome})
    for _ in range(2):
        await publishing.publish(phase, phase.owner, service=phase.plan.service)
    return phase.owner


def laid_out(place: Path, service: str, **documentation: Any) -> str:
    """Write a plan that has its deployments documented."""
    path = place / "shipway.yaml"
    path.write_text(yaml.safe_dump({**plan_of(service), "documentation": documentation}))
    return str(path)


async def artifact_of(service: str) -> str:
    """Read the newest page of a service."""
    found = await Artifact.aget(key=f"deployment-{service}")
    assert found is not None
    return str(found.data)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a service of the test's own, whose work copies lie in a folder of the test."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return f"shop-{uuid4().hex[:6]}"


async def test_the_page_is_beside_the_record_in_an_artifact_and_once_in_the_repository(
    tmp_path: Path, server: Server, service: str, repository: Repository
) -> None:
    """By the plan's own template; the same page again makes neither a second commit nor a second artifact."""
    await Git(remote=repository.url, documents=[service]).save(service)  # type: ignore[misc]
    (tmp_path / "page.md").write_text("# {{ service }} {{ version }}\n\n{{ reason }}\n")
    run = await ended(laid_out(tmp_path, service, git=f"git/{service}", folder="deployments", template="page.md"))
    text = (server.home / "storage" / "records" / run / "deployment.md").read_text()
    assert text.startswith(f"# {service.replace('-', chr(92) + '-')} 1.2\n")
    assert "](https" not in text
    assert repository.subjects() == [f"Document {service} {name_in(repository)}", "First"]
    assert repository.read(f"deployments/{name_in(repository)}.md").decode() == text
    assert f"Committed to git/{service} as deployments/" in (await artifact_of(service)).replace("\\", "")


def name_in(repository: Repository) -> str:
    """Name the one page that was committed."""
    (path,) = git(repository.bare, "ls-tree", "--name-only", "main", "deployments/").splitlines()
    return Path(path).stem


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (None, "does not exist or cannot be read"),
        ({"documents": ["another"]}, "Let its owner add"),
        ({"remote": "file:///nowhere/at-all"}, "It is not committed to"),
        ({}, "It is not known whether it is committed to"),
    ],
)
async def test_a_page_that_cannot_be_committed_is_said_and_kept(
    tmp_path: Path, server: Server, service: str, repository: Repository, block: dict[str, Any] | None, said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The run ends as it did, and the page is where the record is."""
    if block == {}:
        monkeypatch.setattr(publishing, "COMMIT_SECONDS", 0.02)
    if block is not None:
        await Git(**{"remote": repository.url, "documents": [service], **block}).save(service)
    run = await ended(laid_out(tmp_path, service, git=f"git/{service}", template="missing.md"))
    assert (server.home / "storage" / "records" / run / "deployment.md").exists()
    page = (await artifact_of(service)).replace("\\", "")
    assert said in page
    assert "missing.md does not exist" in page
    assert repository.subjects() == ["First"]


async def test_a_refused_release_is_documented_but_not_committed(tmp_path: Path, service: str, repository: Repository) -> None:
    """It deployed nothing."""
    await Git(remote=repository.url, documents=[service]).save(service)  # type: ignore[misc]
    await ended(laid_out(tmp_path, service, git=f"git/{service}"), outcome="refused")
    assert ": refused" in await artifact_of(service)
    assert repository.subjects() == ["First"]
