"""Answers to a gate from outside its run: find the suspended run, read the question, post the answer, wait for the outcome."""

from __future__ import annotations

import asyncio
import json
import time
from typing import NamedTuple
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from pydantic import ValidationError

from blocks.errors import Refused
from blocks.outside_text import outside
from tasks.approval.approval import OUTCOME_LABEL
from tasks.approval.forms import QUESTION
from tasks.lifecycle.run_labels import has_ended, is_unclosed
from tasks.rules.approval.statement import Question

FORM_SECONDS = 5
COMPARED_SECONDS = 10


class Asked(NamedTuple):
    """Question of a suspended run: its key, its text as markdown, what an answer is bound to (None: it cannot be read), and its fields."""

    key: str
    text: str
    question: Question | None = None
    fields: tuple[str, ...] = ()

    def mismatch(self) -> str:
        """Say why the text is not that of the question that would be answered; "" if it is."""
        if self.question is None:
            return "the server has no question in a form that can be answered"
        wanted = {
            "digest": self.question.digest,
            **{f"challenge to {one}": self.question.challenge(one) for one in self.question.decisions},
        }
        missing = [name for name, value in wanted.items() if f"`{value}`" not in self.text]
        return f"the text that is shown does not have the {', '.join(missing)} of the question that would be answered" if missing else ""


class AnswerOutcome(NamedTuple):
    """AnswerOutcome of an answer: the judgement, its reason, and the state of the gate after it."""

    outcome: str
    reason: str
    state: str


async def read_question(client: PrefectClient, run: FlowRun) -> Asked:
    """Read the question of a run.

    Raises:
        Refused: It has no question: it runs, ended, or its time to answer is over.
    """
    state = run.state
    if state is None or not state.is_paused():
        shown = f"{state.name}: {state.message}" if state and state.message else state.name if state else "without a state"
        more = "; it is not finalized: the keeper restarts or finalizes it" if is_unclosed(run) else ""
        raise Refused(f"{run.name} does not wait for an answer; it is {shown}{more}")
    details = state.state_details
    if details.pause_timeout and details.pause_timeout.timestamp() <= time.time():
        raise Refused(f"{run.name} could be answered until {details.pause_timeout:%Y-%m-%d %H:%M:%S} UTC; ask for the release again")
    if not details.run_input_keyset or not details.pause_key:
        raise Refused(f"{run.name} is suspended without a question; resume it in the Prefect UI")
    text = await _stored(client, run.id, details.run_input_keyset["description"])
    schema = await _stored(client, run.id, details.run_input_keyset["schema"])
    try:
        question = Question.model_validate(schema.get(QUESTION) if isinstance(schema, dict) else None)
    except ValidationError:
        question = None
    good = question is not None and question.run == str(run.id) and f"{question.gate}-{question.question}" == details.pause_key
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return Asked(
        key=details.pause_key,
        text=text if isinstance(text, str) else "",
        question=question if good else None,
        fields=tuple(sorted(fields)) if isinstance(fields, dict) else (),
    )


async def _stored(client: PrefectClient, run: UUID, key: str) -> object:
    """Read a part of the form; Prefect sets the state a moment before it stores the form, so this waits for a missing one."""
    until = time.monotonic() + FORM_SECONDS
    while True:
        try:
            return json.loads(await client.read_flow_run_input(run, key))
        except ValueError:
            return None
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            if time.monotonic() > until:
                return None
            await asyncio.sleep(0.2)


def other_subject(question: Question, run: FlowRun) -> str:
    """Say that the question is about another service or version than its run; "" if it is not."""
    asked = {"version": {question.version}, "service": {question.service}}
    own = {name: {tag.removeprefix(f"{name}:") for tag in run.tags if tag.startswith(f"{name}:")} for name in asked}
    if "version" in run.parameters:
        own["version"].add(str(run.parameters["version"]))
    wrong = [name for name, values in asked.items() if own[name] - values]
    words = [f"the question is about the {name} {min(asked[name])}, the run about {', '.join(sorted(own[name]))}" for name in wrong]
    found = "; ".join(words)
    return str(outside(found)) if found else ""


async def post_answer(client: PrefectClient, run: FlowRun, *, form: dict[str, str]) -> None:
    """Post a filled form, which resumes the run.

    Raises:
        Refused: The server did not accept it.
    """
    result = await client.resume_flow_run(run.id, run_input=form)
    if result.status != SetStateStatus.ACCEPT:
        raise Refused(f"{run.name} did not accept the answer: {getattr(result.details, 'reason', None) or result.status.value}")


async def wait_for_outcome(client: PrefectClient, run_id: UUID, *, key: str, timeout_seconds: float) -> AnswerOutcome | None:
    """Wait until the run reports the outcome of an answer; polls once a second.

    Returns:
        The outcome; None if the run has not reported it in time.
    """
    until, compared = time.monotonic() + timeout_seconds, None
    while True:
        run = await client.read_flow_run(run_id)
        if (told := _told(run, key)) and (told.outcome != "accepted" or told.state != "approved"):
            return told
        if told:  # what was approved is compared with the world next
            until = min(until, time.monotonic() + COMPARED_SECONDS) if compared is None else until
            compared = told
        if run.state and has_ended(run):
            return AnswerOutcome(
                "ended", f"{run.name} ended {run.state.name}: {run.state.message or 'no reason given'}", run.state.name or ""
            )
        if time.monotonic() >= until:
            return compared
        await asyncio.sleep(1)


def _told(run: FlowRun, key: str) -> AnswerOutcome | None:
    labels = run.labels or {}
    if labels.get(f"{OUTCOME_LABEL}.key") != key:
        return None
    return AnswerOutcome(*(str(labels.get(f"{OUTCOME_LABEL}.{name}", "")) for name in AnswerOutcome._fields))
