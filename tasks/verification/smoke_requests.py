"""Smoke steps: send the HTTP steps of a smoke test once, like one visitor."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from blocks.outside_text import OutsideText, outside
from tasks.rules.plan.smoke import SmokeStep
from tasks.rules.verification.http_check import Answer, describe_expectation, describe_request, fault_of_answer, path_of, text_of
from tasks.verification.http_check import Asker, address_of, http_client


@dataclass(frozen=True)
class Visit:
    """One run of the steps against a revision.

    Fields:
        steps: The requests in their order.
        url: Base URL of the revision.
        version: Replaces `{version}`.
        secrets: Values of secret headers, by block.
        trust: The trusted authorities; shared, because reading them costs more than a request.
        deadline: When it must be over, on the monotonic clock in seconds.
    """

    steps: Sequence[SmokeStep]
    url: str
    version: str
    secrets: Mapping[str, SecretStr]
    trust: ssl.SSLContext
    deadline: float


@dataclass(frozen=True)
class Walked:
    """Result of one run of the steps.

    Fields:
        seconds: How long each step took that was answered as expected.
        fault: What was wrong with the first other one, in a sentence, or "".
        lines: The run for people: a line a step, with the details of the failed one. Without secrets.
    """

    seconds: tuple[float, ...]
    fault: OutsideText
    lines: tuple[OutsideText, ...]


async def walk(visit: Visit, *, in_time: bool = True) -> Walked:
    """Send the steps in their order; cookies are kept, redirects are answers, the first fault is the end.

    Args:
        visit: The run's parameters.
        in_time: Whether a step that takes longer than its own limit is a fault; else only the deadline counts.

    Returns:
        The result; nothing that the server does raises.
    """
    seconds: list[float] = []
    lines: list[OutsideText] = []
    # One client a run, so that no cookie crosses from one run to another.
    async with http_client(certificates=visit.trust) as client:
        asker = Asker(client, visit.secrets)
        for number, step in enumerate(visit.steps, start=1):
            answer = await _send(asker, visit, step, in_time=in_time)
            label = f"step {number}{f' ({step.name})' if step.name else ''}: {step.method} {path_of(step, visit.version)}"
            fault = asker.clean(fault_of_answer(answer, step.expect, version=visit.version, in_time=in_time))
            lines.append(outside(f"{label} {answer.status or 'no answer'} after {answer.seconds * 1000:.1f} ms"))
            if fault:
                return Walked(tuple(seconds), outside(f"{label} {fault}"), (*lines, *_all_about(asker, visit, step, answer, fault)))
            seconds.append(answer.seconds)
    return Walked(tuple(seconds), outside(""), tuple(lines))


async def _send(asker: Asker, visit: Visit, step: SmokeStep, *, in_time: bool) -> Answer:
    left, within = visit.deadline - time.monotonic(), step.expect.within_seconds if in_time else None
    limit, over = (left, "before the test timed out") if within is None or left < within else (within, f"within {within:g} s")
    url = address_of(step, visit.url, visit.version)
    return await asker.ask(step, url, timeout_seconds=limit, late=f"gave no whole answer {over}")


def _all_about(asker: Asker, visit: Visit, step: SmokeStep, answer: Answer, fault: str) -> list[OutsideText]:
    body = "" if answer.cut or answer.encoding else asker.clean(text_of(answer.body))
    sent = asker.clean(describe_request(step, visit.version))
    lines = [
        f"  fault: {fault}",
        f"  sent: {sent.replace(chr(10), chr(10) + '    ')}",
        f"  expected: {asker.clean(describe_expectation(step.expect, visit.version))}",
        f"  received: {answer.status or 'nothing'}{f', {body}' if body else ''}",
    ]
    return [outside(line, lines=True) for line in lines]
