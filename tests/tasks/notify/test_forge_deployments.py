"""A forge shows what is deployed: GitHub's and GitLab's API by real HTTP, over a real repository."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from blocks.errors import BadInput, Refused
from blocks.forge.deployments import Deployment
from blocks.key_folder.kept_files import kept_names
from flows.commands import _receivers
from tasks.lifecycle.clock import now
from tasks.notify import deployments
from tasks.notify.deployments import load_forge, note_deployment, note_end, noted_deployments, send_deployments
from tasks.rules.notify.deployments import State
from tests.forge_server import API_TOKEN, KINDS, ForgeServer, serving_forge
from tests.git_remotes import Repository, git, repository
from tests.tasks.notify.test_outbox import own_key, saved

__all__ = ["own_key", "repository"]
pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server", "own_key")]
WORDS = {"github": {}, "gitlab": {"in_progress": "running", "failure": "failed", "error": "canceled"}}


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest, repository: Repository) -> Iterator[ForgeServer]:
    """Serve one forge, and the other, whose repository has a released version."""
    git(repository.clone, "tag", "v1.1")
    git(repository.clone, "push", "-q", "origin", "v1.1")
    with serving_forge(request.param, repository) as found:
        yield found


def wanted(there: ForgeServer, *, commit: str = "", task: str = "deploy", version: str = "1.1") -> Deployment:
    """Return what is to be recorded of a new run."""
    head = commit or there.requests.repository.head
    return Deployment(
        str(uuid4()), task, "shop", version, "shop/production", head, f"v{version}", "http://127.0.0.1/run", "https://shop.example"
    )


async def noted(there: ForgeServer, *, state: State = "in_progress", **fields: Any) -> str:
    """Note a deployment, and give its run."""
    one = wanted(there, **fields)
    await note_deployment(await saved(there.block()), one, state=state)
    return one.run


def told(there: ForgeServer) -> list[list[str]]:
    """Give the states of each deployment of the forge, in our words."""
    back = {word: state for state, word in WORDS[there.kind].items()}
    return [[back.get(state, state) for state in states] for states in there.deployments.states()]


def later(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    """Let time pass."""
    at = now() + timedelta(**by)
    monkeypatch.setattr(deployments, "now", lambda: at)


async def test_a_release_is_in_progress_and_then_a_success_each_told_once(there: ForgeServer) -> None:
    """With its commit, its environment and where to read on; once the end is told nothing is kept."""
    run = await noted(there)
    for _ in range(2):
        await send_deployments()
    assert told(there) == [["in_progress"]]
    await note_end(run, state="success")
    for _ in range(2):
        await send_deployments()
    assert told(there) == [["in_progress", "success"]]
    assert kept_names(deployments.FOLDER) == []
    (made,) = there.deployments.of
    assert made["sha"] == there.requests.repository.head
    if there.kind == "github":
        assert made["payload"] == {"shipway": {"run": run, "service": "shop", "version": "1.1"}}
        assert (made["environment"], made["production_environment"], made["transient_environment"]) == ("shop/production", True, False)
        assert made["told"][-1]["log_url"] == "http://127.0.0.1/run"
        assert made["told"][-1]["environment_url"] == "https://shop.example"
    else:
        assert (made["environment"]["name"], made["ref"], made["tag"]) == ("shop/production", "v1.1", True)


@pytest.mark.parametrize("state", ["failure", "error"])
async def test_a_release_that_does_not_end_well_is_shown_so(there: ForgeServer, state: State) -> None:
    """The version that serves on keeps its own deployment."""
    run = await noted(there)
    await send_deployments()
    await note_end(run, state=state)
    await send_deployments()
    assert told(there) == [["in_progress", state]]


async def test_what_was_made_before_an_answer_was_lost_is_found_again(there: ForgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the release's id on GitHub; on GitLab by commit and tag, among those that came since."""
    await noted(there)
    there.drop.append("POST")
    await send_deployments()
    assert len(there.deployments.of) == 1
    later(monkeypatch, minutes=1)
    await send_deployments()
    assert told(there) == [["in_progress"]]


async def test_a_state_that_was_told_before_an_answer_was_lost_is_not_told_again(
    there: ForgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forge is read first."""
    run = await noted(there)
    await send_deployments()
    await note_end(run, state="success")
    there.drop.append("POST" if there.kind == "github" else "PUT")
    await send_deployments()
    later(monkeypatch, minutes=1)
    for _ in range(2):
        await send_deployments()
    assert told(there) == [["in_progress", "success"]]
    assert kept_names(deployments.FOLDER) == []


async def test_a_deployment_of_the_same_commit_by_others_is_not_taken_for_ours(there: ForgeServer) -> None:
    """Neither an earlier one, nor one of an earlier release."""
    first = await noted(there, state="success")
    await send_deployments()
    await noted(there, state="success")
    await send_deployments()
    assert first not in kept_names(deployments.FOLDER)
    assert [states[-1] for states in told(there)] == (["inactive", "success"] if there.kind == "github" else ["success", "success"])


async def test_that_a_release_is_in_progress_never_follows_its_end(there: ForgeServer) -> None:
    """Neither if it was not told before, nor if it is noted once more."""
    run = await noted(there)
    await note_end(run, state="failure")
    await note_end(run, state="success")
    one = wanted(there)
    await note_deployment("forge/other", Deployment(**{**_fields(one), "run": run}), state="in_progress")
    await send_deployments()
    assert [states[-1] for states in told(there)] == ["failure"]


async def test_an_end_that_is_noted_while_the_beginning_is_told_is_told_next(there: ForgeServer) -> None:
    """By one process at a time."""
    run = await noted(there)
    claimed = deployments._claim(run)
    assert claimed is not None
    await note_end(run, state="success")
    await send_deployments()
    assert told(there) == []
    deployments._note(run, claimed, "", 0.0)
    await send_deployments()
    assert [states[-1] for states in told(there)] == ["success"]


async def test_a_rollback_on_demand_is_a_deployment_of_its_own_and_the_bad_version_serves_no_more(there: ForgeServer) -> None:
    """GitHub says by itself of no production that a later success took its place; GitLab goes by the last success."""
    await noted(there, state="success")
    await send_deployments()
    await noted(there, state="success", task="rollback")
    await send_deployments()
    last = [states[-1] for states in told(there)]
    assert last == (["inactive", "success"] if there.kind == "github" else ["success", "success"])


async def test_a_commit_that_was_not_pushed_holds_others_only_at_first_and_is_given_up(
    there: ForgeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For a day; the doctor says what the forge said."""
    block = await saved(there.block())
    await note_deployment(block, wanted(there, commit="a" * 40), state="success")
    await note_deployment(block, wanted(there), state="success")
    for minutes in range(0, 60, 11):
        assert told(there) == []
        later(monkeypatch, minutes=minutes)
        await send_deployments()
    assert [states[-1] for states in told(there)] == ["success"]
    found = _receivers.examine(tmp_path)
    assert found.level == "warn"
    assert ("No ref found" if there.kind == "github" else "does not exist") in found.text
    later(monkeypatch, days=1, minutes=1)
    asked = len(there.asked)
    await send_deployments()
    assert len(there.asked) == asked
    later(monkeypatch, days=3)
    await send_deployments()
    assert kept_names(deployments.FOLDER) == []


async def test_a_forge_that_asks_to_be_left_alone_is_for_all_releases(there: ForgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it says, up to ten minutes."""
    block = await saved(there.block())
    there.fault, there.answered = "fault", (429, "secondary rate limit", {"Retry-After": "300"})
    for _ in range(2):
        await note_deployment(block, wanted(there), state="success")
    await send_deployments()
    asked, there.fault = len(there.asked), "good"
    assert asked == 1
    later(monkeypatch, minutes=4)
    await send_deployments()
    assert len(there.asked) == asked
    later(monkeypatch, minutes=6)
    for _ in range(2):
        await send_deployments()
    assert len(told(there)) == 2


@pytest.mark.parametrize(
    ("wrong", "said"), [("token", "token is not accepted"), ("rights", "may not do this"), ("gone", "it is not there")]
)
async def test_what_a_person_has_to_change_is_said_without_the_token(there: ForgeServer, wrong: str, said: str) -> None:
    """In the doctor's words, with the rights that are needed."""
    await noted(there)
    there.deployments.may_write = wrong != "rights"
    there.expected = "another" if wrong == "token" else there.expected
    if wrong == "gone":
        there.fault, there.answered = "fault", (404, "Not Found", {})
    await send_deployments()
    (one,) = noted_deployments()
    assert said in one.delivery.fault
    assert one.is_refused
    assert API_TOKEN not in one.delivery.fault + repr(one)


async def test_a_failed_check_of_the_commit_does_not_keep_what_is_deployed_from_being_shown(there: ForgeServer) -> None:
    """GitHub answers 409 to whoever leaves its checks and its merge as they are."""
    there.deployments.contexts.append("ci")
    await noted(there, state="success")
    await send_deployments()
    assert [states[-1] for states in told(there)] == ["success"]


async def test_an_answer_that_is_not_of_this_api_is_tried_again(there: ForgeServer) -> None:
    """Nothing is taken from it."""
    await noted(there)
    there.fault, there.answered = "fault", (200, "a page", {})
    await send_deployments()
    (one,) = noted_deployments()
    assert (one.number, one.is_refused, bool(one.delivery.fault)) == (0, False, True)


async def test_a_deployment_that_people_removed_is_made_again(there: ForgeServer) -> None:
    """What ended must be seen."""
    run = await noted(there)
    await send_deployments()
    there.deployments.of[0]["id"] = 900
    there.deployments.of[0]["sha"] = "b" * 40
    await note_end(run, state="success")
    await send_deployments()
    assert [states[-1] for states in told(there)] == ["in_progress", "success"]


async def test_a_block_takes_the_deployments_of_the_services_that_it_names(there: ForgeServer) -> None:
    """Whoever may write a plan could else start what a repository does on deployments."""
    name = await saved(there.block(services=["other"]))
    with pytest.raises(BadInput, match=r"deployments.to: .* does not take the deployments of shop"):
        await load_forge(name, service="shop")


async def test_a_repository_that_is_archived_is_found_before_a_release(there: ForgeServer) -> None:
    """Nothing is made by that look."""
    forge = await load_forge(await saved(there.block()), service="shop")
    await forge.check()
    there.project = {"archived": True}
    with pytest.raises(Refused, match="archived"):
        await forge.check()
    assert there.made("POST") == 0


def _fields(one: Deployment) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Deployment.__dataclass_fields__}
