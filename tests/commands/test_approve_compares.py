"""`shipway approve` answers a question only if it is about the service and the version of its run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused
from flows.commands import approve
from tasks.approval.answering import Asked, other_subject
from tasks.evidence import inputs
from tasks.rules.approval.statement import OF_A_HOST, OF_A_WINDOW, Question

QUESTION = Question(
    run="run-1", gate="production", question=1, service="shop", version="1.1", digest="ab" * 32, nonce="0f" * 16
)  # fmt: skip
RUNS: dict[str, tuple[dict[str, str], list[str], str]] = {
    "the same": ({"version": "1.1"}, ["service:shop", "version:1.1", "other"], ""),
    "a run that says nothing": ({}, [], ""),
    "another version": ({"version": "1.2"}, ["service:shop"], "the question is about the version 1.1, the run about 1.2"),
    "another version by its tag": ({"version": "1.1"}, ["version:1.2"], "the run about 1.1, 1.2"),
    "another service": ({"version": "1.1"}, ["service:bank"], "the question is about the service shop, the run about bank"),
}


@pytest.mark.parametrize("run", RUNS)
def test_a_question_of_another_service_or_version_than_its_run_is_refused(run: str) -> None:
    """Who can write to the server could show the question of a release that looks harmless."""
    parameters, tags, said = RUNS[run]
    found: Any = SimpleNamespace(parameters=parameters, tags=tags)
    words = other_subject(QUESTION, found)
    assert (said in words) if said else words == ""


@pytest.mark.parametrize(("service", "digest"), [("shop", "ab" * 32), ("shop", "cd" * 32), ("bank", "ab" * 32), ("bank", "cd" * 32)])
async def test_the_plan_of_the_run_is_that_of_the_service(service: str, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another digest may be a change since it was asked, and is said; another service is never that."""

    async def look(plan: str, *, version: str) -> Any:
        assert (plan, version) == ("/srv/shipway.yaml", "1.1")
        return SimpleNamespace(digest=digest, parsed=lambda: SimpleNamespace(service=service))

    monkeypatch.setattr(inputs, "look", look)
    monkeypatch.setattr(approve, "_expect_own", lambda _plan: None)  # see test_approve_own_plan
    if service != "shop":
        with pytest.raises(Refused, match="the question is about shop, and the plan of its run is that of bank"):
            await approve.compared(QUESTION, "/srv/shipway.yaml")
    else:
        words = await approve.compared(QUESTION, "/srv/shipway.yaml")
        assert ("WARNING" in words) == (digest != QUESTION.digest)


@pytest.mark.parametrize("gate", ["production", f"{OF_A_WINDOW}1-until-20261201t010000", f"{OF_A_HOST}production-deploy-on-web-3-1"])
def test_a_text_without_the_challenge_of_any_decision_is_not_that_of_the_question(gate: str) -> None:
    """Who can write to the server could show the challenge of another question beside one word."""
    question = QUESTION.model_copy(update={"gate": gate})
    assert ("postpone" in question.decisions, "skip" in question.decisions) == (gate.startswith(OF_A_WINDOW), gate.startswith(OF_A_HOST))
    shown = [f"`{question.digest}`", *(f"| {one} | `{question.challenge(one)}` |" for one in question.decisions)]
    assert Asked("key", "\n".join(shown), question).mismatch() == ""
    for left, name in enumerate(["digest", *(f"challenge to {one}" for one in question.decisions)]):
        text = "\n".join(line for number, line in enumerate(shown) if number != left)
        assert f"does not have the {name} of the question" in Asked("key", text, question).mismatch()
