"""`shipway check` says what is wrong with the forge in which a plan's releases are recorded, before a release."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from flows.commands._receivers import ask_forge
from tasks.rules.plan.deployments import Deployments
from tests.forge_server import API_TOKEN, KINDS, ForgeServer, serving_forge
from tests.git_remotes import Repository, repository
from tests.tasks.notify.test_outbox import saved

__all__ = ["repository"]
pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest, repository: Repository) -> Iterator[ForgeServer]:
    """Serve one forge, and the other."""
    with serving_forge(request.param, repository) as found:
        yield found


def asked(name: str) -> tuple[list[str], list[str]]:
    """Ask about a plan that names a block."""
    plan: Any = SimpleNamespace(service="shop", deployments=Deployments(to=name))
    return ask_forge(plan)


def test_a_forge_that_is_there_is_no_problem_and_nothing_is_recorded(there: ForgeServer) -> None:
    """It is asked for the repository and its deployments."""
    assert asked(asyncio.run(saved(there.block()))) == ([], [])
    assert there.made("GET") == len(there.asked) == 2


def test_a_plan_without_deployments_asks_no_forge() -> None:
    """As most are."""
    plan: Any = SimpleNamespace(service="shop", deployments=None)
    assert ask_forge(plan) == ([], [])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"repository": "shop/none"}, "forge.repository: .* it is not there"),
        ({"services": []}, "deployments.to: .* does not take the deployments of shop"),
        ({"token": "another"}, "forge.token: .* the token is not accepted"),
        ({"token": "two\nlines"}, "forge.token: the token is empty or has unusual characters"),
    ],
)
def test_what_is_wrong_is_a_problem_with_its_fix(there: ForgeServer, fields: dict[str, Any], said: str) -> None:
    """Never with the token."""
    problems, notes = asked(asyncio.run(saved(there.block(**fields))))
    assert notes == []
    (problem,) = problems
    assert re.search(said, problem), problem
    assert API_TOKEN not in problem


def test_a_block_that_is_missing_is_a_problem() -> None:
    """By the name of the plan's field."""
    (missing,), _ = asked(f"forge/absent-{uuid4().hex[:8]}")
    assert "deployments.to" in missing
    assert "does not exist" in missing


def test_a_forge_that_does_not_answer_is_a_note(there: ForgeServer) -> None:
    """It may answer by the time of the release."""
    name = asyncio.run(saved(there.block(api="http://127.0.0.1:9")))
    problems, (note,) = asked(name)
    assert problems == []
    assert "was not checked" in note
